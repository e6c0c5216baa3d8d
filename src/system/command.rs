//! Runs another program: always with a time limit and a size limit, never through a shell.
//!
//! What a program prints on stderr becomes part of the error when it fails, capped, so that the log names the cause
//! and not only an exit status. Nothing secret may be an argument or in the environment: both are readable in `/proc`.

use std::ffi::{OsStr, OsString};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, User};
use wait_timeout::ChildExt;

use super::{Account, Host};

/// The most bytes that a program may print on stdout; of stderr the end is kept.
const STDOUT_LIMIT: usize = 8 << 20;
/// How much of stderr, from its end, goes into an error.
const STDERR_IN_ERROR: usize = 2000;
/// Where programs are found when the environment is not inherited: systemd's default for services.
pub const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program to run: plain data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    pub program: OsString,
    pub args: Vec<OsString>,
    pub env: Vec<(String, OsString)>,
    pub stdin: Vec<u8>,
    pub limit: Duration,
    /// Run as this user, with that user's groups and nothing of root left; as root otherwise.
    pub user: Option<&'static str>,
    /// Whether this process's own environment is passed on; Juju's hook tools need it.
    pub inherits_environment: bool,
}

/// How a program ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// The program and its first argument, for messages.
    pub name: String,
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Command {
    /// A program with a small constructed environment and a time limit.
    pub fn new(program: impl AsRef<OsStr>, limit: Duration) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            env: vec![("PATH".to_owned(), SYSTEM_PATH.into()), ("LC_ALL".to_owned(), "C.UTF-8".into())],
            stdin: Vec::new(),
            limit,
            user: None,
            inherits_environment: false,
        }
    }

    /// A program that gets this process's environment.
    pub fn inheriting(program: &str, limit: Duration) -> Self {
        Self { env: Vec::new(), inherits_environment: true, ..Self::new(program, limit) }
    }

    #[must_use]
    pub fn as_user(mut self, user: &'static str) -> Self {
        self.user = Some(user);
        self
    }

    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Gives the program this on stdin (nothing otherwise).
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Returns the program and its first argument, for messages: `systemctl show`.
    pub fn name(&self) -> String {
        let words = std::iter::once(&self.program).chain(self.args.first());
        let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
        words.join(" ")
    }

    /// As another user the program dies with this process: a hook that is killed leaves none behind.
    fn prepared(&self) -> std::process::Command {
        let mut command = match self.user {
            None => std::process::Command::new(&self.program),
            Some(user) => {
                let mut command = std::process::Command::new("setpriv");
                command
                    .args(["--reuid", user, "--regid", user, "--init-groups", "--no-new-privs"])
                    .args(["--pdeathsig", "KILL", "--"])
                    .arg(&self.program);
                command
            }
        };
        if !self.inherits_environment {
            command.env_clear();
        }
        command
            .args(&self.args)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            .process_group(0)
            .stdin(if self.stdin.is_empty() { Stdio::null() } else { Stdio::piped() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

impl Output {
    /// Describes the end as an error: the program, how it ended, the end of its stderr.
    pub fn failure(&self) -> String {
        let how = match (self.code, self.signal) {
            (Some(code), _) => format!("exit code {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "no exit code".to_owned(),
        };
        format!("{} failed ({how}): {}", self.name, self.stderr.trim())
    }
}

/// This machine's programs and accounts.
pub struct LocalHost;

impl Host for LocalHost {
    fn run(&self, command: &Command) -> Result<Output> {
        let name = command.name();
        let end = Instant::now() + command.limit;
        let mut child = command.prepared().spawn().with_context(|| format!("starting {name}"))?;
        let exchanged = exchange(&mut child, &command.stdin, end);
        let left = end.saturating_duration_since(Instant::now());
        let status = match exchanged {
            Ok(_) => child.wait_timeout(left).with_context(|| format!("waiting for {name}"))?,
            Err(_) => None,
        };
        let Some(status) = status else {
            kill_group(&mut child)?;
            exchanged.with_context(|| format!("reading the output of {name}"))?;
            bail!("{name} did not end within {} s", command.limit.as_secs());
        };
        let (stdout, stderr) = exchanged?;
        Ok(Output {
            code: status.code(),
            signal: status.signal(),
            stdout,
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
            name,
        })
    }

    fn account(&self, name: &str) -> Result<Option<Account>> {
        let user = User::from_name(name).with_context(|| format!("looking up user {name}"))?;
        Ok(user.map(|user| Account { uid: user.uid.as_raw(), gid: user.gid.as_raw() }))
    }
}

/// Writes a program's stdin and reads stdout and stderr until it and all that it started have closed them.
fn exchange(child: &mut Child, stdin: &[u8], end: Instant) -> Result<(Vec<u8>, Vec<u8>)> {
    let (mut input, mut output, mut errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (mut stdout, mut stderr, mut written) = (Vec::new(), Vec::new(), 0);
    if let Some(pipe) = &input {
        fcntl(pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    }
    while output.is_some() || errors.is_some() {
        let left = end.saturating_duration_since(Instant::now());
        anyhow::ensure!(!left.is_zero(), "it, or what it started, did not end in time");
        let mut fds = Vec::new();
        fds.extend(input.as_ref().map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLOUT)));
        fds.extend(output.as_ref().map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN)));
        fds.extend(errors.as_ref().map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN)));
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut fds, timeout) {
            Err(Errno::EINTR) => continue,
            polled => polled.context("waiting for it")?,
        };
        let mut ready = fds.iter().map(|fd| fd.any().unwrap_or_default()).collect::<Vec<_>>().into_iter();
        if let Some(pipe) = &mut input
            && ready.next() == Some(true)
        {
            match pipe.write(&stdin[written..]) {
                Ok(count) => written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // It does not want the rest.
                Err(_) => written = stdin.len(),
            }
            if written == stdin.len() {
                input = None;
            }
        }
        if output.is_some() && ready.next() == Some(true) {
            read_some(&mut output, &mut stdout)?;
            anyhow::ensure!(stdout.len() <= STDOUT_LIMIT, "it prints more than {STDOUT_LIMIT} bytes");
        }
        if errors.is_some() && ready.next() == Some(true) {
            read_some(&mut errors, &mut stderr)?;
            let surplus = stderr.len().saturating_sub(STDERR_IN_ERROR);
            stderr.drain(..surplus);
        }
    }
    Ok((stdout, stderr))
}

