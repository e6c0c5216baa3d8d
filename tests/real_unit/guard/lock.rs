//! The lock: whoever holds it is waited for, and the guard goes by what the last hook wanted.

use super::{at_rest, guarded, watch_over};
use crate::support::{CONF, Deployment, KUBECONFIG, STATE, conf, eventually};

/// Holds the lock as a hook does, until it is told to let go, and does this before.
fn hold_the_lock(it: &Deployment, last: &str) {
    it.shell(&format!(
        "systemd-run --quiet --collect --unit=holder \\
             flock {STATE}/lock sh -c 'touch /run/held; until test -e /run/let-go; do sleep 0.1; done; {last}'
         until test -e /run/held; do sleep 0.1; done"
    ));
}

fn let_go(it: &Deployment) {
    it.shell(
        "touch /run/let-go
         while systemctl is-active --quiet holder; do sleep 0.1; done
         rm /run/held /run/let-go",
    );
}

/// Waits until there is a run of the guard, which has to wait.
fn waits(it: &Deployment) {
    it.shell("until pgrep -x dispatch; do sleep 0.1; done");
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn it_upholds_what_worked_last_and_yields_to_a_hook() {
    let it = guarded();
    let graft = it.graft();
    // What the operator asks for is no good: the guard goes on with what was.
    it.set(&[("driver-pin", "magnum-capi-helm==9.9")]);
    it.hook("config-changed");
    it.assert_status("blocked", &["9.9"], "a pin that is not there");
    it.shell(&format!("rm {KUBECONFIG} {CONF}"));
    eventually("both are back", || graft.diff(&it.graft()).is_empty());
    it.set(&[("driver-pin", "magnum-capi-helm==1.1.0"), ("capi-helm-options", "namespace_prefix = other")]);
    // Whoever holds the lock, as a hook does, is waited for.
    at_rest(&it);
    hold_the_lock(&it, "true");
    it.shell(&format!("rm {KUBECONFIG}"));
    waits(&it);
    it.shell("sleep 1");
    assert!(!it.machine().exists(KUBECONFIG).unwrap(), "the lock is not ours");
    let_go(&it);
    eventually("it is back", || it.machine().exists(KUBECONFIG).unwrap());
    it.hook("config-changed");
    assert_eq!(it.machine().read_text(CONF).unwrap(), conf("namespace_prefix = other\n"));
    it.shell("sleep 2");
    assert_eq!(it.machine().read_text(CONF).unwrap(), conf("namespace_prefix = other\n"));
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn a_run_that_waits_while_the_charm_leaves_brings_nothing_back() {
    let it = Deployment::grafted();
    watch_over(&it);
    at_rest(&it);
    // As a departure does: under the lock the graft goes, then what the charm remembers.
    hold_the_lock(&it, &format!("rm -r {STATE}"));
    it.shell(&format!("rm {KUBECONFIG}"));
    waits(&it);
    let_go(&it);
    at_rest(&it);
    let left = it.shell(&format!("ls -d {STATE} {KUBECONFIG} 2>/dev/null || :"));
    assert_eq!(left, "", "what the guard brought back");
}
