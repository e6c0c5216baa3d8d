//! A hook: reads what the operator asks for from Juju, reconciles, and sets the status.

use anyhow::Result;
use tracing::{info, warn};

use super::{Environment, Reconciled, last_good, proof, remove as removal};
use crate::escape::{self, ENTRY_LENGTH};
use crate::juju::settings::RestartMode;
use crate::juju::{Ask, Context, Request, request, status_of, tools};
use crate::problem::Problem;
use crate::rolling::{Rolling, Situation, is_about_peers, is_own_departure};
use crate::step::Thoroughness;
use crate::system::{System, state_path};

/// The state file of what Juju was told last: status, message, workload version.
const TOLD: &str = "status.json";
/// The state file of the problems that were logged last.
const LOGGED: &str = "logged.json";

/// Runs any hook but those in which the charm leaves.
///
/// # Errors
/// If the charm or Juju is at fault; Juju then tries the hook again.
pub fn reconcile(system: &System, hook: &str, context: &Context) -> Result<()> {
    if is_own_departure(hook, context) {
        return Ok(());
    }
    run(system, hook, context, None).map(drop)
}

/// Reconciles as any hook, but restarts what is due at once, and tries again what has failed.
///
/// # Errors
/// If the charm or Juju is at fault.
pub fn restart(system: &System, context: &Context) -> Result<Reconciled> {
    run(system, "restart", context, Some(RestartMode::Immediate))
}

fn run(system: &System, hook: &str, context: &Context, mode: Option<RestartMode>) -> Result<Reconciled> {
    let lock = system.root.lock()?;
    let ask = match hook == "update-status" || is_about_peers(hook) {
        true => Ask::Remembered,
        false => Ask::Juju,
    };
    if mode.is_some() {
        proof::forget(&system.root)?;
    }
    let request = request(system, context, ask)?;
    let has_no_kubeconfig = matches!(&request.kubeconfig, Ok(None));
    let mode = mode.map_or_else(|| wanted_mode(system, &request), Ok)?;
    let rolling = Rolling::new(system, context, mode);
    let mut outcome = super::run(
        request,
        &Environment {
            system,
            proxy: &context.proxy,
            charm: &context.charm,
            progress: &|what| {
                system.root.remove(&state_path(TOLD))?;
                // What is being done does not depend on it.
                if let Err(error) = tools::status_set(system, "maintenance", what) {
                    warn!("{what}: {error:#}");
                }
                Ok(())
            },
            turn: &|due| rolling.turn(due),
            thoroughness: Thoroughness::Full,
        },
    )?;
    outcome.problems.extend(has_no_kubeconfig.then(no_kubeconfig));
    let unhealthy = outcome.unhealthy.as_ref().map(|problem| escape::status(&problem.summary));
    outcome.problems.extend(rolling.publish(hook, Situation { pending: outcome.is_pending, unhealthy })?);
    log(system, context, &outcome);
    tell(system, hook, &outcome)?;
    lock.finish()?;
    Ok(outcome)
}

/// Returns the mode that is asked for; while the settings are not valid, that of the last good ones.
///
/// # Errors
/// If those cannot be read.
pub fn wanted_mode(system: &System, request: &Request) -> Result<RestartMode> {
    Ok(match &request.settings {
        Ok(settings) => settings.restart_mode,
        Err(_) => last_good(system)?.map(|last_good| last_good.settings.restart_mode).unwrap_or_default(),
    })
}

/// The log has what does not fit into the status. A hook that changes nothing does not repeat it.
fn log(system: &System, context: &Context, outcome: &Reconciled) {
    // Cut before they are compared and saved: a state file has a limit, too.
    let detail = |problem: &Problem| escape::report(&context.with_names(&problem.to_string()), ENTRY_LENGTH);
    let details: Vec<String> = outcome.problems.iter().map(detail).collect();
    let logged: Vec<String> = system.root.remembered(LOGGED);
    if details != logged {
        details.iter().filter(|detail| !logged.contains(detail)).for_each(|detail| info!("{detail}"));
        system.root.keep(LOGGED, &details);
    }
}

