//! `relation-ids`, `relation-list`, `relation-get` and `relation-set`.
//!
//! A unit has at most one relation here: the container-scoped one to its principal.

use serde_json::json;

use super::super::format::Shown;
use super::{Answer, Failure, Line, Outcome, Session, error, no_more, settings, usage};
use crate::juju::model::{Relation, Settings, application_of};

pub(super) fn ids(line: &Line, session: &mut Session<'_>) -> Outcome {
    let default = session
        .context
        .relation
        .as_ref()
        .map(|relation| relation.endpoint.as_str());
    let Some(name) = line.words.first().map(String::as_str).or(default) else {
        return usage("no endpoint name specified");
    };
    no_more(line.words.get(1..).unwrap_or_default())?;
    let relation = relation_of(session).filter(|relation| relation.endpoint == name);
    Ok(Answer::Shown(Shown::Names(
        relation.map(Relation::fake_id).into_iter().collect(),
    )))
}

pub(super) fn list(line: &Line, session: &mut Session<'_>) -> Outcome {
    let relation = chosen(line, session)?;
    no_more(&line.words)?;
    if line.has("app") {
        let unit = session.model.units.get(&session.context.unit);
        return Ok(Answer::Shown(
            json!(unit.map(|unit| application_of(&unit.principal))).into(),
        ));
    }
    Ok(Answer::Shown(Shown::Names(
        relation.units.iter().cloned().collect(),
    )))
}

pub(super) fn get(line: &Line, session: &mut Session<'_>) -> Outcome {
    let relation = chosen(line, session)?.clone();
    let hook = session.context.relation.clone().unwrap_or_default();
    let (of, application) = match (line.words.get(1), line.has("app")) {
        (Some(name), true) => (application_of(name).to_owned(), true),
        (Some(name), false) if !name.contains('/') => {
            return usage(format!("expected unit name, got application name {name:?}"));
        }
        (Some(name), false) => (name.clone(), false),
        (None, true) if !hook.remote_application.is_empty() => (hook.remote_application, true),
        (None, false) => match hook.remote_unit {
            Some(unit) => (unit, false),
            None if !hook.remote_application.is_empty() => (hook.remote_application, true),
            None => return usage("no unit or application specified"),
        },
        (None, true) => return usage("no unit or application specified"),
    };
    no_more(line.words.get(2..).unwrap_or_default())?;

    let own = session.context.unit.clone();
    let principal = session
        .model
        .units
        .get(&own)
        .map(|unit| unit.principal.clone())
        .unwrap_or_default();
    let bag: Settings = if application && of == application_of(&own) {
        if !super::values::leads(session) {
            return error("permission denied");
        }
        application_settings(session).clone()
    } else if !application && of == own {
        unit_settings(session).clone()
    } else if application && of == application_of(&principal) {
        Settings::new()
    } else if of == principal {
        relation.remote
    } else {
        return error("permission denied");
    };
    let key = line
        .words
        .first()
        .filter(|key| *key != "-" && !key.is_empty());
    Ok(Answer::Shown(
        key.map_or_else(|| json!(bag), |key| json!(bag.get(key)))
            .into(),
    ))
}

pub(super) fn set(line: &Line, session: &mut Session<'_>) -> Outcome {
    chosen(line, session)?;
    let given = settings(line, session)?;
    let bag = if line.has("app") {
        if !super::values::leads(session) {
            return error("cannot write relation settings");
        }
        application_settings(session)
    } else {
        unit_settings(session)
    };
    for (key, value) in given {
        if value.is_empty() {
            bag.remove(&key);
        } else {
            bag.insert(key, value);
        }
    }
    Ok(Answer::Nothing)
}

fn relation_of<'s>(session: &'s Session<'_>) -> Option<&'s Relation> {
    session
        .model
        .units
        .get(&session.context.unit)?
        .relation
        .as_ref()
        .filter(|relation| relation.entered)
}

/// The relation that `-r` names, or the hook's.
fn chosen<'s>(line: &Line, session: &'s Session<'_>) -> Result<&'s Relation, Failure> {
    let invalid = |given: &str, why: &str| {
        Failure::Usage(format!("invalid value {given:?} for option -r: {why}"))
    };
    match line.value("r") {
        Some(given) => {
            let number = given.rsplit(':').next().unwrap_or_default();
            let id: u32 = number
                .parse()
                .map_err(|_| invalid(given, "invalid relation id"))?;
            relation_of(session)
                .filter(|relation| relation.id == id)
                .ok_or_else(|| invalid(given, "relation not found"))
        }
        None if session.context.relation.is_none() => usage("no relation id specified"),
        None => relation_of(session).ok_or_else(|| Failure::Error("relation not found".into())),
    }
}

fn unit_settings<'s>(session: &'s mut Session<'_>) -> &'s mut Settings {
    let stored = session
        .model
        .units
        .get(&session.context.unit)
        .and_then(|unit| unit.relation.as_ref());
    let stored = stored
        .map(|relation| relation.settings.clone())
        .unwrap_or_default();
    session.context.unit_settings.get_or_insert(stored)
}

fn application_settings<'s>(session: &'s mut Session<'_>) -> &'s mut Settings {
    let stored = session.model.application_settings.clone();
    session.context.application_settings.get_or_insert(stored)
}
