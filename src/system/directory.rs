//! Directory handles: every path is opened from the root down, and no symbolic link is followed on the way. So nobody
//! who owns a directory on the way can lead root elsewhere. A directory is emptied by handles too, with few of them open
//! however deep it is.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

use cap_fs_ext::{DirExt, FollowSymlinks, OpenOptionsFollowExt};
use cap_std::fs::{Dir, DirBuilder, DirBuilderExt as _, File, MetadataExt as _, OpenOptions, OpenOptionsExt};
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, RenameFlags, ResolveFlag, openat2, renameat2};
use nix::unistd::geteuid;

/// Begins the name of every temporary file, so that one left by a killed hook is recognised.
pub const TEMPORARY_PREFIX: &str = ".magnum-capi-helm-";

/// A file that nobody opens without its owner's leave, or before half a minute has passed (fcntl's `F_SETLEASE`).
pub const LEASED: &str = "a file that somebody holds a lease on";

/// So many levels of a tree are open at a time while it is removed.
const DEEPEST: usize = 32;
/// How long a tree may be removed: somebody may keep filling it.
const REMOVAL_LIMIT: Duration = Duration::from_secs(20);

/// Opens the directory at `path` below `top`, for what is done in it.
pub fn open(top: &Dir, path: &Path) -> io::Result<Dir> {
    match open_at_once(top, path, OFlag::O_PATH | OFlag::O_DIRECTORY)? {
        Some(opened) => Ok(Dir::from_std_file(opened)),
        None => walk(top, path),
    }
}

/// Opens whatever is at `path` below `top` for reading, without waiting for whoever writes to a FIFO.
pub fn open_for_reading(top: &Dir, path: &Path) -> io::Result<File> {
    match open_at_once(top, path, OFlag::O_NONBLOCK | OFlag::O_NOCTTY)? {
        Some(opened) => Ok(File::from_std(opened)),
        None => open_file(&walk(top, path.parent().unwrap_or(path))?, path.file_name().unwrap_or(".".as_ref())),
    }
}

/// Opens the directory at `path` below `top`, to list it. Of anything else it is only said that it is no directory: a socket
/// or a file with a lease is not opened.
pub fn open_for_listing(top: &Dir, path: &Path) -> io::Result<File> {
    match open_at_once(top, path, OFlag::O_DIRECTORY)? {
        Some(opened) => Ok(File::from_std(opened)),
        None => walk(top, path)?.open("."),
    }
}

/// Opens what is at `path` with one call; `None` from a kernel before 5.6 or in a container that does not allow it.
fn open_at_once(top: &Dir, path: &Path, flags: OFlag) -> io::Result<Option<fs::File>> {
    let resolve = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS;
    match openat2(top, &below(path)?, OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(resolve)) {
        Err(Errno::ENOSYS | Errno::EPERM) => Ok(None),
        opened => Ok(Some(opened?.into())),
    }
}

/// Returns `path` as one from the top down.
fn below(path: &Path) -> io::Result<PathBuf> {
    match path.components().any(|component| component == Component::ParentDir) {
        true => Err(io::Error::new(ErrorKind::InvalidInput, "the path leads upwards")),
        false => Ok(Path::new(".").join(path.strip_prefix("/").unwrap_or(path))),
    }
}

/// Opens a directory one component at a time.
fn walk(top: &Dir, path: &Path) -> io::Result<Dir> {
    below(path)?.iter().skip(1).try_fold(top.try_clone()?, |directory, name| directory.open_dir_nofollow(name))
}

/// Opens a file for reading without following a link and without waiting for whoever writes to a FIFO.
pub fn open_file(directory: &Dir, name: &OsStr) -> io::Result<File> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    directory.open_with(name, OpenOptions::new().read(true).custom_flags(flags.bits()).follow(FollowSymlinks::No))
}

/// Creates a file that did not exist, with mode 0600 whatever the umask.
pub fn create_file(directory: &Dir, name: &OsStr) -> io::Result<File> {
    directory.open_with(name, private().create_new(true))
}

/// Opens a file for writing, and creates it as [`create_file`] does if it is not there.
pub fn open_or_create_file(directory: &Dir, name: &OsStr) -> io::Result<File> {
    directory.open_with(name, private().create(true).truncate(false))
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600).follow(FollowSymlinks::No);
    options
}

/// Makes a directory with mode 0700, and opens it. Whoever owns `parent` may put another one in its place meanwhile,
/// which is an error.
pub fn make(parent: &Dir, name: &OsStr) -> io::Result<Dir> {
    let mut builder = DirBuilder::new();
    builder.mode(0o700);
    parent.create_dir_with(name, &builder)?;
    let made = parent.open_dir_nofollow(name)?;
    match is_new(&made)? {
        true => Ok(made),
        false => Err(io::Error::new(ErrorKind::ResourceBusy, "somebody has put another directory in its place")),
    }
}

