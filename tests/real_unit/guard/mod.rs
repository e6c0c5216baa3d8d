//! The guard: drift is put right within a second, by systemd and the charm's program, without Juju.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{
    API, CONDUCTOR, CONF, CONF_DIRECTORY, DROP_INS, Deployment, KUBECONFIG, SITE, STATE,
    assert_same, command_line, conf,
};
use crate::verify::checks;

const WATCH: &str = "magnum-capi-helm-guard.path";
const UNITS: [&str; 3] = [
    WATCH,
    "magnum-capi-helm-guard.service",
    "magnum-capi-helm-guard-again.service",
];
const HELM: &str = "/usr/local/bin/helm";
const CHART: &str = "/usr/local/share/magnum-capi-helm/chart.tgz";

/// A grafted unit that is watched over.
fn guarded() -> Deployment {
    watched_over(Deployment::active())
}

fn watched_over(it: Deployment) -> Deployment {
    it.set(&[("guard", "true")]);
    it.hook("config-changed");
    it.assert_status("active", &["driver 1.1.0 grafted"], "guarded");
    assert_eq!(watched(&it), "active enabled");
    it
}

fn watched(it: &Deployment) -> String {
    let shown = it.shell(&format!(
        "systemctl show --property=ActiveState,UnitFileState --value {WATCH}"
    ));
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

/// Waits until `found` says so, and tells after how long.
#[track_caller]
fn eventually(what: &str, found: impl Fn() -> bool) -> Duration {
    let began = Instant::now();
    while !found() {
        assert!(began.elapsed() < Duration::from_secs(20), "not so: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
    began.elapsed()
}

fn journal(it: &Deployment) -> String {
    it.shell("journalctl --quiet --no-pager -o cat -u 'magnum-capi-helm-guard*'")
}

/// What the guard and the services last said, for the message of a failed test.
fn last_said(it: &Deployment) -> String {
    it.shell(&format!(
        "journalctl --quiet --no-pager -o short-precise -u 'magnum-capi-helm-guard*' -u {API} -u {CONDUCTOR} -n 400"
    ))
}

/// How much a test does by default, and as much as its environment says.
fn amount(variable: &str, default: u32) -> u32 {
    std::env::var(variable).map_or(default, |set| set.parse().expect("a number"))
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn any_drift_is_put_right_within_a_second_and_only_a_harmed_driver_restarts() {
    let it = watched_over(Deployment::active_alone());
    it.shell("cd /root; helm create openstack-cluster >/dev/null; helm package --version 0.25.1 openstack-cluster >/dev/null");
    for (resource, file) in [
        ("helm", HELM),
        ("helm-chart", "/root/openstack-cluster-0.25.1.tgz"),
    ] {
        let content = it.machine().read(file).unwrap();
        it.application
            .attach_resource(resource, Some(content))
            .unwrap();
    }
    it.upgrade();
    let mut files = vec![
        KUBECONFIG.to_owned(),
        CONF.to_owned(),
        HELM.to_owned(),
        CHART.to_owned(),
    ];
    files.extend(DROP_INS.map(str::to_owned));
    files.extend(UNITS.map(|unit| format!("/etc/systemd/system/{unit}")));
    const AT_A_TIME: u32 = 25;
    let rounds = amount("LAB_DRIFTS", 100) / AT_A_TIME;
    it.machine()
        .push("/root/drifts.py", include_bytes!("drifts.py"), 0o600)
        .unwrap();
    let mut drifts: Vec<Value> = Vec::new();
    for round in 0..rounds {
        let printed = it.shell(&format!(
            "python3 /root/drifts.py {AT_A_TIME} {round} {SITE} {}",
            files.join(",")
        ));
        for line in printed.lines() {
            let drift: Value = serde_json::from_str(line).unwrap();
            let restarted = match drift["driver"].as_bool().unwrap() {
                true => json!([API, CONDUCTOR]),
                false => json!([]),
            };
            if drift["restarted"] != restarted {
                panic!("{drift}\nof\n{printed}\n{}", last_said(&it));
            }
            drifts.push(drift);
        }
    }
    let mut times: Vec<f64> = drifts
        .iter()
        .map(|drift| drift["seconds"].as_f64().unwrap())
        .collect();
    times.sort_by(f64::total_cmp);
    let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
    eprintln!(
        "{} drifts: median {median:.3} s, worst {worst:.3} s",
        times.len()
    );
    for drift in drifts
        .iter()
        .filter(|drift| drift["seconds"].as_f64() > Some(0.5))
    {
        eprintln!("slow: {drift}");
    }
    assert!(worst < 1.0, "the worst is {worst} s");
    assert!(median < 0.3, "the median is {median} s");
    let run = it.hook("update-status");
    assert_eq!(run.log, [], "nothing is left to do for the next hook");
    it.assert_status("active", &["driver 1.1.0 grafted"], "after all drifts");
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn a_process_that_read_the_wrong_files_is_restarted_and_a_paused_one_is_not() {
    let it = guarded();
    let graft = it.graft();
    let services = it.services();
    it.shell(&format!("rm {CONF}; systemctl restart {API}"));
    eventually("the conf is back", || it.machine().exists(CONF).unwrap());
    // What the API runs is asked of the API: the right files came after it or before it.
    it.shell("sleep 3");
    it.machine().wait_for_magnum().unwrap();
    assert_same(&graft.diff(&it.graft()), "after the restart");
    assert_eq!(it.services().conductor, services.conductor);
    it.shell(&format!(
        "rm {}; systemctl daemon-reload; systemctl restart {CONDUCTOR}",
        DROP_INS[1]
    ));
    eventually("the conductor runs its own command line", || {
        it.machine().pid_of(CONDUCTOR).is_ok()
            && it
                .command_line(CONDUCTOR)
                .join(" ")
                .ends_with(&command_line(CONDUCTOR))
    });
    it.hook("update-status");
    it.assert_whole("1.1.0", "after two restarts");

    it.shell(&format!(
        "systemctl disable --quiet --now {API} {CONDUCTOR}; systemctl mask --quiet {API} {CONDUCTOR}"
    ));
    it.shell(&format!(
        "rm {CONF}; echo >>{SITE}/magnum_capi_helm/driver.py"
    ));
    eventually("both are back", || graft.diff(&it.graft()).is_empty());
    it.shell("sleep 1");
    assert_eq!(
        (it.services().api.0, it.services().conductor.0),
        (0, 0),
        "paused services stay so"
    );
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn it_restarts_only_when_restart_mode_lets_it() {
    let it = guarded();
    let file = format!("{SITE}/magnum_capi_helm/driver.py");
    let sha256 = || it.shell(&format!("sha256sum {file}"));
    let right = sha256();
    let harm = || {
        at_rest(&it);
        it.shell(&format!("echo '#' >>{file}"));
        eventually("the driver is back", || sha256() == right);
        at_rest(&it);
    };
    it.set(&[("restart-mode", "manual")]);
    it.hook("config-changed");
    let services = it.services();
    harm();
    assert_eq!(it.services(), services, "nobody has asked for a restart");
    it.hook("update-status");
    it.assert_status("blocked", &["restart"], "due, and up to the operator");
    assert_eq!(it.services(), services);

    it.set(&[("restart-mode", "immediate")]);
    it.hook("config-changed");
    it.assert_status("active", &["driver 1.1.0 grafted"], "restarted by the hook");
    let services = it.services();
    harm();
    let both_anew = || {
        let now = it.services();
        now.api != services.api && now.conductor != services.conductor
    };
    eventually("both are restarted", both_anew);
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn it_can_be_turned_off_and_is_put_back_like_any_other_part() {
    let it = guarded();
    let own = it.shell("cat /etc/systemd/system/magnum-capi-helm-guard*");
    // Stopped or removed by hand: the next hook has systemd watch again.
    for harm in [
        format!("systemctl disable --quiet --now {WATCH}"),
        format!(
            "systemctl stop {WATCH}; rm /etc/systemd/system/magnum-capi-helm-guard*; systemctl daemon-reload"
        ),
    ] {
        at_rest(&it);
        it.shell(&harm);
        assert_ne!(watched(&it), "active enabled", "{harm}");
        it.hook("update-status");
        assert_eq!(watched(&it), "active enabled", "{harm}");
        assert_eq!(
            it.shell("cat /etc/systemd/system/magnum-capi-helm-guard*"),
            own,
            "{harm}"
        );
    }
    // Masked by an administrator, as systemctl cannot while the file is there: it is left so.
    at_rest(&it);
    let file = format!("/etc/systemd/system/{WATCH}");
    it.shell(&format!(
        "systemctl stop {WATCH}; ln -sfn /dev/null {file}; systemctl daemon-reload"
    ));
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
    assert!(
        run.log_text().contains("99-capi.conf: missing"),
        "{}",
        run.log_text()
    );
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn what_is_undone_again_and_again_is_left_to_the_hooks_and_its_author_is_named() {
    let it = guarded();
    let graft = it.graft();
    it.shell(&format!(
        "systemd-run --quiet --unit=bystander sh -c 'while :; do echo x >{CONF_DIRECTORY}/x; sleep 0.1; done'
         systemd-run --quiet --unit=meddler sh -c 'while :; do echo \"# mine\" >>{CONF}; sleep 0.3; done'"
    ));
    eventually("the guard gives way", || {
        journal(&it).contains("keeps undoing")
    });
    let said = journal(&it);
    assert!(
        said.contains("of meddler.service) keeps undoing /etc/magnum/magnum.conf.d/99-capi.conf"),
        "{said}"
    );
    let repairs = || {
        journal(&it)
            .matches("write /etc/magnum/magnum.conf.d/99-capi.conf")
            .count()
    };
    let before = repairs();
    it.shell("sleep 8");
    assert_eq!(repairs(), before, "the guard has given way");
    // Everything else it goes on putting right; hooks put that right too.
    it.shell(&format!("rm {}", DROP_INS[0]));
    eventually("the drop-in is back", || {
        it.machine().exists(DROP_INS[0]).unwrap()
    });
    it.shell(&format!(
        "systemctl stop meddler bystander; rm {CONF_DIRECTORY}/x"
    ));
    let run = it.hook("update-status");
    assert!(
        run.log_text().contains("99-capi.conf: other content"),
        "{}",
        run.log_text()
    );
    it.assert_status(
        "active",
        &["grafted", "meddler.service", "keeps undoing"],
        "a duel",
    );
    assert_same(&graft.diff(&it.graft()), "after the duel");
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
    it.set(&[
        ("driver-pin", "magnum-capi-helm==1.1.0"),
        ("capi-helm-options", "namespace_prefix = other"),
    ]);
    // Whoever holds the lock, as a hook does, is waited for.
    it.shell(
        "systemd-run --quiet --unit=hook flock /var/lib/magnum-capi-helm/lock sleep 3; sleep 0.5",
    );
    it.shell(&format!("rm {KUBECONFIG}; sleep 1"));
    assert!(
        !it.machine().exists(KUBECONFIG).unwrap(),
        "the lock is not ours"
    );
    let waited = eventually("it is back", || it.machine().exists(KUBECONFIG).unwrap());
    assert!(waited < Duration::from_secs(4), "{waited:?}");
    it.hook("config-changed");
    assert_eq!(
        it.machine().read_text(CONF).unwrap(),
        conf("namespace_prefix = other\n")
    );
    it.shell("sleep 2");
    assert_eq!(
        it.machine().read_text(CONF).unwrap(),
        conf("namespace_prefix = other\n")
    );
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn a_run_that_waits_while_the_charm_leaves_brings_nothing_back() {
    let it = guarded();
    at_rest(&it);
    // As a departure does: under the lock the graft goes, then what the charm remembers.
    it.shell(&format!(
        "systemd-run --quiet --unit=departure flock {STATE}/lock sh -c 'sleep 2; rm -r {STATE}'
         sleep 0.5; rm {KUBECONFIG}; sleep 0.5; pgrep -x dispatch"
    ));
    at_rest(&it);
    let left = it.shell(&format!("ls -d {STATE} {KUBECONFIG} 2>/dev/null || :"));
    assert_eq!(left, "", "what the guard brought back");
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn nothing_of_it_runs_while_nothing_changes() {
    let it = guarded();
    let runs = || {
        it.shell(&format!(
            "systemctl show --property=InvocationID,CPUUsageNSec --value {} | xargs",
            UNITS.join(" ")
        ))
    };
    at_rest(&it);
    let before = runs();
    std::thread::sleep(Duration::from_secs(amount("LAB_IDLE_SECONDS", 20).into()));
    assert_eq!(runs(), before, "CPU time, and runs");
    assert_eq!(
        it.shell("ps -e -o args= | grep '[d]ispatch guard' || :"),
        "",
        "processes"
    );
}
