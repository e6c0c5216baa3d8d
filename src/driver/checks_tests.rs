//! Tests of the driver's checks.

use std::path::Path;

use super::super::inspect;
use super::super::tests::{self as unit, SITE, installed, pin};
use super::*;
use crate::check::{Status, run};
use crate::system::testing::Scratch;

fn answers(loads: &str, enabled: &str) -> PythonAnswers {
    let reading = r#"{"configuration": {"answer": true}, "effective": {"answer": {}}}"#;
    let text = format!(
        r#"{{"loads": {loads}, "conductor": {reading}, "api": null, "enabled": {enabled}, "kubeconfig": {{"answer": 1}},
            "trust": {{"error": ""}}}}"#
    );
    PythonAnswers(Ok(serde_json::from_str(&text).unwrap()))
}

fn loaded(missing: &str) -> String {
    format!(
        r#"{{"answer": {{"version": "1.1.0", "class": "driver.Driver", "file": "{SITE}/magnum_capi_helm/driver.py",
        "missing": {missing}, "provides": ["(vm, ubuntu, kubernetes)"]}}}}"#
    )
}

const ENABLED: &str = r#"{"answer": {"k8s_capi_helm_v1": ["(vm, ubuntu, kubernetes)"]}}"#;
const BOTH: &str = r#"{"answer": {"heat": [], "k8s_capi_helm_v1": ["(vm, ubuntu, kubernetes)"]}}"#;
const TAKEN: &str = r#"{"answer": {"heat": ["(vm, ubuntu, kubernetes)"], "k8s_capi_helm_v1": []}}"#;
const ERROR: &str = r#"{"error": "ImportError: no"}"#;

/// The status of each check, with the evidence of those that have not passed.
fn checked(
    scratch: &Scratch,
    python: &PythonAnswers,
    desired: Option<&DesiredDriver>,
    only_ours: bool,
) -> Vec<(Status, String)> {
    let observed = inspect(&scratch.root, &unit::python()).unwrap();
    let subject = DriverSubject { desired, observed: &observed, python, only_ours };
    let results = run(&DriverSubject::CHECKS, &subject);
    let ids: Vec<&str> = results.iter().map(|result| result.id).collect();
    let expected = ["version", "record", "shadowed", "loads", "requirements", "enabled"];
    assert_eq!(ids, expected.map(|id| format!("driver-{id}")));
    results.into_iter().map(|result| (result.status, result.evidence)).collect()
}

fn wanted(scratch: &Scratch) -> DesiredDriver {
    let installed = inspect(&scratch.root, &unit::python()).unwrap().installed;
    let record_sha256 = installed.0.first().map(|driver| driver.record_sha256.clone()).unwrap_or_default();
    DesiredDriver { pin: pin(), record_sha256, site: SITE.into() }
}

#[test]
fn a_driver_that_is_as_it_should_be_passes_every_check() {
    let scratch = installed();
    let results = checked(&scratch, &answers(&loaded("[]"), ENABLED), Some(&wanted(&scratch)), true);
    assert!(results.iter().all(|(status, _)| *status == Status::Pass), "{results:?}");
    let results = checked(&scratch, &answers(&loaded("[]"), BOTH), Some(&wanted(&scratch)), false);
    let found = "Magnum enables heat for no cluster; k8s_capi_helm_v1 for (vm, ubuntu, kubernetes)";
    assert_eq!(results[5], (Status::Pass, found.to_owned()));
}

#[test]
fn a_driver_for_very_many_kinds_is_checked_in_a_moment() {
    // Comparing each kind with each would take minutes.
    let kinds = format!("[{}]", (0..100_000).map(|kind| format!("\"{kind}\"")).collect::<Vec<_>>().join(","));
    let loads = loaded("[]").replace(r#"["(vm, ubuntu, kubernetes)"]"#, &kinds);
    let enabled = ENABLED.replace(r#"["(vm, ubuntu, kubernetes)"]"#, &kinds);
    let scratch = installed();
    let began = std::time::Instant::now();
    let results = checked(&scratch, &answers(&loads, &enabled), Some(&wanted(&scratch)), true);
    assert_eq!(results[5].0, Status::Pass);
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
}

#[test]
fn each_check_fails_on_its_own_fault() {
    let good = || answers(&loaded("[]"), ENABLED);
    let absent = PythonAnswers(Err(anyhow::anyhow!("no Python")));
    type Change = fn(&Scratch);
    let elsewhere = loaded("[]").replace(SITE, "/opt/other");
    let cases: [(usize, Change, PythonAnswers, &str); 12] = [
        (0, |s| s.root.remove(Path::new(SITE)).unwrap(), good(), "magnum-capi-helm==1.1.0 is pinned: not installed"),
        (
            1,
            |s| s.put(format!("{SITE}/magnum_capi_helm/driver.py"), "x"),
            good(),
            "magnum_capi_helm/driver.py is edited",
        ),
        (
            2,
            |s| s.put("/var/lib/magnum/site/magnum_capi_helm.py", ""),
            good(),
            "Python finds /var/lib/magnum/site/magnum_capi_helm.py first",
        ),
        (3, |_| {}, answers(ERROR, ENABLED), "ImportError: no"),
        (3, |_| {}, answers(&elsewhere, ENABLED), "/opt/other/magnum_capi_helm/driver.py is loaded, and not "),
        (3, |_| {}, absent, "could not look: Python could not be asked: no Python"),
        (4, |_| {}, answers(&loaded(r#"[["pbr", null]]"#), ENABLED), "missing: pbr (not installed)"),
        (5, |_| {}, answers(&loaded("[]"), ERROR), "Magnum's loader says ImportError: no"),
        (
            5,
            |_| {},
            answers(&loaded("[]"), r#"{"answer": {"heat": []}}"#),
            "Magnum enables heat for no cluster, not k8s_capi_helm_v1",
        ),
        (5, |_| {}, answers(&loaded("[]"), BOTH), "though disable-other-drivers is true"),
        (5, |_| {}, answers(&loaded("[]"), TAKEN), "though disable-other-drivers is true"),
        (1, |_| {}, good(), "RECORD itself is not the one that was installed"),
    ];
    for (index, change, python, expected) in cases {
        let scratch = installed();
        let mut desired = wanted(&scratch);
        if expected.starts_with("RECORD") {
            desired.record_sha256 = "of another build".to_owned();
        }
        change(&scratch);
        let (status, evidence) = &checked(&scratch, &python, Some(&desired), true)[index];
        assert_eq!(*status, Status::Fail, "{expected}: {evidence}");
        assert!(evidence.contains(expected), "{expected}: {evidence}");
    }
    let scratch = installed();
    let taken = &checked(&scratch, &answers(&loaded("[]"), TAKEN), Some(&wanted(&scratch)), false)[5];
    assert!(taken.1.ends_with("another driver makes the clusters (vm, ubuntu, kubernetes)"), "{taken:?}");
}

#[test]
fn a_check_whose_question_does_not_arise_is_skipped() {
    let scratch = Scratch::new();
    let statuses = checked(&scratch, &answers(ERROR, ENABLED), None, true);
    let statuses: Vec<Status> = statuses.into_iter().map(|(status, _)| status).collect();
    use Status::{Fail, Pass, Skip};
    assert_eq!(statuses, [Skip, Skip, Pass, Fail, Skip, Skip]);
}