/// Whether a directory may be one that was just made: private, empty and this user's.
fn is_new(directory: &Dir) -> io::Result<bool> {
    let meta = directory.dir_metadata()?;
    let is_private = meta.uid() == geteuid().as_raw() && meta.mode() & 0o777 == 0o700;
    Ok(is_private && directory.entries()?.next().is_none())
}

/// Returns the names in a directory that is open for reading; [`ErrorKind::FileTooLarge`] for more than `most`. Those
/// that are not UTF-8 count, but are left out.
pub fn names(directory: File, most: usize) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for (count, entry) in nix::dir::Dir::from_fd(directory.into_std().into())?.into_iter().enumerate() {
        // With itself and the one above it.
        if count >= most + 2 {
            return Err(ErrorKind::FileTooLarge.into());
        }
        names.extend(entry?.file_name().to_str().map(str::to_owned));
    }
    names.retain(|name| name != "." && name != "..");
    names.sort();
    Ok(names)
}

/// Returns a name that nobody can guess, for a temporary file.
pub fn temporary_name() -> io::Result<OsString> {
    let mut random = [0; 12];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    Ok(format!("{TEMPORARY_PREFIX}{}", hex::encode(random)).into())
}

/// Makes the renames in a directory durable.
pub fn sync(directory: &Dir) -> io::Result<()> {
    // The handle itself may be open for its path only, and such a one cannot be synced.
    directory.open(".")?.sync_all()
}

/// Puts `new` where `old` is in one step. If `old` is there, it comes to stand where `new` was.
pub fn exchange(from: &Dir, new: &OsStr, to: &Dir, old: &OsStr) -> io::Result<()> {
    let flags = match to.symlink_metadata(old) {
        Ok(_) => RenameFlags::RENAME_EXCHANGE,
        Err(error) if error.kind() == ErrorKind::NotFound => RenameFlags::RENAME_NOREPLACE,
        Err(error) => return Err(error),
    };
    Ok(renameat2(from.as_fd(), new, to.as_fd(), old, flags)?)
}

/// Removes the directory `name` with all that is in it, however deep that is and whatever others do to it meanwhile.
pub fn remove_tree(parent: &Dir, name: &OsStr) -> io::Result<()> {
    let (top, end) = (parent.open_dir_nofollow(name)?, Instant::now() + REMOVAL_LIMIT);
    loop {
        empty(&top, &top, DEEPEST, end)?;
        match parent.remove_dir(name) {
            // What lay deeper, and what has come in the meantime.
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {}
            Err(error) if is_absent(&error) => return Ok(()),
            removed => return removed,
        }
    }
}

/// Empties a directory; what lies deeper than `deeper` levels is moved up to `top`.
fn empty(directory: &Dir, top: &Dir, deeper: usize, end: Instant) -> io::Result<()> {
    for entry in directory.entries()? {
        if Instant::now() > end {
            return Err(io::Error::new(ErrorKind::TimedOut, "it has too much in it, or somebody keeps filling it"));
        }
        let entry = entry?;
        let name = entry.file_name();
        let removed = match entry.file_type()?.is_dir() {
            false => directory.remove_file(&name),
            true if deeper == 0 => directory.rename(&name, top, temporary_name()?),
            true => directory.open_dir_nofollow(&name).and_then(|inner| {
                empty(&inner, top, deeper - 1, end)?;
                directory.remove_dir(&name)
            }),
        };
        match removed {
            // Somebody has changed it meanwhile: the next round sees what it is now.
            Err(error) if is_absent(&error) || is_link(&error) || error.kind() == ErrorKind::DirectoryNotEmpty => {}
            Err(error) if error.kind() == ErrorKind::IsADirectory || is_moved_out(&error) => {}
            removed => removed?,
        }
    }
    Ok(())
}

/// Whether an error means that a directory was moved elsewhere while it was opened: it leads out of the one above it.
fn is_moved_out(error: &io::Error) -> bool {
    error.kind() == ErrorKind::PermissionDenied && error.raw_os_error().is_none()
}

/// Whether an error may mean that somebody has put something else in a path's place since it was looked at.
pub fn is_overtaken(error: &io::Error) -> bool {
    use ErrorKind::{AlreadyExists, DirectoryNotEmpty, IsADirectory, ResourceBusy};
    let kinds = [AlreadyExists, DirectoryNotEmpty, IsADirectory, ResourceBusy];
    is_absent(error) || is_link(error) || is_moved_out(error) || kinds.contains(&error.kind())
}

/// Whether an error means that a link stands where none is followed.
pub fn is_link(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::ELOOP as i32)
}

