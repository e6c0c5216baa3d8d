//! Watches a cluster through Magnum's API: until it is complete, and until it is gone.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::api::Session;
use super::failure::{Link, SmoketestFailure, Stage, quote};
use super::progress::{Progress, StopRequest};
use super::resource::{ResourceKind, stop_if_asked};

/// How often the log says that nothing has changed.
const SIGN_OF_LIFE: Duration = Duration::from_secs(60);
/// The time that the conductor may take to take up a cluster that the API has accepted.
const ACCEPTED_LIMIT: Duration = Duration::from_secs(60);
/// So many looks in a row may fail: a proxy is reloaded, an API restarted, or the cluster has no node groups yet,
/// without which Magnum cannot show it (400).
const FAILED_LOOKS: u32 = 5;

/// A cluster as Magnum shows it.
#[derive(Debug)]
pub struct SeenCluster {
    pub status: String,
    pub reason: String,
    pub updated_at: Value,
}

/// Looks at a cluster again and again, and logs what changes.
#[derive(Debug)]
pub struct Watch {
    stage: Stage,
    path: String,
    began: Instant,
    last_status: String,
    logged: Instant,
    failed: u32,
    may_fail: u32,
}

impl Watch {
    /// `may_fail` looks in a row may fail.
    pub fn new(stage: Stage, path: String, may_fail: u32) -> Self {
        let now = Instant::now();
        Self {
            stage,
            path,
            began: now,
            last_status: String::new(),
            logged: now,
            failed: 0,
            may_fail,
        }
    }

    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Looks once: `None` if the look failed and the next may not, `Some(None)` if there is no such cluster.
    ///
    /// # Errors
    /// If too many looks have failed, or this was the last.
    pub fn look(
        &mut self,
        session: &mut Session<'_>,
        progress: &mut Progress<'_>,
        is_last: bool,
    ) -> Result<Option<Option<SeenCluster>>, SmoketestFailure> {
        let shown = match session.find(self.stage, &self.path) {
            Ok(shown) => shown,
            Err(failure) => {
                self.failed += 1;
                if self.failed > self.may_fail || is_last {
                    return Err(failure);
                }
                // Once: while a cluster goes, this is usual.
                if self.failed == 1 {
                    progress.log(format!("{failure}; trying again"));
                }
                return Ok(None);
            }
        };
        self.failed = 0;
        let Some(shown) = shown else {
            return Ok(Some(None));
        };
        let text = |key: &str| shown[key].as_str().unwrap_or_default();
        let (status, reason) = (quote(text("status")), session.redact(text("status_reason")));
        if status != self.last_status || self.logged.elapsed() >= SIGN_OF_LIFE {
            progress.log(format!("cluster is {status} {}", quote(&reason)).trim_end());
            (self.last_status, self.logged) = (status.clone(), Instant::now());
        }
        Ok(Some(Some(SeenCluster {
            status,
            reason,
            updated_at: shown["updated_at"].clone(),
        })))
    }
}

/// Waits until a cluster is complete.
///
/// # Errors
/// If it fails, is not complete in time, cannot be looked at, or somebody stops the run.
pub fn wait_until_complete(
    session: &mut Session<'_>,
    id: &str,
    limit: Duration,
    progress: &mut Progress<'_>,
) -> Result<(), SmoketestFailure> {
    let stage = Stage::ClusterWait;
    let mut watch = Watch::new(
        stage,
        format!("/{}/{id}", ResourceKind::Cluster.collection()),
        FAILED_LOOKS,
    );
    loop {
        stop_if_asked(stage, progress)?;
        let is_late = watch.elapsed() >= limit;
        match watch.look(session, progress, is_late)? {
            Some(Some(seen)) => match seen.status.as_str() {
                "CREATE_COMPLETE" => return Ok(()),
                "CREATE_FAILED" => {
                    return Err(SmoketestFailure::of_cluster(
                        stage,
                        &seen.status,
                        &seen.reason,
                    ));
                }
                status if is_late => {
                    let state = format!("still {status} after {} s", limit.as_secs());
                    return Err(SmoketestFailure::of_cluster(stage, &state, &seen.reason));
                }
                _ => {}
            },
            Some(None) if is_late || watch.elapsed() > ACCEPTED_LIMIT => {
                let message = "the API has accepted the cluster, and no conductor has taken it up";
                return Err(SmoketestFailure::new(stage, Link::Conductor, message));
            }
            Some(None) | None => {}
        }
        progress.pause(StopRequest::None);
    }
}
