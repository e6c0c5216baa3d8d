//! Removing what a run made. Whoever wants it to stop waits for this: otherwise it would stay for ever.

use std::time::{Duration, Instant};

use anyhow::Result;
use reqwest::Method;

use super::api::Session;
use super::{Failure, Stage};

/// How long Cluster API may take to remove machines, load balancer and network.
const LIMIT: Duration = Duration::from_secs(900);
const PAUSE: Duration = Duration::from_secs(2);
/// How long the conductor may take to try again what has failed before.
const TRIED_LIMIT: Duration = Duration::from_secs(60);
/// So many looks in a row may fail.
const FAILED_LOOKS: u32 = 15;

/// Deletes a cluster and waits until it is gone.
///
/// # Errors
/// A [`Failure`] when it stays.
pub fn cluster(session: &mut Session<'_>, id: &str) -> Result<()> {
    let stage = Stage::ClusterDelete;
    let path = format!("/clusters/{id}");
    let began = Instant::now();
    // A deletion that has failed before says so until the conductor has tried again.
    let before = session.look(stage, &path).ok().flatten();
    let before = before.map(|found| found["updated_at"].clone());
    if !delete(session, stage, &path)? {
        return Ok(());
    }
    let mut failed = 0;
    loop {
        let found = match session.look(stage, &path) {
            Ok(None) => return Ok(()),
            Ok(Some(found)) => found,
            // While a cluster goes, Magnum cannot always show it: its node groups go first, and
            // then "master_count" is 0, which it refuses (400).
            Err(error) if failed >= FAILED_LOOKS || !error.is::<Failure>() => return Err(error),
            Err(_) => {
                failed += 1;
                std::thread::sleep(PAUSE);
                continue;
            }
        };
        failed = 0;
        let text = |key: &str| found[key].as_str().unwrap_or_default();
        let is_news =
            before.as_ref() != Some(&found["updated_at"]) || began.elapsed() > TRIED_LIMIT;
        if text("status") == "DELETE_FAILED" && is_news {
            let said = session.blanked(text("status_reason"));
            return Err(Failure::of_cluster(stage, "DELETE_FAILED", &said, "").into());
        }
        if began.elapsed() > LIMIT {
            let said = format!("still {} after {} s", text("status"), LIMIT.as_secs());
            return Err(Failure::of_cluster(stage, "not deleted", &said, "").into());
        }
        std::thread::sleep(PAUSE);
    }
}

/// Deletes a template.
///
/// # Errors
/// A [`Failure`] when it stays.
pub fn template(session: &mut Session<'_>, id: &str) -> Result<()> {
    delete(
        session,
        Stage::TemplateDelete,
        &format!("/clustertemplates/{id}"),
    )
    .map(drop)
}

/// Whether there was something to delete.
fn delete(session: &mut Session<'_>, stage: Stage, path: &str) -> Result<bool> {
    // A proxy's reload, or a database that is locked for a moment, must not leave anything behind.
    let mut tries = 0;
    loop {
        tries += 1;
        match session.ask(stage, &Method::DELETE, path, None) {
            Ok(_) => return Ok(true),
            Err(error) => match error.downcast_ref::<Failure>() {
                Some(failure) if failure.status == 404 => return Ok(false),
                Some(failure) if failure.passes() && tries < 4 => std::thread::sleep(PAUSE),
                _ => return Err(error),
            },
        }
    }
}
