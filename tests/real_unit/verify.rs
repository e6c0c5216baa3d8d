//! `verify` passes on a whole graft, names each fault, and changes nothing.

use std::collections::BTreeMap;

use lab::{ActionRun, ActionStatus};
use serde_json::Value;

use crate::support::{
    API, CONDUCTOR, CONF, CONF_DIRECTORY, DROP_INS, Deployment, KUBECONFIG, SITE, STATE,
    assert_same, dist_info,
};

/// The checks by their ids, after a look at everything the action promises of its results.
pub fn checks(action: &ActionRun) -> BTreeMap<String, Value> {
    assert_eq!(action.run.exit, Some(0), "{}", action.run.describe());
    let result = |key: &str| {
        let found = action.results.get(key);
        found.unwrap_or_else(|| panic!("no result {key}: {:?}", action.results))
    };
    let all: Vec<Value> = serde_json::from_str(result("checks")).unwrap();
    let mut checks = BTreeMap::new();
    for check in all {
        let text = |key: &str| {
            check[key]
                .as_str()
                .unwrap_or_else(|| panic!("{key}: {check}"))
        };
        for key in ["id", "status", "summary", "evidence", "remedy"] {
            text(key);
        }
        assert!(
            !text("summary").is_empty() && !text("evidence").is_empty(),
            "{check}"
        );
        if matches!(text("status"), "fail" | "warn") {
            assert!(!text("remedy").is_empty(), "what to do about {check}");
        }
        assert!(result("report").contains(text("id")), "{check}");
        checks.insert(text("id").to_owned(), check.clone());
    }
    let with = |status: &str| -> Vec<&str> {
        let is = |check: &&Value| check["status"] == status;
        checks
            .values()
            .filter(is)
            .map(|check| check["id"].as_str().unwrap())
            .collect()
    };
    for (key, status) in [
        ("passed", "pass"),
        ("failed", "fail"),
        ("warned", "warn"),
        ("skipped", "skip"),
    ] {
        assert_eq!(*result(key), with(status).len().to_string(), "{key}");
    }
    let mut failures: Vec<&str> = result("failures")
        .split(',')
        .filter(|id| !id.is_empty())
        .collect();
    failures.sort_unstable();
    assert_eq!(failures, with("fail"));
    let failed = action.status == ActionStatus::Failed;
    assert_eq!(failed, !failures.is_empty(), "{}", action.message);
    for id in failures {
        assert!(action.message.contains(id), "{id} in {:?}", action.message);
    }
    checks
}

#[track_caller]
fn assert_healthy(it: &Deployment, case: &str) {
    let checks = checks(&it.action("verify"));
    let well = |check: &&Value| {
        // No chart is given in these tests.
        let skipped = check["id"] == "chart" && check["status"] == "skip";
        skipped || check["status"] == "pass"
    };
    let bad: Vec<&Value> = checks.values().filter(|check| !well(check)).collect();
    assert!(bad.is_empty(), "{case}: {bad:#?}");
}

/// A fault, as shell; the checks that must fail; how it is mended.
struct Fault {
    name: &'static str,
    seed: String,
    fails: &'static [&'static str],
    mend: String,
}

