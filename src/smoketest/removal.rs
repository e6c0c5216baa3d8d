//! Removes what a run created, and what earlier runs left. Whoever wants a run to stop waits for this, but not for ever.

use std::time::{Duration, Instant};

use anyhow::Result;
use reqwest::Method;
use serde_json::Value;

use super::api::CloudSession;
use super::failure::{Failure, Link, Stage};
use super::progress::StopRequest;
use super::resource::{CloudResource, ResourceKind};
use super::runs::{Runs, UnfinishedRun};
use super::watch::watch;

/// The time that Cluster API may take to remove machines, load balancer and network.
const LIMIT: Duration = Duration::from_secs(900);
/// The same once somebody wants the run to stop: Juju's agent is given five minutes to end (`agentServiceTimeout` in its
/// package `service`).
const STOPPED_LIMIT: Duration = Duration::from_secs(240);
/// The time that the conductor may take to try again what has failed before.
const RETRY_LIMIT: Duration = Duration::from_secs(60);
/// How often a deletion is requested: a proxy's reload, or a database that is locked for a moment, must not leave
/// anything behind.
const TRIES: u32 = 4;
/// So many resources are asked for at a time: a list of all that Magnum gives (1000, its `max_limit`) may be too long.
const PAGE: usize = 100;
const MOST_PAGES: usize = 100;

/// The resources that could not be removed, and the first reason.
#[derive(Debug, Default)]
pub struct Remaining {
    pub resources: Vec<CloudResource>,
    pub failure: Option<Failure>,
}

/// Removes what earlier runs left, as far as the account sees it, and logs what may be left elsewhere. What cannot be
/// removed does not keep the run from going on.
///
/// # Errors
/// A [`Failure`] if Magnum does not list what exists; another error if the state file cannot be written.
pub fn remove_leftovers(session: &mut CloudSession, runs: &mut Runs) -> Result<Remaining> {
    let mut found = Vec::new();
    for kind in ResourceKind::ALL {
        found.extend(leftovers(session, kind, &runs.prefix)?);
    }
    for resource in &found {
        session.progress.log(format!("{resource} is left from an earlier run"));
    }
    let remaining = remove(session, &found);
    found.retain(|found| remaining.resources.iter().all(|left| left.name != found.name));
    for UnfinishedRun { name, account, .. } in runs.forget(&session.project, &found)? {
        session.progress.log(format!(
            "{name} may still exist in a project that this account does not see ({account}): run \
             the action once with credentials of that one"
        ));
    }
    Ok(remaining)
}

/// Asks Magnum for the resources of this unit's runs, page by page.
fn leftovers(session: &mut CloudSession, kind: ResourceKind, prefix: &str) -> Result<Vec<CloudResource>, Failure> {
    let collection = kind.collection();
    let failed = |what: &str| Failure::new(Stage::Leftovers, Link::MagnumApi, &format!("{collection} {what}"));
    let (mut found, mut marker) = (Vec::new(), String::new());
    for _ in 0..MOST_PAGES {
        if session.progress.stop_request() > StopRequest::None {
            return Err(Failure::stopped(Stage::Leftovers));
        }
        let path = format!("{collection}?limit={PAGE}{marker}");
        let listed = session.request(Stage::Leftovers, &Method::GET, &path, None)?;
        let page = listed[collection].as_array().ok_or_else(|| failed("are not in the answer"))?;
        found.extend(with_prefix(kind, page, prefix));
        // Magnum adds a link if there may be more.
        if !listed["next"].is_string() {
            return Ok(found);
        }
        let last = page.last().and_then(|shown| shown["uuid"].as_str());
        marker = format!("&marker={}", last.unwrap_or_default());
    }
    Err(failed(&format!("have more than {MOST_PAGES} pages of {PAGE}")))
}

/// Returns the resources of this unit's runs on a page of Magnum's.
pub(crate) fn with_prefix(kind: ResourceKind, page: &[Value], prefix: &str) -> Vec<CloudResource> {
    page.iter()
        .map(|shown| CloudResource::parse(kind, shown))
        .filter(|resource| resource.id.is_some() && is_of_run(&resource.name, prefix))
        .collect()
}

/// Whether a name is one that a run of this unit gives: the prefix and some digits.
fn is_of_run(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix).is_some_and(|digits| digits.chars().all(|digit| digit.is_ascii_hexdigit()))
}

/// Removes these resources, clusters first.
pub fn remove(session: &mut CloudSession, resources: &[CloudResource]) -> Remaining {
    let mut remaining = Remaining::default();
    let of_kind = |kind| resources.iter().filter(move |resource| resource.kind == kind);
    for resource in ResourceKind::ALL.into_iter().flat_map(of_kind) {
        // The template of a cluster that stays.
        if remaining.resources.iter().any(|cluster| cluster.name == resource.name) {
            remaining.resources.push(resource.clone());
            continue;
        }
        let removed = match resource.kind {
            ResourceKind::Cluster => remove_cluster(session, resource),
            ResourceKind::Template => delete(session, Stage::TemplateDelete, resource),
        };
        match removed {
            Ok(()) => session.progress.log(format!("{resource} is gone")),
            Err(failure) => {
                session.progress.log(format!("{resource} stays: {failure}"));
                remaining.resources.push(resource.clone());
                remaining.failure.get_or_insert(failure);
            }
        }
    }
    remaining
}

/// Deletes a cluster and waits until it is gone.
fn remove_cluster(session: &mut CloudSession, cluster: &CloudResource) -> Result<(), Failure> {
    let stage = Stage::ClusterDelete;
    // A deletion that has failed before says so until the conductor has tried again.
    let before = session.find(stage, &cluster.path()).ok().flatten();
    let before = before.map(|shown| shown["updated_at"].clone());
    delete(session, stage, cluster)?;
    let began = Instant::now();
    let limit = |request| match request {
        StopRequest::None => Some(LIMIT),
        StopRequest::Stop => Some(STOPPED_LIMIT),
        StopRequest::Abort => None,
    };
    watch(session, stage, cluster, limit, |seen| {
        let Some(seen) = seen else { return Some(Ok(())) };
        let is_news = before.as_ref() != Some(&seen.updated_at) || began.elapsed() > RETRY_LIMIT;
        (seen.status == "DELETE_FAILED" && is_news).then(|| Err(seen.failure(stage)))
    })
}

/// Requests the deletion of a resource, which may be gone already.
fn delete(session: &mut CloudSession, stage: Stage, resource: &CloudResource) -> Result<(), Failure> {
    let mut tries = 1;
    loop {
        match session.request(stage, &Method::DELETE, &resource.path(), None) {
            Err(failure) if failure.status == 404 => return Ok(()),
            // No answer, or an error of Magnum's own.
            Err(Failure { status: 0 | 500.., .. }) if tries < TRIES => {}
            answer => return answer.map(drop),
        }
        if session.progress.stop_request() == StopRequest::Abort {
            return Err(Failure::stopped(stage));
        }
        tries += 1;
        session.progress.pause(StopRequest::Stop);
    }
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
        let page = listed["clusters"].as_array().unwrap();
        let found = with_prefix(ResourceKind::Cluster, page, "magnum-capi-helm-smoketest-aaaa-");
        let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["cluster magnum-capi-helm-smoketest-aaaa-1 (1)"]);
    }
}
