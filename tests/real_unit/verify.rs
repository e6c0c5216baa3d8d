//! `verify` passes on a whole graft, names each fault, and changes nothing.

use std::collections::BTreeMap;

use lab::{ActionRun, ActionStatus, Exec};
use serde_json::{Value, json};

use crate::faults::chart_of_its_own;
use crate::support::{API, CONDUCTOR, Deployment, STATE, assert_same};

/// The checks by their ids, after a look at everything the action promises of its results.
pub fn checks(action: &ActionRun) -> BTreeMap<String, Value> {
    assert_eq!(action.run.exit, Some(0), "{}", action.run.describe());
    let result = |key: &str| {
        let found = action.results.get(key);
        found.unwrap_or_else(|| panic!("no result {key}: {} {:?}", action.message, action.results))
    };
    let all: Vec<Value> = serde_json::from_str(result("checks")).unwrap();
    let mut checks = BTreeMap::new();
    for check in all {
        let text = |key: &str| check[key].as_str().unwrap_or_else(|| panic!("{key}: {check}"));
        for key in ["id", "status", "summary", "evidence", "remedy"] {
            text(key);
        }
        assert!(!text("summary").is_empty() && !text("evidence").is_empty(), "{check}");
        if matches!(text("status"), "fail" | "warn") {
            assert!(!text("remedy").is_empty(), "what to do about {check}");
        }
        assert!(result("report").contains(text("id")), "{check}");
        checks.insert(text("id").to_owned(), check.clone());
    }
    let with = |status: &str| -> Vec<&str> {
        let is = |check: &&Value| check["status"] == status;
        checks.values().filter(is).map(|check| check["id"].as_str().unwrap()).collect()
    };
    for (key, status) in [("passed", "pass"), ("failed", "fail"), ("warned", "warn"), ("skipped", "skip")] {
        assert_eq!(*result(key), with(status).len().to_string(), "{key}");
    }
    let mut failures: Vec<&str> = result("failures").split(',').filter(|id| !id.is_empty()).collect();
    failures.sort_unstable();
    assert_eq!(failures, with("fail"));
    let failed = action.status == ActionStatus::Failed;
    assert_eq!(failed, !failures.is_empty(), "{}", action.message);
    for id in failures {
        assert!(action.message.contains(id), "{id} in {:?}", action.message);
    }
    checks
}

/// Whether this is the one warning of a unit on which no Keystone answers, as on all but those in a cloud.
pub fn is_without_keystone(check: &Value) -> bool {
    let evidence = "Keystone does not say whether the trustee domain works: ConnectFailure: [Errno 111]";
    check["id"] == "chain-trust" && check["evidence"].as_str().unwrap().contains(evidence)
}

#[track_caller]
fn assert_healthy(it: &Deployment, case: &str) {
    let checks = checks(&it.action("verify"));
    let bad: Vec<&Value> =
        checks.values().filter(|check| check["status"] != "pass" && !is_without_keystone(check)).collect();
    assert!(bad.is_empty(), "{case}: {bad:#?}");
    assert_eq!(checks["chain-trust"]["status"], "warn", "{case}");
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn verify_passes_on_a_whole_graft_and_changes_nothing() {
    let it = Deployment::active();
    it.set(&[("guard", "true")]);
    it.hook("config-changed");
    chart_of_its_own(&it);
    // Not the graft's fault, and so no failure.
    it.management.stop(it.machine()).unwrap();
    let unreachable = checks(&it.action("verify"));
    assert_eq!(unreachable["management-api"]["status"], "warn");
    it.management.serve(it.machine()).unwrap();

    let look = || {
        let state = it.machine().snapshot(&[STATE], &[]).unwrap();
        (it.files(), state, it.services(), it.unit.status_history())
    };
    let before = look();
    assert_healthy(&it, "a whole graft");
    let after = look();
    assert_same(&before.0.diff_exact(&after.0), "verify");
    assert_same(&before.1.diff_exact(&after.1), "verify and its state");
    assert_eq!((before.2, before.3), (after.2, after.3));
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn verify_starts_python_once_for_magnum_and_once_for_the_drivers_client() {
    let it = Deployment::active();
    let (action, execs) = it.unit.action_traced("verify", &json!({})).unwrap();
    it.heard(action.run);
    let pythons: Vec<&Exec> = execs.iter().filter(|exec| exec.path.contains("/python3")).collect();
    let mut questions: Vec<&str> = pythons.iter().map(|exec| exec.argv[2].as_str()).collect();
    // They are asked at the same time.
    questions.sort_unstable();
    assert_eq!(questions, ["client", "verify"], "{pythons:?}");
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn settings_that_are_no_good_fail_and_a_paused_unit_is_not_judged_by_what_does_not_run() {
    let it = Deployment::grafted();
    it.set(&[("driver-pin", "magnum-capi-helm")]);
    let verdict = checks(&it.action("verify"));
    assert_eq!(verdict["settings"]["status"], "fail");
    it.application.reset_config("driver-pin").unwrap();

    it.shell(&format!("systemctl disable --quiet --now {API} {CONDUCTOR}; systemctl mask --quiet {API} {CONDUCTOR}"));
    let verdict = checks(&it.action("verify"));
    assert_eq!(verdict["service-stable"]["status"], "skip", "paused");
}
