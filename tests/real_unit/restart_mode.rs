//! When restarts are done: at once, by hand; the option refused when it is no mode.

use lab::ActionStatus;

use crate::support::{API, CONDUCTOR, Deployment};

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn a_restart_by_hand_is_done_when_the_action_says_so_and_everybody_says_so_until_then() {
    let it = Deployment::grafted();
    let before = it.services();
    it.set(&[("restart-mode", "manual"), ("capi-helm-options", "namespace_prefix = other")]);
    let asked = "run: juju run magnum-capi-helm/0 restart";
    for hook in ["config-changed", "update-status"] {
        it.hook(hook);
        it.assert_status("blocked", &["magnum-api and magnum-conductor", asked], hook);
        assert_eq!(it.services(), before, "{hook}");
    }
    let plan = it.action("plan").results;
    assert_eq!(plan["changes"], "0", "{plan:?}");
    assert!(plan["problems"].contains(asked), "{plan:?}");
    let verified = it.action("verify");
    assert_eq!(verified.results["failures"], "service-current");
    assert!(verified.results["checks"].contains(asked));

    let action = it.action("restart");
    assert_eq!(action.status, ActionStatus::Completed, "{}", action.message);
    let restarted = &action.results["restarted"];
    for service in [API, CONDUCTOR] {
        let line = format!("{service}: it has read another configuration or driver");
        assert!(restarted.contains(&line), "{restarted}");
    }
    it.assert_status("active", &["Driver 1.1.0 grafted"], "after the action");
    let after = it.services();
    assert!(after.api != before.api && after.conductor != before.conductor);
    assert_eq!(it.ask_magnum()["capi_helm"]["namespace_prefix"], "other");

    let again = it.action("restart");
    assert_eq!(again.results["restarted"], "nothing was due");
    assert_eq!(it.services(), after);

    it.shell(&format!("systemctl disable --quiet --now {API} {CONDUCTOR}; systemctl mask --quiet {API} {CONDUCTOR}"));
    let refused = it.action("restart");
    assert_eq!(refused.status, ActionStatus::Failed);
    assert!(refused.message.contains("Magnum is paused"), "{}", refused.message);
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn a_mode_that_is_none_is_refused_and_immediate_asks_nobody() {
    let it = Deployment::active();
    it.set(&[("restart-mode", "sometimes")]);
    it.hook("config-changed");
    let words = ["restart-mode \"sometimes\"", "rolling, immediate, manual"];
    it.assert_status("blocked", &words, "no mode");
    let before = it.services();
    it.set(&[("restart-mode", "immediate"), ("capi-helm-options", "namespace_prefix = other")]);
    let run = it.hook("config-changed");
    it.assert_status("active", &["Driver 1.1.0 grafted"], "immediate");
    assert!(it.services().api != before.api);
    assert!(!run.called("goal-state"), "{}", run.describe());
}
