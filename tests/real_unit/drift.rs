//! Whatever is changed on the unit is put back by the next hook, and only what must restart does.

use crate::support::{
    API, CONDUCTOR, CONF, CONF_DIRECTORY, DROP_INS, Deployment, KUBECONFIG, SITE, Services, assert_same, dist_info,
    soak,
};

/// The hooks in which Juju comes by, sooner or later.
const HOOKS: [&str; 4] = ["upgrade-charm", "config-changed", "start", "update-status"];

/// What can happen to a file, as shell with the file as `$f`.
const HARM: [(&str, &str); 9] = [
    ("deleted", "rm $f"),
    ("edited", "sed -i 's/./x/' $f"),
    ("longer", "echo '# mine' >>$f"),
    ("emptied", ": >$f"),
    ("mode changed", "chmod 0666 $f"),
    ("owner changed", "chown nobody:nogroup $f"),
    ("a link to a copy", "cp -a $f /root/copy; ln -sf /root/copy $f"),
    ("a link to nowhere", "ln -sf /nowhere $f"),
    ("a directory", "rm $f; mkdir $f; touch $f/inside"),
];

/// Things that happen to more than one file, and restart nothing.
const MORE_HARM: [(&str, &str); 6] = [
    ("conf.d gone", "rm -r /etc/magnum/magnum.conf.d"),
    ("conf.d a file", "rm -r /etc/magnum/magnum.conf.d; echo mine >/etc/magnum/magnum.conf.d"),
    ("conf.d a link to nowhere", "rm -r /etc/magnum/magnum.conf.d; ln -s /nowhere /etc/magnum/magnum.conf.d"),
    ("drop-in directories gone", "rm -r /etc/systemd/system/magnum-*.service.d"),
    (
        "drop-ins gone, and systemd knows",
        "rm /etc/systemd/system/magnum-*.service.d/override.conf; systemctl daemon-reload",
    ),
    (
        "all files gone",
        "rm -r /etc/magnum/kubeconfig /etc/magnum/magnum.conf.d /etc/systemd/system/magnum-*.service.d; systemctl daemon-reload",
    ),
];

/// Harms the unit and lets a hook mend it.
fn mended(it: &Deployment, case: &str, harm: &str, hook: &str, restarts: &[&str]) {
    let case = format!("{case}, then {hook}");
    it.services_have_read();
    let (graft, services) = (it.graft(), it.services());
    it.shell(harm);
    let said = it.hook(hook).describe();
    // What is in a directory there may be somebody's.
    let is_renamed = harm.starts_with("f=/etc/magnum/") && harm.contains("mkdir");
    let inside = it.shell("cd /etc/magnum; find . -path '*/set-aside-*/inside'; rm -rf set-aside-* */set-aside-*");
    assert_eq!(!inside.is_empty(), is_renamed, "{case}: {inside}");
    assert_same(&graft.diff(&it.graft()), &case);
    let restarted = restarted(&services, &it.services());
    assert_eq!(restarted, restarts, "{case}: {said}\n{}", it.why());
    it.assert_whole("1.1.0", &case);
    let next = it.hook("update-status");
    assert_eq!(next.log, [], "{case}: the next hook has nothing left to do");
}

