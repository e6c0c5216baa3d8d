//! What stood where the charm writes, before it came: kept, and put back on removal.
//!
//! The ledger has one entry for each path the charm has ever written. It is written before the
//! path is touched, so that a hook killed at any moment never takes its own work for an
//! operator's, nor an operator's for its own.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::unistd::{Gid, Group, Uid, User};
use serde::{Deserialize, Serialize};
use tracing::info;

use super::{command, files, state};

/// Copying one kept file or package directory; far more than a slow disk needs.
const COPY_LIMIT: Duration = Duration::from_secs(60);

/// What was at a path before the charm first wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Before {
    /// Nothing: whatever is there on removal is the charm's.
    Absent,
    /// No directory: the charm made one, and takes it away on removal when nothing else is in it.
    NoDirectory,
    /// Something, kept under this name in the state directory.
    Kept(String),
}

impl Before {
    /// What it was and whose.
    ///
    /// # Errors
    /// When the copy cannot be looked at.
    pub fn told(&self) -> Result<String> {
        match self {
            Self::Absent => Ok("nothing".to_owned()),
            Self::NoDirectory => Ok("no directory".to_owned()),
            Self::Kept(name) => described(&state::path(DIRECTORY).join(name)),
        }
    }
}

/// The ledger, as it is on disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger(BTreeMap<PathBuf, Before>);

const FILE: &str = "ledger.json";
/// Where the copies are, in the state directory.
const DIRECTORY: &str = "kept";

impl Ledger {
    /// Reads the ledger; empty when there is none yet.
    ///
    /// # Errors
    /// When it is there but cannot be read.
    pub fn load() -> Result<Self> {
        let remedy = "mend it or put back a copy, and do not remove it: without it the charm does not \
                      know what stood on this unit before";
        Ok(state::load_or(FILE, remedy)?.unwrap_or_default())
    }

    /// Whether the charm has written `path` before.
    pub fn knows(&self, path: &Path) -> bool {
        self.0.contains_key(path)
    }

    /// Every path the charm has written and what was there before, each directory after all that
    /// is in it.
    pub fn entries(&self) -> Vec<(PathBuf, Before)> {
        let entries = self.0.iter().rev();
        entries
            .map(|(path, before)| (path.clone(), before.clone()))
            .collect()
    }

    /// What is kept, a line each: where it stood, what it is and whose.
    ///
    /// # Errors
    /// When a copy cannot be looked at.
    pub fn kept(&self) -> Result<Vec<String>> {
        let kept = self.0.iter();
        kept.filter(|(_, before)| matches!(before, Before::Kept(_)))
            .map(|(path, before)| Ok(format!("{}: {}", path.display(), before.told()?)))
            .collect()
    }

    /// Enters `path`, and keeps a copy of what stands there, before it is first written.
    ///
    /// # Errors
    /// When the copy or the ledger cannot be written; then `path` must not be touched.
    pub fn keep(&mut self, path: &Path) -> Result<()> {
        if self.knows(path) {
            return Ok(());
        }
        let before = match std::fs::symlink_metadata(path) {
            Ok(_) => {
                let kept = copy_away(path)?;
                info!(
                    "what stood at {} is kept, and put back on removal",
                    path.display()
                );
                Before::Kept(kept)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Before::Absent,
            Err(error) => {
                return Err(error).with_context(|| format!("looking at {}", path.display()));
            }
        };
        self.enter(path, before)
    }

    /// Enters a directory that the charm is about to make.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn keep_absent_directory(&mut self, path: &Path) -> Result<()> {
        if self.knows(path) {
            return Ok(());
        }
        self.enter(path, Before::NoDirectory)
    }

    fn enter(&mut self, path: &Path, before: Before) -> Result<()> {
        self.0.insert(path.to_owned(), before);
        state::save(FILE, self)
    }

    /// Puts back what was at `path` before the charm came, and forgets the path.
    ///
    /// # Errors
    /// When it cannot be put back; then the entry stays and the next hook tries again.
    pub fn restore(&mut self, path: &Path) -> Result<()> {
        match self.0.get(path) {
            None => return Ok(()),
            Some(Before::Absent) => files::remove(path)?,
            // What somebody put into it, or in its place, is theirs.
            Some(Before::NoDirectory) => match std::fs::remove_dir(path) {
                Err(error)
                    if !matches!(
                        error.kind(),
                        ErrorKind::NotFound
                            | ErrorKind::DirectoryNotEmpty
                            | ErrorKind::NotADirectory
                    ) =>
                {
                    return Err(error).with_context(|| format!("removing {}", path.display()));
                }
                _ => {}
            },
            Some(Before::Kept(name)) => copy_back(&state::path(DIRECTORY).join(name), path)?,
        }
        self.0.remove(path);
        state::save(FILE, self)
    }
}

/// What is at `path` and whose it is: `a file of magnum:nogroup, mode 0600`.
///
/// # Errors
/// When it cannot be looked at.
pub fn described(path: &Path) -> Result<String> {
    let meta = std::fs::symlink_metadata(path)
        .with_context(|| format!("looking at {}", path.display()))?;
    let kind = match meta.file_type() {
        kind if kind.is_dir() => "a directory",
        kind if kind.is_file() => "a file",
        kind if kind.is_symlink() => "a link",
        _ => "a special file",
    };
    let user = User::from_uid(Uid::from_raw(meta.uid()))?;
    let user = user.map_or_else(|| meta.uid().to_string(), |user| user.name);
    let group = Group::from_gid(Gid::from_raw(meta.gid()))?;
    let group = group.map_or_else(|| meta.gid().to_string(), |group| group.name);
    let mode = meta.mode() & 0o7777;
    Ok(format!("{kind} of {user}:{group}, mode {mode:04o}"))
}

/// Copies what is at `path` into the state directory, with owner, mode, times and attributes.
fn copy_away(path: &Path) -> Result<String> {
    let directory = state::path(DIRECTORY);
    files::make_directory(&directory, 0o700)?;
    let name = path
        .to_string_lossy()
        .replace('%', "%25")
        .replace('/', "%2F");
    let (kept, partial) = (
        directory.join(&name),
        directory.join(format!("{name}.partial")),
    );
    files::remove(&partial)?;
    files::remove(&kept)?;
    copy(path, &partial)?;
    std::fs::rename(&partial, &kept).with_context(|| format!("keeping {}", path.display()))?;
    files::sync_directory(&directory)?;
    Ok(name)
}

/// Puts a kept copy back: copied beside the target, then renamed over it.
fn copy_back(kept: &Path, path: &Path) -> Result<()> {
    let context = || format!("putting back {}", path.display());
    let name = path.file_name().with_context(context)?.to_string_lossy();
    let parent = path.parent().with_context(context)?;
    if !parent.is_dir() {
        // Its directory went with the package it belonged to: there is nothing to put it back into.
        return Ok(());
    }
    let beside = parent.join(format!("{}{name}", files::TEMPORARY_PREFIX));
    files::remove(&beside)?;
    copy(kept, &beside)?;
    if kept.is_dir() || path.is_dir() {
        files::remove(path)?;
    }
    std::fs::rename(&beside, path).with_context(context)?;
    files::sync_directory(parent)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    command::run("cp", COPY_LIMIT)
        .args(["-aT", "--"])
        .args([from, to])
        .stdout()
        .map(drop)
        .with_context(|| format!("copying {}", from.display()))
}
