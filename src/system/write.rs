//! Changes of the file system below a [`Root`].
//!
//! Every write is atomic and private: a temporary file of an unguessable name beside the target, with its final owner
//! and mode before it holds a byte, synced and then renamed. No reader sees half a file, and a secret is never readable
//! by more than its final owner and mode allow.

use std::ffi::OsStr;
use std::fmt::Display;
use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Result;
use cap_std::fs::Dir;
use nix::unistd::{Gid, Uid, fchown};
use tracing::warn;

use super::directory::TEMPORARY_PREFIX;
use super::root::at;
use super::{Access, Root, directory};

/// A temporary file or directory; dropping it removes it.
#[derive(Debug)]
pub struct Temporary {
    root: Root,
    path: PathBuf,
}

impl Temporary {
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

impl Drop for Temporary {
    fn drop(&mut self) {
        // Nothing is there if it was put in place; what cannot be removed now is removed by the next hook, by its name.
        self.root.make_way(&self.path).ok();
    }
}

impl Root {
    /// Writes a file atomically, with exactly this owner and mode.
    ///
    /// # Errors
    /// If any part of that fails; then what stood at `path` still stands there, untouched.
    pub fn write(&self, path: &Path, bytes: &[u8], access: Access) -> Result<()> {
        let parent = path.parent().unwrap_or(Path::new("/"));
        let fill = |file: &mut fs::File| at("writing", path, file.write_all(bytes));
        self.temporary_file(parent, access, fill)?.0.persist(path)
    }

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
    ) -> Result<(Temporary, T)> {
        let path = parent.join(at("writing in", parent, directory::temporary_name())?);
        let created = self.parent(&path).and_then(|(directory, name)| directory::create_file(&directory, name));
        let mut file = at("writing in", parent, created)?.into_std();
        let temporary = Temporary { root: self.clone(), path };
        at("setting the mode of", &temporary.path, self.set_access(&file, access))?;
        let filled = fill(&mut file)?;
        at("syncing", &temporary.path, file.sync_all())?;
        Ok((temporary, filled))
    }

    /// Makes a temporary directory in `parent`, root:root 0755.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn temporary_directory(&self, parent: &Path) -> Result<Temporary> {
        let path = parent.join(at("writing in", parent, directory::temporary_name())?);
        self.make_directory(&path, 0o755)?;
        Ok(Temporary { root: self.clone(), path })
    }

    fn set_access(&self, file: &fs::File, access: Access) -> io::Result<()> {
        let (root_uid, root_gid) = self.root_ids;
        let uid = if access.uid == 0 { root_uid } else { access.uid };
        let gid = if access.gid == 0 { root_gid } else { access.gid };
        fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
        // Last: a change of owner drops the setuid bits.
        file.set_permissions(fs::Permissions::from_mode(access.mode))
    }

    /// Makes a directory of root with exactly this mode, if it is not there.
    ///
    /// # Errors
    /// If it cannot be made, or something else stands there.
    pub fn make_directory(&self, path: &Path, mode: u32) -> Result<()> {
        let make = || {
            let (parent, name) = self.parent(path)?;
            match directory::make(&parent, name) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists && is_directory(&parent, name) => Ok(()),
                Err(error) => Err(error),
                // Whatever the umask, and without a setgid bit from above.
                Ok(made) => made.open(".")?.into_std().set_permissions(fs::Permissions::from_mode(mode)),
            }
        };
        at("making the directory", path, make())
    }

    /// Makes a directory and those above it, each of root with mode 0755.
    ///
    /// # Errors
    /// If one cannot be made, or something else stands there.
    pub fn make_directories(&self, path: &Path) -> Result<()> {
        let above: Vec<&Path> = path.ancestors().filter(|path| path.file_name().is_some()).collect();
        above.into_iter().rev().try_for_each(|path| self.make_directory(path, 0o755))
    }

    /// Removes whatever stands at `path`, with all that is in it. Nothing there is no error.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn remove(&self, path: &Path) -> Result<()> {
        let removed = self.find(path).and_then(|found| match found {
            None => Ok(()),
            Some((parent, name, meta)) if meta.is_dir() => directory::remove_tree(&parent, &name),
            Some((parent, name, _)) => parent.remove_file(&name),
        });
        at("removing", path, removed)
    }

    /// Removes what stands at `path`, for something else or nothing to stand there. A directory of others is renamed: what
    /// is in it may be root's, moved there by them.
    ///
    /// # Errors
    /// If that fails.
    pub fn make_way(&self, path: &Path) -> Result<()> {
        match self.is_others_directory(path)? {
            true => self.rename_aside(path, "others than root decide what is in it"),
            false => self.remove(path),
        }
    }

    /// Whether an error at `path` may be the work of others than root, who can change the directory that it is in.
    pub fn is_overtaken(&self, path: &Path, error: &anyhow::Error) -> bool {
        let cause = error.root_cause().downcast_ref();
        let is_of_others = || self.is_roots_alone(path.parent().unwrap_or(path)).is_ok_and(|is_roots| !is_roots);
        cause.is_some_and(directory::is_overtaken) && is_of_others()
    }

    /// Whether a directory stands at `path`, in one that others than root can change.
    ///
    /// # Errors
    /// If it cannot be looked at.
    pub fn is_others_directory(&self, path: &Path) -> Result<bool> {
        Ok(self.is_directory(path)? && !self.is_roots_alone(path.parent().unwrap_or(path))?)
    }

    /// Gives what stands at `path` a new name beside it, and says so.
    ///
    /// # Errors
    /// If that fails.
    pub fn rename_aside(&self, path: &Path, why: impl Display) -> Result<()> {
        // A name that neither oslo.config reads nor Python imports.
        let name = directory::temporary_name()?.to_string_lossy().replace(TEMPORARY_PREFIX, "set-aside-");
        let aside = path.with_file_name(name);
        match self.rename(path, &aside) {
            // Somebody else has taken it away.
            Err(_) if self.metadata(path)?.is_none() => return Ok(()),
            renamed => renamed?,
        }
        let (path, aside) = (path.display(), aside.display());
        warn!("{path} is not backed up, because {why}; it is {aside} now, and stays there when the charm is removed");
        Ok(())
    }

    /// Removes a directory if it is empty. One that is not, or is not there, is left.
    ///
    /// # Errors
    /// If it cannot be removed for another reason.
    pub fn remove_if_empty(&self, path: &Path) -> Result<()> {
        match self.parent(path).and_then(|(parent, name)| parent.remove_dir(name)) {
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty || directory::is_absent(&error) => Ok(()),
            removed => at("removing", path, removed),
        }
    }

    /// Renames `from` to `to`, replacing what stands there.
    ///
    /// # Errors
    /// If that fails.
    pub fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let rename = || {
            let ((from_parent, from), (to_parent, to)) = (self.parent(from)?, self.parent(to)?);
            from_parent.rename(from, &to_parent, to)?;
            directory::sync(&to_parent)
        };
        at("writing", to, rename())
    }

    /// Puts `new` where `old` is in one step; what was there comes to stand where `new` was.
    ///
    /// # Errors
    /// If that fails.
    pub fn exchange(&self, new: &Path, old: &Path) -> Result<()> {
        let exchange = || {
            let ((from, new), (to, old)) = (self.parent(new)?, self.parent(old)?);
            directory::exchange(&from, new, &to, old)?;
            directory::sync(&to)
        };
        at("putting in place", old, exchange())
    }
}

