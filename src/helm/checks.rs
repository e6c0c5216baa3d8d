//! The check of helm, as user magnum.

use super::{FoundHelm, OLDEST, missing, version_of};
use crate::check::{Check, Finding, Outcome};
use crate::system::System;

/// From this major version on, helm applies on the server's side by default.
const SERVER_SIDE: u32 = 4;

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
        Ok(version) if version.0 >= SERVER_SIDE => Err(Finding::warn(
            format!(
                "{path} is {version}, which applies on the server's side: an upgrade of a cluster may fail on conflicts \
                 with fields that a controller has set, and the driver passes no flag for that"
            ),
            format!(
                "provide a helm of version 3, {OLDEST} or later: juju attach-resource APPLICATION helm=FILE; or set helm-url and helm-sha256"
            ),
        )),
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
        assert_result(Some("v3.19.9"), Some(PATH), Status::Pass, "/usr/local/bin/helm is 3.19.9");
        for later in ["v4.0.0+g1", "v4.1.2", "v5.0.0"] {
            assert_result(Some(later), Some(PATH), Status::Warn, "conflicts with fields that a controller has set");
        }
        assert_result(Some("v3.7.9"), Some(PATH), Status::Fail, "too old for the driver");
        assert_result(None, Some(PATH), Status::Fail, "/usr/local/bin/helm does not run: ");
        assert_result(None, None, Status::Fail, "No helm on the services' PATH");
    }
}
