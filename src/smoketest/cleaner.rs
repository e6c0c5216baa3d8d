//! The cleaner: removes what a run created if the run itself cannot.
//!
//! `juju cancel-task` kills an action (SIGKILL). So before anything is created, this program is started once more, in a
//! systemd unit of its own, which outlives the run and Juju's agent. It waits until the run has recorded that it ended
//! in order. If the run's lock is free before that, it removes what bears the unit's prefix. Its account reaches it
//! through a pipe, and stands in no file, argument or environment.

use std::io::Read;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use serde::{Deserialize, Serialize};

use super::api::CloudSession;
use super::credentials::KeystoneAccount;
use super::progress::Progress;
use super::removal::{Remaining, remove_leftovers};
use super::runs::{self, Runs};
use crate::guard::bounds;
use crate::system::{Command, Limited, Lock, System, own_program};

/// The systemd unit, and so the journal's name of it.
pub const UNIT: &str = "magnum-capi-helm-smoketest";
/// The command by which the program is the cleaner.
pub const COMMAND: &str = "smoketest-cleaner";
/// Longer than any run: what can be given as timeout, and its deletions.
const LIMIT: Duration = Duration::from_secs(48 * 3600);
/// How often it looks whether the run has ended.
const POLL: Duration = Duration::from_millis(250);
/// Keystone or Magnum may be away for a moment: that may be why the run has ended.
const TRIES: u32 = 10;
/// Between two tries: long enough for the conductor to turn an accepted request into a listed resource.
pub const PAUSE: Duration = Duration::from_secs(30);
/// The most that is read of what the run hands over, in bytes.
const HANDOVER_LIMIT: u64 = 1 << 20;

/// What a run hands over to its cleaner.
#[derive(Serialize, Deserialize)]
struct Handover {
    account: KeystoneAccount,
    endpoint: String,
    /// The run's name.
    run: String,
}

/// Starts the cleaner of a run. The thread ends with it: `systemd-run` stays as long as the unit, and holds the pipe.
///
/// # Errors
/// If this program cannot be found.
pub fn start(
    system: &System,
    account: &KeystoneAccount,
    endpoint: &str,
    run: &str,
) -> Result<JoinHandle<Result<Vec<u8>>>> {
    let (account, endpoint, run) = (account.clone(), endpoint.to_owned(), run.to_owned());
    let command = Command::new("systemd-run", LIMIT)
        .args(["--quiet", "--collect", "--pipe", &format!("--unit={UNIT}")])
        .args(bounds().map(|property| format!("--property={property}")))
        // With --pipe everything it prints would go where the run's own output goes.
        .args(["systemd-cat", "--identifier", UNIT, "--"])
        .arg(own_program()?)
        .arg(COMMAND)
        .stdin(serde_json::to_vec(&Handover { account, endpoint, run })?);
    let system = system.clone();
    Ok(std::thread::spawn(move || system.stdout(&command)))
}

/// The cleaner itself: reads the handover and waits for the run's end.
///
/// # Errors
/// If something stays, or cannot be asked for.
pub fn clean(system: &System, input: impl Read, progress: Progress, pause: Duration) -> Result<()> {
    let mut bytes = Vec::new();
    Limited::new(input, HANDOVER_LIMIT).read_to_end(&mut bytes).context("reading what the smoketest hands over")?;
    // The parser's message could quote the password.
    let handover: Option<Handover> = serde_json::from_slice(&bytes).ok();
    let handover = handover.context("only the action smoketest uses this command")?;
    let Some(_lock) = wait_for_end(system, &handover.run)? else { return Ok(()) };
    let mut runs = Runs::load(&system.root)?;
    let mut session = CloudSession::new(handover.account, handover.endpoint, progress)?;
    session.progress.log("a smoketest has ended without removing what it created");
    retry(&mut session, &mut runs, pause)?;
    // What was requested last is listed only when the conductor has taken it up.
    std::thread::sleep(pause);
    if let Some(failure) = retry(&mut session, &mut runs, pause)?.failure {
        return Err(failure.into());
    }
    session.progress.log("nothing is left");
    Ok(())
}

/// Waits for the run's end. Returns the lock if the run has not ended in order.
fn wait_for_end(system: &System, run: &str) -> Result<Option<Lock>> {
    let began = Instant::now();
    while began.elapsed() < LIMIT {
        if !runs::needs_cleaner(&system.root, run)? {
            return Ok(None);
        }
        // Once the lock is free the run says nothing any more; what it said last counts.
        if let Some(lock) = system.root.try_lock(runs::LOCK)?
            && runs::needs_cleaner(&system.root, run)?
        {
            return Ok(Some(lock));
        }
        std::thread::sleep(POLL);
    }
    Err(anyhow!("the smoketest {run} has not ended within {} s", LIMIT.as_secs()))
}

fn retry(session: &mut CloudSession, runs: &mut Runs, pause: Duration) -> Result<Remaining> {
    let mut tries = 1;
    loop {
        let logged_in = session.log_in().map_err(anyhow::Error::from);
        match logged_in.and_then(|()| remove_leftovers(session, runs)) {
            Err(error) if tries < TRIES => session.progress.log(format!("{error:#}; trying again")),
            removed => return removed,
        }
        tries += 1;
        std::thread::sleep(pause);
    }
}
