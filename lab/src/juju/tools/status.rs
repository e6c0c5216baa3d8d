//! `status-set`, `status-get`, `application-version-set` and `juju-log`: they act at once, whatever
//! becomes of the hook.

use serde_json::{Value, json};

use super::{Answer, Line, Outcome, Session, error, no_more, usage};

const KINDS: [&str; 4] = ["maintenance", "blocked", "waiting", "active"];

pub(super) fn set(line: &Line, session: &mut Session<'_>) -> Outcome {
    let Some(kind) = line.words.first() else {
        return usage("invalid args, require <status> [message]");
    };
    if !KINDS.contains(&kind.as_str()) {
        return usage(format!("invalid status {kind:?}, expected one of [{}]", KINDS.join(" ")));
    }
    no_more(line.words.get(2..).unwrap_or_default())?;
    let status = (kind.clone(), line.words.get(1).cloned().unwrap_or_default());
    if line.has("application") {
        if !super::values::leads(session) {
            return error("setting application status: this unit is not the leader");
        }
        session.model.application_status = status;
    } else if let Some(unit) = session.model.units.get_mut(&session.context.unit) {
        unit.history.push(status.clone());
        unit.status = status;
    }
    Ok(Answer::Nothing)
}

pub(super) fn get(line: &Line, session: &mut Session<'_>) -> Outcome {
    no_more(&line.words)?;
    let application = line.has("application");
    if application && !super::values::leads(session) {
        return error("finding application status: this unit is not the leader");
    }
    let unit = session.model.units.get(&session.context.unit);
    let (kind, message) = match unit {
        Some(unit) if !application => &unit.status,
        _ => &session.model.application_status,
    };
    let details = |kind: &str, message: &str| -> Value {
        if line.has("include-data") {
            json!({"status": kind, "message": message, "status-data": {}})
        } else {
            json!({"status": kind})
        }
    };
    if !line.has("include-data") && session.format == super::Format::Smart {
        return Ok(Answer::Shown(json!(kind).into()));
    }
    let mut shown = details(kind, message);
    if application {
        let units =
            session.model.units.iter().map(|(name, unit)| (name.clone(), details(&unit.status.0, &unit.status.1)));
        shown["units"] = units.collect::<serde_json::Map<_, _>>().into();
        shown = json!({"application-status": shown});
    }
    Ok(Answer::Shown(shown.into()))
}

pub(super) fn version_set(line: &Line, session: &mut Session<'_>) -> Outcome {
    let Some(version) = line.words.first() else {
        return usage("no version specified");
    };
    no_more(&line.words[1..])?;
    if let Some(unit) = session.model.units.get_mut(&session.context.unit) {
        unit.version.clone_from(version);
    }
    Ok(Answer::Nothing)
}

pub(super) fn log(line: &Line, session: &mut Session<'_>) -> Outcome {
    if line.words.is_empty() {
        return usage("no message specified");
    }
    let given = line.value("l").unwrap_or("INFO");
    let level = match given.to_uppercase().as_str() {
        _ if line.has("debug") => "DEBUG",
        "TRACE" => "TRACE",
        "DEBUG" => "DEBUG",
        "INFO" => "INFO",
        "WARN" | "WARNING" => "WARNING",
        "ERROR" => "ERROR",
        "CRITICAL" => "CRITICAL",
        _ => {
            let complaint = format!("Specified log level of {given:?} is not valid");
            session.context.log.push(("WARNING".into(), complaint));
            "INFO"
        }
    };
    let relation = session.context.relation.as_ref();
    let prefix = relation.map(|relation| format!("{}:{}: ", relation.endpoint, relation.id)).unwrap_or_default();
    session.context.log.push((level.into(), format!("{prefix}{}", line.words.join(" "))));
    Ok(Answer::Nothing)
}
