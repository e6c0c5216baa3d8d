//! Juju's actions: thin programs over the same pieces as the hooks.

mod capture_state;
mod plan;
mod restart;

use anyhow::Result;

use crate::audit;
use crate::escape;
use crate::juju::{Context, tools};
use crate::smoketest;
use crate::system::System;
use crate::verify::verify;

/// Runs an action. One that fails is marked as failed in Juju and is no error.
///
/// # Errors
/// If a hook tool fails.
pub fn run(system: &System, name: &str, context: &Context) -> Result<()> {
    let failure = match name {
        "verify" => run_verify(system, context),
        "plan" => plan::run(system, context),
        "restart" => restart::run(system, context),
        "smoketest" => smoketest::run(system, context),
        "capture-state" => capture_state::run(system, context),
        _ => Ok(Some(format!("this charm has no action {name}"))),
    };
    match failure {
        Ok(None) => Ok(()),
        Ok(Some(message)) => tools::action_fail(system, &message),
        Err(error) => tools::action_fail(system, &format!("{name} failed: {error:#}")),
    }
}

/// The action `verify`: `Some` names the checks that failed.
fn run_verify(system: &System, context: &Context) -> Result<Option<String>> {
    let report = verify(system, context)?;
    let mut results = report.results()?;
    results.push(("record", escape::json(serde_json::to_value(audit::read(&system.root))?)));
    tools::action_set(system, &results)?;
    Ok(report.failure())
}

fn lines(items: &[impl ToString]) -> String {
    let lines: Vec<String> = items.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

#[cfg(test)]
mod whole_tests;
