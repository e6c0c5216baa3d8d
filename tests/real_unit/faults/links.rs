//! Faults of the links next to the graft: each is named as what it is, and not the graft's.

use super::{Fault, fault};
use crate::support::CONF_DIRECTORY;

pub fn of_the_links() -> Vec<Fault> {
    let main = "/etc/magnum/magnum.conf";
    let edited = |name, script: &str, found_by, evidence, remedy| {
        fault(name, format!("cp -a {main} /root/; sed -i '{script}' {main}"), found_by, evidence)
            .by(remedy, format!("mv /root/magnum.conf {main}"))
    };
    let later = format!("{CONF_DIRECTORY}/98-chart.conf");
    vec![
        edited(
            "domain-setup has not run: no trustee domain",
            "/^trustee_domain/d",
            &["chain-trust"],
            &["not the graft, but", "trustee_domain_id", "trustee_domain_admin_password"],
            "domain-setup",
        ),
        edited(
            "the trustee's password is empty",
            "s/^trustee_domain_admin_password.*/trustee_domain_admin_password =/",
            &["chain-trust"],
            &["trustee_domain_admin_password"],
            "domain-setup",
        ),
        edited(
            "a Keystone of v2.0",
            "s|5000/v3|5000/v2.0|",
            &["chain-keystone"],
            &["not the graft, but", "v2.0"],
            "a Keystone that offers v3",
        ),
        edited("no Keystone", "/^auth_ur[il]/d; /^www_auth/d", &["chain-keystone", "chain-trust"], &["names no Keystone"], "juju relate magnum keystone"),
        edited(
            "certificates on one unit alone",
            "s/^cert_manager_type.*/cert_manager_type = local/",
            &["chain-certificates"],
            &["not the graft, but", "local"],
            "use barbican or x509keypair",
        ),
        fault(
            "a chart repository out of reach",
            format!("printf '[capi_helm]\\nhelm_chart_name = openstack-cluster\\nhelm_chart_repo = https://a:b@192.0.2.1/charts\\n' >{CONF_DIRECTORY}/99-z.conf; rm -f {later}"),
            &["chain-chart-repository", "conf-effective"],
            &["not the graft, but https://192.0.2.1/charts/index.yaml"],
        )
        .by("set helm-chart-repo", format!("rm {CONF_DIRECTORY}/99-z.conf")),
    ]
}
