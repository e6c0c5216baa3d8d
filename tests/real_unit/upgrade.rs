//! The ground moves: another Python under the same state, another Magnum package.

use lab::Release;

use crate::support::mirror::{self, assert_driver, installed, loaded};
use crate::support::{CONF, Deployment, STATE, assert_same};

/// The site directory of the system administrator on Debian 13.
const NEW_SITE: &str = "/usr/local/lib/python3.13/dist-packages";

/// Carries files from one unit to the other, as a release upgrade leaves them.
fn carry(from: &Deployment, to: &Deployment, paths: &str) {
    from.shell(&format!("tar cf /root/carried.tar -C / {paths}"));
    let carried = from.machine().read("/root/carried.tar").unwrap();
    to.machine().push("/root/carried.tar", &carried, 0o600).unwrap();
    to.shell("tar xpf /root/carried.tar -C /; rm /root/carried.tar; systemctl daemon-reload");
}

#[track_caller]
fn assert_grafted(it: &Deployment, case: &str) {
    it.assert_status("active", &["Driver 1.1.0 grafted"], case);
    let (versions, wrong) = installed(it.machine(), NEW_SITE);
    assert_eq!((versions, wrong), (vec!["1.1.0".to_owned()], vec![]), "{case}");
    assert_eq!(loaded(it.machine()), Ok("1.1.0".into()), "{case}");
    let magnum = it.ask_magnum();
    assert_eq!(magnum["enabled"], serde_json::json!(["k8s_capi_helm_v1"]), "{case}");
    assert_eq!(it.litter(), "", "{case}: litter");
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn after_an_upgrade_to_another_python_and_magnum_the_next_hook_grafts_again() {
    let old = Deployment::active();
    let state = STATE.trim_start_matches('/');
    let graft = "etc/magnum/kubeconfig etc/magnum/magnum.conf.d \
        etc/systemd/system/magnum-api.service.d etc/systemd/system/magnum-conductor.service.d";
    let driver = "usr/local/lib/python3.11/dist-packages";
    let everything = format!("{state} {graft} {driver}");
    for (case, carried) in [
        ("from scratch", ""),
        ("only the state", state),
        ("the state, the configuration and the old site directory", &everything),
    ] {
        let it = Deployment::bare_on(Release::Trixie);
        it.application.update_secret(&it.secret, &[("kubeconfig", &old.management.kubeconfig())]).unwrap();
        it.grant();
        if carried.is_empty() {
            it.deploy();
        } else {
            carry(&old, &it, carried);
            it.hook("upgrade-charm");
        }
        assert_grafted(&it, case);
        let left = it.shell("find /usr/local/lib/python3.11 -name 'magnum_capi_helm*' 2>/dev/null || :");
        assert_eq!(left, "", "{case}: left in the old site directory");
        let (run, execs) = it.hook_traced("update-status");
        assert_eq!(run.log, [], "{case}: the next hook has nothing to do");
        assert!(!execs.iter().any(|exec| exec.path.contains("python")), "{case}: {execs:?}");
        it.remove();
        assert!(!it.machine().exists(CONF).unwrap(), "{case}: after the removal");
        assert_eq!(installed(it.machine(), NEW_SITE).0, [""; 0], "{case}");
        assert!(!it.machine().exists(STATE).unwrap(), "{case}");
    }
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn after_an_upgrade_of_magnum_the_driver_is_tried_again_and_stays() {
    let it = Deployment::bare();
    mirror::pause(&it);
    it.grant();
    it.deploy();
    let graft = it.graft();
    it.shell(
        "cd /usr/local/lib/python3.11/dist-packages
         mv magnum-18.0.0.dist-info magnum-18.0.1.dist-info
         sed -i 's/^Version: 18.0.0/Version: 18.0.1/' magnum-18.0.1.dist-info/METADATA",
    );
    let pythons = |hook: &str| {
        let (_, execs) = it.hook_traced(hook);
        let python = |word: &String| word.ends_with("/python3");
        let asked = execs.iter().filter(|exec| exec.argv.first().is_some_and(python));
        asked.count()
    };
    assert_eq!(pythons("update-status"), 1, "tried next to another Magnum");
    it.assert_status("maintenance", &["paused"], "another Magnum");
    assert_driver(&it, "1.1.0", "another Magnum");
    assert_same(&graft.diff_exact(&it.graft()), "another Magnum");
    assert_eq!(pythons("update-status"), 0, "it is known now");

    // A Magnum next to which the driver does not load: nothing is taken down, the status says why.
    it.shell(
        "cd /usr/local/lib/python3.11/dist-packages
         mv magnum-18.0.1.dist-info magnum-19.0.0.dist-info
         sed -i 's/^Version: 18.0.1/Version: 19.0.0/' magnum-19.0.0.dist-info/METADATA
         echo 'raise ImportError(\"moved away\")' >magnum/drivers/common/driver.py",
    );
    it.hook("update-status");
    it.assert_status("blocked", &["does not load next to this unit's Magnum", "moved away"], "a Magnum too new");
    assert_same(&graft.diff_exact(&it.graft()), "a Magnum too new");
}