/// The services that run as another process now.
fn restarted(before: &Services, after: &Services) -> Vec<&'static str> {
    let api = (before.api.0 != after.api.0).then_some(API);
    let conductor = (before.conductor.0 != after.conductor.0).then_some(CONDUCTOR);
    api.into_iter().chain(conductor).collect()
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn a_harmed_file_is_put_back_and_a_good_process_runs_on() {
    let it = Deployment::active();
    let files = [KUBECONFIG, CONF, DROP_INS[0], DROP_INS[1]];
    // Each hook meets each kind of harm, and each file.
    for (first, (what, harm)) in HARM.into_iter().enumerate() {
        for (file, hook) in files.iter().zip(HOOKS.iter().cycle().skip(first)) {
            let case = format!("{file} {what}");
            mended(&it, &case, &format!("f={file}; {harm}"), hook, &[]);
        }
    }
    for ((what, harm), hook) in MORE_HARM.into_iter().zip(HOOKS.iter().cycle()) {
        mended(&it, what, harm, hook, &[]);
    }
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn a_harmed_driver_is_put_back_and_both_services_load_it_anew() {
    let it = Deployment::active();
    let (dist_info, stale) = (dist_info("1.1.0"), dist_info("1.0.0"));
    let cases = [
        ("a file of the driver edited", "echo '#' >>magnum_capi_helm/helm.py".to_owned()),
        ("a file of the driver deleted", "rm magnum_capi_helm/driver.py".to_owned()),
        ("a file of the driver private", "chmod 0600 magnum_capi_helm/driver.py".to_owned()),
        ("a file of the driver a link", "mv magnum_capi_helm/conf.py /root/; ln -s /root/conf.py magnum_capi_helm/conf.py".to_owned()),
        ("a file of the driver a directory", "rm magnum_capi_helm/conf.py; mkdir magnum_capi_helm/conf.py".to_owned()),
        ("the package a link", "mv magnum_capi_helm /root/; ln -s /root/magnum_capi_helm .".to_owned()),
        ("the package private", "chmod 0700 magnum_capi_helm".to_owned()),
        ("RECORD emptied", format!(": >{dist_info}/RECORD")),
        ("RECORD without a line", format!("sed -i '/kubernetes.py/d' {dist_info}/RECORD")),
        ("entry_points.txt edited", format!("sed -i s/k8s_capi_helm_v1/k8s/ {dist_info}/entry_points.txt")),
        (
            "entry_points.txt a directory",
            format!("rm {dist_info}/entry_points.txt; mkdir {dist_info}/entry_points.txt"),
        ),
        ("dist-info gone", format!("rm -r {dist_info}")),
        ("the whole driver gone", format!("rm -r magnum_capi_helm {dist_info}")),
        ("a stale second dist-info", format!("cp -a {dist_info} {stale}; sed -i s/1.1.0/1.0.0/ {stale}/METADATA")),
        ("another version by hand", "PIP_BREAK_SYSTEM_PACKAGES=1 python3 -m pip install -q --no-deps --root-user-action=ignore magnum-capi-helm==1.2.1".to_owned()),
    ];
    // That each of them is put back shows where Magnum is paused as well (`integrity`).
    let cases = cases.iter().step_by(soak(3, 1));
    for ((what, harm), hook) in cases.zip(HOOKS.iter().cycle()) {
        mended(&it, what, &format!("cd {SITE}; {harm}"), hook, &[API, CONDUCTOR]);
    }
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn a_service_that_read_something_else_is_restarted_and_no_other() {
    let it = Deployment::active();
    let reload = "systemctl daemon-reload";
    let mut cases = vec![
        ("the API restarted without the conf", format!("rm {CONF}; systemctl restart {API}"), vec![API]),
        (
            "the conductor restarted with an edited conf",
            format!("sed -i 's/^kubeconfig_file.*/kubeconfig_file = x/' {CONF}; systemctl restart {CONDUCTOR}"),
            vec![CONDUCTOR],
        ),
        (
            "the conductor restarted with its packaged command line",
            format!("rm {}; {reload}; systemctl restart {CONDUCTOR}", DROP_INS[1]),
            vec![CONDUCTOR],
        ),
        (
            "the API in a crash loop for a bad byte",
            format!("printf '\\351' >>{CONF}; systemctl restart {API}; sleep 3"),
            vec![API],
        ),
        (
            "both down for want of conf.d",
            format!("rm -r {CONF_DIRECTORY}; systemctl restart {API} {CONDUCTOR}; sleep 3"),
            vec![API, CONDUCTOR],
        ),
        (
            "both restarted by somebody, with all in place",
            format!("systemctl restart {API} {CONDUCTOR}"),
            vec![API, CONDUCTOR],
        ),
    ];
    for (what, harm, restarts) in cases.drain(..) {
        mended(&it, what, &harm, "update-status", &restarts);
    }
    // What the operator stopped is reported, and left as it is.
    it.shell(&format!("systemctl stop {CONDUCTOR}"));
    it.hook("update-status");
    let remedy = format!("systemctl start {CONDUCTOR}");
    it.assert_status("blocked", &["is stopped", &remedy], "a stopped conductor");
    assert_eq!(it.services().conductor.0, 0, "the conductor stays stopped");
    it.shell(&remedy);
    it.hook("update-status");
    it.assert_whole("1.1.0", "the conductor started again");
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn with_the_restart_a_crash_loop_is_over_also_when_systemd_waits_or_has_given_up() {
    let it = Deployment::active();
    let waits = format!(
        "[ $(systemctl show --property=NRestarts --value {API}) -ge 2 ] &&
         [ $(systemctl show --property=SubState --value {API}) = auto-restart ]"
    );
    let cases = [
        ("systemd waits", "[Service]\nRestartSec=5\n", waits),
        (
            "systemd has given up",
            "[Unit]\nStartLimitIntervalSec=600\nStartLimitBurst=3\n",
            format!("systemctl is-failed --quiet {API}"),
        ),
    ];
    for (case, operators, reached) in cases {
        let drop_in = format!("/etc/systemd/system/{API}.service.d/operators.conf");
        it.machine().push(&drop_in, operators.as_bytes(), 0o644).unwrap();
        it.shell(&format!(
            "systemctl daemon-reload; printf '\\351' >>{CONF}; systemctl restart {API}
             until {reached}; do sleep 0.1; done"
        ));
        it.hook("update-status");
        it.assert_status("active", &["Driver 1.1.0 grafted"], case);
        it.assert_whole("1.1.0", case);
        it.machine().remove(&drop_in).unwrap();
    }
}
