//! The check of helm, as user magnum.

use super::{FoundHelm, OLDEST, missing, version_of};
use crate::check::{self, Check, CheckResult, Finding, Outcome};
use crate::system::System;

/// The machine, and the helm that its services find.
pub struct HelmSubject<'a> {
    pub system: &'a System,
    pub found: Option<&'a FoundHelm>,
}

/// Runs the checks of helm.
pub fn run_checks(subject: &HelmSubject) -> Vec<CheckResult> {
    let check = Check {
        id: "helm",
        question: "Does user magnum find a helm that runs?",
        answer: runs,
    };
    check::run(&[check], subject)
}

fn runs(subject: &HelmSubject) -> Outcome {
    let Some(found) = subject.found else {
        let problem = missing();
        return Ok(Err(Finding::fail(problem.summary, problem.detail)));
    };
    let path = found.path.display();
    Ok(match version_of(subject.system, &found.path) {
        Ok(version) => Ok(format!("{path} is {version}")),
        Err(error) => Err(Finding::fail(
            format!("{path} {error:#}"),
            format!("put an executable helm {OLDEST} or later at {path}"),
        )),
    })
}
