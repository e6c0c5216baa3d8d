//! Rolling restarts: which unit may restart its services. This file is pure; `peers` reads and writes the data bags.
//!
//! Each unit publishes a [`UnitState`] in its peer data bag, the leader a [`LeaderDecision`] in the application's. A
//! unit takes a ticket when a restart is pending, and acts only on a grant of that very ticket, read together with its
//! own state *before* it writes anything: so on nothing that a killed hook could lose, and never on an old grant. That
//! holds for the leader too, which no event tells of its own decision: the other units acknowledge a grant to the
//! leader ([`UnitState::acknowledged`]), and that wakes it.

mod peers;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::escape;

pub use peers::{Rolling, is_about_peers, is_own_departure, was_alone};

/// In seconds: a restart takes at most three minutes, settling one. A unit whose grant is older is stuck.
pub const STUCK_AFTER: i64 = 600;

/// What a unit tells the others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UnitState {
    /// Its principal's unit.
    pub principal: String,
    /// The number of its request; each new request has a greater one.
    pub ticket: u64,
    /// Whether its restart is pending.
    pub pending: bool,
    /// What is wrong with its services, if they are not healthy.
    pub unhealthy: Option<String>,
    /// The last grant to the leader that it has seen.
    pub acknowledged: Option<(String, u64)>,
}

/// The permission to restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The unit that has it.
    pub unit: String,
    /// The request it answers.
    pub ticket: u64,
    /// Its principal's unit.
    pub principal: String,
    /// Its time, in seconds since 1970.
    pub since: i64,
    /// Whether the unit is the leader, which must be woken.
    pub to_leader: bool,
}

/// The unit at which the restarts have stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    pub unit: String,
    pub why: String,
}

/// What the leader decides.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LeaderDecision {
    pub grant: Option<Grant>,
    /// Why nobody else gets the grant.
    pub stopped: Option<Stop>,
}

/// A unit's situation at the end of a hook.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Situation {
    pub pending: bool,
    /// What is wrong with its services, if they are not healthy.
    pub unhealthy: Option<String>,
}

impl UnitState {
    /// Whether `unit`, whose state this is, may restart.
    pub fn is_granted(&self, unit: &str, decision: &LeaderDecision) -> bool {
        let granted = |grant: &Grant| grant.unit == unit && grant.ticket == self.ticket;
        self.pending && decision.grant.as_ref().is_some_and(granted)
    }

    /// Returns the state that `unit` publishes next.
    #[must_use]
    pub fn next(&self, unit: &str, decision: &LeaderDecision, now: Situation) -> Self {
        let to_leader = decision.grant.as_ref().filter(|grant| grant.to_leader && grant.unit != unit);
        let seen = to_leader.map(|grant| (grant.unit.clone(), grant.ticket));
        Self {
            principal: self.principal.clone(),
            ticket: self.ticket.saturating_add(u64::from(now.pending && !self.pending)),
            pending: now.pending,
            // The reason may be worded differently each time: that alone is no change.
            unhealthy: now.unhealthy.map(|why| self.unhealthy.clone().unwrap_or(why)),
            acknowledged: seen.or_else(|| self.acknowledged.clone()),
        }
    }

    /// Whether the grant is still in use, as far as this state of its holder shows. A state older than the request
    /// that was granted shows nothing.
    fn holds(&self, grant: &Grant) -> bool {
        self.ticket < grant.ticket || (self.ticket == grant.ticket && self.pending)
    }
}

impl LeaderDecision {
    /// Returns the decision that follows from the units' states, the leader's own among them. `is_gone` says whether a
    /// holder that is not among them has left for good.
    pub fn next(
        &self,
        leader: &str,
        states: &BTreeMap<String, UnitState>,
        is_gone: impl Fn(&Grant) -> bool,
        now: i64,
    ) -> Self {
        if let Some(grant) = &self.grant {
            let is_in_use = match states.get(&grant.unit) {
                Some(state) => state.holds(grant),
                None => !is_gone(grant),
            };
            if is_in_use {
                return Self { grant: self.grant.clone(), stopped: stuck(grant, now) };
            }
        }
        let (waiting, others): (Vec<_>, Vec<_>) = states.iter().partition(|(_, state)| state.pending);
        let order = |(unit, state): &(&String, &UnitState)| (state.unhealthy.is_none(), *unit == leader, number(unit));
        let Some((unit, state)) = waiting.into_iter().min_by_key(order) else {
            return Self::default();
        };
        let stop = |(unit, state): (&String, &UnitState)| {
            Some(Stop { unit: unit.clone(), why: escape::status(state.unhealthy.as_ref()?) })
        };
        let unhealthy = others.into_iter().find_map(stop);
        let grant = unhealthy.is_none().then(|| Grant {
            unit: unit.clone(),
            ticket: state.ticket,
            principal: state.principal.clone(),
            since: now,
            to_leader: unit == leader,
        });
        Self { grant, stopped: unhealthy }
    }

    /// Returns why `unit` must wait.
    pub fn reason_to_wait(&self, unit: &str) -> String {
        match (&self.stopped, &self.grant) {
            (Some(stop), _) if stop.unit != unit => {
                format!("{} is not healthy: {}", stop.unit, stop.why)
            }
            (_, Some(grant)) if grant.unit != unit => format!("{} restarts first", grant.unit),
            _ => "the leader has not granted it yet".to_owned(),
        }
    }
}

/// A unit that holds the grant for too long stops the restarts.
fn stuck(grant: &Grant, now: i64) -> Option<Stop> {
    let minutes = STUCK_AFTER / 60;
    (now.saturating_sub(grant.since) > STUCK_AFTER)
        .then(|| Stop { unit: grant.unit.clone(), why: format!("no sign of life for {minutes} minutes") })
}

/// Returns the number of a unit: `a/10` comes after `a/9`.
fn number(unit: &str) -> u64 {
    let number = unit.rsplit('/').next().and_then(|n| n.parse().ok());
    number.unwrap_or_default()
}

#[cfg(test)]
mod tests;
