//! The driver that is installed, read from its files: no Python, a few milliseconds at most.
//!
//! A dist-info directory's [RECORD](https://packaging.python.org/en/latest/specifications/recording-installed-packages/)
//! names every file with its sha256. What it names elsewhere is never opened: the files are found by listing the
//! driver's own directories, and no link is followed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::PACKAGE;
use crate::juju::settings::Pin;
use crate::system::{Access, Entry, Root, sha256};

/// The most rows of a RECORD and the most files of a driver.
const MOST_FILES: usize = 5000;
pub(super) const DEEPEST: usize = 32;
/// The most bytes of a RECORD; the driver's has 3 kB. A parser of CSV takes 50 bytes of memory for a comma.
const MOST_OF_RECORD: usize = 512 << 10;
/// The most bytes of a driver.
const MOST_BYTES: usize = 64 << 20;
/// How many findings are kept, and how much of a name is shown, in characters.
const MOST_DAMAGE: usize = 1000;
const LONGEST_SHOWN: usize = 200;

/// Every copy of the driver in the site directory: one, if all is well.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InstalledDrivers(pub Vec<InstalledDriver>);

/// One dist-info directory and what it lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstalledDriver {
    /// The directory, whose name has the version.
    pub dist_info: PathBuf,
    /// The sha256 of RECORD: tells one build of a version from another.
    pub record_sha256: String,
    /// When RECORD last changed in any way (ctime): when the driver was put in place, or later.
    pub changed: SystemTime,
    /// When RECORD was written (mtime): tells one installation of a build from the next.
    pub written: SystemTime,
    /// The directories of what it lists, relative to the site directory.
    pub directories: BTreeSet<String>,
    /// Each file that is not as RECORD says, relative to the site directory, and what is wrong with it.
    pub damage: Vec<String>,
}

impl InstalledDrivers {
    /// Looks at the driver in `site`.
    ///
    /// # Errors
    /// If a directory or file is there but cannot be read.
    pub fn inspect(root: &Root, site: &Path) -> Result<Self> {
        let Some(below) = root.below(site)? else {
            return Ok(Self::default());
        };
        let names = below.names(Path::new(""))?.into_iter().filter(|name| version_in(name).is_some());
        let found = names.map(|name| InstalledDriver::inspect(&below, site, &name));
        Ok(Self(found.collect::<Result<_>>()?))
    }

    /// Returns the driver, if it is exactly the pinned one, undamaged and alone.
    pub fn intact(&self, pin: &Pin) -> Option<&InstalledDriver> {
        match self.0.as_slice() {
            [driver] if driver.is_of(pin) && driver.damage.is_empty() => Some(driver),
            _ => None,
        }
    }

    /// Returns where in `site` it lies: the package, and what describes each copy. A package that nothing describes can
    /// be loaded too.
    pub fn paths(&self, site: &Path) -> Vec<PathBuf> {
        let copies = self.0.iter().map(|driver| driver.dist_info.clone());
        std::iter::once(site.join(PACKAGE)).chain(copies).collect()
    }

    /// Describes how what is installed differs from the pinned version, and from one build of it if the sha256 of its
    /// RECORD is given.
    pub fn differs(&self, pin: &Pin, record_sha256: Option<&str>) -> Option<String> {
        let driver = match self.0.as_slice() {
            [] => return Some("not installed".to_owned()),
            [driver] => driver,
            several => {
                let names: Vec<_> = several.iter().map(InstalledDriver::name).collect();
                return Some(format!("{} are installed", names.join(" and ")));
            }
        };
        if !driver.is_of(pin) {
            let name = driver.name();
            return Some(format!("{} is installed", version_in(&name).unwrap_or(&name)));
        }
        match driver.damage.as_slice() {
            [] if record_sha256.is_none_or(|build| build == driver.record_sha256) => None,
            [] => Some("another build of that version is installed".to_owned()),
            [only] => Some(only.clone()),
            [first, more @ ..] => Some(format!("{first} (and {} more)", more.len())),
        }
    }
}

impl InstalledDriver {
    fn inspect(site: &Root, path: &Path, name: &str) -> Result<Self> {
        let own = format!("{name}/RECORD");
        let mut comparison = Comparison::default();
        let (record, changed, written) = match site.inspect(Path::new(&own))? {
            Entry::File(file) if file.bytes.len() <= MOST_OF_RECORD => (file.bytes, file.changed, file.written),
            found => {
                if matches!(found, Entry::File(_)) {
                    comparison.add(&own, &format!("larger than {MOST_OF_RECORD} bytes"));
                }
                (Vec::new(), SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH)
            }
        };
        for directory in [PACKAGE, name] {
            comparison.list(site, directory, 0)?;
        }
        comparison.compare(name, &record);
        Ok(Self {
            dist_info: path.join(name),
            record_sha256: sha256(&record),
            changed,
            written,
            directories: comparison.directories,
            damage: comparison.damage,
        })
    }

    /// Whether it is of the pinned version.
    pub fn is_of(&self, pin: &Pin) -> bool {
        version_in(&self.name()).is_some_and(|version| version.parse().as_ref() == Ok(pin.version()))
    }

