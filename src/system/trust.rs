//! Whether a path is root's alone. Root believes only programs of which that holds, and puts programs, modules and units
//! only into such directories: whoever else can change something on the way decides what is run or written.
//!
//! A path is root's alone if it and every directory above it is a real one (at the path's end a regular file will do),
//! belongs to root and can be written by nobody else, not even within a sticky directory as `/tmp` is. Who is allowed
//! to write by an ACL shows in the bits of the group. One group counts as root, below `/usr/local`: Debian's `staff`,
//! whose members install there by Debian's policy (9.1.2), ahead of all else on root's own PATH. Older Debians make
//! `/usr/local/lib/python3.X/dist-packages` root:staff 2775.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use cap_std::fs::Metadata;
use thiserror::Error;

use super::Root;
use super::root::at;

/// Debian's group `staff` has this id everywhere (base-passwd).
const STAFF: u32 = 50;
const STAFF_DIRECTORY: &str = "/usr/local";

/// The first part of a path that is not root's alone, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{} {what}", .path.display())]
pub struct NotRootsAlone {
    pub path: PathBuf,
    what: String,
}

impl Root {
    /// Makes sure that `path` is root's alone; of one that is not there, the directories above it that are.
    ///
    /// # Errors
    /// [`NotRootsAlone`], or if it cannot be looked at.
    pub fn ensure_roots_alone(&self, path: &Path) -> Result<()> {
        let mut parts: Vec<&Path> = path.ancestors().collect();
        // From the top down: nobody else can replace what lies in a directory that has passed.
        parts.reverse();
        for part in parts {
            let meta = match part.file_name() {
                None => Some(at("inspecting", part, self.top_metadata())?),
                Some(_) => self.metadata(part)?,
            };
            let Some(meta) = meta else { return Ok(()) };
            let what = match meta.file_type() {
                kind if kind.is_dir() || part == path && kind.is_file() => self.shared(part, &meta),
                kind if kind.is_symlink() => {
                    Some("is a symbolic link, which is not followed here: put the directory itself there".to_owned())
                }
                _ => Some("is not a directory: put one of root's in its place".to_owned()),
            };
            if let Some(what) = what {
                bail!(NotRootsAlone { path: part.to_owned(), what });
            }
        }
        Ok(())
    }

    /// Makes sure that a program and the links that lead to it, also those on the way as `/bin` is, are root's alone.
    ///
    /// # Errors
    /// As [`Self::ensure_roots_alone`].
    pub fn ensure_program_is_roots(&self, program: &Path) -> Result<()> {
        let directory = |path: &Path| path.parent().map_or(Ok(()), |parent| self.ensure_roots_alone(parent));
        let (end, _) = self.follow(program, directory)?;
        self.ensure_roots_alone(&end)
    }

    /// Says who else can change a file or directory, and what to do.
    fn shared(&self, path: &Path, meta: &Metadata) -> Option<String> {
        let shown = path.display();
        let access = self.access_of(meta);
        let is_staff = access.gid == STAFF && path.starts_with(STAFF_DIRECTORY);
        let writable = if is_staff { 0o002 } else { 0o022 };
        let what = match (access.uid, access.mode & writable) {
            (0, 0) => return None,
            (0, _) => "can be written by others than root",
            (..) => "does not belong to root",
        };
        Some(format!("{what}, who decide what root runs or writes there: chown root:root {shown}; chmod go-w {shown}"))
    }

