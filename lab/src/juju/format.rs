//! Output as the hook tools print it: `smart` (the default of most), `yaml` and `json`.

use anyhow::Result;
use serde_json::Value;

/// What a tool prints.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shown {
    /// Any value.
    Value(Value),
    /// A list of names, which `smart` prints one a line.
    Names(Vec<String>),
}

impl From<Value> for Shown {
    fn from(value: Value) -> Self {
        Self::Value(value)
    }
}

/// How a tool prints it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Smart,
    Yaml,
    Json,
}

impl Format {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name {
            "smart" => Some(Self::Smart),
            "yaml" => Some(Self::Yaml),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    /// The text to print, with its newline; nothing for nothing.
    pub(crate) fn show(self, shown: &Shown) -> Result<String> {
        let value = match shown {
            Shown::Value(value) => value.clone(),
            Shown::Names(names) => Value::from(names.clone()),
        };
        Ok(match (self, shown) {
            (Self::Json, _) => format!("{}\n", serde_json::to_string(&value)?),
            (Self::Smart | Self::Yaml, Shown::Value(Value::Null)) => String::new(),
            (Self::Smart, Shown::Names(names)) => line(&names.join("\n")),
            (Self::Smart, Shown::Value(Value::String(text))) => line(text),
            (Self::Smart, Shown::Value(Value::Bool(true))) => "True\n".into(),
            (Self::Smart, Shown::Value(Value::Bool(false))) => "False\n".into(),
            (Self::Smart | Self::Yaml, _) => format!("{}\n", serde_yaml::to_string(&value)?.trim_end_matches('\n')),
        })
    }
}

fn line(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{text}\n") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_format_shows_values_as_juju_does() {
        let names = Shown::Names(vec!["magnum:3".into(), "magnum:4".into()]);
        for (shown, smart, yaml, json) in [
            (json!("a b").into(), "a b\n", "a b\n", "\"a b\"\n"),
            (json!("").into(), "", "''\n", "\"\"\n"),
            (json!(true).into(), "True\n", "true\n", "true\n"),
            (json!(7).into(), "7\n", "7\n", "7\n"),
            (json!(null).into(), "", "", "null\n"),
            (json!({"a": 1, "b": "x"}).into(), "a: 1\nb: x\n", "a: 1\nb: x\n", "{\"a\":1,\"b\":\"x\"}\n"),
            (json!({}).into(), "{}\n", "{}\n", "{}\n"),
            (names, "magnum:3\nmagnum:4\n", "- magnum:3\n- magnum:4\n", "[\"magnum:3\",\"magnum:4\"]\n"),
            (Shown::Names(vec![]), "", "[]\n", "[]\n"),
        ] {
            assert_eq!(Format::Smart.show(&shown).unwrap(), smart, "smart {shown:?}");
            assert_eq!(Format::Yaml.show(&shown).unwrap(), yaml, "yaml {shown:?}");
            assert_eq!(Format::Json.show(&shown).unwrap(), json, "json {shown:?}");
        }
    }
}
