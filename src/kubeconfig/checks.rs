//! The checks of the kubeconfig: of its file on the unit, and of what can be found out about its content, offline and
//! online. The latter need no unit: `preflight` runs them on a desk.

use jiff::Timestamp;

use super::report::KubeconfigReport;
use super::validity::{Age, age};
use super::{ApiError, PATH, Route};
use crate::check::{ANY_HOOK, Check, Finding, Outcome, Status, nothing_wrong};
use crate::magnum::{Asked, PythonAnswers};
use crate::system::{Entry, ManagedFile};

const NEW_ONE: &str = "grant another kubeconfig: juju update-secret SECRET kubeconfig#file=FILE";
const MAY_ASK: &str = "bind the ClusterRole system:basic-user to that user, as Kubernetes does by default for the group \
                       system:authenticated";
/// What to do about a kubeconfig that leads to the machine on which it is used.
pub const ELSEWHERE: &str = "a kubeconfig copied from a node of the management cluster names that node; name the address at which every unit \
     reaches it: kubectl config set-cluster CLUSTER --server=https://HOST:6443; a tunnel must run on every unit";

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
        _ if usable.leads_here() => Err(Finding::warn(evidence, ELSEWHERE)),
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
        // The charm goes directly, and the services need not.
        Err(error) if report.route.as_ref().is_some_and(|route| route.as_ref().is_ok_and(Route::leads_there)) => {
            Ok(format!("driver and helm reach {server} as the services' environment says; to the charm it {error}"))
        }
        Err(error) if error.is_inconclusive() => Err(Finding::skip(format!("cannot tell: {server} {error}"))),
        Err(error @ ApiError::Unreachable(_)) if report.read()?.leads_here() => {
            Err(Finding::fail(format!("{server} {error}, and that is this machine itself"), ELSEWHERE))
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
    match &answers.user {
        Ok(user) => Ok(format!("{server} knows the user as {user}")),
        Err(error) => Err(Finding::warn(format!("cannot tell: {server} {error}"), MAY_ASK)),
    }
}

fn permissions(report: &KubeconfigReport) -> Outcome {
    let (answers, server) = report.answers()?;
    let denied = match &answers.denied {
        Ok(denied) if denied.is_empty() => return Ok("everything that is needed".to_owned()),
        Ok(denied) => denied.join(", "),
        Err(error) => return Err(Finding::warn(format!("cannot tell: {server} {error}"), MAY_ASK)),
    };
    Err(Finding::fail(
        format!("{server} does not let the kubeconfig's user {denied}"),
        "bind that user to cluster-admin, or to a ClusterRole that allows that in every namespace",
    ))
}

