//! The action `plan`: what it says is what the next hook does, and it does nothing itself.

use lab::ActionStatus;
use serde_json::Value;

use crate::support::{CONF, Deployment, KUBECONFIG, STATE, assert_same, pin};

/// The steps that `plan` gives, each with its diff; it changed nothing on the unit.
fn planned(it: &Deployment) -> Vec<(String, String)> {
    let look = || {
        let state = it.machine().snapshot(&[STATE], &[]).unwrap();
        (it.files(), state, it.services())
    };
    let before = look();
    let action = it.action("plan");
    assert_eq!(action.status, ActionStatus::Completed, "{}", action.message);
    let after = look();
    assert_same(&before.0.diff_exact(&after.0), "plan");
    assert_same(&before.1.diff_exact(&after.1), "plan and the charm's state");
    assert_eq!(before.2, after.2);
    let steps: Vec<Value> = serde_json::from_str(&action.results["steps"]).unwrap();
    assert_eq!(action.results["changes"], steps.len().to_string());
    let text = |step: &Value, key: &str| step[key].as_str().unwrap().to_owned();
    steps.iter().map(|step| (text(step, "step"), text(step, "diff"))).collect()
}

/// What a hook said that it did.
fn done(it: &Deployment, hook: &str) -> Vec<String> {
    let log = it.hook(hook).log_text();
    log.lines()
        .filter_map(|line| line.strip_prefix("INFO "))
        .map(|line| {
            line.split_once(": ").filter(|(unit, _)| unit.contains("magnum:")).map_or(line, |(_, rest)| rest).to_owned()
        })
        .collect()
}

/// The diff of the step that writes `path`.
fn diff<'a>(steps: &'a [(String, String)], path: &str) -> &'a str {
    let writes = format!("write {path}:");
    let step = steps.iter().find(|(step, _)| step.starts_with(&writes));
    &step.unwrap().1
}

/// The steps alone.
fn words(steps: &[(String, String)]) -> Vec<&str> {
    steps.iter().map(|(step, _)| step.as_str()).collect()
}

#[track_caller]
fn assert_shows(diff: &str, line: &str) {
    assert!(diff.lines().any(|found| found == line), "{diff}");
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn what_is_planned_is_what_the_next_hook_does() {
    let it = Deployment::deployed();
    it.grant();
    let steps = planned(&it);
    assert_eq!(diff(&steps, KUBECONFIG), "", "a secret is never shown");
    assert_shows(diff(&steps, CONF), "+kubeconfig_file = /etc/magnum/kubeconfig");
    let last = words(&steps).last().copied().unwrap();
    assert!(last.starts_with("restart magnum-api"), "{last}");
    assert_eq!(done(&it, "config-changed"), words(&steps));
    assert_eq!(planned(&it), [], "converged");

    it.shell(&format!(
        "sed -i s/disabled_drivers/enabled_driverz/ {CONF}; chmod 0666 {KUBECONFIG}; echo >>{KUBECONFIG}"
    ));
    let steps = planned(&it);
    assert_shows(diff(&steps, CONF), "-enabled_driverz = k8s_fedora_coreos_v1");
    assert_shows(diff(&steps, CONF), "+disabled_drivers = k8s_fedora_coreos_v1");
    assert_eq!(diff(&steps, KUBECONFIG), "", "a secret is never shown");
    assert_eq!(done(&it, "update-status"), words(&steps));

    // A driver that has never been here: what is to be expected of it.
    it.set(&[("driver-pin", &pin("1.2.1"))]);
    let steps = planned(&it);
    assert_eq!(steps[0].0, "install magnum-capi-helm==1.2.1: 1.1.0 is installed");
    it.set(&[("driver-pin", "latest")]);
    let action = it.action("plan");
    assert_eq!(action.results["changes"], "0");
    assert!(action.results["problems"].contains("driver-pin \"latest\""), "{:?}", action.results);
}
