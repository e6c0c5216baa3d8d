//! The charm's own directory: what must be remembered between hooks, and the locks.
//!
//! Only root can enter it. What can be seen on the unit is not stored here; what is here is either
//! an answer that is dear to ask for (a cache, keyed by what it depends on) or cannot be seen at
//! all (what stood on the unit before, what was wanted last).

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use serde::{Serialize, de::DeserializeOwned};

use super::files;

/// The state directory: root, 0700.
pub const DIRECTORY: &str = "/var/lib/magnum-capi-helm";
/// How long to wait for another run of the charm on this unit before giving up.
const LOCK_LIMIT: Duration = Duration::from_secs(600);
/// The path of `name` in the state directory.
pub fn path(name: &str) -> PathBuf {
    Path::new(DIRECTORY).join(name)
}

/// Reads one JSON file of the state directory that the charm can make anew; `None` when it does not
/// exist.
///
/// # Errors
/// When it cannot be read or does not parse.
pub fn load<T: DeserializeOwned>(name: &str) -> Result<Option<T>> {
    load_or(name, "remove it and run any hook")
}

/// Reads one JSON file of the state directory; `remedy` says what to do when it is damaged.
///
/// # Errors
/// When it cannot be read or does not parse.
pub fn load_or<T: DeserializeOwned>(name: &str, remedy: &str) -> Result<Option<T>> {
    let path = path(name);
    let Some(text) = files::read_text(&path)? else {
        return Ok(None);
    };
    // serde_json's message may quote what it read, and a state file may hold a secret.
    serde_json::from_str(&text).map(Some).map_err(|error| {
        anyhow::anyhow!(
            "{} is damaged (line {}, column {}); {remedy}",
            path.display(),
            error.line(),
            error.column()
        )
    })
}

/// Writes one JSON file of the state directory, readable by root alone.
///
/// # Errors
/// When it cannot be written.
pub fn save<T: Serialize>(name: &str, value: &T) -> Result<()> {
    let mut bytes = serde_json::to_vec_pretty(value).with_context(|| format!("encoding {name}"))?;
    bytes.push(b'\n');
    files::write(&path(name), &bytes, files::Access::PRIVATE)
}

/// Held while the charm works on the unit; dropping it lets the next one in.
#[derive(Debug)]
pub struct Lock(#[allow(dead_code, reason = "held for its Drop")] Flock<fs::File>);

/// Makes the state directory when needed and takes the lock, waiting for whoever has it.
///
/// # Errors
/// When the directory cannot be made, or the lock is not free within ten minutes.
pub fn lock() -> Result<Lock> {
    files::make_directory(Path::new(DIRECTORY), 0o700)?;
    lock_while_here()?.context("the charm has left this unit meanwhile")
}

/// The same for whoever has no business here once the charm has left: `None` then. It makes nothing,
/// also when the charm leaves while it waits.
///
/// # Errors
/// When the lock is not free within ten minutes.
pub fn lock_while_here() -> Result<Option<Lock>> {
    let began = Instant::now();
    loop {
        match attempt("lock")? {
            Attempt::Taken(lock) => return Ok(Some(lock)),
            Attempt::NoDirectory => return Ok(None),
            Attempt::Busy => {}
        }
        if began.elapsed() > LOCK_LIMIT {
            bail!(
                "another run of the charm has held {} for {} s",
                path("lock").display(),
                LOCK_LIMIT.as_secs()
            );
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The lock of this name; `None` when somebody has it.
///
/// # Errors
/// When it or the state directory cannot be made.
pub fn try_lock(name: &str) -> Result<Option<Lock>> {
    files::make_directory(Path::new(DIRECTORY), 0o700)?;
    Ok(match attempt(name)? {
        Attempt::Taken(lock) => Some(lock),
        Attempt::Busy | Attempt::NoDirectory => None,
    })
}

/// What came of asking for a lock once.
enum Attempt {
    Taken(Lock),
    Busy,
    NoDirectory,
}

fn attempt(name: &str) -> Result<Attempt> {
    let path = path(name);
    let opened = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path);
    let file = match opened {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Attempt::NoDirectory),
        opened => opened.with_context(|| format!("opening {}", path.display()))?,
    };
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(Attempt::Taken(Lock(lock))),
        Err((_, Errno::EWOULDBLOCK)) => Ok(Attempt::Busy),
        Err((_, error)) => Err(error).with_context(|| format!("locking {}", path.display())),
    }
}

/// Removes the state directory: the charm has left the unit.
///
/// # Errors
/// When it cannot be removed.
pub fn forget() -> Result<()> {
    files::remove(Path::new(DIRECTORY))
}
