//! The model side: what Juju's controller knows of one application, its units and its relation.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::charm::Charm;
use super::peers::{Peer, Peers};
use super::secrets::Secrets;

/// A databag, or any other string map.
pub(crate) type Settings = BTreeMap<String, String>;

/// Juju's version in hook environments. The charm may ask for anything up to it.
pub(crate) const VERSION: &str = "3.6.9";

/// A workload status: kind and message.
pub type Status = (String, String);

/// One application and everything the hook tools can ask about it.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) name: String,
    pub(crate) uuid: String,
    pub(crate) application: String,
    pub(crate) charm: Charm,
    /// What `juju config` has set.
    pub(crate) config: BTreeMap<String, Value>,
    pub(crate) secrets: Secrets,
    /// Attached resources; an absent one was never attached.
    pub(crate) resources: BTreeMap<String, Vec<u8>>,
    pub(crate) leader: Option<String>,
    pub(crate) application_status: Status,
    pub(crate) units: BTreeMap<String, UnitState>,
    /// The application's side of the relation.
    pub(crate) application_settings: Settings,
    /// The relation between the units, when the charm has one.
    pub(crate) peers: Option<Peers>,
}

/// One unit, as the controller knows it.
#[derive(Debug, Default)]
pub(crate) struct UnitState {
    pub(crate) status: Status,
    pub(crate) history: Vec<Status>,
    pub(crate) version: String,
    pub(crate) principal: String,
    pub(crate) relation: Option<Relation>,
    /// Its side of the relation to the other units.
    pub(crate) peer: Peer,
    /// Whether it is being removed.
    pub(crate) dying: bool,
    /// Whether it has been.
    pub(crate) gone: bool,
}

/// A unit's container-scoped relation to its principal.
#[derive(Debug, Clone, Default)]
pub(crate) struct Relation {
    pub(crate) id: u32,
    pub(crate) endpoint: String,
    /// Whether its first hook has started: before that the hook tools do not show it.
    pub(crate) entered: bool,
    /// Remote units that have joined.
    pub(crate) units: BTreeSet<String>,
    /// The unit's own databag.
    pub(crate) settings: Settings,
    /// The principal's databag.
    pub(crate) remote: Settings,
}

/// The application part of a unit's name.
pub(crate) fn application_of(unit: &str) -> &str {
    unit.split_once('/').map_or(unit, |(application, _)| application)
}

/// The unit's name as its directories have it: `a/0` → `unit-a-0`.
pub(crate) fn tag(unit: &str) -> String {
    format!("unit-{}", unit.replace('/', "-"))
}
