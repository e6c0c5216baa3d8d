//! Checks of the drop-ins, the running services and the API.

use super::{ANY_HOOK, Check, Finding, Outcome, Scene};
use crate::graft::services::{Seen, Service};
use crate::health;

/// The checks of this group.
pub const CHECKS: &[Check<Scene>] = &[
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
    Check {
        id: "service-stable",
        question: "Do both services stay up?",
        answer: stable,
    },
    Check {
        id: "api-answers",
        question: "Does the API answer HTTP on its configured port?",
        answer: api,
    },
];

/// Are both drop-ins in place, with their content, owner and mode?
pub fn drop_in_files(scene: &Scene) -> Outcome {
    let desired = match scene.desired() {
        Ok(desired) => desired,
        Err(finding) => return Ok(Err(finding)),
    };
    let drift: Vec<String> = desired
        .drop_ins
        .iter()
        .zip(&scene.observed.drop_ins)
        .filter_map(|(file, found)| {
            file.drift(found)
                .map(|drift| format!("{}: {drift}", file.path.display()))
        })
        .collect();
    verdict(
        drift,
        "both are as the charm writes them, root:root 0644",
        ANY_HOOK,
    )
}

/// Would systemd start both services with the explicit command line?
pub fn drop_in_effective(scene: &Scene) -> Outcome {
    if scene.paused() {
        return Ok(Err(Finding::skip("magnum is paused")));
    }
    let desired = match scene.desired() {
        Ok(desired) => desired,
        Err(finding) => return Ok(Err(finding)),
    };
    let findings = each(&scene.observed.services, |seen| {
        let unit = &seen.unit;
        if unit.load_state != "loaded" {
            return Some(format!("systemd cannot load it: {}", unit.load_state));
        }
        if !seen.runs_next(&desired.command_lines[&seen.service]) {
            let last = unit.drop_ins.last().map(|path| path.display().to_string());
            return Some(format!(
                "ExecStart is {}, after {}",
                unit.exec_start.join(" and "),
                last.as_deref().unwrap_or("no drop-in at all")
            ));
        }
        unit.need_daemon_reload
            .then(|| "its files changed since systemd read them".to_owned())
    });
    verdict(
        findings,
        "systemctl show gives the explicit command line for both",
        "take ExecStart out of the later drop-in that the evidence names, then run any hook",
    )
}

/// Is what `/etc/default` gave the services carried over?
pub fn drop_in_defaults(scene: &Scene) -> Outcome {
    let unheard: Vec<String> = scene.unheard.iter().map(ToString::to_string).collect();
    if unheard.is_empty() {
        return Ok(Ok(
            "all that /etc/default gives the services, they get".to_owned()
        ));
    }
    Ok(Err(Finding::warn(
        unheard.join("; "),
        "move what these lines do into a drop-in of another name, such as 10-local.conf",
    )))
}

/// Do the running processes have that command line?
pub fn command_line(scene: &Scene) -> Outcome {
    let desired = match scene.desired() {
        Ok(desired) => desired,
        Err(finding) => return Ok(Err(finding)),
    };
    running(scene, |seen| {
        let process = seen.process.as_ref()?;
        (!process.runs(&desired.command_lines[&seen.service]))
            .then(|| format!("process {} is {}", process.pid, process.cmdline.join(" ")))
    })
    .map(|found| found.map(|()| "both processes run with --config-dir".into()))
}

/// Have the running processes read the present configuration and driver?
pub fn current(scene: &Scene) -> Outcome {
    let Some(desired) = &scene.desired else {
        return Ok(Err(Finding::skip("the wanted graft is not known")));
    };
    let observed = &scene.observed;
    if observed.driver.intact(&desired.pin).is_none() || !observed.shadows.is_empty() {
        return Ok(Err(Finding::skip(
            "the driver itself is to be mended first",
        )));
    }
    let reads = observed.reads(desired);
    running(scene, |seen| {
        let process = seen.process.as_ref()?;
        (!seen.is_current(&reads))
            .then(|| format!("process {} is older than what it is to read", process.pid))
    })
    .map(|found| found.map(|()| "both are newer than what they read".into()))
}

/// Do both services stay up? Two looks, some seconds apart.
pub fn stable(scene: &Scene) -> Outcome {
    if scene.paused() {
        return Ok(Err(Finding::skip("magnum is paused")));
    }
    let mut findings = each(&scene.later, |seen| match (seen.end(), &seen.process) {
        (Some(problem), _) => Some(problem.to_string()),
        (None, None) => Some("it ended, and systemd is starting it again".to_owned()),
        (None, Some(_)) => None,
    });
    for (before, after) in scene.observed.services.iter().zip(&scene.later) {
        if before.process.is_some()
            && (before.unit.main_pid, before.unit.restarts)
                != (after.unit.main_pid, after.unit.restarts)
        {
            findings.push(format!(
                "{}: process {} became {} within seconds ({} restarts)",
                after.service.name(),
                before.unit.main_pid.unwrap_or_default(),
                after.unit.main_pid.unwrap_or_default(),
                after.unit.restarts
            ));
        }
    }
    verdict(
        findings,
        "the same processes, seen twice, seconds apart",
        "journalctl -u magnum-api -u magnum-conductor -n 50 shows why it ends; mend that",
    )
}

/// Does the API answer HTTP on its configured port?
pub fn api(scene: &Scene) -> Outcome {
    if scene.paused() {
        return Ok(Err(Finding::skip("magnum is paused")));
    }
    let mut apis = scene
        .later
        .iter()
        .filter(|seen| seen.service == Service::Api);
    let stays = apis.any(|seen| seen.process.is_some() && seen.end().is_none());
    let remedy = match stays {
        true => {
            "see where it is to answer ([api] host, port and enabled_ssl in magnum.conf) and what it \
             does (journalctl -u magnum-api -n 50), then run: systemctl restart magnum-api"
        }
        false => "mend what service-stable says",
    };
    Ok(health::api_answer().map_err(|problem| Finding::fail(problem.to_string(), remedy)))
}

/// Asks about each service that runs; one that does not is told by `service-stable`. Skipped while
/// Magnum is paused.
fn running(
    scene: &Scene,
    wrong: impl Fn(&Seen) -> Option<String>,
) -> anyhow::Result<Result<(), Finding>> {
    if scene.paused() {
        return Ok(Err(Finding::skip("magnum is paused")));
    }
    let services = &scene.observed.services;
    if services.iter().all(|seen| seen.process.is_none()) {
        return Ok(Err(Finding::skip("neither is running")));
    }
    // A hook does not mend it while it is not its turn.
    let withheld = scene.withheld.as_ref().map(ToString::to_string);
    let remedy = withheld.as_deref().unwrap_or(ANY_HOOK);
    Ok(verdict(each(services, wrong), "", remedy)?.map(drop))
}

fn each(services: &[Seen], wrong: impl Fn(&Seen) -> Option<String>) -> Vec<String> {
    services
        .iter()
        .filter_map(|seen| wrong(seen).map(|what| format!("{}: {what}", seen.service.name())))
        .collect()
}

fn verdict(findings: Vec<String>, well: &str, remedy: &str) -> Outcome {
    Ok(if findings.is_empty() {
        Ok(well.to_owned())
    } else {
        Err(Finding::fail(findings.join("; "), remedy))
    })
}
