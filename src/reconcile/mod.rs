//! The one way through: what is wanted, what is there, the difference, the doing, the judgement.
//!
//! It knows neither hooks nor Juju. Whoever calls it gives the settings and is told what came of
//! it. When the settings are no good, the last good ones are upheld: a graft that works is never
//! taken down because a new input is bad.

mod departure;
mod rehearsal;

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::audit;
use crate::graft::apply::{Tools, apply};
use crate::graft::defaults::Defaults;
use crate::graft::services::Due;
use crate::graft::{
    Desired, Observed, Pace, Staged, Step, Supplies, Surroundings, Turn, helm, kubeconfig, parts,
    plan, services, without_restarts_of_hooks,
};
use crate::ground::Ground;
use crate::health::{self, Health};
use crate::kube::Kubeconfig;
use crate::kube::rotation::Choice;
use crate::problem::{Problem, told};
use crate::settings::Settings;
use crate::unit::kept::Ledger;
use crate::unit::state;
use crate::unit::systemd::Job;

pub use departure::depart;
pub use rehearsal::{Expected, Rehearsal, expect, rehearse};

/// The file of the last good settings.
const LAST_GOOD: &str = "settings.json";

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What keeps the graft from being whole; empty when nothing does.
    pub problems: Vec<Problem>,
    /// The driver's version, when it is installed.
    pub driver: Option<String>,
    /// Each path that was put right, and what was wrong with it.
    pub put_right: Vec<(PathBuf, String)>,
    /// Whether anything on the unit was changed.
    pub changed: bool,
    /// What was restarted.
    pub restarted: Vec<Due>,
    /// Restarts that are due and wait for their turn.
    pub withheld: Vec<Due>,
    /// How the services are.
    pub health: Health,
}

/// What the operator wants: each half is a problem when it is not valid.
#[derive(Debug)]
pub struct Wanted {
    /// The options and resources; the kubeconfig is still to be chosen.
    pub settings: Result<Settings, Problem>,
    /// The kubeconfig that is granted; `None` when none is given.
    pub kubeconfig: Result<Option<Kubeconfig>, Problem>,
}

/// Settings that can be met here: everything they need is at hand.
struct Met {
    settings: Settings,
    supplies: Supplies,
    desired: Desired,
    credentials: Option<Choice>,
}

/// The settings that were met last.
///
/// # Errors
/// When they cannot be read.
pub fn last_good() -> Result<Option<Settings>> {
    state::load(LAST_GOOD)
}

/// Brings the unit to what is wanted. The caller holds the lock ([`state::lock`]).
///
/// # Errors
/// When something fails that is no operator's to mend: the hook is to fail and be tried again.
pub fn graft(wanted: Wanted, around: &Surroundings<'_>) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let ground = match told(Ground::look())? {
        Ok(ground) => ground,
        Err(problem) => {
            outcome.problems.push(problem);
            return Ok(outcome);
        }
    };
    let mut ledger = Ledger::load()?;
    let mut seen = Observed::look(&ground.python, &ledger)?;
    let last_good = last_good()?;
    let used = last_good.as_ref().and_then(|last| last.kubeconfig.clone());
    let granted = &wanted.kubeconfig;
    let meet = |settings| met(settings, granted, used.as_ref(), &ground, &seen, around);
    let chosen = choose(
        wanted.settings,
        last_good.clone(),
        meet,
        &mut outcome.problems,
    )?;
    let Some(met) = chosen else {
        return Ok(outcome);
    };
    let Met {
        settings,
        supplies,
        desired,
        credentials,
    } = met;

    let facts = supplies.facts.clone();
    let mut steps = plan(&desired, &seen);
    let left = |path: &Path| around.leave.iter().any(|left| path.starts_with(left));
    steps.retain(|step| !step.puts_right().is_some_and(|(path, _)| left(path)));
    if around.pace == Pace::Swift {
        steps = without_restarts_of_hooks(steps, &seen.services);
    }
    let put_right = steps.iter().filter_map(Step::puts_right);
    outcome.put_right = put_right
        .map(|(path, why)| (path.to_owned(), why.to_owned()))
        .collect();
    let steps = Staged::new(steps, &seen.services);
    let mut news = last_good.as_ref() != Some(&settings);
    if news && seen.was_switched_on() {
        // First of all: if this hook is killed, the guard works to the same end.
        state::save(LAST_GOOD, &settings)?;
        news = false;
    }
    let mut tools = Tools {
        ledger: &mut ledger,
        supplies: Some(supplies),
        restarts: match around.pace {
            Pace::Judging => Job::Done,
            Pace::Swift => Job::TakenOn,
        },
    };
    carry_out(&steps, &mut tools, around, &mut outcome)?;
    if outcome.changed {
        seen = Observed::look(&ground.python, &ledger)?;
    }
    audit::record(parts(&settings, &facts, &seen), around.charm)?;
    let driver = seen.driver.intact(&desired.pin);
    outcome.driver = driver.map(|_| desired.pin.version().to_string());
    if seen.helm.is_none() {
        outcome.problems.push(helm::missing());
    }
    if let Some(choice) = &credentials {
        kubeconfig::remember(choice)?;
        outcome
            .problems
            .extend(kubeconfig::problems(choice, &settings, &facts)?);
    }
    if !seen.was_switched_on() {
        return Ok(outcome);
    }
    if news {
        state::save(LAST_GOOD, &settings)?;
    }
    outcome
        .problems
        .extend(Defaults::problems(ground.defaults.values()));
    let reads = seen.reads(&desired);
    let (services, problems) = match around.pace {
        Pace::Judging => health::settled(seen.services, &reads)?,
        Pace::Swift => (seen.services, Vec::new()),
    };
    services::record(&services, &reads)?;
    outcome.health = Health::of(&problems);
    outcome.problems.extend(problems);
    Ok(outcome)
}

