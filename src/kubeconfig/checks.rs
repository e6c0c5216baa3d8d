//! The checks of the kubeconfig: of its file on the unit, and of what can be found out about its content, offline and
//! online. The latter need no unit: `preflight` runs them on a desk.

use jiff::Timestamp;

use super::compatibility::Stack;
use super::programs::ProgramVerdicts;
use super::usable::ReadFile;
use super::validity::{Age, age};
use super::{ApiError, KubeconfigFault, PATH, Route, Session, UsableKubeconfig};
use crate::check::{ANY_HOOK, Check, Finding, Outcome, Status, nothing_wrong};
use crate::juju::settings::Pin;
use crate::magnum::{Asked, PythonAnswers};
use crate::system::{Entry, ManagedFile, Secret};

const NEW_ONE: &str = "grant another kubeconfig: juju update-secret SECRET kubeconfig#file=FILE";

/// The file on the unit.
pub struct KubeconfigSubject<'a> {
    /// `None` if there is no kubeconfig.
    pub wanted: Option<&'a ManagedFile>,
    pub found: &'a Entry,
    pub python: &'a PythonAnswers,
}

impl KubeconfigSubject<'_> {
    pub const CHECKS: [Check<Self>; 2] = [
        Check::new("kubeconfig-file", "Is the granted kubeconfig in place, with its owner and mode?", file),
        Check::new(
            "kubeconfig-readable",
            "Can user magnum read the kubeconfig that the services are configured to use?",
            readable,
        ),
    ];
}

/// Checks of the content; they need no unit.
pub const CHECKS: &[Check<KubeconfigReport>] = &[
    Check::new("kubeconfig-usable", "Can the pinned driver, and the helm it runs, use this kubeconfig?", usable),
    Check::new("kubeconfig-expiry", "Are its certificates or its token valid, and for how long?", expiry),
    Check::new("management-api", "Does the management cluster answer from here, and can it be trusted?", api),
    Check::new("management-identity", "Does the management cluster know the kubeconfig's user?", identity),
    Check::new("management-permissions", "May that user do there what the driver and helm do?", permissions),
    Check::new("management-capi", "Is Cluster API there, in versions that fit the driver and the chart?", capi),
];

/// What was found out about a kubeconfig. The default is that of none.
#[derive(Debug, Default)]
pub struct KubeconfigReport {
    /// `None` if there is no kubeconfig, or the pin is not known.
    pub usable: Option<Result<UsableKubeconfig, KubeconfigFault>>,
    /// Those of a kubeconfig that is usable.
    pub programs: ProgramVerdicts,
    /// `None` if the management cluster was not asked.
    pub online: Option<Result<ManagementReport, ApiError>>,
    /// How driver and helm get there, or why that is not known; `None` without services.
    pub route: Option<Result<Route, String>>,
    /// Warn this many days before the end.
    pub warning_days: u16,
}

/// What the management cluster said.
#[derive(Debug)]
pub struct ManagementReport {
    /// The user's name there.
    pub user: String,
    /// What the driver and helm need and the user may not do.
    pub denied: Vec<String>,
    pub incompatible: Vec<Finding>,
}

impl ManagementReport {
    /// Asks everything.
    ///
    /// # Errors
    /// If it does not answer, or stops answering, or does not know the user.
    pub fn ask(usable: &UsableKubeconfig, stack: &Stack) -> Result<Self, ApiError> {
        let session = Session::open(usable)?;
        session.wait(async {
            Ok(Self {
                user: session.whoami().await?,
                denied: session.denied().await?,
                incompatible: stack.incompatibilities(&session.served().await?),
            })
        })
    }
}

impl KubeconfigReport {
    /// Finds out everything about a kubeconfig, or the fault for which it is none. `programs` asks driver and helm;
    /// the management cluster is asked whether it fits `online`.
    ///
    /// # Errors
    /// If `programs` fails.
    pub fn inspect(
        kubeconfig: Result<Secret<String>, KubeconfigFault>,
        pin: &Pin,
        read: ReadFile<'_>,
        programs: impl FnOnce(&Secret<String>) -> anyhow::Result<ProgramVerdicts>,
        online: Option<&Stack>,
        warning_days: u16,
    ) -> anyhow::Result<Self> {
        let mut report = Self { warning_days, ..Self::default() };
        let usable = kubeconfig.and_then(|content| Ok((UsableKubeconfig::new(&content, pin, read)?, content)));
        if let Ok((usable, content)) = &usable {
            report.programs = programs(content)?;
            report.online = online.map(|stack| ManagementReport::ask(usable, stack));
        }
        report.usable = Some(usable.map(|(usable, _)| usable));
        Ok(report)
    }

