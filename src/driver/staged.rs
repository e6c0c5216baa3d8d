//! A driver in a directory of its own, beside the site directory.
//!
//! Beside it, so that it can be renamed into place, and so that user magnum can load it from there
//! before it is.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use super::{pip, wheel};
use crate::settings::{DriverSource, Sha256};
use crate::unit::kept::Ledger;
use crate::unit::python::Python;
use crate::unit::{files, state};

/// A staged driver; its directory goes when this is dropped.
#[derive(Debug)]
pub struct Staged {
    directory: tempfile::TempDir,
    wheel: Vec<u8>,
}

/// The wheel of the driver that was installed last: to put it back takes no network.
const KEPT: &str = "driver.whl";

impl Staged {
    /// Makes the directory, still empty.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn empty(python: &Python) -> Result<Self> {
        let parent = python.site.parent();
        let parent = parent.with_context(|| format!("{} has no parent", python.site.display()))?;
        fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
        let directory = temporary_directory(parent)?;
        Ok(Self {
            directory,
            wheel: Vec::new(),
        })
    }

    /// Unpacks the pinned driver's wheel and gives its sha256: from the resource when there is one,
    /// or from the wheel that was installed before when it is `known` to be the right one, else
    /// fetched by pip.
    ///
    /// # Errors
    /// A [`Problem`](crate::problem::Problem) that names what went wrong with the wheel, the pin or the index.
    pub fn fetch(
        &mut self,
        source: &DriverSource,
        known: Option<&Sha256>,
        python: &Python,
        proxy: &[(String, String)],
    ) -> Result<Sha256> {
        let parent = self.path().parent().context("it has no parent")?;
        let kept = match known {
            Some(known) => files::read(&state::path(KEPT))
                .ok()
                .filter(|wheel| files::sha256(wheel) == known.to_string()),
            None => None,
        };
        self.wheel = match (&source.wheel, kept) {
            (Some(path), _) => files::read(path)?,
            (None, Some(kept)) => kept,
            (None, None) => {
                let downloads = temporary_directory(parent)?;
                pip::download(source, python, proxy, downloads.path())?;
                let names = files::names(downloads.path())?;
                let name = names.first().context("pip downloaded nothing")?;
                files::read(&downloads.path().join(name))?
            }
        };
        let sha256 = wheel::unpack(&self.wheel, source, self.path())?;
        readable_for_all(self.path())?;
        Ok(sha256)
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Swaps it in for whatever driver `site` holds. What stood there before the charm is kept.
    ///
    /// # Errors
    /// When a rename fails; what is then in place is found by the next look at RECORD.
    pub fn install(&self, site: &Path, ledger: &mut Ledger) -> Result<()> {
        let is_dist_info = |name: &String| name.ends_with(".dist-info");
        let mut staged = files::names(self.path())?;
        // The package first, dist-info last: what RECORD is compared with is never newer than it.
        staged.sort_by_key(is_dist_info);
        let old: Vec<PathBuf> = super::look(site)?
            .0
            .into_iter()
            .map(|driver| driver.dist_info)
            .filter(|path| !staged.iter().any(|name| path.ends_with(name)))
            .collect();
        for path in staged
            .iter()
            .map(|name| site.join(name))
            .chain(old.iter().cloned())
        {
            ledger.keep(&path)?;
        }
        for name in &staged {
            swap(&self.path().join(name), &site.join(name))?;
        }
        for path in &old {
            files::remove(path)?;
        }
        files::sync_directory(site)?;
        files::write(&state::path(KEPT), &self.wheel, files::Access::PRIVATE)
    }
}

fn temporary_directory(parent: &Path) -> Result<tempfile::TempDir> {
    tempfile::Builder::new()
        .prefix(files::TEMPORARY_PREFIX)
        .permissions(fs::Permissions::from_mode(0o755))
        .tempdir_in(parent)
        .with_context(|| format!("making a directory in {}", parent.display()))
}

/// Directories 0755, files 0644, whatever the umask and the archive say.
fn readable_for_all(directory: &Path) -> Result<()> {
    for name in files::names(directory)? {
        let path = directory.join(name);
        let mode = if path.is_dir() { 0o755 } else { 0o644 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))
            .with_context(|| format!("setting the mode of {}", path.display()))?;
        if path.is_dir() {
            readable_for_all(&path)?;
        }
    }
    Ok(())
}

/// Puts `new` where `old` is, in one step; what was there comes to lie where `new` was.
fn swap(new: &Path, old: &Path) -> Result<()> {
    let flags = if fs::symlink_metadata(old).is_ok() {
        RenameFlags::RENAME_EXCHANGE
    } else {
        RenameFlags::RENAME_NOREPLACE
    };
    renameat2(AT_FDCWD, new, AT_FDCWD, old, flags)
        .with_context(|| format!("putting {} in place", old.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_swap_leaves_the_old_one_where_the_new_one_was() {
        let dir = tempfile::tempdir().unwrap();
        let (new, old) = (dir.path().join("new"), dir.path().join("old"));
        fs::create_dir(&new).unwrap();
        fs::write(new.join("it"), "new").unwrap();
        swap(&new, &old).unwrap();
        fs::create_dir(&new).unwrap();
        fs::write(new.join("it"), "newer").unwrap();
        swap(&new, &old).unwrap();
        assert_eq!(fs::read_to_string(old.join("it")).unwrap(), "newer");
        assert_eq!(fs::read_to_string(new.join("it")).unwrap(), "new");
    }
}
