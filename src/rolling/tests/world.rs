//! A small world: hooks of several units in any order, each in steps that others come between,
//! killed at any of them, with units and leaders that come and go. What a unit reads of another is
//! what the last event brought it, as Juju's agent caches it.

use super::*;

const TURN: Situation = Situation { pending: true, unhealthy: None };
const WELL: Situation = Situation { pending: false, unhealthy: None };

fn unhealthy() -> Situation {
    Situation { pending: false, unhealthy: Some("magnum-api does not answer".into()) }
}

/// What a hook read when it began.
#[derive(Clone)]
struct Read {
    leads: bool,
    decision: LeaderDecision,
    state: UnitState,
    others: BTreeMap<String, UnitState>,
}

#[derive(Clone, Copy, PartialEq)]
pub enum ServiceState {
    Old,
    Restarting,
    New,
}

#[derive(Clone)]
pub struct WorldUnit {
    pub service: ServiceState,
    /// Whether the new configuration makes it unhealthy.
    pub breaks: bool,
    pub restarts: u32,
    /// What it has flushed.
    state: UnitState,
    /// What events have brought it of the others, and of the decision.
    others: BTreeMap<String, UnitState>,
    decision: LeaderDecision,
    hook: Option<Read>,
}

pub struct World {
    /// Throws the same in each run.
    dice: fastrand::Rng,
    pub units: BTreeMap<String, WorldUnit>,
    pub leader: Option<String>,
    pub decision: LeaderDecision,
    made: u32,
}

impl World {
    pub fn new(seed: u64, count: u32) -> Self {
        let mut world = Self {
            dice: fastrand::Rng::with_seed(seed),
            units: BTreeMap::new(),
            leader: None,
            decision: LeaderDecision::default(),
            made: 0,
        };
        for _ in 0..count {
            world.add();
        }
        world.leader = Some("c/0".into());
        world
    }

    pub fn add(&mut self) {
        let unit = WorldUnit {
            service: ServiceState::Old,
            breaks: false,
            restarts: 0,
            state: UnitState { principal: format!("m/{}", self.made), ..UnitState::default() },
            others: BTreeMap::new(),
            decision: LeaderDecision::default(),
            hook: None,
        };
        self.units.insert(format!("c/{}", self.made), unit);
        self.made += 1;
    }

    pub fn remove(&mut self, name: &str) {
        self.units.remove(name);
        if self.leader.as_deref() == Some(name) {
            self.leader = None;
        }
    }

    pub fn names(&self) -> Vec<String> {
        self.units.keys().cloned().collect()
    }

    pub fn any(&mut self) -> String {
        let names = self.names();
        self.dice.choice(&names).unwrap().clone()
    }

    fn once_in(&mut self, bound: u8) -> bool {
        self.dice.u8(..bound) == 0
    }

    pub fn unit(&mut self, name: &str) -> &mut WorldUnit {
        self.units.get_mut(name).unwrap()
    }

    /// An event brings `name` the news of one other unit, or of the decision. Whether it was news.
    fn bring(&mut self, name: &str, of: Option<&str>) -> bool {
        let Some(of) = of else {
            // Nothing tells a leader of its own decision.
            if self.leader.as_deref() == Some(name) {
                return false;
            }
            let decision = self.decision.clone();
            return std::mem::replace(&mut self.unit(name).decision, decision.clone()) != decision;
        };
        let state = self.units.get(of).map(|unit| unit.state.clone());
        let others = &mut self.unit(name).others;
        match state {
            Some(state) => others.insert(of.to_owned(), state.clone()) != Some(state),
            None => others.remove(of).is_some(),
        }
    }

    fn begin(&mut self, name: &str) {
        let leads = self.leader.as_deref() == Some(name);
        let fresh = self.decision.clone();
        let unit = self.unit(name);
        unit.hook = Some(Read {
            leads,
            decision: if leads { fresh } else { unit.decision.clone() },
            state: unit.state.clone(),
            others: unit.others.clone(),
        });
    }

