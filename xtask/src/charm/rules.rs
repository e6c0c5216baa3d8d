//! Juju's rules for what a charm declares, as far as this charm can break them.
//!
//! Juju itself says no only when the charm is deployed, and charmcraft's linters overlook most of it. The rules are
//! those of github.com/juju/charm: `meta.go`, `config.go`, `actions.go`.

use serde_yaml::{Mapping, Value};

/// The contents of the files in which a charm says what it is.
#[derive(Debug, Clone, Copy)]
pub struct Declared<'a> {
    /// metadata.yaml
    pub metadata: &'a Mapping,
    /// config.yaml
    pub config: &'a Mapping,
    /// actions.yaml
    pub actions: &'a Mapping,
    /// charmcraft.yaml
    pub charmcraft: &'a Mapping,
}

/// Everything that is wrong, each with the file it stands in.
#[must_use]
pub fn faults(declared: &Declared<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    faults.extend(in_metadata(declared.metadata));
    faults.extend(in_config(declared.config));
    faults.extend(in_actions(declared.actions));
    faults.extend(said_twice(declared));
    faults
}

/// The names of all endpoints that metadata.yaml declares.
#[must_use]
pub fn endpoints(metadata: &Mapping) -> Vec<String> {
    ["requires", "provides", "peers"]
        .into_iter()
        .flat_map(|role| named(metadata, role))
        .map(|(name, _)| name.to_owned())
        .collect()
}

fn in_metadata(metadata: &Mapping) -> Vec<String> {
    let mut faults = Vec::new();
    for key in ["name", "summary", "description"] {
        if metadata
            .get(key)
            .and_then(Value::as_str)
            .is_none_or(str::is_empty)
        {
            faults.push(format!("metadata.yaml: `{key}` must be a text"));
        }
    }
    let subordinate = metadata.get("subordinate").and_then(Value::as_bool);
    let in_a_container = named(metadata, "requires")
        .any(|(_, endpoint)| text(endpoint, "scope") == Some("container"));
    if subordinate == Some(true) && !in_a_container {
        faults.push(
            "metadata.yaml: a subordinate charm needs an endpoint under `requires` with \
             `scope: container`"
                .to_owned(),
        );
    }
    for (name, resource) in named(metadata, "resources") {
        let is_file = text(resource, "type") == Some("file");
        if is_file && text(resource, "filename").is_none_or(str::is_empty) {
            faults.push(format!(
                "metadata.yaml: resource `{name}` needs a `filename`"
            ));
        }
        if !is_file && text(resource, "type") != Some("oci-image") {
            faults.push(format!(
                "metadata.yaml: the type of resource `{name}` must be file or oci-image"
            ));
        }
    }
    faults
}

fn in_config(config: &Mapping) -> Vec<String> {
    if !config.get("options").is_some_and(Value::is_mapping) {
        return vec!["config.yaml: no mapping `options`".to_owned()];
    }
    let mut faults = Vec::new();
    for (name, option) in named(config, "options") {
        let default = option.get("default").unwrap_or(&Value::Null);
        let fits = match text(option, "type") {
            Some("string") => default.is_string(),
            Some("int") => default.is_i64(),
            Some("float") => default.is_f64(),
            Some("boolean") => default.is_bool(),
            Some("secret") => default
                .as_str()
                .is_some_and(|uri| uri.is_empty() || uri.starts_with("secret:")),
            _ => {
                faults.push(format!(
                    "config.yaml: the type of option `{name}` must be string, int, float, boolean \
                     or secret"
                ));
                continue;
            }
        };
        // To Juju a default of null is the same as none.
        if !default.is_null() && !fits {
            faults.push(format!(
                "config.yaml: the default of option `{name}` is not of its type"
            ));
        }
        if text(option, "description").is_none_or(str::is_empty) {
            faults.push(format!(
                "config.yaml: option `{name}` needs a `description`"
            ));
        }
    }
    faults
}

fn in_actions(actions: &Mapping) -> Vec<String> {
    let mut faults = Vec::new();
    for (key, action) in actions {
        let name = key.as_str().unwrap_or_default();
        if !is_action_name(name) {
            faults.push(format!("actions.yaml: `{name}` is no name for an action"));
        }
        if text(action, "description").is_none_or(str::is_empty) {
            faults.push(format!(
                "actions.yaml: action `{name}` needs a `description`"
            ));
        }
        // What Juju takes for granted differs between its releases.
        if !action
            .get("additionalProperties")
            .is_some_and(Value::is_bool)
        {
            faults.push(format!(
                "actions.yaml: action `{name}` must say `additionalProperties: false` or true"
            ));
        }
        if action
            .get("params")
            .is_some_and(|params| !params.is_mapping())
        {
            faults.push(format!(
                "actions.yaml: the `params` of action `{name}` must be a mapping"
            ));
        }
    }
    faults
}

