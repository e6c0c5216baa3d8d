//! The action `restart`: restarts what is due now, without waiting for this unit's turn.

use anyhow::Result;

use crate::juju::{Context, tools};
use crate::reconcile;
use crate::services::{self, Health};
use crate::system::System;

/// Restarts, and sets what and why as results; `Some` says why not, or what is wrong afterwards.
pub fn run(system: &System, context: &Context) -> Result<Option<String>> {
    if services::inspect(system)?.iter().any(|observed| observed.unit.is_masked()) {
        let principal = &context.principal;
        return Ok(Some(format!("Magnum is paused on {principal}; resume it first")));
    }
    let outcome = reconcile::restart(system, context)?;
    let lines: Vec<String> =
        outcome.restarted.iter().map(|due| format!("{}: {}", due.service.name(), due.why)).collect();
    let restarted = match lines.is_empty() {
        true => "nothing was due".to_owned(),
        false => lines.join("\n"),
    };
    let problems = outcome.problems.iter().map(|problem| context.with_names(&problem.to_string()));
    let problems = problems.collect::<Vec<_>>().join("\n");
    tools::action_set(system, &[("restarted", restarted), ("problems", problems)])?;
    Ok(match outcome.health {
        Health::Unhealthy(problem) => Some(problem.to_string()),
        _ => None,
    })
}