    /// The restart of a hook that has the turn; it takes its time, also when the hook is killed.
    fn act(&mut self, name: &str) {
        let unit = self.unit(name);
        let Some(read) = &unit.hook else { return };
        if unit.service == ServiceState::Old && read.state.is_granted(name, &read.decision) {
            unit.service = ServiceState::Restarting;
            unit.restarts += 1;
        }
        let restarting = |unit: &&WorldUnit| unit.service == ServiceState::Restarting;
        let many = self.units.values().filter(restarting).count();
        assert!(many <= 1, "{many} units restart at once");
    }

    fn settle(&mut self, name: &str) {
        let unit = self.unit(name);
        if unit.service == ServiceState::Restarting {
            unit.service = ServiceState::New;
        }
    }

    /// The end of a hook: it has waited until the services have settled, and speaks.
    fn end(&mut self, name: &str) {
        self.settle(name);
        let principals: Vec<String> = self.units.values().map(|unit| unit.state.principal.clone()).collect();
        let still_leads = self.leader.as_deref() == Some(name);
        let unit = self.unit(name);
        let Some(read) = unit.hook.take() else { return };
        let now = match (unit.service, unit.breaks) {
            (ServiceState::Old, _) => TURN,
            (_, true) => unhealthy(),
            _ => WELL,
        };
        let state = read.state.next(name, &read.decision, now);
        if !read.leads {
            unit.state = state;
            return;
        }
        let mut states = read.others;
        states.insert(name.to_owned(), state.clone());
        let gone = |grant: &Grant| !principals.contains(&grant.principal);
        let decision = read.decision.next(name, &states, gone, 0);
        // Juju writes nothing of a hook that writes as a leader and is none any more.
        if still_leads {
            unit.state = state;
            self.decision = decision;
        }
    }

    pub fn hook(&mut self, name: &str) {
        self.begin(name);
        self.act(name);
        self.end(name);
    }

    /// The operator changes an option: what runs is old.
    fn change(&mut self) {
        for unit in self.units.values_mut() {
            if unit.service == ServiceState::New {
                unit.service = ServiceState::Old;
            }
        }
    }

    /// One thing happens, anywhere.
    pub fn step(&mut self) {
        let name = self.any();
        match self.dice.u8(..12) {
            0 | 1 => {
                let of = self.any();
                self.bring(&name, Some(&of).filter(|of| **of != name).map(String::as_str));
            }
            2..=4 if self.unit(&name).hook.is_none() => self.begin(&name),
            5 | 6 => self.act(&name),
            7..=9 => self.end(&name),
            10 if self.once_in(3) => self.unit(&name).hook = None,
            11 if self.once_in(6) => self.settle(&name),
            11 if self.once_in(6) => self.leader = Some(name),
            11 if self.once_in(12) => self.change(),
            11 if self.once_in(12) && self.units.len() > 2 => self.remove(&name),
            11 if self.once_in(12) && self.units.len() < 6 => self.add(),
            _ => {}
        }
    }

    /// Every event that is due is brought, and its hook run; each unit's `update-status` besides,
    /// when `timer`. Whether there was any event.
    pub fn round(&mut self, timer: bool) -> bool {
        if self.leader.is_none() {
            self.leader = self.names().first().cloned();
        }
        let mut news = false;
        for name in self.names() {
            let mut known: Vec<String> = self.unit(&name).others.keys().cloned().collect();
            known.extend(self.names());
            known.retain(|of| *of != name);
            known.dedup();
            for of in known.iter().map(|of| Some(of.as_str())).chain([None]) {
                if self.bring(&name, of) {
                    news = true;
                    self.hook(&name);
                }
            }
            if timer {
                self.hook(&name);
            }
        }
        news
    }

    pub fn assert_done(&self, seed: u64) {
        for (name, unit) in &self.units {
            assert!(unit.service == ServiceState::New, "{seed}: {name} is wedged");
            assert!(!unit.state.pending, "{seed}: {name}");
        }
        assert_eq!(self.decision, LeaderDecision::default(), "{seed}");
    }
}