/// Applies a plan, its restart of services that are serving only when it is this unit's turn.
fn carry_out(
    steps: &Staged,
    tools: &mut Tools<'_>,
    around: &Surroundings<'_>,
    outcome: &mut Outcome,
) -> Result<()> {
    let mut done = |steps: &[Step], what: &str| {
        if !steps.is_empty() {
            (around.progress)(what)?;
            apply(steps, tools)?;
            outcome.changed = true;
        }
        let restarts = steps.iter().filter_map(|step| match step {
            Step::Restart(services) => Some(services),
            _ => None,
        });
        outcome.restarted.extend(restarts.flatten().cloned());
        anyhow::Ok(())
    };
    done(&steps.before, "putting the graft in place")?;
    if steps.due.is_empty() {
        return Ok(());
    }
    match (around.turn)(&steps.due)? {
        Turn::Ours => done(&steps.now, "restarting the services"),
        Turn::NotYet(problem) => {
            done(&steps.later, "restarting what has failed")?;
            outcome.problems.push(problem);
            outcome.withheld.clone_from(&steps.due);
            Ok(())
        }
    }
}

/// Chooses the settings to go by: the wanted ones when they can be met, else the last good ones.
/// Why the others were not chosen goes into `problems`.
fn choose<T>(
    wanted: Result<Settings, Problem>,
    last_good: Option<Settings>,
    meet: impl Fn(Settings) -> Result<T>,
    problems: &mut Vec<Problem>,
) -> Result<Option<T>> {
    let wanted = wanted.map(without_kubeconfig);
    let last_good = last_good.map(without_kubeconfig);
    // Trying the same again would only take the same time again.
    let last_good = last_good.filter(|last_good| wanted.as_ref() != Ok(last_good));
    for settings in [Some(wanted), last_good.map(Ok)].into_iter().flatten() {
        let attempt = match settings {
            Ok(settings) => told(meet(settings))?,
            Err(problem) => Err(problem),
        };
        match attempt {
            Ok(met) => return Ok(Some(met)),
            Err(problem) if problems.contains(&problem) => {}
            Err(problem) => problems.push(problem),
        }
    }
    Ok(None)
}

/// The kubeconfig is chosen apart from all else: it changes when the secret does.
fn without_kubeconfig(settings: Settings) -> Settings {
    Settings {
        kubeconfig: None,
        ..settings
    }
}

/// Makes sure that the settings can be met here, before anything is touched.
fn met(
    mut settings: Settings,
    granted: &Result<Option<Kubeconfig>, Problem>,
    used: Option<&Kubeconfig>,
    ground: &Ground,
    seen: &Observed,
    around: &Surroundings<'_>,
) -> Result<Met> {
    let credentials = kubeconfig::choose(granted, used, &settings.driver.pin, around.pace)?;
    settings.kubeconfig = credentials.as_ref().map(|choice| choice.kubeconfig.clone());
    let supplies = Supplies::provide(&settings, ground, seen, around)?;
    let desired = Desired::new(&settings, ground, &supplies.facts)?;
    Ok(Met {
        settings,
        supplies,
        desired,
        credentials,
    })
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn pinned(version: &str) -> Settings {
        let config = serde_json::json!({"driver-pin": format!("magnum-capi-helm=={version}")});
        let config: crate::settings::RawConfig = serde_json::from_value(config).unwrap();
        config.validated(crate::settings::Given::default()).unwrap()
    }

    /// Which version is chosen, which were tried, and how many problems that gave, when only
    /// `possible` can be met.
    fn chosen(
        wanted: Result<Settings, Problem>,
        last_good: Option<Settings>,
        possible: &str,
    ) -> (Option<String>, Vec<String>, usize) {
        let tried = RefCell::new(Vec::new());
        let mut problems = Vec::new();
        let meet = |settings: Settings| {
            let version = settings.driver.pin.version().to_string();
            tried.borrow_mut().push(version.clone());
            let problem = Problem::waiting(format!("{version} cannot be met"));
            anyhow::ensure!(version == possible, problem);
            Ok(version)
        };
        let version = choose(wanted, last_good, meet, &mut problems).unwrap();
        (version, tried.into_inner(), problems.len())
    }

    #[test]
    fn the_last_good_settings_are_upheld_when_the_wanted_ones_cannot_be_met() {
        let refused = || Err(Problem::blocked("no pin"));
        let s = |version: &str| version.to_owned();
        for (wanted, last_good, possible, expected) in [
            (
                Ok(pinned("2")),
                Some(pinned("1")),
                "2",
                (Some(s("2")), vec![s("2")], 0),
            ),
            (
                Ok(pinned("2")),
                Some(pinned("1")),
                "1",
                (Some(s("1")), vec![s("2"), s("1")], 1),
            ),
            (
                refused(),
                Some(pinned("1")),
                "1",
                (Some(s("1")), vec![s("1")], 1),
            ),
            (refused(), None, "1", (None, vec![], 1)),
            (Ok(pinned("2")), None, "1", (None, vec![s("2")], 1)),
            // The same is not tried twice.
            (
                Ok(pinned("2")),
                Some(pinned("2")),
                "1",
                (None, vec![s("2")], 1),
            ),
        ] {
            assert_eq!(chosen(wanted, last_good, possible), expected);
        }
    }
}
