//! `secret-get`, for secrets that a person owns and has granted.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::{Answer, Line, Outcome, Session, error, no_more, usage};
use crate::juju::secrets::parse_uri;

pub(super) fn get(line: &Line, session: &mut Session<'_>) -> Outcome {
    let Some(uri) = line.words.first() else {
        return usage("require either a secret URI or label");
    };
    let Some(id) = parse_uri(uri) else {
        return usage(format!("secret URI {uri:?} not valid"));
    };
    no_more(line.words.get(2..).unwrap_or_default())?;
    let unit = &session.context.unit;
    let content = session.model.secrets.read(unit, &id, line.has("refresh"))?;
    let Some(key) = line.words.get(1) else {
        return Ok(Answer::Shown(json!(content).into()));
    };
    let plain = key.strip_suffix("#base64").unwrap_or(key);
    match content.get(plain) {
        Some(value) if plain != key => Ok(Answer::Shown(json!(STANDARD.encode(value)).into())),
        Some(value) => Ok(Answer::Shown(json!(value).into())),
        None => error(format!("secret key value {plain:?} not found")),
    }
}
