//! The guard's run: repairs drift between hooks, from the last good settings. systemd runs it when something changes
//! that the [path unit](crate::guard) watches.
//!
//! It reconciles as a hook does, under the same lock, but asks nobody: whether the management cluster answers and the
//! services are healthy is for the next hook to check.

use anyhow::Result;
use tracing::{info, warn};

use super::{Environment, Reconciled, last_good, run as reconcile};
use crate::guard::{AFTER_RESTART, COMMAND, bounds};
use crate::juju::settings::RestartMode;
use crate::juju::{GrantedKubeconfig, Request, charm_version};
use crate::problem::Problem;
use crate::rolling;
use crate::step::{DueRestart, Thoroughness};
use crate::system::{System, own_program, systemd};

/// How often a run looks at most: after each change once more.
const MOST_LOOKS: u32 = 3;

/// Repairs drift.
///
/// # Errors
/// If that fails; the next hook tries again.
pub fn repair(system: &System) -> Result<()> {
    let root = &system.root;
    let Some(lock) = root.lock_if_present()? else { return Ok(()) };
    // Without them the charm has not grafted yet, or has left.
    let Some(settings) = last_good(system)?.map(|last| last.settings).filter(|it| it.guard) else { return Ok(()) };
    let mode = settings.restart_mode;
    let kubeconfig = settings.kubeconfig.clone().map(|content| GrantedKubeconfig { content, remedy: String::new() });
    let request = Request { settings: Ok(settings), kubeconfig: Ok(kubeconfig) };
    let environment = Environment {
        system,
        proxy: &[],
        charm: &charm_version(),
        progress: &|_| Ok(()),
        turn: &|due| turn(system, mode, due),
        thoroughness: Thoroughness::Quick,
    };
    let (mut outcome, mut restarted) = (Reconciled::default(), Vec::new());
    for look in 0..MOST_LOOKS {
        if look == 0 || outcome.changed {
            outcome = reconcile(request.clone(), &environment)?;
            restarted.append(&mut outcome.restarted);
        }
    }
    lock.finish()?;
    if let Err(error) = look_after_restart(system, &restarted) {
        warn!("only the next hook looks at what was restarted: {error:#}");
    }
    for problem in &outcome.problems {
        info!("{problem}");
    }
    Ok(())
}

/// Has the restarted services looked at once they run: only what was seen then is known to have read the right files,
/// should one of them change later.
fn look_after_restart(system: &System, restarted: &[DueRestart]) -> Result<()> {
    if restarted.is_empty() {
        return Ok(());
    }
    let units: Vec<&str> = restarted.iter().map(|due| due.service.unit()).collect();
    let name = format!("{AFTER_RESTART}-{}", std::process::id());
    systemd::run_after(system, &units, &name, bounds(), &own_program()?, COMMAND)
}

/// Services that are serving are restarted only where nobody is to be asked.
fn turn(system: &System, mode: RestartMode, due: &[DueRestart]) -> Option<Problem> {
    match mode {
        RestartMode::Immediate => None,
        RestartMode::Rolling if rolling::was_alone(&system.root) => None,
        RestartMode::Rolling | RestartMode::Manual => {
            let names: Vec<&str> = due.iter().map(|due| due.service.name()).collect();
            let detail = format!("the restart of {} waits for the next hook", names.join(" and "));
            Some(Problem::waiting("Restart pending: the next hook does it", detail))
        }
    }
}
