//! Rolling restarts, Juju's side: the peers' data bags, the leader's, and whether there are other units.
//!
//! Reads and writes only when it may matter: a hook with nothing to restart and nothing new asks Juju nothing.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use anyhow::Result;
use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tracing::warn;

use super::{Grant, LeaderDecision, Situation, Stop, UnitState};
use crate::escape;
use crate::juju::settings::RestartMode;
use crate::juju::{Context, PRINCIPAL_ENDPOINT, tools};
use crate::problem::Problem;
use crate::step::DueRestart;
use crate::system::{Root, System, limits};

const PEER_ENDPOINT: &str = "cluster";
/// The key of unit states and leader decisions in their data bags.
const KEY: &str = "rolling-restart";
const MEMORY: &str = "roll.json";
/// Begins the application's status if it is about rolling restarts.
const STOPPED: &str = "Restarts stopped at ";

/// What this unit published last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Memory {
    state: UnitState,
    /// Whether a later hook found it in the data bag: what a killed hook sets is lost.
    is_published: bool,
    /// Whether it leads restarts that have not ended.
    is_leading: bool,
    /// Whether there is only one unit, as far as Juju knows.
    alone: bool,
}

/// Returns what is remembered; of another version of the charm, or damaged, it counts as nothing.
fn memory(root: &Root) -> Option<Memory> {
    root.remembered(MEMORY)
}

/// Whether there was only one unit when Juju was last asked: for the guard, which cannot ask. If that is not known,
/// there may be others.
pub fn was_alone(root: &Root) -> bool {
    memory(root).is_some_and(|memory| memory.alone)
}

/// The peers as Juju shows them.
#[derive(Debug)]
struct Peers {
    relation: String,
    is_leader: bool,
    decision: LeaderDecision,
    /// This unit's state, as the others know it.
    state: UnitState,
    others: Vec<String>,
}

/// Rolling restarts, as far as this hook or action needs them.
pub struct Rolling<'a> {
    system: &'a System,
    context: &'a Context,
    mode: RestartMode,
    peers: OnceCell<Option<Peers>>,
    /// The principal's units with their statuses; `None` if Juju does not say.
    principals: OnceCell<Option<BTreeMap<String, String>>>,
}

impl<'a> Rolling<'a> {
    pub fn new(system: &'a System, context: &'a Context, mode: RestartMode) -> Self {
        Self { system, context, mode, peers: OnceCell::new(), principals: OnceCell::new() }
    }

    /// Returns why services that are serving must not be restarted yet, if they must not: also if Juju does not say whether
    /// they may.
    pub fn turn(&self, due: &[DueRestart]) -> Option<Problem> {
        let names: Vec<&str> = due.iter().map(|due| due.service.name()).collect();
        let names = names.join(" and ");
        let unit = &self.context.unit;
        let pending = |why: String| {
            let summary = format!("Restart pending: {why}");
            Some(Problem::waiting(summary, format!("the restart of {names} waits for its turn")))
        };
        match self.mode {
            RestartMode::Immediate => None,
            RestartMode::Manual => Some(Problem::blocked(
                "Restart needed: run the action restart",
                format!("{names} must be restarted, and restart-mode is manual; run: juju run {unit} restart"),
            )),
            RestartMode::Rolling => match self.reason_to_wait() {
                Ok(why) => why.and_then(pending),
                Err(error) => {
                    warn!("the restart of {names} waits for a hook in which Juju answers: {error:#}");
                    pending("Juju does not show the other units".to_owned())
                }
            },
        }
    }

    fn reason_to_wait(&self) -> Result<Option<String>> {
        if self.is_alone()? {
            return Ok(None);
        }
        let unit = &self.context.unit;
        Ok(match self.peers()? {
            None => Some("the units do not know each other yet".to_owned()),
            Some(peers) if peers.state.is_granted(unit, &peers.decision) => None,
            Some(peers) => Some(peers.decision.reason_to_wait(unit)),
        })
    }

    /// Publishes this unit's situation at the end of a hook; the leader decides. Returns the problem of a hook that could not
    /// finish this.
    ///
    /// # Errors
    /// If the next hook could not know that it is to finish it.
    pub fn publish(&self, hook: &str, now: Situation) -> Result<Option<Problem>> {
        let Err(error) = self.attempt_to_publish(hook, now) else { return Ok(None) };
        // Juju keeps what was set before. Nothing counts as published, so every hook tries again; nor as known of the others.
        let known = memory(&self.system.root).map(|memory| memory.state);
        let state = known.unwrap_or_default();
        let unfinished = Memory { state, is_published: false, is_leading: false, alone: false };
        self.system.root.save(MEMORY, &unfinished)?;
        let detail = format!("restarts of other units may wait for this one: {error:#}; the next hook tries again");
        Ok(Some(Problem::notice("The other units cannot be told of this one", detail)))
    }

