//! Reconcile: what is wanted, what is observed, the plan between them, applying it, checking the result.
//!
//! This file and those it plans with know neither hooks nor Juju: the caller passes in what is asked for, and gets a
//! [`Reconciled`]. If the settings are not valid or cannot be met, the last good ones are upheld: a working graft is never
//! taken down because a new input is bad.

mod apply;
mod artifacts;
mod dry_run;
mod guard;
mod hook;
mod observed;
mod plan;
mod proof;
mod remove;
mod switch;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use apply::Apply;
pub use artifacts::{Artifacts, Facts, programs};
pub use dry_run::{DryRun, dry_run};
pub use guard::repair;
pub use hook::{no_kubeconfig, reconcile, remove, restart, wanted_mode};
use observed::LookAtDriver;
pub use observed::Observed;
pub use plan::{Desired, plan};
use switch::Switch;

use crate::audit;
use crate::driver;
use crate::helm;
use crate::juju::Request;
use crate::juju::settings::Settings;
use crate::kubeconfig::{self, Memory, ProgramsToAsk, Selection};
use crate::magnum::{Installation, MAGNUM_DIRECTORY, Service, StartDefaults};
use crate::problem::{Kind, Problem, or_problem};
use crate::services::{self, DuePlan, Health, ObservedService, STABLE_AFTER, WATCHED_FOR, leave_to_hooks};
use crate::step::{DueRestart, Step, Thoroughness};
use crate::system::{Backups, Original, Root, System};

/// The state file of the last good settings.
const LAST_GOOD: &str = "settings.json";

/// Says what is going on.
pub type Announce<'a> = dyn Fn(&str) -> Result<()> + 'a;

/// What the caller of a reconcile provides.
pub struct Environment<'a> {
    pub system: &'a System,
    /// The proxy settings for downloads.
    pub proxy: &'a [(String, String)],
    /// The charm's version and revision, for the record.
    pub charm: &'a str,
    /// Called before each thing that takes longer than a moment.
    pub progress: &'a Announce<'a>,
    /// Asked right before a restart of services that are serving: why it must wait, if it must.
    pub turn: &'a dyn Fn(&[DueRestart]) -> Option<Problem>,
    pub thoroughness: Thoroughness,
}

/// The result of a reconcile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// What keeps the graft from what is wanted.
    pub problems: Vec<Problem>,
    /// The version of the driver, if it is installed.
    pub driver: Option<String>,
    pub changed: bool,
    pub restarted: Vec<DueRestart>,
    /// Whether restarts are due and wait for their turn.
    pub is_pending: bool,
    /// What is wrong with the services, if they are not healthy.
    pub unhealthy: Option<Problem>,
}

/// What a reconcile goes by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    #[serde(flatten)]
    pub settings: Settings,
    /// What the start scripts give the services; `None` in what a charm before this one has saved.
    #[serde(default)]
    defaults: Option<BTreeMap<Service, StartDefaults>>,
}

/// Settings that can be met here: everything they need is at hand.
#[derive(Debug)]
pub struct Candidate {
    pub wanted: Wanted,
    pub artifacts: Artifacts,
    pub desired: Desired,
    selection: Option<Selection>,
}

/// The unit as a reconcile finds it.
pub struct Found {
    pub installation: Installation,
    pub observed: Observed,
    backups: Backups,
    last_good: Option<Wanted>,
    under_way: Option<Switch>,
    memory: Memory,
}

impl Wanted {
    /// Whether the services are to read the same: the kubeconfig is read anew for each request.
    fn is_like(&self, other: &Self) -> bool {
        let read = |it: &Self| (Settings { kubeconfig: None, ..it.settings.clone() }, it.defaults.clone());
        read(self) == read(other)
    }
}

/// Returns what was met last.
///
/// # Errors
/// If it cannot be read.
pub fn last_good(system: &System) -> Result<Option<Wanted>> {
    system.root.load(LAST_GOOD)
}

