//! The check of helm, as user magnum.

use std::path::Path;

use cap_std::fs::MetadataExt as _;

use super::{FoundHelm, OLDEST, missing, version_of};
use crate::check::{Check, Finding, Outcome};
use crate::magnum::EnvironmentSource;
use crate::system::System;

/// From this major version on, helm applies on the server's side by default.
const SERVER_SIDE: u32 = 4;

/// The machine, and the helm that its services find.
pub struct HelmSubject<'a> {
    pub system: &'a System,
    pub found: Option<&'a FoundHelm>,
    /// Where the environment of the service that runs it is found.
    pub environment: Option<EnvironmentSource<'a>>,
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
    if let Some(other) = found_instead(subject, &found.path) {
        let origin = subject.environment.map(|source| source.origin(&subject.system.root, "PATH"));
        let evidence = format!("the services' PATH ({}) leads to {other}, not to {path}", origin.unwrap_or_default());
        let remedy = "take PATH out there, then run: systemctl daemon-reload; systemctl restart magnum-conductor";
        return Err(Finding::fail(evidence, remedy));
    }
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

/// Returns what the service runs instead, if its PATH is another one than systemd's own. One that cannot be read counts as
/// the usual one.
fn found_instead(subject: &HelmSubject<'_>, expected: &Path) -> Option<String> {
    let root = &subject.system.root;
    let environment = subject.environment?.read(subject.system).ok()?;
    let candidates = std::env::split_paths(environment.get("PATH")?).map(|directory| directory.join("helm"));
    let resolved = candidates.filter_map(|helm| root.resolve_with_metadata(&helm).ok());
    let mut programs =
        resolved.filter(|(_, meta)| meta.as_ref().is_some_and(|meta| meta.is_file() && meta.mode() & 1 != 0));
    match programs.next() {
        None => Some("no helm".to_owned()),
        Some((helm, _)) => (root.resolve(expected).ok()? != helm).then(|| helm.display().to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use crate::check::{Status, run};
    use crate::helm::PATH;
    use crate::system::systemd::Unit;
    use crate::system::testing::Scratch;

    use super::*;

    #[track_caller]
    fn assert_result(printed: Option<&'static str>, path: Option<&str>, status: Status, expected: &str) {
        let scratch = Scratch::new();
        let system = scratch.system(move |_| printed.map(str::to_owned));
        let found = path.map(|path| FoundHelm { path: path.into(), known: None });
        let subject = HelmSubject { system: &system, found: found.as_ref(), environment: None };
        let result = run(&HelmSubject::CHECKS, &subject).remove(0);
        assert_eq!((result.id, result.status), ("helm", status));
        assert!(result.evidence.contains(expected), "{result:?}");
        assert_eq!(result.remedy.is_empty(), status == Status::Pass);
    }

    #[test]
    fn a_path_of_the_services_own_that_leads_elsewhere_is_named() {
        let scratch = Scratch::new();
        let put = |path: &str| {
            scratch.put(path, "");
            std::fs::set_permissions(scratch.path(path), std::fs::Permissions::from_mode(0o755)).unwrap();
        };
        put(PATH);
        put("/opt/bin/helm");
        scratch.link("/opt/linked", "../usr/local/bin");
        scratch.put("/etc/x.conf", "Environment=PATH=/opt/bin\n");
        let found = FoundHelm { path: PATH.into(), known: None };
        for (path, expected) in [
            ("LANG=C", Ok("/usr/local/bin/helm is 3.8.0")),
            ("PATH=/usr/bin:/usr/local/bin:/opt/bin", Ok("/usr/local/bin/helm is 3.8.0")),
            ("PATH=/opt/linked", Ok("/usr/local/bin/helm is 3.8.0")),
            ("PATH=/opt/bin:/usr/local/bin", Err("leads to /opt/bin/helm, not to /usr/local/bin/helm")),
            ("PATH=/usr/bin", Err("leads to no helm, not to /usr/local/bin/helm")),
        ] {
            let system = scratch.system(move |command| match command.name().starts_with("systemctl") {
                true => Some(path.to_owned()),
                false => Some("v3.8.0+g1".to_owned()),
            });
            let unit = Unit { drop_ins: vec!["/etc/x.conf".into()], ..Unit::default() };
            let environment = Some(EnvironmentSource { unit: &unit, process: None });
            let result =
                run(&HelmSubject::CHECKS, &HelmSubject { system: &system, found: Some(&found), environment }).remove(0);
            match expected {
                Ok(evidence) => {
                    assert_eq!((result.status, result.evidence.as_str()), (Status::Pass, evidence), "{path}")
                }
                Err(end) => {
                    let evidence = format!("the services' PATH (/etc/x.conf:1) {end}");
                    assert_eq!((result.status, result.evidence), (Status::Fail, evidence));
                }
            }
        }
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
