//! A switch: the services are restarted into something new, and watched. When they do not stay up with it, or the API
//! that answered before does not answer, what ran before is put back, and the same is not tried again.
//!
//! What is under way is remembered, so that the hook after a killed one judges it, or goes on with undoing it.

use std::collections::BTreeSet;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::proof::{self, Combination};
use super::{Environment, LAST_GOOD, Observed, Reconciled, Wanted, remove, run};
use crate::escape;
use crate::juju::Request;
use crate::magnum::Service;
use crate::problem::{Kind, Problem};
use crate::services::{Health, ObservedService, STABLE_AFTER, api_answer, last_line};
use crate::system::http::redact_urls;
use crate::system::{Backups, Root, System, state_path};

/// The state file of the switch that is under way.
const STATE: &str = "switch.json";
/// The most characters that are quoted of a service's journal.
const LONGEST_LINE: usize = 300;

/// A switch that is under way, or being undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switch {
    /// What is gone back to; `None` on a unit that was not grafted.
    pub before: Option<Wanted>,
    /// What is tried.
    combination: Combination,
    /// The services that were serving.
    serving: BTreeSet<Service>,
    /// Whether the API answered.
    answered: bool,
}

impl Switch {
    /// Returns the switch that is under way.
    pub fn under_way(root: &Root) -> Option<Self> {
        root.remembered(STATE)
    }

    /// Returns the switch to `wanted`, and remembers it; `None` if it takes nothing away.
    ///
    /// # Errors
    /// If it cannot be remembered.
    pub fn begin(
        root: &Root,
        under_way: Option<Self>,
        combination: Combination,
        last_good: Option<&Wanted>,
        wanted: &Wanted,
        observed: &Observed,
    ) -> Result<Option<Self>> {
        if under_way.as_ref().is_some_and(|it| it.combination == combination || it.leads_back(wanted)) {
            return Ok(under_way);
        }
        let last_good = last_good.filter(|_| observed.is_switched_on());
        if under_way.is_none() && last_good == Some(wanted) {
            return Ok(None);
        }
        // After a killed hook, what it tried is no better than what is tried now.
        let (before, served, answered) = match under_way {
            Some(it) => (it.before, it.serving, it.answered),
            None => (last_good.cloned(), BTreeSet::new(), false),
        };
        let serves = observed.services.services.iter().filter(|service| service.is_serving()).map(|it| it.service);
        let serving: BTreeSet<Service> = serves.chain(served).collect();
        if serving.is_empty() {
            return Ok(None);
        }
        let answered = answered || api_answer(root).is_ok();
        let switch = Self { before, combination, serving, answered };
        root.save(STATE, &switch)?;
        Ok(Some(switch))
    }

    /// Whether it is being undone by going to `wanted`.
    pub fn leads_back(&self, wanted: &Wanted) -> bool {
        self.before.as_ref().is_some_and(|before| before.is_like(wanted))
    }

    /// Returns what has failed: a service that was serving does not stay up, or the API no longer answers. One that failed
    /// before is no reason.
    pub fn failure(&self, system: &System, services: &[ObservedService], health: &Health) -> Option<Problem> {
        let problem = health.iter().flatten().find(|problem| problem.kind == Kind::Blocked)?;
        let missed = || services.iter().filter(|it| self.serving.contains(&it.service) && it.unit.is_available());
        let is_young = |it: &&ObservedService| it.process.as_ref().is_some_and(|process| process.age() < STABLE_AFTER);
        // One that is young only because the other's failure ended the watch is not to blame.
        let down = missed().find(|it| it.process.is_none() || it.keeps_failing());
        if let Some(down) = down.or_else(|| missed().find(is_young)) {
            let name = down.service.name();
            let said =
                last_line(system, down).unwrap_or_else(|error| format!("(its journal cannot be read: {error:#})"));
            // Magnum may quote an address with its password.
            let said = escape::line(&redact_urls(&said, ""), LONGEST_LINE);
            let summary = format!("What is asked for is refused: {name} did not start");
            return Some(Problem::blocked(summary, format!("{name} says: {said}")));
        }
        let silent = self.answered && api_answer(&system.root).is_err();
        silent.then(|| {
            let summary = "What is asked for is refused: magnum-api did not answer";
            Problem::blocked(summary, problem.detail.clone())
        })
    }

    /// Remembers that what was tried has failed, and returns the problem of it.
    ///
    /// # Errors
    /// If it cannot be remembered.
    pub fn refuse(&self, root: &Root, failure: Problem, what: &str) -> Result<Problem> {
        let remedy =
            "what ran before is put back; ask for something else, or try the same again: juju run UNIT restart";
        let detail = format!("with {what}: {}; {remedy}", failure.detail);
        let problem = Problem { detail, ..failure };
        proof::remember_failure(root, self.combination.clone(), &problem)?;
        Ok(problem)
    }

    /// Undoes a first graft.
    ///
    /// # Errors
    /// If a step fails: the next hook goes on.
    pub fn take_off(&self, backups: &mut Backups, environment: &Environment<'_>) -> Result<()> {
        (environment.progress)("Taking the graft off again")?;
        remove::take_off(environment.system, backups, &self.serving)?;
        Self::end(&environment.system.root)
    }

    /// Forgets the switch that is over.
    ///
    /// # Errors
    /// If that fails.
    pub fn end(root: &Root) -> Result<()> {
        root.remove(&state_path(STATE))
    }
}

