//! Waiting until a cluster is complete, or is known not to be.

use std::time::{Duration, Instant};

use super::api::Session;
use super::chain::{self, Link};
use super::conductor::Since;
use super::failure::{Failure, one_line};
use super::interrupt::{self, Wish};
use super::making::attentive;
use super::stage::Stage;
use super::story::Story;
use super::thing::Kind;

/// How often a cluster is looked at: Magnum itself asks the driver every ten seconds.
const PAUSE: Duration = Duration::from_secs(3);
/// How often whoever waits is told that nothing has changed.
const SIGN_OF_LIFE: Duration = Duration::from_secs(60);
/// How long the conductor may take to take a cluster up that the API has accepted.
const TAKEN_LIMIT: Duration = Duration::from_secs(60);
/// So many looks in a row may fail: a proxy is reloaded, an API restarted, or the cluster has no node
/// groups yet, without which Magnum cannot show it (400).
const FAILED_LOOKS: u32 = 5;

/// Waits until a cluster is complete.
///
/// # Errors
/// When it fails, is not complete in time, cannot be looked at, or when somebody wants this to stop.
pub fn wait(
    session: &mut Session<'_>,
    id: &str,
    limit: Duration,
    since: &Since,
    story: &mut Story,
) -> Result<(), Failure> {
    let stage = Stage::ClusterWait;
    let path = format!("/{}/{id}", Kind::Cluster.collection());
    let began = Instant::now();
    let (mut last, mut told, mut failed) = (String::new(), began, 0);
    loop {
        attentive(stage)?;
        let late = began.elapsed() >= limit;
        match session.look(stage, &path) {
            Ok(Some(found)) => {
                failed = 0;
                let text = |key: &str| found[key].as_str().unwrap_or_default();
                let (status, reason) = (text("status"), session.blanked(text("status_reason")));
                if status != last || told.elapsed() >= SIGN_OF_LIFE {
                    story.tell(format!("cluster is {status} {}", one_line(&reason)).trim_end());
                    (last, told) = (status.to_owned(), Instant::now());
                }
                match status {
                    "CREATE_COMPLETE" => return Ok(()),
                    "CREATE_FAILED" => {
                        let causes = causes(since, &reason, session, story);
                        return Err(Failure::of_cluster(stage, status, &reason, &causes));
                    }
                    _ if late => {
                        let causes = causes(since, "", session, story);
                        let what = format!("still {status} after {} s", limit.as_secs());
                        return Err(Failure::of_cluster(stage, &what, &reason, &causes));
                    }
                    _ => {}
                }
            }
            Ok(None) if late || began.elapsed() > TAKEN_LIMIT => {
                let what = "the API has accepted the cluster, and no conductor has taken it up";
                return Err(Failure::at(stage, Link::Conductor, what.to_owned()));
            }
            Ok(None) => {}
            Err(failure) => {
                failed += 1;
                if failed > FAILED_LOOKS || late {
                    return Err(failure);
                }
                story.tell(format!("{failure}; trying again"));
            }
        }
        interrupt::sleep(PAUSE.min(limit), Wish::Go);
    }
}

/// What the conductor's log adds to a reason that names a step alone, or to none.
fn causes(since: &Since, reason: &str, session: &Session<'_>, story: &mut Story) -> String {
    if !chain::needs_a_cause(reason) {
        return String::new();
    }
    match since.causes() {
        Ok(causes) => {
            let causes = session.blanked(&causes);
            for line in causes.lines() {
                story.tell(format!("magnum-conductor: {line}"));
            }
            causes
        }
        Err(error) => {
            story.tell(format!("the conductor's log cannot be read: {error:#}"));
            String::new()
        }
    }
}
