//! The smoketest: creates, shows and deletes a cluster template through Magnum's own API, and on demand a cluster of it.
//!
//! It always removes what it created: when something fails, when it is told to stop, and, of a run that was killed, by
//! its cleaner or at the start of the next run.
//!
//! ```text
//! parameters, account ─→ token, catalogue ─→ leftovers ─→ create ─→ watch ─→ removal ─→ outcome
//! ```

mod api;
mod cleaner;
mod credentials;
mod failure;
mod outcome;
mod parameters;
mod progress;
mod removal;
mod resource;
mod runs;
mod watch;

#[cfg(test)]
mod fake_cloud;
#[cfg(test)]
mod tests;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;

use crate::juju::settings::without_credentials;
use crate::juju::{Context, tools};
use crate::problem::or_problem;
use crate::system::System;
use api::Session;
pub use cleaner::COMMAND as CLEANER;
use cleaner::{Cleaner, Pauses};
use credentials::KeystoneAccount;
use failure::SmoketestFailure;
use outcome::{CleanupOwner, SmoketestOutcome};
use parameters::Parameters;
use progress::{Progress, Signals, StopRequest};
use removal::RemainingLeftovers;
use resource::CloudResource;
use runs::Runs;

/// Between two looks at a cluster: Magnum itself asks the driver every ten seconds.
const PAUSE: Duration = Duration::from_secs(3);

/// Runs the action. `Some` says why it failed.
///
/// # Errors
/// If a hook tool fails, the state directory cannot be written, or Magnum's configuration cannot be read.
pub fn run(system: &System, context: &Context) -> Result<Option<String>> {
    run_until(system, context, &Signals::listen()?, PAUSE)
}

fn run_until(
    system: &System,
    context: &Context,
    signals: &Signals,
    pause: Duration,
) -> Result<Option<String>> {
    let given = tools::action_get(system)?;
    let progress = Progress::new(signals.clone(), pause, |line| {
        tools::action_log(system, line)
    });
    let parameters = Parameters::read(&given).map_err(anyhow::Error::from);
    match or_problem(
        parameters.and_then(|parameters| execute(system, context, &parameters, progress)),
    )? {
        Ok(outcome) => {
            tools::action_set(system, &outcome.results(context))?;
            Ok(outcome.sentence(context))
        }
        Err(problem) => Ok(Some(problem.to_string())),
    }
}

/// Cleans up after a run that was killed: the command [`CLEANER`], which systemd runs.
pub fn clean_up(system: &System) -> ExitCode {
    let print = |line: &str| Ok(writeln!(std::io::stdout(), "{line}")?);
    let mut progress = Progress::new(Signals::default(), PAUSE, print);
    match cleaner::clean(system, std::io::stdin(), Pauses::default(), &mut progress) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Fails only if nobody reads it.
            writeln!(std::io::stderr(), "{error:#}").ok();
            ExitCode::FAILURE
        }
    }
}

fn execute(
    system: &System,
    context: &Context,
    parameters: &Parameters,
    progress: Progress<'_>,
) -> Result<SmoketestOutcome> {
    let lock = runs::lock(&system.root)?;
    let account = KeystoneAccount::obtain(system, parameters.credentials.as_deref(), context)?;
    let mut run = Run {
        system,
        parameters,
        runs: Runs::load(&system.root)?,
        progress,
        created: Vec::new(),
        remaining: Vec::new(),
        leftovers: RemainingLeftovers::default(),
        owner: CleanupOwner::Nobody,
    };
    let failure = run.go(&account)?;
    let outcome = run.outcome(failure, context);
    // From here on the cleaner may go to work.
    drop(lock);
    Ok(outcome)
}

/// A run under way.
struct Run<'a> {
    system: &'a System,
    parameters: &'a Parameters,
    runs: Runs,
    progress: Progress<'a>,
    /// Every resource that it has created, or may have.
    created: Vec<CloudResource>,
    /// Those that it has not removed.
    remaining: Vec<CloudResource>,
    leftovers: RemainingLeftovers,
    owner: CleanupOwner,
}

impl Run<'_> {
    /// Goes from the token to the last deletion. Returns what went wrong first.
    fn go(&mut self, account: &KeystoneAccount) -> Result<Option<SmoketestFailure>> {
        match self.prepare_and_create(account) {
            Ok(failure) => Ok(failure),
            Err(error) => error.downcast().map(Some),
        }
    }

    fn prepare_and_create(
        &mut self,
        account: &KeystoneAccount,
    ) -> Result<Option<SmoketestFailure>> {
        let (parameters, progress) = (self.parameters, &mut self.progress);
        let client = api::client(account)?;
        progress.log(format!(
            "as {} at {}",
            account.name(),
            without_credentials(&account.auth_url)
        ));
        let mut session = Session::open(client, account, &parameters.endpoint)?;
        progress.log(format!(
            "Magnum is at {}",
            without_credentials(session.magnum())
        ));
        self.leftovers = removal::remove_leftovers(&mut session, &mut self.runs, progress)?;
        self.runs.begin(session.project(), &account.name())?;
        let cleaner = Cleaner::start(self.system, account, &parameters.endpoint, &self.runs.name)?;

        let created = self.create(&mut session);
        self.remaining.clone_from(&self.created);
        let removed = removal::remove(&mut session, &mut self.remaining, &mut self.progress);
        self.end(cleaner)?;
        Ok(created.err().or(removed).or(self.leftovers.failure.take()))
    }

    fn create(&mut self, session: &mut Session<'_>) -> Result<(), SmoketestFailure> {
        let Self {
            parameters,
            runs,
            created,
            progress,
            ..
        } = self;
        let template =
            resource::create_template(parameters, &runs.name, session, created, progress)?;
        let Some(size) = parameters.cluster else {
            return Ok(());
        };
        let cluster =
            resource::create_cluster(parameters, size, &template, session, created, progress)?;
        watch::wait_until_complete(session, &cluster, parameters.timeout, progress)
    }

    /// Releases the cleaner, or leaves it what a run that was told to stop could not remove.
    fn end(&mut self, cleaner: Cleaner) -> Result<()> {
        let leaves_something = !self.remaining.is_empty();
        if leaves_something
            && self.progress.stop_request() != StopRequest::None
            && cleaner.is_running()
        {
            self.owner = CleanupOwner::Cleaner;
            return Ok(());
        }
        self.runs.end(leaves_something)?;
        if let Err(error) = cleaner.join() {
            self.progress
                .log(format!("there was no cleaner: {error:#}"));
        }
        Ok(())
    }

    fn outcome(mut self, failure: Option<SmoketestFailure>, context: &Context) -> SmoketestOutcome {
        let mut outcome = SmoketestOutcome {
            failure,
            created: self.created,
            left: [self.remaining, self.leftovers.resources].concat(),
            owner: self.owner,
            seconds: self.progress.seconds(),
            report: String::new(),
        };
        match &outcome.failure {
            None => self.progress.log("passed"),
            Some(failure) => self.progress.log(failure),
        }
        if let Some(link) = outcome.failure.as_ref().and_then(|failure| failure.link) {
            self.progress.log(format!(
                "link at fault: {link}; {}",
                context.with_names(link.remedy())
            ));
        }
        self.progress.log(outcome.leftovers());
        outcome.report = self.progress.text();
        outcome
    }
}
