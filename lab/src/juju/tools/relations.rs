//! `relation-ids`, `relation-list`, `relation-get` and `relation-set`.
//!
//! A unit has at most two relations here: the container-scoped one to its principal, and the one to
//! the other units of its application.

use serde_json::json;

use super::super::format::Shown;
use super::{Answer, Failure, Line, Outcome, Session, error, no_more, settings, usage};
use crate::juju::model::{Settings, application_of};

/// A relation as the unit sees it.
struct Side {
    id: u32,
    endpoint: String,
    peers: bool,
}

pub(super) fn ids(line: &Line, session: &mut Session<'_>) -> Outcome {
    let default = session.context.relation.as_ref().map(|relation| relation.endpoint.as_str());
    let Some(name) = line.words.first().map(String::as_str).or(default) else {
        return usage("no endpoint name specified");
    };
    no_more(line.words.get(1..).unwrap_or_default())?;
    let sides = sides(session).into_iter();
    let named = sides.filter(|side| side.endpoint == name);
    Ok(Answer::Shown(Shown::Names(named.map(|side| format!("{}:{}", side.endpoint, side.id)).collect())))
}

pub(super) fn list(line: &Line, session: &mut Session<'_>) -> Outcome {
    let relation = chosen(line, session)?;
    no_more(&line.words)?;
    let unit = session.model.units.get(&session.context.unit);
    if line.has("app") {
        let principal = unit.map(|unit| application_of(&unit.principal));
        let application = application_of(&session.context.unit);
        let shown = if relation.peers { Some(application) } else { principal };
        return Ok(Answer::Shown(json!(shown).into()));
    }
    let names = match unit {
        Some(unit) if relation.peers => unit.peer.members.keys().cloned().collect(),
        Some(unit) => unit.relation.iter().flat_map(|r| r.units.clone()).collect(),
        None => Vec::new(),
    };
    Ok(Answer::Shown(Shown::Names(names)))
}

pub(super) fn get(line: &Line, session: &mut Session<'_>) -> Outcome {
    let relation = chosen(line, session)?;
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
    let unit = session.model.units.get(&own);
    let principal = unit.map(|unit| unit.principal.clone()).unwrap_or_default();
    let leads = super::values::leads(session);
    let peer = relation.peers && application_of(&of) == application_of(&own);
    let bag: Settings = if application && of == application_of(&own) && leads {
        application_settings(session, &relation).clone()
    } else if !application && of == own {
        unit_settings(session, &relation).clone()
    } else if peer {
        // Also the application's: in a peer relation it is the other side's as well.
        match session.model.read_peer(&own, &of) {
            Some(bag) => bag,
            None => return error("permission denied"),
        }
    } else if application && of == application_of(&principal) && !relation.peers {
        Settings::new()
    } else if of == principal && !relation.peers {
        let unit = session.model.units.get(&own);
        let relation = unit.and_then(|unit| unit.relation.as_ref());
        relation.map(|relation| relation.remote.clone()).unwrap_or_default()
    } else {
        return error("permission denied");
    };
    let key = line.words.first().filter(|key| *key != "-" && !key.is_empty());
    Ok(Answer::Shown(key.map_or_else(|| json!(bag), |key| json!(bag.get(key))).into()))
}

pub(super) fn set(line: &Line, session: &mut Session<'_>) -> Outcome {
    let relation = chosen(line, session)?;
    let given = settings(line)?;
    let bag = if line.has("app") {
        if !super::values::leads(session) {
            return error("cannot write relation settings");
        }
        session.context.wrote_as_leader |= !given.is_empty();
        application_settings(session, &relation)
    } else {
        unit_settings(session, &relation)
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

/// The relations whose first hook has started.
fn sides(session: &Session<'_>) -> Vec<Side> {
    let Some(unit) = session.model.units.get(&session.context.unit) else {
        return Vec::new();
    };
    let principal = unit.relation.iter().filter(|relation| relation.entered);
    let principal =
        principal.map(|relation| Side { id: relation.id, endpoint: relation.endpoint.clone(), peers: false });
    let peers = session.model.peers.iter().filter(|_| unit.peer.entered);
    let peers = peers.map(|peers| Side { id: peers.id, endpoint: peers.endpoint.clone(), peers: true });
    principal.chain(peers).collect()
}

/// The relation that `-r` names, or the hook's.
fn chosen(line: &Line, session: &Session<'_>) -> Result<Side, Failure> {
    let invalid = |given: &str, why: &str| Failure::Usage(format!("invalid value {given:?} for option -r: {why}"));
    let with = |id| sides(session).into_iter().find(|side| side.id == id);
    match (line.value("r"), &session.context.relation) {
        (Some(given), _) => {
            let number = given.rsplit(':').next().unwrap_or_default();
            let id: u32 = number.parse().map_err(|_| invalid(given, "invalid relation id"))?;
            with(id).ok_or_else(|| invalid(given, "relation not found"))
        }
        (None, None) => usage("no relation id specified"),
        (None, Some(hook)) => with(hook.id).ok_or_else(|| Failure::Error("relation not found".into())),
    }
}

fn unit_settings<'s>(session: &'s mut Session<'_>, side: &Side) -> &'s mut Settings {
    let unit = session.model.units.get(&session.context.unit);
    let stored = || match unit {
        Some(unit) if side.peers => unit.peer.settings.clone(),
        Some(unit) => unit.relation.as_ref().map(|relation| relation.settings.clone()).unwrap_or_default(),
        None => Settings::new(),
    };
    let buffered = session.context.unit_settings.entry(side.id);
    buffered.or_insert_with(stored)
}

fn application_settings<'s>(session: &'s mut Session<'_>, side: &Side) -> &'s mut Settings {
    let model = &session.model;
    let stored = || match &model.peers {
        Some(peers) if side.peers => peers.settings.clone(),
        _ => model.application_settings.clone(),
    };
    let buffered = session.context.application_settings.entry(side.id);
    buffered.or_insert_with(stored)
}
