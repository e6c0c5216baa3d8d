//! A reconcile without doing anything: what a hook would go by, and what it would do.

use std::path::Path;

use anyhow::Result;

use super::{Desired, Facts, Observed, choose, last_good, plan, programs};
use crate::driver;
use crate::juju::Request;
use crate::juju::settings::Settings;
use crate::kubeconfig::{self, ProgramsToAsk};
use crate::magnum::Installation;
use crate::problem::{Problem, or_problem};
use crate::services::{DuePlan, Turn};
use crate::step::{DueRestart, Step, Thoroughness};
use crate::system::{Backups, System, describe};

/// What a hook would go by, and why that is not all that is asked for.
#[derive(Debug, Default)]
pub struct Expected {
    /// The settings, with the kubeconfig; `None` if there are none to go by.
    pub settings: Option<Settings>,
    pub facts: Option<Facts>,
    pub desired: Option<Desired>,
    pub problems: Vec<Problem>,
}

/// Chooses as a reconcile does, and changes nothing. Nothing is fetched, so a driver that has never been loaded here is
/// taken to be good.
///
/// # Errors
/// If something cannot be read.
pub fn expect(system: &System, request: Request, installation: &Installation, observed: &Observed) -> Result<Expected> {
    let mut problems = Vec::new();
    let last_good = last_good(system)?;
    let used = last_good.as_ref().and_then(|last| last.kubeconfig.clone());
    let programs = ProgramsToAsk { is_dry_run: true, ..programs(&system.root, installation, observed)? };
    let prepare = |mut settings: Settings| {
        let (pin, full) = (&settings.driver.pin, Thoroughness::Full);
        let selection = kubeconfig::select(system, &request.kubeconfig, used.as_ref(), pin, &programs, full)?;
        let problems = selection.as_ref().and_then(|selection| selection.problem.clone()).into_iter().collect();
        settings.kubeconfig = selection.map(|selection| selection.content);
        let facts = Facts::expected(&system.root, &settings, installation, observed)?;
        let desired = Desired::new(&settings, installation, &facts)?;
        Ok(Expected { settings: Some(settings), facts: Some(facts), desired: Some(desired), problems })
    };
    let chosen = choose(request.settings.clone(), last_good, prepare, &mut problems)?.unwrap_or_default();
    problems.extend(chosen.problems);
    Ok(Expected { problems, ..chosen })
}

/// What the next hook would do.
#[derive(Debug, Default)]
pub struct DryRun {
    pub steps: Vec<Step>,
    /// What keeps it from what is asked for.
    pub problems: Vec<Problem>,
    /// A line for each original: what stood where the charm writes, before it came.
    pub originals: Vec<String>,
}

/// Plans as a reconcile does, and changes nothing.
///
/// # Errors
/// If the unit cannot be looked at, or `turn` fails.
pub fn dry_run(system: &System, request: Request, turn: impl FnOnce(&[DueRestart]) -> Result<Turn>) -> Result<DryRun> {
    let installation = match or_problem(Installation::inspect(system))? {
        Ok(installation) => installation,
        Err(problem) => return Ok(DryRun { problems: vec![problem], ..DryRun::default() }),
    };
    let backups = Backups::load(&system.root)?;
    let observed = Observed::inspect(system, &installation.python, &backups, driver::inspect)?;
    let expected = expect(system, request, &installation, &observed)?;
    let (steps, pending) = match &expected.desired {
        Some(desired) => DuePlan::new(plan(desired, &observed), &observed.services.services).with_turn(turn)?,
        None => Default::default(),
    };
    let mut problems = expected.problems;
    problems.extend(pending);
    Ok(DryRun { originals: originals(system, &steps, &backups)?, steps, problems })
}

/// Describes what is backed up already, and what `steps` would have to back up.
fn originals(system: &System, steps: &[Step], backups: &Backups) -> Result<Vec<String>> {
    let root = &system.root;
    let described = backups.describe(root)?.into_iter();
    let mut lines: Vec<String> = described.map(|line| format!("{line}; backed up")).collect();
    let replaced = steps.iter().flat_map(Step::replaces);
    for path in replaced.filter(|path| !backups.contains(path)) {
        let path: &Path = path;
        if root.metadata(path)?.is_some() {
            let what = describe(root, path)?;
            lines.push(format!("{}: {what}; will be backed up", path.display()));
        }
    }
    Ok(lines)
}
