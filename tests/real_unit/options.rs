//! The operator's options reach Magnum, as they were typed.

use serde_json::json;

use crate::support::{CONF, Deployment, conf};
use crate::verify::checks;

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn options_are_written_and_are_what_magnum_reads() {
    let it = Deployment::active();
    let services = it.services();
    it.set(&[(
        "capi-helm-options",
        "# chart\nhelm_chart_name = a$b${c} = \"d\"\n\n  minimum_flavor_ram=4096  \n\
         csi_cinder_availability_zone = nova # not a comment",
    )]);
    it.hook("config-changed");
    it.assert_status("active", &[], "with options");
    let written = it.machine().read_text(CONF).unwrap();
    let lines = "helm_chart_name = a$$b$${c} = \"d\"\nminimum_flavor_ram = 4096\n\
                 csi_cinder_availability_zone = nova # not a comment\n";
    assert_eq!(written, conf(lines));
    let read = &it.ask_magnum()["capi_helm"];
    assert_eq!(read["helm_chart_name"], "a$b${c} = \"d\"");
    assert_eq!(read["minimum_flavor_ram"], 4096);
    let zone = &read["csi_cinder_availability_zone"];
    assert_eq!(zone, "nova # not a comment");
    let now = it.services();
    assert!(now.api.0 != services.api.0 && now.conductor.0 != services.conductor.0);

    it.set(&[("capi-helm-options", ""), ("disable-other-drivers", "false")]);
    it.hook("config-changed");
    it.assert_status("active", &[], "with other drivers");
    let magnum = it.ask_magnum();
    assert_eq!(magnum["enabled"], json!(["k8s_capi_helm_v1", "k8s_fedora_coreos_v1"]));
    assert_eq!(magnum["capi_helm"]["helm_chart_name"], "openstack-cluster");
    let enabled = || checks(&it.action("verify"))["driver-enabled"].clone();
    let map = "k8s_capi_helm_v1 for (vm, ubuntu, kubernetes), (vm, flatcar, kubernetes); \
               k8s_fedora_coreos_v1 for (vm, fedora-coreos, kubernetes)";
    let seen = enabled();
    assert_eq!(seen["status"], "pass", "{seen}");
    assert!(seen["evidence"].as_str().unwrap().contains(map), "{seen}");
    // The map has one driver for each kind of cluster, and the last one loaded gets it: Python looks here last.
    let rival = "/usr/lib/python3/dist-packages/rival-1.dist-info";
    it.shell(&format!(
        "mkdir {rival}; cd {rival}; printf 'Metadata-Version: 2.1\\nName: rival\\nVersion: 1\\n' >METADATA
         printf '[magnum.drivers]\\nrival = magnum_capi_helm.driver:Driver\\n' >entry_points.txt"
    ));
    let seen = enabled();
    assert_eq!(seen["status"], "fail", "{seen}");
    let evidence = seen["evidence"].as_str().unwrap();
    for words in ["rival for (vm,", "another driver makes the clusters (vm,"] {
        assert!(evidence.contains(words), "no {words:?} in {evidence}");
    }
    // As its remedy says.
    it.application.reset_config("disable-other-drivers").unwrap();
    it.hook("update-status");
    let seen = enabled();
    assert_eq!(seen["status"], "pass", "{seen}");
    it.shell(&format!("rm -r {rival}"));

    it.hook("update-status");
    it.assert_whole("1.1.0", "the defaults again");
}
