//! A hook: settings from Juju, the one way through, and what came of it back to Juju.

pub mod roll;
pub mod sources;

use anyhow::Result;

use self::roll::Roll;
use self::sources::Ask;
use crate::converge::{self, Outcome};
use crate::graft::{Pace, Surroundings};
use crate::guard;
use crate::juju::{Context, tools};
use crate::problem::{Kind, Problem};
use crate::settings::RestartMode;
use crate::unit::state;

/// The file of the workload version that Juju was told last.
const TOLD: &str = "told.json";

/// Any hook but those in which the charm leaves.
///
/// # Errors
/// When the charm or Juju is at fault; Juju then tries the hook again.
pub fn converge(hook: &str, context: &Context) -> Result<()> {
    if roll::is_farewell(hook, context) {
        return Ok(());
    }
    one_way_through(hook, context, None).map(drop)
}

/// As any hook, but what is due for a restart is restarted at once.
///
/// # Errors
/// When the charm or Juju is at fault.
pub fn restart(context: &Context) -> Result<Outcome> {
    one_way_through("restart", context, Some(RestartMode::Immediate))
}

fn one_way_through(event: &str, context: &Context, mode: Option<RestartMode>) -> Result<Outcome> {
    let _lock = state::lock()?;
    let ask = match event {
        "update-status" => Ask::Remembered,
        _ if roll::is_about_others(event) => Ask::Remembered,
        _ => Ask::Juju,
    };
    let wanted = sources::wanted(context, ask)?;
    let unset = matches!(&wanted.kubeconfig, Ok(None));
    let roll = match mode {
        Some(mode) => Roll::new(mode, context),
        None => Roll::of(&wanted, context),
    };
    let around = Surroundings {
        proxy: &context.proxy,
        charm: &context.charm,
        progress: &|what| tools::status_set("maintenance", what),
        turn: &|due| roll.turn(due),
        pace: Pace::Judging,
        leave: &[],
    };
    let mut outcome = converge::graft(wanted, &around)?;
    if unset {
        outcome.problems.push(no_kubeconfig(context.application()));
    }
    outcome.problems.extend(guard::contested()?);
    roll.tell(event, &outcome)?;
    let (status, message) = status(&outcome);
    tools::status_set(status, &context.typed(&message))?;
    if let Some(version) = &outcome.driver {
        tell_version(version, event)?;
    }
    Ok(outcome)
}

/// Tells Juju the driver's version, but not in each of the many hooks in which nothing happens.
/// What was told last is remembered: a hook that was killed may have changed it and told nothing.
fn tell_version(version: &str, hook: &str) -> Result<()> {
    let told: Option<String> = state::load(TOLD)?;
    let news = told.as_deref() != Some(version);
    if news || hook != "update-status" {
        tools::application_version_set(version)?;
    }
    if news {
        state::save(TOLD, &version)?;
    }
    Ok(())
}

/// The hooks in which the charm leaves.
///
/// # Errors
/// When the unit could not be put back as it was; Juju then tries the hook again.
pub fn depart() -> Result<()> {
    let _lock = state::lock()?;
    converge::depart()?;
    tools::status_set("maintenance", "the graft is off this unit")
}

fn no_kubeconfig(application: &str) -> Problem {
    Problem::blocked(format!(
        "no kubeconfig; run: juju add-secret capi-mgmt kubeconfig#file=FILE; \
         juju grant-secret capi-mgmt {application}; \
         juju config {application} kubeconfig=secret:ID"
    ))
}

/// The unit's status: the worst problem in one sentence, with the count of the others.
fn status(outcome: &Outcome) -> (&'static str, String) {
    // Of equal ones the first: max_by_key would give the last.
    let worst = outcome
        .problems
        .iter()
        .rev()
        .max_by_key(|problem| problem.kind);
    let version = outcome.driver.as_deref().unwrap_or_default();
    let Some(worst) = worst else {
        return ("active", format!("driver {version} grafted"));
    };
    let more = match outcome.problems.len() {
        1 => String::new(),
        count => format!(" (and {} more: run verify)", count - 1),
    };
    match worst.kind {
        Kind::Blocked => ("blocked", format!("{worst}{more}")),
        Kind::Waiting => ("waiting", format!("{worst}{more}")),
        Kind::Maintenance => ("maintenance", format!("{worst}{more}")),
        Kind::Notice => ("active", format!("driver {version} grafted; {worst}{more}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_the_worst_problem_and_counts_the_others() {
        let outcome = |problems: Vec<Problem>| Outcome {
            problems,
            driver: Some("1.1.0".into()),
            ..Outcome::default()
        };
        assert_eq!(
            status(&outcome(vec![])),
            ("active", "driver 1.1.0 grafted".into())
        );
        assert_eq!(
            status(&outcome(vec![Problem::notice("it ends in 9 days")])),
            ("active", "driver 1.1.0 grafted; it ends in 9 days".into())
        );
        let paused = Problem::maintenance("magnum is paused");
        assert_eq!(status(&outcome(vec![paused.clone()])).0, "maintenance");
        let (kind, message) = status(&outcome(vec![
            paused,
            Problem::blocked("first"),
            Problem::blocked("second"),
            Problem::waiting("later"),
        ]));
        assert_eq!(
            (kind, message.as_str()),
            ("blocked", "first (and 3 more: run verify)")
        );
    }
}
