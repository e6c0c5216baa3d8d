//! Checks of what surrounds the graft, in the order in which a cluster's creation meets it.
//!
//! When one of these links is broken, the graft looks broken. The charm repairs none of them, so each finding is a
//! warning that begins with "not the graft, but".

use crate::check::{Check, Finding, Outcome};
use crate::magnum::Configuration;

pub const CHECKS: &[Check<Configuration>] = &[
    Check::new("chain-trust", "Does Magnum know its trustee domain, without which no cluster is made?", trust),
    Check::new("chain-keystone", "Does Magnum use Keystone v3?", keystone),
    Check::new("chain-certificates", "Where does Magnum put each cluster's certificates?", certificates),
];

fn trust(configuration: &Configuration) -> Outcome {
    let value = |key| configuration.value("trust", key);
    let missing: Vec<&str> = [
        ("trustee_domain_id", "trustee_domain_name"),
        ("trustee_domain_admin_id", "trustee_domain_admin_name"),
        ("trustee_domain_admin_password", "trustee_domain_admin_password"),
    ]
    .into_iter()
    .filter(|(id, name)| value(id).or(value(name)).is_none())
    .map(|(id, _)| id)
    .collect();
    if missing.is_empty() {
        Ok("[trust] names the trustee domain and its administrator".to_owned())
    } else {
        Err(Finding::warn(
            format!("not the graft, but [trust] has no {}", missing.join(", ")),
            "juju run magnum/leader domain-setup, once for the application",
        ))
    }
}

fn keystone(configuration: &Configuration) -> Outcome {
    let found: Vec<String> = [
        ("keystone_auth", "auth_url"),
        ("keystone_authtoken", "auth_url"),
        ("keystone_authtoken", "www_authenticate_uri"),
    ]
    .into_iter()
    .filter_map(|(section, option)| {
        let value = configuration.value(section, option)?;
        Some(format!("[{section}] {option} is {value}"))
    })
    .collect();
    let old: Vec<&str> =
        found.iter().map(String::as_str).filter(|found| found.trim_end_matches('/').ends_with("/v2.0")).collect();
    if found.is_empty() {
        Err(Finding::warn("not the graft, but magnum.conf names no Keystone", "juju relate magnum keystone"))
    } else if old.is_empty() {
        Ok("no endpoint of v2.0".to_owned())
    } else {
        Err(Finding::warn(
            format!("not the graft, but {}", old.join("; ")),
            "relate magnum to a Keystone that offers v3, and let its charm render the endpoints",
        ))
    }
}

fn certificates(configuration: &Configuration) -> Outcome {
    let manager = configuration.value("certificates", "cert_manager_type");
    // The default of Magnum.
    match manager.unwrap_or("barbican") {
        "barbican" => Ok("in Barbican: no cluster is made while that is down".to_owned()),
        "x509keypair" => Ok("in Magnum's own database".to_owned()),
        other => Err(Finding::warn(
            format!("not the graft, but [certificates] cert_manager_type is {other}, on this unit alone"),
            "use barbican or x509keypair, which every unit of magnum can read",
        )),
    }
}

#[cfg(test)]
mod tests {
    use crate::check::{self, Status};
    use crate::system::testing::Scratch;

    use super::*;

    #[test]
    fn each_link_is_read_from_the_configuration() {
        let good = "[trust]\ntrustee_domain_name = m\ntrustee_domain_admin_name = a\n\
                    trustee_domain_admin_password = p\n[keystone_auth]\nauth_url = https://k:5000/v3\n\
                    [certificates]\ncert_manager_type = barbican\n";
        for (from, to, failing) in [
            ("", "", None),
            ("trustee_domain_name = m", "", Some("chain-trust")),
            ("/v3", "/v2.0/", Some("chain-keystone")),
            ("auth_url = https://k:5000/v3", "", Some("chain-keystone")),
            ("= barbican", "= local", Some("chain-certificates")),
        ] {
            let scratch = Scratch::new();
            scratch.put(crate::magnum::MAGNUM_CONF, good.replace(from, to));
            let configuration = Configuration::read(&scratch.root).unwrap();
            let results = check::run(CHECKS, &configuration);
            let warned: Vec<_> = results.iter().filter(|result| result.status == Status::Warn).collect();
            assert_eq!(warned.first().map(|result| result.id), failing, "{to}");
            assert!(warned.iter().all(|result| result.evidence.starts_with("not the graft, but")));
        }
    }
}
