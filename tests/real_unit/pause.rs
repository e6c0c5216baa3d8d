//! The principal pauses Magnum: a guest waits.

use lab::Exec;

use crate::support::{API, CONDUCTOR, CONF, Deployment, HOOKS, conf};

/// What a hook had systemctl do, but for looking and for reading unit files anew.
fn changes(it: &Deployment, hook: &str) -> Vec<String> {
    let (_, execs) = it.hook_traced(hook);
    let systemctl = execs.iter().filter(|exec| exec.path.ends_with("/systemctl"));
    let verb = |exec: &Exec| exec.argv.get(1).cloned().unwrap_or_default();
    systemctl
        .filter(|exec| !["show", "show-environment", "daemon-reload"].contains(&verb(exec).as_str()))
        .map(|exec| exec.argv.join(" "))
        .collect()
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn a_paused_unit_stays_paused_and_is_finished_after_its_resumption() {
    let it = Deployment::grafted();
    let state =
        || it.shell(&format!("systemctl show --property=UnitFileState,ActiveState --value {API} {CONDUCTOR} | xargs"));
    it.shell(&format!("systemctl disable --quiet --now {API} {CONDUCTOR}; systemctl mask --quiet {API} {CONDUCTOR}"));
    let paused = state();
    it.set(&[("capi-helm-options", "namespace_prefix = other")]);
    it.set(&[("guard", "true"), ("log-to", "file")]);
    for hook in HOOKS {
        assert_eq!(changes(&it, hook), [] as [String; 0], "{hook}");
        let case = format!("{hook} while paused");
        assert_eq!(state(), paused, "{case}");
        it.assert_status("maintenance", &["Magnum is paused"], &case);
        let verbs = it.shell("journalctl --quiet -o cat -u magnum-api -u magnum-conductor --since=-2s");
        assert!(!verbs.contains("Started"), "{case}: {verbs}");
    }
    it.shell(&format!("systemctl unmask --quiet {API} {CONDUCTOR}; systemctl enable --quiet --now {API} {CONDUCTOR}"));
    it.set(&[("log-to", "journal")]);
    it.hook("update-status");
    it.assert_status("active", &["Driver 1.1.0 grafted"], "resumed");
    let written = it.machine().read_text(CONF).unwrap();
    assert_eq!(written, conf("namespace_prefix = other\n"));
    let read = &it.ask_magnum()["capi_helm"]["namespace_prefix"];
    assert_eq!(read, "other");

    // Paused in one go with the departure: what the principal paused stays paused.
    it.shell(&format!("systemctl disable --quiet --now {API} {CONDUCTOR}; systemctl mask --quiet {API} {CONDUCTOR}"));
    for hook in ["magnum-relation-broken", "stop", "remove"] {
        let of_magnum: Vec<String> = changes(&it, hook)
            .into_iter()
            .filter(|call| call.contains("magnum-api") || call.contains("magnum-conductor"))
            .collect();
        assert_eq!(of_magnum, [] as [String; 0], "{hook}");
        assert_eq!(state(), paused, "{hook} while paused");
        assert!(!it.machine().exists(CONF).unwrap());
    }
}
