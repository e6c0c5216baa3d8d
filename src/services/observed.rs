//! The services as observed, and the record of what their processes have read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::drop_in::{drop_in_path, is_grafted};
use super::restart::ServiceInputs;
use crate::magnum::{EnvironmentSource, Service, ServiceEnvironment};
use crate::problem::Problem;
use crate::system::systemd::{self, Unit};
use crate::system::{Process, Root, System};

const RECORD: &str = "running.json";
/// This many restarts by systemd in a row are a crash loop.
const CRASH_LOOP: u32 = 2;
/// A process that stays for this long has ended it.
const CALM_AFTER: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedService {
    pub service: Service,
    pub unit: Unit,
    /// Its main process, if there is one.
    pub process: Option<Process>,
    /// The fingerprint of what this process is known to have read.
    pub read: Option<String>,
}

/// A process that was seen to have read the right files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    pid: i32,
    start_ticks: u64,
    read: String,
}

type Records = BTreeMap<Service, Record>;

/// Looks at both services: one call of `systemctl`, two looks into `/proc`.
///
/// # Errors
/// If one of them cannot be looked at.
pub fn inspect(system: &System) -> Result<Vec<ObservedService>> {
    inspect_with(system, &[]).map(|(services, _)| services)
}

/// Looks at both services, and at other units within the same call of `systemctl`.
///
/// # Errors
/// If one of them cannot be looked at.
pub fn inspect_with(system: &System, others: &[&str]) -> Result<(Vec<ObservedService>, Vec<Unit>)> {
    let records: Records = system.root.remembered(RECORD);
    let asked = [&Service::ALL.map(Service::unit), others].concat();
    let mut units = systemd::show(system, &asked)?;
    let others = units.split_off(Service::ALL.len());
    let mut services = Vec::new();
    for (service, unit) in Service::ALL.into_iter().zip(units) {
        let process = unit.main_pid.map(|pid| Process::inspect(&system.root, pid)).transpose()?.flatten();
        let read = process.as_ref().and_then(|process| {
            let record = records.get(&service)?;
            let same = (record.pid, record.start_ticks) == (process.pid, process.start_ticks);
            same.then(|| record.read.clone())
        });
        services.push(ObservedService { service, unit, process, read });
    }
    Ok((services, others))
}

/// Returns the environment of the conductor, which alone runs the driver's client and helm.
///
/// # Errors
/// If it cannot be read.
pub fn conductors_environment(system: &System, services: &[ObservedService]) -> Result<ServiceEnvironment> {
    let conductor = services.iter().find(|observed| observed.service == Service::Conductor);
    conductor.map(|conductor| conductor.environment().read(system)).transpose().map(Option::unwrap_or_default)
}

/// Records what the processes are known to have read: the right files, or, while a restart waits, what they had read
/// before. Writes only what is new.
pub fn record(root: &Root, services: &[ObservedService], inputs: &ServiceInputs) {
    let record = |observed: &ObservedService| {
        let process = observed.process.as_ref()?;
        let read = match observed.is_current(inputs) {
            true => inputs.fingerprint.clone(),
            false => observed.read.clone()?,
        };
        let (pid, start_ticks) = (process.pid, process.start_ticks);
        Some((observed.service, Record { pid, start_ticks, read }))
    };
    let records: Records = services.iter().filter_map(record).collect();
    let is_known =
        |service: &ObservedService| records.get(&service.service).map(|record| &record.read) == service.read.as_ref();
    if !services.iter().all(is_known) {
        root.keep(RECORD, &records);
    }
}

impl ObservedService {
    /// Whether systemd would start it with this command line.
    pub fn runs_next(&self, command_line: &str) -> bool {
        self.unit.exec_start == [command_line]
    }

    /// Whether systemd would start it with a command line of the graft.
    pub fn is_grafted_next(&self) -> bool {
        self.unit.exec_start.iter().any(|command_line| is_grafted(command_line))
    }

    /// Whether it runs with a command line of the graft.
    pub fn is_grafted(&self) -> bool {
        let process = self.process.as_ref();
        process.is_some_and(|process| is_grafted(&process.cmdline.join(" ")))
    }

    /// Whether systemd does not know its files as they are, the drop-in included. systemd itself notices a changed
    /// file, but not a first drop-in, in a directory that is new to it.
    pub fn is_behind_its_files(&self) -> bool {
        let ours = Path::new(drop_in_path(self.service)).file_name();
        let known = |path: &PathBuf| path.file_name() == ours;
        self.unit.is_stale() || (self.unit.is_available() && !self.unit.drop_ins.iter().any(known))
    }