/// `[a-z0-9]([a-z0-9-]*[a-z0-9])?`, and not among the names that Juju keeps for itself.
fn is_action_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !name.is_empty()
        && name.chars().all(allowed)
        && !name.starts_with('-')
        && !name.ends_with('-')
        && name != "juju"
        && !name.starts_with("juju-")
}

/// charmcraft refuses a project that says the same thing in two files.
fn said_twice(declared: &Declared<'_>) -> Vec<String> {
    declared
        .charmcraft
        .keys()
        .filter_map(Value::as_str)
        .filter_map(|key| {
            let other = match key {
                "config" => "config.yaml",
                "actions" => "actions.yaml",
                key if declared.metadata.contains_key(key) => "metadata.yaml",
                _ => return None,
            };
            Some(format!(
                "charmcraft.yaml: `{key}` stands in {other} already"
            ))
        })
        .collect()
}

/// The entries of the mapping at `key`, where there is one.
fn named<'a>(parent: &'a Mapping, key: &str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    parent
        .get(key)
        .and_then(Value::as_mapping)
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.as_str()?, value)))
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn yaml(text: &str) -> Mapping {
        serde_yaml::from_str(text).unwrap()
    }

    const METADATA: &str = "{name: graft, summary: s, description: d, subordinate: true, \
         requires: {host: {interface: juju-info, scope: container}}}";

    #[test]
    fn metadata_that_juju_takes_has_no_faults() {
        assert_eq!(in_metadata(&yaml(METADATA)), Vec::<String>::new());
        assert_eq!(endpoints(&yaml(METADATA)), ["host"]);
    }

    #[test]
    fn metadata_that_juju_refuses_is_named() {
        for (from, to, expected) in [
            ("summary: s", "summary: ''", "`summary` must be a text"),
            ("name: graft", "name: 7", "`name` must be a text"),
            ("scope: container", "scope: global", "`scope: container`"),
            (
                "subordinate: true",
                "resources: {wheel: {type: wheel}}",
                "the type of resource `wheel` must be file or oci-image",
            ),
            (
                "subordinate: true",
                "resources: {wheel: {type: file}}",
                "resource `wheel` needs a `filename`",
            ),
        ] {
            let faults = in_metadata(&yaml(&METADATA.replace(from, to)));
            assert_eq!(faults.len(), 1, "{to}: {faults:?}");
            assert!(faults[0].contains(expected), "{to}: {faults:?}");
        }
    }

    #[test]
    fn defaults_have_the_type_of_their_option() {
        for (option, ok) in [
            ("{type: string, default: a==1}", true),
            ("{type: string, default: ''}", true),
            ("{type: string}", true),
            ("{type: string, default: null}", true),
            ("{type: string, default: 1.1}", false),
            ("{type: int, default: 5}", true),
            ("{type: int, default: '5'}", false),
            ("{type: float, default: 0.5}", true),
            ("{type: float, default: 1}", false),
            ("{type: boolean, default: true}", true),
            ("{type: boolean, default: 'true'}", false),
            ("{type: boolean, default: yes}", false),
            ("{type: secret}", true),
            ("{type: secret, default: kubeconfig}", false),
            ("{type: text}", false),
            ("{default: a}", false),
        ] {
            let described = option.replace('}', ", description: d}");
            let faults = in_config(&yaml(&format!("options: {{o: {described}}}")));
            assert_eq!(faults.is_empty(), ok, "{option}: {faults:?}");
        }
        assert_eq!(
            in_config(&yaml("{}")),
            ["config.yaml: no mapping `options`"]
        );
        assert_eq!(
            in_config(&yaml("options: {o: {type: int}}")),
            ["config.yaml: option `o` needs a `description`"]
        );
    }

    #[test]
    fn actions_have_names_and_shapes_that_juju_takes() {
        for (name, rest, ok) in [
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
            let faults = in_actions(&yaml(&format!("{name}: {{description: d, {rest}}}")));
            assert_eq!(faults.is_empty(), ok, "{name} {rest}: {faults:?}");
        }
    }

    #[test]
    fn nothing_is_said_in_two_files() {
        let (metadata, empty) = (yaml(METADATA), Mapping::new());
        let charmcraft = yaml("{type: charm, name: graft, config: {}, parts: {}}");
        assert_eq!(
            said_twice(&Declared {
                metadata: &metadata,
                config: &empty,
                actions: &empty,
                charmcraft: &charmcraft,
            }),
            [
                "charmcraft.yaml: `name` stands in metadata.yaml already",
                "charmcraft.yaml: `config` stands in config.yaml already",
            ]
        );
    }
}
