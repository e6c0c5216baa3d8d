//! helm: none, unfit, given in three ways, harmed, and gone with the charm.

use std::time::Duration;

use lab::HookRun;
use serde_json::Value;

use crate::support::management::assert_logged;
use crate::support::mirror::{self, sha256};
use crate::support::{CONF, Deployment};

const HELM: &str = "/usr/local/bin/helm";
const URL: &str = "http://127.0.0.1:8091/made/helm";

/// The lab's real helm as it is published.
struct Helm {
    program: Vec<u8>,
    /// The checksum of the program.
    sha256: String,
    tarball: Vec<u8>,
}

/// A unit that has no helm and is paused, and the helm that it had.
fn without_helm() -> (Deployment, Helm) {
    let it = Deployment::bare();
    mirror::pause(&it);
    mirror::serve(&it);
    it.shell(&format!(
        "mkdir -p /srv/made/helm/linux-amd64; cd /srv/made/helm; mv {HELM} linux-amd64/helm
         echo notes >linux-amd64/README.md; tar --sort=name -cf - linux-amd64 | gzip -1 >tar.bin
         cp linux-amd64/helm helm.bin; echo 'Not Found, but with a smile' >page.bin"
    ));
    let [program, tarball] =
        ["helm", "tar"].map(|name| it.machine().read(&format!("/srv/made/helm/{name}.bin")).unwrap());
    let sum = it.shell("sha256sum </srv/made/helm/helm.bin");
    let sha256 = sum.split_whitespace().next().unwrap().to_owned();
    let helm = Helm { program, sha256, tarball };
    (it, helm)
}

