//! The driver's files against their RECORD: what is wrong is found, named and mended, and looking
//! costs no Python.

use crate::support::mirror::{self, assert_driver};
use crate::support::{Deployment, SITE, dist_info};

/// Where user magnum's own packages would be found first.
const USER_SITE: &str = "/var/lib/magnum/.local/lib/python3.11/site-packages";

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn damage_to_the_driver_is_named_in_the_log_and_mended_by_the_next_hook() {
    let it = Deployment::bare();
    mirror::pause(&it);
    it.grant();
    it.deploy();
    assert_driver(&it, "1.1.0", "installed");
    let (own, stale) = (dist_info("1.1.0"), dist_info("1.0.0"));
    let name = |path: &str| path.rsplit('/').next().expect("a name").to_owned();
    let leftovers = format!("cp -a {own} {stale}; echo 'raise SystemExit' >magnum_capi_helm/old_module.py");
    let copy = format!("mkdir -p {USER_SITE}; cp -a magnum_capi_helm {own} {USER_SITE}/");
    let cases: [(&str, &str, &str); 16] = [
        ("edited", "echo '#' >>magnum_capi_helm/helm.py", "magnum_capi_helm/helm.py is edited"),
        (
            "same size and time",
            "touch -r magnum_capi_helm/helm.py /root/t; sed -i 's/helm/hELm/' magnum_capi_helm/helm.py; touch -r /root/t magnum_capi_helm/helm.py",
            "helm.py is edited",
        ),
        ("missing", "rm magnum_capi_helm/driver.py", "magnum_capi_helm/driver.py is missing"),
        (
            "unreadable",
            "chmod 0600 magnum_capi_helm/driver.py",
            "magnum_capi_helm/driver.py is not readable for user magnum",
        ),
        ("unreadable directory", "chmod 0700 magnum_capi_helm/common", "is not readable for user magnum"),
        (
            "two at once",
            "rm magnum_capi_helm/conf.py; chmod 0 magnum_capi_helm/driver.py",
            "magnum_capi_helm/conf.py is missing (and 1 more)",
        ),
        (
            "not in RECORD",
            "echo 'x = 1' >magnum_capi_helm/common/extra.py",
            "magnum_capi_helm/common/extra.py is not in RECORD",
        ),
        (
            "entry points edited",
            &format!("sed -i s/k8s_capi_helm_v1/k8s/ {own}/entry_points.txt"),
            "entry_points.txt is edited",
        ),
        ("RECORD cut off", &format!("sed -i 3q {own}/RECORD"), "RECORD"),
        (
            "a link",
            "mv magnum_capi_helm/conf.py /root/; ln -s /root/conf.py magnum_capi_helm/conf.py",
            "magnum_capi_helm/conf.py",
        ),
        ("a directory", "rm magnum_capi_helm/conf.py; mkdir magnum_capi_helm/conf.py", "magnum_capi_helm/conf.py"),
        ("the package a link", "mv magnum_capi_helm /root/; ln -s /root/magnum_capi_helm .", "magnum_capi_helm"),
        (
            "entry points a directory",
            &format!("rm {own}/entry_points.txt; mkdir {own}/entry_points.txt"),
            "entry_points.txt",
        ),
        ("leftovers of another version", &leftovers, &format!("{} and {} are installed", name(&stale), name(&own))),
        ("gone", &format!("rm -r magnum_capi_helm {own}"), "not installed"),
        (
            "a copy that user magnum finds first",
            &copy,
            &format!("{USER_SITE}/magnum_capi_helm: Python finds it before the pinned driver"),
        ),
    ];
    for ((case, harm, said), hook) in cases.into_iter().zip(["update-status", "start"].iter().cycle()) {
        it.shell(&format!("cd {SITE}; {harm}"));
        let run = it.hook(hook);
        assert!(run.log_text().contains(said), "{case}: no {said:?} in\n{}", run.log_text());
        it.assert_status("maintenance", &["paused"], case);
        assert_driver(&it, "1.1.0", case);
        let rest = it.shell(&format!("ls -A {USER_SITE} 2>/dev/null | grep -v ^set-aside- || :"));
        assert_eq!(rest, "", "{case}: before the driver on the path");
        let (run, execs) = it.hook_traced("update-status");
        let python = execs.iter().find(|exec| exec.argv.iter().any(|word| word.contains("python")));
        assert_eq!(python, None, "{case}: a converged hook starts no Python");
        assert_eq!(run.log, [], "{case}: the next hook has nothing to say");
    }
    let run = it.hook("update-status");
    eprintln!("a converged hook: {:.0} ms", run.wall.as_secs_f64() * 1000.0);
}
