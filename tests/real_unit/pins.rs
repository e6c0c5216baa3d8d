//! The driver's version: changed, refused, or not to be had now.

use serde_json::json;

use crate::support::management::PASSWORD;
use crate::support::mirror::START_INDEX;
use crate::support::{Deployment, INDEX, assert_same, pin};

fn pip_check(it: &Deployment) -> String {
    it.machine().run(&["python3", "-m", "pip", "check"]).unwrap().stdout
}

/// The sha256 of a wheel in the lab's index.
fn sha256(it: &Deployment, version: &str) -> String {
    let sum = it.shell(&format!("find /srv/index -name 'magnum_capi_helm-{version}-*.whl' -exec sha256sum {{}} +"));
    sum.split_whitespace().next().unwrap().to_owned()
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn a_changed_pin_changes_the_driver_and_nothing_else() {
    let it = Deployment::bare();
    let check = pip_check(&it);
    it.deploy();
    it.grant();
    it.hook("config-changed");
    for version in ["1.2.1", "1.4.0", "1.1.0"] {
        let before = it.services();
        it.set(&[("driver-pin", &pin(version)), ("driver-sha256", &sha256(&it, version))]);
        it.hook("config-changed");
        it.assert_whole(version, version);
        assert_eq!(it.installed_version(), version);
        assert_eq!(pip_check(&it), check, "{version}: pip check");
        let magnum = it.ask_magnum();
        assert_eq!(magnum["enabled"], json!(["k8s_capi_helm_v1"]), "{version}");
        let class = &magnum["class"]["k8s_capi_helm_v1"];
        assert_eq!(class, "magnum_capi_helm.driver.Driver", "{version}");
        let after = it.services();
        assert_ne!(before.api.0, after.api.0, "{version}");
        assert_ne!(before.conductor.0, after.conductor.0, "{version}");
    }
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn a_driver_that_cannot_be_had_leaves_the_old_one_running() {
    let it = Deployment::active();
    let (graft, services) = (it.graft(), it.services());
    let untouched = |case: &str| {
        assert_same(&graft.diff_exact(&it.graft()), case);
        assert_eq!(it.services(), services, "{case}");
        assert_eq!(it.litter(), "", "{case}: litter");
    };
    let wrong = "0".repeat(64);
    let no_index = format!("http://user:{PASSWORD}@127.0.0.1:9/simple/");
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str, &'a [&'a str]);
    let cases: [Case<'_>; 4] = [
        (
            "a version that is not in the index",
            &[("driver-pin", "magnum-capi-helm==9.9.9")],
            "blocked",
            &["does not have magnum-capi-helm==9.9.9; set driver-pin", "not in the package index"],
        ),
        (
            "the wrong checksum of another version",
            &[("driver-pin", "magnum-capi-helm==1.2.1"), ("driver-sha256", &wrong)],
            "blocked",
            &["driver-sha256", "not the one that is set"],
        ),
        (
            "the wrong checksum of the version that is installed",
            &[("driver-sha256", &wrong)],
            "blocked",
            &["driver-sha256", "not the one that is set"],
        ),
        (
            "an index that does not answer",
            &[("driver-pin", "magnum-capi-helm==1.2.1"), ("index-url", &no_index)],
            "waiting",
            &["Cannot fetch the driver", "http://127.0.0.1:9/"],
        ),
    ];
    for (case, options, status, words) in cases {
        it.set(options);
        it.hook("config-changed");
        it.assert_status(status, words, case);
        untouched(case);
        for (name, _) in options {
            it.application.reset_config(name).unwrap();
        }
    }
    it.hook("config-changed");
    it.assert_whole("1.1.0", "the options reset");

    it.set(&[("driver-sha256", &sha256(&it, "1.1.0"))]);
    it.hook("config-changed");
    it.assert_whole("1.1.0", "the right checksum");
    untouched("the right checksum of what is installed");
    it.application.reset_config("driver-sha256").unwrap();

    it.shell("systemctl stop lab-index");
    it.set(&[("driver-pin", &pin("1.2.1"))]);
    it.hook("config-changed");
    it.assert_status("waiting", &["Cannot fetch the driver"], "the index is down");
    untouched("the index is down");
    it.shell(START_INDEX);
    let url = INDEX.replace("http://", &format!("http://user:{PASSWORD}@"));
    it.set(&[("index-url", &url)]);
    let (_, execs) = it.hook_traced("update-status");
    let words = execs.iter().flat_map(|exec| &exec.argv);
    assert!(
        !words.clone().any(|word| word.contains("8090") || word == "pip"),
        "the charm fetches it itself: {execs:?}"
    );
    it.assert_whole("1.2.1", "the index is back");
}
