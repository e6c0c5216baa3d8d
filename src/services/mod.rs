//! The two services that carry the graft: what they must run, when they must restart, and whether
//! they are well.
//!
//! A restart follows from evidence alone. The process itself shows its command line and when it
//! was started; what it read is known from the times of the files, or, surer, from a record made
//! when it was last seen to have read the right ones. So a hook killed between writing and
//! restarting is put right by the next, and a file that was damaged and put back while a good
//! process went on running restarts nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::problem::Problem;
use crate::settings::LogTo;
use crate::unit::process::Process;
use crate::unit::state;
use crate::unit::systemd::{self, Unit};

const RECORD: &str = "running.json";
/// So many restarts by systemd in one go are a crash loop,
const CRASH_LOOP: u32 = 2;
/// until a process stays for so long.
const CALM_AFTER: Duration = Duration::from_secs(60);

/// A service of Magnum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Service {
    /// magnum-api.
    Api,
    /// magnum-conductor.
    Conductor,
}

impl Service {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Api, Self::Conductor];

    /// The name of its systemd unit.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Api => "magnum-api.service",
            Self::Conductor => "magnum-conductor.service",
        }
    }

    /// Its name, for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Api => "magnum-api",
            Self::Conductor => "magnum-conductor",
        }
    }

    /// The daemon itself.
    pub fn program(self) -> &'static str {
        match self {
            Self::Api => "/usr/bin/magnum-api",
            Self::Conductor => "/usr/bin/magnum-conductor",
        }
    }

    /// The drop-in that sets its command line (the runbook's section 8).
    pub fn drop_in(self) -> &'static str {
        match self {
            Self::Api => "/etc/systemd/system/magnum-api.service.d/override.conf",
            Self::Conductor => "/etc/systemd/system/magnum-conductor.service.d/override.conf",
        }
    }

    /// The arguments that make it read the graft's configuration, and last of all.
    pub const ARGUMENTS: [&'static str; 2] = [
        "--config-file=/etc/magnum/magnum.conf",
        "--config-dir=/etc/magnum/magnum.conf.d",
    ];

    /// Those of the arguments that name something that is there. conf.d is made with the graft; before
    /// that, the services do without it.
    pub fn arguments_at_hand<'a>() -> impl Iterator<Item = &'a str> {
        Self::ARGUMENTS.into_iter().filter(|argument| {
            let path = argument.split_once('=').map(|(_, path)| Path::new(path));
            path.is_some_and(Path::exists)
        })
    }

    /// The whole command line: where it logs, and what it is given besides.
    pub fn command_line(self, log_to: LogTo, given: &[String]) -> String {
        let mut words = vec![self.program().to_owned()];
        words.extend(Self::ARGUMENTS.map(str::to_owned));
        if log_to == LogTo::File {
            words.push(format!("--log-file=/var/log/magnum/{}.log", self.name()));
        }
        words.extend_from_slice(given);
        words.join(" ")
    }

    /// Whether a command line is one of the graft's.
    fn is_grafted(command_line: &str) -> bool {
        let mut words = command_line.split(' ');
        words.any(|word| word == Self::ARGUMENTS[1])
    }
}

/// A service as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Which.
    pub service: Service,
    /// What systemd says.
    pub unit: Unit,
    /// Its main process, when there is one.
    pub process: Option<Process>,
    /// What this very process is known to have read.
    pub read: Option<String>,
}

/// A process seen to have read the files it should have.
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
/// When one of them cannot be looked at.
pub fn look() -> Result<Vec<Seen>> {
    look_with(&[]).map(|(services, _)| services)
}

/// Looks at both services, and at other units within the same call of `systemctl`.
///
/// # Errors
/// When one of them cannot be looked at.
pub fn look_with(others: &[&str]) -> Result<(Vec<Seen>, Vec<Unit>)> {
    let records: Records = state::load(RECORD)?.unwrap_or_default();
    let asked = [&Service::ALL.map(Service::unit), others].concat();
    let mut units = systemd::show(&asked)?;
    let others = units.split_off(Service::ALL.len());
    let services = Service::ALL
        .into_iter()
        .zip(units)
        .map(|(service, unit)| {
            let process = unit.main_pid.map(Process::look).transpose()?.flatten();
            let read = process.as_ref().and_then(|process| {
                records
                    .get(&service)
                    .filter(|r| (r.pid, r.start_ticks) == (process.pid, process.start_ticks))
                    .map(|record| record.read.clone())
            });
            Ok(Seen {
                service,
                unit,
                process,
                read,
            })
        })
        .collect::<Result<_>>()?;
    Ok((services, others))
}

/// A service that is due for a restart, and why.
pub type Due = (Service, String);

/// Their names, for people.
pub fn names(due: &[Due]) -> String {
    let names: Vec<&str> = due.iter().map(|(service, _)| service.name()).collect();
    names.join(" and ")
}

/// What the services read of the graft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reads {
    /// The command line of each.
    pub command_lines: BTreeMap<Service, String>,
    /// A fingerprint of the right content.
    pub fingerprint: String,
    /// When the files last changed, or `None` when they are not right yet.
    pub since: Option<SystemTime>,
}

