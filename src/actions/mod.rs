//! Juju's actions: small programs over the same pieces as the hooks.

mod capture_state;
mod plan;
mod restart;
mod smoketest;
mod verify;

use anyhow::Result;

use crate::juju::{Context, tools};

/// Runs an action. A failed action is told to Juju and is no error.
///
/// # Errors
/// When Juju cannot be told.
pub fn run(name: &str, context: &Context) -> Result<()> {
    let failed = match name {
        "verify" => verify::run(context),
        "plan" => plan::run(context),
        "restart" => restart::run(context),
        "smoketest" => smoketest::run(context),
        "capture-state" => capture_state::run(context),
        _ => Ok(Some(format!("this charm has no action {name}"))),
    };
    match failed {
        Ok(None) => Ok(()),
        Ok(Some(message)) => tools::action_fail(&message),
        Err(error) => tools::action_fail(&format!("{name} could not be carried out: {error:#}")),
    }
}
