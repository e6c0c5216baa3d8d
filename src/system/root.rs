//! The file system, from a root directory that is passed in: looking and reading. No link is followed, whether at a
//! path's end or on the way, and nothing that is not a regular file is read.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata, MetadataExt as _};
use nix::errno::Errno;
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::directory::{self, LEASED, TEMPORARY_PREFIX, is_absent, is_leased, is_link};
use super::{Access, Entry, FileIdentity, RegularFile, TooMuch};

/// The most bytes of a file that is read or compared, and of what a program prints.
pub const SIZE_LIMIT: u64 = 8 << 20;
/// The most temporary files of a directory that are removed at a time: others may put any number there.
const MOST_TEMPORARIES: usize = 50;
/// The most names of a directory. Python's own have some hundreds.
const MOST_NAMES: usize = 20_000;

/// How often a path is looked at until it is the same when it is opened and when it is looked at.
const MOST_LOOKS: usize = 20;

/// A directory handle on the top of a file system (or of a part of it).
#[derive(Debug, Clone)]
pub struct Root {
    top: Arc<Dir>,
    /// The ids that stand for root: 0 and 0, but for a test's directory.
    pub(super) root_ids: (u32, u32),
}

impl Root {
    /// Opens the file system whose root directory is `path`. Whoever owns `path` counts as root in it.
    ///
    /// # Errors
    /// If the directory cannot be opened.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let top = Dir::open_ambient_dir(path, ambient_authority());
        let opened = top.and_then(|top| Ok((top.dir_metadata()?, top)));
        let (meta, top) = at("opening", path, opened)?;
        Ok(Self { root_ids: (meta.uid(), meta.gid()), top: Arc::new(top) })
    }

    /// Opens the directory at `path` as a root of its own; `None` if it is not there, or is a link or behind one.
    ///
    /// # Errors
    /// If it is there but cannot be opened.
    pub fn below(&self, path: &Path) -> Result<Option<Self>> {
        let opened = at("opening", path, unless_absent(directory::open(&self.top, path)))?;
        Ok(opened.map(|top| Self { top: Arc::new(top), root_ids: self.root_ids }))
    }

    /// Returns the metadata of the root directory itself, which has no name.
    pub(super) fn top_metadata(&self) -> io::Result<Metadata> {
        self.top.dir_metadata()
    }

    /// Opens the parent directory of `path`, and returns it with the last component.
    pub(super) fn parent<'a>(&self, path: &'a Path) -> io::Result<(Dir, &'a OsStr)> {
        let name = path.file_name().ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, "the path has no name"))?;
        Ok((directory::open(&self.top, path.parent().unwrap_or(Path::new("")))?, name))
    }

    /// Looks at what stands at `path`.
    ///
    /// # Errors
    /// If something is there but cannot be read.
    pub fn inspect(&self, path: &Path) -> Result<Entry> {
        at("inspecting", path, self.entry(path))
    }

    fn entry(&self, path: &Path) -> io::Result<Entry> {
        for _ in 0..MOST_LOOKS {
            let (meta, file) = match directory::open_for_reading(&self.top, path) {
                Ok(file) => (file.metadata()?, Ok(file)),
                // A link, a socket, or nothing.
                Err(error) => match self.find(path)? {
                    Some((_, _, meta)) => (meta, Err(error)),
                    None => return Ok(Entry::Absent),
                },
            };
            match meta.file_type() {
                kind if kind.is_dir() => return Ok(Entry::Directory),
                kind if kind.is_symlink() => return Ok(Entry::Other("a symbolic link")),
                kind if !kind.is_file() => return Ok(Entry::Other("a special file")),
                _ if meta.len() > SIZE_LIMIT => return Ok(Entry::Other("a file of more than 8 MiB")),
                _ => {}
            }
            let file = match file {
                Err(error) if is_leased(&error) => return Ok(Entry::Other(LEASED)),
                // It was something else when it was opened.
                Err(error) if directory::is_absent(&error) || directory::is_link(&error) => continue,
                Err(error) if error.raw_os_error() == Some(Errno::ENXIO as i32) => continue,
                file => file?,
            };
            return Ok(Entry::File(RegularFile {
                bytes: read_bounded(file, meta.len())?,
                access: self.access_of(&meta),
                changed: time(meta.ctime(), meta.ctime_nsec()),
                written: time(meta.mtime(), meta.mtime_nsec()),
            }));
        }
        Ok(Entry::Other("a file that somebody keeps replacing"))
    }

    /// Returns the metadata of what stands at `path`; `None` if nothing is there.
    ///
    /// # Errors
    /// If it cannot be looked at.
    pub fn metadata(&self, path: &Path) -> Result<Option<Metadata>> {
        let found = at("inspecting", path, self.find(path))?;
        Ok(found.map(|(_, _, meta)| meta))
    }

    /// Returns the metadata of what stands at each path, as [`Self::metadata`] does; opens a directory once for those of
    /// its paths that follow each other.
    ///
    /// # Errors
    /// If one cannot be looked at.
    pub fn metadata_of(&self, paths: &[PathBuf]) -> Result<Vec<Option<Metadata>>> {
        let mut parent: Option<(&Path, Option<Dir>)> = None;
        let mut found = Vec::new();
        for path in paths {
            let (above, name) = (path.parent().unwrap_or(Path::new("")), path.file_name().unwrap_or_default());
            if parent.as_ref().is_none_or(|(opened, _)| *opened != above) {
                parent = Some((above, at("opening", above, unless_absent(directory::open(&self.top, above)))?));
            }
            let directory = parent.as_ref().and_then(|(_, directory)| directory.as_ref());
            let meta = directory.map(|directory| unless_absent(directory.symlink_metadata(name)));
            found.push(at("inspecting", path, meta.transpose())?.flatten());
        }
        Ok(found)
    }

    /// Returns the identities of those of `paths` that are there.
    ///
    /// # Errors
    /// If one cannot be looked at.
    pub fn identities(&self, paths: &[PathBuf]) -> Result<Vec<FileIdentity>> {
        let found = self.metadata_of(paths)?;
        let there = paths.iter().zip(&found).filter_map(|(path, meta)| Some((path, meta.as_ref()?)));
        Ok(there.map(|(path, meta)| FileIdentity::new(path, meta)).collect())
    }

    pub(super) fn find(&self, path: &Path) -> io::Result<Option<(Dir, OsString, Metadata)>> {
        let Some((parent, name)) = unless_absent(self.parent(path))? else { return Ok(None) };
        let meta = unless_absent(parent.symlink_metadata(name))?;
        Ok(meta.map(|meta| (parent, name.to_owned(), meta)))
    }

    /// Returns owner and mode; the ids that stand for root are 0.
    pub fn access_of(&self, meta: &Metadata) -> Access {
        let (uid, gid) = self.root_ids;
        Access {
            uid: if meta.uid() == uid { 0 } else { meta.uid() },
            gid: if meta.gid() == gid { 0 } else { meta.gid() },
            mode: meta.mode() & 0o7777,
        }
    }

    /// Whether `path` is a directory itself, and no link to one.
    ///
    /// # Errors
    /// If it cannot be looked at.
    pub fn is_directory(&self, path: &Path) -> Result<bool> {
        Ok(self.metadata(path)?.is_some_and(|meta| meta.is_dir()))
    }

    /// Whether `path` is a regular file itself, and no link to one.
    ///
    /// # Errors
    /// If it cannot be looked at.
    pub fn is_file(&self, path: &Path) -> Result<bool> {
        Ok(self.metadata(path)?.is_some_and(|meta| meta.is_file()))
    }

    /// Returns the identity of the file at `path`; `None` if nothing is there.
    ///
    /// # Errors
    /// If it cannot be looked at.
    pub fn identity(&self, path: &Path) -> Result<Option<FileIdentity>> {
        Ok(self.metadata(path)?.map(|meta| FileIdentity::new(path, &meta)))
    }

    /// Opens the regular file at `path` for reading.
    ///
    /// # Errors
    /// If it is not there, is not a regular file, is a link or behind one.
    pub fn open_file(&self, path: &Path) -> Result<fs::File> {
        Ok(self.open_regular(path)?.0)
    }

    fn open_regular(&self, path: &Path) -> Result<(fs::File, u64)> {
        let file = at("opening", path, directory::open_for_reading(&self.top, path))?;
        let meta = at("inspecting", path, file.metadata())?;
        ensure!(meta.is_file(), "{} is not a regular file", path.display());
        Ok((file.into_std(), meta.len()))
    }

    /// Returns the content of a file.
    ///
    /// # Errors
    /// If it cannot be read, or has more than 8 MiB.
    pub fn read(&self, path: &Path) -> Result<Vec<u8>> {
        let (file, size) = self.open_regular(path)?;
        at("reading", path, read_bounded(file, size))
    }

    /// Returns the text of a file, bytes that are not UTF-8 replaced; `None` if there is no such file.
    ///
    /// # Errors
    /// If it is there but cannot be read.
    pub fn read_text(&self, path: &Path) -> Result<Option<String>> {
        Ok(self.content(path)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Returns the content of a file; `None` if nothing is there.
    pub(super) fn content(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        match self.inspect(path)? {
            Entry::Absent => Ok(None),
            Entry::File(file) => Ok(Some(file.bytes)),
            Entry::Directory => bail!("{} is a directory", path.display()),
            Entry::Other(what) => bail!("{} is {what}", path.display()),
        }
    }

    /// Returns the names in a directory, sorted; none if it is not there. Names that are not UTF-8 are left out.
    ///
    /// # Errors
    /// [`TooMuch`] if it has more than 20,000; and if it is there but cannot be read.
    pub fn names(&self, path: &Path) -> Result<Vec<String>> {
        let opened = directory::open_for_listing(&self.top, path);
        let listed = opened.and_then(|directory| directory::names(directory, MOST_NAMES));
        if listed.as_ref().is_err_and(|error| error.kind() == ErrorKind::FileTooLarge) {
            bail!(TooMuch { path: path.to_owned(), what: format!("has more than {MOST_NAMES} names") });
        }
        Ok(at("listing", path, unless_absent(listed))?.unwrap_or_default())
    }

    /// Returns the temporary files that a killed hook left in a directory: root's first, and no more than are removed
    /// at a time.
    ///
    /// # Errors
    /// If the directory is there but cannot be read.
    pub fn temporaries(&self, path: &Path) -> Result<Vec<PathBuf>> {
        let names = self.names(path)?.into_iter().filter(|name| name.starts_with(TEMPORARY_PREFIX));
        let paths: Vec<PathBuf> = names.map(|name| path.join(name)).collect();
        let found = self.metadata_of(&paths)?.into_iter().zip(paths);
        let mut found: Vec<_> = found.map(|(meta, path)| (meta.map(|meta| self.access_of(&meta).uid), path)).collect();
        found.sort();
        Ok(found.into_iter().take(MOST_TEMPORARIES).map(|(_, path)| path).collect())
    }
}

/// A path at which even root may not look, or that it cannot replace: somebody has mounted a file system of their own.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("root is kept from {}; unmount what is mounted there", .0.display())]
pub struct Mounted(pub PathBuf);

/// Names what was done, and where, in an error; [`Mounted`] if root is kept from it.
pub(super) fn at<T>(verb: &str, path: &Path, result: io::Result<T>) -> Result<T> {
    let kept_out = [Errno::EACCES, Errno::EBUSY].map(|errno| Some(errno as i32));
    let is_mounted = result.as_ref().is_err_and(|error| kept_out.contains(&error.raw_os_error()));
    let result = result.with_context(|| format!("{verb} {}", path.display()));
    if is_mounted { result.context(Mounted(path.to_owned())) } else { result }
}

/// `None` for an error which means that nothing is there, or that a link stands on the way.
fn unless_absent<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if is_absent(&error) || is_link(&error) => Ok(None),
        result => result.map(Some),
    }
}

/// Reads a file that had this size when it was opened; those of `/proc` have none.
fn read_bounded(file: impl Read, size: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(usize::try_from(size.min(SIZE_LIMIT)).unwrap_or_default());
    let most = if size == 0 { SIZE_LIMIT + 1 } else { size.min(SIZE_LIMIT + 1) };
    file.take(most).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > SIZE_LIMIT {
        true => Err(io::Error::other("it has more than 8 MiB")),
        false => Ok(bytes),
    }
}

/// Returns a time as `stat(2)` gives it: seconds and nanoseconds since 1970.
fn time(seconds: i64, nanoseconds: i64) -> SystemTime {
    let (seconds, nanoseconds) = (seconds.try_into().unwrap_or_default(), nanoseconds.try_into().unwrap_or_default());
    SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds)
}

/// Returns the sha256 of `bytes` in lower-case hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
#[path = "root_tests.rs"]
mod tests;
