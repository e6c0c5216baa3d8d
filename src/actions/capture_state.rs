//! The action `capture-state`: collects diagnostics into one archive on the unit.

use anyhow::Result;

use crate::capture::{self, Inputs};
use crate::juju::{Context, tools};
use crate::reconcile::dry_run;
use crate::system::System;
use crate::verify::verify;

/// Captures, and sets where the archive is as results.
pub fn run(system: &System, context: &Context) -> Result<Option<String>> {
    let inputs = Inputs {
        versions: format!("unit {}\ncharm {}\n", context.unit, context.charm),
        plan: planned(system, context),
        verify: verify(system, context).map(|report| report.table()),
    };
    tools::action_set(system, &capture::capture(system, inputs)?)?;
    Ok(None)
}

fn planned(system: &System, context: &Context) -> Result<String> {
    let plan = dry_run(system, context)?;
    let steps = plan.steps.iter().map(|step| format!("{step}\n"));
    let problems = plan.problems.iter().chain(&plan.pending).map(|problem| format!("problem: {problem}\n"));
    Ok(steps.chain(problems).collect())
}
