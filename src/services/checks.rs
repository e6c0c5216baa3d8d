//! Checks of the drop-ins, the running services, the API and the logs.

use super::logs::logs;
use super::{DesiredServices, ObservedService, ObservedServices, ServiceInputs, api_answer};
use crate::check::{ANY_HOOK, Check, Finding, Outcome, Status, nothing_wrong};
use crate::problem::Problem;
use crate::system::{Process, System};

/// What the checks look at.
pub struct ServicesSubject<'a> {
    pub system: &'a System,
    pub desired: Result<&'a DesiredServices, Finding>,
    pub observed: &'a ObservedServices,
    /// The services a few seconds later.
    pub later: &'a [ObservedService],
    /// What the services are to have read; a finding while that is not known.
    pub inputs: Result<ServiceInputs, Finding>,
    /// Why a restart that is due is not done by the next hook.
    pub pending: Option<&'a Problem>,
    /// The lines of `/etc/default` without effect.
    pub ignored_defaults: Vec<Problem>,
}

impl ServicesSubject<'_> {
    pub const CHECKS: [Check<Self>; 8] = [
        Check::new("drop-in-files", "Are both drop-ins in place, with their content, owner and mode?", drop_in_files),
        Check::new(
            "drop-in-effective",
            "Would systemd start both services with the explicit command line?",
            drop_in_effective,
        ),
        Check::new("drop-in-defaults", "Is what /etc/default gave the services carried over?", drop_in_defaults),
        Check::new("service-command-line", "Do the running processes have that command line?", command_line),
        Check::new("service-current", "Have the running processes read the present configuration and driver?", current),
        Check::new("service-stable", "Do both services stay up?", stable),
        Check::new("api-answers", "Does the API answer HTTP on its configured port?", api),
        Check::new("logs", "Are the logs since the services' start free of known failures?", logs),
    ];

    /// Returns the services; skips the check while the principal has paused them.
    fn services(&self) -> Result<&[ObservedService], Finding> {
        match self.observed.are_paused() {
            true => Err(Finding::skip("Magnum is paused")),
            false => Ok(&self.observed.services),
        }
    }
}

fn drop_in_files(subject: &ServicesSubject<'_>) -> Outcome {
    let drop_ins = subject.desired.clone()?.drop_ins.iter().zip(&subject.observed.drop_ins);
    let drift = drop_ins.filter_map(|(file, found)| {
        let drift = file.drift(found)?;
        Some(format!("{}: {drift}", file.path.display()))
    });
    nothing_wrong(drift, "both are as the charm writes them, root:root 0644", ANY_HOOK)
}

fn drop_in_effective(subject: &ServicesSubject<'_>) -> Outcome {
    let services = subject.services()?;
    let desired = subject.desired.clone()?;
    let wrong = services.iter().filter_map(|observed| {
        let (name, unit) = (observed.service.name(), &observed.unit);
        if unit.load_state != "loaded" {
            return Some(format!("{name}: systemd cannot load it: {}", unit.load_state));
        }
        if observed.runs_next(&desired.command_lines[&observed.service]) {
            return unit.need_daemon_reload.then(|| format!("{name}: its files changed since systemd read them"));
        }
        let last = unit.drop_ins.last().map(|path| path.display().to_string());
        let last = last.as_deref().unwrap_or("no drop-in at all");
        Some(format!("{name}: ExecStart is {}, after {last}", unit.exec_start.join(" and ")))
    });
    nothing_wrong(
        wrong,
        "systemctl show has the explicit command line for both",
        "take ExecStart out of the later drop-in that the evidence names, then run any hook",
    )
}

fn drop_in_defaults(subject: &ServicesSubject<'_>) -> Outcome {
    let ignored = subject.ignored_defaults.iter().map(ToString::to_string);
    let remedy = "move what these lines do into a drop-in of another name, such as 10-local.conf";
    nothing_wrong(ignored, "the services get everything that /etc/default gives them", remedy)
        .map_err(|finding| Finding { status: Status::Warn, ..finding })
}

fn command_line(subject: &ServicesSubject<'_>) -> Outcome {
    let desired = subject.desired.clone()?;
    running(subject, "both processes run with --config-dir", |observed, process| {
        let runs = process.runs(&desired.command_lines[&observed.service]);
        (!runs).then(|| format!("is {}", process.cmdline.join(" ")))
    })
}

fn current(subject: &ServicesSubject<'_>) -> Outcome {
    let inputs = subject.inputs.as_ref().map_err(Clone::clone)?;
    running(subject, "both are newer than what they read", |observed, _| {
        (!observed.is_current(inputs)).then(|| "is older than what it is to read".to_owned())
    })
}

/// Asks about each process; `service-stable` names a service that has none.
fn running(
    subject: &ServicesSubject<'_>,
    good: &str,
    wrong: impl Fn(&ObservedService, &Process) -> Option<String>,
) -> Outcome {
    let services = subject.services()?;
    if services.iter().all(|observed| observed.process.is_none()) {
        return Err(Finding::skip("neither is running"));
    }
    let wrong = services.iter().filter_map(|observed| {
        let process = observed.process.as_ref()?;
        let what = wrong(observed, process)?;
        Some(format!("{}: process {} {what}", observed.service.name(), process.pid))
    });
    // While another unit restarts, the next hook does not do it.
    let pending = subject.pending.map(ToString::to_string);
    nothing_wrong(wrong, good, pending.as_deref().unwrap_or(ANY_HOOK))
}

