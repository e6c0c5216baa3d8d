//! `secret-get` and `secret-info-get`, for secrets that a person owns and has granted.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::{Answer, Failure, Line, Outcome, Session, error, no_more, usage};
use crate::juju::secrets::{Which, not_found, parse_uri};

pub(super) fn get(line: &Line, session: &mut Session<'_>) -> Outcome {
    let id = id(line)?;
    let label = line.value("label").filter(|label| !label.is_empty());
    if id.is_none() && label.is_none() {
        return usage("require either a secret URI or label");
    }
    let which = match (line.has("peek"), line.has("refresh")) {
        (true, true) => return usage("specify one of --peek or --refresh but not both"),
        (true, false) => Which::Peek,
        (false, true) => Which::Refresh,
        (false, false) => Which::Tracked,
    };
    no_more(line.words.get(2..).unwrap_or_default())?;

    let unit = session.context.unit.clone();
    let secrets = &mut session.model.secrets;
    let id = match (id, label) {
        (Some(id), _) => id,
        (None, Some(label)) => secrets
            .labelled(&unit, label)
            .ok_or_else(|| Failure::Error(format!("secret with label {label:?} not found")))?,
        (None, None) => return usage("require either a secret URI or label"),
    };
    let content = secrets.read(&unit, &id, which)?;
    if let Some(label) = label {
        secrets.set_label(&unit, &id, label)?;
    }
    let Some(key) = line.words.get(1) else {
        return Ok(Answer::Shown(json!(content).into()));
    };
    let (plain, encode) = match key.strip_suffix("#base64") {
        Some(plain) => (plain, true),
        None => (key.as_str(), false),
    };
    match content.get(plain) {
        Some(value) if encode => Ok(Answer::Shown(json!(STANDARD.encode(value)).into())),
        Some(value) => Ok(Answer::Shown(json!(value).into())),
        None => error(format!("secret key value {plain:?} not found")),
    }
}

/// Metadata is the owner's only, and the charm owns no secret here.
pub(super) fn info_get(line: &Line, _session: &mut Session<'_>) -> Outcome {
    no_more(line.words.get(1..).unwrap_or_default())?;
    match (id(line)?, line.value("label")) {
        (None, None) => usage("require either a secret URI or label"),
        (Some(_), Some(_)) => usage("specify either a secret URI or label but not both"),
        (Some(id), None) => error(not_found(&id)),
        (None, Some(label)) => error(not_found(label)),
    }
}

fn id(line: &Line) -> Result<Option<String>, Failure> {
    let Some(uri) = line.words.first() else {
        return Ok(None);
    };
    match parse_uri(uri) {
        Some(id) => Ok(Some(id)),
        None => usage(format!("secret URI {uri:?} not valid")),
    }
}
