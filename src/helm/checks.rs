//! Checks of helm and of the chart that it is given, both as user magnum.

use std::time::Duration;

use super::{ANY_HOOK, Check, Finding, Outcome, Scene};
use crate::graft::{chart, helm};
use crate::unit::command;
use crate::unit::python::MAGNUM_USER;

/// The checks of this group.
pub const CHECKS: &[Check<Scene>] = &[
    Check {
        id: "helm",
        question: "Does user magnum find a helm that runs?",
        answer: runs,
    },
    Check {
        id: "chart",
        question: "Is the given chart in place, and can user magnum's helm read it?",
        answer: chart,
    },
];

const LIMIT: Duration = Duration::from_secs(10);

/// Does user magnum find a helm that runs?
pub fn runs(scene: &Scene) -> Outcome {
    let Some(found) = &scene.observed.helm else {
        let problem = helm::missing().to_string();
        let (evidence, remedy) = problem.split_once("; ").unwrap_or((&problem, ""));
        return Ok(Err(Finding::fail(evidence, remedy)));
    };
    let path = found.path.display();
    let ended = ask(found, &["version", "--short"])?;
    let remedy = format!("put an executable helm {} or later at {path}", helm::OLDEST);
    if ended.code != Some(0) {
        return Ok(Err(Finding::fail(ended.failure().to_string(), remedy)));
    }
    let printed = String::from_utf8_lossy(&ended.stdout).trim().to_owned();
    Ok(match helm::parse(&printed) {
        Some(version) if version >= helm::OLDEST => Ok(format!("{path} is {printed}")),
        _ => Err(Finding::fail(
            format!("{path} is {printed}, too old for the driver"),
            remedy,
        )),
    })
}

/// Is the given chart in place, and can user magnum's helm read it?
pub fn chart(scene: &Scene) -> Outcome {
    let wanted = scene
        .desired
        .as_ref()
        .and_then(|desired| desired.chart.as_ref());
    let Some(wanted) = wanted else {
        return Ok(Err(Finding::skip("no chart is given as a resource")));
    };
    let Some(found) = &scene.observed.helm else {
        return Ok(Err(Finding::skip("there is no helm to read it")));
    };
    if let Some(drift) = wanted.drift(&scene.observed.chart) {
        return Ok(Err(Finding::fail(
            format!("{}: {drift}", chart::PATH),
            ANY_HOOK,
        )));
    }
    let ended = ask(found, &["show", "chart", chart::PATH])?;
    Ok(if ended.code == Some(0) {
        Ok(format!("helm reads {}", chart::PATH))
    } else {
        let remedy =
            "attach a chart that helm can read: juju attach-resource APPLICATION helm-chart=FILE";
        Err(Finding::fail(ended.failure().to_string(), remedy))
    })
}

fn ask(found: &helm::Found, question: &[&str]) -> anyhow::Result<command::Output> {
    command::run_as(MAGNUM_USER, &found.path.to_string_lossy(), LIMIT)
        .args(question)
        .output()
}
