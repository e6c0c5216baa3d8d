//! Running processes, as `/proc` shows them: what they were started with, and when.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, anyhow};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{SysconfVar, sysconf};

/// Where the program that runs is, or, once an upgrade of the charm has put another file there, was.
///
/// # Errors
/// When that cannot be said.
pub fn own_program() -> Result<PathBuf> {
    let path = std::env::current_exe().context("looking up the charm's program")?;
    let path = path.into_os_string().into_string();
    let path = path.map_err(|path| anyhow!("the charm's path is no text: {}", path.display()))?;
    Ok(path.strip_suffix(" (deleted)").unwrap_or(&path).into())
}

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// When it was started, in clock ticks since boot: with the pid, what tells it from another.
    pub start_ticks: u64,
    /// When it was started, by the clock that also stamps files.
    pub started: SystemTime,
    /// Its arguments, the interpreter of a script first.
    pub cmdline: Vec<String>,
}

impl Process {
    /// Looks at a process; `None` when there is none (any more).
    ///
    /// # Errors
    /// When `/proc` shows it in a way that cannot be understood.
    pub fn look(pid: i32) -> Result<Option<Self>> {
        let proc = PathBuf::from(format!("/proc/{pid}"));
        let (Ok(stat), Ok(cmdline)) = (
            std::fs::read_to_string(proc.join("stat")),
            std::fs::read(proc.join("cmdline")),
        ) else {
            return Ok(None);
        };
        let start_ticks = start_ticks(&stat)
            .with_context(|| format!("/proc/{pid}/stat has no start time: {stat}"))?;
        Ok(Some(Self {
            pid,
            start_ticks,
            started: boot_time()? + Duration::from_millis(start_ticks * 1000 / ticks_per_second()?),
            cmdline: cmdline
                .split(|byte| *byte == 0)
                .filter(|arg| !arg.is_empty())
                .map(|arg| String::from_utf8_lossy(arg).into_owned())
                .collect(),
        }))
    }

    /// The ids of the processes it has started; none when it has ended meanwhile.
    pub fn workers(&self) -> Vec<i32> {
        let pid = self.pid;
        let listed = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let listed = listed.unwrap_or_default();
        listed
            .split_whitespace()
            .filter_map(|pid| pid.parse().ok())
            .collect()
    }

    /// How long it has been running.
    pub fn age(&self) -> Duration {
        self.started.elapsed().unwrap_or_default()
    }

    /// Whether it was started with this command line, by itself or through an interpreter.
    pub fn runs(&self, command_line: &str) -> bool {
        let wanted: Vec<&str> = command_line.split_whitespace().collect();
        !wanted.is_empty()
            && self.cmdline.len() <= wanted.len() + 2
            && self
                .cmdline
                .iter()
                .rev()
                .map(String::as_str)
                .take(wanted.len())
                .eq(wanted.iter().rev().copied())
    }
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
    sysconf(SysconfVar::CLK_TCK)
        .ok()
        .flatten()
        .and_then(|ticks| u64::try_from(ticks).ok())
        .context("the kernel does not say how long a clock tick is")
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
        let real = [
            "/usr/bin/python3",
            "/usr/bin/magnum-api",
            "--config-file=/a",
            "--config-dir=/b",
        ];
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
    fn this_process_was_started_a_moment_ago() {
        let me = Process::look(i32::try_from(std::process::id()).unwrap())
            .unwrap()
            .unwrap();
        assert!(me.age() < Duration::from_secs(600), "{:?}", me.age());
        assert_eq!(Process::look(i32::MAX).unwrap(), None);
    }
}
