//! What earlier runs left, removed.

use anyhow::Result;
use reqwest::Method;
use serde_json::Value;

use super::api::Session;
use super::failure::Failure;
use super::names::Names;
use super::removal;
use super::stage::Stage;
use super::story::Story;
use super::thing::{Kind, Thing};

/// What could not be removed, and why.
#[derive(Debug, Default)]
pub struct Stuck {
    /// What stays.
    pub things: Vec<Thing>,
    /// The first reason.
    pub failure: Option<Failure>,
}

/// Removes what earlier runs left, as far as the session sees it, and tells what it was and what may be
/// left elsewhere. What cannot be removed keeps nobody from the rest of the run: it is given back.
///
/// # Errors
/// A [`Failure`] when Magnum does not say what is there; a fault when it cannot be written down.
pub fn clear(session: &mut Session<'_>, names: &mut Names, story: &mut Story) -> Result<Stuck> {
    let mut things = Vec::new();
    for kind in Kind::ALL {
        let path = format!("/{}", kind.collection());
        let listed = session.ask(Stage::Leftovers, &Method::GET, &path, None)?;
        things.extend(ours(kind, &listed, &names.prefix));
    }
    for thing in &things {
        story.tell(format!("{thing} is left from an earlier run"));
    }
    let mut left = things.clone();
    let failure = removal::remove(session, &mut left, story);
    things.retain(|thing| !left.iter().any(|stays| stays.name == thing.name));
    let removed: Vec<String> = things.into_iter().map(|thing| thing.name).collect();
    for run in names.seen(&session.project, &removed)? {
        story.tell(format!(
            "{} may still be there, in a project that this account does not see ({}): run the action \
             once with that one's credentials",
            run.name, run.account
        ));
    }
    Ok(Stuck {
        things: left,
        failure,
    })
}

/// What a list holds of this unit's runs.
fn ours(kind: Kind, listed: &Value, prefix: &str) -> Vec<Thing> {
    let all = listed[kind.collection()].as_array().into_iter().flatten();
    all.map(|shown| Thing::of(kind, shown))
        .filter(|thing| thing.id.is_some() && thing.name.starts_with(prefix))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_bears_this_units_name_is_a_leftover() {
        let listed = json!({"clusters": [
            {"uuid": "1", "name": "magnum-capi-helm-smoketest-aaaa-1"},
            {"uuid": "2", "name": "magnum-capi-helm-smoketest-bbbb-1"},
            {"uuid": "3", "name": "production"},
            {"uuid": "4", "name": null},
        ]});
        let found = ours(Kind::Cluster, &listed, "magnum-capi-helm-smoketest-aaaa-");
        let told: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["cluster magnum-capi-helm-smoketest-aaaa-1 (1)"]);
    }
}
