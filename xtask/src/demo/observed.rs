//! Inspects a unit from outside, by means of the system and of Magnum and none of the charm's.

use std::thread;

use anyhow::{Context, Result, ensure};
use lab::{Machine, RESTLESS, Snapshot};
use serde::Deserialize;

/// The main processes of the two services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Processes {
    pub api: u32,
    pub conductor: u32,
}

impl Processes {
    pub fn of(machine: &Machine) -> Result<Self> {
        Ok(Self { api: machine.pid_of("magnum-api")?, conductor: machine.pid_of("magnum-conductor")? })
    }

    /// Reads their command lines, the API's first.
    pub fn command_lines(self, machine: &Machine) -> Result<[String; 2]> {
        Ok([machine.cmdline(self.api)?.join(" "), machine.cmdline(self.conductor)?.join(" ")])
    }
}

/// The drivers as Magnum's own loader finds them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Drivers {
    /// The drivers that it enables, sorted.
    pub enabled: Vec<String>,
    /// The version of the Cluster API Helm driver.
    pub version: Option<String>,
}

impl Drivers {
    /// Asks the loader as user magnum, with the arguments of the running conductor.
    pub fn of(machine: &Machine) -> Result<Self> {
        let conductor = machine.cmdline(Processes::of(machine)?.conductor)?;
        let mut command = "setpriv --reuid=magnum --regid=magnum --init-groups \
                           env --chdir=/ PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 -"
            .split(' ')
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>();
        let configuration = conductor.iter().filter(|word| word.starts_with("--config-"));
        command.extend(configuration.map(String::as_str));
        let answer = machine.run_with_input(&command, Some(include_bytes!("loader.py")))?;
        ensure!(answer.ok(), "Magnum's loader fails: {}", answer.stderr);
        serde_json::from_str(&answer.stdout).with_context(|| format!("Magnum's loader printed {:?}", answer.stdout))
    }
}

/// Paths that the comparison at the end leaves out, besides what is in memory: logs only grow.
pub const NOT_COMPARED: [&str; 3] = [RESTLESS[0], RESTLESS[1], "/var/log"];

/// Reads the unit's disk but [`NOT_COMPARED`], and its drivers. Each takes seconds, so both at the same time.
pub fn disk_and_drivers(machine: &Machine) -> Result<(Snapshot, Drivers)> {
    let exclude = [&["/proc", "/sys", "/dev", "/run", "/tmp"][..], &NOT_COMPARED].concat();
    thread::scope(|scope| {
        let disk = scope.spawn(|| machine.snapshot(&["/"], &exclude));
        let drivers = Drivers::of(machine)?;
        let disk = disk.join().ok().context("reading the disk panicked")??;
        Ok((disk, drivers))
    })
}
