//! Rolling restarts, Juju's side: the peers' data bags, the leader's, and whether there are others.
//!
//! What [`roll`](crate::roll) thinks is read and written here, and only when it may matter: a hook
//! with nothing to restart and nothing new to say asks Juju nothing.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use anyhow::Result;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::converge::{Outcome, Wanted};
use crate::graft::Turn;
use crate::graft::services::{self, Due};
use crate::health::Health;
use crate::juju::tools::{self, Bag, GoalState};
use crate::juju::{Context, ENDPOINT};
use crate::problem::Problem;
use crate::roll::{Grant, Ruling, Situation, Stop, Word};
use crate::settings::RestartMode;
use crate::unit::state;

/// The peer endpoint.
const PEERS: &str = "cluster";
/// The key of words and rulings in their data bags.
const KEY: &str = "roll";
/// The file of what was said last.
const MEMORY: &str = "roll.json";
/// How the application's status begins when it is this module's.
const STOPPED: &str = "restarts stopped at ";

/// What this unit said last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Memory {
    word: Word,
    /// Whether it was found in the data bag by a later hook: one that is killed flushes nothing.
    flushed: bool,
    /// Whether it leads a roll that is not at its end.
    leading: bool,
    /// Whether there is one unit only, as far as Juju knows.
    alone: bool,
}

/// Whether there was one unit only when Juju was last asked: for the guard, which cannot ask. Where
/// that is not known there may be others.
///
/// # Errors
/// When what is remembered cannot be read.
pub fn was_alone() -> Result<bool> {
    Ok(state::load::<Memory>(MEMORY)?.is_some_and(|memory| memory.alone))
}

/// What Juju says of the others.
#[derive(Debug)]
struct View {
    relation: String,
    leads: bool,
    ruling: Ruling,
    /// What this unit has said, as the others know it.
    said: Option<Word>,
    others: Vec<String>,
}

/// The roll, as far as this hook or action needs it.
#[derive(Debug)]
pub struct Roll<'a> {
    context: &'a Context,
    mode: RestartMode,
    view: OnceCell<Option<View>>,
    goal: OnceCell<Option<GoalState>>,
}

impl<'a> Roll<'a> {
    /// In the mode that is wanted; while the settings are no good, in the most careful one.
    pub fn of(wanted: &Wanted, context: &'a Context) -> Self {
        let mode = wanted.settings.as_ref().map(|all| all.restart_mode);
        Self::new(mode.unwrap_or_default(), context)
    }

    /// In this mode.
    pub fn new(mode: RestartMode, context: &'a Context) -> Self {
        Self {
            context,
            mode,
            view: OnceCell::new(),
            goal: OnceCell::new(),
        }
    }

    /// Whether services that are serving may be restarted now.
    ///
    /// # Errors
    /// When Juju does not tell.
    pub fn turn(&self, due: &[Due]) -> Result<Turn> {
        let names = services::names(due);
        let unit = &self.context.unit;
        let wait = |why: String| {
            Turn::NotYet(Problem::waiting(format!(
                "the restart of {names} waits for its turn ({why})"
            )))
        };
        Ok(match self.mode {
            RestartMode::Immediate => Turn::Ours,
            RestartMode::Manual => Turn::NotYet(Problem::blocked(format!(
                "{names} must be restarted, and restart-mode is manual; run: juju run {unit} \
                 restart"
            ))),
            RestartMode::Rolling if self.is_alone()? => Turn::Ours,
            RestartMode::Rolling => match self.view()? {
                None => wait("the units do not know each other yet".to_owned()),
                Some(view) if view.word().has_turn(unit, &view.ruling) => Turn::Ours,
                Some(view) => wait(view.ruling.why_wait(unit)),
            },
        })
    }

    /// Says to the others what has become of it; the leader rules.
    ///
    /// # Errors
    /// When Juju cannot be asked or told.
    pub fn tell(&self, hook: &str, outcome: &Outcome) -> Result<()> {
        let unit = self.context.unit.as_str();
        let now = Situation {
            withheld: self.mode == RestartMode::Rolling && !outcome.withheld.is_empty(),
            ill: match &outcome.health {
                Health::Ill(why) => Some(why.clone()),
                _ => None,
            },
        };
        let memory: Option<Memory> = state::load(MEMORY)?;
        let idle = match &memory {
            None => hook == "update-status" && !now.withheld,
            Some(last) => {
                let next = last.word.next(unit, &Ruling::default(), now.clone());
                let at_rest = last.flushed && !last.leading && !last.word.wants;
                at_rest && next == last.word && !is_about_others(hook)
            }
        };
        if idle {
            return Ok(());
        }
        let Some(view) = self.view()? else {
            return Ok(());
        };
        let word = Word {
            principal: self.context.principal.clone(),
            ..view.word().next(unit, &view.ruling, now)
        };
        let flushed = view.said.as_ref() == Some(&word);
        if !flushed {
            tools::relation_set(&view.relation, Bag::Unit(unit), KEY, &encoded(&word)?)?;
        }
        let leading = view.leads && self.rule(view, &word)? != Ruling::default();
        let new = Memory {
            word,
            flushed,
            leading,
            alone: self.is_alone()?,
        };
        if memory.as_ref() != Some(&new) {
            state::save(MEMORY, &new)?;
        }
        Ok(())
    }

