//! Files of a machine, by their paths inside.
//!
//! Reading starts no process: `/proc/PID/root` leads into the machine's mounts (its `/tmp` and `/run` too), and
//! `openat2` keeps symbolic links from leading out of them. Writing is done by a process inside, since what a user
//! outside the namespace makes belongs to nobody inside.

use std::fs::File;
use std::io::Read;

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{FileStat, fstat};

use super::Machine;
use crate::root::HOST_ID_OF_ROOT;

/// The owner that the kernel shows where the real one has no id in the namespace.
const NOBODY: u32 = 65_534;

/// Overwrites the file $2 in place, or makes it with the directories above it; $1 is the mode. A program is
/// always made anew: one that runs cannot be overwritten.
const PUSH: &str = r#"case $1 in
    *[1357]*) ;;
    *) if [ -f "$2" ]; then cat >"$2"; exec chmod "$1" "$2"; fi ;;
esac
exec install -D --mode="$1" /dev/stdin "$2""#;

impl Machine {
    pub fn read(&self, path: &str) -> Result<Vec<u8>> {
        let place = || format!("{path} in {}", self.hostname());
        let mut content = Vec::new();
        let mut file = self.open(path, OFlag::O_RDONLY).with_context(place)?;
        file.read_to_end(&mut content).with_context(place)?;
        Ok(content)
    }

    pub fn read_text(&self, path: &str) -> Result<String> {
        String::from_utf8(self.read(path)?).with_context(|| path.to_owned())
    }

    /// Write a file of root's with exactly this mode, and the directories it needs (0755). An existing
    /// file is overwritten in place, so it keeps its inode and owner; a program is replaced.
    pub fn push(&self, path: &str, content: &[u8], mode: u32) -> Result<()> {
        let command = ["sh", "-ec", PUSH, "push", &format!("{mode:o}"), path];
        let written = self.run_with_input(&command, Some(content))?;
        ensure!(written.ok(), "writing {path} in {}: {}", self.hostname(), written.stderr);
        Ok(())
    }

    /// Whether something is at this path; a symbolic link counts by what it leads to.
    pub fn exists(&self, path: &str) -> Result<bool> {
        Ok(self.metadata(path)?.is_some())
    }

    /// Owner (by its ids inside), mode, size and times of what is at this path, if anything is. Links are followed.
    pub fn metadata(&self, path: &str) -> Result<Option<FileStat>> {
        let place = || format!("{path} in {}", self.hostname());
        let inside = |id: u32| id.checked_sub(HOST_ID_OF_ROOT).unwrap_or(NOBODY);
        match self.open(path, OFlag::O_PATH) {
            Ok(file) => {
                let mut found = fstat(&file).with_context(place)?;
                (found.st_uid, found.st_gid) = (inside(found.st_uid), inside(found.st_gid));
                Ok(Some(found))
            }
            Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(None),
            Err(error) => Err(error).with_context(place),
        }
    }

    pub fn remove(&self, path: &str) -> Result<()> {
        let removed = self.run(&["rm", "-f", "--", path])?;
        ensure!(removed.ok(), "in {}: {}", self.hostname(), removed.stderr);
        Ok(())
    }

    /// Open a path for reading, as it is seen inside.
    fn open(&self, path: &str, flags: OFlag) -> nix::Result<File> {
        let root = File::open(format!("/proc/{}/root", self.leader())).map_err(|_| Errno::ESRCH)?;
        let how = OpenHow::new()
            .flags(flags | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        openat2(&root, path, how).map(File::from)
    }
}
