//! Who changes what stands at a path: asked of the kernel, by
//! [fanotify](https://man7.org/linux/man-pages/man7/fanotify.7.html).

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::fcntl::AT_FDCWD;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::fanotify::{EventFFlags, Fanotify, InitFlags, MarkFlags, MaskFlags};

/// Events name directories and files by identity, not by descriptor (Linux 5.9); only then does the
/// kernel tell of what is renamed, removed or given another mode. Not among nix's flags.
const FAN_REPORT_DIR_FID: u32 = 0x400;

/// Waits for somebody else to change what stands at `path` and names who it was; `None` when nobody
/// did within `limit`. Events tell of the whole directory: one counts when that path has changed.
///
/// # Errors
/// When the kernel does not tell.
pub fn wait(path: &Path, limit: Duration) -> Result<Option<String>> {
    let Some(directory) = path.parent().filter(|directory| directory.is_dir()) else {
        return Ok(None);
    };
    let began = Instant::now();
    let before = identity(path);
    let events = watch(directory).with_context(|| format!("watching {}", directory.display()))?;
    let own = std::process::id();
    loop {
        let left = limit.saturating_sub(began.elapsed());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut polled = [PollFd::new(events.as_fd(), PollFlags::POLLIN)];
        if left.is_zero() || poll(&mut polled, timeout).context("waiting for a change")? == 0 {
            return Ok(None);
        }
        for event in events.read_events().context("reading who it was")? {
            let pid = event.pid();
            if u32::try_from(pid).is_ok_and(|pid| pid != own) && identity(path) != before {
                return Ok(Some(named(pid)));
            }
        }
    }
}

/// Tells what stands at a path from anything else, and from itself when it is changed.
fn identity(path: &Path) -> Option<(u64, i64, i64)> {
    let meta = fs::symlink_metadata(path).ok()?;
    Some((meta.ino(), meta.ctime(), meta.ctime_nsec()))
}

fn watch(directory: &Path) -> nix::Result<Fanotify> {
    let flags = InitFlags::FAN_CLASS_NOTIF | InitFlags::FAN_CLOEXEC;
    let all = flags | InitFlags::from_bits_retain(FAN_REPORT_DIR_FID);
    let writes = MaskFlags::FAN_CLOSE_WRITE | MaskFlags::FAN_EVENT_ON_CHILD;
    let more = MaskFlags::FAN_ATTRIB
        | MaskFlags::FAN_CREATE
        | MaskFlags::FAN_DELETE
        | MaskFlags::FAN_MOVED_FROM
        | MaskFlags::FAN_MOVED_TO;
    let mark = |flags, mask| {
        let group = Fanotify::init(flags, EventFFlags::O_RDONLY | EventFFlags::O_CLOEXEC)?;
        group.mark(MarkFlags::FAN_MARK_ADD, mask, AT_FDCWD, Some(directory))?;
        Ok(group)
    };
    // Some filesystems know no identities: then only who writes is told.
    mark(all, writes | more).or_else(|_: nix::Error| mark(flags, writes))
}

/// A process, by its name and the systemd unit it belongs to. No arguments: they may hold secrets.
fn named(pid: i32) -> String {
    let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}"));
    let Ok(name) = read("comm") else {
        return format!("process {pid}, which has ended");
    };
    let name = name.trim();
    match unit_in(&read("cgroup").unwrap_or_default()) {
        Some(unit) => format!("{name} (process {pid} of {unit})"),
        None => format!("{name} (process {pid})"),
    }
}

/// The innermost unit of a line as `0::/system.slice/puppet.service`.
fn unit_in(cgroup: &str) -> Option<String> {
    let path = cgroup.lines().find_map(|line| line.strip_prefix("0::"))?;
    let mut parts = path.rsplit('/');
    parts
        .find(|part| part.ends_with(".service") || part.ends_with(".scope"))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_of_a_process_is_the_innermost_of_its_cgroup() {
        let unit = |cgroup: &str| unit_in(cgroup);
        assert_eq!(
            unit("0::/system.slice/puppet.service\n").as_deref(),
            Some("puppet.service")
        );
        assert_eq!(
            unit("0::/user.slice/user-0.slice/session-1.scope\n").as_deref(),
            Some("session-1.scope")
        );
        assert_eq!(unit("0::/\n"), None);
    }
}
