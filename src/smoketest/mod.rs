//! The runbook's sections 10 and 11 through Magnum's own API: a cluster template is made, shown and deleted,
//! and on demand a cluster of it too.
//!
//! It always removes what it made: when something fails, when it is told to stop, and, of a run that was
//! killed, by its cleaner or at the start of the next one. What fails is placed on the chain that a cluster
//! hangs on.
//!
//! ```text
//! parameters, credentials ─→ token, catalogue ─→ leftovers ─→ making ─→ waiting ─→ removal ─→ outcome
//! ```

mod api;
mod chain;
mod cleaner;
mod conductor;
mod credentials;
mod failure;
mod interrupt;
mod leftovers;
mod making;
mod names;
mod outcome;
mod parameters;
mod removal;
mod stage;
mod story;
mod thing;
mod waiting;

use std::io::Write;
use std::process::ExitCode;

use anyhow::Result;
use reqwest::blocking::Client;

use crate::juju::{Context, tools};
use crate::settings::without_credentials;
use api::Session;
pub use cleaner::COMMAND as CLEANER;
use cleaner::Cleaner;
use credentials::Credentials;
use failure::Failure;
use interrupt::Wish;
use making::Made;
use names::Names;
use outcome::Heir;
pub use outcome::Outcome;
pub use parameters::Parameters;
use story::Story;
use thing::{Kind, Thing};

/// Runs it all.
///
/// # Errors
/// What is no failure of the chain: no credentials, another run, a state directory that cannot be written.
pub fn run(wanted: &Parameters, context: &Context) -> Result<Outcome> {
    interrupt::listen()?;
    let _alone = names::alone()?;
    let credentials = Credentials::obtain(wanted.credentials.as_deref(), context)?;
    let client = api::client(&credentials)?;
    let mut run = Run {
        wanted,
        names: Names::choose()?,
        story: Story::new(tools::action_log),
        made: Made::new(),
        asked: Made::new(),
        stuck: Vec::new(),
        heir: Heir::Nobody,
    };
    let failure = match run.course(&client, &credentials) {
        Ok(()) => None,
        Err(error) => Some(error.downcast::<Failure>()?),
    };
    Ok(run.told(failure))
}

/// The cleaner of a run that has been killed: what systemd runs.
pub fn clean_up() -> ExitCode {
    match cleaner::wait() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Fails when nobody reads it.
            writeln!(std::io::stderr(), "{error:#}").ok();
            ExitCode::FAILURE
        }
    }
}

/// A run under way.
struct Run<'a> {
    wanted: &'a Parameters,
    names: Names,
    story: Story,
    /// What it has made and not removed.
    made: Made,
    /// What it had made when nothing was removed yet.
    asked: Made,
    /// What is left from earlier runs.
    stuck: Vec<Thing>,
    heir: Heir,
}

impl Run<'_> {
    /// From the token to the last deletion; whatever happens, what was made is removed.
    fn course(&mut self, client: &Client, credentials: &Credentials) -> Result<()> {
        let Self {
            wanted,
            names,
            story,
            ..
        } = self;
        story.tell(format!(
            "as {} at {}",
            credentials.who(),
            without_credentials(&credentials.auth_url)
        ));
        let mut session = Session::open(client, credentials, &wanted.endpoint)?;
        story.tell(format!(
            "Magnum is at {}",
            without_credentials(session.magnum())
        ));
        let stuck = leftovers::clear(&mut session, names, story)?;
        self.stuck = stuck.things;
        names.begin(&session.project, &credentials.who())?;
        let cleaner = Cleaner::post(credentials, &wanted.endpoint)?;

        let went = making::make(wanted, &names.name, &mut session, &mut self.made, story);
        self.asked.clone_from(&self.made);
        let removed = removal::remove(&mut session, &mut self.made, story);
        if self.made.is_empty() {
            names.end()?;
        }
        if !self.made.is_empty() && interrupt::wish() != Wish::Go {
            if cleaner.take_over() {
                self.heir = Heir::Cleaner;
            }
        } else if let Err(error) = cleaner.release() {
            story.tell(format!("there was no cleaner: {error:#}"));
        }
        let first = went.err().or(removed).or(stuck.failure);
        first.map_or(Ok(()), |failure| Err(failure.into()))
    }

    /// How it went, told.
    fn told(mut self, failure: Option<Failure>) -> Outcome {
        let name_of = |kind: Kind| {
            let found = self.asked.iter().find(|thing| thing.kind == kind);
            found.map(|thing| thing.name.clone()).unwrap_or_default()
        };
        let (template, cluster) = (name_of(Kind::Template), name_of(Kind::Cluster));
        let mut outcome = Outcome {
            template,
            cluster,
            left: [self.made, self.stuck].concat(),
            heir: self.heir,
            seconds: self.story.seconds(),
            report: String::new(),
            failure,
        };
        match &outcome.failure {
            None => self.story.tell("everything went well"),
            Some(failure) => self.story.tell(failure),
        }
        if let Some(link) = outcome.failure.as_ref().and_then(|why| why.link) {
            let line = format!("link at fault: {}; {}", link.id(), link.remedy());
            self.story.tell(line);
        }
        self.story.tell(outcome.legacy());
        outcome.report = self.story.text();
        outcome
    }
}
