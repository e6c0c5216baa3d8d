//! Observes the charm's own process while a hook runs: its CPU time without its children's, and its peak memory.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use lab::{HookRun, Unit};
use nix::time::{ClockId, clock_getcpuclockid};
use nix::unistd::Pid;

/// The name of the charm's program while it runs as a hook.
const PROGRAM: &str = "dispatch";

/// One run of a hook.
#[derive(Debug)]
pub struct Sample {
    pub run: HookRun,
    /// CPU time of the charm's process, without that of the programs it starts.
    pub cpu: Duration,
    /// Peak of its resident memory, in MB.
    pub memory: f64,
}

/// Runs a hook and reads the process's clock and memory every 0.2 ms until it ends. The last values count, so that the
/// last fraction of a millisecond is missed.
pub fn observe(unit: &Unit, hook: &str) -> Result<Sample> {
    let namespace = fs::read_link(format!("/proc/{}/ns/pid", unit.machine().leader()))
        .context("looking up the unit's PID namespace")?;
    let mut process = None;
    let mut last = None;
    let run = unit.kill_hook_when(hook, |_| {
        process = process.take().or_else(|| find(&namespace));
        if let Some(now) = process.and_then(|(pid, clock)| Some((cpu(clock)?, peak_memory(pid)?))) {
            last = Some(now);
        }
        false
    })?;
    let (cpu, memory) = last.context("the hook ended before its process was seen")?;
    Ok(Sample { run: run.expect_ok()?, cpu, memory })
}

/// Finds the charm's process on the unit with this PID namespace, and its CPU clock.
fn find(namespace: &Path) -> Option<(Pid, ClockId)> {
    let mut processes = fs::read_dir("/proc").ok()?.flatten();
    processes.find_map(|entry| {
        let path = entry.path();
        let name = fs::read_to_string(path.join("comm")).ok()?;
        if name.trim() != PROGRAM || fs::read_link(path.join("ns/pid")).ok()? != namespace {
            return None;
        }
        let pid = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?);
        Some((pid, clock_getcpuclockid(pid).ok()?))
    })
}

fn cpu(clock: ClockId) -> Option<Duration> {
    clock.now().ok().map(Duration::from)
}

/// `VmHWM` (proc(5)); none once the process has ended.
fn peak_memory(pid: Pid) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024.0 / 1e6)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};

    use super::*;

    /// The time of a process's ended children stands in its stat file, in hundredths of a second (proc(5)).
    #[test]
    fn the_clock_leaves_out_the_programs_that_the_process_starts() {
        const SCRIPT: &str = "sh -c 'for i in $(seq 200000); do :; done'; cat /proc/$$/stat; read -r end";
        let mut shell =
            Command::new("sh").args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stat = String::new();
        let stdout = shell.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut stat).unwrap();
        let pid = Pid::from_raw(shell.id().cast_signed());
        let own = cpu(clock_getcpuclockid(pid).unwrap()).unwrap();
        assert!(peak_memory(pid).unwrap() > 0.1);
        drop(shell.stdin.take());
        shell.wait().unwrap();
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        let children: u64 = fields.split(' ').nth(13).unwrap().parse().unwrap();
        assert!(children > 0, "{stat}");
        assert!(own < Duration::from_millis(children * 10), "{own:?}, {stat}");
    }
}
