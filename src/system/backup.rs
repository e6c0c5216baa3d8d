//! The originals: what stood where the charm writes, before it came; put back on removal.
//!
//! The list has one entry for each path the charm has ever written. It is written before the path is touched, so that
//! a hook killed at any moment never takes its own work for an operator's, nor an operator's for its own.
//!
//! A special file or a tree too deep or too large to be copied is no original that anything could have read. It is
//! renamed, and stays where it is. So is what is only in the way in a directory of others, who put any number there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use cap_std::fs::MetadataExt as _;
use nix::unistd::{Gid, Group, Uid, User};
use serde::{Deserialize, Serialize};
use tracing::info;

use super::copy::NotCopied;
use super::{Root, copy, directory, sha256, state_path};

/// What stood at a path before the charm first wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Original {
    /// Nothing: whatever is there on removal is the charm's.
    Absent,
    /// No directory: the charm made one, and removes it if nothing else is in it.
    NoDirectory,
    /// Something; its backup has this name in the state directory.
    #[serde(rename = "kept")]
    BackedUp(String),
    /// Of a kind that a later revision of the charm knows.
    #[serde(untagged)]
    Unknown(serde_json::Value),
}

/// The list of originals, as on disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Backups(BTreeMap<PathBuf, Original>);

// The names on disk are those of earlier revisions: an upgrade and a rollback must find them.
const FILE: &str = "ledger.json";
const DIRECTORY: &str = "kept";
/// The longest path that a backup is named after, in bytes as encoded: a file system takes 255, `.partial` included.
const LONGEST_NAME: usize = 240;

impl Backups {
    /// Reads the list; empty if there is none yet.
    ///
    /// # Errors
    /// If it is there but cannot be read.
    pub fn load(root: &Root) -> Result<Self> {
        let remedy = "repair it or restore a copy, and do not remove it: without it the charm does not know what \
                      stood on this unit before";
        Ok(root.load_or(FILE, remedy)?.unwrap_or_default())
    }

    /// Whether the charm has written `path` before.
    pub fn contains(&self, path: &Path) -> bool {
        self.0.contains_key(path)
    }

    /// Returns every path the charm has written with its original, each directory after all that is in it.
    pub fn entries(&self) -> Vec<(PathBuf, Original)> {
        let entries = self.0.iter().rev();
        entries.map(|(path, original)| (path.clone(), original.clone())).collect()
    }

    /// Returns a line for each backup: where it stood, what it is and whose.
    ///
    /// # Errors
    /// If a backup cannot be looked at.
    pub fn describe(&self, root: &Root) -> Result<Vec<String>> {
        let lines = self.0.iter().filter_map(|(path, original)| match original {
            Original::BackedUp(name) => Some((path, state_path(DIRECTORY).join(name))),
            Original::Absent | Original::NoDirectory | Original::Unknown(_) => None,
        });
        lines.map(|(path, backup)| Ok(format!("{}: {}", path.display(), describe(root, &backup)?))).collect()
    }

    /// Backs up what stands at `path`, before it is first written.
    ///
    /// # Errors
    /// If the backup or the list cannot be written; then `path` must not be touched.
    pub fn back_up(&mut self, root: &Root, path: &Path) -> Result<()> {
        if self.contains(path) {
            return Ok(());
        }
        let original = match root.metadata(path)? {
            None => Original::Absent,
            Some(_) => copy_or_set_aside(root, path)?,
        };
        self.enter(root, path, original)
    }

    /// Enters a directory that the charm is about to make.
    ///
    /// # Errors
    /// If the list cannot be written.
    pub fn enter_new_directory(&mut self, root: &Root, path: &Path) -> Result<()> {
        if !self.contains(path) {
            self.enter(root, path, Original::NoDirectory)?;
        }
        Ok(())
    }

    /// Takes away what stands at `path`, in whose place nothing comes.
    ///
    /// # Errors
    /// If it cannot be backed up or renamed.
    pub fn set_aside(&mut self, root: &Root, path: &Path) -> Result<()> {
        if root.is_roots_alone(path.parent().unwrap_or(path))? {
            self.back_up(root, path)?;
            return root.remove(path);
        }
        root.rename_aside(path, "others than root decide what is in its directory")
    }

