//! What stands at a path, and the files that the charm keeps there.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use cap_std::fs::{Metadata, MetadataExt as _};
use serde::{Deserialize, Serialize};

/// Owner and permission bits of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    pub uid: u32,
    pub gid: u32,
    /// `0o640`.
    pub mode: u32,
}

impl Access {
    /// root:root 0600.
    pub const PRIVATE: Self = Self::of_root(0o600);
    /// root:root 0644.
    pub const PUBLIC: Self = Self::of_root(0o644);

    pub const fn of_root(mode: u32) -> Self {
        Self { uid: 0, gid: 0, mode }
    }
}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    Absent,
    File(RegularFile),
    Directory,
    /// Something else (a link, a socket, a file over the size limit), named for messages.
    Other(&'static str),
}

/// A regular file as found.
#[derive(Clone, PartialEq, Eq)]
pub struct RegularFile {
    pub bytes: Vec<u8>,
    pub access: Access,
    /// ctime: the last change of content, owner, mode or name. No tool sets it back.
    pub changed: SystemTime,
    /// mtime: the last change of content.
    pub written: SystemTime,
}

/// Without the content, which may be secret.
impl std::fmt::Debug for RegularFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RegularFile({} bytes, {:?})", self.bytes.len(), self.access)
    }
}

/// Tells a file from any that replaces it, and from itself when it is changed: the key of what is cached about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileIdentity {
    pub path: PathBuf,
    pub(super) inode: u64,
    pub(super) size: u64,
    pub(super) changed: (i64, i64),
}

impl FileIdentity {
    /// The identity of what stands at `path`, by its metadata.
    pub fn new(path: &Path, meta: &Metadata) -> Self {
        let changed = (meta.ctime(), meta.ctime_nsec());
        Self { path: path.to_owned(), inode: meta.ino(), size: meta.len(), changed }
    }
}

/// A file that the charm puts in place and keeps.
#[derive(Clone, PartialEq, Eq)]
pub struct ManagedFile {
    pub path: PathBuf,
    pub bytes: Vec<u8>,
    pub access: Access,
}

/// Without the content, which may be secret.
impl std::fmt::Debug for ManagedFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ManagedFile({}, {:?})", self.path.display(), self.access)
    }
}

impl ManagedFile {
    /// A file that everybody may read: root:root 0644.
    pub fn public(path: impl Into<PathBuf>, content: impl Into<Vec<u8>>) -> Self {
        Self { path: path.into(), bytes: content.into(), access: Access::PUBLIC }
    }

    /// Returns how the entry at its path differs, in a few words.
    pub fn drift(&self, found: &Entry) -> Option<String> {
        let file = match found {
            Entry::Absent => return Some("missing".to_owned()),
            Entry::Directory => return Some("a directory stands in its place".to_owned()),
            Entry::Other(what) => return Some(format!("{what} stands in its place")),
            Entry::File(file) => file,
        };
        if file.bytes != self.bytes {
            return Some("content differs".to_owned());
        }
        let shown = |access: Access| format!("{}:{} {:04o}", access.uid, access.gid, access.mode);
        (file.access != self.access).then(|| {
            let (found, wanted) = (shown(file.access), shown(self.access));
            format!("owner and mode are {found}, not {wanted}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drift_is_named() {
        let wanted = ManagedFile::public("/x", "text");
        let found = |content: &str, mode| {
            Entry::File(RegularFile {
                bytes: content.into(),
                access: Access::of_root(mode),
                changed: SystemTime::now(),
                written: SystemTime::now(),
            })
        };
        assert_eq!(wanted.drift(&found("text", 0o644)), None);
        for (entry, words) in [
            (found("texT", 0o644), "content differs"),
            (found("text", 0o666), "are 0:0 0666, not 0:0 0644"),
            (Entry::Absent, "missing"),
            (Entry::Directory, "a directory stands"),
            (Entry::Other("a symbolic link"), "a symbolic link stands"),
        ] {
            let drift = wanted.drift(&entry).unwrap();
            assert!(drift.contains(words), "{drift}");
        }
    }
}