fn is_directory(parent: &Dir, name: &OsStr) -> bool {
    parent.symlink_metadata(name).is_ok_and(|meta| meta.is_dir())
}

#[cfg(test)]
mod tests {
    use crate::system::Entry;
    use crate::system::testing::Scratch;

    use super::*;

    const PATH: &str = "/etc/magnum/kubeconfig";

    fn scratch() -> Scratch {
        let scratch = Scratch::new();
        scratch.put(PATH, "theirs");
        scratch
    }

    #[test]
    fn a_written_file_has_its_bytes_and_mode_and_leaves_no_temporary_file() {
        let scratch = scratch();
        let (root, path) = (&scratch.root, Path::new(PATH));
        for content in [b"one", b"two"] {
            root.write(path, content, Access::of_root(0o640)).unwrap();
        }
        let Entry::File(file) = root.inspect(path).unwrap() else { panic!("no file") };
        assert_eq!((file.bytes.as_slice(), file.access), (&b"two"[..], Access::of_root(0o640)));
        assert_eq!(root.names(Path::new("/etc/magnum")).unwrap(), ["kubeconfig"]);
        assert!(!format!("{file:?}").contains("two"));
    }

    #[test]
    fn a_write_that_cannot_be_finished_leaves_what_stood_there() {
        let scratch = scratch();
        scratch.put("/etc/magnum/x/inside", "theirs");
        assert!(scratch.root.write(Path::new("/etc/magnum/x"), b"ours", Access::PUBLIC).is_err());
        assert_eq!(scratch.text("/etc/magnum/x/inside").as_deref(), Some("theirs"));
        assert!(scratch.root.temporaries(Path::new("/etc/magnum")).unwrap().is_empty());
    }

    #[test]
    fn a_directory_is_made_with_exactly_its_mode() {
        let scratch = scratch();
        let above = fs::Permissions::from_mode(0o2777);
        fs::set_permissions(scratch.path("/etc/magnum"), above).unwrap();
        let path = Path::new("/etc/magnum/made");
        scratch.root.make_directory(path, 0o777).unwrap();
        let meta = scratch.root.metadata(path).unwrap().unwrap();
        assert_eq!(scratch.root.access_of(&meta).mode, 0o777);
    }

    #[test]
    fn an_exchange_leaves_the_old_one_where_the_new_one_was() {
        let scratch = scratch();
        let (new, old) = (Path::new("/etc/new"), Path::new("/etc/old"));
        for content in ["new", "newer"] {
            scratch.put(new.join("it"), content);
            scratch.root.exchange(new, old).unwrap();
        }
        assert_eq!(scratch.text("/etc/old/it").as_deref(), Some("newer"));
        assert_eq!(scratch.text("/etc/new/it").as_deref(), Some("new"));
    }

    #[test]
    fn a_temporary_directory_goes_when_it_is_dropped_and_is_recognised_when_it_was_not() {
        let scratch = scratch();
        let etc = Path::new("/etc");
        let temporary = scratch.root.temporary_directory(etc).unwrap();
        assert_eq!(scratch.root.temporaries(etc).unwrap(), [temporary.path()]);
        drop(temporary);
        assert!(scratch.root.temporaries(etc).unwrap().is_empty());
    }

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
