//! A reconcile without doing anything: what a hook would go by, and what it would do.

use anyhow::Result;

use super::{Candidate, Found, plan, wanted_mode};
use crate::driver;
use crate::juju::{Ask, Context, request};
use crate::problem::Problem;
use crate::rolling::Rolling;
use crate::services::DuePlan;
use crate::step::Step;
use crate::system::{Root, System, describe};

/// What the next hook would do.
pub struct DryRun {
    pub found: Found,
    /// What it would go by, with nothing staged; `None` if there is nothing to go by.
    pub chosen: Option<Candidate>,
    /// What keeps it from what is asked for.
    pub problems: Vec<Problem>,
    pub steps: Vec<Step>,
    /// Why it would not restart what is due.
    pub pending: Option<Problem>,
}

/// Chooses and plans as a hook does, and changes nothing. Nothing is fetched, so a driver that has never been loaded
/// here is taken to be good.
///
/// # Errors
/// If the unit has no Magnum or cannot be looked at, or a hook tool fails.
pub fn dry_run(system: &System, context: &Context) -> Result<DryRun> {
    let request = request(system, context, Ask::Remembered)?;
    let rolling = Rolling::new(system, context, wanted_mode(system, &request)?);
    let mut found = Found::look(system, driver::inspect)?;
    let (chosen, mut problems) = found.choose(system, &request, None)?;
    let selection = chosen.as_ref().and_then(|chosen| chosen.selection.as_ref());
    problems.extend(selection.and_then(|selection| selection.problem.clone()));
    let observed = &found.observed;
    let (steps, pending) = match &chosen {
        Some(Candidate { desired, .. }) => {
            DuePlan::new(plan(desired, observed), &observed.services.services).with_turn(|due| rolling.turn(due))
        }
        None => Default::default(),
    };
    Ok(DryRun { found, chosen, problems, steps, pending })
}

impl DryRun {
    /// Returns a line for each original: what is backed up already, and what the steps would back up or rename.
    ///
    /// # Errors
    /// If one cannot be looked at.
    pub fn originals(&self, root: &Root) -> Result<Vec<String>> {
        let backups = &self.found.backups;
        let described = backups.describe(root)?.into_iter();
        let mut lines: Vec<String> = described.map(|line| format!("{line}; backed up")).collect();
        let replaced = self.steps.iter().flat_map(|step| step.replaces().iter().map(move |path| (step, path)));
        for (step, path) in replaced.filter(|(_, path)| !backups.contains(path)) {
            if root.metadata(path)?.is_some() {
                let what = describe(root, path)?;
                let is_set_aside = matches!(step, Step::SetAside { .. });
                let fate = match is_set_aside && !root.is_roots_alone(path.parent().unwrap_or(path))? {
                    true => "renamed",
                    false => "backed up",
                };
                lines.push(format!("{}: {what}; will be {fate}", path.display()));
            }
        }
        Ok(lines)
    }
}
