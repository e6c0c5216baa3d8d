//! The bounds of the charm's own process: nobody else reads its memory, it and what it starts have so much memory each,
//! and a run has an end. What it starts inherits them, except for the end.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{User, alarm, setgid, setgroups, setuid};

/// How many seconds a hook, an action or a run of the guard may take once it has the lock.
pub const RUN_SECONDS: u32 = 600;
/// After so many seconds the kernel ends a run that hangs.
pub const KILLED_AFTER: u32 = RUN_SECONDS + 60;
/// The most bytes of data of this process, and of each that it starts. Python with all of Magnum has 120 MB.
const MOST_MEMORY: u64 = 1 << 30;
/// The most bytes of data of a process that takes in what others serve: a wheel of 8 MiB, and its page.
const LESS_MEMORY: u64 = 128 << 20;
const MOST_OPEN_FILES: u64 = 64;

/// The end of this process's run, if it has one.
static END: Mutex<Option<Instant>> = Mutex::new(None);

/// Sets what holds for the program whatever it is run for. Its memory, which may hold the kubeconfig, goes into no core
/// dump: a kernel that pipes them to a program does not heed their size limit. Files that it makes are private unless
/// it sets their mode.
///
/// # Errors
/// If the kernel refuses.
pub fn apply() -> Result<()> {
    umask(Mode::from_bits_truncate(0o077));
    prctl::set_dumpable(false).context("forbidding core dumps")?;
    lower(Resource::RLIMIT_CORE, 0)?;
    lower(Resource::RLIMIT_DATA, MOST_MEMORY)
}

/// Gives this run its end, counted from now, and has the kernel end it soon after, whatever it does then. The next hook
/// finishes what a killed one began.
pub fn set_end() {
    alarm::set(KILLED_AFTER);
    let end = Instant::now() + Duration::from_secs(RUN_SECONDS.into());
    *END.lock().unwrap_or_else(PoisonError::into_inner) = Some(end);
}

/// Counts the end of a run that has one from now: while it waits for another run it does nothing itself.
pub fn put_off_end() {
    if end().is_some() {
        set_end();
    }
}

/// Returns how much is left of this run; of one without an end, all the time there is.
pub fn left() -> Duration {
    end().map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()))
}

fn end() -> Option<Instant> {
    *END.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Becomes user nobody for good: without groups, capabilities and the way back, and with no file to write. It then ends
/// with the process that started it.
///
/// # Errors
/// If this process is not root's.
pub fn become_nobody() -> Result<()> {
    let nobody = User::from_name("nobody").context("looking up user nobody")?.context("there is no user nobody")?;
    setgroups(&[]).context("giving up the groups of root")?;
    setgid(nobody.gid).context("giving up the group of root")?;
    setuid(nobody.uid).context("giving up root")?;
    // A change of user resets both.
    prctl::set_dumpable(false).context("forbidding core dumps")?;
    prctl::set_pdeathsig(Signal::SIGKILL).context("following the parent")?;
    prctl::set_no_new_privs().context("forbidding new privileges")?;
    lower(Resource::RLIMIT_FSIZE, 0)?;
    lower(Resource::RLIMIT_NOFILE, MOST_OPEN_FILES)?;
    lower(Resource::RLIMIT_DATA, LESS_MEMORY)
}

/// Lowers a limit, for good: root of a user namespace cannot raise one.
fn lower(resource: Resource, limit: u64) -> Result<()> {
    let set = getrlimit(resource).and_then(|(_, most)| setrlimit(resource, limit.min(most), limit.min(most)));
    set.with_context(|| format!("limiting {resource:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_shows_nowhere_and_has_a_limit_and_files_are_private() {
        apply().unwrap();
        assert!(!prctl::get_dumpable().unwrap());
        assert_eq!(getrlimit(Resource::RLIMIT_CORE).unwrap(), (0, 0));
        let (soft, hard) = getrlimit(Resource::RLIMIT_DATA).unwrap();
        assert!(soft <= MOST_MEMORY && hard <= MOST_MEMORY);
        let private = Mode::from_bits_truncate(0o077);
        assert_eq!(umask(private), private);
    }

    #[test]
    fn a_run_has_an_end_that_is_put_off_while_it_waits_and_the_kernel_ends_one_that_hangs() {
        put_off_end();
        assert_eq!(left(), Duration::MAX);
        set_end();
        let before = end();
        std::thread::sleep(Duration::from_millis(5));
        put_off_end();
        assert!(end() > before);
        let (left, kernel) = (left().as_secs(), alarm::cancel().unwrap());
        *END.lock().unwrap() = None;
        assert!(left <= RUN_SECONDS.into() && kernel > RUN_SECONDS, "{left} s, and {kernel} s");
    }
}
