//! Runs another program: always with a time limit, never through a shell.
//!
//! What a program prints on stderr becomes part of the error when it fails, capped, so that the
//! log names the cause and not only an exit status. Nothing secret may be given as an argument
//! or in the environment: both are readable in `/proc`.

use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use wait_timeout::ChildExt;

/// The most bytes kept of what a program prints; the rest is read and dropped.
const OUTPUT_LIMIT: u64 = 4 << 20;
/// How much of stderr, from its end, goes into an error.
const STDERR_IN_ERROR: usize = 2000;
/// Where programs are found when the environment is not inherited: systemd's default for services.
pub const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program to run.
#[derive(Debug)]
pub struct Run {
    command: Command,
    stdin: Vec<u8>,
    rest: Option<Receiver<Vec<u8>>>,
    limit: Duration,
}

/// How a program ended.
#[derive(Debug)]
pub struct Output {
    name: String,
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// What it printed on stdout.
    pub stdout: Vec<u8>,
    /// What it printed on stderr, as text.
    pub stderr: String,
    signal: Option<i32>,
}

/// `program`, with a small constructed environment and `limit` as its time limit.
pub fn run(program: &str, limit: Duration) -> Run {
    constructed(Command::new(program), limit)
}

/// Like [`run`], for what takes long: it dies with this process, so that a hook that is killed
/// leaves no pip behind it to work beside the next hook's.
pub fn run_tied(program: &str, limit: Duration) -> Run {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", program]);
    constructed(command, limit)
}

/// Like [`run_tied`], as another user, with that user's groups and nothing of root left.
pub fn run_as(user: &str, program: &str, limit: Duration) -> Run {
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", user, "--regid", user, "--init-groups"])
        .args(["--pdeathsig", "KILL", "--", program]);
    constructed(command, limit)
}

fn constructed(mut command: Command, limit: Duration) -> Run {
    command
        .env_clear()
        .env("PATH", SYSTEM_PATH)
        .env("LC_ALL", "C.UTF-8");
    Run::new(command, limit)
}

/// `program` with this process's own environment: Juju's hook tools need theirs.
pub fn run_inherited(program: &str, limit: Duration) -> Run {
    Run::new(Command::new(program), limit)
}

impl Run {
    fn new(command: Command, limit: Duration) -> Self {
        Self {
            command,
            stdin: Vec::new(),
            rest: None,
            limit,
        }
    }

    /// Adds one argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(args);
        self
    }

    /// Sets one environment variable.
    pub fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(key, value);
        self
    }

    /// Gives the program this text on stdin (nothing otherwise).
    pub fn stdin(mut self, bytes: &[u8]) -> Self {
        self.stdin = bytes.to_vec();
        self
    }

    /// Gives the program what `rest` sends after that, whenever it does, and then the end of its
    /// stdin; only the end when its sender is dropped.
    pub fn then(mut self, rest: Receiver<Vec<u8>>) -> Self {
        self.rest = Some(rest);
        self
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// When it cannot be started or does not end within its limit. How it ended otherwise is
    /// the caller's to judge.
    pub fn output(mut self) -> Result<Output> {
        let name = self.name();
        let end = Instant::now() + self.limit;
        let mut child = self
            .command
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        if let Some(mut pipe) = child.stdin.take() {
            let bytes = std::mem::take(&mut self.stdin);
            let rest = self.rest.take();
            // A program that ends without reading its stdin breaks the pipe: not an error of ours. Whoever
            // is to send the rest may live longer than the program: nobody waits for this.
            std::thread::spawn(move || {
                let written = pipe.write_all(&bytes);
                let rest = rest.and_then(|rest| rest.recv().ok());
                drop(written.and_then(|()| pipe.write_all(&rest.unwrap_or_default())));
            });
        }
        let stdout = child.stdout.take().map(read_in_background);
        let stderr = child.stderr.take().map(read_in_background);
        let Some(status) = child
            .wait_timeout(self.limit)
            .with_context(|| format!("waiting for {name}"))?
        else {
            kill_group(&mut child)?;
            bail!("{name} did not end within {} s", self.limit.as_secs());
        };
        let collected = |pipe: Option<Printed>| match pipe {
            Some(pipe) => pipe.recv_timeout(end.saturating_duration_since(Instant::now())),
            None => Ok(Ok(Vec::new())),
        };
        let printed = collected(stdout).and_then(|stdout| Ok((stdout, collected(stderr)?)));
        let (stdout, stderr) = match printed {
            Ok(printed) => printed,
            Err(RecvTimeoutError::Timeout) => {
                kill_group(&mut child)?;
                bail!(
                    "{name} ended, but not within {} s what it started",
                    self.limit.as_secs()
                );
            }
            Err(RecvTimeoutError::Disconnected) => {
                bail!("a thread that reads the output of {name} panicked")
            }
        };
        let reading = || format!("reading the output of {name}");
        Ok(Output {
            code: status.code(),
            signal: status.signal(),
            stdout: stdout.with_context(reading)?,
            stderr: String::from_utf8_lossy(&stderr.with_context(reading)?).into_owned(),
            name,
        })
    }

    /// Runs it to its end and gives what it printed.
    ///
    /// # Errors
    /// As [`Run::output`], and when it ends otherwise than with exit code 0.
    pub fn stdout(self) -> Result<Vec<u8>> {
        let output = self.output()?;
        if output.code != Some(0) {
            bail!(output.failure());
        }
        Ok(output.stdout)
    }

    /// The program and its first argument, for messages: `systemctl show`.
    fn name(&self) -> String {
        let mut words: Vec<OsString> = std::iter::once(self.command.get_program())
            .chain(self.command.get_args())
            .map(OsStr::to_owned)
            .collect();
        if words[0] == "setpriv" {
            let end = words.iter().position(|word| word == "--");
            words.drain(..=end.unwrap_or_default());
        }
        words.truncate(2);
        words.join(OsStr::new(" ")).to_string_lossy().into_owned()
    }
}