    fn attempt_to_publish(&self, hook: &str, now: Situation) -> Result<()> {
        let unit = self.context.unit.as_str();
        let now = Situation { pending: now.pending && self.mode == RestartMode::Rolling, ..now };
        let memory = memory(&self.system.root);
        let is_idle = match &memory {
            None => hook == "update-status" && !now.pending,
            Some(last) => {
                let next = last.state.next(unit, &LeaderDecision::default(), now.clone());
                let at_rest = last.is_published && !last.is_leading && !last.state.pending;
                at_rest && next == last.state && !is_about_peers(hook)
            }
        };
        if is_idle {
            return Ok(());
        }
        let Some(peers) = self.peers()? else { return Ok(()) };
        let state =
            UnitState { principal: self.context.principal.clone(), ..peers.state.next(unit, &peers.decision, now) };
        let is_published = peers.state == state;
        if !is_published {
            let encoded = serde_json::to_string(&state)?;
            tools::relation_set(self.system, &peers.relation, unit, KEY, &encoded)?;
        }
        let is_leading = peers.is_leader && self.decide(peers, &state)? != LeaderDecision::default();
        let new = Memory { state, is_published, is_leading, alone: self.is_alone()? };
        if memory.as_ref() != Some(&new) {
            self.system.root.save(MEMORY, &new)?;
        }
        Ok(())
    }

    /// The leader's part: reads the other units' states, and decides.
    fn decide(&self, peers: &Peers, own: &UnitState) -> Result<LeaderDecision> {
        let mut states = BTreeMap::from([(self.context.unit.clone(), own.clone())]);
        for other in &peers.others {
            states.insert(other.clone(), read(self.system, &peers.relation, other)?);
        }
        let now = Timestamp::now().as_second();
        let decision = peers.decision.next(&self.context.unit, &states, |grant| self.is_gone(grant), now);
        if decision != peers.decision {
            let encoded = serde_json::to_string(&decision)?;
            tools::relation_set(self.system, &peers.relation, self.context.application(), KEY, &encoded)?;
        }
        self.set_application_status(decision.stopped.as_ref())?;
        Ok(decision)
    }

    /// Whether Juju knows of one unit only. It is asked for the principal's units: a subordinate learns of its peers on
    /// other machines only when they have joined.
    fn is_alone(&self) -> Result<bool> {
        match self.principals() {
            Some(principals) if !principals.is_empty() => Ok(principals.len() == 1),
            _ => Ok(self.peers()?.is_none_or(|peers| peers.others.is_empty())),
        }
    }

    /// Whether the holder of a grant that has not joined, or not any more, has left for good: with its principal's
    /// unit.
    fn is_gone(&self, grant: &Grant) -> bool {
        self.principals().is_some_and(|all| all.get(&grant.principal).is_none_or(|status| status == "dying"))
    }

    fn principals(&self) -> Option<&BTreeMap<String, String>> {
        let ask = || {
            let goal = tools::goal_units(self.system, PRINCIPAL_ENDPOINT);
            goal.inspect_err(|error| warn!("goal-state fails: {error:#}")).ok()
        };
        self.principals.get_or_init(ask).as_ref()
    }

    /// `None` while there is no peer relation yet.
    fn peers(&self) -> Result<Option<&Peers>> {
        if let Some(peers) = self.peers.get() {
            return Ok(peers.as_ref());
        }
        let peers = Peers::read(self.system, self.context)?;
        Ok(self.peers.get_or_init(|| peers).as_ref())
    }

    /// Names the unit at which the restarts have stopped. Juju derives the application's status from its units' until a
    /// charm sets it, so it is set only for that, and taken back.
    fn set_application_status(&self, stopped: Option<&Stop>) -> Result<()> {
        let (kind, message) = tools::application_status(self.system)?;
        // As Juju shows it later.
        let new = stopped.map(|stop| escape::status(&format!("{STOPPED}{}: {}", stop.unit, stop.why)));
        match new {
            Some(new) if (kind.as_str(), &message) != ("blocked", &new) => {
                tools::application_status_set(self.system, "blocked", &new)
            }
            None if message.starts_with(STOPPED) => tools::application_status_set(self.system, "active", ""),
            _ => Ok(()),
        }
    }
}

impl Peers {
    fn read(system: &System, context: &Context) -> Result<Option<Self>> {
        let relations = tools::relation_ids(system, PEER_ENDPOINT)?;
        let Some(relation) = relations.into_iter().next() else { return Ok(None) };
        // This comes first: the decision that is read after it is the newest.
        let is_leader = tools::is_leader(system)?;
        let decision = read(system, &relation, context.application())?;
        Ok(Some(Self {
            is_leader,
            decision,
            state: read(system, &relation, &context.unit)?,
            others: tools::relation_list(system, &relation)?,
            relation,
        }))
    }
}

