//! Changes with which Magnum would not start: they are refused before anything on the unit changes.

use std::time::{Duration, Instant};

use lab::Snapshot;

use crate::support::mirror::{self, remade};
use crate::support::{CONF, CONF_DIRECTORY, Deployment, INDEX, Services, assert_same, conf, pin};

/// How long a hook may take to refuse a change, while the machine has other work too.
const REFUSED_WITHIN: Duration = Duration::from_secs(60);

/// Values of options that Magnum's parser or the driver does not take: driver, options, the one that is to blame.
const OPTIONS: [(&str, &str, &str); 16] = [
    ("1.1.0", "minimum_flavor_ram = 2GB", "minimum_flavor_ram"),
    ("1.1.0", "minimum_flavor_ram = 0x10", "minimum_flavor_ram"),
    ("1.1.0", "minimum_flavor_ram = 1.5", "minimum_flavor_ram"),
    ("1.1.0", "minimum_flavor_vcpus = two", "minimum_flavor_vcpus"),
    ("1.1.0", "minimum_flavor_vcpus = [2]", "minimum_flavor_vcpus"),
    ("1.1.0", "csi_cinder_allow_volume_expansion = maybe", "csi_cinder_allow_volume_expansion"),
    ("1.1.0", "minimum_flavor_vcpus = 1e3", "minimum_flavor_vcpus"),
    ("1.1.0", "csi_cinder_allow_volume_expansion = 2", "csi_cinder_allow_volume_expansion"),
    ("1.1.0", "namespace_prefix = x\nminimum_flavor_ram = many\nhelm_chart_name = y", "minimum_flavor_ram"),
    ("1.4.0", "api_resources = {\"K8sControlPlane\": {\"api_version\": \"v1beta1\",},}", "api_resources"),
    ("1.4.0", "api_resources = yes", "api_resources"),
    ("1.4.0", "api_resources = ['a']", "api_resources"),
    ("1.4.0", "csi_cinder_allow_volume_expansion = maybe", "csi_cinder_allow_volume_expansion"),
    ("1.4.0", "csi_cinder_reclaim_policy = Never", "csi_cinder_reclaim_policy"),
    ("1.4.0", "etcd_volume_size = 10GB", "etcd_volume_size"),
    ("1.4.0", "minimum_flavor_ram = 2GB\nnamespace_prefix = x", "minimum_flavor_ram"),
];

/// Words for the services' command lines.
const ARGUMENTS: [(&str, &str); 8] = [
    ("--nonsense", "unrecognized arguments: --nonsense"),
    ("--debug=yes", "ignored explicit argument 'yes'"),
    ("--config-file=/nonexistent.conf", "/nonexistent.conf"),
    ("--config-dir=/nonexistent", "/nonexistent"),
    ("--log-config-append=/nonexistent", "/nonexistent"),
    ("--log-file=/nonexistent/log", "/nonexistent/log"),
    ("--log-dir", "expected one argument"),
    ("word", "unrecognized arguments: word"),
];

/// Fragments of somebody else.
const FRAGMENTS: [(&str, &str); 6] = [
    ("[api]\nport = abc\n", "invalid literal"),
    ("port = 1\n", "Section must be started"),
    ("[api\n", "Invalid section"),
    ("[DEFAULT]\nlog_file = /nonexistent/x\n", "/nonexistent/x"),
    ("[DEFAULT]\ntransport_url = nonsense://me:hunter2@rabbit:x\n", "invalid literal"),
    ("[drivers]\ndisabled_drivers = k8s_capi_helm_v1\n[api]\nworkers = -\n", "invalid literal"),
];

/// What a driver does when a service loads it.
const DRIVERS: [(&str, &str, &str); 4] = [
    ("raises", "raise RuntimeError('no good')", "RuntimeError: no good"),
    ("exits", "raise SystemExit(3)", "SystemExit: 3"),
    ("ends", "os._exit(4)", "exit code 4"),
    ("hangs", "time.sleep(1000)", "has not started after"),
];

/// A unit as it was before.
struct Before<'a> {
    it: &'a Deployment,
    graft: Snapshot,
    services: Services,
}

impl<'a> Before<'a> {
    fn new(it: &'a Deployment) -> Self {
        Self { it, graft: it.graft(), services: it.services() }
    }

    /// Runs hooks, and makes sure that they refuse what is asked for and change nothing.
    #[track_caller]
    fn assert_refused(&self, words: &[&str], case: &str) {
        for hook in ["config-changed", "update-status"] {
            let began = Instant::now();
            self.it.hook(hook);
            let took = began.elapsed();
            println!("{case}: {hook} {:.1} s", took.as_secs_f64());
            assert!(took < REFUSED_WITHIN, "{case}: {took:?}");
            self.it.assert_status("blocked", words, case);
            assert!(!self.it.said().contains("hunter2"), "{case}");
            self.assert_same(case);
        }
    }

