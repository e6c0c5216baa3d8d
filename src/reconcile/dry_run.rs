//! The way through without doing anything: what a hook would go by, and what it would do.

use std::path::Path;

use anyhow::Result;

use super::{Wanted, choose, last_good};
use crate::graft::{AskTurn, Desired, Facts, Observed, Pace, Staged, Step, kubeconfig, plan};
use crate::ground::Ground;
use crate::problem::{Problem, told};
use crate::settings::Settings;
use crate::unit::files::{self, Entry};
use crate::unit::kept::{Ledger, described};

/// What a hook would go by, and why that is not all that is wanted.
#[derive(Debug, Default)]
pub struct Expected {
    /// The settings, with the kubeconfig; `None` when there are none to go by.
    pub settings: Option<Settings>,
    /// What is known of the parts.
    pub facts: Option<Facts>,
    /// What the graft is to be.
    pub desired: Option<Desired>,
    /// What keeps it from what is wanted.
    pub problems: Vec<Problem>,
}

/// Chooses as [`graft`](super::graft) does, and changes nothing: nothing is fetched, so a driver that has never
/// been here is taken to be good.
///
/// # Errors
/// When something cannot be read.
pub fn expect(wanted: Wanted, ground: &Ground, seen: &Observed) -> Result<Expected> {
    let mut expected = Expected::default();
    let last_good = last_good()?;
    let used = last_good.as_ref().and_then(|last| last.kubeconfig.clone());
    let meet = |mut settings: Settings| {
        let pin = &settings.driver.pin;
        let credentials =
            kubeconfig::choose(&wanted.kubeconfig, used.as_ref(), pin, Pace::Judging)?;
        let problem = credentials
            .as_ref()
            .and_then(|choice| choice.problem.clone());
        settings.kubeconfig = credentials.map(|choice| choice.kubeconfig);
        let facts = Facts::expected(&settings, ground, seen)?;
        let desired = Desired::new(&settings, ground, &facts)?;
        Ok((settings, facts, desired, problem))
    };
    let chosen = choose(wanted.settings, last_good, meet, &mut expected.problems)?;
    if let Some((settings, facts, desired, problem)) = chosen {
        expected.problems.extend(problem);
        expected.settings = Some(settings);
        expected.facts = Some(facts);
        expected.desired = Some(desired);
    }
    Ok(expected)
}

/// What the next hook would do.
#[derive(Debug, Default)]
pub struct Rehearsal {
    /// Its steps.
    pub steps: Vec<Step>,
    /// What is there now.
    pub seen: Option<Observed>,
    /// What keeps it from what is wanted.
    pub problems: Vec<Problem>,
    /// What stood where the charm writes, before it came: a line each.
    pub kept: Vec<String>,
}

/// Plans as [`graft`](super::graft) does, and changes nothing.
///
/// # Errors
/// When the unit cannot be looked at, or `turn` fails.
pub fn rehearse(wanted: Wanted, turn: &AskTurn<'_>) -> Result<Rehearsal> {
    let ground = match told(Ground::look())? {
        Ok(ground) => ground,
        Err(problem) => {
            return Ok(Rehearsal {
                problems: vec![problem],
                ..Rehearsal::default()
            });
        }
    };
    let ledger = Ledger::load()?;
    let seen = Observed::look(&ground.python, &ledger)?;
    let expected = expect(wanted, &ground, &seen)?;
    let (steps, withheld) = match &expected.desired {
        Some(desired) => Staged::new(plan(desired, &seen), &seen.services).as_far_as(turn)?,
        None => Default::default(),
    };
    let mut problems = expected.problems;
    problems.extend(withheld);
    Ok(Rehearsal {
        kept: kept(&steps, &seen, &ground.python.site, &ledger)?,
        steps,
        problems,
        seen: Some(seen),
    })
}

/// What is kept already, and what `steps` would have to keep.
fn kept(steps: &[Step], seen: &Observed, site: &Path, ledger: &Ledger) -> Result<Vec<String>> {
    let kept = ledger.kept()?.into_iter();
    let mut lines: Vec<String> = kept.map(|line| format!("{line}; is kept")).collect();
    for path in steps.iter().flat_map(|step| step.takes_over(seen, site)) {
        if !ledger.knows(&path) && files::look(&path)? != Entry::Absent {
            let there = described(&path)?;
            lines.push(format!("{}: {there}; will be kept", path.display()));
        }
    }
    Ok(lines)
}
