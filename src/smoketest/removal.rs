//! Removing what was made. Whoever wants a run to stop waits for this, but not for ever.

use std::time::{Duration, Instant};

use reqwest::Method;

use super::api::Session;
use super::failure::{Failure, one_line};
use super::interrupt::{self, Wish};
use super::stage::Stage;
use super::story::Story;
use super::thing::{Kind, Thing};

/// How long Cluster API may take to remove machines, load balancer and network.
const LIMIT: Duration = Duration::from_secs(900);
/// The same when somebody wants the run to stop: Juju's agent is given five minutes to end
/// (`agentServiceTimeout` in its package `service`).
const STOPPED_LIMIT: Duration = Duration::from_secs(240);
const PAUSE: Duration = Duration::from_secs(2);
/// How often whoever waits is told that nothing has changed.
const SIGN_OF_LIFE: Duration = Duration::from_secs(60);
/// How long the conductor may take to try again what has failed before.
const TRIED_LIMIT: Duration = Duration::from_secs(60);
/// So many looks in a row may fail.
const FAILED_LOOKS: u32 = 15;
/// So often a deletion is asked for: a proxy's reload, or a database that is locked for a moment, must
/// not leave anything behind.
const TRIES: u32 = 4;

/// Removes these, clusters first. What is gone is taken from the list; what stays is told, and why, and the
/// first reason is given back.
pub fn remove(
    session: &mut Session<'_>,
    things: &mut Vec<Thing>,
    story: &mut Story,
) -> Option<Failure> {
    let mut first = None;
    let mut left: Vec<Thing> = Vec::new();
    for kind in Kind::ALL {
        for thing in things.iter().filter(|thing| thing.kind == kind) {
            if left.iter().any(|cluster| cluster.name == thing.name) {
                left.push(thing.clone());
                continue;
            }
            let went = match kind {
                Kind::Cluster => cluster(session, thing, story),
                Kind::Template => delete(session, Stage::TemplateDelete, &thing.path()).map(drop),
            };
            match went {
                Ok(()) => story.tell(format!("{thing} is gone")),
                Err(failure) => {
                    story.tell(format!("{thing} stays: {failure}"));
                    left.push(thing.clone());
                    first = first.or(Some(failure));
                }
            }
        }
    }
    *things = left;
    first
}

/// Deletes a cluster and waits until it is gone.
fn cluster(session: &mut Session<'_>, thing: &Thing, story: &mut Story) -> Result<(), Failure> {
    let stage = Stage::ClusterDelete;
    let path = thing.path();
    let began = Instant::now();
    // A deletion that has failed before says so until the conductor has tried again.
    let before = session.look(stage, &path).ok().flatten();
    let before = before.map(|found| found["updated_at"].clone());
    if !delete(session, stage, &path)? {
        return Ok(());
    }
    let (mut last, mut told, mut failed) = (String::new(), began, 0);
    loop {
        let limit = match interrupt::wish() {
            Wish::Go => LIMIT,
            Wish::Stop => STOPPED_LIMIT,
            Wish::End => return Err(Failure::interrupted(stage)),
        };
        let late = began.elapsed() > limit;
        match session.look(stage, &path) {
            Ok(None) => return Ok(()),
            // While a cluster goes, Magnum cannot always show it: its node groups go first, and
            // then "master_count" is 0, which it refuses (400).
            Err(failure) => {
                failed += 1;
                if failed > FAILED_LOOKS || late {
                    return Err(failure);
                }
            }
            Ok(Some(found)) => {
                failed = 0;
                let text = |key: &str| found[key].as_str().unwrap_or_default();
                let (status, reason) = (text("status"), session.blanked(text("status_reason")));
                let is_news =
                    before.as_ref() != Some(&found["updated_at"]) || began.elapsed() > TRIED_LIMIT;
                if status == "DELETE_FAILED" && is_news {
                    return Err(Failure::of_cluster(stage, status, &reason, ""));
                }
                if late {
                    let what = format!("still {status} after {} s", limit.as_secs());
                    return Err(Failure::of_cluster(stage, &what, &reason, ""));
                }
                if status != last || told.elapsed() >= SIGN_OF_LIFE {
                    let line = format!("cluster is {status} {}", one_line(&reason));
                    story.tell(line.trim_end());
                    (last, told) = (status.to_owned(), Instant::now());
                }
            }
        }
        interrupt::sleep(PAUSE, Wish::Stop);
    }
}

/// Whether there was something to delete.
fn delete(session: &mut Session<'_>, stage: Stage, path: &str) -> Result<bool, Failure> {
    let mut tries = 0;
    loop {
        tries += 1;
        match session.ask(stage, &Method::DELETE, path, None) {
            Ok(_) => return Ok(true),
            Err(failure) if failure.status == 404 => return Ok(false),
            Err(failure) if failure.passes() && tries < TRIES && interrupt::wish() < Wish::End => {
                interrupt::sleep(PAUSE, Wish::Stop);
            }
            Err(failure) => return Err(failure),
        }
    }
}
