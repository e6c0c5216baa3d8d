//! Copies of files and directories with owner, mode, times and extended attributes, by directory handles: what
//! another user changes meanwhile leads the copy nowhere else, and only what the copy itself made gets the owner.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read};
use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context, Result, bail, ensure};
use cap_fs_ext::DirExt;
use cap_std::fs::{Dir, Metadata, MetadataExt as _};
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, UtimensatFlags, futimens, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, fchown, fchownat, geteuid};
use thiserror::Error;
use xattr::FileExt as _;

use super::directory;

/// More than a driver's package or a helm (60 MB in 2025) has.
const MOST_BYTES: u64 = 90 << 20;
const MOST_ENTRIES: usize = 10_000;
const DEEPEST: usize = 32;

/// Why something is not copied, whoever tries.
#[derive(Debug, Error)]
#[error("it is {0}")]
pub struct NotCopied(&'static str);

/// Copies what stands at `name` in `from` to a name that is free in `to`.
pub fn copy(from: &Dir, name: &OsStr, to: &Dir, as_name: &OsStr) -> Result<()> {
    let mut left = (MOST_ENTRIES, MOST_BYTES);
    copy_entry(from, name, to, as_name, DEEPEST, &mut left)
}

fn copy_entry(
    from: &Dir,
    name: &OsStr,
    to: &Dir,
    as_name: &OsStr,
    deeper: usize,
    left: &mut (usize, u64),
) -> Result<()> {
    ensure!(deeper > 0 && left.0 > 0, NotCopied("too deep, or has too many entries"));
    left.0 -= 1;
    let meta = from.symlink_metadata(name)?;
    if meta.is_symlink() {
        to.symlink_contents(from.read_link_contents(name)?, as_name)?;
        own_link(to, as_name, &meta)?;
        let [accessed, written] = times(&meta);
        return Ok(utimensat(to.as_fd(), as_name, &accessed, &written, UtimensatFlags::NoFollowSymlink)?);
    }
    if meta.is_dir() {
        let source = from.open_dir_nofollow(name)?;
        let target = directory::make(to, as_name)?;
        for entry in source.entries()? {
            let inner = entry?.file_name();
            let copied = copy_entry(&source, &inner, &target, &inner, deeper - 1, left);
            copied.with_context(|| format!("copying {}", inner.display()))?;
        }
        let target = target.open(".")?.into_std();
        copy_attributes(&source.open(".")?.into_std(), &target)?;
        return Ok(own(&target, &source.dir_metadata()?)?);
    }
    ensure!(meta.is_file(), NotCopied("a special file"));
    let source = match directory::open_file(from, name) {
        Err(error) if directory::is_leased(&error) => bail!(NotCopied(directory::LEASED)),
        opened => opened?,
    };
    let meta = source.metadata()?;
    // Another entry may have come to stand there: one that never ends, or that waits for a writer.
    ensure!(meta.is_file(), NotCopied("a special file"));
    ensure!(meta.len() <= left.1, NotCopied("too large"));
    let mut source = source.into_std();
    let mut target = directory::create_file(to, as_name)?.into_std();
    let copied = io::copy(&mut source.by_ref().take(left.1 + 1), &mut target)?;
    ensure!(copied <= left.1, NotCopied("too large"));
    left.1 -= copied;
    copy_attributes(&source, &target)?;
    own(&target, &meta)?;
    Ok(target.sync_all()?)
}

fn copy_attributes(from: &fs::File, to: &fs::File) -> io::Result<()> {
    let names = match from.list_xattr() {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => return Ok(()),
        names => names?,
    };
    for name in names {
        if let Some(value) = from.get_xattr(&name)? {
            match to.set_xattr(&name, &value) {
                Err(error) if error.kind() == io::ErrorKind::Unsupported => {}
                set => set?,
            }
        }
    }
    Ok(())
}

/// Gives a copy its original's owner, mode and times, by its handle: another entry may stand at its name by now.
fn own(copy: &fs::File, meta: &Metadata) -> io::Result<()> {
    let (uid, gid) = owner(meta);
    fchown(copy, uid, gid)?;
    // Last: a change of owner drops the setuid bits.
    copy.set_permissions(fs::Permissions::from_mode(meta.mode() & 0o7777))?;
    let [accessed, written] = times(meta);
    Ok(futimens(copy, &accessed, &written)?)
}

/// Gives a link that was just made its original's owner, by its handle too.
fn own_link(directory: &Dir, name: &OsStr, meta: &Metadata) -> Result<()> {
    let link = openat(directory, name, OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty())?;
    let link = fs::File::from(link);
    let made = link.metadata()?;
    let is_own = made.is_symlink() && std::os::unix::fs::MetadataExt::uid(&made) == geteuid().as_raw();
    ensure!(is_own, "somebody has put something else in its place");
    let (uid, gid) = owner(meta);
    Ok(fchownat(&link, "", uid, gid, AtFlags::AT_EMPTY_PATH)?)
}

fn owner(meta: &Metadata) -> (Option<Uid>, Option<Gid>) {
    (Some(Uid::from_raw(meta.uid())), Some(Gid::from_raw(meta.gid())))
}

/// Returns when it was last read and written.
fn times(meta: &Metadata) -> [TimeSpec; 2] {
    [TimeSpec::new(meta.atime(), meta.atime_nsec()), TimeSpec::new(meta.mtime(), meta.mtime_nsec())]
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, lchown, symlink};

    use cap_std::ambient_authority;

    use super::*;

    /// Only root can give files away.
    #[test]
    fn only_a_link_that_the_copy_made_gets_the_owner() {
        let scratch = tempfile::tempdir().unwrap();
        let directory = Dir::open_ambient_dir(scratch.path(), ambient_authority()).unwrap();
        let path = |name: &str| scratch.path().join(name);
        fs::write(path("original"), "").unwrap();
        fs::write(path("file"), "").unwrap();
        symlink("file", path("link")).unwrap();
        symlink("file", path("theirs")).unwrap();
        if geteuid().is_root() {
            lchown(path("original"), Some(64), Some(64)).unwrap();
            lchown(path("theirs"), Some(65), Some(65)).unwrap();
        }
        let original = directory.symlink_metadata("original").unwrap();
        let own = |name: &str| own_link(&directory, name.as_ref(), &original);
        own("link").unwrap();
        assert_eq!(path("link").symlink_metadata().unwrap().uid(), original.uid());
        assert!(own("file").is_err());
        assert_eq!(path("file").metadata().unwrap().uid(), geteuid().as_raw());
        if geteuid().is_root() {
            assert!(own("theirs").is_err());
            assert_eq!(path("theirs").symlink_metadata().unwrap().uid(), 65);
        }
    }
}