/// Brings the unit to what is asked for. The caller holds the lock.
///
/// # Errors
/// If something fails that no operator can fix: the hook is to fail and be tried again.
pub fn run(request: Request, environment: &Environment<'_>) -> Result<Reconciled> {
    let system = environment.system;
    let mut outcome = Reconciled::default();
    let mut found = match or_problem(Found::look(system, driver::inspect_if_changed))? {
        Ok(found) => found,
        Err(problem) => return Ok(Reconciled { problems: vec![problem], ..outcome }),
    };
    let is_hook = environment.thoroughness == Thoroughness::Full;
    let (chosen, problems) = found.choose(system, &request, Some(environment))?;
    outcome.unhealthy = proof::failed_of(&system.root, &problems).cloned();
    outcome.problems = problems;
    outcome.problems.extend(found.observed.driver.problem());
    let Some(Candidate { wanted, artifacts, desired, selection }) = chosen else {
        if let Some(first) = found.under_way.filter(|it| is_hook && it.before.is_none()) {
            first.take_off(&mut found.backups, environment)?;
        }
        return Ok(outcome);
    };
    let Found { installation, observed, mut backups, last_good, under_way, mut memory } = found;
    let settings = &wanted.settings;

    let steps = match environment.thoroughness {
        Thoroughness::Full => plan(&desired, &observed),
        Thoroughness::Quick => {
            let has_lost_its_watch = observed.guard.has_lost_its_watch();
            leave_to_hooks(plan(&desired, &observed), &observed.services.services, has_lost_its_watch)
        }
    };
    if let Err(problem) = or_problem(ensure_parents_are_roots(&system.root, &steps))? {
        outcome.problems.push(problem);
        return Ok(outcome);
    }
    let mut switch = None;
    if is_hook && (under_way.is_some() || proof::is_switch(&steps, &observed)) {
        let combination = proof::combination(&system.root, &desired, &installation, &observed)?;
        switch = Switch::begin(&system.root, under_way, combination, last_good.as_ref(), &wanted, &observed)?;
    }
    let mut is_new = last_good.as_ref() != Some(&wanted);
    if is_new && observed.is_switched_on() {
        // First of all: if this hook is killed, the guard works to the same end.
        system.root.save(LAST_GOOD, &wanted)?;
        is_new = false;
    }
    let Artifacts { facts, driver, helm } = artifacts;
    let is_watched = switch.is_some();
    let mut apply = Apply { driver, helm, is_watched, ..Apply::new(system, &mut backups, is_hook) };
    let carried_out =
        carry_out(DuePlan::new(steps, &observed.services.services), &mut apply, environment, &mut outcome);
    let looked = carried_out.and_then(|()| match outcome.changed {
        true => Observed::inspect(system, &installation.python, &backups, driver::inspect_if_changed),
        false => Ok(observed),
    });
    let observed = match or_problem(looked)? {
        Ok(observed) => observed,
        Err(problem) => {
            outcome.problems.push(problem);
            return Ok(outcome);
        }
    };
    outcome.problems.extend(audit::record(
        &system.root,
        artifacts::parts(settings, &facts, &observed),
        environment.charm,
    ));
    let installed = observed.driver.installed.intact(&desired.driver.pin);
    outcome.driver = installed.map(|_| desired.driver.pin.version().to_string());
    outcome.problems.extend(observed.helm.is_none().then(helm::missing));
    if let Some(selection) = &selection {
        memory.remember(&system.root, selection);
        let (stack, programs) = (facts.stack(settings), programs(&system.root, &installation, &observed)?);
        let problems = kubeconfig::problems(system, &mut memory, selection, settings, &stack, &programs)?;
        outcome.problems.extend(problems);
    }
    if !observed.is_switched_on() {
        return Ok(outcome);
    }
    if is_new {
        system.root.save(LAST_GOOD, &wanted)?;
    }
    outcome.problems.extend(observed.closed.clone());
    outcome.problems.extend(StartDefaults::problems(installation.defaults.values()));
    outcome.problems.extend(installation.unknown_drivers.filter(|_| settings.disable_other_drivers));
    let watched_for = if is_watched { WATCHED_FOR } else { STABLE_AFTER };
    let (services, health) = check_services(&desired, observed, environment, watched_for)?;
    if let Some(switch) = switch.filter(|_| !outcome.is_pending) {
        let failure = if switch.leads_back(&wanted) { None } else { switch.failure(system, &services, &health) };
        if let Some(failure) = failure {
            return switch::undo(&switch, failure, &wanted, request, environment, outcome);
        }
        Switch::end(&system.root)?;
    }
    match health {
        Ok(problems) => {
            let unhealthy = problems.iter().find(|problem| problem.kind == Kind::Blocked).cloned();
            outcome.unhealthy = unhealthy.or(outcome.unhealthy);
            outcome.problems.extend(problems);
        }
        Err(unknown) => outcome.problems.push(unknown),
    }
    Ok(outcome)
}

