//! The action `capture-state`: one archive, whole, without secrets, and never too many of them.

use std::collections::BTreeMap;
use std::io::Read;

use lab::ActionStatus;
use sha2::{Digest, Sha256};

use crate::support::{API, CONDUCTOR, Deployment, STATE, assert_same, assert_silent};

const PIECES: [&str; 14] = [
    "versions.txt",
    "units.txt",
    "services.txt",
    "configuration.txt",
    "drivers.txt",
    "python-packages.txt",
    "packages.txt",
    "conf.d.txt",
    "plan.txt",
    "verify.txt",
    "record.json",
    "kept.txt",
    "journal/magnum-api.txt",
    "journal/magnum-conductor.txt",
];

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn the_state_is_captured_whole_without_secrets_and_five_times_at_most() {
    let it = Deployment::active();
    // Those who had this unit before have left nothing in the journal.
    it.shell(&format!("systemctl restart {API} {CONDUCTOR}"));
    it.services_have_read();
    it.shell(&format!(
        "mkdir -pm 0700 {STATE}/captures; cd {STATE}/captures
         for day in 1 2 3 4 5; do install -m 0600 /dev/null 2020010${{day}}T000000.000Z.tar.gz; done"
    ));
    let files = it.files();
    let action = it.action("capture-state");
    assert_eq!(action.status, ActionStatus::Completed, "{}", action.message);
    assert_same(&files.diff_exact(&it.files()), "outside of the charm's own directory");
    let path = &action.results["path"];
    let bytes = it.machine().read(path).unwrap();
    assert_eq!(action.results["size"], bytes.len().to_string());
    assert_eq!(action.results["sha256"], hex::encode(Sha256::digest(&bytes)));

    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(bytes.as_slice()));
    let mut pieces = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_string_lossy().into_owned();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        assert_silent(&it.management, &text, &name);
        for password in ["lab-magnum-password", "lab-trustee-password"] {
            assert!(!text.contains(password), "{name} holds {password}");
        }
        assert!(!text.contains("could not look"), "{name}: {text}");
        pieces.insert(name, text);
    }
    for name in PIECES {
        assert!(!pieces[name].is_empty() || name == "plan.txt", "{name} is empty");
    }
    assert_eq!(pieces["plan.txt"], "", "converged");
    for (name, words) in [
        ("versions.txt", "magnum 18.0.0"),
        ("units.txt", "ExecStart=/usr/bin/magnum-api --config-file="),
        ("services.txt", "ActiveState=active"),
        ("configuration.txt", "capi_helm.kubeconfig_file"),
        ("drivers.txt", "k8s_capi_helm_v1 = magnum_capi_helm.driver:Driver"),
        ("python-packages.txt", "magnum-capi-helm==1.1.0 /usr/local/lib"),
        ("packages.txt", "magnum-conductor"),
        ("conf.d.txt", "99-capi.conf"),
        ("magnum.conf.d/99-capi.conf", "disabled_drivers"),
        ("verify.txt", "driver-loads"),
    ] {
        assert!(pieces[name].contains(words), "no {words} in {name}:\n{}", pieces[name]);
    }

    // The oldest has gone.
    let kept = it.shell(&format!("cd {STATE}/captures; stat -c '%U %a %n' *"));
    let older = (2..=5).map(|day| format!("root 600 2020010{day}T000000.000Z.tar.gz\n"));
    let name = path.rsplit('/').next().unwrap();
    assert_eq!(kept, older.chain([format!("root 600 {name}\n")]).collect::<String>());
}