/// Whether a hook brings news of the other units, and none of this one's options or resources.
pub fn is_about_peers(hook: &str) -> bool {
    hook == "leader-elected" || hook.starts_with(&format!("{PEER_ENDPOINT}-relation-"))
}

/// Whether a hook only says that this very unit leaves: nothing is to be put in place any more.
pub fn is_own_departure(hook: &str, context: &Context) -> bool {
    hook == format!("{PEER_ENDPOINT}-relation-departed") && context.departing.as_ref() == Some(&context.unit)
}

/// Reads the data bag of a unit or an application; what another version of the charm wrote counts as nothing.
fn read<T: DeserializeOwned + Default>(system: &System, relation: &str, owner: &str) -> Result<T> {
    let text = tools::relation_get(system, relation, owner, KEY)?;
    Ok(text.and_then(|text| limits::json(text.as_bytes()).ok()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::magnum::Service;
    use crate::system::testing::{Scratch, command_line};

    fn context() -> Context {
        Context {
            unit: "c/0".into(),
            principal: "m/0".into(),
            departing: None,
            proxy: Vec::new(),
            charm: String::new(),
        }
    }

    /// Juju with another unit, where the first tool whose command line begins so fails.
    fn juju(scratch: &Scratch, fails: &'static str) -> (System, Arc<Mutex<Vec<String>>>) {
        let set = Arc::new(Mutex::new(Vec::new()));
        let sets = set.clone();
        let system = scratch.system(move |command| {
            let line = command_line(command);
            if !fails.is_empty() && line.starts_with(fails) {
                return None;
            }
            let answer = match line.split(' ').next().unwrap() {
                "goal-state" => r#"{"relations": {"magnum": {"m/0": {"status": ""}, "m/1": {"status": ""}}}}"#,
                "relation-ids" => r#"["cluster:1"]"#,
                "is-leader" => "true",
                "relation-list" => r#"["c/1"]"#,
                "relation-get" => "null",
                "status-get" => "{}",
                "relation-set" => {
                    sets.lock().unwrap().push(line);
                    ""
                }
                other => panic!("{other}"),
            };
            Some(answer.to_owned())
        });
        (system, set)
    }

    #[test]
    fn a_relation_that_cannot_be_read_means_that_a_restart_waits_and_fails_no_hook() {
        let due = [DueRestart { service: Service::Api, why: String::new() }];
        for tool in ["relation-ids", "is-leader", "relation-get -r cluster:1 --app", "relation-get", "relation-list"] {
            let (scratch, context) = (Scratch::new(), context());
            scratch.root.make_state_directory().unwrap();
            let (system, set) = juju(&scratch, tool);
            let rolling = Rolling::new(&system, &context, RestartMode::Rolling);
            let problem = rolling.turn(&due).unwrap();
            assert_eq!(problem.summary, "Restart pending: Juju does not show the other units", "{tool}");
            let pending = || Situation { pending: true, unhealthy: None };
            let problem = rolling.publish("config-changed", pending()).unwrap().unwrap();
            assert_eq!(problem.summary, "The other units cannot be told of this one", "{tool}");
            assert_eq!(*set.lock().unwrap(), Vec::<String>::new(), "{tool}");
            assert!(!was_alone(&scratch.root), "the guard restarts nothing either");
            // The next hook finishes it, also one that would have nothing to do.
            let (system, set) = juju(&scratch, "");
            let rolling = Rolling::new(&system, &context, RestartMode::Rolling);
            assert_eq!(rolling.publish("update-status", Situation::default()).unwrap(), None);
            assert_eq!(set.lock().unwrap().len(), 1, "{tool}");
        }
    }

    #[test]
    fn what_is_published_in_part_is_finished_by_the_next_hook() {
        for tool in ["relation-set -r cluster:1 --app", "status-get", "relation-set"] {
            let (scratch, context) = (Scratch::new(), context());
            scratch.root.make_state_directory().unwrap();
            let pending = || Situation { pending: true, unhealthy: None };
            let (system, _) = juju(&scratch, tool);
            let published = Rolling::new(&system, &context, RestartMode::Rolling).publish("config-changed", pending());
            assert!(published.unwrap().is_some(), "{tool}");
            let (system, set) = juju(&scratch, "");
            let rolling = Rolling::new(&system, &context, RestartMode::Rolling);
            assert_eq!(rolling.publish("update-status", pending()).unwrap(), None);
            // Its own state, and as the leader its decision.
            assert_eq!(set.lock().unwrap().len(), 2, "{tool}");
        }
        // Nobody would know that it is to be finished.
        let (scratch, context) = (Scratch::new(), context());
        let (system, _) = juju(&scratch, "relation-ids");
        let rolling = Rolling::new(&system, &context, RestartMode::Rolling);
        scratch.put(crate::system::STATE_DIRECTORY, "");
        rolling.publish("config-changed", Situation { pending: true, unhealthy: None }).unwrap_err();
    }
}