/// Sets status and workload version, but not in each of the many hooks in which nothing changes. What was set last is
/// forgotten before anything else is set: a hook may be killed before it can remember that.
fn tell(system: &System, hook: &str, outcome: &Reconciled) -> Result<()> {
    let (status, message) = status_of(&outcome.problems, outcome.driver.as_deref());
    let told = (status.to_owned(), escape::status(&message), outcome.driver.clone());
    let is_new = system.root.remembered::<Option<_>>(TOLD).as_ref() != Some(&told);
    if is_new {
        system.root.remove(&state_path(TOLD))?;
    }
    if is_new || hook != "update-status" {
        let (status, message, version) = &told;
        tools::status_set(system, status, message)?;
        if let Some(version) = version {
            tools::application_version_set(system, version)?;
        }
    }
    if is_new {
        system.root.keep(TOLD, &told);
    }
    Ok(())
}

/// Runs the hooks in which the charm leaves.
///
/// # Errors
/// If the unit cannot be restored; Juju then tries the hook again.
pub fn remove(system: &System) -> Result<()> {
    let _lock = system.root.lock()?;
    removal::run(system)?;
    if let Err(error) = tools::status_set(system, "maintenance", "The graft is removed from this unit") {
        warn!("the graft is removed, and Juju is not told: {error:#}");
    }
    Ok(())
}

/// The problem of a unit whose operator gives no kubeconfig.
pub fn no_kubeconfig() -> Problem {
    Problem::blocked(
        "No kubeconfig: set the option kubeconfig to a secret",
        "run: juju add-secret capi-mgmt kubeconfig#file=FILE; juju grant-secret capi-mgmt APPLICATION; \
         juju config APPLICATION kubeconfig=secret:ID",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::testing::{Programs, Scratch};
    use crate::system::{Access, state_path};

    #[test]
    fn details_of_any_size_and_a_damaged_file_of_them_fail_no_hook() {
        let scratch = Scratch::new();
        let system = scratch.system(|_| Some(String::new()));
        system.root.make_state_directory().unwrap();
        let context = Context {
            unit: "c/0".into(),
            principal: "m/0".into(),
            departing: None,
            proxy: Vec::new(),
            charm: String::new(),
        };
        let problem = Problem::blocked("x", "\u{1b}".repeat(2 << 20));
        let outcome = Reconciled { problems: vec![problem], ..Reconciled::default() };
        let size = || system.root.read(&state_path(LOGGED)).unwrap().len();
        for _ in 0..2 {
            log(&system, &context, &outcome);
            assert!(size() < 3 * ENTRY_LENGTH, "{}", size());
        }
        for name in [LOGGED, TOLD] {
            system.root.write(&state_path(name), b"{", Access::PRIVATE).unwrap();
        }
        log(&system, &context, &outcome);
        tell(&system, "update-status", &outcome).unwrap();
        let told: (String, String, Option<String>) = system.root.load(TOLD).unwrap().unwrap();
        assert_eq!((told.0.as_str(), told.1.as_str(), told.2), ("blocked", "x", None));
    }

    #[test]
    fn a_status_is_set_again_after_a_hook_that_did_not_get_to_remember_another() {
        let scratch = Scratch::new();
        scratch.root.make_state_directory().unwrap();
        let outcome = |driver: &str| Reconciled { driver: Some(driver.to_owned()), ..Reconciled::default() };
        let tell_with = |programs: Programs, driver| {
            let ran = programs.ran.clone();
            let told = tell(&System::new(scratch.root.clone(), programs), "update-status", &outcome(driver));
            (told.is_ok(), ran.lock().unwrap().len())
        };
        let works = || Programs::new(|_| Some(String::new()));
        assert_eq!(tell_with(works(), "1"), (true, 2));
        assert_eq!(tell_with(works(), "1"), (true, 0));
        assert!(!tell_with(Programs::new(|_| None), "2").0);
        assert_eq!(tell_with(works(), "1"), (true, 2));
    }
}