    /// The leader's part: reads what the others have said, and rules.
    fn rule(&self, view: &View, own: &Word) -> Result<Ruling> {
        let mut words = BTreeMap::from([(self.context.unit.clone(), own.clone())]);
        for other in &view.others {
            let word = said(&view.relation, Bag::Unit(other))?;
            words.insert(other.clone(), word.unwrap_or_default());
        }
        let now = Timestamp::now().as_second();
        let is_gone = |grant: &Grant| self.is_gone(grant);
        let ruling = view.ruling.next(&self.context.unit, &words, is_gone, now)?;
        if ruling != view.ruling {
            let bag = Bag::Application(self.context.application());
            tools::relation_set(&view.relation, bag, KEY, &encoded(&ruling)?)?;
        }
        tell_application(ruling.stopped.as_ref())?;
        Ok(ruling)
    }

    /// Whether Juju knows of one unit only. That is asked of the principal's units: a subordinate
    /// is not told of its like on other machines before these have joined it.
    fn is_alone(&self) -> Result<bool> {
        Ok(
            match self.goal()?.as_ref().map(|goal| goal.units(ENDPOINT)) {
                Some(principals) if !principals.is_empty() => principals.len() == 1,
                _ => self.view()?.is_none_or(|view| view.others.is_empty()),
            },
        )
    }

    /// Whether the unit with the turn, which has not joined this one or not any more, is gone for
    /// good: with its principal's unit.
    fn is_gone(&self, grant: &Grant) -> Result<bool> {
        let goal = self.goal()?.as_ref();
        Ok(goal.is_some_and(|goal| !goal.staying(ENDPOINT).contains(&grant.principal.as_str())))
    }

    fn goal(&self) -> Result<&Option<GoalState>> {
        if self.goal.get().is_none() {
            let goal = tools::goal_state()
                .inspect_err(|error| warn!("Juju does not say what units there will be: {error:#}"))
                .ok();
            return Ok(self.goal.get_or_init(|| goal));
        }
        Ok(self.goal.get_or_init(|| None))
    }

    /// `None` while there is no relation to the others yet.
    fn view(&self) -> Result<Option<&View>> {
        if let Some(view) = self.view.get() {
            return Ok(view.as_ref());
        }
        let view = View::look(self.context)?;
        Ok(self.view.get_or_init(|| view).as_ref())
    }
}

impl View {
    fn look(context: &Context) -> Result<Option<Self>> {
        let Some(relation) = tools::relation_ids(PEERS)?.into_iter().next() else {
            return Ok(None);
        };
        // This comes first: what is read of the ruling after it is the newest.
        let leads = tools::is_leader()?;
        Ok(Some(Self {
            leads,
            ruling: said(&relation, Bag::Application(context.application()))?.unwrap_or_default(),
            said: said(&relation, Bag::Unit(&context.unit))?,
            others: tools::relation_list(&relation)?,
            relation,
        }))
    }

    fn word(&self) -> Word {
        self.said.clone().unwrap_or_default()
    }
}

/// Whether a hook brings news of the other units, and none of this one's options or resources.
pub fn is_about_others(hook: &str) -> bool {
    hook == "leader-elected" || hook.starts_with(&format!("{PEERS}-relation-"))
}

/// Whether this hook only says that this very unit goes: nothing is to be put in place any more.
pub fn is_farewell(hook: &str, context: &Context) -> bool {
    hook == format!("{PEERS}-relation-departed")
        && context.departing.as_ref() == Some(&context.unit)
}

/// What stands in a data bag; of another version of the charm, nothing.
fn said<T: serde::de::DeserializeOwned>(relation: &str, bag: Bag<'_>) -> Result<Option<T>> {
    let text = tools::relation_get(relation, bag, KEY)?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

fn encoded<T: Serialize>(value: &T) -> Result<String> {
    Ok(serde_json::to_string(value)?)
}

/// Names the unit at which the roll has stopped. Juju derives the application's status from its
/// units' until a charm sets it, so it is set only for that, and taken back.
fn tell_application(stopped: Option<&Stop>) -> Result<()> {
    let (kind, message) = tools::application_status()?;
    match stopped {
        Some(stop) => {
            let new = format!("{STOPPED}{}: {}", stop.unit, stop.why);
            if (kind.as_str(), &message) == ("blocked", &new) {
                return Ok(());
            }
            tools::application_status_set("blocked", &new)
        }
        None if message.starts_with(STOPPED) => tools::application_status_set("active", ""),
        None => Ok(()),
    }
}
