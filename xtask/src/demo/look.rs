//! Looks at a unit from outside, with the system's and Magnum's own means and none of the charm's.

use std::thread;

use anyhow::{Context, Result, ensure};
use lab::{Machine, RESTLESS, Snapshot};
use serde::Deserialize;

/// Magnum's own loader, asked as the user of its services.
const LOADER: &str = include_str!("loader.py");

/// The main processes of the two services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Processes {
    /// magnum-api's process id.
    pub api: u32,
    /// magnum-conductor's process id.
    pub conductor: u32,
}

impl Processes {
    /// The ones that run now.
    ///
    /// # Errors
    ///
    /// When systemd cannot be asked.
    pub fn of(machine: &Machine) -> Result<Self> {
        Ok(Self {
            api: machine.pid_of("magnum-api")?,
            conductor: machine.pid_of("magnum-conductor")?,
        })
    }

    /// Their command lines, the API's first.
    ///
    /// # Errors
    ///
    /// When one of them is gone.
    pub fn command_lines(self, machine: &Machine) -> Result<[String; 2]> {
        Ok([
            machine.cmdline(self.api)?.join(" "),
            machine.cmdline(self.conductor)?.join(" "),
        ])
    }
}

/// What Magnum itself makes of the installed drivers and the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Magnum {
    /// The drivers that its loader enables, sorted.
    pub enabled: Vec<String>,
    /// The version of the Cluster API Helm driver that it finds.
    pub driver: Option<String>,
}

impl Magnum {
    /// Asks as user magnum, with the arguments of the running conductor.
    ///
    /// # Errors
    ///
    /// When Magnum's loader fails.
    pub fn of(machine: &Machine) -> Result<Self> {
        let conductor = machine.cmdline(Processes::of(machine)?.conductor)?;
        let mut question = vec![
            "setpriv",
            "--reuid=magnum",
            "--regid=magnum",
            "--init-groups",
            "env",
            "--chdir=/",
            "PYTHONDONTWRITEBYTECODE=1",
            "/usr/bin/python3",
            "-",
        ];
        let configuration = conductor
            .iter()
            .filter(|word| word.starts_with("--config-"));
        question.extend(configuration.map(String::as_str));
        let answer = machine.run_with_input(&question, Some(LOADER.as_bytes()))?;
        ensure!(answer.ok(), "Magnum's loader fails: {}", answer.stderr);
        serde_json::from_str(&answer.stdout)
            .with_context(|| format!("Magnum's loader says {:?}", answer.stdout))
    }
}

/// A table of files: mode, owner and group, size, path.
///
/// # Errors
///
/// When one is not there.
pub fn files(machine: &Machine, paths: &[&str]) -> Result<String> {
    machine.shell(&format!(
        "stat --format='%A  %U:%G %s %n' {} | awk '{{printf \"%s  %-11s %6s  %s\\n\", $1, $2, $3, $4}}'",
        paths.join(" ")
    ))
}

/// What of the unit the comparison at the end leaves out, besides what lies in memory: logs only grow.
pub const NOT_COMPARED: [&str; 3] = [RESTLESS[0], RESTLESS[1], "/var/log"];

/// The whole disk of the unit but [`NOT_COMPARED`], and what Magnum makes of it. Each takes seconds: side by side.
///
/// # Errors
///
/// When something cannot be read, or Magnum's loader fails.
pub fn disk_and_magnum(machine: &Machine) -> Result<(Snapshot, Magnum)> {
    thread::scope(|scope| {
        let disk = scope.spawn(|| disk(machine));
        let magnum = Magnum::of(machine)?;
        let disk = disk.join().ok().context("reading the disk panicked")??;
        Ok((disk, magnum))
    })
}

fn disk(machine: &Machine) -> Result<Snapshot> {
    let mut exclude = vec!["/proc", "/sys", "/dev", "/run", "/tmp"];
    exclude.extend(NOT_COMPARED);
    machine.snapshot(&["/"], &exclude)
}
