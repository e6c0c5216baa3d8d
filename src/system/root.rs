//! The file system, from a root directory that is passed in.
//!
//! Every write is atomic and private: a temporary file of an unguessable name beside the target, with its final owner
//! and mode before it holds a byte, synced and then renamed. No reader sees half a file, and a secret is never readable
//! by more than its final owner and mode allow. No link is followed, whether at a path's end or on the way.

use std::fs;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, DirBuilder, DirBuilderExt as _, Metadata, MetadataExt as _};
use nix::unistd::{Gid, Uid, fchown};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::directory::{self, TEMPORARY_PREFIX, is_absent};

/// Nothing the charm writes or compares is larger, in bytes.
const SIZE_LIMIT: u64 = 8 << 20;

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
    inode: u64,
    size: u64,
    changed: (i64, i64),
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

/// A directory handle on the top of a file system (or of a part of it).
#[derive(Debug, Clone)]
pub struct Root {
    top: Arc<Dir>,
    /// The ids that stand for root: 0 and 0, but for a test's directory.
    root_ids: (u32, u32),
}

impl Root {
    /// Opens the file system whose root directory is `path`. Whoever owns `path` counts as root in it.
    ///
    /// # Errors
    /// If the directory cannot be opened.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let opened = Dir::open_ambient_dir(path, ambient_authority()).and_then(|top| Ok((top.dir_metadata()?, top)));
        let (meta, top) = opened.with_context(|| format!("opening {}", path.display()))?;
        Ok(Self { root_ids: (meta.uid(), meta.gid()), top: Arc::new(top) })
    }

    /// Opens the directory at `path` as a root of its own; `None` if it is not there, or is a link or behind one.
    ///
    /// # Errors
    /// If it is there but cannot be opened.
    pub fn below(&self, path: &Path) -> Result<Option<Self>> {
        match directory::open(&self.top, path) {
            Ok(top) => Ok(Some(Self { top: Arc::new(top), root_ids: self.root_ids })),
            Err(error) if is_absent(&error) || is_link(&error) => Ok(None),
            Err(error) => Err(error).with_context(|| format!("opening {}", path.display())),
        }
    }

    pub(super) fn parent<'a>(&self, path: &'a Path) -> io::Result<(Dir, &'a std::ffi::OsStr)> {
        directory::open_parent(&self.top, path)
    }

    /// Looks at what stands at `path`.
    ///
    /// # Errors
    /// If something is there but cannot be read.
    pub fn inspect(&self, path: &Path) -> Result<Entry> {
        let context = || format!("inspecting {}", path.display());
        let Some((parent, name, meta)) = self.metadata_of(path).with_context(context)? else {
            return Ok(Entry::Absent);
        };
        let kind = meta.file_type();
        if kind.is_dir() {
            return Ok(Entry::Directory);
        }
        if kind.is_symlink() {
            return Ok(Entry::Other("a symbolic link"));
        }
        if !kind.is_file() {
            return Ok(Entry::Other("a special file"));
        }
        if meta.len() > SIZE_LIMIT {
            return Ok(Entry::Other("a file of more than 8 MiB"));
        }
        let file = match directory::open_file(&parent, &name) {
            Err(error) if is_absent(&error) || is_link(&error) => return Ok(Entry::Absent),
            opened => opened.with_context(context)?,
        };
        let meta = file.metadata().with_context(context)?;
        Ok(Entry::File(RegularFile {
            bytes: read_bounded(file).with_context(context)?,
            access: self.access_of(&meta),
            changed: time(meta.ctime(), meta.ctime_nsec()),
            written: time(meta.mtime(), meta.mtime_nsec()),
        }))
    }

    /// Returns owner and mode of what stands at `path`, and whether it is a directory; `None` if nothing is there.
    ///
    /// # Errors
    /// If it cannot be looked at.
    pub fn metadata(&self, path: &Path) -> Result<Option<Metadata>> {
        let found = self.metadata_of(path);
        let found = found.with_context(|| format!("inspecting {}", path.display()))?;
        Ok(found.map(|(_, _, meta)| meta))
    }

    fn metadata_of(&self, path: &Path) -> io::Result<Option<(Dir, std::ffi::OsString, Metadata)>> {
        let (parent, name) = match self.parent(path) {
            Ok(found) => found,
            Err(error) if is_absent(&error) || is_link(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        match parent.symlink_metadata(name) {
            Ok(meta) => Ok(Some((parent, name.to_owned(), meta))),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(error),
        }
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
        Ok(self.metadata(path)?.map(|meta| FileIdentity {
            path: path.to_owned(),
            inode: meta.ino(),
            size: meta.len(),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }))
    }

    /// Follows the links at the end of `path` as a program does that opens it, for programs in directories of root.
    ///
    /// # Errors
    /// If there are more than eight, or one cannot be read.
    pub fn resolve(&self, path: &Path) -> Result<PathBuf> {
        let mut path = path.to_owned();
        for _ in 0..8 {
            match self.metadata(&path)? {
                Some(meta) if meta.is_symlink() => {}
                _ => return Ok(path),
            }
            let (parent, name) = self.parent(&path)?;
            let target = parent.read_link_contents(name)?;
            path.pop();
            // No directory on the way is a link, so that `..` is the one above by name too.
            for component in target.components() {
                match component {
                    Component::RootDir => path = PathBuf::from("/"),
                    Component::ParentDir => drop(path.pop()),
                    Component::Normal(name) => path.push(name),
                    Component::CurDir | Component::Prefix(_) => {}
                }
            }
        }
        bail!("too many links lead from {}", path.display())
    }

    /// Opens the regular file at `path` for reading.
    ///
    /// # Errors
    /// If it is not there, is not a regular file, is a link or behind one.
    pub fn open_file(&self, path: &Path) -> Result<fs::File> {
        self.open_regular(path).with_context(|| format!("opening {}", path.display()))
    }

    fn open_regular(&self, path: &Path) -> io::Result<fs::File> {
        let (parent, name) = self.parent(path)?;
        let file = directory::open_file(&parent, name)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(ErrorKind::InvalidInput, "not a regular file"));
        }
        Ok(file.into_std())
    }

    /// Returns the content of a file.
    ///
    /// # Errors
    /// If it cannot be read, or has more than 8 MiB.
    pub fn read(&self, path: &Path) -> Result<Vec<u8>> {
        self.open_regular(path).and_then(read_bounded).with_context(|| format!("reading {}", path.display()))
    }

    /// Returns the last `most` bytes of a file.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read_end(&self, path: &Path, most: u64) -> Result<Vec<u8>> {
        let read = || -> io::Result<Vec<u8>> {
            let mut file = self.open_regular(path)?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(most)))?;
            let mut bytes = Vec::new();
            file.take(most).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        read().with_context(|| format!("reading {}", path.display()))
    }

    /// Returns the text of a file, bytes that are not UTF-8 replaced; `None` if there is no such file.
    ///
    /// # Errors
    /// If it is there but cannot be read.
    pub fn read_text(&self, path: &Path) -> Result<Option<String>> {
        match self.inspect(path)? {
            Entry::Absent => Ok(None),
            Entry::File(file) => Ok(Some(String::from_utf8_lossy(&file.bytes).into_owned())),
            Entry::Directory => bail!("{} is a directory", path.display()),
            Entry::Other(what) => bail!("{} is {what}", path.display()),
        }
    }

    /// Writes a file atomically, with exactly this owner and mode.
    ///
    /// # Errors
    /// If any part of that fails; then what stood at `path` still stands there, untouched.
    pub fn write(&self, path: &Path, bytes: &[u8], access: Access) -> Result<()> {
        self.replace(path, bytes, access).with_context(|| format!("writing {}", path.display()))
    }

    fn replace(&self, path: &Path, bytes: &[u8], access: Access) -> io::Result<()> {
        let (parent, name) = self.parent(path)?;
        let temporary = directory::temporary_name()?;
        let write = || {
            let mut file = directory::create_file(&parent, &temporary)?.into_std();
            self.set_access(&file, access)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            parent.rename(&temporary, &parent, name)
        };
        if let Err(error) = write() {
            // Whatever failed, the temporary file is of no use; the first error is the one that counts.
            parent.remove_file(&temporary).ok();
            return Err(error);
        }
        directory::sync(&parent)
    }

    /// Sets owner and mode of an open file.
    pub(super) fn set_access(&self, file: &fs::File, access: Access) -> io::Result<()> {
        let (root_uid, root_gid) = self.root_ids;
        let uid = if access.uid == 0 { root_uid } else { access.uid };
        let gid = if access.gid == 0 { root_gid } else { access.gid };
        fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
        // Last: a change of owner drops the setuid bits.
        file.set_permissions(fs::Permissions::from_mode(access.mode))
    }

    /// Makes a directory of root with this mode, if it is not there.
    ///
    /// # Errors
    /// If it cannot be made, or something else stands there.
    pub fn make_directory(&self, path: &Path, mode: u32) -> Result<()> {
        let make = || {
            let (parent, name) = self.parent(path)?;
            let mut builder = DirBuilder::new();
            builder.mode(mode);
            match parent.create_dir_with(name, &builder) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists && self.is_real(&parent, name) => Ok(()),
                Err(error) => Err(error),
                // Whatever the umask, and without a setgid bit from above.
                Ok(()) => {
                    let made = directory::open(&parent, Path::new(name))?.open(".")?.into_std();
                    made.set_permissions(fs::Permissions::from_mode(mode))
                }
            }
        };
        make().with_context(|| format!("making the directory {}", path.display()))
    }

    fn is_real(&self, parent: &Dir, name: &std::ffi::OsStr) -> bool {
        parent.symlink_metadata(name).is_ok_and(|meta| meta.is_dir())
    }

    /// Makes a directory and those above it, each of root with mode 0755.
    ///
    /// # Errors
    /// If one cannot be made, or something else stands there.
    pub fn make_directories(&self, path: &Path) -> Result<()> {
        let mut above: Vec<&Path> = path.ancestors().filter(|path| path.file_name().is_some()).collect();
        above.reverse();
        above.into_iter().try_for_each(|path| self.make_directory(path, 0o755))
    }

    /// Removes whatever stands at `path`, with all that is in it. Nothing there is no error.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn remove(&self, path: &Path) -> Result<()> {
        let context = || format!("removing {}", path.display());
        let Some((parent, name, meta)) = self.metadata_of(path).with_context(context)? else {
            return Ok(());
        };
        let removed = match meta.is_dir() {
            true => parent.remove_dir_all(&name),
            false => parent.remove_file(&name),
        };
        removed.with_context(context)
    }

    /// Removes a directory if it is empty. One that is not, or is not there, is left.
    ///
    /// # Errors
    /// If it cannot be removed for another reason.
    pub fn remove_if_empty(&self, path: &Path) -> Result<()> {
        let removed = self.parent(path).and_then(|(parent, name)| parent.remove_dir(name));
        match removed {
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty || is_absent(&error) => Ok(()),
            removed => removed.with_context(|| format!("removing {}", path.display())),
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
        rename().with_context(|| format!("renaming {} to {}", from.display(), to.display()))
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
        exchange().with_context(|| format!("putting {} in place", old.display()))
    }

    /// Returns the names in a directory, sorted; none if it is not there. Names that are not UTF-8 are left out.
    ///
    /// # Errors
    /// If it is there but cannot be read.
    pub fn names(&self, path: &Path) -> Result<Vec<String>> {
        let list = || -> io::Result<Vec<String>> {
            let mut names = Vec::new();
            for entry in directory::open(&self.top, path)?.entries()? {
                names.extend(entry?.file_name().into_string());
            }
            names.sort();
            Ok(names)
        };
        match list() {
            Err(error) if is_absent(&error) || is_link(&error) => Ok(Vec::new()),
            listed => listed.with_context(|| format!("listing {}", path.display())),
        }
    }

    /// Returns the temporary files that a killed hook left in a directory.
    ///
    /// # Errors
    /// If the directory is there but cannot be read.
    pub fn temporaries(&self, path: &Path) -> Result<Vec<PathBuf>> {
        let names = self.names(path)?.into_iter();
        Ok(names.filter(|name| name.starts_with(TEMPORARY_PREFIX)).map(|name| path.join(name)).collect())
    }

    /// Makes a temporary directory in `parent`, root:root 0755; it goes when the result is dropped.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn temporary_directory(&self, parent: &Path) -> Result<TemporaryDirectory> {
        let path = parent.join(directory::temporary_name()?);
        self.make_directory(&path, 0o755)?;
        Ok(TemporaryDirectory { root: self.clone(), path })
    }
}