    #[track_caller]
    fn assert_same(&self, case: &str) {
        assert_same(&self.graft.diff(&self.it.graft()), case);
        assert_eq!(self.it.services(), self.services, "{case}: nothing is restarted");
        assert_eq!(self.it.litter(), "", "{case}: litter");
    }
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn an_option_that_magnum_or_the_driver_does_not_take_is_refused_before_anything_changes() {
    let it = Deployment::active();
    for version in ["1.1.0", "1.4.0"] {
        it.set(&[("driver-pin", &pin(version))]);
        it.hook("config-changed");
        it.assert_whole(version, version);
        let before = Before::new(&it);
        for (_, options, blamed) in OPTIONS.iter().filter(|(driver, ..)| *driver == version) {
            it.set(&[("capi-helm-options", options)]);
            before.assert_refused(&["Invalid option capi-helm-options", blamed, "is refused by magnum-"], options);
        }
        it.application.reset_config("capi-helm-options").unwrap();
        it.hook("config-changed");
        it.assert_whole(version, "after all that was refused");
        before.assert_same("after all that was refused");
    }
    // What has moved is still read where it was.
    let moved = "csi_cinder_reclaim_policy = Delete\ncsi_cinder_availability_zone = az-blue\n";
    it.set(&[("capi-helm-options", moved)]);
    it.hook("config-changed");
    it.assert_status("active", &["Driver 1.4.0 grafted"], "options that have moved");
    assert_eq!(it.machine().read_text(CONF).unwrap(), conf(moved));
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn command_lines_and_fragments_with_which_magnum_would_not_start_are_refused_before_anything_changes() {
    let it = Deployment::active();
    let before = Before::new(&it);
    let defaults = "/etc/default/magnum-conductor";
    for (argument, reason) in ARGUMENTS {
        it.machine().push(defaults, format!("DAEMON_ARGS={argument}\n").as_bytes(), 0o644).unwrap();
        before.assert_refused(&["magnum-conductor would not start", reason], argument);
    }
    it.shell(&format!("rm {defaults}"));
    it.hook("update-status");
    it.assert_whole("1.1.0", "the command line as it was");
    before.assert_same("the command line as it was");
    // A fragment changes nothing until there is something to switch.
    let fragment = format!("{CONF_DIRECTORY}/50-site.conf");
    it.set(&[("capi-helm-options", "namespace_prefix = x")]);
    for (text, reason) in FRAGMENTS {
        it.machine().push(&fragment, text.as_bytes(), 0o644).unwrap();
        let began = Instant::now();
        it.hook("update-status");
        println!("{text:?}: {:.1} s", began.elapsed().as_secs_f64());
        it.assert_status("blocked", &["would not start with /etc/magnum/magnum.conf.d/50-site.conf", reason], text);
        assert!(!it.said().contains("hunter2"), "{text}");
        assert_eq!(it.services(), before.services, "{text}");
    }
    it.shell(&format!("rm {fragment}"));
    it.hook("update-status");
    it.assert_status("active", &["Driver 1.1.0 grafted"], "the fragment is gone");
    assert_eq!(it.machine().read_text(CONF).unwrap(), conf("namespace_prefix = x\n"));
    assert_ne!(it.services(), before.services, "the option came");
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn a_driver_with_which_a_service_would_not_start_is_refused_before_anything_changes() {
    let it = Deployment::active();
    mirror::serve(&it);
    let before = Before::new(&it);
    for (case, does, reason) in DRIVERS {
        let class = "class NodeGroupState(enum.Enum):";
        let code =
            format!("import os, sys, time\nif sys.argv[0].endswith('magnum-conductor'):\n    {does}\n\n\n{class}");
        let (index, sha256) = remade(&it, case, "1.2.1", ("magnum_capi_helm/driver.py", class, &code));
        it.set(&[("driver-pin", &pin("1.2.1")), ("index-url", &index), ("driver-sha256", &sha256)]);
        before.assert_refused(&["magnum-conductor would not start", reason, "1.2.1"], case);
    }
    it.set(&[("driver-pin", &pin("1.1.0")), ("index-url", INDEX)]);
    it.application.reset_config("driver-sha256").unwrap();
    it.hook("config-changed");
    it.assert_whole("1.1.0", "the driver as it was");
    before.assert_same("the driver as it was");
}
