//! Roots: the file systems that machines boot from, built once per recipe and cached outside git.
//!
//! A root is never written to after it was built; a machine puts a layer of its own over it. What is
//! in it is the business of the files in `recipe/`; their hash is part of the root's name, so that a
//! changed recipe is built anew.

mod build;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use nix::fcntl::{Flock, FlockArg};

use crate::host;
use build::{build, recipe_hash};

/// The host's id of root inside: a machine has its own 65,536 ids from here on, as LXD gives them to a container.
pub(crate) const HOST_ID_OF_ROOT: u32 = 524_288;

/// The package index on each unit, at its own loopback address.
pub const INDEX: &str = "http://127.0.0.1:8090/simple/";

/// What the unit runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Release {
    /// Debian 12 with Magnum 18.0.0 of OpenStack 2024.1: what the runbook is for.
    #[default]
    Caracal,
    /// Debian 12 as it is: Magnum 15.0.1, Python 3.11.
    Bookworm,
    /// Debian 13 as it is: Magnum 20, Python 3.13.
    Trixie,
    /// Caracal in a cloud: real Keystone, and real RabbitMQ between API and conductor. Made from the
    /// Caracal root in half a minute. What else Magnum asks for is [`crate::Cloud`]'s.
    Cloud,
}

impl Release {
    fn name(self) -> &'static str {
        match self {
            Self::Caracal => "caracal",
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
            Self::Cloud => "cloud",
        }
    }

    /// The release whose root this one is made from, if it is made from one.
    fn base(self) -> Option<Self> {
        (self == Self::Cloud).then_some(Self::Caracal)
    }
}

/// A finished root in the cache. While one exists, or a machine booted from it, its directory is not
/// removed.
#[derive(Debug, Clone)]
pub struct Root {
    path: PathBuf,
    release: Release,
    _in_use: Arc<Flock<File>>,
}

impl Root {
    /// The directory of the root. It must not be written to.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    #[must_use]
    pub fn release(&self) -> Release {
        self.release
    }
}

/// How long a root of a recipe that has changed since is kept: it may be another checkout's.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// The cache: `LAB_CACHE`, or `/var/cache/magnum-capi-helm-lab`.
fn cache_directory() -> PathBuf {
    std::env::var_os("LAB_CACHE").map_or_else(|| "/var/cache/magnum-capi-helm-lab".into(), PathBuf::from)
}

/// The root of `release`, built first when the cache does not have it (1 to 3 minutes).
///
/// Two processes that ask at the same time build it once. `progress` is told each step, and every ten
/// seconds of a long one.
pub fn ensure_root(release: Release, progress: &mut dyn FnMut(&str)) -> Result<Root> {
    host::ensure_root_user()?;
    // In use until the root that is made from it is there.
    let base = match release.base() {
        Some(base) => Some(ensure_root(base, progress)?),
        None => None,
    };
    let cache = cache_directory();
    fs::create_dir_all(&cache).with_context(|| format!("creating {}", cache.display()))?;
    let name = format!("{}-{}", release.name(), recipe_hash(release));
    let path = cache.join(&name);

    let root = |in_use| Root { path: path.clone(), release, _in_use: Arc::new(in_use) };
    let lease = cache.join(format!("{name}.lock"));
    let in_use = take_lock(&lease, FlockArg::LockShared)?.context("no lock")?;
    in_use.set_modified(SystemTime::now())?;
    if path.exists() && host::missing_tools().is_empty() {
        return Ok(root(in_use));
    }

    let lock = cache.join("build.lock");
    let building = match take_lock(&lock, FlockArg::LockExclusiveNonblock)? {
        Some(building) => building,
        None => {
            progress("waiting for another process that builds a root");
            take_lock(&lock, FlockArg::LockExclusive)?.context("no lock")?
        }
    };
    host::install_missing_tools(progress)?;
    if !path.exists() {
        remove_unfinished(&cache)?;
        remove_outdated(&cache)?;
        let base = base.as_ref().map(Root::path);
        build(release, base, &cache, &path, progress)?;
    }
    drop(building);
    Ok(root(in_use))
}

/// The lock on `path`, or nothing when `how` does not wait and somebody else has it.
fn take_lock(path: &Path, how: FlockArg) -> Result<Option<Flock<File>>> {
    let file = File::options().create(true).append(true).open(path);
    let file = file.with_context(|| format!("opening {}", path.display()))?;
    match Flock::lock(file, how) {
        Ok(lock) => Ok(Some(lock)),
        Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, error)) => Err(error).with_context(|| format!("locking {}", path.display())),
    }
}

/// Remove what interrupted builds left. Called under the build lock, so no build is running.
fn remove_unfinished(cache: &Path) -> Result<()> {
    for entry in fs::read_dir(cache)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("building.") {
            fs::remove_dir_all(entry.path()).with_context(|| format!("removing {}", entry.path().display()))?;
        }
    }
    Ok(())
}

/// Remove roots that nobody is using and nobody has used for [`KEPT`].
fn remove_outdated(cache: &Path) -> Result<()> {
    for entry in fs::read_dir(cache)? {
        let path = entry?.path();
        let lease = PathBuf::from(format!("{}.lock", path.display()));
        if !path.is_dir() || !lease.exists() {
            continue;
        }
        let age = fs::metadata(&lease)?.modified()?.elapsed().unwrap_or_default();
        // The lease itself stays: somebody may be about to take it.
        if age > KEPT && take_lock(&lease, FlockArg::LockExclusiveNonblock)?.is_some() {
            fs::remove_dir_all(&path).with_context(|| format!("removing {}", path.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_lock_is_seen() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("lock");
        let held = take_lock(&file, FlockArg::LockExclusive).unwrap();
        assert!(take_lock(&file, FlockArg::LockExclusiveNonblock).unwrap().is_none());
        drop(held);
        assert!(take_lock(&file, FlockArg::LockExclusiveNonblock).unwrap().is_some());
    }

    #[test]
    fn only_an_old_root_that_nobody_uses_is_removed() {
        let cache = tempfile::tempdir().unwrap();
        let root = |name: &str, age: Duration| {
            fs::create_dir(cache.path().join(name)).unwrap();
            let lease = cache.path().join(format!("{name}.lock"));
            File::create(&lease).unwrap().set_modified(SystemTime::now() - age).unwrap();
            lease
        };
        root("caracal-1", KEPT * 2);
        root("caracal-2", Duration::ZERO);
        let used = root("trixie-3.1", KEPT * 2);
        let held = take_lock(&used, FlockArg::LockShared).unwrap();
        remove_outdated(cache.path()).unwrap();
        let there = |name: &str| cache.path().join(name).exists();
        assert!(!there("caracal-1") && there("caracal-2") && there("trixie-3.1"));
        drop(held);
    }
}
