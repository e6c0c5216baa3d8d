//! Does what a plan says, one step after the other, and says so in the log.

use std::path::Path;

use anyhow::{Context, Result};
use tracing::info;

use super::plan::Step;
use super::{Supplies, guard};
use crate::unit::files::{self, Entry};
use crate::unit::kept::Ledger;
use crate::unit::systemd::{self, Job};

/// What the steps need besides themselves.
#[derive(Debug)]
pub struct Tools<'a> {
    /// What stood on the unit before the charm.
    pub ledger: &'a mut Ledger,
    /// What is at hand to be installed; a departure needs nothing.
    pub supplies: Option<Supplies>,
    /// How long a restart is waited for.
    pub restarts: Job,
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
    let Tools {
        ledger,
        supplies,
        restarts,
    } = tools;
    match step {
        Step::RemoveLitter(path) => files::remove(path),
        Step::MakeDirectory(path) => {
            match files::look(path)? {
                Entry::Absent => ledger.keep_absent_directory(path)?,
                // A file, or a link that leads nowhere.
                _ => {
                    ledger.keep(path)?;
                    files::remove(path)?;
                }
            }
            files::make_directory(path, 0o755)
        }
        Step::InstallDriver { .. } => at_hand(supplies)?.install_driver(ledger),
        Step::InstallHelm { .. } => at_hand(supplies)?.install_helm(ledger),
        Step::SetAside(path) => {
            ledger.keep(path)?;
            files::remove(path)
        }
        Step::Write { file, .. } => {
            ledger.keep(&file.path)?;
            clear_the_way(&file.path)?;
            files::write(&file.path, &file.bytes, file.access)
        }
        Step::Restore(path, _) => ledger.restore(path),
        Step::ReloadSystemd => systemd::daemon_reload(),
        Step::StartGuard => systemd::enable(guard::WATCH),
        Step::StopGuard => systemd::disable(guard::WATCH),
        Step::Restart(services) => {
            let units: Vec<&str> = services.iter().map(|(service, _)| service.unit()).collect();
            systemd::restart(&units, *restarts)
        }
    }
}

fn at_hand(supplies: &mut Option<Supplies>) -> Result<&mut Supplies> {
    supplies
        .as_mut()
        .context("nothing is at hand to be installed")
}

/// A rename replaces a file or a link, but no directory.
fn clear_the_way(path: &Path) -> Result<()> {
    match files::look(path)? {
        Entry::Directory => files::remove(path),
        _ => Ok(()),
    }
}