    /// Returns where the environment of the service is found.
    pub fn environment(&self) -> EnvironmentSource<'_> {
        EnvironmentSource { unit: &self.unit, process: self.process.as_ref().filter(|_| self.is_grafted()) }
    }

    /// Whether a restart would take something away: a service that has failed serves nobody.
    pub fn is_serving(&self) -> bool {
        self.process.is_some() && !self.keeps_failing()
    }

    /// Whether it has failed for good, or systemd has restarted it again and again until now. On a busy machine a
    /// daemon that cannot run takes long to find out, and looks healthy for as long.
    pub fn keeps_failing(&self) -> bool {
        let is_restless = match &self.process {
            Some(process) => process.age() < CALM_AFTER,
            None => self.unit.active_state != "inactive",
        };
        self.unit.has_failed() || (is_restless && self.unit.restarts >= CRASH_LOOP)
    }

    /// Returns what is wrong with the service now, apart from whether it stays up; `wanted` is its command line.
    pub fn problem(&self, wanted: &str) -> Option<Problem> {
        let (name, unit) = (self.service.name(), &self.unit);
        Some(if !unit.exists() {
            Problem::waiting(format!("{name} is not installed yet"), "")
        } else if unit.is_masked() {
            Problem::maintenance("Magnum is paused")
        } else if unit.load_state != "loaded" {
            let detail = format!("its state is {}; see: systemctl status {name}", unit.load_state);
            Problem::blocked(format!("systemd cannot load {name}"), detail)
        } else if !self.runs_next(wanted) {
            let last = unit.drop_ins.last().map_or("its unit file".into(), |path| path.display().to_string());
            let summary = format!("Another drop-in overrides {name}'s ExecStart: run verify");
            Problem::blocked(summary, format!("remove ExecStart from {last}"))
        } else {
            return self.failure();
        })
    }

    /// Returns how it has ended, if it has.
    pub fn failure(&self) -> Option<Problem> {
        if self.keeps_failing() {
            return Some(self.does_not_stay());
        }
        // One that ended once and is being started again may yet stay: that is seen later.
        let is_stopped = self.process.is_none() && self.unit.active_state == "inactive";
        let name = self.service.name();
        is_stopped
            .then(|| Problem::blocked(format!("{name} is stopped"), format!("start it with: systemctl start {name}")))
    }

    /// Returns the problem of a service that ends again and again.
    pub fn does_not_stay(&self) -> Problem {
        let name = self.service.name();
        Problem::blocked(
            format!("{name} does not stay up: see its journal"),
            format!("{} restarts; see: journalctl -u {name} -n 50", self.unit.restarts),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_ended_once_may_yet_stay_and_one_that_ends_again_and_again_does_not() {
        let mut observed = ObservedService {
            service: Service::Api,
            unit: Unit {
                load_state: "loaded".into(),
                sub_state: "auto-restart".into(),
                exec_start: vec!["/usr/bin/magnum-api".into()],
                ..Unit::default()
            },
            process: None,
            read: None,
        };
        let problem = |observed: &ObservedService| observed.problem("/usr/bin/magnum-api");
        assert_eq!(problem(&observed), None);
        observed.unit.restarts = 2;
        let stays = "magnum-api does not stay up: see its journal";
        assert_eq!(problem(&observed).unwrap().summary, stays);
        observed.unit.restarts = 0;
        observed.unit.sub_state = "failed".into();
        observed.unit.active_state = "failed".into();
        assert_eq!(problem(&observed).unwrap().summary, stays);
    }

    #[test]
    fn the_environment_of_a_process_counts_once_it_runs_with_the_graft() {
        let with = |arguments: &[&str]| {
            let cmdline = arguments.iter().map(|&word| word.to_owned()).collect();
            let process = Process { pid: 1, start_ticks: 1, started: std::time::SystemTime::now(), cmdline };
            let (service, unit) = (Service::Conductor, Unit::default());
            ObservedService { service, unit, process: Some(process), read: None }.environment().process.is_some()
        };
        let grafted = [&["/usr/bin/magnum-conductor"][..], &crate::magnum::CONFIGURATION_ARGUMENTS].concat();
        assert_eq!([with(&grafted), with(&grafted[..2])], [true, false]);
    }

    #[test]
    fn each_state_of_a_unit_is_named() {
        let named = |change: fn(&mut Unit)| {
            let mut unit = Unit { load_state: "loaded".into(), exec_start: vec!["/wanted".into()], ..Unit::default() };
            change(&mut unit);
            let observed = ObservedService { service: Service::Conductor, unit, process: None, read: None };
            observed.problem("/wanted").unwrap().to_string()
        };
        assert!(named(|unit| unit.load_state = "not-found".into()).contains("not installed yet"));
        assert!(named(|unit| unit.load_state = "masked".into()).contains("Magnum is paused"));
        assert!(named(|unit| unit.load_state = "bad-setting".into()).contains("systemctl status"));
        assert!(named(|unit| unit.exec_start = vec!["/other".into()]).contains("remove ExecStart"));
        assert!(named(|unit| unit.active_state = "inactive".into()).contains("magnum-conductor is stopped"));
    }
}
