//! The guard: puts drift right between hooks, from what was wanted last. systemd runs it when
//! something changes that the [path unit](crate::graft::guard) watches.
//!
//! It takes the way through that a hook takes, under the same lock, but for the questions: whether
//! the management cluster answers and the services are well is for the next hook to judge.

mod duel;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use tracing::{info, warn};

use self::duel::Memory;
use crate::converge::{self, Wanted};
use crate::graft::guard::{COMMAND, RESTARTED};
use crate::graft::services::{self, Due};
use crate::graft::{Pace, Surroundings, Turn};
use crate::hook::roll;
use crate::juju;
use crate::problem::Problem;
use crate::settings::RestartMode;
use crate::unit::{culprit, process, state, systemd};

const MEMORY: &str = "guard.json";
/// How long the kernel is asked who undoes what the guard does.
const CULPRIT_LIMIT: Duration = Duration::from_secs(10);
/// How long systemd does not watch while something is contested, so that the other side costs
/// little.
const PAUSE: Duration = Duration::from_secs(5);

/// One run: what has drifted is put right. When that fails, the log says why, and the next hook tries
/// again.
pub fn run() -> ExitCode {
    match put_right() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn put_right() -> Result<()> {
    let Some(lock) = state::lock_while_here()? else {
        return Ok(());
    };
    // Without them the charm has not grafted yet, or has left.
    let Some(settings) = converge::last_good()?.filter(|settings| settings.guard) else {
        return Ok(());
    };
    let mut memory = Memory::load()?;
    let now = Timestamp::now().as_second();
    let contested: Vec<PathBuf> = memory
        .contested(now)
        .map(|(path, _)| path.to_owned())
        .collect();
    let (kubeconfig, restarts) = (settings.kubeconfig.clone(), settings.restart_mode);
    let around = Surroundings {
        proxy: &[],
        charm: &juju::charm(),
        progress: &|_| Ok(()),
        turn: &|due| turn(restarts, due),
        pace: Pace::Swift,
        leave: &contested,
    };
    let wanted = Wanted {
        settings: Ok(settings),
        kubeconfig: Ok(kubeconfig),
    };
    let outcome = converge::graft(wanted, &around)?;
    let before = memory.clone();
    let news = memory.enter(now, &outcome.put_right);
    if memory != before {
        state::save(MEMORY, &memory)?;
    }
    drop(lock);
    if let Err(error) = look_after(&outcome.restarted) {
        warn!("what was restarted is looked at by the next hook only: {error:#}");
    }
    for problem in &outcome.problems {
        info!("{problem}");
    }
    if !news.is_empty() {
        blame(&news)?;
    }
    if !news.is_empty() || !contested.is_empty() {
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

/// Has what restarts looked at once it runs: only what was seen then is known to have read the right
/// files, should one of them change later.
fn look_after(restarted: &[Due]) -> Result<()> {
    if restarted.is_empty() {
        return Ok(());
    }
    let units: Vec<&str> = restarted
        .iter()
        .map(|(service, _)| service.unit())
        .collect();
    let name = format!("{RESTARTED}-{}", std::process::id());
    systemd::run_after(&units, &name, &process::own_program()?, COMMAND)
}

/// Whether services that are serving may be restarted: only where nobody is to be asked.
fn turn(mode: RestartMode, due: &[Due]) -> Result<Turn> {
    Ok(match mode {
        RestartMode::Immediate => Turn::Ours,
        RestartMode::Rolling if roll::was_alone()? => Turn::Ours,
        RestartMode::Rolling | RestartMode::Manual => {
            let names = services::names(due);
            Turn::NotYet(Problem::waiting(format!(
                "the restart of {names} waits for the next hook"
            )))
        }
    })
}

/// What the guard has given way to, for the unit's status and for `verify`.
///
/// # Errors
/// When what it remembers cannot be read.
pub fn contested() -> Result<Vec<Problem>> {
    let memory = Memory::load()?;
    let now = Timestamp::now().as_second();
    Ok(memory
        .contested(now)
        .map(|(path, contested)| {
            let who = contested.who.as_deref().unwrap_or("something");
            Problem::notice(format!(
                "{who} keeps undoing {}; have it leave that to the charm",
                path.display()
            ))
        })
        .collect())
}

/// Finds out who undoes what the guard has just done at `paths`.
fn blame(paths: &[PathBuf]) -> Result<()> {
    for path in paths {
        let who = culprit::wait(path, CULPRIT_LIMIT).unwrap_or_else(|error| {
            warn!("who it is cannot be seen: {error:#}");
            None
        });
        warn!(
            "{} keeps undoing {}: it is left to the hooks for now",
            who.as_deref().unwrap_or("something"),
            path.display()
        );
        if let Some(who) = who
            && let Some(_lock) = state::lock_while_here()?
        {
            let mut memory = Memory::load()?;
            memory.blame(path, who);
            state::save(MEMORY, &memory)?;
        }
    }
    Ok(())
}

impl Memory {
    fn load() -> Result<Self> {
        Ok(state::load(MEMORY)?.unwrap_or_default())
    }
}
