//! The parameters of the action, checked.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::problem::Problem;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameters {
    pub image: String,
    pub keypair: String,
    pub external_network: String,
    pub master_flavor: String,
    pub flavor: String,
    pub labels: BTreeMap<String, String>,
    pub network_driver: String,
    /// The cluster to create of the template, if any.
    pub cluster: Option<ClusterSize>,
    /// The time until the cluster must be complete.
    pub timeout: Duration,
    /// The Juju secret with the account; `None` for Magnum's own.
    pub credentials: Option<String>,
    /// The interface of Magnum's endpoint: public, internal, admin.
    pub endpoint: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClusterSize {
    pub masters: u64,
    pub nodes: u64,
}

impl Parameters {
    /// Reads what `action-get` printed; Juju has checked the types and filled in the defaults.
    ///
    /// # Errors
    /// A [`Problem`] that names the parameter which is not valid.
    pub fn read(given: &BTreeMap<String, Value>) -> Result<Self, Problem> {
        let text = |name: &str| {
            let found = given.get(name).and_then(Value::as_str).unwrap_or_default();
            found.trim().to_owned()
        };
        let needed = |name: &str| {
            let found = Some(text(name)).filter(|found| !found.is_empty());
            found.ok_or_else(|| invalid(name, format!("is empty; give it as {name}=…")))
        };
        let number = |name: &str| {
            let found = given
                .get(name)
                .and_then(Value::as_u64)
                .filter(|found| *found > 0);
            found.ok_or_else(|| invalid(name, "must be a number from 1 up"))
        };
        let cluster = match given.get("create-cluster").and_then(Value::as_bool) {
            Some(true) => Some(ClusterSize {
                masters: number("master-count")?,
                nodes: number("node-count")?,
            }),
            _ => None,
        };
        Ok(Self {
            image: needed("image")?,
            keypair: needed("keypair")?,
            external_network: needed("external-network")?,
            master_flavor: needed("master-flavor")?,
            flavor: needed("flavor")?,
            labels: labels(&text("labels"))?,
            network_driver: needed("network-driver")?,
            cluster,
            timeout: Duration::from_secs(number("timeout")?),
            credentials: Some(text("credentials")).filter(|id| !id.is_empty()),
            endpoint: needed("endpoint")?,
        })
    }
}

fn invalid(parameter: &str, wrong: impl std::fmt::Display) -> Problem {
    Problem::blocked(
        format!("Invalid parameter {parameter}"),
        format!("{parameter} {wrong}"),
    )
}

/// Parses `k=v,k=v`, as the openstack client takes it.
fn labels(text: &str) -> Result<BTreeMap<String, String>, Problem> {
    let parts = text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty());
    let pairs = parts.map(|part| match part.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err(invalid(
            "labels",
            format!("holds {part:?}; write labels=KEY=VALUE,KEY=VALUE"),
        )),
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn given(change: &Value) -> BTreeMap<String, Value> {
        let mut all = json!({"image": "noble-amd64", "keypair": "key", "external-network": "ext_net",
            "master-flavor": "m", "flavor": "f", "labels": "", "network-driver": "calico",
            "create-cluster": false, "master-count": 1, "node-count": 1, "timeout": 60,
            "endpoint": "public"});
        for (key, value) in change.as_object().unwrap() {
            all[key] = value.clone();
        }
        serde_json::from_value(all).unwrap()
    }

    #[test]
    fn labels_are_pairs_as_the_openstack_client_takes_them() {
        let read = Parameters::read(&given(&json!({"labels": "a=1, b=x=y ,,c="}))).unwrap();
        let pairs = [("a", "1"), ("b", "x=y"), ("c", "")];
        assert_eq!(read.labels, pairs.map(|(k, v)| (k.into(), v.into())).into());
        assert_eq!(read.cluster, None);
    }

    #[test]
    fn what_is_not_valid_is_named() {
        for (change, word) in [
            (json!({"image": " "}), "image"),
            (json!({"flavor": ""}), "flavor"),
            (json!({"labels": "novalue"}), "novalue"),
            (json!({"labels": "=x"}), "labels"),
            (json!({"timeout": 0}), "timeout"),
            (json!({"timeout": -5}), "timeout"),
            (
                json!({"create-cluster": true, "node-count": 0}),
                "node-count",
            ),
        ] {
            let error = Parameters::read(&given(&change)).unwrap_err().to_string();
            assert!(error.contains(word), "{change}: {error}");
        }
    }
}
