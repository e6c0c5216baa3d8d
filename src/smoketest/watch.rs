//! Watches a cluster through Magnum's API: until it is complete, and until it is gone.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::api::CloudSession;
use super::failure::{Failure, Link, Stage, quote};
use super::progress::StopRequest;
use super::resource::CloudResource;

/// How often the log says that nothing has changed.
const SIGN_OF_LIFE: Duration = Duration::from_secs(60);
/// The time that the conductor may take to take up a cluster that the API has accepted.
const ACCEPTED_LIMIT: Duration = Duration::from_secs(60);
/// So many looks in a row may fail: a proxy is reloaded, or an API restarted. While a cluster comes or goes, Magnum
/// cannot always show it (400): it has no node groups yet, or they went first.
const FAILED_LOOKS: u32 = 15;

/// A cluster as Magnum shows it.
#[derive(Debug)]
pub struct SeenCluster {
    pub status: String,
    reason: String,
    pub updated_at: Value,
}

impl SeenCluster {
    pub fn failure(&self, stage: Stage) -> Failure {
        Failure::of_cluster(stage, &self.status, &self.reason)
    }
}

/// Looks at a cluster until `end` says for what is seen how the watch ends, and logs what changes.
///
/// # Errors
/// If `end` says so, it cannot be looked at, nobody has taken it up, or it has not come to an end within `limit`,
/// which depends on what the signals ask for; `None` stops at once.
pub fn watch(
    session: &mut CloudSession,
    stage: Stage,
    cluster: &CloudResource,
    limit: impl Fn(StopRequest) -> Option<Duration>,
    end: impl Fn(Option<&SeenCluster>) -> Option<Result<(), Failure>>,
) -> Result<(), Failure> {
    let began = Instant::now();
    let (mut last, mut logged, mut failed) = (String::new(), began, 0);
    loop {
        let request = session.progress.stop_request();
        let limit = limit(request).ok_or_else(|| Failure::stopped(stage))?;
        let elapsed = began.elapsed();
        let is_late = elapsed >= limit;
        match look(session, stage, cluster) {
            Err(failure) if failed >= FAILED_LOOKS || is_late => return Err(failure),
            Err(failure) => {
                // Once: while a cluster goes, this is usual.
                if failed == 0 {
                    session.progress.log(format!("{failure}; trying again"));
                }
                failed += 1;
            }
            Ok(seen) => {
                failed = 0;
                if let Some(SeenCluster { status, reason, .. }) = &seen
                    && (*status != last || logged.elapsed() >= SIGN_OF_LIFE)
                {
                    session.progress.log(format!("cluster is {status} {}", quote(reason)).trim_end());
                    (last, logged) = (status.clone(), Instant::now());
                }
                if let Some(end) = end(seen.as_ref()) {
                    return end;
                }
                match seen {
                    Some(SeenCluster { status, reason, .. }) if is_late => {
                        let state = format!("still {status} after {} s", limit.as_secs());
                        return Err(Failure::of_cluster(stage, &state, &reason));
                    }
                    None if is_late || elapsed > ACCEPTED_LIMIT => {
                        let message = "accepted by the API, but no conductor has taken it up";
                        return Err(Failure::new(stage, Link::Conductor, message));
                    }
                    Some(_) | None => {}
                }
            }
        }
        session.progress.pause(request);
    }
}

fn look(session: &mut CloudSession, stage: Stage, cluster: &CloudResource) -> Result<Option<SeenCluster>, Failure> {
    let shown = session.find(stage, &cluster.path())?;
    Ok(shown.map(|shown| {
        let text = |key: &str| session.redact(shown[key].as_str().unwrap_or_default());
        let updated_at = shown["updated_at"].clone();
        SeenCluster { status: quote(&text("status")), reason: text("status_reason"), updated_at }
    }))
}

/// Waits until a cluster is complete.
///
/// # Errors
/// If it fails, is not complete in time, cannot be looked at, or somebody stops the run.
pub fn wait_until_complete(session: &mut CloudSession, cluster: &CloudResource, seconds: u64) -> Result<(), Failure> {
    let stage = Stage::ClusterWait;
    let limit = |request| (request == StopRequest::None).then_some(Duration::from_secs(seconds));
    watch(session, stage, cluster, limit, |seen| {
        let seen = seen?;
        match seen.status.as_str() {
            "CREATE_COMPLETE" => Some(Ok(())),
            "CREATE_FAILED" => Some(Err(seen.failure(stage))),
            _ => None,
        }
    })
}
