//! Checks of what surrounds the graft, in the order in which a cluster's creation meets it.
//!
//! When one of these links is broken, the graft looks broken. The charm repairs none of them, so each finding begins
//! with "not the graft, but", and is a warning unless Keystone itself says that no cluster can be made.

use crate::check::{Check, Finding, Outcome};
use crate::magnum::{Asked, Configuration, PythonAnswers, TrusteeDomain};

/// What the checks look at.
pub struct MagnumSubject<'a> {
    pub configuration: Configuration,
    pub python: &'a PythonAnswers,
}

impl MagnumSubject<'_> {
    pub const CHECKS: [Check<Self>; 3] = [
        Check::new("chain-trust", "Does Magnum know its trustee domain, without which no cluster is made?", trust),
        Check::new("chain-keystone", "Does Magnum use Keystone v3?", keystone),
        Check::new("chain-certificates", "Where does Magnum put each cluster's certificates?", certificates),
    ];
}

/// charm-magnum renders all of `[trust]` long before its action `domain-setup` makes the domain in Keystone, so only
/// Keystone can tell.
fn trust(subject: &MagnumSubject<'_>) -> Outcome {
    let asked = subject.python.get_with_configuration(|answers| &answers.trust);
    if let Ok(Asked::Answer(TrusteeDomain::Unused)) = asked {
        return Ok("this Magnum makes no trusts".to_owned());
    }
    let value = |key| subject.configuration.value("trust", key);
    let missing: Vec<&str> = [
        ("trustee_domain_id", "trustee_domain_name"),
        ("trustee_domain_admin_id", "trustee_domain_admin_name"),
        ("trustee_domain_admin_password", "trustee_domain_admin_password"),
    ]
    .into_iter()
    .filter(|(id, name)| value(id).or(value(name)).is_none())
    .map(|(id, _)| id)
    .collect();
    if !missing.is_empty() {
        return Err(Finding::warn(
            format!("not the graft, but [trust] has no {}", missing.join(", ")),
            "juju run magnum/leader domain-setup, once for the application",
        ));
    }
    let unknown = |error: &str| {
        Finding::warn(
            format!("not the graft, but Keystone does not say whether the trustee domain works: {error}"),
            "let the Keystone that [keystone_authtoken] names answer this unit, then run verify again",
        )
    };
    match asked?.or(unknown)? {
        TrusteeDomain::Refused(status) => Err(Finding::fail(
            format!("not the graft, but Keystone refuses the trustee domain's administrator: HTTP {status}"),
            "juju run magnum/leader domain-setup, once for the application; if it has run, compare [trust] and \
             [keystone_authtoken] www_authenticate_uri with Keystone",
        )),
        TrusteeDomain::Accepted | TrusteeDomain::Unused => {
            Ok("Keystone accepts the trustee domain's administrator".to_owned())
        }
    }
}

fn keystone(MagnumSubject { configuration, .. }: &MagnumSubject<'_>) -> Outcome {
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

fn certificates(MagnumSubject { configuration, .. }: &MagnumSubject<'_>) -> Outcome {
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
    use crate::check::{self, CheckResult, Status};
    use crate::system::testing::Scratch;

    use super::*;

    const GOOD: &str = "[trust]\ntrustee_domain_name = m\ntrustee_domain_admin_name = a\n\
                        trustee_domain_admin_password = hunter2\n[keystone_auth]\nauth_url = https://k:5000/v3\n\
                        [certificates]\ncert_manager_type = barbican\n";

    /// Runs the checks on this magnum.conf, where Python says this of the trustee domain.
    fn checked(conf: &str, reads: &str, trust: &str) -> Vec<CheckResult> {
        let scratch = Scratch::new();
        scratch.put(crate::magnum::MAGNUM_CONF, conf);
        let answers = format!(
            r#"{{"loads": {{"error": ""}}, "conductor": {{"configuration": {reads}, "effective": {{"error": ""}}}},
                "api": null, "enabled": {{"error": ""}}, "kubeconfig": {{"error": ""}}, "trust": {trust}}}"#
        );
        let python = PythonAnswers(Ok(serde_json::from_str(&answers).unwrap()));
        let configuration = Configuration::read(&scratch.root).unwrap();
        check::run(&MagnumSubject::CHECKS, &MagnumSubject { configuration, python: &python })
    }

    const READS: &str = r#"{"answer": true}"#;
    const ACCEPTED: &str = r#"{"answer": "accepted"}"#;

    #[test]
    fn each_link_is_read_from_the_configuration() {
        for (from, to, failing) in [
            ("", "", None),
            ("trustee_domain_name = m", "", Some("chain-trust")),
            ("/v3", "/v2.0/", Some("chain-keystone")),
            ("auth_url = https://k:5000/v3", "", Some("chain-keystone")),
            ("= barbican", "= local", Some("chain-certificates")),
        ] {
            let results = checked(&GOOD.replace(from, to), READS, ACCEPTED);
            let warned: Vec<_> = results.iter().filter(|result| result.status == Status::Warn).collect();
            assert_eq!(warned.first().map(|result| result.id), failing, "{to}");
            assert!(warned.iter().all(|result| result.evidence.starts_with("not the graft, but")));
        }
    }

    #[test]
    fn whether_the_trustee_domain_works_is_what_keystone_says() {
        let broken = r#"{"error": "oslo_config.cfg.ConfigFileParseError"}"#;
        let nobody = r#"{"error": "ConnectFailure: [Errno 111] Connection refused"}"#;
        let no_password = &GOOD.replace("hunter2", "");
        let with = |conf: &str, reads, trust| checked(conf, reads, trust).remove(0);
        for (conf, reads, trust, status, evidence, remedy) in [
            (GOOD, READS, ACCEPTED, Status::Pass, "Keystone accepts", ""),
            (GOOD, READS, r#"{"answer": {"refused": 401}}"#, Status::Fail, "administrator: HTTP 401", "domain-setup"),
            (GOOD, READS, r#"{"answer": {"refused": 404}}"#, Status::Fail, "administrator: HTTP 404", "domain-setup"),
            (
                GOOD,
                READS,
                nobody,
                Status::Warn,
                "trustee domain works: ConnectFailure: [Errno 111]",
                "answer this unit",
            ),
            (GOOD, broken, nobody, Status::Skip, "the configuration cannot be read", ""),
            // Not what Keystone answers to half an account.
            (no_password, READS, nobody, Status::Warn, "[trust] has no trustee_domain_admin_password", "domain-setup"),
            ("", READS, r#"{"answer": "unused"}"#, Status::Pass, "this Magnum makes no trusts", ""),
        ] {
            let result = with(conf, reads, trust);
            assert_eq!((result.id, result.status), ("chain-trust", status), "{trust}");
            assert!(result.evidence.contains(evidence), "{}", result.evidence);
            assert!(result.remedy.contains(remedy), "{}", result.remedy);
        }
    }
}
