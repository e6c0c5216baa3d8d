//! The driver that is installed, read from its files: no Python, a few milliseconds at most.
//!
//! A dist-info directory's [RECORD](https://packaging.python.org/en/latest/specifications/recording-installed-packages/)
//! names every file with its sha256.

use std::collections::{BTreeSet, HashSet};
use std::fs::Metadata;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pep440_rs::Version;
use sha2::{Digest, Sha256};

use crate::settings::Pin;
use crate::unit::files;

/// The driver's import package.
const PACKAGE: &str = "magnum_capi_helm";

/// Every copy of the driver in the site directory: one, when all is well.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Installed(pub Vec<Driver>);

/// One dist-info directory and what it lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Driver {
    /// The version in the directory's name; `None` when it is no version.
    pub version: Option<Version>,
    /// The dist-info directory.
    pub dist_info: PathBuf,
    /// The sha256 of RECORD: tells one build of a version from another.
    pub record_sha256: String,
    /// When RECORD last changed in any way: when the driver was put in place, or later.
    pub changed: SystemTime,
    /// When RECORD was written (mtime): tells one installation of a build from the next.
    pub written: SystemTime,
    /// The directories of what it lists, relative to the site directory.
    pub directories: BTreeSet<String>,
    /// What differs from RECORD.
    pub damage: Vec<Damage>,
}

/// A file that is not as RECORD says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file, relative to the site directory.
    pub path: String,
    /// What is wrong with it.
    pub what: &'static str,
}

impl Installed {
    /// The driver, when it is exactly the pinned one, whole and alone.
    pub fn intact(&self, pin: &Pin) -> Option<&Driver> {
        match self.0.as_slice() {
            [driver] if driver.version.as_ref() == Some(pin.version()) => {
                Some(driver).filter(|driver| driver.damage.is_empty())
            }
            _ => None,
        }
    }

    /// Where in `site` it lies: the package, and what describes each copy. A package that nothing
    /// describes is Python's to load all the same.
    pub fn paths(&self, site: &Path) -> Vec<PathBuf> {
        let copies = self.0.iter().map(|driver| driver.dist_info.clone());
        std::iter::once(site.join(PACKAGE)).chain(copies).collect()
    }

    /// How what is installed differs from the pinned version, and from one build of it when the
    /// sha256 of its RECORD is given; `None` when it does not.
    pub fn differs(&self, pin: &Pin, record_sha256: Option<&str>) -> Option<String> {
        match self.0.as_slice() {
            [] => Some("not installed".to_owned()),
            [driver] if driver.version.as_ref() != Some(pin.version()) => {
                Some(match &driver.version {
                    Some(version) => format!("{version} is installed"),
                    None => format!("{} is installed", driver.dist_info.display()),
                })
            }
            [driver]
                if driver.damage.is_empty()
                    && record_sha256.is_some_and(|build| build != driver.record_sha256) =>
            {
                Some("another build of that version is installed".to_owned())
            }
            [driver] => driver.damage.first().map(|first| {
                let more = match driver.damage.len() {
                    1 => String::new(),
                    count => format!(" (and {} more)", count - 1),
                };
                format!("{} is {}{more}", first.path, first.what)
            }),
            several => {
                let names = several.iter().map(|driver| {
                    let name = driver.dist_info.file_name().unwrap_or_default();
                    name.to_string_lossy().into_owned()
                });
                let names: Vec<String> = names.collect();
                Some(format!("{} are installed", names.join(" and ")))
            }
        }
    }
}

/// Looks at the driver in `site`.
///
/// # Errors
/// When a directory or file is there but cannot be read at all.
pub fn look(site: &Path) -> Result<Installed> {
    let mut found = Vec::new();
    for name in files::names(site)? {
        let Some(version) = name
            .strip_prefix(PACKAGE)
            .and_then(|rest| rest.strip_prefix('-'))
            .and_then(|rest| rest.strip_suffix(".dist-info"))
        else {
            continue;
        };
        let dist_info = site.join(&name);
        let record = dist_info.join("RECORD");
        let (bytes, changed, written) = match files::look(&record)? {
            files::Entry::File(file) => (file.bytes, file.changed, file.written),
            _ => (Vec::new(), SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH),
        };
        let (directories, damage) = compared(site, &name, &bytes)?;
        found.push(Driver {
            version: version.parse().ok(),
            directories,
            damage,
            record_sha256: files::sha256(&bytes),
            changed,
            written,
            dist_info,
        });
    }
    Ok(Installed(found))
}

