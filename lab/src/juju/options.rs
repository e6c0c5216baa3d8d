//! Config options as `config.yaml` declares them, and values as Juju types them.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;

use super::secrets;

/// The options of a charm, by name.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Options {
    #[serde(default)]
    options: BTreeMap<String, ConfigOption>,
}

#[derive(Debug, Clone, Deserialize)]
struct ConfigOption {
    #[serde(rename = "type")]
    kind: Kind,
    #[serde(default)]
    default: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    String,
    Int,
    Float,
    Boolean,
    Secret,
}

impl Options {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let options: Self = serde_yaml::from_str(text).context("config.yaml")?;
        for (name, option) in &options.options {
            if !option.default.is_null() && !option.kind.accepts(&option.default) {
                bail!("config.yaml: default of {name} is not of type {:?}: {}", option.kind, option.default);
            }
        }
        Ok(options)
    }

    /// The value that `text` is for option `name`, as `juju config name=text` would make it.
    pub(crate) fn value(&self, name: &str, text: &str) -> Result<Value> {
        let Some(option) = self.options.get(name) else { bail!("unknown option {name:?}") };
        let value = match option.kind {
            Kind::String => Some(Value::from(text)),
            Kind::Int => text.parse::<i64>().ok().map(Value::from),
            Kind::Float => text.parse::<f64>().ok().map(Value::from),
            // The words that Go's strconv.ParseBool knows.
            Kind::Boolean => match text {
                "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true.into()),
                "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false.into()),
                _ => None,
            },
            Kind::Secret => (text.is_empty() || secrets::parse_uri(text).is_some()).then(|| Value::from(text)),
        };
        value.with_context(|| {
            format!("option {name:?} expected {}, got {text:?}", format!("{:?}", option.kind).to_lowercase())
        })
    }

    /// Whether the charm has an option of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.options.contains_key(name)
    }

    /// Every option's value: what was set, or else the default, or null.
    pub(crate) fn effective(&self, set: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
        let value = |name: &String, option: &ConfigOption| set.get(name).unwrap_or(&option.default).clone();
        self.options.iter().map(|(name, option)| (name.clone(), value(name, option))).collect()
    }
}

impl Kind {
    fn accepts(self, value: &Value) -> bool {
        match self {
            Self::String | Self::Secret => value.is_string(),
            Self::Int => value.is_i64(),
            Self::Float => value.is_number(),
            Self::Boolean => value.is_boolean(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "options:
  pin: {type: string, default: 'a==1', description: x}
  url: {type: string, description: x}
  wait: {type: int, default: 3, description: x}
  drivers: {type: boolean, default: true, description: x}
  ratio: {type: float, description: x}
  kubeconfig: {type: secret, description: x}
";

    #[test]
    fn values_are_typed_as_declared() {
        let options = Options::parse(CONFIG).unwrap();
        let uri = "secret:9m4e2mr0ui3e8a215n4g";
        for (name, text, value) in [
            ("pin", "", Value::from("")),
            ("pin", "007", "007".into()),
            ("wait", "-7", (-7).into()),
            ("drivers", "False", false.into()),
            ("drivers", "t", true.into()),
            ("ratio", "0.5", 0.5.into()),
            ("kubeconfig", uri, uri.into()),
        ] {
            assert_eq!(options.value(name, text).unwrap(), value, "{name}={text}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_in_jujus_words() {
        let options = Options::parse(CONFIG).unwrap();
        for (name, text, error) in [
            ("nope", "1", r#"unknown option "nope""#),
            ("wait", "soon", r#"option "wait" expected int, got "soon""#),
            ("drivers", "yes", r#"option "drivers" expected boolean, got "yes""#),
            ("kubeconfig", "capi-mgmt", r#"option "kubeconfig" expected secret, got "capi-mgmt""#),
        ] {
            assert_eq!(options.value(name, text).unwrap_err().to_string(), error);
        }
        assert!(Options::parse("options: {a: {type: int, default: x}}").is_err());
        assert!(Options::parse("options: {a: {type: list}}").is_err());
    }

    #[test]
    fn unset_options_without_default_are_null() {
        let options = Options::parse(CONFIG).unwrap();
        let set = BTreeMap::from([("wait".to_owned(), Value::from(9))]);
        let all = options.effective(&set);
        assert_eq!(all["wait"], 9);
        assert_eq!(all["pin"], "a==1");
        assert!(all["url"].is_null() && all["kubeconfig"].is_null());
    }
}