/// Goes back to what ran before a switch that has failed.
///
/// # Errors
/// As [`run`], and if a step fails: the next hook goes on.
pub fn undo(
    switch: &Switch,
    failure: Problem,
    wanted: &Wanted,
    request: Request,
    environment: &Environment<'_>,
    mut outcome: Reconciled,
) -> Result<Reconciled> {
    let root = &environment.system.root;
    // Before it is refused: a hook that is killed in between tries it once more.
    match &switch.before {
        Some(before) => root.save(LAST_GOOD, before)?,
        None => root.remove(&state_path(LAST_GOOD))?,
    }
    let options = wanted.settings.capi_helm_options.iter().count();
    let problem = switch.refuse(root, failure, &format!("{} and {options} options", wanted.settings.driver.pin))?;
    tracing::warn!("{problem}");
    let mut back = match &switch.before {
        Some(_) => run(Request { settings: Err(problem), ..request }, environment)?,
        None => {
            switch.take_off(&mut Backups::load(root)?, environment)?;
            Reconciled { unhealthy: Some(problem.clone()), problems: vec![problem], ..Reconciled::default() }
        }
    };
    outcome.restarted.append(&mut back.restarted);
    Ok(Reconciled { changed: true, restarted: outcome.restarted, ..back })
}

#[cfg(test)]
mod tests {
    use super::super::plan::tests::model::{Model, desired, settings};
    use super::*;
    use crate::magnum::MAGNUM_CONF;
    use crate::system::testing::Scratch;

    fn wanted(options: &str) -> Wanted {
        Wanted { settings: settings(options), defaults: None }
    }

    fn combination(name: &str) -> Combination {
        (name.to_owned(), Vec::new())
    }

    /// A root where no API answers.
    fn scratch() -> Scratch {
        let scratch = Scratch::new();
        scratch.root.make_state_directory().unwrap();
        scratch.put(MAGNUM_CONF, "[api]\nport = 1\n");
        scratch
    }

    #[test]
    fn a_switch_goes_back_to_what_was_last_good_however_often_a_hook_is_killed() {
        let (scratch, grafted) = (scratch(), Model::grafted(&desired(&settings(""))).observed);
        let begin = |name: &str, wanted: &Wanted, observed: &Observed, last_good: Option<&Wanted>| {
            let under_way = Switch::under_way(&scratch.root);
            Switch::begin(&scratch.root, under_way, combination(name), last_good, wanted, observed).unwrap()
        };
        let (good, first, second) = (wanted(""), wanted("namespace_prefix = x"), wanted("namespace_prefix = y"));
        assert_eq!(begin("good", &good, &grafted, Some(&good)), None, "drift is no switch");
        let begun = begin("first", &first, &grafted, Some(&good)).unwrap();
        assert_eq!((begun.before.as_ref(), begun.serving.len(), begun.answered), (Some(&good), 2, false));
        // The hook was killed after it had written, and a service has failed meanwhile.
        let mut failed = grafted.clone();
        failed.services.services[1].process = None;
        assert_eq!(begin("first", &first, &failed, Some(&first)), Some(begun.clone()));
        let again = begin("second", &second, &failed, Some(&first)).unwrap();
        assert_eq!((again.before.as_ref(), &again.serving), (Some(&good), &begun.serving));
        assert!(begin("good", &good, &failed, Some(&second)).unwrap().leads_back(&good));
        Switch::end(&scratch.root).unwrap();
        assert_eq!(Switch::under_way(&scratch.root), None);
        failed.services.services[0].process = None;
        assert_eq!(begin("first", &first, &failed, Some(&good)), None, "nothing is taken away");
        let fresh = begin("first", &first, &Model::fresh().observed, Some(&good)).unwrap();
        assert_eq!(fresh.before, None, "on a unit that was not grafted");
    }

    #[test]
    fn only_what_served_before_is_missed() {
        let (scratch, grafted) = (scratch(), Model::grafted(&desired(&settings(""))).observed);
        let said = "Traceback\nOSError: amqp://me:hunter2@rabbit is in use\nend\n";
        let system = scratch.system(move |_| Some(said.to_owned()));
        let mut services = grafted.services.services;
        services[1].process = None;
        services[1].unit.active_state = "failed".to_owned();
        let down: Health = Ok(vec![Problem::blocked("x", "y")]);
        let switch = |serving: &[Service], answered| Switch {
            before: None,
            combination: combination("x"),
            serving: serving.iter().copied().collect(),
            answered,
        };
        let both = switch(&Service::ALL, false);
        assert_eq!(both.failure(&system, &services, &Ok(Vec::new())), None);
        assert_eq!(both.failure(&system, &services, &Ok(vec![Problem::maintenance("Magnum is paused")])), None);
        let failure = both.failure(&system, &services, &down).unwrap();
        assert_eq!(failure.summary, "What is asked for is refused: magnum-conductor did not start");
        assert_eq!(failure.detail, "magnum-conductor says: OSError: amqp://rabbit is in use");
        let api = switch(&[Service::Api], false);
        assert_eq!(api.failure(&system, &services, &down), None, "it failed before");
        let silent = switch(&[Service::Api], true).failure(&system, &services, &down).unwrap();
        assert_eq!(silent.summary, "What is asked for is refused: magnum-api did not answer");
        let problem = both.refuse(&scratch.root, failure, "a pin").unwrap();
        assert_eq!(proof::failed_of(&scratch.root, &[Problem::notice("z", ""), problem.clone()]), Some(&problem));
        proof::forget(&scratch.root).unwrap();
        assert_eq!(proof::failed_of(&scratch.root, &[problem]), None);
    }
}