/// Whether an error of opening a file without waiting means that somebody holds a lease on it.
pub fn is_leased(error: &io::Error) -> bool {
    error.kind() == ErrorKind::WouldBlock
}

/// Whether an error means that nothing is there; nothing can have a name that is too long.
pub fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
        || error.raw_os_error() == Some(Errno::ENAMETOOLONG as i32)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use cap_std::ambient_authority;
    use nix::sys::resource::{Resource, getrlimit, setrlimit};

    use super::*;
    use crate::system::testing::make_deep_tree;

    #[test]
    fn a_directory_is_opened_without_following_a_link_also_without_openat2() {
        let scratch = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(scratch.path().join("a/b")).unwrap();
        symlink("a", scratch.path().join("link")).unwrap();
        let top = Dir::open_ambient_dir(scratch.path(), ambient_authority()).unwrap();
        for path in [".", "./a", "./a/b"] {
            assert!(open(&top, Path::new(path)).is_ok() && walk(&top, Path::new(path)).is_ok(), "{path}");
        }
        for path in ["./link", "./link/b", "./none"] {
            assert!(open(&top, Path::new(path)).is_err() && walk(&top, Path::new(path)).is_err(), "{path}");
        }
        assert!(open(&top, Path::new("/a/b")).is_ok());
        assert!(open(&top, Path::new("a/../a")).is_err());
    }

    #[test]
    fn only_a_private_and_empty_directory_of_the_same_user_counts_as_just_made() {
        let scratch = tempfile::tempdir().unwrap();
        let top = Dir::open_ambient_dir(scratch.path(), ambient_authority()).unwrap();
        let made = make(&top, "new".as_ref()).unwrap();
        assert!(make(&top, "new".as_ref()).is_err());
        let mode = |mode| std::fs::set_permissions(scratch.path().join("new"), Permissions::from_mode(mode)).unwrap();
        mode(0o2700);
        assert!(is_new(&made).unwrap());
        mode(0o755);
        assert!(!is_new(&made).unwrap());
        mode(0o700);
        made.create_dir("theirs").unwrap();
        assert!(!is_new(&made).unwrap());
        made.remove_dir("theirs").unwrap();
        if geteuid().is_root() {
            std::os::unix::fs::chown(scratch.path().join("new"), Some(64), None).unwrap();
            assert!(!is_new(&made).unwrap());
        }
    }

    #[test]
    fn no_more_names_are_listed_than_a_directory_may_have() {
        let scratch = tempfile::tempdir().unwrap();
        let names = |most| names(File::from_std(std::fs::File::open(scratch.path()).unwrap()), most);
        std::fs::write(scratch.path().join("a"), "").unwrap();
        std::fs::write(scratch.path().join(OsStr::from_bytes(b"\xff")), "").unwrap();
        assert_eq!(names(2).unwrap(), ["a"]);
        assert_eq!(names(1).unwrap_err().kind(), ErrorKind::FileTooLarge);
    }

    #[test]
    fn a_tree_of_any_depth_is_removed_and_no_link_in_it_is_followed() {
        // What systemd gives a service.
        let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, 1024, most).unwrap();
        let scratch = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(scratch.path().join("root's/own")).unwrap();
        let top = Dir::open_ambient_dir(scratch.path(), ambient_authority()).unwrap();
        make_deep_tree(&scratch.path().join("deep"));
        symlink(scratch.path().join("root's"), scratch.path().join("deep/link")).unwrap();
        std::fs::write(scratch.path().join("deep").join(OsStr::from_bytes(b"\xff")), "").unwrap();
        remove_tree(&top, "deep".as_ref()).unwrap();
        assert!(!scratch.path().join("deep").exists());
        assert!(scratch.path().join("root's/own").exists());
    }

    #[test]
    fn a_tree_that_somebody_keeps_filling_is_removed_when_they_pause() {
        let scratch = tempfile::tempdir().unwrap();
        let top = Dir::open_ambient_dir(scratch.path(), ambient_authority()).unwrap();
        top.create_dir_all("tree/a/b").unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0..2000 {
                    let place = ["tree", "tree/a", "tree/a/b"][round % 3];
                    top.create_dir_all(format!("{place}/{round}/x")).ok();
                    top.rename(format!("{place}/{round}"), &top, format!("tree/{round}-moved")).ok();
                }
            });
            scope.spawn(|| {
                while top.exists("tree") {
                    remove_tree(&top, "tree".as_ref()).unwrap();
                }
            });
        });
        std::fs::create_dir_all(scratch.path().join("tree")).unwrap();
        remove_tree(&top, "tree".as_ref()).unwrap();
        assert!(!top.exists("tree"));
    }
}