/// Exactly this helm is installed, as root's, and user magnum can run it.
#[track_caller]
fn assert_helm(it: &Deployment, helm: &Helm, case: &str) {
    it.assert_status("maintenance", &["paused"], case);
    let meta = it.machine().metadata(HELM).unwrap().expect(case);
    let access = (meta.st_uid, meta.st_gid, meta.st_mode & 0o7777);
    assert_eq!(access, (0, 0, 0o755), "{case}: owner and mode");
    let found = it.shell(&format!("sha256sum <{HELM}"));
    assert!(found.starts_with(&helm.sha256), "{case}: another file");
    let said = it.shell("sudo -u magnum helm version --short");
    assert!(said.starts_with("v3."), "{case}: {said}");
    assert_eq!(it.litter(), "", "{case}: litter");
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn without_a_fit_helm_the_status_says_how_to_give_one_and_nothing_is_switched_on() {
    let (it, helm) = without_helm();
    it.grant();
    let runs = it.deploy();
    it.assert_status("blocked", &["No helm"], "none");
    let three_ways = ["run: juju attach-resource magnum-capi-helm helm=", "helm-url and helm-sha256", HELM];
    let logs: String = runs.iter().map(HookRun::log_text).collect();
    assert!(three_ways.iter().all(|way| logs.contains(way)), "none: {logs}");
    assert!(!it.machine().exists(CONF).unwrap(), "nothing is switched on");

    for (case, script, words) in [
        ("too old", "echo v3.2.0+ge11b7ce", &["3.2.0, too old"][..]),
        ("no helm", "echo hello", &["prints no version: hello"][..]),
        ("broken", "echo 'no such library' >&2; exit 127", &["does not run", "no such library"][..]),
        ("hangs", "sleep 600", &["does not run", "did not end"][..]),
    ] {
        let script = format!("#!/bin/sh\n{script}\n");
        it.machine().push(HELM, script.as_bytes(), 0o755).unwrap();
        let run = it.hook("update-status");
        eprintln!("{case}: {:.1} s", run.wall.as_secs_f64());
        it.assert_status("blocked", &["Unusable helm"], case);
        assert_logged(&run, words, case);
        assert!(!it.machine().exists(CONF).unwrap(), "{case}: nothing is switched on");
        it.machine().remove(HELM).unwrap();
    }

    let (right, wrong) = (helm.sha256.clone(), "0".repeat(64));
    let page = sha256(&it.machine().read("/srv/made/helm/page.bin").unwrap());
    let good = format!("{URL}/helm.bin");
    let cases: [(&str, Option<&str>, Option<&str>, &str, &[&str]); 9] = [
        ("no checksum", Some(&good), None, "blocked", &["helm-url is set without helm-sha256"]),
        ("no address", None, Some(&right), "blocked", &["helm-sha256 is set without helm-url"]),
        ("mismatch", Some(&good), Some(&wrong), "blocked", &["helm-sha256", &right]),
        ("404", Some("http://127.0.0.1:8091/404/helm"), Some(&right), "blocked", &["helm-url", "404"]),
        ("503", Some("http://127.0.0.1:8091/503/helm"), Some(&right), "waiting", &["helm-url", "503"]),
        ("unreachable", Some("http://127.0.0.1:9/helm"), Some(&right), "waiting", &["helm-url", "refused"]),
        ("never", Some("http://127.0.0.1:8091/never"), Some(&right), "waiting", &["helm-url", "no answer in time"]),
        (
            "cut off",
            Some("http://127.0.0.1:8091/half-made/helm/helm.bin"),
            Some(&right),
            "waiting",
            &["helm-url", "ended early"],
        ),
        (
            "a page",
            Some("http://127.0.0.1:8091/made/helm/page.bin"),
            Some(&page),
            "blocked",
            &["helm-url", "neither an executable nor a .tar.gz"],
        ),
    ];
    for (case, url, sum, status, words) in cases {
        for (name, value) in [("helm-url", url), ("helm-sha256", sum)] {
            match value {
                Some(value) => it.set(&[(name, value)]),
                None => it.application.reset_config(name).unwrap(),
            }
        }
        let run = it.hook("config-changed");
        eprintln!("{case}: {:.1} s", run.wall.as_secs_f64());
        let summary = if status == "waiting" { "Cannot fetch helm-url" } else { "Invalid option helm-" };
        it.assert_status(status, &[summary], case);
        assert_logged(&run, words, case);
        assert!(run.wall < Duration::from_secs(180), "{case}: {:?}", run.wall);
        assert!(!it.machine().exists(HELM).unwrap(), "{case}: nothing is installed");
        assert!(!it.machine().exists(CONF).unwrap(), "{case}: nothing is switched on");
        assert_eq!(it.litter(), "", "{case}: litter");
    }
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn helm_comes_from_an_address_or_a_resource_is_kept_right_and_goes_with_the_charm() {
    let (it, helm) = without_helm();
    let tarball = &helm.tarball;
    // An old helm of the operator's stands there; it comes back in the end.
    it.shell(&format!("printf '#!/bin/sh\\necho v3.1.0\\n' >{HELM}; chown 12:34 {HELM}; chmod 0751 {HELM}"));
    let before = it.files();
    it.grant();
    it.set(&[("helm-url", &format!("{URL}/helm.bin")), ("helm-sha256", &helm.sha256)]);
    it.deploy();
    assert_helm(&it, &helm, "from an address");
    let record = |key: &str| {
        let record: Value = serde_json::from_str(&it.action("verify").results["record"]).unwrap();
        record["helm"][key].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(record("sha256"), helm.sha256);
    assert_eq!(record("source"), format!("{URL}/helm.bin"));

    let attach = |content| it.application.attach_resource("helm", content).unwrap();
    attach(Some(tarball.clone()));
    it.upgrade();
    assert_helm(&it, &helm, "the official tarball");
    // The very same program from elsewhere is no other helm.
    assert_eq!(record("source"), format!("{URL}/helm.bin"));
    for (case, harm) in [
        ("edited", format!("echo >>{HELM}")),
        (
            "edited, with its old time",
            format!(
                "touch -r {HELM} /root/t; printf x | dd of={HELM} conv=notrunc status=none; touch -r /root/t {HELM}"
            ),
        ),
        ("gone", format!("rm {HELM}")),
        ("not executable", format!("chmod 0644 {HELM}")),
        ("private", format!("chmod 0700 {HELM}")),
        ("somebody's", format!("chown magnum {HELM}")),
        ("another one", format!("printf '#!/bin/sh\\necho v3.9.0\\n' >/root/h; chmod 0755 /root/h; mv /root/h {HELM}")),
        ("a directory", format!("rm {HELM}; mkdir {HELM}")),
    ] {
        it.shell(&harm);
        it.hook("update-status");
        assert_helm(&it, &helm, case);
        let (run, execs) = it.hook_traced("update-status");
        assert_eq!(run.log, [], "{case}: the next hook has nothing to do");
        assert!(!execs.iter().any(|exec| exec.path.ends_with("/helm")), "{case}: helm is not run again");
    }
    for (case, content, words) in
        [("cut off", &tarball[..tarball.len() / 2], "damaged"), ("text", b"#!/bin/sh\n", "is neither")]
    {
        attach(Some(content.to_vec()));
        let runs = it.upgrade();
        it.assert_status("blocked", &["resource helm"], case);
        assert!(runs.iter().any(|run| run.log_text().contains(words)), "{case}: {runs:?}");
        let found = it.shell(&format!("sha256sum <{HELM}"));
        assert!(found.starts_with(&helm.sha256), "{case}: the old one stays");
    }
    attach(Some(helm.program.clone()));
    it.upgrade();
    assert_helm(&it, &helm, "the executable");
    it.remove();
    let diff = before.diff(&it.files());
    assert!(diff.is_empty(), "after the removal: {diff}");
    assert_eq!(it.shell("helm version"), "v3.1.0\n");
}
