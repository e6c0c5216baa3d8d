//! helm: the driver runs the executable of that name on the services' PATH.
//!
//! It is whatever the unit has, or what the operator gives: a resource, or an address with a
//! checksum. Looking at it costs a `stat`; running it to ask its version happens once for each
//! file that is found there.

mod archive;
mod supply;

use std::fs::Metadata;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

pub use supply::Supply;

use crate::problem::Problem;
use crate::unit::command::{self, SYSTEM_PATH};
use crate::unit::python::MAGNUM_USER;
use crate::unit::state;

/// Where the charm puts the helm it is given.
pub const PATH: &str = "/usr/local/bin/helm";
/// The first helm in which charts from `oci://` registries, which the driver allows, are stable.
pub const OLDEST: Version = Version(3, 8, 0);

const CACHE: &str = "helm.json";
const VERSION_LIMIT: Duration = Duration::from_secs(20);

/// A version of helm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Version(pub u32, pub u32, pub u32);

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// The helm that the services find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where.
    pub path: PathBuf,
    /// What is known of this very file, when it has been looked into before.
    pub known: Option<Known>,
}

/// What is known of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Its version.
    pub version: Version,
    /// What it was installed from, when the charm installed it.
    pub source: Option<String>,
    /// Its sha256, when the charm installed it.
    pub sha256: Option<String>,
    file: Identity,
}

/// Tells a file from any that replaces it, and from itself when it is changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    path: PathBuf,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Identity {
    fn of(path: &Path, meta: &Metadata) -> Self {
        Self {
            path: path.to_owned(),
            inode: meta.ino(),
            size: meta.size(),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }
}

#[cfg(test)]
impl Found {
    /// For tests of what follows from it.
    pub fn example(source: &str) -> Self {
        let file = Identity {
            path: PATH.into(),
            inode: 1,
            size: 1,
            changed: (1, 0),
        };
        Self {
            path: PATH.into(),
            known: Some(Known {
                version: OLDEST,
                source: Some(source.to_owned()),
                sha256: None,
                file,
            }),
        }
    }
}

/// Looks for the helm that user magnum's services find.
///
/// # Errors
/// When what is known of it cannot be read.
pub fn look() -> Result<Option<Found>> {
    let Some((path, meta)) = find_in(SYSTEM_PATH) else {
        return Ok(None);
    };
    let identity = Identity::of(&path, &meta);
    let known = state::load::<Known>(CACHE)?.filter(|known| known.file == identity);
    Ok(Some(Found { path, known }))
}

fn find_in(path: &str) -> Option<(PathBuf, Metadata)> {
    path.split(':').find_map(|directory| {
        let candidate = Path::new(directory).join("helm");
        let meta = candidate.metadata().ok()?;
        let runs = meta.is_file() && meta.permissions().mode() & 0o001 != 0;
        runs.then_some((candidate, meta))
    })
}

/// What to tell the operator when there is none.
pub fn missing() -> Problem {
    Problem::blocked(format!(
        "helm is not on the PATH of magnum's services, and the driver cannot work without it; run: \
         juju attach-resource APPLICATION helm=FILE; or set helm-url and helm-sha256; or put helm \
         {OLDEST} or later at {PATH}"
    ))
}

/// Runs `path` as user magnum to ask its version.
fn version_of(path: &Path) -> Result<Version> {
    let printed = command::run_as(MAGNUM_USER, &path.to_string_lossy(), VERSION_LIMIT)
        .args(["version", "--short"])
        .stdout()?;
    let printed = String::from_utf8_lossy(&printed).into_owned();
    parse(&printed).with_context(|| format!("it prints no version: {}", printed.trim()))
}

/// Parses `v3.17.3+ge4da497`.
pub fn parse(printed: &str) -> Option<Version> {
    let version = printed.trim().strip_prefix('v')?;
    let mut numbers = version
        .split(['.', '+', '-'])
        .map(|number| number.parse().ok());
    Some(Version(
        numbers.next()??,
        numbers.next()??,
        numbers.next()??,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_that_others_may_execute_counts() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = format!("{}:{}", first.path().display(), second.path().display());
        let put = |dir: &Path, mode| {
            let file = dir.join("helm");
            std::fs::write(&file, "").unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            file
        };
        assert!(find_in(&path).is_none());
        put(first.path(), 0o750);
        assert!(find_in(&path).is_none());
        let found = put(second.path(), 0o755);
        assert_eq!(find_in(&path).unwrap().0, found);
    }

    #[test]
    fn versions_are_read_and_compared() {
        assert_eq!(parse("v3.17.3+ge4da497\n"), Some(Version(3, 17, 3)));
        assert_eq!(parse("v4.0.0-rc.1+gabc"), Some(Version(4, 0, 0)));
        assert_eq!(parse("Client: v2.17.0"), None);
        assert!(parse("v3.7.2").unwrap() < OLDEST && parse("v3.10.0").unwrap() > OLDEST);
    }
}
