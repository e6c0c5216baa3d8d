//! Checks of the drop-ins, the running services, the API and the logs.

use super::logs::logs;
use super::{DesiredServices, ObservedService, ObservedServices, ServiceInputs, api_answer};
use crate::check::{ANY_HOOK, Check, CheckResult, Finding, Outcome, run};
use crate::magnum::Service;
use crate::problem::Problem;
use crate::system::System;

/// What the checks look at.
pub struct ServicesSubject<'a> {
    pub system: &'a System,
    pub desired: Result<&'a DesiredServices, Finding>,
    pub observed: &'a ObservedServices,
    /// The services a few seconds later.
    pub later: &'a [ObservedService],
    /// What the services are to have read; a finding while that is not known.
    pub inputs: Result<&'a ServiceInputs, Finding>,
    /// Why a restart that is due is not done by the next hook.
    pub pending: Option<&'a Problem>,
    /// The lines of `/etc/default` without effect.
    pub ignored_defaults: &'a [Problem],
}

/// Runs every check of the part.
pub fn check(subject: &ServicesSubject<'_>) -> Vec<CheckResult> {
    run(
        &[
            Check {
                id: "drop-in-files",
                question: "Are both drop-ins in place, with their content, owner and mode?",
                answer: drop_in_files,
            },
            Check {
                id: "drop-in-effective",
                question: "Would systemd start both services with the explicit command line?",
                answer: drop_in_effective,
            },
            Check {
                id: "drop-in-defaults",
                question: "Is what /etc/default gave the services carried over?",
                answer: drop_in_defaults,
            },
            Check {
                id: "service-command-line",
                question: "Do the running processes have that command line?",
                answer: command_line,
            },
            Check {
                id: "service-current",
                question: "Have the running processes read the present configuration and driver?",
                answer: current,
            },
            Check { id: "service-stable", question: "Do both services stay up?", answer: stable },
            Check { id: "api-answers", question: "Does the API answer HTTP on its configured port?", answer: api },
        ],
        subject,
    )
}

/// Runs the check of the logs, which comes after those of the guard.
pub fn check_logs(subject: &ServicesSubject<'_>) -> Vec<CheckResult> {
    let question = "Are the logs since the services' start free of known failures?";
    vec![CheckResult::new("logs", question, logs(subject))]
}

fn drop_in_files(subject: &ServicesSubject<'_>) -> Outcome {
    let desired = match &subject.desired {
        Ok(desired) => desired,
        Err(finding) => return Ok(Err(finding.clone())),
    };
    let drop_ins = desired.drop_ins.iter().zip(&subject.observed.drop_ins);
    let drift = drop_ins.filter_map(|(file, found)| {
        let drift = file.drift(found)?;
        Some(format!("{}: {drift}", file.path.display()))
    });
    answer(drift.collect(), "both are as the charm writes them, root:root 0644", ANY_HOOK)
}

fn drop_in_effective(subject: &ServicesSubject<'_>) -> Outcome {
    if subject.observed.are_paused() {
        return Ok(Err(paused()));
    }
    let desired = match &subject.desired {
        Ok(desired) => desired,
        Err(finding) => return Ok(Err(finding.clone())),
    };
    let findings = each(&subject.observed.services, |observed| {
        let unit = &observed.unit;
        if unit.load_state != "loaded" {
            return Some(format!("systemd cannot load it: {}", unit.load_state));
        }
        if !observed.runs_next(&desired.command_lines[&observed.service]) {
            let last = unit.drop_ins.last().map(|path| path.display().to_string());
            return Some(format!(
                "ExecStart is {}, after {}",
                unit.exec_start.join(" and "),
                last.as_deref().unwrap_or("no drop-in at all")
            ));
        }
        let is_stale = unit.need_daemon_reload;
        is_stale.then(|| "its files changed since systemd read them".to_owned())
    });
    answer(
        findings,
        "systemctl show has the explicit command line for both",
        "take ExecStart out of the later drop-in that the evidence names, then run any hook",
    )
}

fn drop_in_defaults(subject: &ServicesSubject<'_>) -> Outcome {
    if subject.ignored_defaults.is_empty() {
        return Ok(Ok("the services get everything that /etc/default gives them".to_owned()));
    }
    let ignored: Vec<String> = subject.ignored_defaults.iter().map(ToString::to_string).collect();
    let remedy = "move what these lines do into a drop-in of another name, such as 10-local.conf";
    Ok(Err(Finding::warn(ignored.join("; "), remedy)))
}

