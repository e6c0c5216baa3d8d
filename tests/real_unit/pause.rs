//! The principal pauses Magnum: a guest waits.

use crate::support::{API, CONDUCTOR, CONF, Deployment, HOOKS, conf};

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn a_paused_unit_stays_paused_and_is_finished_after_its_resumption() {
    let it = Deployment::active();
    let state = || {
        it.shell(&format!(
            "systemctl show --property=UnitFileState,ActiveState --value {API} {CONDUCTOR} | xargs"
        ))
    };
    it.shell(&format!(
        "systemctl disable --quiet --now {API} {CONDUCTOR}; systemctl mask --quiet {API} {CONDUCTOR}"
    ));
    let paused = state();
    it.set(&[("capi-helm-options", "namespace_prefix = other")]);
    it.set(&[("guard", "true"), ("log-to", "file")]);
    for hook in HOOKS {
        let (_, execs) = it.hook_traced(hook);
        let systemctl = execs
            .iter()
            .filter(|exec| exec.path.ends_with("/systemctl"));
        for exec in systemctl {
            let verb = exec.argv.get(1).map(String::as_str);
            assert!(
                matches!(verb, Some("show" | "daemon-reload")),
                "{hook}: {exec:?}"
            );
        }
        let case = format!("{hook} while paused");
        assert_eq!(state(), paused, "{case}");
        it.assert_status("maintenance", &["magnum is paused"], &case);
        let verbs =
            it.shell("journalctl --quiet -o cat -u magnum-api -u magnum-conductor --since=-2s");
        assert!(!verbs.contains("Started"), "{case}: {verbs}");
    }
    it.shell(&format!(
        "systemctl unmask --quiet {API} {CONDUCTOR}; systemctl enable --quiet --now {API} {CONDUCTOR}"
    ));
    it.set(&[("log-to", "journal")]);
    it.hook("update-status");
    it.assert_status("active", &["driver 1.1.0 grafted"], "resumed");
    let written = it.machine().read_text(CONF).unwrap();
    assert_eq!(written, conf("namespace_prefix = other\n"));
    let read = &it.ask_magnum()["capi_helm"]["namespace_prefix"];
    assert_eq!(read, "other");

    // Paused in one go with the departure: what the principal paused stays paused.
    it.shell(&format!(
        "systemctl disable --quiet --now {API} {CONDUCTOR}; systemctl mask --quiet {API} {CONDUCTOR}"
    ));
    it.hook("stop");
    assert_eq!(state(), paused, "departed while paused");
    assert!(!it.machine().exists(CONF).unwrap());
}