    /// Returns what was read of the kubeconfig; skips what comes after if it is not usable.
    pub(super) fn read(&self) -> Result<&UsableKubeconfig, Finding> {
        let usable = self.usable.as_ref().and_then(|usable| usable.as_ref().ok());
        usable.ok_or_else(|| Finding::skip("there is no usable kubeconfig, or the pin is not known"))
    }

    /// Returns what the management cluster said, and its address.
    fn online(&self) -> Result<(&Result<ManagementReport, ApiError>, &str), Finding> {
        let server = &self.read()?.server;
        let online = self.online.as_ref().ok_or_else(|| Finding::skip("it is not asked while offline"))?;
        Ok((online, server))
    }

    /// Returns its answers; skips what needs them if there are none.
    fn answers(&self) -> Result<(&ManagementReport, &str), Finding> {
        let (online, server) = self.online()?;
        match online {
            Ok(answers) => Ok((answers, server)),
            Err(error) => Err(Finding::skip(format!("{server} {error}"))),
        }
    }
}

fn file(subject: &KubeconfigSubject<'_>) -> Outcome {
    let wanted = subject.wanted.ok_or_else(|| Finding::skip("no kubeconfig is given"))?;
    let drift = wanted.drift(subject.found).map(|drift| format!("{PATH}: {drift}"));
    nothing_wrong(drift, format!("{PATH} is the granted one, root:magnum 0640"), ANY_HOOK)
}

fn readable(subject: &KubeconfigSubject<'_>) -> Outcome {
    match subject.python.get_with_driver(|answers| &answers.kubeconfig)? {
        Asked::Answer(size) => Ok(format!("user magnum reads {size} bytes")),
        Asked::Error(error) => Err(Finding::fail(error.clone(), ANY_HOOK)),
    }
}

fn usable(report: &KubeconfigReport) -> Outcome {
    if let Some(Err(fault)) = &report.usable {
        return Err(Finding::fail(format!("the kubeconfig {fault}"), NEW_ONE));
    }
    let usable = report.read()?;
    if let Some(refusal) = &report.programs.refusal {
        return Err(Finding::fail(format!("the kubeconfig {refusal}"), NEW_ONE));
    }
    let mut parts = vec![format!("it leads to {}", usable.server)];
    parts.extend(report.programs.not_asked.iter().cloned());
    parts.extend(usable.notes.iter().map(|note| format!("but {note}")));
    let evidence = parts.join("; ");
    match usable.notes[..] {
        [] => Ok(evidence),
        _ => Err(Finding::warn(
            evidence,
            "see whether management-api passes anyway; take out what is ignored if you can",
        )),
    }
}

fn expiry(report: &KubeconfigReport) -> Outcome {
    match age(&report.read()?.validity, Timestamp::now()) {
        Age::Expired(ends) => Err(Finding::fail(format!("expired: {ends}"), NEW_ONE)),
        Age::NotYetValid(begins) => Err(Finding::fail(
            format!("not valid yet: {begins}"),
            "set this machine's clock right, or wait, or grant another kubeconfig",
        )),
        Age::Valid(None) => Ok("nothing of it expires".to_owned()),
        Age::Valid(Some((ends, days))) => {
            let evidence = format!("{days} days left: {ends}");
            match days < i64::from(report.warning_days) {
                true => Err(Finding::warn(evidence, NEW_ONE)),
                false => Ok(evidence),
            }
        }
    }
}

fn api(report: &KubeconfigReport) -> Outcome {
    let (online, server) = report.online()?;
    match online {
        Ok(_) | Err(ApiError::Rejected(_)) => Ok(format!("{server} answers")),
        Err(error @ ApiError::Unsupported) => Err(Finding::skip(format!("{server} {error}"))),
        // The charm goes directly, and the services need not.
        Err(error) if report.route.as_ref().is_some_and(|route| route.as_ref().is_ok_and(Route::leads_there)) => {
            Ok(format!("driver and helm reach {server} as the services' environment says; to the charm it {error}"))
        }
        Err(error) => Err(Finding::warn(
            format!("not the graft, but {server} {error}"),
            "let this machine reach the management cluster at that address (routes, security groups, DNS), with a \
             certificate of the kubeconfig's certificate-authority",
        )),
    }
}