impl Output {
    /// This end, told as an error: the program, how it ended, the tail of its stderr.
    pub fn failure(&self) -> impl Display + Send + Sync + std::fmt::Debug + 'static + use<> {
        let how = match (self.code, self.signal) {
            (Some(code), _) => format!("exit code {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "no exit code".to_owned(),
        };
        let stderr = self.stderr.trim();
        let tail = stderr
            .char_indices()
            .rev()
            .nth(STDERR_IN_ERROR)
            .map_or(stderr, |(at, _)| &stderr[at..]);
        format!("{} failed ({how}): {tail}", self.name)
    }
}

/// What a program prints, once it and all that it started have closed the pipe.
type Printed = Receiver<std::io::Result<Vec<u8>>>;

fn read_in_background(pipe: impl Read + Send + 'static) -> Printed {
    let (done, printed) = channel();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        let mut pipe = pipe.take(OUTPUT_LIMIT);
        let read = pipe
            .read_to_end(&mut kept)
            .and_then(|_| std::io::copy(&mut pipe.into_inner(), &mut std::io::sink()));
        // Nobody listens any more when it took too long.
        done.send(read.map(|_| kept)).ok();
    });
    printed
}

/// Ends the program and whatever it started.
fn kill_group(child: &mut Child) -> Result<()> {
    match killpg(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGKILL) {
        // It ended by itself in this very moment.
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(error) => return Err(error).context("killing a program that does not end"),
    }
    child
        .wait()
        .map(drop)
        .context("waiting for a killed program")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, limit: Duration) -> Run {
        run("sh", limit).args(["-c", script])
    }

    #[test]
    fn a_tied_program_is_named_by_itself() {
        let error = run_tied("sh", Duration::from_secs(5))
            .args(["-c", "exit 1"])
            .stdout()
            .unwrap_err();
        assert!(error.to_string().starts_with("sh -c failed"), "{error}");
    }

    #[test]
    fn a_failure_names_the_program_its_exit_code_and_its_stderr() {
        let error = sh("echo no such thing >&2; exit 3", Duration::from_secs(5))
            .stdout()
            .unwrap_err()
            .to_string();
        assert_eq!(error, "sh -c failed (exit code 3): no such thing");
    }

    #[test]
    fn when_the_time_is_over_a_program_is_killed_with_all_it_started_and_what_it_left_running() {
        for (script, says) in [
            ("sleep 30 & sleep 30", "did not end within"),
            ("sleep 30 &", "ended, but not within"),
        ] {
            let began = Instant::now();
            let error = sh(script, Duration::from_millis(200))
                .stdout()
                .unwrap_err()
                .to_string();
            assert!(error.contains(says), "{script}: {error}");
            assert!(began.elapsed() < Duration::from_secs(5), "{script}");
        }
    }

    #[test]
    fn a_program_that_has_ended_is_told_while_the_rest_of_its_input_is_still_awaited() {
        let (_word, rest) = channel();
        let began = Instant::now();
        sh("exit 0", Duration::from_secs(30))
            .then(rest)
            .stdout()
            .unwrap();
        assert!(began.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn output_larger_than_a_pipe_is_read_whole_and_input_is_given() {
        let out = sh("cat; head -c 300000 /dev/zero", Duration::from_secs(5))
            .stdin(b"first")
            .stdout()
            .unwrap();
        assert_eq!(out.len(), 300_005);
        assert!(out.starts_with(b"first"));
    }
}
