//! Removes what a run created, and what earlier runs left. Whoever wants a run to stop waits for this, but not for ever.

use std::time::Duration;

use anyhow::Result;
use reqwest::Method;
use serde_json::Value;

use super::api::Session;
use super::failure::{SmoketestFailure, Stage};
use super::progress::{Progress, StopRequest};
use super::resource::{CloudResource, ResourceKind};
use super::runs::Runs;
use super::watch::Watch;

/// The time that Cluster API may take to remove machines, load balancer and network.
const LIMIT: Duration = Duration::from_secs(900);
/// The same once somebody wants the run to stop: Juju's agent is given five minutes to end (`agentServiceTimeout` in its
/// package `service`).
const STOPPED_LIMIT: Duration = Duration::from_secs(240);
/// The time that the conductor may take to try again what has failed before.
const RETRY_LIMIT: Duration = Duration::from_secs(60);
/// So many looks in a row may fail. While a cluster goes, Magnum cannot always show it: its node groups go first, and
/// then "master_count" is 0, which it refuses (400).
const FAILED_LOOKS: u32 = 15;
/// So often a deletion is requested: a proxy's reload, or a database that is locked for a moment, must not leave
/// anything behind.
const TRIES: u32 = 4;

/// The leftovers that could not be removed, and the first reason.
#[derive(Debug, Default)]
pub struct RemainingLeftovers {
    pub resources: Vec<CloudResource>,
    pub failure: Option<SmoketestFailure>,
}

/// Removes what earlier runs left, as far as the account sees it, and logs what may be left elsewhere. What cannot be
/// removed does not keep the run from going on.
///
/// # Errors
/// A [`SmoketestFailure`] if Magnum does not list what exists; another error if the state file cannot be written.
pub fn remove_leftovers(
    session: &mut Session<'_>,
    runs: &mut Runs,
    progress: &mut Progress<'_>,
) -> Result<RemainingLeftovers> {
    let mut found = Vec::new();
    for kind in ResourceKind::ALL {
        let path = format!("/{}", kind.collection());
        let listed = session.request(Stage::Leftovers, &Method::GET, &path, None)?;
        found.extend(with_prefix(kind, &listed, &runs.prefix));
    }
    for resource in &found {
        progress.log(format!("{resource} is left from an earlier run"));
    }
    let mut resources = found.clone();
    let failure = remove(session, &mut resources, progress);
    let is_removed = |name: &str| !resources.iter().any(|left| left.name == name);
    let removed: Vec<String> = found
        .into_iter()
        .map(|found| found.name)
        .filter(|name| is_removed(name))
        .collect();
    for run in runs.forget(session.project(), &removed)? {
        progress.log(format!(
            "{} may still exist in a project that this account does not see ({}): run the action once with \
             credentials of that one",
            run.name, run.account
        ));
    }
    Ok(RemainingLeftovers { resources, failure })
}

/// Returns the resources of this unit's runs in a list of Magnum's.
fn with_prefix(kind: ResourceKind, listed: &Value, prefix: &str) -> Vec<CloudResource> {
    let all = listed[kind.collection()].as_array().into_iter().flatten();
    all.map(|shown| CloudResource::parse(kind, shown))
        .filter(|resource| resource.id.is_some() && resource.name.starts_with(prefix))
        .collect()
}

/// Removes these resources, clusters first, and takes what is gone from the list. Returns the first reason why something
/// stays.
pub fn remove(
    session: &mut Session<'_>,
    resources: &mut Vec<CloudResource>,
    progress: &mut Progress<'_>,
) -> Option<SmoketestFailure> {
    let mut first = None;
    let mut left: Vec<CloudResource> = Vec::new();
    for kind in ResourceKind::ALL {
        for resource in resources.iter().filter(|resource| resource.kind == kind) {
            // The template of a cluster that stays.
            if left.iter().any(|cluster| cluster.name == resource.name) {
                left.push(resource.clone());
                continue;
            }
            let removed = match kind {
                ResourceKind::Cluster => remove_cluster(session, resource, progress),
                ResourceKind::Template => {
                    delete(session, Stage::TemplateDelete, resource, progress).map(drop)
                }
            };
            match removed {
                Ok(()) => progress.log(format!("{resource} is gone")),
                Err(failure) => {
                    progress.log(format!("{resource} stays: {failure}"));
                    left.push(resource.clone());
                    first = first.or(Some(failure));
                }
            }
        }
    }
    *resources = left;
    first
}

/// Deletes a cluster and waits until it is gone.
fn remove_cluster(
    session: &mut Session<'_>,
    cluster: &CloudResource,
    progress: &mut Progress<'_>,
) -> Result<(), SmoketestFailure> {
    let stage = Stage::ClusterDelete;
    // A deletion that has failed before says so until the conductor has tried again.
    let before = session.find(stage, &cluster.path()).ok().flatten();
    let before = before.map(|shown| shown["updated_at"].clone());
    if !delete(session, stage, cluster, progress)? {
        return Ok(());
    }
    let mut watch = Watch::new(stage, cluster.path(), FAILED_LOOKS);
    loop {
        let limit = match progress.stop_request() {
            StopRequest::None => LIMIT,
            StopRequest::Stop => STOPPED_LIMIT,
            StopRequest::Abort => return Err(SmoketestFailure::stopped(stage)),
        };
        let is_late = watch.elapsed() > limit;
        match watch.look(session, progress, is_late)? {
            Some(None) => return Ok(()),
            Some(Some(seen)) => {
                let is_news =
                    before.as_ref() != Some(&seen.updated_at) || watch.elapsed() > RETRY_LIMIT;
                if seen.status == "DELETE_FAILED" && is_news {
                    return Err(SmoketestFailure::of_cluster(
                        stage,
                        &seen.status,
                        &seen.reason,
                    ));
                }
                if is_late {
                    let state = format!("still {} after {} s", seen.status, limit.as_secs());
                    return Err(SmoketestFailure::of_cluster(stage, &state, &seen.reason));
                }
            }
            None => {}
        }
        progress.pause(StopRequest::Stop);
    }
}

/// Requests the deletion of a resource. Returns whether there was one.
fn delete(
    session: &mut Session<'_>,
    stage: Stage,
    resource: &CloudResource,
    progress: &Progress<'_>,
) -> Result<bool, SmoketestFailure> {
    let mut tries = 0;
    loop {
        tries += 1;
        match session.request(stage, &Method::DELETE, &resource.path(), None) {
            Ok(_) => return Ok(true),
            Err(failure) if failure.status == 404 => return Ok(false),
            Err(failure)
                if failure.may_pass()
                    && tries < TRIES
                    && progress.stop_request() < StopRequest::Abort =>
            {
                progress.pause(StopRequest::Stop);
            }
            Err(failure) => return Err(failure),
        }
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
        let found = with_prefix(
            ResourceKind::Cluster,
            &listed,
            "magnum-capi-helm-smoketest-aaaa-",
        );
        let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["cluster magnum-capi-helm-smoketest-aaaa-1 (1)"]);
    }
}
