//! Rolling restarts: whose turn it is to restart its services. Pure.
//!
//! Each unit says a [`Word`] in its peer data bag; the leader says a [`Ruling`] in the application's.
//! A unit takes a ticket when it wants a turn, and acts only on a grant of that very ticket, read
//! together with its own word *before* it writes anything: so on nothing that a killed hook could
//! lose, and never on an old grant. That holds for the leader too, which no event tells of its own
//! ruling: the other units echo a grant to the leader ([`Word::heard`]), and that wakes it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// In seconds: a restart takes at most three minutes, settling one. Whoever has its turn for longer
/// and says nothing is stuck.
pub const SILENT_AFTER: i64 = 600;

/// What a unit says to the others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    /// The principal's unit it sits on.
    pub principal: String,
    /// The number of its wish; each new one has a greater number.
    pub ticket: u64,
    /// Whether it wants a turn.
    pub wants: bool,
    /// What is wrong with its services, when they are not well.
    pub ill: Option<String>,
    /// The last grant to the leader that it has seen.
    pub heard: Option<(String, u64)>,
}

/// A turn, granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// To whom.
    pub unit: String,
    /// For which wish.
    pub ticket: u64,
    /// The principal's unit it sits on.
    pub principal: String,
    /// Since when, in seconds since 1970.
    pub since: i64,
    /// Whether it is the leader itself that is to hear of it.
    pub to_leader: bool,
}

/// The unit at which the roll has stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// Which.
    pub unit: String,
    /// What is wrong with it.
    pub why: String,
}

/// What the leader says to all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruling {
    /// Whose turn it is.
    pub turn: Option<Grant>,
    /// Why nobody else gets one.
    pub stopped: Option<Stop>,
}

/// How a unit came out of a hook.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Situation {
    /// Whether it held a restart back until its turn.
    pub withheld: bool,
    /// What is wrong with its services, when they are not well.
    pub ill: Option<String>,
}

impl Word {
    /// Whether `unit`, which has said this, has the turn.
    pub fn has_turn(&self, unit: &str, ruling: &Ruling) -> bool {
        let granted = |grant: &Grant| grant.unit == unit && grant.ticket == self.ticket;
        self.wants && ruling.turn.as_ref().is_some_and(granted)
    }

    /// What `unit`, which has said this, has to say now.
    #[must_use]
    pub fn next(&self, unit: &str, ruling: &Ruling, now: Situation) -> Self {
        let echo = ruling.turn.as_ref().filter(|grant| grant.to_leader);
        let echo = echo.filter(|grant| grant.unit != unit);
        Self {
            principal: self.principal.clone(),
            ticket: self.ticket + u64::from(now.withheld && !self.wants),
            wants: now.withheld,
            // The words of one illness may change from look to look: that is no news.
            ill: now.ill.map(|why| self.ill.clone().unwrap_or(why)),
            heard: echo.map_or_else(
                || self.heard.clone(),
                |grant| Some((grant.unit.clone(), grant.ticket)),
            ),
        }
    }

    /// Whether the turn is still out, as far as this word of its holder tells. An older word than
    /// the wish that was granted tells nothing.
    fn holds(&self, grant: &Grant) -> bool {
        self.ticket < grant.ticket || (self.ticket == grant.ticket && self.wants)
    }
}

impl Ruling {
    /// What the leader has to say, having heard these words, its own among them. `is_gone` says
    /// whether a holder that is not among them has left for good.
    ///
    /// # Errors
    /// As `is_gone`.
    pub fn next<E>(
        &self,
        leader: &str,
        words: &BTreeMap<String, Word>,
        is_gone: impl Fn(&Grant) -> Result<bool, E>,
        now: i64,
    ) -> Result<Self, E> {
        if let Some(grant) = &self.turn {
            let out = match words.get(&grant.unit) {
                Some(word) => word.holds(grant),
                None => !is_gone(grant)?,
            };
            if out {
                return Ok(Self {
                    turn: self.turn.clone(),
                    stopped: silent(grant, now),
                });
            }
        }
        let (waiting, others): (Vec<_>, Vec<_>) = words.iter().partition(|(_, word)| word.wants);
        let order =
            |(unit, word): &(&String, &Word)| (word.ill.is_none(), *unit == leader, number(unit));
        let Some((unit, word)) = waiting.into_iter().min_by_key(order) else {
            return Ok(Self::default());
        };
        let ill = others.into_iter().find_map(|(unit, word)| {
            let why = word.ill.clone()?;
            let unit = unit.clone();
            Some(Stop { unit, why })
        });
        let turn = ill.is_none().then(|| Grant {
            unit: unit.clone(),
            ticket: word.ticket,
            principal: word.principal.clone(),
            since: now,
            to_leader: unit == leader,
        });
        Ok(Self { turn, stopped: ill })
    }

    /// Why `unit` must wait, for people.
    pub fn why_wait(&self, unit: &str) -> String {
        match (&self.stopped, &self.turn) {
            (Some(stop), _) if stop.unit != unit => {
                format!("{} is not well: {}", stop.unit, stop.why)
            }
            (_, Some(grant)) if grant.unit != unit => format!("{} has it", grant.unit),
            _ => "the leader is asked".to_owned(),
        }
    }
}

/// Whoever has had its turn for too long and says nothing stops the roll.
fn silent(grant: &Grant, now: i64) -> Option<Stop> {
    let minutes = SILENT_AFTER / 60;
    (now - grant.since > SILENT_AFTER).then(|| Stop {
        unit: grant.unit.clone(),
        why: format!("it has had its turn for more than {minutes} minutes and says nothing"),
    })
}

/// The number of a unit, `a/10` after `a/9`.
fn number(unit: &str) -> u64 {
    let number = unit.rsplit('/').next().and_then(|n| n.parse().ok());
    number.unwrap_or_default()
}

#[cfg(test)]
mod tests;