impl Seen {
    /// Why the service must be restarted; `None` when it need not, or must not.
    ///
    /// `command_line_settled` says that drop-ins are in place and systemd has read them.
    pub fn restart_due(&self, reads: &Reads, command_line_settled: bool) -> Option<String> {
        if self.unit.is_masked() || !self.unit.exists() {
            return None;
        }
        let Some(process) = &self.process else {
            return self.unit.is_failing().then(|| "it has failed".to_owned());
        };
        // With a foreign drop-in after ours, a restart would not bring our command line: it is
        // reported, and not tried again and again.
        let wanted = reads.command_lines.get(&self.service);
        let wanted = wanted.map(String::as_str).unwrap_or_default();
        let attainable = !command_line_settled || self.runs_next(wanted);
        if attainable && !process.runs(wanted) {
            return Some("it runs another command line".to_owned());
        }
        match &self.read {
            Some(read) if *read == reads.fingerprint => None,
            Some(_) => Some("it has read another configuration or driver".to_owned()),
            None if self.started_after(reads) => None,
            None => Some("it is older than what it reads".to_owned()),
        }
    }

    /// Whether the process is known to have read the right files.
    pub fn is_current(&self, reads: &Reads) -> bool {
        self.read.as_ref() == Some(&reads.fingerprint)
            || (self.read.is_none() && self.started_after(reads))
    }

    /// Whether systemd would start it with this command line.
    pub fn runs_next(&self, command_line: &str) -> bool {
        self.unit.exec_start == [command_line]
    }

    /// Whether it would be started with a command line of the graft's.
    pub fn is_grafted_next(&self) -> bool {
        let mut next = self.unit.exec_start.iter();
        next.any(|command_line| Service::is_grafted(command_line))
    }

    /// Whether it runs with a command line of the graft's.
    pub fn is_grafted(&self) -> bool {
        let process = self.process.as_ref();
        process.is_some_and(|process| Service::is_grafted(&process.cmdline.join(" ")))
    }

    /// Whether systemd does not know its files as they are, drop-in included. systemd itself notices
    /// a changed file, but not a first drop-in, in a directory that is new to it.
    pub fn is_behind_its_files(&self) -> bool {
        let ours = Path::new(self.service.drop_in()).file_name();
        let known = |path: &PathBuf| path.file_name() == ours;
        self.unit.exists()
            && !self.unit.is_masked()
            && (self.unit.need_daemon_reload || !self.unit.drop_ins.iter().any(known))
    }

    fn started_after(&self, reads: &Reads) -> bool {
        match (&self.process, reads.since) {
            (Some(process), Some(since)) => process.started > since,
            _ => false,
        }
    }

    /// What is wrong with the service as it is now, apart from whether it has settled; `wanted` is its
    /// command line.
    pub fn problem(&self, wanted: &str) -> Option<Problem> {
        let name = self.service.name();
        let unit = &self.unit;
        if !unit.exists() {
            return Some(Problem::waiting(format!("{name} is not installed yet")));
        }
        if unit.is_masked() {
            return Some(Problem::maintenance("magnum is paused"));
        }
        if unit.load_state != "loaded" {
            return Some(Problem::blocked(format!(
                "systemd cannot load {name} ({}); see: systemctl status {name}",
                unit.load_state
            )));
        }
        if !self.runs_next(wanted) {
            let last = unit.drop_ins.last().map(|path| path.display().to_string());
            return Some(Problem::blocked(format!(
                "{name} is set to run another command line by {}; remove its ExecStart",
                last.as_deref().unwrap_or("its unit file")
            )));
        }
        self.end()
    }

    /// How it has ended, when it has.
    pub fn end(&self) -> Option<Problem> {
        let name = self.service.name();
        let unit = &self.unit;
        if self.keeps_ending() {
            return Some(self.keeps_failing());
        }
        // One that ended once and is being started again may yet stay: that is seen later.
        if self.process.is_none() && !unit.is_restarting() {
            return Some(Problem::blocked(format!(
                "{name} is stopped; start it with: systemctl start {name}"
            )));
        }
        None
    }

    /// Whether a restart would take something away: one that has failed serves nobody.
    pub fn is_serving(&self) -> bool {
        self.process.is_some() && !self.keeps_ending()
    }

    /// Whether it ended for good, or ends again and again.
    pub fn keeps_ending(&self) -> bool {
        self.unit.has_failed() || self.is_in_crash_loop()
    }

    /// Whether systemd has restarted it again and again until now. On a busy machine a daemon that
    /// cannot run takes long to find out, and looks well for as long.
    fn is_in_crash_loop(&self) -> bool {
        let now = match &self.process {
            Some(process) => process.age() < CALM_AFTER,
            None => self.unit.is_restarting(),
        };
        now && self.unit.restarts >= CRASH_LOOP
    }

    /// The service ends again and again.
    pub fn keeps_failing(&self) -> Problem {
        let name = self.service.name();
        Problem::blocked(format!(
            "{name} does not stay up ({} restarts); see: journalctl -u {name} -n 50",
            self.unit.restarts
        ))
    }
}

/// Records what the processes are known to have read: the right files, or, while a restart waits,
/// what they had read before. Writes only what is new.
///
/// # Errors
/// When the record cannot be written.
pub fn record(services: &[Seen], reads: &Reads) -> Result<()> {
    let records: Records = services
        .iter()
        .filter_map(|seen| {
            let process = seen.process.as_ref()?;
            let read = match seen.is_current(reads) {
                true => reads.fingerprint.clone(),
                false => seen.read.clone()?,
            };
            let record = Record {
                pid: process.pid,
                start_ticks: process.start_ticks,
                read,
            };
            Some((seen.service, record))
        })
        .collect();
    if state::load::<Records>(RECORD)?.unwrap_or_default() != records {
        state::save(RECORD, &records)?;
    }
    Ok(())
}
