//! The way back: the unit as it was before the charm came.

use anyhow::Result;
use tracing::{debug, warn};

use crate::graft::apply::{Tools, apply};
use crate::graft::{Remains, Service, plan_departure};
use crate::settings::DISTRIBUTION;
use crate::unit::kept::Ledger;
use crate::unit::python::{self, Python};
use crate::unit::systemd::Job;
use crate::unit::{apt, state};

/// Brings the unit to what it was before the charm came. The caller holds the lock.
///
/// # Errors
/// When a step fails: the hook is to fail and be tried again.
pub fn depart() -> Result<()> {
    let mut ledger = Ledger::load()?;
    let python = Python::remembered()?;
    let site = python.as_ref().map(|python| python.site.as_path());
    let seen = Remains::look(site, &ledger)?;
    let steps = plan_departure(&seen);
    if steps.is_empty() {
        debug!("nothing of the graft is left on this unit");
    }
    if let Some(python) = python.filter(|_| seen.was_switched_on()) {
        tell_orphans(&python);
    }
    let mut tools = Tools {
        ledger: &mut ledger,
        supplies: None,
        restarts: Job::Done,
    };
    apply(&steps, &mut tools)?;
    apt::remove_ours()?;
    state::forget()
}

/// Names in the log the clusters that Magnum cannot manage without the driver. They themselves live on.
fn tell_orphans(python: &Python) {
    const MOST: usize = 20;
    let mut question = vec!["clusters", DISTRIBUTION];
    question.extend(Service::arguments_at_hand());
    let clusters: Vec<(String, String)> = match python.ask(&question) {
        Ok(clusters) => clusters,
        Err(error) => {
            let why = python::exception(&error);
            return warn!("which clusters lose their driver cannot be said: {why}");
        }
    };
    if clusters.is_empty() {
        return;
    }
    let named = clusters.iter().take(MOST);
    let named: Vec<String> = named
        .map(|(name, uuid)| format!("{name} ({uuid})"))
        .collect();
    let more = match clusters.len().saturating_sub(MOST) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    warn!(
        "{} clusters made through Cluster API lose their driver on this unit; they live on, and \
         Magnum can manage them again when the charm is back: {}{more}",
        clusters.len(),
        named.join(", ")
    );
}