/// Copies of the driver that Python would find before the one in `site`.
///
/// # Errors
/// When a directory is there but cannot be read.
pub fn shadows(path: &[PathBuf], site: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for directory in path.iter().take_while(|directory| *directory != site) {
        let copies = files::names(directory)?.into_iter().filter(|name| {
            let rest = name.strip_prefix(PACKAGE);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-') || rest == ".py")
        });
        found.extend(copies.map(|name| directory.join(name)));
    }
    Ok(found)
}

/// What RECORD lists, compared with what is there: its directories, and what differs.
fn compared(
    site: &Path,
    dist_info: &str,
    record: &[u8],
) -> Result<(BTreeSet<String>, Vec<Damage>)> {
    let mut directories = BTreeSet::from([dist_info.to_owned()]);
    let mut damage = Vec::new();
    let mut add = |path: &str, what| {
        let path = path.to_owned();
        damage.push(Damage { path, what });
    };
    let own = format!("{dist_info}/RECORD");
    // Whoever owns the site directory: root, but for a test's.
    let owner = site.metadata().map(|meta| meta.uid()).unwrap_or_default();
    let mut listed = false;
    let mut recorded = HashSet::new();
    let mut rows = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(record);
    for row in rows.records() {
        let Ok(row) = row else {
            add(&own, "damaged");
            break;
        };
        let (Some(path), Some(hash)) = (row.get(0), row.get(1)) else {
            add(&own, "damaged");
            break;
        };
        recorded.insert(path.to_owned());
        listed |= path.starts_with(PACKAGE) && path.ends_with("/driver.py");
        // Compiled files and RECORD itself have no hash: Python judges the first, we the second.
        if hash.is_empty() && path != own {
            continue;
        }
        if let Some((directory, _)) = path.rsplit_once('/') {
            directories.insert(directory.to_owned());
        }
        if let Some(what) = differs(&site.join(path), hash, owner)
            .with_context(|| format!("comparing {path} with RECORD"))?
        {
            add(path, what);
        }
    }
    if !listed {
        add(&own, "missing or cut off");
    }
    for path in modules(&site.join(PACKAGE))? {
        let path = path.strip_prefix(site).unwrap_or(&path).to_string_lossy();
        if !recorded.contains(path.as_ref()) {
            add(&path, "not in RECORD");
        }
    }
    Ok((directories, damage))
}

/// Every Python module below `package`: what another version left there would be imported.
fn modules(package: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for name in files::names(package)? {
        let path = package.join(&name);
        match files::is_real_directory(&path) {
            true if name != "__pycache__" => found.extend(modules(&path)?),
            false if name.ends_with(".py") => found.push(path),
            _ => {}
        }
    }
    Ok(found)
}

