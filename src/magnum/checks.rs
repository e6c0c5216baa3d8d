//! Checks of the links next to the graft, in the order in which a cluster's creation meets them.
//!
//! When one of them is broken, the graft looks broken. None is the charm's to mend, so each finding
//! is a warning that says "not the graft, but".

use std::time::Duration;

use super::scene::Asked;
use super::{Check, Finding, Outcome, Scene};
use crate::ground;
use crate::http;
use crate::settings::without_credentials;

/// The checks of this group.
pub const CHECKS: &[Check<Scene>] = &[
    Check {
        id: "chain-trust",
        question: "Does Magnum know its trustee domain, without which no cluster is made?",
        answer: trust,
    },
    Check {
        id: "chain-keystone",
        question: "Does Magnum use Keystone v3?",
        answer: keystone,
    },
    Check {
        id: "chain-certificates",
        question: "Where does Magnum put each cluster's certificates?",
        answer: certificates,
    },
    Check {
        id: "chain-chart-repository",
        question: "Can this unit reach the repository of the driver's chart?",
        answer: chart_repository,
    },
];

const REPOSITORY_LIMIT: Duration = Duration::from_secs(5);

fn trust(_: &Scene) -> Outcome {
    let configuration = ground::configuration()?;
    let value = |key| configuration.value("trust", key);
    let missing: Vec<&str> = [
        ("trustee_domain_id", "trustee_domain_name"),
        ("trustee_domain_admin_id", "trustee_domain_admin_name"),
        (
            "trustee_domain_admin_password",
            "trustee_domain_admin_password",
        ),
    ]
    .into_iter()
    .filter_map(|(id, name)| value(id).or(value(name)).is_none().then_some(id))
    .collect();
    Ok(if missing.is_empty() {
        Ok("[trust] names the trustee domain and its administrator".to_owned())
    } else {
        Err(Finding::warn(
            format!("not the graft, but [trust] has no {}", missing.join(", ")),
            "juju run magnum/leader domain-setup, once for the application",
        ))
    })
}

fn keystone(_: &Scene) -> Outcome {
    let configuration = ground::configuration()?;
    let found: Vec<(&str, &str, &str)> = [
        ("keystone_auth", "auth_url"),
        ("keystone_authtoken", "auth_url"),
        ("keystone_authtoken", "www_authenticate_uri"),
    ]
    .into_iter()
    .filter_map(|(section, option)| {
        let value = configuration.value(section, option)?;
        Some((section, option, value))
    })
    .collect();
    let old: Vec<String> = found
        .iter()
        .filter(|(.., value)| value.trim_end_matches('/').ends_with("/v2.0"))
        .map(|(section, option, value)| format!("[{section}] {option} is {value}"))
        .collect();
    Ok(if found.is_empty() {
        Err(Finding::warn(
            "not the graft, but magnum.conf names no Keystone",
            "juju relate magnum keystone",
        ))
    } else if old.is_empty() {
        Ok("no endpoint of v2.0".to_owned())
    } else {
        Err(Finding::warn(
            format!("not the graft, but {}", old.join("; ")),
            "relate magnum to a Keystone that offers v3, and let its charm render the endpoints",
        ))
    })
}

fn certificates(_: &Scene) -> Outcome {
    // Magnum's own default.
    let configuration = ground::configuration()?;
    let manager = configuration.value("certificates", "cert_manager_type");
    Ok(match manager.unwrap_or("barbican") {
        "barbican" => Ok("in Barbican: no cluster is made while that is down".to_owned()),
        "x509keypair" => Ok("in Magnum's own database".to_owned()),
        other => Err(Finding::warn(
            format!(
                "not the graft, but [certificates] cert_manager_type is {other}, on this unit alone"
            ),
            "use barbican or x509keypair, which every unit of magnum can read",
        )),
    })
}

fn chart_repository(scene: &Scene) -> Outcome {
    let effective = match scene.asked_of_driver(|answers| &answers.conductor.effective)? {
        Ok(Asked::Answer(effective)) => effective,
        Ok(Asked::Error(error)) => anyhow::bail!("Python says {error}"),
        Err(finding) => return Ok(Err(finding)),
    };
    let option = |key: &str| {
        let option = effective.get(&format!("capi_helm.{key}"));
        option
            .and_then(|option| option.value.as_str())
            .unwrap_or_default()
    };
    let (repo, name) = (option("helm_chart_repo"), option("helm_chart_name"));
    let address = match name.strip_prefix("oci://") {
        Some(rest) => {
            let registry = rest.split('/').next().unwrap_or_default();
            format!("https://{registry}/v2/")
        }
        None if repo.is_empty() => return Ok(Ok(format!("none is needed: the chart is {name}"))),
        None => format!("{}/index.yaml", repo.trim_end_matches('/')),
    };
    let client = http::direct().timeout(REPOSITORY_LIMIT).build()?;
    let request = client.get(&address);
    let address = without_credentials(&address);
    let unreachable = |why: String| {
        Finding::warn(
            format!("not the graft, but {address} does not serve the chart: {why}"),
            "let this unit reach it, or give the chart: juju attach-resource APPLICATION \
             helm-chart=FILE, or set helm-chart-repo to a mirror",
        )
    };
    Ok(match request.send() {
        // A registry asks for a token first: it is there.
        Ok(answer) if answer.status().is_success() || answer.status().as_u16() == 401 => {
            Ok(format!("{address} answers"))
        }
        Ok(answer) => Err(unreachable(format!("HTTP {}", answer.status()))),
        Err(error) => Err(unreachable(http::reason(&error))),
    })
}
