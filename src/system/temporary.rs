//! Temporary files that are filled from a stream, and put in place when what is in them has been checked.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{Access, Root, directory};

/// A complete file under a temporary name; dropping it removes it.
#[derive(Debug)]
pub struct TemporaryFile {
    root: Root,
    path: PathBuf,
}

impl Root {
    /// Makes a temporary file in `parent`, lets `fill` write it, and syncs and closes it. No other user can write to it
    /// at any time; one that `access` lets execute it can be run.
    ///
    /// # Errors
    /// If it cannot be made, and what `fill` fails with.
    pub fn temporary_file<T>(
        &self,
        parent: &Path,
        access: Access,
        fill: impl FnOnce(&mut fs::File) -> Result<T>,
    ) -> Result<(TemporaryFile, T)> {
        let context = || format!("making a temporary file in {}", parent.display());
        let path = parent.join(directory::temporary_name().with_context(context)?);
        let (directory, name) = self.parent(&path).with_context(context)?;
        let file = directory::create_file(&directory, name).with_context(context)?;
        let temporary = TemporaryFile { root: self.clone(), path: path.clone() };
        let mut file = file.into_std();
        self.set_access(&file, access).with_context(context)?;
        let filled = fill(&mut file)?;
        file.sync_all().with_context(context)?;
        Ok((temporary, filled))
    }
}

impl TemporaryFile {
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Renames it to `path`, replacing a file that stands there.
    ///
    /// # Errors
    /// If that fails; then it is removed.
    pub fn persist(self, path: &Path) -> Result<()> {
        self.root.rename(&self.path, path)
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        // Nothing is there if it was put in place; what cannot be removed now is removed by the next hook, by its name.
        self.root.remove(&self.path).ok();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;

    use crate::system::testing::Scratch;

    use super::*;

    #[test]
    fn a_file_is_put_in_place_with_its_mode_or_leaves_nothing() {
        let scratch = Scratch::new();
        let (root, etc) = (&scratch.root, Path::new("/etc"));
        let fill = |file: &mut fs::File| Ok(file.write_all(b"text")?);
        let make = || root.temporary_file(etc, Access::of_root(0o755), fill).unwrap().0;
        drop(make());
        root.temporary_file(etc, Access::PUBLIC, |_| anyhow::bail!("no") as Result<()>).unwrap_err();
        make().persist(Path::new("/etc/x")).unwrap();
        assert_eq!(scratch.text("/etc/x").as_deref(), Some("text"));
        let mode = scratch.path("/etc/x").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o755);
        assert!(root.temporaries(etc).unwrap().is_empty());
    }
}
