//! The one way through: what is wanted, what is there, the difference, the doing, the judgement.
//!
//! It knows neither hooks nor Juju. Whoever calls it gives the settings and is told what came of
//! it. When the settings are no good, the last good ones are upheld: a graft that works is never
//! taken down because a new input is bad.

use anyhow::Result;
use tracing::info;

use crate::graft::apply::{Tools, apply};
use crate::graft::{Desired, Observed, Remains, Supplies, helm, plan, plan_departure, services};
use crate::ground::Ground;
use crate::health;
use crate::problem::Problem;
use crate::settings::Settings;
use crate::unit::kept::Ledger;
use crate::unit::python::Python;
use crate::unit::{apt, state};

/// The file of the last good settings.
const LAST_GOOD: &str = "settings.json";

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What keeps the graft from being whole; empty when nothing does.
    pub problems: Vec<Problem>,
    /// The driver's version, when it is installed.
    pub driver: Option<String>,
    /// Whether anything on the unit was changed.
    pub changed: bool,
}

/// What the way through is given besides the settings.
pub struct Surroundings<'a> {
    /// The proxy settings under which the driver is fetched.
    pub proxy: &'a [(String, String)],
    /// The charm's version and revision, for the record.
    pub charm: &'a str,
    /// Told what is going on before each thing that takes longer than a moment.
    pub progress: &'a dyn Fn(&str) -> Result<()>,
}

/// Brings the unit to what is wanted. The caller holds the lock ([`state::lock`]).
///
/// # Errors
/// When something fails that is no operator's to mend: the hook is to fail and be tried again.
pub fn graft(wanted: Result<Settings, Problem>, around: &Surroundings<'_>) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let ground = match told(Ground::look())? {
        Ok(ground) => ground,
        Err(problem) => {
            outcome.problems.push(problem);
            return Ok(outcome);
        }
    };
    let mut ledger = Ledger::load()?;
    let seen = Observed::look(&ground.python, &ledger)?;
    let last_good: Option<Settings> = state::load(LAST_GOOD)?;

    let prepare = |settings: Settings| prepared(settings, &ground, &seen, around);
    let wanted = wanted.map(|settings| complete(settings, last_good.as_ref()));
    let first = match wanted {
        Ok(settings) => told(prepare(settings))?,
        Err(problem) => Err(problem),
    };
    let ready = match (first, last_good.clone()) {
        (Ok(ready), _) => Ok(ready),
        (Err(problem), None) => Err(problem),
        (Err(problem), Some(last_good)) => {
            outcome.problems.push(problem);
            told(prepare(last_good))?
        }
    };
    let (settings, supplies, desired) = match ready {
        Ok(ready) => ready,
        Err(problem) => {
            outcome.problems.push(problem);
            return Ok(outcome);
        }
    };

    let steps = plan(&desired, &seen);
    outcome.changed = !steps.is_empty();
    if outcome.changed {
        (around.progress)("putting the graft in place")?;
    }
    apply(
        &steps,
        &mut Tools {
            ledger: &mut ledger,
            supplies: Some(supplies),
            charm: around.charm,
        },
    )?;
    let seen = if outcome.changed {
        Observed::look(&ground.python, &ledger)?
    } else {
        seen
    };
    outcome.driver = seen
        .driver
        .intact(&desired.pin)
        .map(|_| desired.pin.version().to_string());
    if seen.helm.is_none() {
        outcome.problems.push(helm::missing());
    }
    if !seen.was_switched_on() {
        return Ok(outcome);
    }
    if last_good.as_ref() != Some(&settings) {
        state::save(LAST_GOOD, &settings)?;
    }
    let reads = seen.reads(&desired);
    let (services, problems) = health::settled(seen.services)?;
    services::record(&services, &reads)?;
    outcome.problems.extend(problems);
    Ok(outcome)
}

/// Brings the unit to what it was before the charm came. The caller holds the lock.
///
/// # Errors
/// When a step fails: the hook is to fail and be tried again.
pub fn depart() -> Result<()> {
    let mut ledger = Ledger::load()?;
    let python = Python::remembered()?;
    let site = python.as_ref().map(|python| python.site.as_path());
    let seen = Remains::look(site, &ledger)?;
    let steps = plan_departure(&seen);
    if steps.is_empty() {
        info!("nothing of the graft is left on this unit");
    }
    apply(
        &steps,
        &mut Tools {
            ledger: &mut ledger,
            supplies: None,
            charm: "",
        },
    )?;
    apt::remove_ours()?;
    state::forget()
}

/// Without a kubeconfig of its own, the graft goes on with the last good one.
fn complete(mut settings: Settings, last_good: Option<&Settings>) -> Settings {
    if settings.kubeconfig.is_none() {
        settings.kubeconfig = last_good.and_then(|last| last.kubeconfig.clone());
    }
    settings
}

/// Makes sure that the settings can be met here, before anything is touched.
fn prepared(
    settings: Settings,
    ground: &Ground,
    seen: &Observed,
    around: &Surroundings<'_>,
) -> Result<(Settings, Supplies, Desired)> {
    if let Some(kubeconfig) = &settings.kubeconfig {
        kubeconfig.usable_by(&settings.driver.pin)?;
    }
    let supplies = Supplies::provide(&settings, ground, seen, around)?;
    let desired = Desired::new(&settings, ground, &supplies.facts)?;
    Ok((settings, supplies, desired))
}

/// Tells what a person must know from what makes the hook fail.
fn told<T>(result: Result<T>) -> Result<Result<T, Problem>> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(error) => error.downcast::<Problem>().map(Err),
    }
}
