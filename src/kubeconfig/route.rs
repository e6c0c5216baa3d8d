//! What of the services' environment driver and helm heed on their way to the management cluster, beside the kubeconfig:
//! proxies, other authorities, helm's own variables. While there is any, the programs themselves say whether they arrive.

use std::net::Ipv4Addr;

use anyhow::Result;
use url::{Host, Url};

use super::programs::{self, ProgramVerdict, ProgramsToAsk};
use super::{ApiError, KubeconfigReport, UsableKubeconfig};
use crate::check::{Check, Finding, Outcome};
use crate::magnum::ServiceEnvironment;
use crate::system::{Secret, System};

/// The check of the way; it needs a unit.
pub const ROUTE_CHECKS: &[Check<KubeconfigReport>] = &[Check::new(
    "management-environment",
    "Does the services' environment let driver and helm reach the management cluster as the kubeconfig says?",
    environment,
)];

/// The way of driver and helm to the management cluster.
#[derive(Debug)]
pub struct Route {
    /// What each variable on it does, and where it is set.
    pub detours: Vec<String>,
    /// Whether the driver's client and helm arrive.
    pub arrivals: [ProgramVerdict; 2],
}

impl Route {
    /// Looks at the environment, and asks driver and helm if anything of it is on their way.
    ///
    /// # Errors
    /// If it cannot be read, or the programs cannot be asked.
    pub fn inspect(
        system: &System,
        usable: &UsableKubeconfig,
        content: &Secret<String>,
        ask: &ProgramsToAsk<'_>,
    ) -> Result<Self> {
        let arrive = [ProgramVerdict::Accepts, ProgramVerdict::Accepts];
        let Some(source) = ask.environment else { return Ok(Self { detours: Vec::new(), arrivals: arrive }) };
        let detours = detours(&source.read(system)?, usable);
        let named = |(name, what): (String, &str)| format!("{name} ({}) {what}", source.origin(&system.root, &name));
        let detours: Vec<String> = detours.into_iter().map(named).collect();
        let arrivals = if detours.is_empty() { arrive } else { programs::reach(system, content, ask)? };
        Ok(Self { detours, arrivals })
    }

    /// Whether driver and helm arrive, and by the environment's way.
    pub fn leads_there(&self) -> bool {
        !self.detours.is_empty() && self.arrivals.iter().all(|arrival| *arrival == ProgramVerdict::Accepts)
    }
}

/// Returns the variables on the way, and what each does there.
fn detours(environment: &ServiceEnvironment, usable: &UsableKubeconfig) -> Vec<(String, &'static str)> {
    let server = Url::parse(&usable.server).ok();
    let is_proxied = server.as_ref().is_none_or(|server| !is_excepted(environment, server));
    let scheme = server.as_ref().map_or("https", Url::scheme);
    let (of_scheme, has_authority) = (format!("{scheme}_proxy"), usable.authority.is_some());
    let does = |name: &str| match name {
        "REQUESTS_CA_BUNDLE" | "CURL_CA_BUNDLE" if has_authority => {
            Some("takes the place of the kubeconfig's certificate-authority for the driver")
        }
        "REQUESTS_CA_BUNDLE" | "CURL_CA_BUNDLE" => Some("names the authorities that the driver trusts"),
        "SSL_CERT_FILE" | "SSL_CERT_DIR" if !has_authority => Some("names the authorities that helm trusts"),
        _ if name.starts_with("HELM_KUBE") => Some("is heeded by helm beside the kubeconfig"),
        _ if is_proxied && [of_scheme.as_str(), "all_proxy"].contains(&name.to_lowercase().as_str()) => {
            Some("leads through a proxy, and no no_proxy that both driver and helm heed names the cluster's host")
        }
        _ => None,
    };
    environment.names().filter_map(|name| Some((name.to_owned(), does(name)?))).collect()
}

/// Whether both the driver's client (in Python) and helm (in Go) go directly to a server. They prefer different spellings
/// of the variable, and know entries that the other one does not.
fn is_excepted(environment: &ServiceEnvironment, server: &Url) -> bool {
    let given: Vec<_> = ["no_proxy", "NO_PROXY"].into_iter().filter_map(|name| environment.get(name)).collect();
    !given.is_empty() && given.iter().all(|exceptions| excepts(&exceptions.to_string_lossy(), server))
}

fn excepts(exceptions: &str, server: &Url) -> bool {
    let port = format!(":{}", server.port_or_known_default().unwrap_or_default());
    exceptions.trim() == "*"
        || exceptions.split(',').map(str::trim).any(|entry| match server.host() {
            Some(Host::Domain(host)) => {
                let entry = entry.strip_suffix(&port).unwrap_or(entry).to_lowercase();
                let above = host.strip_suffix(&entry).filter(|_| !entry.is_empty());
                above.is_some_and(|rest| rest.ends_with('.') || (rest.is_empty() != entry.starts_with('.')))
            }
            Some(Host::Ipv4(address)) => entry.parse() == Ok(address) || is_in_network(address, entry),
            Some(Host::Ipv6(address)) => entry.parse() == Ok(address),
            None => false,
        })
}

/// Whether an address is in `192.0.2.0/24`.
fn is_in_network(address: Ipv4Addr, network: &str) -> bool {
    let parsed = network.split_once('/').and_then(|(network, length)| {
        Some((
            network.parse::<Ipv4Addr>().ok()?,
            length.parse::<u32>().ok().filter(|length| (1..=32).contains(length))?,
        ))
    });
    parsed.is_some_and(|(network, length)| (address.to_bits() ^ network.to_bits()) >> (32 - length) == 0)
}

fn environment(report: &KubeconfigReport) -> Outcome {
    let server = &report.read()?.server;
    let route = report.route.as_ref().ok_or_else(|| Finding::skip("no service has an environment here"))?;
    let route = route.as_ref().map_err(|error| Finding::fail(error.clone(), "run verify again"))?;
    if route.detours.is_empty() {
        return Ok(format!("nothing of it is on the way to {server}"));
    }
    let detours = route.detours.join("; ");
    if route.leads_there() {
        return Ok(format!("driver and helm reach {server}, though {detours}"));
    }
    let said = ["the driver", "helm"].into_iter().zip(&route.arrivals).filter_map(|(program, arrival)| match arrival {
        ProgramVerdict::Accepts => None,
        ProgramVerdict::Refuses(why) => Some(format!("{program} does not reach {server} ({why})")),
        ProgramVerdict::NotAsked(why) => Some(format!("{program} was not asked ({why})")),
    });
    let evidence = format!("{detours}; {}", said.collect::<Vec<_>>().join("; "));
    let remedy = "take the variable out there, or for a proxy add the cluster's host to no_proxy there; then run: \
                  systemctl daemon-reload; systemctl restart magnum-api magnum-conductor";
    // While the cluster does not answer the charm either, the fault may be its own.
    Err(match report.online {
        Some(Ok(_) | Err(ApiError::Rejected(_))) => Finding::fail(evidence, remedy),
        _ => Finding::warn(evidence, remedy),
    })
}

#[cfg(test)]
#[path = "route_tests.rs"]
mod tests;