    fn enter(&mut self, root: &Root, path: &Path, original: Original) -> Result<()> {
        self.0.insert(path.to_owned(), original);
        root.save(FILE, self)
    }

    /// Puts the original of `path` back, and takes the path off the list.
    ///
    /// # Errors
    /// If it cannot be put back; then the entry stays and the next hook tries again.
    pub fn restore(&mut self, root: &Root, path: &Path) -> Result<()> {
        match self.0.get(path) {
            None => return Ok(()),
            Some(Original::Absent) => root.make_way(path)?,
            // What somebody put into it, or in its place, is theirs.
            Some(Original::NoDirectory) => root.remove_if_empty(path)?,
            Some(Original::BackedUp(name)) => copy_back(root, &state_path(DIRECTORY).join(name), path)?,
            Some(Original::Unknown(_)) => bail!(
                "only a later revision of the charm knows what stood at {}; refresh to the one that ran here before",
                path.display()
            ),
        }
        self.0.remove(path);
        root.save(FILE, self)
    }
}

/// Describes what stands at `path` and whose it is: `a file of magnum:nogroup, mode 0600`.
///
/// # Errors
/// If it cannot be looked at.
pub fn describe(root: &Root, path: &Path) -> Result<String> {
    let meta = root.metadata(path)?;
    let meta = meta.with_context(|| format!("{} is gone", path.display()))?;
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
    Ok(format!("{kind} of {user}:{group}, mode {:04o}", meta.mode() & 0o7777))
}

/// Backs up what stands at `path`; what cannot be copied gets a new name beside it, and so does a directory into which
/// others may put anything.
fn copy_or_set_aside(root: &Root, path: &Path) -> Result<Original> {
    if root.is_others_directory(path)? {
        root.make_way(path)?;
        return Ok(Original::Absent);
    }
    let error = match copy_away(root, path) {
        Err(error) if error.is::<NotCopied>() => error,
        copied => return copied.map(Original::BackedUp),
    };
    root.rename_aside(path, error.root_cause())?;
    Ok(Original::Absent)
}

/// Copies what stands at `path` into the state directory, and returns the backup's name.
fn copy_away(root: &Root, path: &Path) -> Result<String> {
    let backups = state_path(DIRECTORY);
    root.make_directory(&backups, 0o700)?;
    let name = backup_name(path);
    let (backup, partial) = (backups.join(&name), backups.join(format!("{name}.partial")));
    root.remove(&partial)?;
    root.remove(&backup)?;
    if let Err(error) = copy_tree(root, path, &partial) {
        root.remove(&partial)?;
        return Err(error);
    }
    root.rename(&partial, &backup)?;
    info!("backed up {}; it is restored when the charm is removed", path.display());
    Ok(name)
}

/// Returns the name of the backup of what stands at `path`: the path itself, or the sha256 of a long one.
fn backup_name(path: &Path) -> String {
    let name = path.to_string_lossy().replace('%', "%25").replace('/', "%2F");
    if name.len() > LONGEST_NAME { sha256(name.as_bytes()) } else { name }
}

/// Puts a backup back: copied beside the target, then renamed over it.
fn copy_back(root: &Root, backup: &Path, path: &Path) -> Result<()> {
    let parent = path.parent().with_context(|| format!("{} has no parent", path.display()))?;
    if !root.is_directory(parent)? {
        // Its directory went with the package it belonged to: there is nothing to put it back into.
        return Ok(());
    }
    let beside = parent.join(directory::temporary_name()?);
    copy_tree(root, backup, &beside)?;
    if root.is_directory(backup)? || root.is_directory(path)? {
        root.make_way(path)?;
    }
    root.rename(&beside, path)
}

