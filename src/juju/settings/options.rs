//! The operator's further `[capi_helm]` options: `key = value`, one a line.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::address::{PUBLIC, holds_credentials};
use super::{first_non_ascii, shown};
use crate::problem::Problem;

/// Keys that the charm writes.
const RESERVED: [&str; 1] = ["kubeconfig_file"];
/// The longest text, in bytes: ten times what setting every option would take.
const SIZE_LIMIT: usize = 64 << 10;

/// Keys and their literal values, in the operator's order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapiHelmOptions(Vec<(String, String)>);

impl CapiHelmOptions {
    /// The name of the option.
    pub const OPTION: &str = "capi-helm-options";

    /// Returns each key with its literal value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Checks every key against those that the driver registers.
    ///
    /// # Errors
    /// The first key that the driver does not know.
    pub fn check_known(&self, driver: impl fmt::Display, known: &[String]) -> Result<(), Problem> {
        let Some((key, _)) = self.iter().find(|(key, _)| !known.iter().any(|name| name == key)) else { return Ok(()) };
        let (key, known) = (shown(key), known.join(", "));
        Err(refused(format!("{key} is not a [capi_helm] option of {driver}; remove it, or set one of {known}")))
    }
}

impl FromStr for CapiHelmOptions {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        if text.len() > SIZE_LIMIT {
            let length = text.len();
            return Err(refused(format!(
                "it has {length} bytes, and at most {SIZE_LIMIT} are allowed; set fewer options"
            )));
        }
        if let Some((line, column, c)) = first_non_ascii(text) {
            return Err(refused(format!(
                "line {line}, column {column}: {c:?} is not ASCII, and Magnum reads it as part of \
                 the value; type it in plain ASCII"
            )));
        }
        let (mut options, mut keys) = (Vec::new(), BTreeSet::new());
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let at = |wrong: String| refused(format!("line {}: {wrong}", index + 1));
            let (key, value) = line
                .split_once('=')
                .ok_or_else(|| at(format!("{} is not `key = value`; write one a line", shown(line))))?;
            let (key, value) = (key.trim(), value.trim());
            let wrong = if key.is_empty() || !key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                format!("{} is not an option name; use letters, digits and _", shown(key))
            } else if value.contains(|c: char| c.is_ascii_control()) {
                format!("{key} = {} holds a control character; remove it", shown(value))
            } else if RESERVED.contains(&key) {
                format!("{key} = {} is set by the charm; remove it", shown(value))
            } else if !keys.insert(key) {
                format!("{key} = {} is set twice; keep one", shown(value))
            } else if holds_credentials(value) {
                let [wrong, remedy] = PUBLIC;
                format!("{key} {wrong}; {remedy}")
            } else {
                options.push((key.to_owned(), value.to_owned()));
                continue;
            };
            return Err(at(wrong));
        }
        Ok(Self(options))
    }
}

fn refused(problem: impl fmt::Display) -> Problem {
    Problem::blocked("Invalid option capi-helm-options", format!("capi-helm-options: {problem}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_keep_their_order_and_literal_values() {
        let options: CapiHelmOptions =
            "# chart\n\nhelm_chart_name = a=b $x\n  namespace_prefix=magnum  \n".parse().unwrap();
        assert_eq!(options.iter().collect::<Vec<_>>(), [("helm_chart_name", "a=b $x"), ("namespace_prefix", "magnum")]);
    }

    #[test]
    fn bad_lines_are_refused_with_their_place_and_a_remedy() {
        for (text, expected) in [
            ("a = 1\nb", "line 2: \"b\" is not `key = value`"),
            ("[capi_helm]\na = 1", "line 1: \"[capi_helm]\" is not `key = value`"),
            ("a-b = 1", "line 1: \"a-b\" is not an option name"),
            ("= 1", "line 1: \"\" is not an option name"),
            ("a = 1\na = 2", "line 2: a = \"2\" is set twice"),
            ("kubeconfig_file = /x", "kubeconfig_file = \"/x\" is set by the charm"),
            ("a = 1\nb = x\u{201c}", "line 2, column 6: '\u{201c}' is not ASCII"),
            ("a = x\u{0}y", "holds a control character"),
            ("helm_chart_repo = https://u:hunter2@h/x", "line 1: helm_chart_repo holds credentials, which every user"),
            ("a = oci://u:hunter2@h/x\u{0}y", "a = \"oci://h/x\\0y\" holds a control character"),
            (&"# far too many\n".repeat(10_000), "it has 150000 bytes, and at most 65536 are allowed"),
        ] {
            let message = text.parse::<CapiHelmOptions>().unwrap_err().to_string();
            assert!(message.starts_with("Invalid option capi-helm-options: "), "{message}");
            assert!(message.contains(expected) && !message.contains("hunter2"), "{message}");
        }
    }

    #[test]
    fn a_key_the_driver_does_not_know_is_refused_with_those_it_knows() {
        let options: CapiHelmOptions = "namspace_prefix = x".parse().unwrap();
        let known = ["namespace_prefix".to_owned()];
        let message = options.check_known("magnum-capi-helm==1.1.0", &known).unwrap_err().to_string();
        assert!(message.contains("\"namspace_prefix\" is not a [capi_helm] option"), "{message}");
        assert!(message.contains("namespace_prefix"), "{message}");
    }
}
