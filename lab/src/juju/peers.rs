//! The relation between an application's units: who has joined whom, and which hook is due next.
//!
//! Follows `worker/uniter/relation` of Juju 3.6: `resolver.go` for the order of the events, the cache
//! of `worker/uniter/runner/context/cache.go` for what a unit reads of others. Nothing is fired at the
//! leader for what it wrote into the application's databag itself, and no peer relation is ever broken.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};

use super::context::HookRelation;
use super::model::{Model, Settings, application_of};

/// The application's side.
#[derive(Debug, Clone, Default)]
pub(crate) struct Peers {
    pub(crate) id: u32,
    pub(crate) endpoint: String,
    pub(crate) settings: Settings,
    /// Counts the changes of that databag.
    version: u64,
}

/// A unit's side.
#[derive(Debug, Clone, Default)]
pub(crate) struct Peer {
    /// Whether it is in the relation: its first hook has started, its last has not ended.
    pub(crate) entered: bool,
    pub(crate) settings: Settings,
    /// Counts the changes of that databag.
    version: u64,
    /// The units that have joined it, and the versions of their databags it was told of.
    pub(crate) members: BTreeMap<String, u64>,
    /// Who has joined and is still to be told as changed.
    joined: Option<String>,
    /// The version of the application's databag it was told of.
    application: u64,
    /// Databags as it has read them since it was last told of them.
    read: BTreeMap<String, Settings>,
}

/// What a peer hook is about; of a databag, in which version: one that changes while the hook runs is to
/// be told of again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Due {
    Departed(String),
    /// The application's databag has changed.
    Application(u64),
    Joined(String),
    /// A unit's databag has changed, or the unit has just joined.
    Changed(String, u64),
}

impl Peers {
    pub(crate) fn new(endpoint: String) -> Self {
        Self { id: 1, endpoint, ..Self::default() }
    }

    pub(crate) fn write(&mut self, settings: Settings) {
        self.version += u64::from(self.settings != settings);
        self.settings = settings;
    }
}

impl Peer {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings, ..Self::default() }
    }

    pub(crate) fn write(&mut self, settings: Settings) {
        self.version += u64::from(self.settings != settings);
        self.settings = settings;
    }
}

impl Due {
    /// The hook's name, without its endpoint.
    pub(crate) fn event(&self) -> &'static str {
        match self {
            Self::Departed(_) => "departed",
            Self::Joined(_) => "joined",
            Self::Application(_) | Self::Changed(..) => "changed",
        }
    }

    fn unit(&self) -> Option<&String> {
        match self {
            Self::Departed(unit) | Self::Joined(unit) | Self::Changed(unit, _) => Some(unit),
            Self::Application(_) => None,
        }
    }
}

impl Model {
    /// The next hook of `unit` for the relation to the others.
    pub(crate) fn peer_hook_due(&self, unit: &str) -> Option<Due> {
        let peers = self.peers.as_ref()?;
        let state = self.units.get(unit)?;
        let own = &state.peer;
        if !own.entered {
            return None;
        }
        if let Some(joined) = &own.joined {
            let theirs = self.units.get(joined).map_or(0, |unit| unit.peer.version);
            return Some(Due::Changed(joined.clone(), theirs));
        }
        // A unit that goes sees all others go.
        let others: BTreeMap<&String, u64> = self
            .units
            .iter()
            .filter(|(name, other)| *name != unit && other.peer.entered && !state.dying)
            .map(|(name, other)| (name, other.peer.version))
            .collect();
        let mut members = own.members.iter();
        if let Some((gone, _)) = members.find(|(name, _)| !others.contains_key(name)) {
            return Some(Due::Departed(gone.clone()));
        }
        let leads = self.leader.as_deref() == Some(unit);
        if !state.dying && !leads && own.application != peers.version {
            return Some(Due::Application(peers.version));
        }
        let new = others.keys().find(|name| !own.members.contains_key(**name));
        if let Some(new) = new {
            return Some(Due::Joined((*new).clone()));
        }
        let mut others = others.iter();
        let changed = others.find(|(name, version)| own.members.get(**name) != Some(version));
        changed.map(|(name, version)| Due::Changed((*name).clone(), *version))
    }

    /// A peer hook starts: what it is about, and what the unit forgets of what it has read.
    pub(crate) fn enter_peers(&mut self, unit: &str, hook: &str, due: Option<&Due>) -> Result<Option<HookRelation>> {
        let application = application_of(unit).to_owned();
        let Some(peers) = &self.peers else {
            return Ok(None);
        };
        let event = hook.strip_prefix(&format!("{}-relation-", peers.endpoint));
        let Some(event) = event else {
            return Ok(None);
        };
        let state = self.units.get_mut(unit).context("no such unit")?;
        let dying = state.dying;
        let own = &mut state.peer;
        match (event, due) {
            ("created", None) => own.entered = true,
            (_, Some(Due::Joined(of))) => {
                own.members.insert(of.clone(), 0);
                own.read.remove(of);
            }
            (_, Some(Due::Departed(of))) => {
                own.members.remove(of);
            }
            (_, Some(Due::Changed(of, _))) => {
                own.read.remove(of);
            }
            ("changed", None) | (_, Some(Due::Application(_))) => {
                own.read.remove(&application);
            }
            _ => bail!("{hook} is about another unit: see Unit::peer_hook"),
        }
        let departing = match due {
            Some(Due::Departed(_)) if dying => Some(unit.to_owned()),
            Some(Due::Departed(of)) => Some(of.clone()),
            _ => None,
        };
        Ok(Some(HookRelation {
            endpoint: peers.endpoint.clone(),
            id: peers.id,
            remote_application: application,
            remote_unit: due.and_then(Due::unit).cloned(),
            departing_unit: departing,
        }))
    }

    /// A peer hook has ended well: that was told.
    pub(crate) fn peer_hook_done(&mut self, unit: &str, due: &Due) {
        let Some(state) = self.units.get_mut(unit) else {
            return;
        };
        let own = &mut state.peer;
        match due {
            Due::Departed(of) => {
                own.members.remove(of);
                own.read.remove(of);
            }
            Due::Application(version) => own.application = *version,
            Due::Joined(of) => own.joined = Some(of.clone()),
            Due::Changed(of, version) => {
                own.members.insert(of.clone(), *version);
                own.joined = None;
            }
        }
    }

    /// A unit is no more; its status stays to be looked at.
    pub(crate) fn forget(&mut self, unit: &str) {
        if let Some(state) = self.units.get_mut(unit) {
            state.gone = true;
            state.peer.entered = false;
        }
        if self.leader.as_deref() == Some(unit) {
            self.leader = None;
        }
    }

    /// The databag of another unit, or of the application, as `unit` reads it.
    pub(crate) fn read_peer(&mut self, unit: &str, of: &str) -> Option<Settings> {
        let now = if of == application_of(unit) {
            self.peers.as_ref()?.settings.clone()
        } else {
            self.units.get(of)?.peer.settings.clone()
        };
        let own = &mut self.units.get_mut(unit)?.peer;
        Some(own.read.entry(of.to_owned()).or_insert(now).clone())
    }
}
