//! The action `restart`: what is due for a restart is restarted now, whoever's turn it is.

use anyhow::Result;

use crate::graft::services;
use crate::health::Health;
use crate::hook;
use crate::juju::{Context, tools};

/// Restarts, and sets what and why as results; `Some` says why not, or what is wrong afterwards.
pub fn run(context: &Context) -> Result<Option<String>> {
    if services::look()?.iter().any(|seen| seen.unit.is_masked()) {
        return Ok(Some(format!(
            "magnum is paused on {}; resume it first",
            context.principal
        )));
    }
    let outcome = hook::restart(context)?;
    let lines: Vec<String> = outcome
        .restarted
        .iter()
        .map(|(service, why)| format!("{}: {why}", service.name()))
        .collect();
    let restarted = match lines.as_slice() {
        [] => "nothing was due".to_owned(),
        lines => lines.join("\n"),
    };
    let problems: Vec<String> = outcome
        .problems
        .iter()
        .map(|problem| context.typed(&problem.to_string()))
        .collect();
    tools::action_set(&[("restarted", restarted), ("problems", problems.join("\n"))])?;
    Ok(match outcome.health {
        Health::Ill(why) => Some(why),
        _ => None,
    })
}
