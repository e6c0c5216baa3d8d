//! The action `restart`: restarts what is due now, without waiting for this unit's turn.

use anyhow::Result;

use super::lines;
use crate::juju::{Context, tools};
use crate::reconcile;
use crate::services;
use crate::system::System;

/// Restarts, and sets what and why as results; `Some` says why not, or what is wrong afterwards.
pub fn run(system: &System, context: &Context) -> Result<Option<String>> {
    if services::inspect(system)?.iter().any(|observed| observed.unit.is_masked()) {
        let principal = &context.principal;
        return Ok(Some(format!("Magnum is paused on {principal}; resume it first")));
    }
    let outcome = reconcile::restart(system, context)?;
    let restarted = match outcome.restarted.is_empty() {
        true => "nothing was due".to_owned(),
        false => lines(&outcome.restarted),
    };
    let problems = context.with_names(&lines(&outcome.problems));
    tools::action_set(system, &[("restarted", restarted), ("problems", problems)])?;
    Ok(outcome.unhealthy.map(|problem| problem.to_string()))
}
