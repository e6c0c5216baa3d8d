//! Copies of files and directories with owner, mode, times and extended attributes, by directory handles: what
//! another user changes meanwhile leads the copy nowhere else.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context, Result, bail, ensure};
use cap_fs_ext::DirExt;
use cap_std::fs::{Dir, DirBuilder, DirBuilderExt as _, Metadata, MetadataExt as _};
use nix::fcntl::AtFlags;
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, fchownat};
use xattr::FileExt as _;

use super::directory;

/// Far more than a driver's package or a helm (60 MB in 2025) has.
const MOST_BYTES: u64 = 300 << 20;
const MOST_ENTRIES: usize = 10_000;
const DEEPEST: usize = 32;

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
    let context = || format!("copying {}", name.display());
    ensure!(deeper > 0 && left.0 > 0, "{} is too deep or has too many entries to be copied", name.display());
    left.0 -= 1;
    let meta = from.symlink_metadata(name).with_context(context)?;
    if meta.is_symlink() {
        let target = from.read_link_contents(name).with_context(context)?;
        to.symlink_contents(target, as_name).with_context(context)?;
        return own(to, as_name, &meta).with_context(context);
    }
    if meta.is_dir() {
        let source = from.open_dir_nofollow(name).with_context(context)?;
        let mut builder = DirBuilder::new();
        builder.mode(0o700);
        to.create_dir_with(as_name, &builder).with_context(context)?;
        let target = to.open_dir_nofollow(as_name).with_context(context)?;
        for entry in source.entries().with_context(context)? {
            let inner = entry.with_context(context)?.file_name();
            copy_entry(&source, &inner, &target, &inner, deeper - 1, left)?;
        }
        let opened = (source.open(".").with_context(context)?, target.open(".").with_context(context)?);
        copy_attributes(&opened.0.into_std(), &opened.1.into_std()).with_context(context)?;
        return own(to, as_name, &meta).with_context(context);
    }
    if !meta.is_file() {
        bail!("{} is a special file, which is not copied; remove it", name.display());
    }
    let mut source = directory::open_file(from, name).with_context(context)?.into_std();
    let mut target = directory::create_file(to, as_name).with_context(context)?.into_std();
    let copied = io::copy(&mut source.by_ref().take(left.1 + 1), &mut target).with_context(context)?;
    ensure!(copied <= left.1, "{} is too large to be copied", name.display());
    left.1 -= copied;
    copy_attributes(&source, &target).with_context(context)?;
    own(to, as_name, &meta).with_context(context)?;
    target.sync_all().with_context(context)
}

fn copy_attributes(from: &fs::File, to: &fs::File) -> io::Result<()> {
    let names = match from.list_xattr() {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => return Ok(()),
        names => names?,
    };
    for name in names {
        if let Some(value) = from.get_xattr(&name)? {
            to.set_xattr(&name, &value)?;
        }
    }
    Ok(())
}

/// Gives a copy its original's owner, mode and times.
fn own(directory: &Dir, name: &OsStr, meta: &Metadata) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(meta.uid()), Gid::from_raw(meta.gid()));
    let nofollow = AtFlags::AT_SYMLINK_NOFOLLOW;
    fchownat(directory.as_fd(), name, Some(uid), Some(gid), nofollow)?;
    if !meta.is_symlink() {
        // Through the handle of the entry itself, so that no link is followed.
        let entry = directory::open_file(directory, name)?.into_std();
        entry.set_permissions(fs::Permissions::from_mode(meta.mode() & 0o7777))?;
    }
    let accessed = TimeSpec::new(meta.atime(), meta.atime_nsec());
    let written = TimeSpec::new(meta.mtime(), meta.mtime_nsec());
    let nofollow = UtimensatFlags::NoFollowSymlink;
    Ok(utimensat(directory.as_fd(), name, &accessed, &written, nofollow)?)
}
