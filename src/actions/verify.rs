//! The action `verify`: every check, told to people and to machines. Changes nothing.

use anyhow::Result;

use crate::juju::{Context, tools};
use crate::verify::{Report, Scene};

/// Runs every check and sets the results; `Some` names the checks that failed.
pub fn run(context: &Context) -> Result<Option<String>> {
    let report = Report::of(&Scene::look(context)?);
    tools::action_set(&report.results())?;
    Ok(report.failure())
}
