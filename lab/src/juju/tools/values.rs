//! `config-get`, `state-*`, `is-leader`, `leader-*`, `unit-get` and `resource-get`.

use serde_json::{Map, Value, json};

use super::{Answer, Failure, Line, Outcome, Session, error, no_more, settings, usage};
use crate::juju::model::{Settings, application_of, tag};

pub(super) fn config_get(line: &Line, session: &mut Session<'_>) -> Outcome {
    let key = line.words.first().map(String::as_str).unwrap_or_default();
    if !key.is_empty() && line.has("a") {
        return usage(format!(
            "cannot use argument --all together with key {key:?}"
        ));
    }
    no_more(line.words.get(1..).unwrap_or_default())?;
    let values = session.model.charm.options.effective(&session.model.config);
    let value = if key.is_empty() {
        values
            .into_iter()
            .filter(|(_, value)| line.has("a") || !value.is_null())
            .collect::<Map<_, _>>()
            .into()
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
    let relations: Map<_, _> = endpoint
        .map(|name| (name, seen.into()))
        .into_iter()
        .collect();
    Ok(Answer::Shown(Value::into(
        json!({"units": {}, "relations": relations}),
    )))
}

/// Whether the unit is its application's leader.
pub(super) fn leads(session: &Session<'_>) -> bool {
    session.model.leader.as_ref() == Some(&session.context.unit)
}

pub(super) fn leader_get(line: &Line, session: &mut Session<'_>) -> Outcome {
    one_or_all(line, &session.model.leader_settings)
}

pub(super) fn leader_set(line: &Line, session: &mut Session<'_>) -> Outcome {
    let given = settings(line, session)?;
    if !leads(session) {
        return error("cannot write leadership settings: cannot write settings: not the leader");
    }
    session.model.leader_settings.extend(given);
    session
        .model
        .leader_settings
        .retain(|_, value| !value.is_empty());
    Ok(Answer::Nothing)
}

pub(super) fn state_get(line: &Line, session: &mut Session<'_>) -> Outcome {
    let key = line.words.first().map_or("", String::as_str).to_owned();
    no_more(line.words.get(1..).unwrap_or_default())?;
    let strict = line.has("strict");
    let state = state(session);
    if key.is_empty() || key == "-" {
        // Juju hands an empty state on as a nil map, which JSON shows as null.
        let empty = state.is_empty() && session.format == super::Format::Json;
        let state = self::state(session);
        return Ok(Answer::Shown(if empty {
            Value::Null.into()
        } else {
            json!(state).into()
        }));
    }
    match state.get(&key) {
        Some(value) => Ok(Answer::Shown(json!(value).into())),
        None if strict => error(format!("{key:?} not found")),
        None => Ok(Answer::Shown(json!("").into())),
    }
}

pub(super) fn state_set(line: &Line, session: &mut Session<'_>) -> Outcome {
    let given = settings(line, session)?;
    state(session).extend(given);
    Ok(Answer::Nothing)
}

pub(super) fn state_delete(line: &Line, session: &mut Session<'_>) -> Outcome {
    no_more(line.words.get(1..).unwrap_or_default())?;
    if let Some(key) = line.words.first() {
        state(session).remove(key);
    }
    Ok(Answer::Nothing)
}

/// The charm state in this hook, loaded at its first use.
fn state<'s>(session: &'s mut Session<'_>) -> &'s mut Settings {
    let unit = session.model.units.get(&session.context.unit);
    session
        .context
        .state
        .get_or_insert_with(|| unit.map(|unit| unit.state.clone()).unwrap_or_default())
}

pub(super) fn unit_get(line: &Line, session: &mut Session<'_>) -> Outcome {
    let Some(key) = line.words.first() else {
        return usage("no setting specified");
    };
    if key != "private-address" && key != "public-address" {
        return usage(format!("unknown setting {key:?}"));
    }
    no_more(&line.words[1..])?;
    let address = session
        .model
        .units
        .get(&session.context.unit)
        .map(|unit| unit.address.clone());
    Ok(Answer::Shown(json!(address).into()))
}

pub(super) fn resource_get(line: &Line, session: &mut Session<'_>) -> Outcome {
    let Some(name) = line.words.first() else {
        return usage("missing required resource name");
    };
    no_more(&line.words[1..])?;
    let application = &session.model.application;
    let missing = format!(
        "could not download resource: HTTP request failed: resource#{application}/{name} not found"
    );
    let (Some(file), Some(content)) = (
        session.model.charm.resources.get(name),
        session.model.resources.get(name),
    ) else {
        return Err(Failure::Error(missing));
    };
    let path = format!(
        "/var/lib/juju/agents/{}/resources/{name}/{file}",
        tag(&session.context.unit)
    );
    session.files.write(&path, content)?;
    Ok(Answer::Raw(path))
}

/// One key's value or all of them, as `leader-get` and `relation-get` show settings.
pub(super) fn one_or_all(line: &Line, settings: &Settings) -> Outcome {
    let key = line.words.first().map_or("-", String::as_str);
    no_more(line.words.get(1..).unwrap_or_default())?;
    Ok(Answer::Shown(if key == "-" || key.is_empty() {
        json!(settings).into()
    } else {
        json!(settings.get(key)).into()
    }))
}
