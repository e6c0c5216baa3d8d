//! Files: how they look, and how they are put in place.
//!
//! Every write is atomic and private: a temporary file beside the target, with its final owner and
//! mode before it holds a byte, synced and then renamed. No reader ever sees half a file, and a
//! secret is never readable by more than its final owner and mode allow.

use std::fs;
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use nix::unistd::{Gid, Uid, fchown};
use sha2::{Digest, Sha256};

/// Nothing the charm writes or compares is larger; a file that is, is not ours.
const SIZE_LIMIT: u64 = 8 << 20;
/// Begins the name of every temporary file, so that one left by a killed hook is known as litter.
pub const TEMPORARY_PREFIX: &str = ".magnum-capi-helm-";

/// Who owns a file and who may read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// The owner's numeric user id.
    pub uid: u32,
    /// The numeric group id.
    pub gid: u32,
    /// The permission bits, `0o640`.
    pub mode: u32,
}

impl Access {
    /// root:root 0600, for what only the charm reads.
    pub const PRIVATE: Self = Self {
        uid: 0,
        gid: 0,
        mode: 0o600,
    };

    /// root:root 0644, as a file of configuration that holds no secret.
    pub const PUBLIC: Self = Self {
        uid: 0,
        gid: 0,
        mode: 0o644,
    };
}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Nothing.
    Absent,
    /// A regular file.
    File(File),
    /// A directory.
    Directory,
    /// Something else (a link, a socket, a file far too large), named for messages.
    Other(&'static str),
}

/// A regular file as it was found.
#[derive(Clone, PartialEq, Eq)]
pub struct File {
    /// Its content.
    pub bytes: Vec<u8>,
    /// Owner and mode.
    pub access: Access,
    /// When content, owner, mode or name last changed (ctime): no tool sets this back.
    pub changed: SystemTime,
    /// When the content was written (mtime).
    pub written: SystemTime,
}

/// Content may be secret and never goes into a log by way of `{:?}`.
impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "File({} bytes, {:?})", self.bytes.len(), self.access)
    }
}

/// Looks at `path` without following a link.
///
/// # Errors
/// When it is there but cannot be read.
pub fn look(path: &Path) -> Result<Entry> {
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Entry::Absent);
        }
        Err(error) => return Err(error).with_context(|| format!("looking at {}", path.display())),
    };
    let kind = meta.file_type();
    if kind.is_dir() {
        return Ok(Entry::Directory);
    }
    if kind.is_symlink() {
        return Ok(Entry::Other("a symbolic link"));
    }
    if !kind.is_file() {
        return Ok(Entry::Other("not a regular file"));
    }
    if meta.len() > SIZE_LIMIT {
        return Ok(Entry::Other("a file of more than 8 MiB"));
    }
    let bytes = read(path)?;
    Ok(Entry::File(File {
        bytes,
        access: Access {
            uid: meta.uid(),
            gid: meta.gid(),
            mode: meta.permissions().mode() & 0o7777,
        },
        changed: time(meta.ctime(), meta.ctime_nsec()),
        written: time(meta.mtime(), meta.mtime_nsec()),
    }))
}

/// A time as `stat(2)` gives it: seconds and nanoseconds since 1970.
fn time(seconds: i64, nanoseconds: i64) -> SystemTime {
    let seconds = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    let nanoseconds = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or_default());
    SystemTime::UNIX_EPOCH + seconds + nanoseconds
}

/// The content of a file, up to the size limit.
///
/// # Errors
/// When it cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(SIZE_LIMIT).read_to_end(&mut bytes))
        .with_context(|| format!("reading {}", path.display()))?;
    Ok(bytes)
}

/// The last `most` bytes of a file.
///
/// # Errors
/// When it cannot be read.
pub fn read_end(path: &Path, most: u64) -> Result<Vec<u8>> {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = fs::File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(most)))?;
        let mut bytes = Vec::new();
        file.take(most).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().with_context(|| format!("reading {}", path.display()))
}

/// The content of a text file, or `None` when there is no such file.
///
/// # Errors
/// When it is there but cannot be read, or is not UTF-8.
pub fn read_text(path: &Path) -> Result<Option<String>> {
    match look(path)? {
        Entry::Absent => Ok(None),
        _ => String::from_utf8(read(path)?)
            .map(Some)
            .with_context(|| format!("{} is not UTF-8", path.display())),
    }
}

