//! Does what a plan says, one step after the other, and says so in the log.

use std::path::Path;

use anyhow::{Context, Result};
use tracing::info;

use super::driver::Supply;
use super::plan::Step;
use crate::ground::Ground;
use crate::unit::files::{self, Entry};
use crate::unit::kept::Ledger;
use crate::unit::systemd;

/// What the steps need besides themselves.
#[derive(Debug)]
pub struct Tools<'a> {
    /// What stood on the unit before the charm.
    pub ledger: &'a mut Ledger,
    /// The driver and the ground to install it on; a departure has neither.
    pub supply: Option<(&'a Supply, &'a Ground)>,
}

/// Applies `steps` in their order.
///
/// # Errors
/// At the first step that fails. What was done stays done: the next hook plans from there.
pub fn apply(steps: &[Step], tools: &mut Tools<'_>) -> Result<()> {
    for step in steps {
        info!("{step}");
        one(step, tools).with_context(|| step.to_string())?;
    }
    Ok(())
}

fn one(step: &Step, tools: &mut Tools<'_>) -> Result<()> {
    match step {
        Step::RemoveLitter(path) => files::remove(path),
        Step::MakeDirectory(path) => {
            tools.ledger.keep_absent_directory(path)?;
            files::make_directory(path, 0o755)
        }
        Step::InstallDriver { .. } => {
            let (supply, ground) = tools.supply.context("there is no driver at hand")?;
            supply.install(ground, tools.ledger)
        }
        Step::Write { file, .. } => {
            tools.ledger.keep(&file.path)?;
            clear_the_way(&file.path)?;
            files::write(&file.path, &file.bytes, file.access)
        }
        Step::Restore(path, _) => tools.ledger.restore(path),
        Step::ReloadSystemd => systemd::daemon_reload(),
        Step::Restart(services) => {
            let units: Vec<&str> = services.iter().map(|(service, _)| service.unit()).collect();
            systemd::restart(&units)
        }
    }
}

/// A rename replaces a file or a link, but no directory.
fn clear_the_way(path: &Path) -> Result<()> {
    match files::look(path)? {
        Entry::Directory => files::remove(path),
        _ => Ok(()),
    }
}
