//! Where the services log, and what `/etc/default` gave them.

use crate::support::{API, CONDUCTOR, DROP_INS, Deployment, eventually};

const LOG: &str = "/var/log/magnum/magnum-conductor.log";
const DEFAULTS: &str = "/etc/default/magnum-conductor";

/// What verify says of a check: its status and its evidence.
fn check(it: &Deployment, id: &str) -> (String, String) {
    let checks: serde_json::Value = serde_json::from_str(&it.action("verify").results["checks"]).unwrap();
    let all = checks.as_array().unwrap();
    let check = all.iter().find(|check| check["id"] == id).unwrap();
    let text = |key: &str| check[key].as_str().unwrap().to_owned();
    (text("status"), text("evidence"))
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn the_services_log_to_their_files_when_that_is_wanted_and_back_to_the_journal() {
    let it = Deployment::active();
    it.shell(&format!(": >{LOG}"));
    it.set(&[("log-to", "file")]);
    it.hook("config-changed");
    it.assert_status("active", &["Driver 1.1.0 grafted"], "log-to=file");
    for service in [API, CONDUCTOR] {
        let words = it.command_line(service);
        assert_eq!(words.last().unwrap(), &format!("--log-file=/var/log/magnum/{service}.log"));
    }
    eventually("it logs there", || it.shell(&format!("cat {LOG}")).contains("Starting server"));
    // A known failure in that file is found there.
    assert_eq!(check(&it, "logs").0, "pass");
    let pid = it.machine().pid_of(CONDUCTOR).unwrap();
    it.shell(&format!("echo \"$(date '+%F %T.%3N') {pid} ERROR magnum No module named 'magnum_capi_helm'\" >>{LOG}"));
    let (status, evidence) = check(&it, "logs");
    assert_eq!(status, "fail", "{evidence}");
    assert!(evidence.contains(LOG), "{evidence}");
    it.shell(&format!(": >{LOG}"));
    let services = it.services();
    it.set(&[("log-to", "journal")]);
    it.hook("config-changed");
    it.assert_whole("1.1.0", "back to the journal");
    assert_ne!(it.services(), services);
    it.set(&[("log-to", "syslog")]);
    it.hook("config-changed");
    it.assert_status("blocked", &["log-to \"syslog\"", "journal, file"], "syslog");
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn what_etc_default_gives_a_service_is_carried_over_or_named() {
    let it = Deployment::active();
    it.shell(&format!("printf '%s\\n' 'DAEMON_ARGS=\"$DAEMON_ARGS --debug\"' 'umask 027' >{DEFAULTS}"));
    let api = it.services().api;
    it.hook("update-status");
    it.assert_status("active", &["Driver 1.1.0 grafted"], "carried over");
    assert_eq!(it.command_line(CONDUCTOR).last().unwrap(), "--debug");
    assert_eq!(it.services().api, api, "the API is given nothing");
    let pid = it.machine().pid_of(CONDUCTOR).unwrap();
    let umask = it.shell(&format!("grep Umask /proc/{pid}/status"));
    assert_eq!(umask.split_whitespace().last(), Some("0027"));
    assert_eq!(check(&it, "drop-in-defaults").0, "pass");

    it.shell(&format!("echo 'export http_proxy=http://10.0.0.1' >>{DEFAULTS}"));
    it.hook("update-status");
    it.assert_status("active", &["grafted", DEFAULTS, "line 3"], "an export");
    let (status, evidence) = check(&it, "drop-in-defaults");
    assert_eq!(status, "warn");
    assert!(evidence.contains("line 3"), "{evidence}");
    // As the remedy says.
    let own = DROP_INS[1].replace("override", "10-local");
    it.shell(&format!(
        "sed -i 3d {DEFAULTS}; printf '[Service]\\nEnvironment=http_proxy=http://10.0.0.1\\n' >{own}; systemctl daemon-reload"
    ));
    it.hook("update-status");
    it.assert_status("active", &["Driver 1.1.0 grafted"], "as the remedy says");
    assert_eq!(check(&it, "drop-in-defaults").0, "pass");
}
