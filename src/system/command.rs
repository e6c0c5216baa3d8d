//! Runs another program: always with a time limit and a size limit, never through a shell.
//!
//! What a program prints on stderr becomes part of the error when it fails, capped, so that the log names the cause
//! and not only an exit status. Nothing secret may be an argument or in the environment: both are readable in `/proc`.

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

use super::{Account, Host, SIZE_LIMIT, bounds};

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
mod tests {
    use super::*;

    const HOST: LocalHost = LocalHost { left: || Duration::MAX };

    fn sh(script: &str, limit: Duration) -> Command {
        Command::new("sh", limit).args(["-c", script])
    }

    fn error_of(command: &Command) -> String {
        format!("{:#}", HOST.run(command).unwrap_err())
    }

    #[test]
    fn a_failure_names_the_program_its_exit_code_and_its_stderr() {
        let output = HOST.run(&sh("echo no such thing >&2; exit 3", Duration::from_secs(5)));
        assert_eq!(output.unwrap().failure(), "sh -c failed (exit code 3): no such thing");
    }

    #[test]
    fn roots_programs_are_not_found_where_others_than_packages_put_them() {
        let output = HOST.run(&sh("echo $PATH", Duration::from_secs(5))).unwrap();
        assert_eq!(output.stdout, b"/usr/sbin:/usr/bin:/sbin:/bin\n");
        // Without a path to look in, a program could be found wherever this process's own PATH leads.
        let found = Command::new("sh", Duration::ZERO).prepared().unwrap();
        let path = Path::new(found.get_program());
        assert!(ROOT_PATH.split(':').any(|directory| path == Path::new(directory).join("sh")), "{path:?}");
        let setpriv = Command::new("id", Duration::ZERO).as_user("root").prepared().unwrap();
        assert!(Path::new(setpriv.get_program()).is_absolute(), "{setpriv:?}");
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
    fn when_the_run_must_end_a_program_is_killed_however_long_it_may_take_by_itself() {
        let host = LocalHost { left: || Duration::ZERO };
        assert_eq!(host.run(&sh("exit 3", Duration::from_secs(60))).unwrap().code, Some(3));
        let began = Instant::now();
        for script in ["sleep 30", "exec >&- 2>&-; sleep 30"] {
            let error = format!("{:#}", host.run(&sh(script, Duration::from_secs(60))).unwrap_err());
            assert!(error.contains("did not end") && error.contains("a run of the charm ends after 600 s"), "{error}");
        }
        assert!(began.elapsed() < Duration::from_secs(15));
    }

    #[test]
    fn output_larger_than_a_pipe_is_read_completely_and_input_is_given() {
        let input = vec![b'x'; 200_000];
        let command = sh("cat; head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2", Duration::from_secs(5));
        let output = HOST.run(&command.stdin(input)).unwrap();
        assert_eq!(output.stdout.len(), 500_000);
        assert_eq!(output.stderr.len(), STDERR_IN_ERROR);
        let ignores = sh("exit 0", Duration::from_secs(5)).stdin(vec![b'x'; 200_000]);
        assert_eq!(HOST.run(&ignores).unwrap().code, Some(0));
    }

    #[test]
    fn nobody_changes_what_a_program_is_given() {
        let change = "printf x 1<>/proc/self/fd/0; printf x >>/proc/self/fd/0; true >/proc/self/fd/0; cat";
        let output = HOST.run(&sh(change, Duration::from_secs(5)).stdin("given")).unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "given");
    }

    /// Only root can become another user.
    #[test]
    fn a_program_runs_as_a_user_whose_group_has_another_name() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let command = Command::new("id", Duration::from_secs(5)).arg("-un").as_user("nobody");
        assert_eq!(String::from_utf8_lossy(&HOST.run(&command).unwrap().stdout), "nobody\n");
    }

    /// It could otherwise type into root's terminal, or leave the group that is killed with it.
    #[test]
    fn a_program_of_another_user_has_a_session_of_its_own() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let endless = sh("sleep 9", Duration::from_secs(1)).as_user("nobody");
        assert!(error_of(&endless).contains("did not end in time"));
        let ids = sh("echo $$ $(cut -d ' ' -f 5,6 /proc/$$/stat)", Duration::from_secs(5)).as_user("nobody");
        let printed = HOST.run(&ids).unwrap().stdout;
        let ids: Vec<_> = String::from_utf8_lossy(&printed).split_whitespace().map(str::to_owned).collect();
        assert_eq!(ids, [&*ids[0]; 3]);
    }

    #[test]
    fn a_program_that_prints_without_end_is_stopped() {
        let error = error_of(&sh("cat /dev/zero", Duration::from_secs(20)));
        assert!(error.contains("prints more than 8388608 bytes"), "{error}");
    }
}