/// How a file differs from `sha256=<unpadded url-safe base64>`, and from what `owner` alone may write.
fn differs(path: &Path, hash: &str, owner: u32) -> Result<Option<&'static str>> {
    let Ok(meta) = std::fs::symlink_metadata(path) else {
        return Ok(Some("missing"));
    };
    if !meta.is_file() {
        return Ok(Some("not a regular file"));
    }
    let readable = |mode: u32, bits: u32| mode & bits == bits;
    let parent = path.parent().and_then(|dir| dir.symlink_metadata().ok());
    if parent.as_ref().is_some_and(Metadata::is_symlink) {
        return Ok(Some("behind a link"));
    }
    if !readable(meta.permissions().mode(), 0o004)
        || !parent
            .as_ref()
            .is_some_and(|dir| readable(dir.permissions().mode(), 0o005))
    {
        return Ok(Some("not readable for user magnum"));
    }
    // Whoever can write what Magnum runs is Magnum.
    let others = |meta: &Metadata| meta.permissions().mode() & 0o002 != 0 || meta.uid() != owner;
    if others(&meta) || parent.is_some_and(|meta| others(&meta)) {
        return Ok(Some("writable for others"));
    }
    let Some(expected) = hash.strip_prefix("sha256=") else {
        return Ok((!hash.is_empty()).then_some("edited"));
    };
    let digest = Sha256::digest(files::read(path)?);
    Ok((expected != URL_SAFE_NO_PAD.encode(digest)).then_some("edited"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIST_INFO: &str = "magnum_capi_helm-1.1.0.dist-info";

    fn pin() -> Pin {
        "magnum-capi-helm==1.1.0".parse().unwrap()
    }

    fn installed() -> tempfile::TempDir {
        let site = tempfile::tempdir().unwrap();
        let package = site.path().join(PACKAGE);
        std::fs::create_dir(&package).unwrap();
        std::fs::write(package.join("driver.py"), "class Driver: pass\n").unwrap();
        std::fs::create_dir(site.path().join(DIST_INFO)).unwrap();
        let hash = URL_SAFE_NO_PAD.encode(Sha256::digest("class Driver: pass\n"));
        std::fs::write(
            site.path().join(DIST_INFO).join("RECORD"),
            format!(
                "{PACKAGE}/driver.py,sha256={hash},19\n{PACKAGE}/x.pyc,,\n{DIST_INFO}/RECORD,,\n"
            ),
        )
        .unwrap();
        site
    }

    fn differs_after(change: impl FnOnce(&Path)) -> Option<String> {
        let site = installed();
        change(site.path());
        look(site.path()).unwrap().differs(&pin(), None)
    }

    #[test]
    fn a_whole_driver_of_the_pinned_version_does_not_differ() {
        assert_eq!(differs_after(|_| {}), None);
        let site = installed();
        assert!(look(site.path()).unwrap().intact(&pin()).is_some());
    }

    #[test]
    fn a_package_that_no_dist_info_describes_lies_there_too() {
        let site = installed();
        let package = site.path().join(PACKAGE);
        let paths = || look(site.path()).unwrap().paths(site.path());
        assert_eq!(paths(), [package.clone(), site.path().join(DIST_INFO)]);
        files::remove(&site.path().join(DIST_INFO)).unwrap();
        assert_eq!(paths(), [package]);
    }

    #[test]
    fn a_copy_earlier_on_the_path_shadows_and_a_later_one_does_not() {
        let (early, site, late) = (installed(), installed(), installed());
        let path = [early.path(), site.path(), late.path()].map(Path::to_owned);
        assert_eq!(
            shadows(&path, site.path()).unwrap(),
            [early.path().join(PACKAGE), early.path().join(DIST_INFO)]
        );
    }

    #[test]
    fn every_kind_of_damage_is_found_and_named() {
        let driver = |site: &Path| site.join(PACKAGE).join("driver.py");
        type Change = Box<dyn FnOnce(&Path)>;
        let cases: [(&str, Change); 11] = [
            (
                "driver.py is writable for others",
                Box::new(move |site| {
                    std::fs::set_permissions(driver(site), PermissionsExt::from_mode(0o666))
                        .unwrap();
                }),
            ),
            (
                "not installed",
                Box::new(|site| files::remove(&site.join(DIST_INFO)).unwrap()),
            ),
            (
                "driver.py is edited",
                Box::new(move |site| std::fs::write(driver(site), "x").unwrap()),
            ),
            (
                "driver.py is missing",
                Box::new(move |site| files::remove(&driver(site)).unwrap()),
            ),
            (
                "not readable",
                Box::new(move |site| {
                    std::fs::set_permissions(driver(site), PermissionsExt::from_mode(0o600))
                        .unwrap();
                }),
            ),
            (
                "not a regular file",
                Box::new(move |site| {
                    files::remove(&driver(site)).unwrap();
                    std::os::unix::fs::symlink("/etc/passwd", driver(site)).unwrap();
                }),
            ),
            (
                "driver.py is behind a link",
                Box::new(|site| {
                    let moved = site.join("moved");
                    std::fs::rename(site.join(PACKAGE), &moved).unwrap();
                    std::os::unix::fs::symlink(moved, site.join(PACKAGE)).unwrap();
                }),
            ),
            (
                "old.py is not in RECORD",
                Box::new(|site| std::fs::write(site.join(PACKAGE).join("old.py"), "").unwrap()),
            ),
            (
                "RECORD is missing or cut off",
                Box::new(|site| {
                    std::fs::write(site.join(DIST_INFO).join("RECORD"), "").unwrap();
                }),
            ),
            (
                "magnum_capi_helm-1.2.1.dist-info are installed",
                Box::new(|site| {
                    std::fs::create_dir(site.join("magnum_capi_helm-1.2.1.dist-info")).unwrap();
                }),
            ),
            (
                "1.2.1 is installed",
                Box::new(|site| {
                    std::fs::rename(
                        site.join(DIST_INFO),
                        site.join("magnum_capi_helm-1.2.1.dist-info"),
                    )
                    .unwrap();
                }),
            ),
        ];
        for (expected, change) in cases {
            let found = differs_after(change).unwrap_or_default();
            assert!(
                found.contains(expected),
                "expected {expected:?}, found {found:?}"
            );
        }
    }
}
