//! The last driver that was found intact: as long as no file of it has changed, and no directory in which Python looks
//! for it, it still is. So a hook reads none of its files.

use std::path::PathBuf;

use anyhow::Result;
use cap_std::fs::MetadataExt as _;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::installed::{DEEPEST, version_in};
use super::{InstalledDriver, InstalledDrivers, ObservedDriver, PACKAGE, inspect};
use crate::magnum::Python;
use crate::system::{FileIdentity, Root, sha256};

const CACHE: &str = "intact.json";

#[derive(Serialize, Deserialize)]
struct Known {
    /// All that it depends on: what is added to a directory changes the directory.
    paths: Vec<PathBuf>,
    /// The checksum of their identities.
    key: String,
    driver: InstalledDriver,
}

/// Looks at the driver: at the times of its files, and reads them all if something has changed.
///
/// # Errors
/// If a directory or file is there but cannot be read.
pub fn inspect_if_changed(root: &Root, python: &Python) -> Result<ObservedDriver> {
    inspect_at(root, python, Timestamp::now().as_second())
}

fn inspect_at(root: &Root, python: &Python, now: i64) -> Result<ObservedDriver> {
    if let Some(Known { paths, key, driver }) = root.remembered::<Option<Known>>(CACHE)
        && key == identities(root, python, &paths)?.0
    {
        return Ok(ObservedDriver { installed: InstalledDrivers(vec![driver]), ..ObservedDriver::default() });
    }
    // Before it is read: what changes meanwhile changes the key.
    let copies = root.names(&python.site)?.into_iter().filter(|name| version_in(name).is_some());
    let copies: Vec<PathBuf> = copies.map(|name| python.site.join(name)).collect();
    let paths = dependencies(root, python, &copies)?;
    let (key, newest) = identities(root, python, &paths)?;
    let observed = inspect(root, python)?;
    if let ([driver], []) = (observed.installed.0.as_slice(), observed.shadows.as_slice())
        && driver.damage.is_empty()
        // The clock of a file system has steps: a change right after has another time for sure.
        && now - newest > 1
    {
        let known = Known { paths, key, driver: driver.clone() };
        if let Err(error) = root.save(CACHE, &known) {
            tracing::debug!("{error:#}");
        }
    }
    Ok(observed)
}

/// Returns all that an intact driver depends on: its files, and the directories in which Python looks for it.
fn dependencies(root: &Root, python: &Python, copies: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let before = python.path.iter().take_while(|directory| **directory != python.site);
    let mut paths: Vec<PathBuf> = before.chain([&python.site]).cloned().collect();
    let driver = copies.iter().cloned().chain([python.site.join(PACKAGE)]);
    let mut left: Vec<(PathBuf, usize)> = driver.map(|directory| (directory, 0)).collect();
    while let Some((path, depth)) = left.pop() {
        if depth <= DEEPEST && path.file_name() != Some("__pycache__".as_ref()) {
            left.extend(root.names(&path)?.into_iter().map(|name| (path.join(name), depth + 1)));
        }
        paths.push(path);
    }
    // Those of one directory beside each other.
    paths.sort_by(|one, other| (one.parent(), one).cmp(&(other.parent(), other)));
    Ok(paths)
}

/// Returns a checksum of the identities of what is at these paths, and its last change (ctime), in seconds since 1970.
fn identities(root: &Root, python: &Python, paths: &[PathBuf]) -> Result<(String, i64)> {
    let found = root.metadata_of(paths)?;
    let newest = found.iter().flatten().map(|meta| meta.ctime()).max().unwrap_or_default();
    let named = paths.iter().zip(&found);
    let seen: Vec<_> = named.map(|(path, meta)| meta.as_ref().map(|meta| FileIdentity::new(path, meta))).collect();
    // What one version of the charm calls intact, another may not.
    let version = env!("CARGO_PKG_VERSION");
    Ok((sha256(format!("{version} {:?} {seen:?}", python.path).as_bytes()), newest))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::tests::{DIST_INFO, SITE, installed, python};
    use super::*;
    use crate::system::testing::Scratch;

    /// A look when all changes are long over.
    fn later(scratch: &Scratch) -> ObservedDriver {
        inspect_at(&scratch.root, &python(), Timestamp::now().as_second() + 60).unwrap()
    }

    /// Whether it is taken for the intact one: the state file gets a mark, which the driver itself does not have.
    fn is_taken_for_known(scratch: &Scratch) -> bool {
        let path = crate::system::state_path(CACHE);
        let text = scratch.text(&path).unwrap();
        let mut known: Known = serde_json::from_str(&text).unwrap();
        known.driver.record_sha256 = "a mark".to_owned();
        scratch.put(&path, serde_json::to_string(&known).unwrap());
        let found = later(scratch);
        found.installed.0.iter().any(|driver| driver.record_sha256 == "a mark")
    }

    #[test]
    fn a_driver_is_read_again_when_anything_of_it_has_changed_and_only_then() {
        type Change = fn(&Scratch);
        let changes: [(&str, Option<Change>); 6] = [
            ("nothing", None),
            ("content", Some(|it| it.put(format!("{SITE}/{PACKAGE}/driver.py"), "other"))),
            (
                "mode",
                Some(|it| {
                    let path = it.path(format!("{SITE}/{PACKAGE}/driver.py"));
                    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
                }),
            ),
            ("a new file", Some(|it| it.put(format!("{SITE}/{DIST_INFO}/x"), ""))),
            ("a copy that comes before", Some(|it| it.put(format!("/var/lib/magnum/site/{PACKAGE}/driver.py"), ""))),
            ("a second copy", Some(|it| it.put(format!("{SITE}/{PACKAGE}-9.dist-info/RECORD"), ""))),
        ];
        for (what, change) in changes {
            let scratch = installed();
            scratch.root.make_state_directory().unwrap();
            let full = inspect(&scratch.root, &python()).unwrap();
            assert_eq!(later(&scratch), full, "{what}");
            change.inspect(|change| change(&scratch));
            assert_eq!(is_taken_for_known(&scratch), change.is_none(), "{what}");
            let found = later(&scratch);
            if change.is_some() {
                assert_eq!(found, inspect(&scratch.root, &python()).unwrap(), "{what}");
            }
        }
    }
}