/// Makes sure that the directories in which the steps put something are root's alone. Those of Magnum's configuration
/// never are: they belong to user magnum, and root reaches them by handles that nobody redirects. A directory that a step
/// makes takes the place of whatever stands there.
fn ensure_parents_are_roots(root: &Root, steps: &[Step]) -> Result<()> {
    let is_made = |path: &Path| steps.iter().any(|step| matches!(step, Step::MakeDirectory(made) if made == path));
    let placed = steps.iter().filter(|step| !matches!(step, Step::SetAside { .. }));
    let placed = placed.flat_map(|step| match step {
        Step::Restore(path, Original::BackedUp(_)) => std::slice::from_ref(path),
        step => step.replaces(),
    });
    let parents = placed.filter_map(|path| path.parent()).filter(|parent| !parent.starts_with(MAGNUM_DIRECTORY));
    let parents = parents.filter(|parent| !is_made(parent));
    parents.collect::<BTreeSet<_>>().into_iter().try_for_each(|parent| root.ensure_roots_alone(parent))
}

/// Waits until the services have run for `stable_after`, and records what they have read.
fn check_services(
    desired: &Desired,
    observed: Observed,
    environment: &Environment<'_>,
    stable_after: Duration,
) -> Result<(Vec<ObservedService>, Health)> {
    let system = environment.system;
    let inputs = observed.service_inputs(desired);
    let observed = observed.services.services;
    let (services, problems) = match environment.thoroughness {
        Thoroughness::Full => services::settle(system, observed, &inputs, stable_after)?,
        Thoroughness::Quick => (observed, Ok(Vec::new())),
    };
    services::record(&system.root, &services, &inputs);
    Ok((services, problems))
}

/// Applies a plan; its restart of services that are serving only if it is this unit's turn.
fn carry_out(
    plan: DuePlan,
    apply: &mut Apply<'_>,
    environment: &Environment<'_>,
    outcome: &mut Reconciled,
) -> Result<()> {
    let apply_all = |steps: &[Step], what: &str| {
        if !steps.is_empty() {
            (environment.progress)(what)?;
            outcome.changed = true;
            apply.all(steps)?;
        }
        let restarts = steps.iter().filter_map(|step| match step {
            Step::Restart(due) => Some(due),
            _ => None,
        });
        outcome.restarted.extend(restarts.flatten().cloned());
        anyhow::Ok(())
    };
    let pending = plan.carry_out(environment.turn, apply_all)?;
    outcome.is_pending = pending.is_some();
    outcome.problems.extend(pending);
    outcome.problems.append(&mut apply.problems);
    Ok(())
}