/// A temporary directory; dropping it removes it.
#[derive(Debug)]
pub struct TemporaryDirectory {
    root: Root,
    path: PathBuf,
}

impl TemporaryDirectory {
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next hook, by its name.
        self.root.remove(&self.path).ok();
    }
}

/// Whether an error means that a link stands on the way.
fn is_link(error: &io::Error) -> bool {
    error.raw_os_error() == Some(nix::errno::Errno::ELOOP as i32)
}

fn read_bounded(file: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(SIZE_LIMIT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > SIZE_LIMIT {
        return Err(io::Error::other("it has more than 8 MiB"));
    }
    Ok(bytes)
}

/// A time as `stat(2)` gives it: seconds and nanoseconds since 1970.
fn time(seconds: i64, nanoseconds: i64) -> SystemTime {
    let seconds = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    let nanoseconds = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or_default());
    SystemTime::UNIX_EPOCH + seconds + nanoseconds
}

/// Returns the sha256 of `bytes` in lower-case hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
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
        assert_eq!(scratch.root.temporaries(Path::new("/etc/magnum")).unwrap(), [Path::new(""); 0]);
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
    fn no_link_is_followed_at_the_end_of_a_path_or_on_the_way() {
        let scratch = scratch();
        let root = &scratch.root;
        scratch.link("/etc/magnum/link", scratch.path(PATH));
        scratch.link("/etc/way", scratch.path("/etc/magnum"));
        let (end, way) = (Path::new("/etc/magnum/link"), Path::new("/etc/way/kubeconfig"));
        assert_eq!(root.inspect(end).unwrap(), Entry::Other("a symbolic link"));
        assert_eq!(root.inspect(way).unwrap(), Entry::Absent);
        assert!(root.read(end).is_err() && root.read(way).is_err());
        assert!(root.write(way, b"ours", Access::PUBLIC).is_err());
        assert_eq!(root.names(Path::new("/etc/way")).unwrap(), [""; 0]);
        assert!(root.below(Path::new("/etc/way")).unwrap().is_none());
        root.write(end, b"ours", Access::PUBLIC).unwrap();
        root.remove(Path::new("/etc/way")).unwrap();
        assert_eq!(scratch.text(PATH).as_deref(), Some("theirs"));
        assert!(root.read(Path::new("/etc/../etc/passwd")).is_err());
    }

    #[test]
    fn a_fifo_and_a_file_over_the_limit_are_named_and_never_waited_for() {
        let scratch = scratch();
        let root = &scratch.root;
        let (fifo, large) = (Path::new("/etc/magnum/fifo"), Path::new("/etc/magnum/large"));
        nix::unistd::mkfifo(&scratch.path(fifo), nix::sys::stat::Mode::S_IRWXU).unwrap();
        fs::File::create(scratch.path(large)).unwrap().set_len(SIZE_LIMIT + 1).unwrap();
        assert_eq!(root.inspect(fifo).unwrap(), Entry::Other("a special file"));
        assert!(root.read(fifo).is_err());
        assert_eq!(root.inspect(large).unwrap(), Entry::Other("a file of more than 8 MiB"));
        assert!(format!("{:#}", root.read(large).unwrap_err()).contains("more than 8 MiB"));
        assert_eq!(root.read_end(large, 3).unwrap(), [0; 3]);
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
    fn a_program_behind_links_is_resolved_within_the_root() {
        let scratch = scratch();
        scratch.put("/usr/bin/python3.11", "");
        scratch.link("/usr/bin/python3", "python3.11");
        scratch.link("/usr/local/bin/python", "../../bin/python3");
        scratch.link("/usr/bin/loop", "loop");
        let resolve = |path: &str| scratch.root.resolve(Path::new(path));
        assert_eq!(resolve("/usr/local/bin/python").unwrap(), Path::new("/usr/bin/python3.11"));
        assert!(resolve("/usr/bin/loop").is_err());
    }

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

    #[test]
    fn a_temporary_directory_goes_when_it_is_dropped_and_is_recognised_when_it_was_not() {
        let scratch = scratch();
        let etc = Path::new("/etc");
        let temporary = scratch.root.temporary_directory(etc).unwrap();
        assert_eq!(scratch.root.temporaries(etc).unwrap(), [temporary.path()]);
        drop(temporary);
        assert_eq!(scratch.root.temporaries(etc).unwrap(), [Path::new(""); 0]);
    }
}
