//! The record for auditors, and what an installation leaves untouched.

use serde_json::Value;

use crate::support::management::PASSWORD;
use crate::support::mirror::{self, START_INDEX, assert_driver, index, sha256, wheel};
use crate::support::{Deployment, INDEX, SITE, STATE, VERSIONS, assert_same, pin, soak};

fn read(it: &Deployment, name: &str) -> String {
    let path = format!("{STATE}/{name}");
    let meta = it.machine().metadata(&path).unwrap().unwrap();
    assert_eq!((meta.st_uid, meta.st_mode & 0o7777), (0, 0o600), "{path}");
    it.machine().read_text(&path).unwrap()
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn every_installation_is_recorded_with_its_checksum_and_source_and_nothing_is_forgotten() {
    let it = Deployment::bare();
    mirror::pause(&it);
    mirror::serve(&it);
    it.grant();
    it.deploy();
    // The checksum of what is there: nothing is fetched, installed or recorded anew.
    let first = read(&it, "history.jsonl");
    it.shell("systemctl stop lab-index");
    it.set(&[("driver-sha256", &sha256(&wheel(&it, "1.1.0")))]);
    it.hook("config-changed");
    it.assert_status("maintenance", &["paused"], "the checksum is set");
    it.application.reset_config("driver-sha256").unwrap();
    it.hook("config-changed");
    it.assert_status("maintenance", &["paused"], "the checksum is reset");
    assert_eq!(read(&it, "history.jsonl"), first);
    it.shell(START_INDEX);
    let with_password = index("plain").replace("//", &format!("//somebody:{PASSWORD}@"));
    let plain = index("plain");
    let mut wanted = vec![("1.1.0", INDEX.to_owned())];
    for (version, index, source) in [
        ("1.2.1", Some(&with_password), plain.as_str()),
        ("1.1.0", Some(&plain), &plain),
        ("1.3.0", None, "resource driver-wheel"),
    ] {
        if let Some(index) = index {
            it.set(&[("index-url", index)]);
        } else {
            it.application.attach_resource("driver-wheel", Some(wheel(&it, version))).unwrap();
        }
        it.set(&[("driver-pin", &pin(version))]);
        let before = read(&it, "history.jsonl");
        it.hook("config-changed");
        it.assert_status("maintenance", &["paused"], version);
        wanted.push((version, source.to_owned()));
        let history = read(&it, "history.jsonl");
        assert!(history.starts_with(&before), "{version}: the history was rewritten");
        it.hook("update-status");
        assert_eq!(read(&it, "history.jsonl"), history, "{version}: nothing was installed");
        let record: Value = serde_json::from_str(&read(&it, "record.json")).unwrap();
        let lines: Vec<Value> = history.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        // helm was there before the charm, and is named as well.
        assert_eq!(record["helm"]["source"], "found on this unit", "{version}");
        let of_driver = |line: &&Value| line["part"] == "driver";
        let lines: Vec<&Value> = lines.iter().filter(of_driver).collect();
        assert_eq!(record["driver"], **lines.last().unwrap(), "{version}");
        let shown: Value = serde_json::from_str(&it.action("verify").results["record"]).unwrap();
        assert_eq!(shown, record, "{version}: verify's result");
        assert!(!history.contains(PASSWORD), "{version}: the password");
        let found: Vec<(String, String)> = lines
            .iter()
            .map(|line| {
                let text = |key: &str| line[key].as_str().unwrap().to_owned();
                assert_eq!(text("sha256"), sha256(&wheel(&it, &text("version"))));
                let charm = concat!(env!("CARGO_PKG_VERSION"), " (local:magnum-capi-helm-0)");
                assert_eq!(text("charm"), charm, "{line}");
                let at = text("installed_at");
                assert!(at.starts_with("20") && at.ends_with('Z') && at.len() == 20, "{at}");
                (text("version"), text("source"))
            })
            .collect();
        let wanted: Vec<(String, String)> =
            wanted.iter().map(|(version, source)| ((*version).to_owned(), source.clone())).collect();
        assert_eq!(found, wanted);
    }
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn no_other_distribution_is_touched_by_any_version_of_the_driver() {
    let it = Deployment::bare();
    mirror::pause(&it);
    let mut ours: Vec<String> = VERSIONS.map(crate::support::dist_info).to_vec();
    ours.push(format!("{SITE}/magnum_capi_helm"));
    let ours: Vec<&str> = ours.iter().map(String::as_str).collect();
    let others = || {
        let roots = ["/usr/lib/python3", "/usr/lib/python3.11", "/usr/local/lib"];
        it.machine().snapshot(&roots, &ours).unwrap()
    };
    // `pip check` ends with 1 when something is amiss; what it says is compared.
    let check = || it.shell("python3 -m pip check 2>&1 || :");
    let (files, amiss) = (others(), check());
    eprintln!("{} files of others; pip check: {}", files.entries.len(), amiss.trim());
    assert!(files.entries.len() > 10_000, "{}", files.entries.len());
    let unchanged = |case: &str| {
        assert_same(&files.diff(&others()), case);
    };
    it.grant();
    it.deploy();
    for &version in soak(&["1.4.0", "1.1.0"][..], &VERSIONS) {
        it.set(&[("driver-pin", &pin(version))]);
        it.hook("config-changed");
        assert_driver(&it, version, version);
        unchanged(version);
    }
    assert_eq!(check(), amiss, "pip check");
    it.remove();
    unchanged("after the removal");
    assert_eq!(check(), amiss, "pip check after the removal");
}