fn identity(report: &KubeconfigReport) -> Outcome {
    if let (Err(error @ ApiError::Rejected(_)), server) = report.online()? {
        return Err(Finding::fail(format!("{server} {error}"), NEW_ONE));
    }
    let (answers, server) = report.answers()?;
    Ok(format!("{server} knows the user as {}", answers.user))
}

fn permissions(report: &KubeconfigReport) -> Outcome {
    let (answers, server) = report.answers()?;
    if answers.denied.is_empty() {
        return Ok("everything that is needed".to_owned());
    }
    let denied = answers.denied.join(", ");
    Err(Finding::fail(
        format!("{server} does not let the kubeconfig's user {denied}"),
        "bind that user to cluster-admin, or to a ClusterRole that allows that in every namespace",
    ))
}

fn capi(report: &KubeconfigReport) -> Outcome {
    let (answers, server) = report.answers()?;
    let found = &answers.incompatible;
    if found.is_empty() {
        return Ok("driver, chart and the served versions fit".to_owned());
    }
    let all = |of: fn(&Finding) -> &str| found.iter().map(of).collect::<Vec<_>>().join("; ");
    let evidence = format!("{server}: {}", all(|one| &one.evidence));
    let remedy = all(|one| &one.remedy);
    let status = if found.iter().any(|one| one.status == Status::Fail) { Status::Fail } else { Status::Warn };
    Err(Finding { status, evidence, remedy })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::access::{ADDONS, BOOTSTRAP, CONTROL_PLANE, CORE, OPENSTACK};
    use super::super::programs::ProgramVerdict;
    use super::super::testing::{cluster, serve, usable};
    use super::super::validity::Validity;
    use super::super::{fault, managed_file};
    use super::*;
    use crate::check;
    use crate::system::testing::Scratch;
    use Status::{Fail, Pass, Skip, Warn};

    fn stack() -> Stack {
        let (driver, chart) = ("1.4.0".parse().unwrap(), Some("0.25.1".to_owned()));
        Stack { driver, chart, api_resources: None }
    }

    fn report(usable: UsableKubeconfig, online: Option<Result<ManagementReport, ApiError>>) -> KubeconfigReport {
        KubeconfigReport { usable: Some(Ok(usable)), online, warning_days: 30, ..KubeconfigReport::default() }
    }

    fn statuses(report: &KubeconfigReport) -> [Status; 6] {
        let results = check::run(CHECKS, report);
        std::array::from_fn(|index| results[index].status)
    }

    #[test]
    fn a_kubeconfig_is_checked_as_far_as_it_leads() {
        let asked = |usable: &UsableKubeconfig| Some(ManagementReport::ask(usable, &stack()));
        let good = cluster("v1beta1", |_| true);
        let online = asked(&good);
        assert_eq!(statuses(&report(good, online)), [Pass; 6]);
        let poor = cluster("v1alpha7", |rule| rule == "get secrets");
        let online = asked(&poor);
        assert_eq!(statuses(&report(poor, online)), [Pass, Pass, Pass, Pass, Fail, Fail]);
        let gone = usable("https://127.0.0.1:1");
        let online = asked(&gone);
        assert_eq!(statuses(&report(gone.clone(), online)), [Pass, Pass, Warn, Skip, Skip, Skip]);
        assert_eq!(statuses(&report(gone, None)), [Pass, Pass, Skip, Skip, Skip, Skip]);
        assert_eq!(statuses(&KubeconfigReport::default()), [Skip; 6]);
    }

    #[test]
    fn each_finding_has_its_status() {
        let capi = |finding| {
            let incompatible = vec![finding];
            let (user, denied) = ("admin".into(), vec![]);
            Ok(ManagementReport { user, denied, incompatible })
        };
        for (online, expected) in [
            (Err(ApiError::Rejected(401)), [Pass, Fail, Skip, Skip]),
            (Err(ApiError::Unsupported), [Skip, Skip, Skip, Skip]),
            (Err(ApiError::Unreachable("TLS".into())), [Warn, Skip, Skip, Skip]),
            (capi(Finding::warn("a", "b")), [Pass, Pass, Pass, Warn]),
            (capi(Finding::fail("a", "b")), [Pass, Pass, Pass, Fail]),
        ] {
            assert_eq!(statuses(&report(usable("https://h"), Some(online)))[2..], expected);
        }
        let day = |days: i64| Timestamp::from_second(Timestamp::now().as_second() + days * 86_400).ok();
        for (from, until, expected) in [(-9, 99, Pass), (-9, 9, Warn), (-9, -1, Fail), (1, 99, Fail)] {
            let mut usable = usable("https://h");
            usable.validity = vec![Validity::new("token", day(from), day(until))];
            assert_eq!(statuses(&report(usable, None))[1], expected);
        }
    }

    #[test]
    fn what_a_cluster_says_is_escaped_and_cut() {
        let text = format!("a\u{1b}[31m\n{}", "x".repeat(200_000));
        let version = json!({"version": text});
        let groups = [CORE, CONTROL_PLANE, BOOTSTRAP, OPENSTACK, ADDONS];
        let groups = groups.map(|name| json!({"name": name, "versions": [version]}));
        let review = json!({"allowed": true, "userInfo": {"username": text}});
        let answer = json!({"status": review, "groups": groups}).to_string();
        let hostile = serve(move |_, _, _| ("200 OK", answer.clone()));
        let online = ManagementReport::ask(&hostile, &stack());
        let results = check::run(CHECKS, &report(hostile, Some(online)));
        for (result, words) in [(&results[3], "knows the user as a"), (&results[5], "it serves a")] {
            let escaped = format!("{words}\\u001b[31m\\nxxx");
            assert!(result.evidence.contains(&escaped) && result.evidence.ends_with("x…"), "{}", result.id);
            assert_eq!(result.evidence.chars().count(), 4000);
        }
    }

    #[test]
    fn a_refusing_program_fails_the_check_and_one_that_was_not_asked_is_named() {
        let mut noted = report(usable("https://h"), None);
        let usable_check = |report: &KubeconfigReport| check::run(CHECKS, report).swap_remove(0);
        let driver = ProgramVerdict::NotAsked("no driver is installed here");
        noted.programs = ProgramVerdicts::new(driver, ProgramVerdict::Accepts);
        let result = usable_check(&noted);
        assert_eq!(result.status, Pass);
        assert_eq!(result.evidence, "it leads to https://h; the driver was not asked (no driver is installed here)");
        noted.usable.as_mut().unwrap().as_mut().unwrap().notes.push("it is odd".into());
        assert_eq!(usable_check(&noted).status, Warn);
        let helm = ProgramVerdict::Refuses("duplicate name".into());
        noted.programs = ProgramVerdicts::new(ProgramVerdict::Accepts, helm);
        let result = usable_check(&noted);
        assert_eq!(
            (result.status, result.evidence.as_str()),
            (Fail, "the kubeconfig is refused by helm (duplicate name)")
        );
        noted.usable = Some(Err(fault("has no current-context")));
        assert_eq!(usable_check(&noted).evidence, "the kubeconfig has no current-context");
    }

    fn file_statuses(wanted: Option<&ManagedFile>, found: &Entry, python: PythonAnswers) -> Vec<Status> {
        let subject = KubeconfigSubject { wanted, found, python: &python };
        let results = check::run(&KubeconfigSubject::CHECKS, &subject);
        results.iter().map(|result| result.status).collect()
    }

    fn answers(kubeconfig: &str) -> PythonAnswers {
        let text = format!(
            r#"{{"loads": {{"answer": {{"version": "1", "class": "", "file": "", "missing": [], "provides": []}}}},
                "conductor": {{"configuration": {{"answer": true}}, "effective": {{"error": ""}}}},
                "api": null, "enabled": {{"error": ""}}, "kubeconfig": {kubeconfig},
                "trust": {{"error": ""}}}}"#
        );
        PythonAnswers(serde_json::from_str(&text).map_err(Into::into))
    }

    #[test]
    fn the_file_must_be_the_granted_one_and_readable() {
        let scratch = Scratch::new();
        scratch.root.make_directories("/etc/magnum".as_ref()).unwrap();
        let wanted = managed_file(&Secret::new("content".into()), 0);
        let (absent, read) = (Entry::Absent, r#"{"answer": 7}"#);
        let refused = r#"{"error": "PermissionError"}"#;
        let pass_and_fail = [Status::Pass, Status::Fail];
        assert_eq!(file_statuses(Some(&wanted), &absent, answers(read)), [Status::Fail, Status::Pass]);
        scratch.root.write(&wanted.path, &wanted.bytes, wanted.access).unwrap();
        let found = scratch.root.inspect(&wanted.path).unwrap();
        assert_eq!(file_statuses(Some(&wanted), &found, answers(refused)), pass_and_fail);
        assert_eq!(file_statuses(None, &found, answers(read)), [Status::Skip, Status::Pass]);
        let silent = PythonAnswers(Err(anyhow::anyhow!("no Python")));
        assert_eq!(file_statuses(Some(&wanted), &found, silent), pass_and_fail);
    }
}