    fn name(&self) -> String {
        self.dist_info.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// What is in the driver's directories, compared with RECORD.
#[derive(Default)]
pub(crate) struct Comparison {
    /// The sha256 of each file, as RECORD writes it, or what is wrong with it.
    pub(crate) files: BTreeMap<String, Result<String, &'static str>>,
    /// The bytes of all files.
    bytes: usize,
    pub(crate) directories: BTreeSet<String>,
    pub(crate) damage: Vec<String>,
}

impl Comparison {
    fn add(&mut self, path: &str, what: &str) {
        if self.damage.len() < MOST_DAMAGE {
            let shown: String = path.escape_debug().take(LONGEST_SHOWN).collect();
            self.damage.push(format!("{shown} is {what}"));
        }
    }

    fn list(&mut self, site: &Root, directory: &str, depth: usize) -> Result<()> {
        let Some(meta) = site.metadata(Path::new(directory))? else { return Ok(()) };
        if !meta.is_dir() {
            self.add(directory, "not a directory");
            return Ok(());
        }
        if let Some(what) = misuse(site.access_of(&meta), 0o005) {
            self.add(directory, what);
        }
        // Python writes there; who else can is checked above.
        if directory.ends_with("/__pycache__") {
            return Ok(());
        }
        for name in site.names(Path::new(directory))? {
            let path = format!("{directory}/{name}");
            if depth > DEEPEST || self.files.len() > MOST_FILES || self.bytes > MOST_BYTES {
                let most = MOST_BYTES >> 20;
                self.add(&path, &format!("beyond {MOST_FILES} files, {most} MiB or {DEEPEST} directories"));
                return Ok(());
            }
            let found = match site.inspect(Path::new(&path))? {
                Entry::Absent => continue,
                Entry::Directory => {
                    self.list(site, &path, depth + 1)?;
                    continue;
                }
                Entry::Other(_) => Err("not a regular file of at most 8 MiB"),
                Entry::File(file) => {
                    self.bytes += file.bytes.len();
                    match misuse(file.access, 0o004) {
                        Some(what) => Err(what),
                        None => Ok(URL_SAFE_NO_PAD.encode(Sha256::digest(file.bytes))),
                    }
                }
            };
            self.files.insert(path, found);
        }
        Ok(())
    }

    pub(crate) fn compare(&mut self, dist_info: &str, record: &[u8]) {
        let own = format!("{dist_info}/RECORD");
        self.directories.insert(dist_info.to_owned());
        let mut recorded = BTreeSet::new();
        let mut rows = csv::ReaderBuilder::new().has_headers(false).from_reader(record);
        for row in rows.deserialize::<(String, String, String)>() {
            let Ok((path, hash, _size)) = row else {
                self.add(&own, "damaged");
                break;
            };
            if recorded.len() == MOST_FILES {
                self.add(&own, &format!("longer than {MOST_FILES} rows"));
                break;
            }
            let is_inside = is_below(&path, PACKAGE) || is_below(&path, dist_info);
            // Python has made it, and checks it itself.
            let is_compiled = path.contains("/__pycache__/");
            if is_inside && !is_compiled {
                self.directories.extend(path.rsplit_once('/').map(|(directory, _)| directory.to_owned()));
            }
            let what = match self.files.get(&path) {
                _ if !is_inside => Some("outside the driver's directories"),
                _ if is_compiled => None,
                None => Some("missing"),
                Some(Err(what)) => Some(*what),
                // RECORD itself cannot have its own hash.
                Some(Ok(found)) if path == own || hash.strip_prefix("sha256=") == Some(found) => None,
                Some(Ok(_)) if hash.is_empty() => Some("without a checksum in RECORD"),
                Some(Ok(_)) => Some("edited"),
            };
            if let Some(what) = what {
                self.add(&path, what);
            }
            if !recorded.insert(path) {
                self.add(&own, "damaged: it lists a file twice");
                break;
            }
        }
        if !recorded.contains(&format!("{PACKAGE}/driver.py")) {
            self.add(&own, "missing or cut off");
        }
        let mut files = std::mem::take(&mut self.files);
        files.retain(|path, _| !recorded.contains(path) && *path != own);
        files.keys().for_each(|path| self.add(path, "not in RECORD"));
    }
}

/// Returns the version in the name of a dist-info directory of the driver's.
pub(super) fn version_in(name: &str) -> Option<&str> {
    name.strip_prefix(PACKAGE)?.strip_prefix('-')?.strip_suffix(".dist-info")
}

/// Whether a name in RECORD is plainly one below `directory`.
fn is_below(path: &str, directory: &str) -> bool {
    let rest = path.strip_prefix(directory).and_then(|rest| rest.strip_prefix('/'));
    rest.is_some_and(|rest| rest.split('/').all(|part| !matches!(part, "" | "." | "..")))
}

/// What is wrong with owner or mode. Whoever can write what Magnum runs is Magnum.
fn misuse(access: Access, readable: u32) -> Option<&'static str> {
    if access.mode & readable != readable {
        return Some("not readable for user magnum");
    }
    (access.mode & 0o022 != 0 || access.uid != 0).then_some("writable for others")
}

#[cfg(test)]
#[path = "installed_tests.rs"]
mod tests;
