//! A switch: the services are restarted into something new, and watched. When they do not stay up with it, or the API
//! that answered before does not answer, what ran before is put back, and the same is not tried again.
//!
//! What is under way is remembered, so that the hook after a killed one judges it, or goes on with undoing it.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::proof::{self, Combination};
use super::{Observed, Wanted};
use crate::escape;
use crate::magnum::Service;
use crate::problem::{Kind, Problem};
use crate::services::{Health, ObservedService, STABLE_AFTER, api_answer, last_line};
use crate::system::{Root, System, state_path};

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
    serving: Vec<Service>,
    /// Whether the API answered.
    answered: bool,
}

impl Switch {
    /// Returns the switch that is under way.
    pub fn under_way(root: &Root) -> Option<Self> {
        root.remembered(STATE)
    }

    /// Returns the switch that the steps to `wanted` are, and remembers it; `None` if they take nothing away.
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
        let (before, mut serving, mut answered) = match under_way {
            Some(it) => (it.before, it.serving, it.answered),
            None => (last_good.cloned(), Vec::new(), false),
        };
        let now = observed.services.services.iter().filter(|service| service.is_serving()).map(|it| it.service);
        serving.extend(
            now.collect::<Vec<_>>().into_iter().filter(|service| !serving.contains(service)).collect::<Vec<_>>(),
        );
        answered = answered || api_answer(root).is_ok();
        if serving.is_empty() {
            return Ok(None);
        }
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
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn failure(&self, system: &System, services: &[ObservedService], health: &Health) -> Result<Option<Problem>> {
        let Some(problem) = health.iter().flatten().find(|problem| problem.kind == Kind::Blocked) else {
            return Ok(None);
        };
        let is_down = |service: &&ObservedService| {
            let stays = service.process.as_ref().is_some_and(|process| process.age() >= STABLE_AFTER);
            self.serving.contains(&service.service)
                && service.unit.is_available()
                && (!stays || service.keeps_failing())
        };
        if let Some(down) = services.iter().find(is_down) {
            let name = down.service.name();
            let said = last_line(system, down).unwrap_or_default();
            let said = escape::line(&said, LONGEST_LINE);
            let summary = format!("What is asked for is refused: {name} did not start");
            return Ok(Some(Problem::blocked(summary, format!("{name} says: {said}"))));
        }
        let silent = self.answered && api_answer(&system.root).is_err();
        Ok(silent.then(|| {
            let summary = "What is asked for is refused: magnum-api did not answer";
            Problem::blocked(summary, problem.detail.clone())
        }))
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

    /// Forgets the switch that is over.
    ///
    /// # Errors
    /// If that fails.
    pub fn end(root: &Root) -> Result<()> {
        root.remove(&state_path(STATE))
    }
}