fn capi(report: &KubeconfigReport) -> Outcome {
    let (answers, server) = report.answers()?;
    let found = answers.incompatible.as_ref();
    let found = found.map_err(|error| Finding::skip(format!("cannot tell: {server} {error}")))?;
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
    use serde_json::{Value, json};

    use super::super::access::{ADDONS, BOOTSTRAP, CONTROL_PLANE, CORE, OPENSTACK};
    use super::super::compatibility::Stack;
    use super::super::programs::{ProgramVerdict, ProgramVerdicts};
    use super::super::report::ManagementReport;
    use super::super::testing::{cluster, serve, usable};
    use super::super::validity::Validity;
    use super::super::{UsableKubeconfig, fault, managed_file};
    use super::*;
    use crate::check;
    use crate::system::Secret;
    use crate::system::testing::Scratch;
    use Status::{Fail, Pass, Skip, Warn};

    fn stack() -> Stack {
        let (driver, chart) = ("1.4.0".parse().unwrap(), Some("0.25.1".to_owned()));
        Stack { driver, chart, api_resources: None }
    }

    fn ask(usable: &UsableKubeconfig) -> Result<ManagementReport, ApiError> {
        ManagementReport::ask(&Scratch::new().root, usable, &stack())
    }

    fn report(usable: UsableKubeconfig, online: Option<Result<ManagementReport, ApiError>>) -> KubeconfigReport {
        KubeconfigReport { usable: Some(Ok(usable)), online, warning_days: 30, ..KubeconfigReport::default() }
    }

    fn groups_of(version: &str) -> Value {
        let groups = [CORE, CONTROL_PLANE, BOOTSTRAP, OPENSTACK, ADDONS];
        groups.map(|name| json!({"name": name, "versions": [{"version": version}]})).into()
    }

    fn statuses(report: &KubeconfigReport) -> [Status; 6] {
        let results = check::run(CHECKS, report);
        std::array::from_fn(|index| results[index].status)
    }

    #[test]
    fn a_kubeconfig_is_checked_as_far_as_it_leads() {
        let asked = |usable: &UsableKubeconfig| Some(ask(usable));
        let good = cluster("v1beta1", |_| true);
        let online = asked(&good);
        assert_eq!(statuses(&report(good, online)), [Pass; 6]);
        let poor = cluster("v1alpha7", |rule| rule == "get secrets");
        let online = asked(&poor);
        assert_eq!(statuses(&report(poor, online)), [Pass, Pass, Pass, Pass, Fail, Fail]);
        let gone = usable("https://127.0.0.1:1");
        let online = asked(&gone);
        assert_eq!(statuses(&report(gone.clone(), online)), [Pass, Pass, Fail, Skip, Skip, Skip]);
        let odd = serve(|_, _, _| ("503 Unavailable", String::new()));
        let online = asked(&odd);
        assert_eq!(statuses(&report(odd, online)), [Pass, Pass, Warn, Skip, Skip, Skip]);
        assert_eq!(statuses(&report(gone, None)), [Pass, Pass, Skip, Skip, Skip, Skip]);
        assert_eq!(statuses(&KubeconfigReport::default()), [Skip; 6]);
    }

    #[test]
    fn each_finding_has_its_status() {
        let capi = |finding| {
            let incompatible = Ok(vec![finding]);
            let (user, denied) = (Ok("admin".into()), Ok(vec![]));
            Ok(ManagementReport { user, denied, incompatible })
        };
        for (online, expected) in [
            (Err(ApiError::Rejected(401)), [Pass, Fail, Skip, Skip]),
            (Err(ApiError::Unsupported), [Skip, Skip, Skip, Skip]),
            (Err(ApiError::UnsupportedServer("P-521".into())), [Skip, Skip, Skip, Skip]),
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
    fn what_the_user_may_not_ask_cannot_be_told_and_names_the_rule() {
        let refusing = |refused: &'static str| {
            let refusing = serve(move |method, path, _| {
                let name = path.rsplit('/').next().unwrap();
                match (refused.contains(name), method) {
                    (true, _) => ("403 Forbidden", String::new()),
                    (_, "POST") => {
                        ("200 OK", r#"{"status": {"allowed": true, "userInfo": {"username": "a"}}}"#.to_owned())
                    }
                    _ => ("200 OK", json!({"groups": groups_of("v1beta1")}).to_string()),
                }
            });
            let online = ask(&refusing);
            check::run(CHECKS, &report(refusing, Some(online)))
        };
        let of =
            |results: &[check::CheckResult]| -> Vec<_> { results[2..].iter().map(|result| result.status).collect() };
        let reviews = "selfsubjectreviews selfsubjectaccessreviews";
        let results = refusing(reviews);
        assert_eq!(of(&results), [Pass, Warn, Warn, Pass]);
        for result in &results[3..5] {
            let rule = "does not let the kubeconfig's user create selfsubjectaccessreviews.authorization.k8s.io";
            assert!(result.evidence.starts_with("cannot tell: ") && result.evidence.ends_with(rule), "{result:?}");
            assert!(result.remedy.contains("system:basic-user"), "{result:?}");
        }
        assert_eq!(of(&refusing("selfsubjectreviews")), [Pass, Pass, Pass, Pass]);
        // Without it helm does not work.
        let results = refusing("apis");
        assert_eq!(of(&results), [Pass, Pass, Fail, Skip]);
        assert!(results[4].evidence.ends_with("does not let the kubeconfig's user get /apis"), "{:?}", results[4]);
    }

    #[test]
    fn what_a_cluster_says_is_escaped_and_cut() {
        let text = format!("a\u{1b}[31m\n{}", "x".repeat(200_000));
        let groups = groups_of(&text);
        let review = json!({"allowed": true, "userInfo": {"username": text}});
        let answer = json!({"status": review, "groups": groups}).to_string();
        let hostile = serve(move |_, _, _| ("200 OK", answer.clone()));
        let online = ask(&hostile);
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
