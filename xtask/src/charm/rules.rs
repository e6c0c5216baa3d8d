//! Juju's rules for metadata.yaml, config.yaml and actions.yaml, as far as this charm can break them.
//!
//! Juju itself checks them only when the charm is deployed, and charmcraft's linters overlook most of them. The rules
//! are those of github.com/juju/charm: `meta.go`, `config.go`, `actions.go`.

#![expect(dead_code, reason = "most fields are read only to check them")]

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use serde::Deserialize;
use serde_yaml::Mapping;

/// metadata.yaml
#[derive(Debug, Deserialize)]
pub struct Metadata {
    pub name: Text,
    summary: Text,
    description: Text,
    #[serde(default)]
    subordinate: bool,
    #[serde(default)]
    requires: BTreeMap<String, Endpoint>,
    #[serde(default)]
    provides: BTreeMap<String, Endpoint>,
    #[serde(default)]
    peers: BTreeMap<String, Endpoint>,
    #[serde(default)]
    resources: BTreeMap<String, Resource>,
}

impl Metadata {
    /// Lists the names of all endpoints.
    pub fn endpoints(&self) -> impl Iterator<Item = &str> {
        let roles = [&self.requires, &self.provides, &self.peers];
        roles.into_iter().flat_map(|role| role.keys().map(String::as_str))
    }

    /// Checks the rule that spans several fields.
    pub fn check(&self) -> Result<()> {
        let in_a_container = self.requires.values().any(|endpoint| endpoint.scope == Some(Scope::Container));
        ensure!(
            !self.subordinate || in_a_container,
            "metadata.yaml: a subordinate charm needs an endpoint under `requires` with `scope: container`"
        );
        Ok(())
    }
}

#[derive(Debug, Deserialize)]
struct Endpoint {
    interface: Text,
    scope: Option<Scope>,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Scope {
    Global,
    Container,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum Resource {
    File { filename: Text },
    OciImage,
}

/// config.yaml
#[derive(Debug, Deserialize)]
pub struct Config {
    options: BTreeMap<String, ConfigOption>,
}

/// An option. A default of null is none; one of a secret would be the id of somebody else's secret.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
enum ConfigOption {
    String { description: Text, default: Option<String> },
    Int { description: Text, default: Option<i64> },
    Float { description: Text, default: Option<f64> },
    Boolean { description: Text, default: Option<bool> },
    Secret { description: Text },
}

/// actions.yaml
pub type Actions = BTreeMap<ActionName, Action>;

#[derive(Debug, Deserialize)]
pub struct Action {
    description: Text,
    /// Required, because Juju's releases differ in their default.
    #[serde(rename = "additionalProperties")]
    additional_properties: bool,
    #[serde(default)]
    params: Mapping,
}

/// A text that is not empty.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Text(pub String);

impl TryFrom<String> for Text {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        (!text.is_empty()).then_some(Self(text)).ok_or("the text is empty")
    }
}

/// `[a-z0-9]([a-z0-9-]*[a-z0-9])?`, without the prefix that Juju reserves.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct ActionName(String);

impl TryFrom<String> for ActionName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let valid = !name.is_empty()
            && name.chars().all(allowed)
            && !name.starts_with('-')
            && !name.ends_with('-')
            && name != "juju"
            && !name.starts_with("juju-");
        if valid { Ok(Self(name)) } else { Err(format!("`{name}` cannot be an action's name")) }
    }
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;

    use super::*;

    fn accepts<T: DeserializeOwned>(yaml: &str) -> bool {
        serde_yaml::from_str::<T>(yaml).is_ok()
    }

    const METADATA: &str = "{name: graft, summary: s, description: d, subordinate: true, \
         requires: {host: {interface: juju-info, scope: container}}}";

    #[test]
    fn metadata_follows_jujus_rules() {
        assert!(accepts::<Metadata>(METADATA));
        for (from, to) in [
            ("summary: s", "summary: ''"),
            ("name: graft", "name: [graft]"),
            ("subordinate: true", "resources: {wheel: {type: wheel}}"),
            ("subordinate: true", "resources: {wheel: {type: file}}"),
        ] {
            assert!(!accepts::<Metadata>(&METADATA.replace(from, to)), "{to}");
        }
        let global = METADATA.replace("scope: container", "scope: global");
        let global: Metadata = serde_yaml::from_str(&global).unwrap();
        assert!(global.check().is_err());
    }

    #[test]
    fn defaults_have_the_type_of_their_option() {
        for (option, expected) in [
            ("type: string, default: a==1", true),
            ("type: string", true),
            ("type: string, default: null", true),
            ("type: string, default: 1.1", false),
            ("type: int, default: 5", true),
            ("type: int, default: '5'", false),
            ("type: boolean, default: true", true),
            ("type: boolean, default: 'true'", false),
            ("type: boolean, default: yes", false),
            ("type: secret", true),
            ("type: secret, default: kubeconfig", false),
            ("type: text", false),
            ("default: a", false),
        ] {
            let config = format!("options: {{o: {{description: d, {option}}}}}");
            assert_eq!(accepts::<Config>(&config), expected, "{option}");
        }
        assert!(!accepts::<Config>("options: {o: {type: int}}"));
    }

    #[test]
    fn actions_have_names_and_shapes_that_juju_accepts() {
        for (name, rest, expected) in [
            ("verify", "additionalProperties: false", true),
            ("capture-state", "additionalProperties: true", true),
            ("capture_state", "additionalProperties: false", false),
            ("Verify", "additionalProperties: false", false),
            ("-verify", "additionalProperties: false", false),
            ("juju-verify", "additionalProperties: false", false),
            ("verify", "params: {}", false),
            ("verify", "additionalProperties: 'no'", false),
            ("verify", "additionalProperties: false, params: [a]", false),
        ] {
            let actions = format!("{name}: {{description: d, {rest}}}");
            assert_eq!(accepts::<Actions>(&actions), expected, "{name} {rest}");
        }
    }
}
