//! Runs another program: always with a time limit and a size limit, never through a shell.
//!
//! What a program prints on stderr becomes part of the error when it fails, capped, so that the log names the cause
//! and not only an exit status. Nothing secret may be an argument: everybody can read those in `/proc`. A program's
//! environment can be read by root and by the program's own user.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Gid, Pid, User};

use super::{Account, Host, SIZE_LIMIT, Secret, bounds};

/// Once a run must end, each program still gets so long: to say how it ended, and for no more.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How much of stderr, from its end, is kept and goes into an error; stdout has [`SIZE_LIMIT`].
const STDERR_IN_ERROR: usize = 2000;
/// Where user magnum's programs are found, as the services' own: systemd's default.
pub const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Where root's programs are found when the environment is not inherited: where only packages put any.
const ROOT_PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// A program to run: plain data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    pub program: OsString,
    pub args: Vec<OsString>,
    /// Besides PATH.
    pub env: Vec<(String, OsString)>,
    /// Further variables, which may hold credentials.
    pub secret_env: Vec<(String, Secret<OsString>)>,
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
            env: vec![("LC_ALL".to_owned(), "C.UTF-8".into())],
            secret_env: Vec::new(),
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

    /// Gives the program variables that may hold credentials. As another user too it is started by programs of root's,
    /// which get them as well: none may be one that these, or the C library, heed.
    #[must_use]
    pub fn secret_env(mut self, variables: impl IntoIterator<Item = (String, Secret<OsString>)>) -> Self {
        self.secret_env.extend(variables);
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

    /// As another user the program dies with this process: a hook that is killed leaves none behind. It has a session of
    /// its own: it has no part in root's terminal, and cannot leave its process group.
    fn prepared(&self) -> Result<std::process::Command> {
        let mut command = match self.user {
            None => {
                let mut command = std::process::Command::new(self.located(&self.program));
                command.process_group(0);
                command
            }
            Some(user) => {
                let mut command = std::process::Command::new(self.located("setsid".as_ref()));
                command
                    .args([
                        "setpriv",
                        "--reuid",
                        user,
                        "--regid",
                        &group_of(user)?.to_string(),
                        "--init-groups",
                        "--no-new-privs",
                    ])
                    .args(["--pdeathsig", "KILL", "--"])
                    .arg(&self.program);
                command
            }
        };
        if !self.inherits_environment {
            let path = if self.user.is_some() { SYSTEM_PATH } else { ROOT_PATH };
            command.env_clear().env("PATH", path);
        }
        command
            .args(&self.args)
            .envs(self.secret_env.iter().map(|(name, value)| (name, value.expose())))
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            .stdin(self.input()?)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Ok(command)
    }

    /// Returns the path of a program. By its name alone it could only be found by a copy of this process.
    fn located(&self, program: &OsStr) -> PathBuf {
        let mut places = ROOT_PATH.split(':').map(|directory| Path::new(directory).join(program));
        let found = places.find(|path| !self.inherits_environment && path.is_file());
        found.unwrap_or_else(|| program.into())
    }

    /// A file in memory: the program need not take it while it prints, or at all. It is sealed, for other processes of
    /// the program's user can open it too.
    fn input(&self) -> Result<Stdio> {
        if self.stdin.is_empty() {
            return Ok(Stdio::null());
        }
        let mut file = File::from(memfd_create("stdin", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?);
        file.write_all(&self.stdin)?;
        file.rewind()?;
        let size = SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SHRINK;
        fcntl(&file, FcntlArg::F_ADD_SEALS(size | SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_SEAL))?;
        Ok(file.into())
    }
}

/// Returns the id of a user's group: that of nobody has another name in Debian.
fn group_of(user: &str) -> Result<Gid> {
    let account = User::from_name(user).with_context(|| format!("looking up user {user}"))?;
    account.map(|account| account.gid).with_context(|| format!("there is no user {user}"))
}

impl Output {
    /// Describes the end as an error: the program, how it ended, the end of its stderr.
    pub fn failure(&self) -> String {
        let how = match self.code {
            Some(code) => format!("exit code {code}"),
            None => format!("signal {}", self.signal.unwrap_or_default()),
        };
        format!("{} failed ({how}): {}", self.name, self.stderr.trim())
    }
}

/// This machine's programs and accounts.
pub struct LocalHost {
    /// Returns how much is left of the run that uses them.
    pub left: fn() -> Duration,
}

impl LocalHost {
    /// Returns how long a program may take, and why that is less than it should have.
    fn limit(&self, command: &Command) -> (Duration, String) {
        let left = (self.left)().max(LAST_WORDS);
        match left < command.limit {
            true => (left, format!(" (a run of the charm ends after {} s)", bounds::RUN_SECONDS)),
            false => (command.limit, String::new()),
        }
    }
}

impl Host for LocalHost {
    fn run(&self, command: &Command) -> Result<Output> {
        let name = command.name();
        let (limit, why) = self.limit(command);
        let end = Instant::now() + limit;
        let mut child = command.prepared()?.spawn().with_context(|| format!("starting {name}"))?;
        let printed = read(&mut child, end);
        let status = match printed {
            Ok(_) => wait(&mut child, end).with_context(|| format!("waiting for {name}"))?,
            Err(_) => None,
        };
        let Some(status) = status else {
            kill_group(&mut child)?;
            printed.with_context(|| format!("reading the output of {name}{why}"))?;
            bail!("{name} did not end within {} s{why}", limit.as_secs());
        };
        let [stdout, stderr] = printed?;
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
        Ok(user.map(|user| Account { uid: user.uid.as_raw(), gid: user.gid.as_raw(), home: user.dir }))
    }
}

/// Reads stdout and stderr until the program and all that it started have closed them.
fn read(child: &mut Child, end: Instant) -> Result<[Vec<u8>; 2]> {
    let pipes = [child.stdout.take().map(OwnedFd::from), child.stderr.take().map(OwnedFd::from)];
    let mut open: Vec<(usize, File)> = pipes.into_iter().flatten().map(File::from).enumerate().collect();
    let mut printed = [Vec::new(), Vec::new()];
    while !open.is_empty() {
        let left = end.saturating_duration_since(Instant::now());
        anyhow::ensure!(!left.is_zero(), "it, or what it started, did not end in time");
        let mut fds: Vec<_> = open.iter().map(|(_, pipe)| PollFd::new(pipe.as_fd(), PollFlags::POLLIN)).collect();
        match poll(&mut fds, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
            Err(Errno::EINTR) => continue,
            polled => polled.context("waiting for it")?,
        };
        let Some(ready) = fds.iter().position(|fd| fd.any() == Some(true)) else { continue };
        let (which, pipe) = &mut open[ready];
        let mut buffer = [0; 1 << 13];
        let count = pipe.read(&mut buffer).context("reading what it prints")?;
        printed[*which].extend_from_slice(&buffer[..count]);
        if count == 0 {
            open.remove(ready);
        }
        let [stdout, stderr] = &mut printed;
        anyhow::ensure!(stdout.len() as u64 <= SIZE_LIMIT, "it prints more than {SIZE_LIMIT} bytes");
        stderr.drain(..stderr.len().saturating_sub(STDERR_IN_ERROR));
    }
    Ok(printed)
}

/// Waits for a program that has closed its output, which it mostly does by ending; `None` if it does not end in time.
fn wait(child: &mut Child, end: Instant) -> io::Result<Option<ExitStatus>> {
    let mut pause = Duration::from_micros(100);
    loop {
        let status = child.try_wait()?;
        if status.is_some() || Instant::now() >= end {
            return Ok(status);
        }
        std::thread::sleep(pause);
        pause = Duration::min(2 * pause, Duration::from_millis(50));
    }
}

/// Ends the program and whatever it started.
fn kill_group(child: &mut Child) -> Result<()> {
    let killed = killpg(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGKILL);
    // By itself too: it may not have made its group yet.
    child.kill().context("killing a program that does not end")?;
    match killed {
        Ok(()) | Err(Errno::ESRCH) => child.wait().map(drop).context("waiting for a killed program"),
        Err(error) => Err(error).context("killing what a program has started"),
    }
}

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;
