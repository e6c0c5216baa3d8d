//! Running processes, as `/proc` shows them: their command lines and start times.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, anyhow};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{SysconfVar, sysconf};

use super::Root;

/// How often and after which pause it is looked whether systemd has started a service's program: half a second.
const STARTING_LIMIT: u32 = 25;
const STARTING_PAUSE: Duration = Duration::from_millis(20);

/// Returns the path of the charm's program, also once a charm upgrade has replaced the file.
///
/// # Errors
/// If the kernel does not say it, or it is not UTF-8.
pub fn own_program() -> Result<PathBuf> {
    let path = std::env::current_exe().context("looking up the charm's program")?;
    let path = path.into_os_string().into_string();
    let path = path.map_err(|path| anyhow!("the charm's path is not UTF-8: {}", path.display()))?;
    Ok(path.strip_suffix(" (deleted)").unwrap_or(&path).into())
}

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    pub pid: i32,
    /// Clock ticks from boot to its start: with the pid, tells it from any other process.
    pub start_ticks: u64,
    /// The time of its start, by the clock that also stamps files.
    pub started: SystemTime,
    /// Its arguments; the interpreter of a script comes first.
    pub cmdline: Vec<String>,
}

impl Process {
    /// Looks at a process; `None` if there is none (any more).
    ///
    /// # Errors
    /// If `/proc` shows it in a way that cannot be understood.
    pub fn inspect(root: &Root, pid: i32) -> Result<Option<Self>> {
        let proc = Path::new("/proc").join(pid.to_string());
        let read = || root.read(&proc.join("cmdline"));
        let mut cmdline = read();
        let mut looks = 0..STARTING_LIMIT;
        while cmdline.as_ref().is_ok_and(|cmdline| is_starting(cmdline)) && looks.next().is_some() {
            std::thread::sleep(STARTING_PAUSE);
            cmdline = read();
        }
        let (Ok(stat), Ok(cmdline)) = (root.read(&proc.join("stat")), cmdline) else { return Ok(None) };
        let (stat, cmdline) = (String::from_utf8_lossy(&stat), String::from_utf8_lossy(&cmdline));
        let start_ticks = start_ticks(&stat).with_context(|| format!("/proc/{pid}/stat has no start time: {stat}"))?;
        Ok(Some(Self {
            pid,
            start_ticks,
            started: boot_time()? + Duration::from_millis(start_ticks * 1000 / ticks_per_second()?),
            cmdline: cmdline.split('\0').filter(|arg| !arg.is_empty()).map(str::to_owned).collect(),
        }))
    }

    /// Returns the pids of the processes it has started; none if it has ended.
    pub fn workers(&self, root: &Root) -> Vec<i32> {
        let pid = self.pid;
        let listed = root.read(Path::new(&format!("/proc/{pid}/task/{pid}/children"))).unwrap_or_default();
        String::from_utf8_lossy(&listed).split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
    }

    /// Returns the time since its start.
    pub fn age(&self) -> Duration {
        self.started.elapsed().unwrap_or_default()
    }

    /// Whether it was started with this command line, directly or through an interpreter.
    pub fn runs(&self, command_line: &str) -> bool {
        let wanted: Vec<&str> = command_line.split_whitespace().collect();
        !wanted.is_empty()
            && self.cmdline.len() <= wanted.len() + 2
            && self.cmdline.iter().rev().map(String::as_str).take(wanted.len()).eq(wanted.iter().rev().copied())
    }
}

/// Whether systemd has made the process and not yet started the service's program in it: then it has the command line of
/// systemd itself, also named init, or of its helper.
fn is_starting(cmdline: &[u8]) -> bool {
    let program = cmdline.split(|byte| *byte == 0).next().unwrap_or_default();
    ["/systemd", "/init", "/systemd-executor"].iter().any(|own| program.ends_with(own.as_bytes()))
}

/// Field 22 of `proc_pid_stat(5)`; the name in field 2 may hold spaces and brackets.
fn start_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(19)?.parse().ok()
}

fn boot_time() -> Result<SystemTime> {
    let up = clock_gettime(ClockId::CLOCK_BOOTTIME).context("reading the boot clock")?;
    Ok(SystemTime::now() - Duration::from(up))
}

fn ticks_per_second() -> Result<u64> {
    let ticks = sysconf(SysconfVar::CLK_TCK)?.context("the kernel does not say how long a clock tick is")?;
    Ok(ticks.try_into()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_cmdline(cmdline: &[&str]) -> Process {
        Process {
            pid: 1,
            start_ticks: 0,
            started: SystemTime::UNIX_EPOCH,
            cmdline: cmdline.iter().map(|&s| s.to_owned()).collect(),
        }
    }

    #[test]
    fn a_script_is_recognised_behind_its_interpreter() {
        let wanted = "/usr/bin/magnum-api --config-file=/a --config-dir=/b";
        let real = ["/usr/bin/python3", "/usr/bin/magnum-api", "--config-file=/a", "--config-dir=/b"];
        assert!(with_cmdline(&real).runs(wanted));
        assert!(with_cmdline(&real[1..]).runs(wanted));
        assert!(!with_cmdline(&real[..3]).runs(wanted));
        assert!(!with_cmdline(&["/usr/bin/uwsgi_python3"]).runs(wanted));
        assert!(!with_cmdline(&[]).runs(wanted));
    }

    #[test]
    fn the_start_time_is_found_behind_a_name_with_spaces_and_brackets() {
        let stat = "42 (a ) b) S 1 1 1 0 -1 4194560 1 0 0 0 1 2 3 4 20 0 1 0 98765 10 11";
        assert_eq!(start_ticks(stat), Some(98765));
    }

    #[test]
    fn a_process_that_systemd_is_still_starting_is_recognised() {
        assert!(is_starting(b"/lib/systemd/systemd\0--deserialize\0"));
        assert!(is_starting(b"/sbin/init\0"));
        assert!(is_starting(b"/usr/lib/systemd/systemd-executor\0--log-level\0info\0"));
        assert!(!is_starting(b"/usr/bin/python3\0/usr/bin/magnum-api\0"));
    }

    #[test]
    fn this_process_was_started_a_moment_ago() {
        let root = Root::open("/").unwrap();
        let pid = i32::try_from(std::process::id()).unwrap();
        let me = Process::inspect(&root, pid).unwrap().unwrap();
        assert!(me.age() < Duration::from_secs(600), "{:?}", me.age());
        assert_eq!(Process::inspect(&root, i32::MAX).unwrap(), None);
    }
}
