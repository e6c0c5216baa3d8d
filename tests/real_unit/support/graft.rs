//! What the graft is made of, where it stands and what it holds: the tests' own words, not the charm's.

pub use lab::INDEX;

pub const API: &str = "magnum-api";
pub const CONDUCTOR: &str = "magnum-conductor";
pub const KUBECONFIG: &str = "/etc/magnum/kubeconfig";
pub const CONF_DIRECTORY: &str = "/etc/magnum/magnum.conf.d";
pub const CONF: &str = "/etc/magnum/magnum.conf.d/99-capi.conf";
pub const DROP_INS: [&str; 2] = [
    "/etc/systemd/system/magnum-api.service.d/override.conf",
    "/etc/systemd/system/magnum-conductor.service.d/override.conf",
];
/// The site directory of the system administrator on Debian 12.
pub const SITE: &str = "/usr/local/lib/python3.11/dist-packages";
/// What the charm remembers.
pub const STATE: &str = "/var/lib/magnum-capi-helm";
/// The versions in the lab's package index, the charm's default first.
pub const VERSIONS: [&str; 4] = ["1.1.0", "1.2.1", "1.3.0", "1.4.0"];

/// Every hook in which the charm stays, but those about another unit.
pub const HOOKS: [&str; 13] = [
    "install",
    "config-changed",
    "start",
    "update-status",
    "upgrade-charm",
    "leader-elected",
    "secret-changed",
    "magnum-relation-created",
    "magnum-relation-joined",
    "magnum-relation-changed",
    "magnum-relation-departed",
    "cluster-relation-created",
    "cluster-relation-changed",
];

/// The header of every file the charm writes.
const HEADER: &str = "# Written by the magnum-capi-helm charm, which reverts changes made here.\n";

/// The command line of the runbook's section 8.
pub fn command_line(service: &str) -> String {
    format!("/usr/bin/{service} --config-file=/etc/magnum/magnum.conf --config-dir={CONF_DIRECTORY}")
}

pub fn drop_in(service: &str) -> String {
    let command_line = command_line(service);
    format!("{HEADER}[Service]\nExecStart=\nExecStart={command_line}\n")
}

/// 99-capi.conf with these further lines.
pub fn conf(options: &str) -> String {
    format!(
        "{HEADER}[DEFAULT]\nenabled_drivers = k8s_capi_helm_v1\n\n\
         [drivers]\ndisabled_drivers = k8s_fedora_coreos_v1\n\n\
         [capi_helm]\nkubeconfig_file = {KUBECONFIG}\n{options}"
    )
}

pub fn dist_info(version: &str) -> String {
    format!("{SITE}/magnum_capi_helm-{version}.dist-info")
}

pub fn pin(version: &str) -> String {
    format!("magnum-capi-helm=={version}")
}