/// Chooses what to go by: what is asked for if it can be met, else what was last good. Why the other was not chosen goes
/// into `problems`.
fn choose<W: PartialEq, T>(
    asked: Result<W, Problem>,
    last_good: Option<W>,
    mut prepare: impl FnMut(W) -> Result<T>,
    problems: &mut Vec<Problem>,
) -> Result<Option<T>> {
    // Trying the same again would only take the same time again.
    let last_good = last_good.filter(|last_good| asked.as_ref() != Ok(last_good));
    for wanted in [Some(asked), last_good.map(Ok)].into_iter().flatten() {
        let attempt = match wanted {
            Ok(wanted) => or_problem(prepare(wanted))?,
            Err(problem) => Err(problem),
        };
        match attempt {
            Ok(prepared) => return Ok(Some(prepared)),
            Err(problem) if problems.contains(&problem) => {}
            Err(problem) => problems.push(problem),
        }
    }
    Ok(None)
}

impl Found {
    /// Looks at the unit; `driver` looks at the driver.
    ///
    /// # Errors
    /// A [`Problem`] if there is no Magnum; another error if something cannot be read.
    fn look(system: &System, driver: LookAtDriver) -> Result<Self> {
        let root = &system.root;
        let installation = Installation::inspect(system)?;
        let backups = Backups::load(root)?;
        let observed = Observed::inspect(system, &installation.python, &backups, driver)?;
        let (last_good, under_way) = (last_good(system)?, Switch::under_way(root));
        Ok(Self { installation, observed, backups, last_good, under_way, memory: Memory::load(root) })
    }

    /// Chooses settings that can be met here, before anything is touched, and gets hold of what they need; without an
    /// environment, fetches and remembers nothing. Returns why those asked for were not chosen, too.
    fn choose(
        &mut self,
        system: &System,
        request: &Request,
        environment: Option<&Environment<'_>>,
    ) -> Result<(Option<Candidate>, Vec<Problem>)> {
        let Self { installation, observed, last_good, under_way, memory, .. } = self;
        let used = last_good.as_ref().and_then(|last| last.settings.kubeconfig.as_ref());
        let programs = programs(&system.root, installation, observed)?;
        let programs = ProgramsToAsk { is_dry_run: environment.is_none(), ..programs };
        let thoroughness = environment.map_or(Thoroughness::Full, |environment| environment.thoroughness);
        let mut problems = Vec::new();
        let prepare = |mut wanted: Wanted| {
            let (settings, defaults) = (&mut wanted.settings, wanted.defaults.clone());
            let installation = &Installation { defaults: defaults.unwrap_or_default(), ..installation.clone() };
            let (granted, pin) = (&request.kubeconfig, &settings.driver.pin);
            let selection = kubeconfig::select(system, memory, granted, used, pin, &programs, thoroughness)?;
            settings.kubeconfig = selection.as_ref().map(|selection| selection.content.clone());
            let artifacts = match environment {
                Some(environment) => Artifacts::obtain(settings, installation, observed, environment)?,
                None => Artifacts::expected(&system.root, settings, installation, observed)?,
            };
            let desired = Desired::new(settings, installation, &artifacts.facts)?;
            let candidate = Candidate { wanted, artifacts, desired, selection };
            // What ran before needs no proof, and Magnum may be down until it is back.
            if !under_way.as_ref().is_some_and(|it| it.leads_back(&candidate.wanted)) {
                proof::prove(system, &candidate, installation, observed, environment.map(|it| it.progress))?;
            }
            Ok(candidate)
        };
        // The kubeconfig is selected apart from all else: it changes when the secret does.
        let wanted = |settings: Settings, defaults: Option<BTreeMap<_, _>>| Wanted {
            settings: Settings { kubeconfig: None, ..settings },
            defaults: Some(defaults.unwrap_or_else(|| installation.defaults.clone())),
        };
        let asked = request.settings.clone().map(|settings| wanted(settings, None));
        let last_good = last_good.clone().map(|last_good| wanted(last_good.settings, last_good.defaults));
        let chosen = choose(asked, last_good, prepare, &mut problems)?;
        Ok((chosen, problems))
    }
}

#[cfg(test)]
mod state_tests;
#[cfg(test)]
mod tests;