fn faults() -> Vec<Fault> {
    let fault = |name, seed: &str, fails, mend: &str| Fault {
        name,
        seed: seed.to_owned(),
        fails,
        mend: mend.to_owned(),
    };
    let later = format!("{CONF_DIRECTORY}/99-z.conf");
    let [api, conductor] = DROP_INS;
    let directory = conductor.trim_end_matches("/override.conf");
    let record = dist_info("1.1.0");
    vec![
        fault(
            "a file of the driver edited",
            &format!(
                "cp -a {SITE}/magnum_capi_helm/helm.py /root/; echo '#' >>{SITE}/magnum_capi_helm/helm.py"
            ),
            &["driver-record"],
            &format!("mv /root/helm.py {SITE}/magnum_capi_helm/"),
        ),
        fault(
            "the driver gone",
            &format!("mv {SITE}/magnum_capi_helm {record} /root/"),
            &["driver-version", "driver-loads", "driver-enabled"],
            &format!(
                "mv /root/magnum_capi_helm {record_away} {SITE}/",
                record_away = "/root/magnum_capi_helm-1.1.0.dist-info"
            ),
        ),
        fault(
            "the driver private",
            &format!("chmod 0700 {SITE}/magnum_capi_helm"),
            &["driver-record", "driver-loads"],
            &format!("chmod 0755 {SITE}/magnum_capi_helm"),
        ),
        fault(
            "the conf edited",
            &format!("cp -a {CONF} /root/; echo '# mine' >>{CONF}"),
            &["conf-file"],
            &format!("mv /root/99-capi.conf {CONF}"),
        ),
        fault(
            "the conf private",
            &format!("chmod 0600 {CONF}"),
            &["conf-file", "conf-effective"],
            &format!("chmod 0644 {CONF}"),
        ),
        fault(
            "typographic quotes in another file of conf.d",
            &format!(
                "printf '[capi_helm]\\nhelm_chart_name = \\342\\200\\234x\\342\\200\\235\\n' >{CONF_DIRECTORY}/50-op.conf"
            ),
            &["conf-ascii"],
            &format!("rm {CONF_DIRECTORY}/50-op.conf"),
        ),
        fault(
            "a Latin-1 byte in a drop-in",
            &format!("printf '# caf\\351\\n' >{directory}/zz.conf; systemctl daemon-reload"),
            &["conf-ascii"],
            &format!("rm {directory}/zz.conf; systemctl daemon-reload"),
        ),
        fault(
            "another driver enabled by a later file",
            &format!("printf '[drivers]\\ndisabled_drivers =\\n' >{later}"),
            &["driver-enabled", "conf-effective"],
            &format!("rm {later}"),
        ),
        fault(
            "our driver disabled by a later file",
            &format!("printf '[drivers]\\ndisabled_drivers = k8s_capi_helm_v1\\n' >{later}"),
            &["driver-enabled", "conf-effective"],
            &format!("rm {later}"),
        ),
        fault(
            "another kubeconfig named by a later file",
            &format!("printf '[capi_helm]\\nkubeconfig_file = /root/mine\\n' >{later}"),
            &["conf-effective", "kubeconfig-readable"],
            &format!("rm {later}"),
        ),
        fault(
            "the kubeconfig unreadable",
            &format!("chmod 0600 {KUBECONFIG}"),
            &["kubeconfig-readable", "kubeconfig-file"],
            &format!("chmod 0640 {KUBECONFIG}"),
        ),
        fault(
            "the kubeconfig gone",
            &format!("mv {KUBECONFIG} /root/"),
            &["kubeconfig-file", "kubeconfig-readable"],
            &format!("mv /root/kubeconfig {KUBECONFIG}"),
        ),
        fault(
            "a kubeconfig that the driver cannot use",
            &format!(
                "cp -a {KUBECONFIG} /root/; sed -i 's/client-key-data:.*/token: x/' {KUBECONFIG}"
            ),
            &["kubeconfig-file", "kubeconfig-usable"],
            &format!("mv /root/kubeconfig {KUBECONFIG}"),
        ),
        fault(
            "helm not executable",
            "chmod -x /usr/local/bin/helm",
            &["helm"],
            "chmod +x /usr/local/bin/helm",
        ),
        fault(
            "a helm that does not run",
            "mv /usr/local/bin/helm /root/; printf '#!/bin/sh\\nexit 3\\n' >/usr/local/bin/helm; chmod +x /usr/local/bin/helm",
            &["helm"],
            "mv /root/helm /usr/local/bin/helm",
        ),
        fault(
            "a later drop-in with a command line of its own",
            &format!(
                "printf '[Service]\\nExecStart=\\nExecStart=/bin/sleep 9\\n' >{directory}/zz.conf; systemctl daemon-reload"
            ),
            &["drop-in-effective"],
            &format!("rm {directory}/zz.conf; systemctl daemon-reload"),
        ),
        fault(
            "a drop-in gone, and systemd not told",
            &format!("mv {api} /root/"),
            &["drop-in-files", "drop-in-effective"],
            &format!("mv /root/override.conf {api}"),
        ),
        fault(
            "the conductor with its packaged command line",
            &format!(
                "mv {conductor} /root/; systemctl daemon-reload; systemctl restart {CONDUCTOR}"
            ),
            &["drop-in-files", "drop-in-effective", "service-command-line"],
            &format!(
                "mv /root/override.conf {conductor}; systemctl daemon-reload; systemctl restart {CONDUCTOR}"
            ),
        ),
        fault(
            "the conductor started before the conf was put back",
            &format!(
                "cp -a {CONF} /root/; echo >>{CONF}; systemctl restart {CONDUCTOR}; sleep 1; mv /root/99-capi.conf {CONF}; touch {CONF}"
            ),
            &["service-current"],
            &format!("systemctl restart {CONDUCTOR}"),
        ),
        fault(
            "the API stopped",
            &format!("systemctl stop {API}"),
            &["service-command-line", "service-stable", "api-answers"],
            &format!("systemctl start {API}"),
        ),
        fault(
            "the conductor in a crash loop",
            &format!(
                "printf '[DEFAULT]\\n# caf\\351\\n' >{later}; systemctl restart {CONDUCTOR}
                 until [ $(systemctl show --property=NRestarts --value {CONDUCTOR}) -ge 2 ]; do sleep 0.2; done"
            ),
            &["service-stable", "conf-ascii", "conf-effective"],
            &format!("rm {later}; systemctl restart {CONDUCTOR}"),
        ),
    ]
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn verify_passes_on_a_whole_graft_and_changes_nothing() {
    let it = Deployment::active();
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
fn verify_names_every_fault_and_passes_again_when_it_is_mended() {
    let it = Deployment::active();
    for fault in faults() {
        let case = fault.name;
        it.shell(&fault.seed);
        let graft = it.graft();
        let checks = checks(&it.action("verify"));
        for id in fault.fails {
            assert_eq!(checks[*id]["status"], "fail", "{case}: {id} in {checks:#?}");
        }
        assert_same(&graft.diff_exact(&it.graft()), case);
        it.shell(&fault.mend);
        it.machine().wait_for_magnum().unwrap();
    }
    it.hook("update-status");
    assert_healthy(&it, "all mended");

    it.set(&[("driver-pin", "magnum-capi-helm")]);
    let verdict = checks(&it.action("verify"));
    assert_eq!(verdict["settings"]["status"], "fail");
    it.application.reset_config("driver-pin").unwrap();

    it.shell(&format!("systemctl disable --quiet --now {API} {CONDUCTOR}; systemctl mask --quiet {API} {CONDUCTOR}"));
    let verdict = checks(&it.action("verify"));
    assert_eq!(verdict["service-stable"]["status"], "skip", "paused");
}