/// Reads what is there; the pipe goes when it is closed.
fn read_some(pipe: &mut Option<impl Read>, into: &mut Vec<u8>) -> Result<()> {
    let mut buffer = [0; 1 << 13];
    let count = match pipe {
        Some(open) => open.read(&mut buffer).context("reading what it prints")?,
        None => 0,
    };
    into.extend_from_slice(&buffer[..count]);
    if count == 0 {
        *pipe = None;
    }
    Ok(())
}

/// Ends the program and whatever it started.
fn kill_group(child: &mut Child) -> Result<()> {
    match killpg(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGKILL) {
        // It has just ended.
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(error) => return Err(error).context("killing a program that does not end"),
    }
    child.wait().map(drop).context("waiting for a killed program")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, limit: Duration) -> Command {
        Command::new("sh", limit).args(["-c", script])
    }

    fn error_of(command: &Command) -> String {
        format!("{:#}", LocalHost.run(command).unwrap_err())
    }

    #[test]
    fn a_failure_names_the_program_its_exit_code_and_its_stderr() {
        let output = LocalHost.run(&sh("echo no such thing >&2; exit 3", Duration::from_secs(5)));
        assert_eq!(output.unwrap().failure(), "sh -c failed (exit code 3): no such thing");
    }

    #[test]
    fn when_the_time_is_over_a_program_is_killed_with_all_it_started() {
        for script in ["sleep 30 & sleep 30", "sleep 30 &", "exec >&- 2>&-; sleep 30"] {
            let began = Instant::now();
            let error = error_of(&sh(script, Duration::from_millis(200)));
            assert!(error.contains("did not end"), "{script}: {error}");
            assert!(began.elapsed() < Duration::from_secs(5), "{script}");
        }
    }

    #[test]
    fn output_larger_than_a_pipe_is_read_completely_and_input_is_given() {
        let input = vec![b'x'; 200_000];
        let command = sh("cat; head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2", Duration::from_secs(5));
        let output = LocalHost.run(&command.stdin(input)).unwrap();
        assert_eq!(output.stdout.len(), 500_000);
        assert_eq!(output.stderr.len(), STDERR_IN_ERROR);
        let ignores = sh("exit 0", Duration::from_secs(5)).stdin(vec![b'x'; 200_000]);
        assert_eq!(LocalHost.run(&ignores).unwrap().code, Some(0));
    }

    #[test]
    fn a_program_that_prints_without_end_is_stopped() {
        let error = error_of(&sh("cat /dev/zero", Duration::from_secs(20)));
        assert!(error.contains("prints more than"), "{error}");
    }
}
