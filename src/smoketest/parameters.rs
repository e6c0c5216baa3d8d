//! The parameters of the action, made into types that are valid.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::problem::Problem;

/// What the operator asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameters {
    /// Name or id of the image.
    pub image: String,
    /// Name of the keypair.
    pub keypair: String,
    /// Name or id of the external network.
    pub external_network: String,
    /// Name or id of the flavor of control-plane nodes.
    pub master_flavor: String,
    /// Name or id of the flavor of workers.
    pub flavor: String,
    /// The template's labels.
    pub labels: BTreeMap<String, String>,
    /// The network driver: calico, …
    pub network_driver: String,
    /// Whether a cluster is made of the template.
    pub cluster: Option<Size>,
    /// How long the cluster may take.
    pub timeout: Duration,
    /// The Juju secret with the account; none for the services' own.
    pub credentials: Option<String>,
    /// Which of Magnum's endpoints: public, internal, admin.
    pub endpoint: String,
}

/// How large the cluster is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Nodes of the control plane.
    pub masters: u64,
    /// Workers.
    pub nodes: u64,
}

impl Parameters {
    /// Reads what `action-get` printed; Juju has checked the types and filled in the defaults.
    ///
    /// # Errors
    /// A [`Problem`] that names the parameter which is no good.
    pub fn read(given: &BTreeMap<String, Value>) -> Result<Self, Problem> {
        let text = |name: &str| {
            let found = given.get(name).and_then(Value::as_str).unwrap_or_default();
            found.trim().to_owned()
        };
        let needed = |name: &str| match text(name) {
            empty if empty.is_empty() => Err(Problem::blocked(format!(
                "the parameter {name} is empty; give it as {name}=…"
            ))),
            full => Ok(full),
        };
        let number = |name: &str| {
            let found = given.get(name).and_then(Value::as_u64);
            found.filter(|found| *found > 0).ok_or_else(|| {
                Problem::blocked(format!("the parameter {name} must be a number from 1 up"))
            })
        };
        let wants_cluster = given.get("create-cluster").and_then(Value::as_bool) == Some(true);
        Ok(Self {
            image: needed("image")?,
            keypair: needed("keypair")?,
            external_network: needed("external-network")?,
            master_flavor: needed("master-flavor")?,
            flavor: needed("flavor")?,
            labels: labels(&text("labels"))?,
            network_driver: needed("network-driver")?,
            cluster: if wants_cluster {
                let (masters, nodes) = (number("master-count")?, number("node-count")?);
                Some(Size { masters, nodes })
            } else {
                None
            },
            timeout: Duration::from_secs(number("timeout")?),
            credentials: Some(text("credentials")).filter(|id| !id.is_empty()),
            endpoint: needed("endpoint")?,
        })
    }
}

/// `k=v,k=v`, as the openstack client takes it.
fn labels(text: &str) -> Result<BTreeMap<String, String>, Problem> {
    let parts = text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty());
    parts
        .map(|part| match part.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => {
                Ok((key.trim().to_owned(), value.trim().to_owned()))
            }
            _ => Err(Problem::blocked(format!(
                "the parameter labels holds {part:?}; write labels=KEY=VALUE,KEY=VALUE"
            ))),
        })
        .collect()
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
    fn what_is_no_good_is_named() {
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
            let told = Parameters::read(&given(&change)).unwrap_err().to_string();
            assert!(told.contains(word), "{change}: {told}");
        }
    }
}
