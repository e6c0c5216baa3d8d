//! apt works on Magnum beside the charm: the graft ends up whole, or goes when nothing is left to graft on.

use lab::{Release, Snapshot};

use crate::support::{API, CONDUCTOR, CONF_DIRECTORY, Deployment, KUBECONFIG, STATE, assert_same};

/// Debian's own answers to what Magnum's packages ask.
const PRESEED: &str = include_str!("../../lab/recipe/preseed");
const PURGE: &str = "DEBIAN_FRONTEND=noninteractive apt-get purge -qq magnum-api magnum-conductor magnum-common 2>&1";

/// Grafts a unit that is watched over.
fn graft(it: &Deployment) {
    it.set(&[("guard", "true")]);
    it.deploy();
    it.grant();
    it.hook("config-changed");
    it.assert_status("active", &["Driver 1.1.0 grafted"], "after the grant");
}

/// Has apt install Magnum's packages anew, with their own configuration files in place of any.
fn install(it: &Deployment) {
    it.machine().push("/root/preseed", PRESEED.as_bytes(), 0o600).unwrap();
    it.shell(
        "debconf-set-selections /root/preseed
         DEBIAN_FRONTEND=noninteractive apt-get install -qq --reinstall --no-download --ignore-missing \
             -o Dpkg::Options::=--force-confnew -o Dpkg::Options::=--force-confmiss \
             /opt/lab/packages/*.deb 2>&1",
    );
}

/// After one hook the graft is whole, also in Magnum's own eyes; the next has nothing to do.
fn assert_grafted(it: &Deployment, graft: &Snapshot, case: &str) {
    it.hook("update-status");
    it.assert_status("active", &["Driver 1.1.0 grafted"], case);
    assert_same(&graft.diff(&it.graft()), case);
    assert_eq!(it.litter(), "", "{case}: litter");
    let magnum = it.ask_magnum();
    assert_eq!(magnum["enabled"], serde_json::json!(["k8s_capi_helm_v1"]), "{case}");
    let verify = it.action("verify");
    assert_eq!(verify.results["failed"], "0", "{case}: {}", verify.results["report"]);
    let services = it.services();
    assert_eq!(it.hook("update-status").log_text(), "", "{case}");
    assert_eq!(it.services(), services, "{case}");
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn after_an_upgrade_and_a_purge_of_its_packages_magnum_is_grafted_again() {
    let it = Deployment::bare_on(Release::Bookworm);
    graft(&it);
    let whole = it.graft();
    // What the principal rendered, and what it never touches.
    let save = "tar cf /root/rendered.tar -C / etc/magnum/magnum.conf etc/magnum/api-paste.ini var/lib/magnum";
    it.shell(save);
    install(&it);
    it.machine().wait_for_magnum().unwrap();
    assert_grafted(&it, &whole, "upgraded, with new configuration files");

    it.shell(PURGE);
    let gone = it.machine().exists(CONF_DIRECTORY).unwrap();
    assert!(!gone, "the purge takes what is in /etc/magnum");
    it.hook("update-status");
    it.assert_status("waiting", &["Magnum is not installed"], "purged");
    install(&it);
    // Not yet rendered: whatever the services make of the packages' own configuration.
    it.hook("update-status");
    it.shell(&format!(
        "tar xpf /root/rendered.tar -C /; systemctl enable --quiet {API} {CONDUCTOR}; systemctl restart {API} {CONDUCTOR}"
    ));
    assert_grafted(&it, &whole, "purged, installed and rendered anew");
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn the_charm_goes_after_the_principal_and_leaves_what_the_principal_left() {
    let alone = Deployment::bare_on(Release::Bookworm);
    let before = alone.files();
    alone.shell(PURGE);
    let purged = before.diff(&alone.files());
    let packages = alone.packages();
    drop(alone);

    let it = Deployment::bare_on(Release::Bookworm);
    let before = it.files();
    graft(&it);
    it.shell(PURGE);
    it.remove();
    assert_eq!(before.diff(&it.files()).paths(), purged.paths());
    assert_eq!(it.packages(), packages);
    for path in [STATE, KUBECONFIG, "/etc/systemd/system/magnum-api.service.d"] {
        assert!(!it.machine().exists(path).unwrap(), "{path}");
    }
}
