//! The YAML that the driver's parser (PyYAML) and helm's (of Go) both read: YAML 1.1, less what either
//! refuses. The parser used here is of YAML 1.2, so what it would let pass is looked for first.

use std::collections::HashMap;

use serde::Deserialize;
use serde_yaml::Value;

use super::Fault;

/// Fields of texts that people make up.
const SHORT_TEXTS: [&str; 7] = [
    "name",
    "current-context",
    "cluster",
    "user",
    "namespace",
    "token",
    "username",
];
/// Truth values of YAML 1.1 that are none of YAML 1.2.
const TRUTHS: [&str; 6] = ["y", "yes", "n", "no", "on", "off"];

/// The one document of a kubeconfig.
pub struct Document {
    /// Its fields, with merge keys resolved.
    pub fields: Value,
    /// Whether a field stands twice in one place. Driver and helm go by the last.
    pub has_repeated_fields: bool,
}

/// A document in which the last of repeated fields counts.
#[derive(Deserialize)]
#[serde(untagged)]
enum LastCounts {
    Fields(HashMap<Value, LastCounts>),
    Items(Vec<LastCounts>),
    Scalar(Value),
}

impl From<LastCounts> for Value {
    fn from(document: LastCounts) -> Self {
        match document {
            LastCounts::Fields(fields) => {
                let fields = fields.into_iter().map(|(key, value)| (key, value.into()));
                Self::Mapping(fields.collect())
            }
            LastCounts::Items(items) => Self::Sequence(items.into_iter().map(Self::from).collect()),
            LastCounts::Scalar(value) => value,
        }
    }
}

/// Reads the one document of a kubeconfig.
///
/// # Errors
/// When one of the two cannot read it, or both: the reason, with the line but nothing of the content.
pub fn document(content: &str) -> Result<Document, Fault> {
    if let Some(line) = line_with_a_tab(content) {
        return Err(Fault::new(format!(
            "has a tab in line {line}, which helm reads and the driver does not; use blanks"
        )));
    }
    if let Some(line) = line_with_an_odd_name(content) {
        return Err(Fault::new(format!(
            "has a text in line {line} that helm takes for a number or a truth value; put it in quotes"
        )));
    }
    let text = content.trim_start_matches('\u{feff}');
    // The parser itself refuses repeated fields, and nothing else that the second attempt takes.
    let (mut fields, has_repeated_fields) = match serde_yaml::from_str::<Value>(text) {
        Ok(fields) => (fields, false),
        Err(error) => match serde_yaml::from_str::<LastCounts>(text) {
            Ok(document) => (document.into(), true),
            Err(_) => return Err(no_yaml(&error)),
        },
    };
    fields
        .apply_merge()
        .map_err(|_| Fault::new("is not a kubeconfig: a YAML merge key leads nowhere"))?;
    // The parser keeps no `!!binary` and its kin.
    if is_tagged(&fields) || content.contains(": !!") {
        return Err(Fault::new("has a YAML tag, which the driver cannot read"));
    }
    if !fields.is_mapping() {
        return Err(Fault::new("is not a kubeconfig: no mapping at the top"));
    }
    Ok(Document {
        fields,
        has_repeated_fields,
    })
}

/// Where the parser stopped. Its own message would quote what it read.
fn no_yaml(error: &serde_yaml::Error) -> Fault {
    Fault::new(match error.location() {
        Some(at) => format!(
            "is not a kubeconfig: no YAML in line {}, column {}",
            at.line(),
            at.column()
        ),
        None => "is not a kubeconfig: no single YAML document".to_owned(),
    })
}

/// The first line with a tab outside of quotes and comments: PyYAML takes none, whatever it
/// separates.
fn line_with_a_tab(text: &str) -> Option<usize> {
    let mut quote = None;
    for (number, line) in text.lines().enumerate() {
        let mut before = ' ';
        for c in line.chars() {
            match (quote, c) {
                (None, '\t') => return Some(number + 1),
                (None, '#') if before.is_whitespace() => break,
                // Within a word they are letters like any other.
                (None, '"' | '\'') if !before.is_alphanumeric() => quote = Some(c),
                (Some(open), c) if c == open && before != '\\' => quote = None,
                _ => {}
            }
            before = c;
        }
    }
    None
}

/// The first line with a name or another short text that YAML 1.1, and so helm, takes for a number
/// or a truth value, and this parser, of YAML 1.2, for a text.
fn line_with_an_odd_name(text: &str) -> Option<usize> {
    let is_odd = |line: &str| {
        line.split(['{', '}', ',']).any(|part| {
            let part = part.trim().trim_start_matches("- ");
            let Some((field, value)) = part.split_once(": ") else {
                return false;
            };
            let value = value.split(" #").next().unwrap_or_default().trim();
            let digits = value.trim_start_matches(['-', '+']).replace('_', "");
            let is_odd = digits.starts_with('0') || value.contains('_');
            let is_number =
                is_odd && digits.len() > 1 && digits.bytes().all(|byte| byte.is_ascii_digit());
            SHORT_TEXTS.contains(&field.trim_matches('"'))
                && (is_number || TRUTHS.contains(&value.to_lowercase().as_str()))
        })
    };
    text.lines().position(is_odd).map(|number| number + 1)
}

/// Whether a tag such as `!thing` stands anywhere: the driver knows none, helm ignores them.
fn is_tagged(value: &Value) -> bool {
    match value {
        Value::Tagged(_) => true,
        Value::Sequence(items) => items.iter().any(is_tagged),
        Value::Mapping(fields) => fields
            .iter()
            .any(|(key, value)| is_tagged(key) || is_tagged(value)),
        _ => false,
    }
}
