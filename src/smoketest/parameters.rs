//! The parameters of the action, checked.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::problem::Problem;

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Parameters {
    pub image: String,
    pub keypair: String,
    pub external_network: String,
    pub master_flavor: String,
    pub flavor: String,
    pub labels: BTreeMap<String, String>,
    pub network_driver: String,
    pub create_cluster: bool,
    pub master_count: u64,
    pub node_count: u64,
    /// Seconds until the cluster must be complete.
    pub timeout: u64,
    /// The id of the Juju secret with the account; empty for Magnum's own.
    pub credentials: String,
    /// The interface of Magnum's endpoint: public, internal, admin.
    pub endpoint: String,
}

impl Parameters {
    /// Checks what `action-get` printed; Juju has checked it against `actions.yaml` and filled in the defaults.
    ///
    /// # Errors
    /// A [`Problem`] that names the parameter which is not valid.
    pub fn read(mut given: BTreeMap<String, Value>) -> Result<Self, Problem> {
        for (name, value) in &mut given {
            let Some(text) = value.as_str().map(str::trim) else { continue };
            *value = match name.as_str() {
                "labels" => labels(text)?,
                name if text.is_empty() && name != "credentials" => {
                    return Err(invalid(name, format!("is empty; give it as {name}=…")));
                }
                _ => text.into(),
            };
        }
        let parsed = serde_json::from_value(Value::from_iter(given));
        parsed.map_err(|error| Problem::blocked("Invalid parameters", error.to_string()))
    }
}

fn invalid(parameter: &str, wrong: String) -> Problem {
    Problem::blocked(format!("Invalid parameter {parameter}"), format!("{parameter} {wrong}"))
}

/// Parses `k=v,k=v`, as the openstack client takes it.
fn labels(text: &str) -> Result<Value, Problem> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let pairs = parts.map(|part| match part.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim(), value.trim())),
        _ => Err(invalid("labels", format!("holds {part:?}; write labels=KEY=VALUE,KEY=VALUE"))),
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
            "credentials": "", "endpoint": "public"});
        for (key, value) in change.as_object().unwrap() {
            all[key] = value.clone();
        }
        serde_json::from_value(all).unwrap()
    }

    #[test]
    fn labels_are_pairs_as_the_openstack_client_takes_them() {
        let read = Parameters::read(given(&json!({"labels": "a=1, b=x=y ,,c="}))).unwrap();
        let pairs = [("a", "1"), ("b", "x=y"), ("c", "")];
        assert_eq!(read.labels, pairs.map(|(k, v)| (k.into(), v.into())).into());
    }

    #[test]
    fn what_is_not_valid_is_named() {
        for (change, word) in [
            (json!({"image": " "}), "image"),
            (json!({"flavor": ""}), "flavor"),
            (json!({"labels": "novalue"}), "novalue"),
            (json!({"labels": "=x"}), "labels"),
            (json!({"timeout": -5}), "u64"),
        ] {
            let error = Parameters::read(given(&change)).unwrap_err().to_string();
            assert!(error.contains(word), "{change}: {error}");
        }
    }
}
