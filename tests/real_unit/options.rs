//! The operator's options reach Magnum, as they were typed.

use serde_json::json;

use crate::support::{CONF, Deployment, conf};

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

    it.set(&[
        ("capi-helm-options", ""),
        ("disable-other-drivers", "false"),
    ]);
    it.hook("config-changed");
    it.assert_status("active", &[], "with other drivers");
    let magnum = it.ask_magnum();
    assert_eq!(
        magnum["enabled"],
        json!(["k8s_capi_helm_v1", "k8s_fedora_coreos_v1"])
    );
    assert_eq!(magnum["capi_helm"]["helm_chart_name"], "openstack-cluster");

    it.application
        .reset_config("disable-other-drivers")
        .unwrap();
    it.hook("update-status");
    it.assert_whole("1.1.0", "the defaults again");
}