    /// Whether `path` is root's alone.
    ///
    /// # Errors
    /// If it cannot be looked at.
    pub fn is_roots_alone(&self, path: &Path) -> Result<bool> {
        match self.ensure_roots_alone(path) {
            Err(error) if error.is::<NotRootsAlone>() => Ok(false),
            ensured => ensured.map(|()| true),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt as _, chown};

    use crate::system::testing::Scratch;

    use super::*;

    const SITE: &str = "/usr/local/lib/python3.11/dist-packages";
    const PROGRAM: &str = "/usr/bin/python3.11";

    fn scratch() -> Scratch {
        let scratch = Scratch::new();
        scratch.put(format!("{SITE}/x"), "");
        scratch.put(PROGRAM, "");
        scratch.link("/usr/bin/python3", "python3.11");
        scratch
    }

    fn set_mode(scratch: &Scratch, path: &str, mode: u32) {
        std::fs::set_permissions(scratch.path(path), Permissions::from_mode(mode)).unwrap();
    }

    /// The part that is named.
    fn named(result: Result<()>) -> Option<String> {
        let error = result.err()?.downcast::<NotRootsAlone>().unwrap();
        Some(error.path.display().to_string())
    }

    #[test]
    fn directories_files_and_what_is_not_there_yet_are_roots_below_directories_of_root() {
        let scratch = scratch();
        for path in ["/", SITE, PROGRAM, "/usr/local/share/none/at/all"] {
            scratch.root.ensure_roots_alone(Path::new(path)).unwrap();
        }
        scratch.root.ensure_program_is_roots(Path::new("/usr/bin/python3")).unwrap();
    }

    #[test]
    fn whoever_else_may_write_anywhere_on_the_way_is_named_with_the_remedy() {
        for (part, mode) in [("/usr/local", 0o775), ("/usr/local/lib", 0o1777), (SITE, 0o2775), (SITE, 0o757)] {
            let scratch = scratch();
            set_mode(&scratch, part, mode);
            let error = scratch.root.ensure_roots_alone(Path::new(SITE)).unwrap_err();
            assert!(format!("{error:#}").ends_with(&format!("chown root:root {part}; chmod go-w {part}")), "{error:#}");
            assert_eq!(named(Err(error)).as_deref(), Some(part));
            let missing = format!("{SITE}/none/at/all");
            assert_eq!(named(scratch.root.ensure_roots_alone(Path::new(&missing))).as_deref(), Some(part));
        }
        let scratch = scratch();
        set_mode(&scratch, "/", 0o777);
        assert_eq!(named(scratch.root.ensure_roots_alone(Path::new(SITE))).as_deref(), Some("/"));
        set_mode(&scratch, "/", 0o755);
        set_mode(&scratch, PROGRAM, 0o775);
        let found = scratch.root.ensure_program_is_roots(Path::new("/usr/bin/python3"));
        assert_eq!(named(found).as_deref(), Some(PROGRAM));
    }

    #[test]
    fn a_link_and_a_file_on_the_way_are_named_and_a_program_behind_a_foreign_link_is_not_roots() {
        let scratch = scratch();
        scratch.link("/usr/local/link", "lib");
        let alone = |path: &str| named(scratch.root.ensure_roots_alone(Path::new(path)));
        assert_eq!(alone("/usr/local/link/python3.11").as_deref(), Some("/usr/local/link"));
        assert_eq!(alone("/usr/bin/python3.11/x").as_deref(), Some("/usr/bin/python3.11"));
        // The file is root's, and somebody else decides that it is this one.
        scratch.put("/opt/venv/bin/x", "");
        set_mode(&scratch, "/opt/venv", 0o777);
        scratch.link("/opt/venv/bin/python", "/usr/bin/python3");
        scratch.link("/usr/bin/python", "/opt/venv/bin/python");
        let found = scratch.root.ensure_program_is_roots(Path::new("/usr/bin/python"));
        assert_eq!(named(found).as_deref(), Some("/opt/venv"));
    }

    #[test]
    fn a_program_behind_a_directory_that_is_a_link_of_roots_is_roots_and_elsewhere_a_link_is_called_one() {
        let scratch = scratch();
        scratch.link("/bin", "usr/bin");
        scratch.root.ensure_program_is_roots(Path::new("/bin/python3")).unwrap();
        let error = scratch.root.ensure_roots_alone(Path::new("/bin/python3")).unwrap_err().to_string();
        assert!(error.starts_with("/bin is a symbolic link, which is not followed here"), "{error}");
        // The link itself is in a directory of others.
        scratch.put("/opt/x", "");
        scratch.link("/opt/bin", "/usr/bin");
        set_mode(&scratch, "/opt", 0o777);
        let found = scratch.root.ensure_program_is_roots(Path::new("/opt/bin/python3"));
        assert_eq!(named(found).as_deref(), Some("/opt"));
    }

    /// Only root can give files away.
    #[test]
    fn another_owner_is_named_and_debians_staff_counts_as_root_below_usr_local_only() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let scratch = scratch();
        let alone = |path: &str| named(scratch.root.ensure_roots_alone(Path::new(path)));
        for directory in ["/usr/local/lib/python3.11", SITE, "/usr/bin"] {
            chown(scratch.path(directory), None, Some(STAFF)).unwrap();
            set_mode(&scratch, directory, 0o2775);
        }
        assert_eq!(alone(SITE), None);
        assert_eq!(alone(PROGRAM).as_deref(), Some("/usr/bin"));
        set_mode(&scratch, SITE, 0o2777);
        assert_eq!(alone(SITE).as_deref(), Some(SITE));
        chown(scratch.path("/usr/local/lib"), Some(64), None).unwrap();
        assert_eq!(alone(SITE).as_deref(), Some("/usr/local/lib"));
    }
}
