//! `config-get`, `goal-state`, `is-leader` and `resource-get`.

use serde_json::{Map, Value, json};

use super::{Answer, Failure, Line, Outcome, Session, no_more, usage};
use crate::juju::model::{application_of, tag};

pub(super) fn config_get(line: &Line, session: &mut Session<'_>) -> Outcome {
    let key = line.words.first().map(String::as_str).unwrap_or_default();
    if !key.is_empty() && line.has("a") {
        return usage(format!("cannot use argument --all together with key {key:?}"));
    }
    no_more(line.words.get(1..).unwrap_or_default())?;
    let values = session.model.charm.options.effective(&session.model.config);
    let value = if key.is_empty() {
        values.into_iter().filter(|(_, value)| line.has("a") || !value.is_null()).collect::<Map<_, _>>().into()
    } else {
        values.get(key).cloned().unwrap_or_default()
    };
    Ok(Answer::Shown(Value::into(value)))
}

pub(super) fn is_leader(line: &Line, session: &mut Session<'_>) -> Outcome {
    no_more(&line.words)?;
    Ok(Answer::Shown(json!(leads(session)).into()))
}

/// A subordinate is told of its principal's application and all its units, of its own application only
/// of units on the same principal's unit, itself not among them (`goalStateUnits` of
/// `apiserver/facades/agent/uniter`).
pub(super) fn goal_state(line: &Line, session: &mut Session<'_>) -> Outcome {
    no_more(&line.words)?;
    let since = "2026-01-01 00:00:00Z";
    let mut seen = Map::new();
    for unit in session.model.units.values().filter(|unit| !unit.gone) {
        let status = if unit.dying { "dying" } else { "active" };
        let joined = json!({"status": "joined", "since": since});
        seen.insert(application_of(&unit.principal).into(), joined);
        let status = json!({"status": status, "since": since});
        seen.insert(unit.principal.clone(), status);
    }
    let endpoint = session.model.charm.principal_endpoint.clone();
    let relations: Map<_, _> = endpoint.map(|name| (name, seen.into())).into_iter().collect();
    Ok(Answer::Shown(Value::into(json!({"units": {}, "relations": relations}))))
}

/// Whether the unit is its application's leader.
pub(super) fn leads(session: &Session<'_>) -> bool {
    session.model.leader.as_ref() == Some(&session.context.unit)
}

pub(super) fn resource_get(line: &Line, session: &mut Session<'_>) -> Outcome {
    let Some(name) = line.words.first() else {
        return usage("missing required resource name");
    };
    no_more(&line.words[1..])?;
    let application = &session.model.application;
    let missing = format!("could not download resource: HTTP request failed: resource#{application}/{name} not found");
    let (Some(file), Some(content)) = (session.model.charm.resources.get(name), session.model.resources.get(name))
    else {
        return Err(Failure::Error(missing));
    };
    let path = format!("/var/lib/juju/agents/{}/resources/{name}/{file}", tag(&session.context.unit));
    session.files.write(&path, content)?;
    Ok(Answer::Raw(path))
}
