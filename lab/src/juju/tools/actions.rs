//! `action-get`, `action-set`, `action-fail` and `action-log`.

use serde_json::{Value, json};

use super::{Answer, Failure, Line, Outcome, Session, no_more, usage};
use crate::juju::context::ActionContext;

/// Keys that Juju fills in itself.
const RESERVED: [&str; 4] = ["stdout", "stdout-encoding", "stderr", "stderr-encoding"];

pub(super) fn get(line: &Line, session: &mut Session<'_>) -> Outcome {
    no_more(line.words.get(1..).unwrap_or_default())?;
    let mut value = &action(session)?.parameters;
    if let Some(path) = line.words.first() {
        for key in path.split('.') {
            value = value.get(key).unwrap_or(&Value::Null);
        }
    }
    Ok(Answer::Shown(value.clone().into()))
}

pub(super) fn set(line: &Line, session: &mut Session<'_>) -> Outcome {
    let mut given = Vec::new();
    for word in &line.words {
        let Some((path, value)) = word.split_once('=') else {
            return usage(format!("argument {word:?} must be of the form key...=value"));
        };
        for key in path.split('.') {
            if !legal(key) {
                return usage(format!(
                    "key {key:?} must start and end with lowercase alphanumeric, and contain only lowercase \
                     alphanumeric, hyphens and periods"
                ));
            }
            if RESERVED.contains(&key) {
                return usage(format!("cannot set reserved action key {key:?}"));
            }
        }
        given.push((path.to_owned(), value.to_owned()));
    }
    let results = &mut action(session)?.results;
    for (path, value) in given {
        // A value takes the place of the map that had its name, and the other way round.
        results.retain(|old, _| !below(old, &path) && !below(&path, old));
        results.insert(path, value);
    }
    Ok(Answer::Nothing)
}

pub(super) fn fail(line: &Line, session: &mut Session<'_>) -> Outcome {
    no_more(line.words.get(1..).unwrap_or_default())?;
    let message = line.words.first().cloned();
    let action = action(session)?;
    action.message = message.unwrap_or_else(|| "action failed without reason given, check action for errors".into());
    action.failed = true;
    Ok(Answer::Nothing)
}

pub(super) fn log(line: &Line, session: &mut Session<'_>) -> Outcome {
    if line.words.is_empty() {
        return usage("no message specified");
    }
    let message = line.words.join(" ");
    action(session)?.log.push(message);
    Ok(Answer::Nothing)
}

fn action<'s>(session: &'s mut Session<'_>) -> Result<&'s mut ActionContext, Failure> {
    session.context.action.as_mut().ok_or_else(|| Failure::Error("not running an action".into()))
}

/// `[a-z0-9]` at both ends, hyphens between.
fn legal(key: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    !key.is_empty() && key.chars().all(|c| inner(c) || c == '-') && key.starts_with(inner) && key.ends_with(inner)
}

fn below(path: &str, parent: &str) -> bool {
    path.strip_prefix(parent).is_some_and(|rest| rest.starts_with('.'))
}

/// Parameters as an action gets them: what was given, checked against `actions.yaml`, and its defaults.
pub(crate) fn parameters(schema: &Value, given: &Value) -> anyhow::Result<Value> {
    let mut all = if given.is_null() { json!({}) } else { given.clone() };
    let Some(all_map) = all.as_object_mut() else { anyhow::bail!("parameters must be a map, not {given}") };
    let known = schema.get("params").and_then(Value::as_object).cloned().unwrap_or_default();
    for (name, value) in all_map.iter() {
        let Some(property) = known.get(name) else {
            anyhow::ensure!(
                schema.get("additionalProperties") != Some(&json!(false)),
                "validation failed: (root) : additional property {name:?} is not allowed, given {given}"
            );
            continue;
        };
        let kind = property.get("type").and_then(Value::as_str).unwrap_or_default();
        let fits = match kind {
            "string" => value.is_string(),
            "integer" => value.is_i64(),
            "number" => value.is_number(),
            "boolean" => value.is_boolean(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            _ => true,
        };
        anyhow::ensure!(fits, "validation failed: (root).{name} : must be of type {kind}, given {value}");
        if let Some(choices) = property.get("enum").and_then(Value::as_array) {
            anyhow::ensure!(choices.contains(value), "validation failed: (root).{name} : must be one of {choices:?}");
        }
    }
    for name in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        anyhow::ensure!(all_map.contains_key(name), "validation failed: (root) : {name:?} property is missing");
    }
    for (name, property) in &known {
        if let Some(default) = property.get("default") {
            all_map.entry(name).or_insert_with(|| default.clone());
        }
    }
    Ok(all)
}
