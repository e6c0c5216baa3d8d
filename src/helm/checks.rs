//! The check of helm, as user magnum.

use super::{FoundHelm, OLDEST, missing, version_of};
use crate::check::{Check, Finding, Outcome};
use crate::system::System;

/// The machine, and the helm that its services find.
pub struct HelmSubject<'a> {
    pub system: &'a System,
    pub found: Option<&'a FoundHelm>,
}

impl HelmSubject<'_> {
    pub const CHECKS: [Check<Self>; 1] = [Check::new("helm", "Does user magnum find a helm that runs?", runs)];
}

fn runs(subject: &HelmSubject) -> Outcome {
    let Some(found) = subject.found else {
        let problem = missing();
        return Err(Finding::fail(problem.summary, problem.detail));
    };
    let path = found.path.display();
    match version_of(subject.system, &found.path) {
        Ok(version) => Ok(format!("{path} is {version}")),
        Err(error) => Err(Finding::fail(
            format!("{path} {error:#}"),
            format!("put an executable helm {OLDEST} or later at {path}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use crate::check::{Status, run};
    use crate::helm::PATH;
    use crate::system::testing::Scratch;

    use super::*;

    #[track_caller]
    fn assert_result(printed: Option<&'static str>, path: Option<&str>, status: Status, expected: &str) {
        let scratch = Scratch::new();
        let system = scratch.system(move |_| printed.map(str::to_owned));
        let found = path.map(|path| FoundHelm { path: path.into(), known: None });
        let subject = HelmSubject { system: &system, found: found.as_ref() };
        let result = run(&HelmSubject::CHECKS, &subject).remove(0);
        assert_eq!((result.id, result.status), ("helm", status));
        assert!(result.evidence.contains(expected), "{result:?}");
        assert_eq!(result.remedy.is_empty(), status == Status::Pass);
    }

    #[test]
    fn helm_passes_when_it_runs_and_is_recent() {
        assert_result(Some("v3.8.0+g1"), Some(PATH), Status::Pass, "/usr/local/bin/helm is 3.8.0");
        assert_result(Some("v3.7.9"), Some(PATH), Status::Fail, "too old for the driver");
        assert_result(None, Some(PATH), Status::Fail, "/usr/local/bin/helm does not run: ");
        assert_result(None, None, Status::Fail, "No helm on the services' PATH");
    }
}