fn command_line(subject: &ServicesSubject<'_>) -> Outcome {
    let desired = match &subject.desired {
        Ok(desired) => desired,
        Err(finding) => return Ok(Err(finding.clone())),
    };
    running(subject, "both processes run with --config-dir", |observed| {
        let process = observed.process.as_ref()?;
        let runs = process.runs(&desired.command_lines[&observed.service]);
        (!runs).then(|| format!("process {} is {}", process.pid, process.cmdline.join(" ")))
    })
}

fn current(subject: &ServicesSubject<'_>) -> Outcome {
    let inputs = match &subject.inputs {
        Ok(inputs) => *inputs,
        Err(finding) => return Ok(Err(finding.clone())),
    };
    running(subject, "both are newer than what they read", |observed| {
        let process = observed.process.as_ref()?;
        let is_current = observed.is_current(inputs);
        (!is_current).then(|| format!("process {} is older than what it is to read", process.pid))
    })
}

/// Looks twice, some seconds apart.
fn stable(subject: &ServicesSubject<'_>) -> Outcome {
    if subject.observed.are_paused() {
        return Ok(Err(paused()));
    }
    let mut findings = each(subject.later, |observed| match (observed.failure(), &observed.process) {
        (Some(problem), _) => Some(problem.to_string()),
        (None, None) => Some("it ended, and systemd is starting it again".to_owned()),
        (None, Some(_)) => None,
    });
    for (before, after) in subject.observed.services.iter().zip(subject.later) {
        let run = |observed: &ObservedService| (observed.unit.main_pid, observed.unit.restarts);
        if before.process.is_some() && run(before) != run(after) {
            findings.push(format!(
                "{}: process {} became {} within seconds ({} restarts)",
                after.service.name(),
                before.unit.main_pid.unwrap_or_default(),
                after.unit.main_pid.unwrap_or_default(),
                after.unit.restarts
            ));
        }
    }
    answer(
        findings,
        "the same processes, seen twice, seconds apart",
        "journalctl -u magnum-api -u magnum-conductor -n 50 shows why it ends; fix that",
    )
}

fn api(subject: &ServicesSubject<'_>) -> Outcome {
    if subject.observed.are_paused() {
        return Ok(Err(paused()));
    }
    let stays = subject
        .later
        .iter()
        .any(|observed| observed.service == Service::Api && observed.process.is_some() && observed.failure().is_none());
    let remedy = match stays {
        true => {
            "see where it is to answer ([api] host, port and enabled_ssl in magnum.conf) and what it does \
             (journalctl -u magnum-api -n 50), then run: systemctl restart magnum-api"
        }
        false => "fix what service-stable says",
    };
    let asked = api_answer(&subject.system.root);
    Ok(asked.map_err(|problem| Finding::fail(problem.to_string(), remedy)))
}

/// Asks about each service that runs; `service-stable` names one that does not.
fn running(subject: &ServicesSubject<'_>, good: &str, wrong: impl Fn(&ObservedService) -> Option<String>) -> Outcome {
    if subject.observed.are_paused() {
        return Ok(Err(paused()));
    }
    let services = &subject.observed.services;
    if services.iter().all(|observed| observed.process.is_none()) {
        return Ok(Err(Finding::skip("neither is running")));
    }
    // While another unit restarts, the next hook does not do it.
    let pending = subject.pending.map(ToString::to_string);
    answer(each(services, wrong), good, pending.as_deref().unwrap_or(ANY_HOOK))
}

fn paused() -> Finding {
    Finding::skip("Magnum is paused")
}

fn each(services: &[ObservedService], wrong: impl Fn(&ObservedService) -> Option<String>) -> Vec<String> {
    let named = |observed: &ObservedService| {
        let what = wrong(observed)?;
        Some(format!("{}: {what}", observed.service.name()))
    };
    services.iter().filter_map(named).collect()
}

fn answer(findings: Vec<String>, good: &str, remedy: &str) -> Outcome {
    Ok(match findings.is_empty() {
        true => Ok(good.to_owned()),
        false => Err(Finding::fail(findings.join("; "), remedy)),
    })
}