/// Puts `bytes` at `path`, atomically, with exactly this owner and mode.
///
/// # Errors
/// When any part of that fails; then what stood at `path` still stands there, untouched.
pub fn write(path: &Path, bytes: &[u8], access: Access) -> Result<()> {
    place(path, bytes, access).with_context(|| format!("writing {}", path.display()))
}

fn place(path: &Path, bytes: &[u8], access: Access) -> Result<()> {
    let Some(parent) = path.parent() else {
        bail!("it has no parent directory");
    };
    let mut file = tempfile::Builder::new()
        .prefix(TEMPORARY_PREFIX)
        .permissions(fs::Permissions::from_mode(0o600))
        .tempfile_in(parent)?;
    fchown(
        file.as_file(),
        Some(Uid::from_raw(access.uid)),
        Some(Gid::from_raw(access.gid)),
    )?;
    file.as_file()
        .set_permissions(fs::Permissions::from_mode(access.mode))?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    sync_directory(parent)
}

/// Makes the renames in a directory durable.
///
/// # Errors
/// When the directory cannot be opened or synced.
pub fn sync_directory(path: &Path) -> Result<()> {
    fs::File::open(path)
        .and_then(|directory| directory.sync_all())
        .with_context(|| format!("syncing {}", path.display()))
}

/// Makes a directory, root:root 0755, when it is not there.
///
/// # Errors
/// When it cannot be made, or something else stands there.
pub fn make_directory(path: &Path, mode: u32) -> Result<()> {
    match fs::DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        done => done.with_context(|| format!("making the directory {}", path.display())),
    }
}

/// Removes whatever stands at `path`, whole.
///
/// # Errors
/// When it cannot be removed. Nothing there is no error.
pub fn remove(path: &Path) -> Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => Err(error),
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
    };
    removed.with_context(|| format!("removing {}", path.display()))
}

/// Temporary files and directories that a killed hook left in `directory`.
///
/// # Errors
/// When the directory is there but cannot be read.
pub fn litter(directory: &Path) -> Result<Vec<PathBuf>> {
    Ok(names(directory)?
        .into_iter()
        .filter(|name| name.starts_with(TEMPORARY_PREFIX))
        .map(|name| directory.join(name))
        .collect())
}

/// Whether `path` is a directory itself, and no link to one.
pub fn is_real_directory(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir())
}

/// The names in a directory, sorted; none when it does not exist. Names that are no UTF-8 are not
/// ours and are left out.
///
/// # Errors
/// When it is there but cannot be read.
pub fn names(directory: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => {
            return Err(error).with_context(|| format!("listing {}", directory.display()));
        }
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.with_context(|| format!("listing {}", directory.display()))?;
        names.extend(entry.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

/// The sha256 of `bytes`, in lower-case hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mine(mode: u32) -> Access {
        Access {
            uid: Uid::effective().as_raw(),
            gid: Gid::effective().as_raw(),
            mode,
        }
    }

    #[test]
    fn a_written_file_has_its_bytes_and_mode_and_leaves_no_temporary_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kubeconfig");
        write(&path, b"one", mine(0o640)).unwrap();
        write(&path, b"two", mine(0o640)).unwrap();
        let Entry::File(file) = look(&path).unwrap() else {
            panic!("no file")
        };
        assert_eq!(
            (file.bytes.as_slice(), file.access),
            (&b"two"[..], mine(0o640))
        );
        assert_eq!(names(dir.path()).unwrap(), ["kubeconfig"]);
    }

    #[test]
    fn a_write_that_cannot_be_finished_leaves_what_stood_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("inside"), "theirs").unwrap();
        assert!(write(&path, b"ours", mine(0o644)).is_err());
        assert_eq!(look(&path).unwrap(), Entry::Directory);
        assert_eq!(litter(dir.path()).unwrap(), Vec::<PathBuf>::new());
    }

    #[test]
    fn a_link_is_seen_as_a_link_and_never_followed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("link");
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert_eq!(look(&path).unwrap(), Entry::Other("a symbolic link"));
    }

    #[test]
    fn content_does_not_show_in_debug_output() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        write(&path, b"hunter2", mine(0o600)).unwrap();
        assert!(!format!("{:?}", look(&path).unwrap()).contains("hunter2"));
    }
}
