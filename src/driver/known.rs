//! The last driver that was found intact: as long as no file of it has changed, and no directory in which Python looks
//! for it, it still is. So a hook reads none of its files.

use std::path::PathBuf;

use anyhow::Result;
use cap_std::fs::MetadataExt as _;
use serde::{Deserialize, Serialize};

use super::installed::version_in;
use super::{InstalledDriver, InstalledDrivers, ObservedDriver, PACKAGE, inspect};
use crate::magnum::Python;
use crate::system::{Root, sha256};

const CACHE: &str = "intact.json";
/// Deeper than any driver; what lies deeper still is found by the comparison with RECORD.
const DEEPEST: usize = 32;

#[derive(Serialize, Deserialize)]
struct Known {
    /// The checksum of the identities of all that it depends on.
    key: String,
    driver: InstalledDriver,
}

/// Looks at the driver's files, and reads them only if something has changed.
///
/// # Errors
/// If a directory or file is there but cannot be read.
pub fn inspect_changes(root: &Root, python: &Python) -> Result<ObservedDriver> {
    let known: Option<Known> = root.load(CACHE)?;
    if let Some(Known { key, driver }) = known
        && key == key_of(root, python, std::slice::from_ref(&driver.dist_info))?
    {
        return Ok(ObservedDriver { installed: InstalledDrivers(vec![driver]), ..ObservedDriver::default() });
    }
    // Before it is read: what changes meanwhile changes the key.
    let copies = root.names(&python.site)?.into_iter().filter(|name| version_in(name).is_some());
    let copies: Vec<PathBuf> = copies.map(|name| python.site.join(name)).collect();
    let key = key_of(root, python, &copies)?;
    let observed = inspect(root, python)?;
    if let ([driver], []) = (observed.installed.0.as_slice(), observed.shadows.as_slice())
        && driver.damage.is_empty()
    {
        root.save(CACHE, &Known { key, driver: driver.clone() })?;
    }
    Ok(observed)
}

fn key_of(root: &Root, python: &Python, copies: &[PathBuf]) -> Result<String> {
    let before = python.path.iter().take_while(|directory| **directory != python.site);
    let looked_in = before.chain([&python.site]).map(|directory| (directory.clone(), DEEPEST));
    let driver = copies.iter().cloned().chain([python.site.join(PACKAGE)]).map(|directory| (directory, 0));
    let mut left: Vec<(PathBuf, usize)> = looked_in.chain(driver).collect();
    let mut seen = Vec::new();
    while let Some((path, depth)) = left.pop() {
        let meta = root.metadata(&path)?;
        seen.push(meta.as_ref().map(|meta| (meta.ino(), meta.size(), meta.ctime(), meta.ctime_nsec())));
        let is_listed = depth < DEEPEST && path.file_name() != Some("__pycache__".as_ref());
        if is_listed && meta.is_some_and(|meta| meta.is_dir()) {
            left.extend(root.names(&path)?.into_iter().map(|name| (path.join(name), depth + 1)));
        }
    }
    Ok(sha256(format!("{seen:?}").as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::tests::{DIST_INFO, SITE, installed, python};
    use super::*;
    use crate::system::testing::Scratch;

    /// Whether it is taken for the intact one: the state file holds a mark that only a look from afar returns.
    fn is_taken_for_known(scratch: &Scratch) -> bool {
        let path = crate::system::state_path(CACHE);
        let text = scratch.text(&path).unwrap();
        let mut known: Known = serde_json::from_str(&text).unwrap();
        known.driver.record_sha256 = "a mark".to_owned();
        scratch.put(&path, serde_json::to_string(&known).unwrap());
        let found = inspect_changes(&scratch.root, &python()).unwrap();
        found.installed.0.iter().any(|driver| driver.record_sha256 == "a mark")
    }

    #[test]
    fn a_driver_is_read_again_when_anything_of_it_has_changed_and_only_then() {
        type Change = fn(&Scratch);
        let changes: [(&str, Option<Change>); 5] = [
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
            ("a second copy", Some(|it| it.put(format!("{SITE}/{PACKAGE}-9.dist-info/RECORD"), ""))),
        ];
        for (what, change) in changes {
            let scratch = installed();
            scratch.root.make_state_directory().unwrap();
            let full = inspect(&scratch.root, &python()).unwrap();
            assert_eq!(inspect_changes(&scratch.root, &python()).unwrap(), full, "{what}");
            change.inspect(|change| change(&scratch));
            assert_eq!(is_taken_for_known(&scratch), change.is_none(), "{what}");
            let found = inspect_changes(&scratch.root, &python()).unwrap();
            if change.is_some() {
                assert_eq!(found, inspect(&scratch.root, &python()).unwrap(), "{what}");
            }
        }
    }
}
