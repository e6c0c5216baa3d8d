//! Files of a machine, reached from outside without starting a process.
//!
//! Paths are resolved as inside: `/proc/PID/root` leads into the machine's mounts (its `/tmp` and
//! `/run` too), and `openat2` keeps symbolic links from leading out of them.

use std::fs::{File, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{FileStat, Mode, fstat, mkdirat};
use nix::unistd::{UnlinkatFlags, symlinkat, unlinkat};

use super::Machine;

impl Machine {
    /// The content of a file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self, path: &str) -> Result<Vec<u8>> {
        let mut content = Vec::new();
        let mut file = self
            .open(path, OFlag::O_RDONLY, Mode::empty())
            .with_context(|| self.place(path))?;
        file.read_to_end(&mut content)
            .with_context(|| self.place(path))?;
        Ok(content)
    }

    /// The content of a text file.
    ///
    /// # Errors
    /// When it cannot be read or is not UTF-8.
    pub fn read_text(&self, path: &str) -> Result<String> {
        String::from_utf8(self.read(path)?).with_context(|| self.place(path))
    }

    /// Write a file of root's with exactly this mode, and the directories it needs (0755). An existing
    /// file is overwritten in place, so it keeps its inode and owner; a program is replaced.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn push(&self, path: &str, content: &[u8], mode: u32) -> Result<()> {
        let push = match mode & 0o111 {
            0 => Self::push_file,
            _ => Self::push_program,
        };
        push(self, path, content, mode).with_context(|| self.place(path))
    }

    /// Whether something is at this path; a symbolic link counts by what it leads to.
    ///
    /// # Errors
    /// When it cannot be told.
    pub fn exists(&self, path: &str) -> Result<bool> {
        Ok(self.metadata(path)?.is_some())
    }

    /// Owner, mode, size and times of what is at this path, if anything is. Links are followed.
    ///
    /// # Errors
    /// When it cannot be told.
    pub fn metadata(&self, path: &str) -> Result<Option<FileStat>> {
        match self.open(path, OFlag::O_PATH, Mode::empty()) {
            Ok(file) => Ok(Some(fstat(&file).with_context(|| self.place(path))?)),
            Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(None),
            Err(error) => Err(error).with_context(|| self.place(path)),
        }
    }

    fn push_file(&self, path: &str, content: &[u8], mode: u32) -> Result<()> {
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.make_directory(parent)?;
        }
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC;
        let mut file = self.open(path, flags, Mode::from_bits_truncate(mode))?;
        file.set_permissions(Permissions::from_mode(mode))?;
        file.write_all(content)?;
        Ok(())
    }

    /// By a process inside: were it open for writing here, a process that another thread starts just
    /// then would hold it open for a moment longer, and "text file busy" is all that comes of running it.
    fn push_program(&self, path: &str, content: &[u8], mode: u32) -> Result<()> {
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.make_directory(parent)?;
        }
        let mode = format!("--mode={mode:o}");
        let written =
            self.run_with_input(&["install", &mode, "/dev/stdin", path], Some(content))?;
        ensure!(written.ok(), "install: {}", written.stderr);
        Ok(())
    }

    /// Remove a file or link, if it is there.
    ///
    /// # Errors
    /// When it is a directory or cannot be removed.
    pub fn remove(&self, path: &str) -> Result<()> {
        let (parent, name) = path.rsplit_once('/').context("not an absolute path")?;
        let parent = if parent.is_empty() { "/" } else { parent };
        let removed = self
            .open(parent, OFlag::O_RDONLY | OFlag::O_DIRECTORY, Mode::empty())
            .and_then(|directory| unlinkat(&directory, name, UnlinkatFlags::NoRemoveDir));
        match removed {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(error) => Err(error).with_context(|| self.place(path)),
        }
    }

    /// Make a symbolic link, with the directories it needs.
    pub(crate) fn link(&self, target: &str, path: &str) -> Result<()> {
        let (parent, name) = path.rsplit_once('/').context("not an absolute path")?;
        self.make_directory(parent)?;
        let directory = self.open(parent, OFlag::O_RDONLY | OFlag::O_DIRECTORY, Mode::empty())?;
        symlinkat(target, &directory, name).with_context(|| self.place(path))
    }

    /// Make a directory (0755) and those above it, as far as they are missing.
    pub(crate) fn make_directory(&self, path: &str) -> Result<()> {
        if path.is_empty() || self.exists(path)? {
            return Ok(());
        }
        let (parent, name) = path.rsplit_once('/').context("not an absolute path")?;
        self.make_directory(parent)?;
        let parent = if parent.is_empty() { "/" } else { parent };
        let directory = self.open(parent, OFlag::O_RDONLY | OFlag::O_DIRECTORY, Mode::empty())?;
        mkdirat(&directory, name, Mode::from_bits_truncate(0o755))?;
        self.open(path, OFlag::O_RDONLY, Mode::empty())?
            .set_permissions(Permissions::from_mode(0o755))?;
        Ok(())
    }

    /// Open a path as it is seen inside.
    pub(crate) fn open(&self, path: &str, flags: OFlag, mode: Mode) -> nix::Result<File> {
        let root = File::open(format!("/proc/{}/root", self.leader())).map_err(|_| Errno::ESRCH)?;
        let how = OpenHow::new()
            .flags(flags | OFlag::O_CLOEXEC)
            .mode(mode)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        openat2(&root, path, how).map(File::from)
    }

    fn place(&self, path: &str) -> String {
        format!("{path} in {}", self.hostname())
    }
}
