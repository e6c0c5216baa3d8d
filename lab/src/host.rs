//! The host: processes with a time limit.
//!
//! Nothing here may wait for ever: every process started through this module is killed, with its
//! process group, when its time is up.

mod tools;

use std::io::{PipeReader, Read, Write};
use std::os::fd::AsFd as _;
use std::os::unix::fs::fchown;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

pub(crate) use tools::{
    allow_many_inotify_instances, ensure_root_user, install, install_missing_tools, is_there, missing_tools,
};

/// What a finished process left: exit code, or none when a signal ended it, and its output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The exit code; `None` when a signal ended the process.
    pub code: Option<i32>,
    /// Standard output; what is not UTF-8 is replaced.
    pub stdout: String,
    /// Standard error; what is not UTF-8 is replaced.
    pub stderr: String,
}

impl Output {
    #[must_use]
    pub fn ok(&self) -> bool {
        self.code == Some(0)
    }
}

/// A running process, leader of a process group of its own, whose output is being collected.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    stdout: Collector,
    stderr: Collector,
    status: Option<ExitStatus>,
}

impl Process {
    /// Start `command` with `input` (or nothing) on its standard input. Its pipes belong to `owner`, who can then
    /// open `/dev/stdin` and its kin again.
    pub(crate) fn start(command: &mut Command, input: Option<&[u8]>, owner: Option<u32>) -> Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        let pipe = || -> Result<_> {
            let ends = std::io::pipe().context("making a pipe")?;
            fchown(&ends.0, owner, owner).context("giving a pipe away")?;
            Ok(ends)
        };
        let (stdout, stdout_inside) = pipe()?;
        let (stderr, stderr_inside) = pipe()?;
        command.process_group(0).stdout(stdout_inside).stderr(stderr_inside);
        command.stdin(Stdio::null());
        let mut stdin = None;
        if let Some(input) = input {
            let (stdin_inside, writer) = pipe()?;
            command.stdin(stdin_inside);
            stdin = Some((writer, input.to_vec()));
        }
        let child = command.spawn().with_context(|| format!("starting {program}"))?;
        // The command holds its ends as long as it has them, and a pipe ends with the last of them.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Some((mut stdin, input)) = stdin {
            // A process that closes its input early says so by its exit code.
            std::thread::spawn(move || stdin.write_all(&input).ok());
        }
        Ok(Self { child, stdout: Collector::start(stdout)?, stderr: Collector::start(stderr)?, status: None })
    }

    /// The process id on the host.
    pub(crate) fn id(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// Whether the process has ended; does not wait.
    pub(crate) fn has_ended(&mut self) -> Result<bool> {
        if self.status.is_none() {
            self.status = self.child.try_wait()?;
        }
        Ok(self.status.is_some())
    }

    /// Wait for the end; past `limit` kill the whole process group and return an error. With the output
    /// comes the signal that ended it, if one did.
    pub(crate) fn finish(mut self, limit: Duration) -> Result<(Output, Option<i32>)> {
        let end = Instant::now() + limit;
        while !self.has_ended()? {
            if Instant::now() >= end {
                self.kill_group();
                let (stdout, stderr) = (self.stdout.take(), self.stderr.take());
                bail!("still running after {limit:?}, killed\nstdout: {stdout}\nstderr: {stderr}");
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let status = self.status.context("no exit status")?;
        // A process left behind may hold the pipes open: then what is there by now is the output.
        let output = Output { code: status.code(), stdout: self.stdout.take(), stderr: self.stderr.take() };
        Ok((output, status.signal()))
    }

    fn kill_group(&mut self) {
        // Both fail only when it is gone already.
        killpg(Pid::from_raw(self.id()), Signal::SIGKILL).ok();
        self.child.wait().ok();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.status.is_none() {
            self.kill_group();
        }
    }
}

/// Reads a pipe to its end on a thread of its own.
#[derive(Debug)]
struct Collector {
    bytes: Arc<Mutex<Vec<u8>>>,
    end: mpsc::Receiver<()>,
    pipe: PipeReader,
}

impl Collector {
    fn start(pipe: PipeReader) -> Result<Self> {
        let mut reader = pipe.try_clone().context("sharing a pipe")?;
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let (done, end) = mpsc::channel();
        let sink = Arc::clone(&bytes);
        std::thread::spawn(move || {
            let mut chunk = [0; 8192];
            while let Ok(count @ 1..) = reader.read(&mut chunk) {
                lock(&sink).extend_from_slice(&chunk[..count]);
            }
            done.send(()).ok();
        });
        Ok(Self { bytes, end, pipe })
    }

    /// All output. A process left behind may hold the pipe open: then what is there by now.
    fn take(&self) -> String {
        while self.end.recv_timeout(Duration::from_millis(500)) == Err(RecvTimeoutError::Timeout) && self.has_unread() {
        }
        String::from_utf8_lossy(&lock(&self.bytes)).into_owned()
    }

    /// Whether there is output that the thread has not come to read: on a busy machine that takes long.
    fn has_unread(&self) -> bool {
        let mut pipe = [PollFd::new(self.pipe.as_fd(), PollFlags::POLLIN)];
        poll(&mut pipe, PollTimeout::ZERO).is_ok() && pipe[0].any() == Some(true)
    }
}

/// Lock a mutex, whatever happened to an earlier holder: a failed test must not fail the others.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Run a program of the host to its end.
pub(crate) fn run(command: &mut Command, limit: Duration) -> Result<Output> {
    let shown = format!("{command:?}");
    let (output, _) = Process::start(command, None, None)?.finish(limit).with_context(|| shown.clone())?;
    ensure!(output.ok(), "{shown} exited with {:?}: {}", output.code, output.stderr.trim());
    Ok(output)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn output_and_exit_code_are_collected() {
        let mut command = Command::new("sh");
        command.args(["-c", "cat; echo err >&2; exit 3"]);
        let (output, _) =
            Process::start(&mut command, Some(b"in"), None).unwrap().finish(Duration::from_secs(5)).unwrap();
        assert_eq!(output, Output { code: Some(3), stdout: "in".into(), stderr: "err\n".into() });
    }

    #[test]
    fn a_process_past_its_limit_is_killed_with_its_children() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 4242 & echo $!; wait"]);
        let error = Process::start(&mut command, None, None).unwrap().finish(Duration::from_millis(200)).unwrap_err();
        let text = error.to_string();
        let child = text.lines().find_map(|line| line.strip_prefix("stdout: ")).unwrap();
        assert!(!Path::new("/proc").join(child).join("fd/0").exists(), "{child} is alive");
    }

    #[test]
    fn output_does_not_wait_for_a_process_left_behind() {
        let start = Instant::now();
        let mut command = Command::new("sh");
        command.args(["-c", "echo here; sleep 30 &"]);
        let (output, _) = Process::start(&mut command, None, None).unwrap().finish(Duration::from_secs(5)).unwrap();
        assert_eq!(output.stdout, "here\n");
        assert!(start.elapsed() < Duration::from_secs(3));
    }
}
