//! The smoketest: creates, shows and deletes a cluster template through Magnum's own API, and on demand a cluster of it.
//!
//! It always removes what it created: when something fails, when it is told to stop, and, of a run that was killed, by
//! its cleaner or at the start of the next run.
//!
//! ```text
//! parameters, account ─→ token, catalog ─→ leftovers ─→ create ─→ watch ─→ removal ─→ outcome
//! ```

pub(crate) mod api;
mod cleaner;
mod credentials;
pub(crate) mod failure;
mod outcome;
mod parameters;
mod progress;
pub(crate) mod removal;
pub(crate) mod resource;
mod runs;
mod watch;

#[cfg(test)]
mod tests;

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Result, anyhow};

use crate::juju::settings::without_credentials;
use crate::juju::{Context, tools};
use crate::problem::or_problem;
use crate::system::System;
use api::CloudSession;
pub use cleaner::COMMAND as CLEANER;
use credentials::KeystoneAccount;
use failure::Failure;
use outcome::SmoketestOutcome;
use parameters::Parameters;
use progress::{Progress, Signals, StopRequest};
use runs::Runs;

/// Between two looks at a cluster: Magnum itself asks the driver every ten seconds.
const PAUSE: Duration = Duration::from_secs(3);

/// Runs the action. `Some` says why it failed.
///
/// # Errors
/// If a hook tool fails, the state directory cannot be written, or Magnum's configuration cannot be read.
pub fn run(system: &System, context: &Context) -> Result<Option<String>> {
    run_until(system, context, Signals::listen()?, PAUSE)
}

fn run_until(system: &System, context: &Context, signals: Signals, pause: Duration) -> Result<Option<String>> {
    let given = tools::action_get(system)?;
    let host = system.clone();
    let progress = Progress::new(signals, pause, move |line| tools::action_log(&host, line));
    let parameters = Parameters::read(given).map_err(anyhow::Error::from);
    let ended = or_problem(parameters.and_then(|wanted| execute(system, context, &wanted, progress)))?;
    Ok(ended.unwrap_or_else(|problem| Some(problem.to_string())))
}

/// Cleans up after a run that was killed: the command [`CLEANER`], which systemd runs.
///
/// # Errors
/// If something stays, or cannot be asked for.
pub fn clean_up(system: &System) -> Result<()> {
    let print = |line: &str| Ok(writeln!(std::io::stdout(), "{line}")?);
    let progress = Progress::new(Signals::default(), PAUSE, print);
    cleaner::clean(system, std::io::stdin(), progress, cleaner::PAUSE)
}

fn execute(system: &System, context: &Context, parameters: &Parameters, progress: Progress) -> Result<Option<String>> {
    // Once it is dropped the cleaner may go to work.
    let _lock = runs::lock(&system.root)?;
    let account = KeystoneAccount::obtain(system, &parameters.credentials, context)?;
    let mut session = CloudSession::new(account.clone(), parameters.endpoint.clone(), progress)?;
    let mut outcome = SmoketestOutcome::default();
    if let Err(error) = test(system, parameters, &account, &mut session, &mut outcome) {
        outcome.failure = Some(error.downcast::<Failure>()?);
    }
    outcome.finish(system, session, context)
}

/// Goes from the token to the last deletion. The first failure counts.
fn test(
    system: &System,
    parameters: &Parameters,
    account: &KeystoneAccount,
    session: &mut CloudSession,
    outcome: &mut SmoketestOutcome,
) -> Result<()> {
    let mut runs = Runs::load(&system.root)?;
    let keystone = without_credentials(&account.auth_url);
    session.progress.log(format!("as {} at {keystone}", account.name()));
    session.log_in()?;
    session.progress.log(format!("Magnum is at {}", without_credentials(&session.magnum)));
    let leftovers = removal::remove_leftovers(session, &mut runs)?;
    outcome.left = leftovers.resources;
    runs.begin(&session.project, &account.name())?;
    let cleaner = cleaner::start(system, account, &parameters.endpoint, &runs.name)?;

    let created = create(session, parameters, &runs.name);
    let remaining = removal::remove(session, &session.created.clone());
    let is_clean = remaining.resources.is_empty();
    outcome.left.splice(0..0, remaining.resources);
    let is_stopped = session.progress.stop_request() > StopRequest::None;
    outcome.is_left_to_cleaner = !is_clean && is_stopped && !cleaner.is_finished();
    if !outcome.is_left_to_cleaner {
        runs.end(!is_clean)?;
        let cleaned = cleaner.join().unwrap_or_else(|_| Err(anyhow!("its thread panicked")));
        if let Err(error) = cleaned {
            session.progress.log(format!("there was no cleaner: {error:#}"));
        }
    }
    created?;
    remaining.failure.or(leftovers.failure).map_or(Ok(()), |failure| Err(failure.into()))
}

fn create(session: &mut CloudSession, wanted: &Parameters, name: &str) -> Result<(), Failure> {
    let template = resource::create_template(session, wanted, name)?;
    if !wanted.create_cluster {
        return Ok(());
    }
    let cluster = resource::create_cluster(session, wanted, &template)?;
    watch::wait_until_complete(session, &cluster, wanted.timeout)
}
