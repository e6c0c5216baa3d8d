//! Processes in a machine, started from outside through its namespaces.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Machine;
use crate::host::{Output, Process};
use crate::root::HOST_ID_OF_ROOT;

/// Long enough for any one command of a test; a command that takes longer is killed.
const RUN_LIMIT: Duration = Duration::from_secs(300);

/// The environment of commands that a test runs in a machine: root's, and nothing of the host's.
const ENVIRONMENT: [(&str, &str); 3] =
    [("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"), ("HOME", "/root"), ("LANG", "C.UTF-8")];

impl Machine {
    /// Run a command as root inside, with a plain environment, and wait for its end: at most five minutes. A failing
    /// command is no error.
    pub fn run(&self, argv: &[&str]) -> Result<Output> {
        self.run_with_input(argv, None)
    }

    /// Like [`Machine::run`], with `input` on standard input.
    pub fn run_with_input(&self, argv: &[&str], input: Option<&[u8]>) -> Result<Output> {
        let environment = ENVIRONMENT.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let process = self.start(argv, &environment, "/", input)?;
        let what = || format!("{} in {}", argv.join(" "), self.hostname());
        Ok(process.finish(RUN_LIMIT).with_context(what)?.0)
    }

    /// Run a shell script with `sh -ec` as root inside and return its standard output.
    pub fn shell(&self, script: &str) -> Result<String> {
        let output = self.run(&["sh", "-ec", script])?;
        ensure!(
            output.ok(),
            "in {}: {script}\nexited with {:?}\n{}{}",
            self.hostname(),
            output.code,
            output.stdout,
            output.stderr
        );
        Ok(output.stdout)
    }

    /// `MainPID` of a systemd service: the process id inside, 0 when it is not running.
    pub fn pid_of(&self, service: &str) -> Result<u32> {
        let shown = self.shell(&format!("systemctl show --property=MainPID --value -- {service}"))?;
        shown.trim().parse().with_context(|| format!("no MainPID of {service}: {shown:?}"))
    }

    /// The arguments of the process with this id inside.
    pub fn cmdline(&self, pid: u32) -> Result<Vec<String>> {
        let raw = self.read(&format!("/proc/{pid}/cmdline"))?;
        let text = String::from_utf8_lossy(&raw).into_owned();
        Ok(text.trim_end_matches('\0').split('\0').map(str::to_owned).collect())
    }

    /// Start a process inside with exactly this environment, in `directory`.
    pub(crate) fn start(
        &self,
        argv: &[&str],
        environment: &[(String, String)],
        directory: &str,
        input: Option<&[u8]>,
    ) -> Result<Process> {
        let mut command = Command::new("/usr/bin/nsenter");
        command.args(["--all", "--root", "--target"]).arg(self.leader().to_string()).arg("--");
        command.args(["/usr/bin/env", "-C", directory]).args(argv);
        command.env_clear().envs(environment.iter().map(|(name, value)| (name, value)));
        Process::start(&mut command, input, Some(HOST_ID_OF_ROOT))
    }
}