fn copy_tree(root: &Root, from: &Path, to: &Path) -> Result<()> {
    let context = || format!("copying {} to {}", from.display(), to.display());
    let (from_parent, from_name) = root.parent(from).with_context(context)?;
    let (to_parent, to_name) = root.parent(to).with_context(context)?;
    copy::copy(&from_parent, from_name, &to_parent, to_name).with_context(context)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use crate::system::Entry;
    use crate::system::testing::{Scratch, make_deep_tree};

    use super::*;

    const CONF: &str = "/etc/magnum/magnum.conf.d/99-capi.conf";

    fn scratch() -> Scratch {
        let scratch = Scratch::new();
        scratch.put(CONF, "theirs");
        scratch.root.make_state_directory().unwrap();
        scratch
    }

    #[test]
    fn a_file_a_link_and_a_directory_come_back_as_they_were() {
        let scratch = scratch();
        let root = &scratch.root;
        let mode = std::fs::Permissions::from_mode(0o4710);
        std::fs::set_permissions(scratch.path(CONF), mode).unwrap();
        let before = scratch.path(CONF).metadata().unwrap();
        scratch.link("/etc/magnum/link", "/nowhere");
        scratch.put("/etc/magnum/directory/inner/file", "inner");
        let paths = [CONF, "/etc/magnum/link", "/etc/magnum/directory"].map(Path::new);
        let mut backups = Backups::load(root).unwrap();
        for path in paths {
            backups.back_up(root, path).unwrap();
            root.remove(path).unwrap();
            root.write(path, b"ours", super::super::Access::PUBLIC).unwrap();
            // The second time it is the charm's own.
            backups.back_up(root, path).unwrap();
        }
        assert_eq!(backups.describe(root).unwrap().len(), 3);
        for path in paths {
            Backups::load(root).unwrap().restore(root, path).unwrap();
        }
        let after = scratch.path(CONF).metadata().unwrap();
        assert_eq!(scratch.text(CONF).as_deref(), Some("theirs"));
        assert_eq!((before.mode(), before.mtime_nsec()), (after.mode(), after.mtime_nsec()));
        assert_eq!(std::fs::read_link(scratch.path("/etc/magnum/link")).unwrap(), Path::new("/nowhere"));
        assert_eq!(scratch.text("/etc/magnum/directory/inner/file").as_deref(), Some("inner"));
        assert!(root.temporaries(Path::new("/etc/magnum")).unwrap().is_empty());
    }

    #[test]
    fn what_has_a_name_of_any_length_comes_back() {
        let scratch = scratch();
        let root = &scratch.root;
        let paths = [200, 255].map(|length| format!("/etc/magnum/{}", "x".repeat(length)));
        for path in &paths {
            scratch.put(path, path);
            let mut backups = Backups::default();
            backups.back_up(root, Path::new(path)).unwrap();
            root.remove(Path::new(path)).unwrap();
            backups.restore(root, Path::new(path)).unwrap();
            assert_eq!(scratch.text(path).as_ref(), Some(path));
        }
        assert_eq!(backup_name(Path::new(&paths[0])), paths[0].replace('/', "%2F"));
    }

    #[test]
    fn what_the_charm_brought_goes_and_what_others_put_beside_it_stays() {
        let scratch = scratch();
        let root = &scratch.root;
        let (file, directory) = (Path::new("/etc/magnum/kubeconfig"), Path::new("/etc/magnum/new"));
        let mut backups = Backups::default();
        backups.back_up(root, file).unwrap();
        backups.enter_new_directory(root, directory).unwrap();
        scratch.put(file, "ours");
        scratch.put("/etc/magnum/new/theirs", "");
        assert_eq!(backups.entries()[0].0, directory);
        for path in [file, directory] {
            backups.restore(root, path).unwrap();
        }
        assert_eq!(scratch.text(file), None);
        assert!(scratch.text("/etc/magnum/new/theirs").is_some());
        assert_eq!(Backups::load(root).unwrap(), Backups::default());
    }

    #[test]
    fn a_link_planted_beside_the_target_leads_nowhere() {
        let scratch = scratch();
        let root = &scratch.root;
        scratch.put("/etc/shadow", "root's");
        let mut backups = Backups::default();
        backups.back_up(root, Path::new(CONF)).unwrap();
        // The predictable name of an earlier release, and a directory on the way.
        scratch.link("/etc/magnum/magnum.conf.d/.magnum-capi-helm-99-capi.conf", "/etc/shadow");
        backups.restore(root, Path::new(CONF)).unwrap();
        assert_eq!(scratch.text("/etc/shadow").as_deref(), Some("root's"));
        let mut backups = Backups::default();
        backups.back_up(root, Path::new(CONF)).unwrap();
        std::fs::rename(scratch.path("/etc/magnum"), scratch.path("/etc/moved")).unwrap();
        scratch.link("/etc/magnum", "/etc");
        backups.restore(root, Path::new(CONF)).unwrap();
        assert_eq!(scratch.text("/etc/shadow").as_deref(), Some("root's"));
    }

    #[test]
    fn what_cannot_be_copied_is_set_aside_complete_and_does_not_come_back() {
        let scratch = scratch();
        let (root, parent) = (&scratch.root, Path::new("/etc/magnum"));
        let deep = format!("/etc/magnum/deep{}", "/x".repeat(40));
        scratch.put(format!("{deep}/file"), "theirs");
        make_deep_tree(&scratch.path("/etc/magnum/deeper"));
        scratch.fifo("/etc/magnum/fifo");
        let mut backups = Backups::default();
        for name in ["deep", "deeper", "fifo"] {
            let path = parent.join(name);
            backups.back_up(root, &path).unwrap();
            assert_eq!(root.inspect(&path).unwrap(), Entry::Absent);
            scratch.put(&path, "ours");
            backups.restore(root, &path).unwrap();
        }
        let names = root.names(parent).unwrap();
        let aside: Vec<_> = names.iter().filter(|name| name.starts_with("set-aside-")).collect();
        assert_eq!((aside.len(), names.len()), (3, 4), "{names:?}");
        let inner = deep.trim_start_matches("/etc/magnum/deep/");
        assert!(aside.iter().any(|name| scratch.text(format!("/etc/magnum/{name}/{inner}/file")).is_some()));
        assert!(root.names(&state_path(DIRECTORY)).unwrap().is_empty(), "half a copy");
        aside.iter().for_each(|name| root.remove(&parent.join(name)).unwrap());
    }

    #[test]
    fn what_is_in_the_way_where_others_write_is_renamed_and_leaves_no_entry() {
        let scratch = scratch();
        let root = &scratch.root;
        scratch.put("/opt/theirs/it", "theirs");
        scratch.put("/opt/roots/it", "root's");
        std::fs::set_permissions(scratch.path("/opt/theirs"), std::fs::Permissions::from_mode(0o777)).unwrap();
        let mut backups = Backups::default();
        for path in ["/opt/theirs/it", "/opt/theirs/none", "/opt/roots/it"].map(Path::new) {
            backups.set_aside(root, path).unwrap();
            assert_eq!(root.inspect(path).unwrap(), Entry::Absent);
        }
        let entries: Vec<PathBuf> = backups.entries().into_iter().map(|(path, _)| path).collect();
        assert_eq!(entries, [Path::new("/opt/roots/it")]);
        let names = root.names(Path::new("/opt/theirs")).unwrap();
        assert!(matches!(names.as_slice(), [aside] if aside.starts_with("set-aside-")), "{names:?}");
    }

    #[test]
    fn a_deep_tree_in_place_of_what_the_charm_wrote_goes_and_the_original_comes_back() {
        let scratch = scratch();
        let root = &scratch.root;
        let mut backups = Backups::default();
        for (path, expected) in [(CONF, Some("theirs")), ("/etc/magnum/kubeconfig", None)] {
            backups.back_up(root, Path::new(path)).unwrap();
            scratch.for_each_shape(path, |shape| {
                backups.clone().restore(root, Path::new(path)).unwrap();
                assert_eq!(scratch.text(path).as_deref(), expected, "{shape}");
            });
        }
        assert!(root.temporaries(Path::new("/etc/magnum")).unwrap().is_empty());
    }
}