/// Looks twice, some seconds apart.
fn stable(subject: &ServicesSubject<'_>) -> Outcome {
    let wrong = subject.services()?.iter().zip(subject.later).filter_map(|(before, after)| {
        let name = after.service.name();
        if let Some(problem) = after.failure() {
            return Some(format!("{name}: {problem}"));
        }
        let Some(process) = &after.process else {
            return Some(format!("{name}: it ended, and systemd is starting it again"));
        };
        let pid = before.process.as_ref().map(|before| before.pid).filter(|pid| *pid != process.pid)?;
        let restarts = after.unit.restarts;
        Some(format!("{name}: process {pid} became {} within seconds ({restarts} restarts)", process.pid))
    });
    nothing_wrong(
        wrong,
        "the same processes, seen twice, seconds apart",
        "journalctl -u magnum-api -u magnum-conductor -n 50 shows why it ends; fix that",
    )
}

fn api(subject: &ServicesSubject<'_>) -> Outcome {
    subject.services()?;
    let remedy = "fix what service-stable says, if it fails; else see where the API is to answer ([api] host, port and \
                  enabled_ssl in magnum.conf) and what it does (journalctl -u magnum-api -n 50), then run: systemctl \
                  restart magnum-api";
    api_answer(&subject.system.root).map_err(|error| Finding::fail(format!("{error:#}"), remedy))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::SystemTime;

    use super::*;
    use crate::check::run;
    use crate::juju::settings::LogTo;
    use crate::magnum::{MAGNUM_CONF, Service};
    use crate::system::systemd::Unit;
    use crate::system::testing::Scratch;
    use crate::system::{Access, Entry, RegularFile};

    /// What the checks find where both services are well but for `change`, which gets the services now and later.
    fn statuses(change: impl Fn(&mut ObservedServices, &mut Vec<ObservedService>)) -> (String, String) {
        let scratch = Scratch::new();
        // Nothing answers there.
        scratch.put(MAGNUM_CONF, "[api]\nport = 1\n");
        let system = scratch.system(|_| Some(String::new()));
        let desired = DesiredServices::new("", LogTo::Journal, &BTreeMap::new()).unwrap();
        let now = SystemTime::now();
        let file =
            |bytes: &[u8]| RegularFile { bytes: bytes.into(), access: Access::PUBLIC, changed: now, written: now };
        let service = |service: Service| {
            let command_line = desired.command_lines[&service].clone();
            let cmdline = command_line.split(' ').map(str::to_owned).collect();
            ObservedService {
                service,
                unit: Unit { load_state: "loaded".into(), exec_start: vec![command_line], ..Unit::default() },
                process: Some(Process { pid: 7, start_ticks: 1, started: now, cmdline }),
                read: Some("right".into()),
            }
        };
        let mut observed = ObservedServices {
            services: Service::ALL.map(service).to_vec(),
            drop_ins: desired.drop_ins.iter().map(|drop_in| Entry::File(file(&drop_in.bytes))).collect(),
        };
        let mut later = observed.services.clone();
        change(&mut observed, &mut later);
        let command_lines = desired.command_lines.clone();
        let subject = ServicesSubject {
            system: &system,
            desired: Ok(&desired),
            observed: &observed,
            later: &later,
            inputs: Ok(ServiceInputs { command_lines, fingerprint: "right".into(), since: None }),
            pending: None,
            ignored_defaults: vec![],
        };
        let results = run(&ServicesSubject::CHECKS, &subject);
        let statuses = results.iter().map(|result| result.status.to_string()[..1].to_owned()).collect();
        (statuses, results.into_iter().map(|result| result.evidence + "\n").collect())
    }

    #[test]
    fn each_fault_of_a_service_is_named_by_its_own_check() {
        type Change = fn(&mut ObservedServices, &mut Vec<ObservedService>);
        let cases: [(Change, &str, &str); 9] = [
            (|_, _| (), "ppppppfp", "does not answer"),
            (|now, _| now.drop_ins[1] = Entry::Absent, "fpppppfp", "magnum-conductor.service.d/override.conf: missing"),
            (
                |now, _| now.services[0].unit.exec_start = vec!["/other".into()],
                "pfppppfp",
                "magnum-api: ExecStart is /other, after no drop-in at all",
            ),
            (
                |now, _| now.services[0].unit.need_daemon_reload = true,
                "pfppppfp",
                "magnum-api: its files changed since systemd read them",
            ),
            (
                |now, _| now.services[1].process.as_mut().unwrap().cmdline = vec!["/other".into()],
                "pppfppfp",
                "magnum-conductor: process 7 is /other",
            ),
            (|now, _| now.services[1].read = Some("wrong".into()), "ppppfpfp", "process 7 is older than"),
            (
                |_, later| later[0].process.as_mut().unwrap().pid = 8,
                "pppppffp",
                "magnum-api: process 7 became 8 within seconds",
            ),
            (
                |now, later| {
                    later[0].process = None;
                    later[0].unit.active_state = "activating".into();
                    now.services.iter_mut().for_each(|service| service.process = None);
                },
                "pppssffp",
                "magnum-api: it ended, and systemd is starting it again",
            ),
            (|now, _| now.services[0].unit.load_state = "masked".into(), "pspssssp", "Magnum is paused"),
        ];
        for (change, expected, evidence) in cases {
            let (statuses, found) = statuses(change);
            assert_eq!(statuses, expected, "{found}");
            assert!(found.contains(evidence), "{found}");
        }
    }
}
