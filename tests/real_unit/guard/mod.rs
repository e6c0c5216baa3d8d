//! The guard: drift is put right within a second, by systemd and the charm's program, without Juju.

mod drift;
mod lock;

use std::time::Duration;

use crate::support::{API, CONDUCTOR, CONF, DROP_INS, Deployment, Shared, assert_same, eventually, soak};
use crate::verify::checks;

const WATCH: &str = "magnum-capi-helm-guard.path";
const UNITS: [&str; 3] = [WATCH, "magnum-capi-helm-guard.service", "magnum-capi-helm-guard-again.service"];
const HELM: &str = "/usr/local/bin/helm";
const CHART: &str = "/usr/local/share/magnum-capi-helm/chart.tgz";

/// A grafted unit that is watched over.
fn guarded() -> Shared {
    let it = Deployment::active();
    watch_over(&it);
    it
}

fn watch_over(it: &Deployment) {
    it.set(&[("guard", "true")]);
    it.hook("config-changed");
    it.assert_status("active", &["Driver 1.1.0 grafted"], "guarded");
    assert_eq!(watched(it), "active enabled");
}

fn watched(it: &Deployment) -> String {
    let shown = it.shell(&format!("systemctl show --property=ActiveState,UnitFileState --value {WATCH}"));
    shown.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Waits until no run of the guard is under way, such as the one after a hook: it would undo at once
/// what the test does next.
fn at_rest(it: &Deployment) {
    eventually("the guard is at rest", || {
        let found = it.shell(
            "systemctl list-units --no-legend --state=activating,active,deactivating 'magnum-capi-helm-guard*.service';
             systemctl list-jobs --no-legend | grep magnum-capi-helm || :",
        );
        found.is_empty()
    });
}

/// What the guard and the services last said, for the message of a failed test.
fn last_said(it: &Deployment) -> String {
    it.shell(&format!(
        "journalctl --quiet --no-pager -o short-precise -u 'magnum-capi-helm-guard*' -u {API} -u {CONDUCTOR} -n 400"
    ))
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn it_can_be_turned_off_and_is_put_back_like_any_other_part() {
    let it = Deployment::grafted();
    watch_over(&it);
    let own = it.shell("cat /etc/systemd/system/magnum-capi-helm-guard*");
    // Stopped or removed by hand: the next hook has systemd watch again.
    for harm in [
        format!("systemctl disable --quiet --now {WATCH}"),
        format!("systemctl stop {WATCH}; rm /etc/systemd/system/magnum-capi-helm-guard*; systemctl daemon-reload"),
    ] {
        at_rest(&it);
        it.shell(&harm);
        assert_ne!(watched(&it), "active enabled", "{harm}");
        it.hook("update-status");
        assert_eq!(watched(&it), "active enabled", "{harm}");
        assert_eq!(it.shell("cat /etc/systemd/system/magnum-capi-helm-guard*"), own, "{harm}");
    }
    // Masked by an administrator, as systemctl cannot while the file is there: it is left so.
    at_rest(&it);
    let file = format!("/etc/systemd/system/{WATCH}");
    it.shell(&format!("systemctl stop {WATCH}; ln -sfn /dev/null {file}; systemctl daemon-reload"));
    it.hook("update-status");
    assert_eq!(watched(&it), "inactive masked");
    let checks = checks(&it.action("verify"));
    assert_eq!(checks["guard"]["status"], "warn", "{}", checks["guard"]);
    it.shell(&format!("systemctl unmask --quiet {WATCH}"));
    it.hook("update-status");
    assert_eq!(watched(&it), "active enabled", "unmasked");

    // It goes on after a reboot, and looks at what has happened in between.
    it.shell(&format!("systemctl stop {WATCH}; rm {CONF}"));
    it.machine().reboot().unwrap();
    eventually("the conf is back", || it.machine().exists(CONF).unwrap());
    assert_eq!(watched(&it), "active enabled", "after a reboot");
    it.machine().wait_for_magnum().unwrap();
    it.hook("start");

    it.set(&[("guard", "false")]);
    it.hook("config-changed");
    let left = it.shell(&format!(
        "ls /etc/systemd/system/*/magnum-capi* /etc/systemd/system/magnum-capi* 2>/dev/null || :; \
         systemctl show --property=LoadState --value {} | xargs",
        UNITS.join(" ")
    ));
    assert_eq!(left, "not-found not-found not-found\n");
    it.shell(&format!("rm {CONF}; sleep 1"));
    assert!(!it.machine().exists(CONF).unwrap(), "nobody watches");
    let run = it.hook("update-status");
    assert!(run.log_text().contains("99-capi.conf: missing"), "{}", run.log_text());
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn a_watch_that_systemd_has_lost_is_back_after_the_next_run_of_the_guard() {
    let it = guarded();
    at_rest(&it);
    let graft = it.graft();
    // systemd cannot watch what would lie in a file, and finds that whenever it begins to watch again.
    let directory = DROP_INS[1].rsplit_once('/').unwrap().0;
    it.shell(&format!(
        "systemctl stop {WATCH}; rm -r {directory}; touch {directory}; systemctl start {WATCH} 2>/dev/null || :"
    ));
    assert_eq!(watched(&it), "failed enabled");
    it.shell("systemctl start magnum-capi-helm-guard.service");
    assert_same(&graft.diff(&it.graft()), "repaired");
    assert_eq!(watched(&it), "active enabled");
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn what_is_undone_again_and_again_stops_the_guard_until_the_next_hook() {
    let it = guarded();
    let graft = it.graft();
    it.shell(&format!(
        "systemd-run --quiet --unit=meddler sh -c 'while :; do echo \"# mine\" >>{CONF}; sleep 0.1; done'"
    ));
    eventually("systemd stops the guard", || watched(&it) == "failed enabled");
    let checks = checks(&it.action("verify"));
    assert_eq!(checks["guard"]["status"], "warn", "{}", checks["guard"]);
    it.shell("systemctl stop meddler");
    let run = it.hook("update-status");
    assert!(run.log_text().contains("99-capi.conf: content differs"), "{}", run.log_text());
    it.assert_status("active", &["grafted", "had stopped the guard"], "a duel");
    assert_same(&graft.diff(&it.graft()), "after the duel");
    assert_eq!(watched(&it), "active enabled");
    at_rest(&it);
    it.shell(&format!("rm {}", DROP_INS[0]));
    eventually("the drop-in is back", || it.machine().exists(DROP_INS[0]).unwrap());
    it.hook("update-status");
    it.assert_status("active", &["Driver 1.1.0 grafted"], "after the duel");
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn a_guard_that_cannot_start_is_a_notice_and_starts_when_it_can() {
    let it = Deployment::active();
    // As on a host whose containers have used up its inotify instances.
    let before = it.machine().limit_inotify_instances(1).unwrap();
    it.set(&[("guard", "true")]);
    it.hook("config-changed");
    it.assert_status("active", &["Driver 1.1.0 grafted; The guard cannot start", "systemctl status"], "no instances");
    it.machine().limit_inotify_instances(before).unwrap();
    it.hook("update-status");
    assert_eq!(watched(&it), "active enabled");
    it.hook("update-status");
    it.assert_status("active", &["Driver 1.1.0 grafted"], "with instances");
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn nothing_of_it_runs_while_nothing_changes() {
    let it = guarded();
    let runs = || {
        it.shell(&format!("systemctl show --property=InvocationID,CPUUsageNSec --value {} | xargs", UNITS.join(" ")))
    };
    at_rest(&it);
    let before = runs();
    std::thread::sleep(Duration::from_secs(soak(5, 60)));
    assert_eq!(runs(), before, "CPU time, and runs");
    assert_eq!(it.shell("ps -e -o args= | grep '[d]ispatch guard' || :"), "", "processes");
    for service in &UNITS[1..] {
        let shown = |property: &str| it.shell(&format!("systemctl show --property={property} --value {service}"));
        let capabilities = shown("CapabilityBoundingSet");
        assert_eq!(capabilities.split_whitespace().count(), 9, "{service}: {capabilities}");
        assert_eq!([shown("MemoryMax"), shown("TasksMax")], ["1073741824\n", "256\n"], "{service}");
    }
    // systemd's own figure, in tenths; without any bounds it is 96.
    let exposed = ["systemd-analyze", "--no-pager", "security", "--threshold=40", UNITS[1], UNITS[2]];
    let analyzed = it.machine().run(&exposed).unwrap();
    assert!(analyzed.ok(), "{analyzed:?}");
}
