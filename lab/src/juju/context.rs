//! One run of a hook or action: what it is about, what it has asked for, and what it wants written
//! when it ends well.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;

use super::model::{Model, Settings};
use super::peers::Due;

/// The context that hook tools work in. It is gone when the hook has ended.
#[derive(Debug, Default)]
pub(crate) struct HookContext {
    pub(crate) id: String,
    pub(crate) unit: String,
    /// The hook's name; empty for an action.
    pub(crate) hook: String,
    pub(crate) relation: Option<HookRelation>,
    /// What a peer hook is about, when Juju said so.
    pub(crate) peer: Option<Due>,
    pub(crate) action: Option<ActionContext>,
    /// The secret that a secret hook is about.
    pub(crate) secret: Option<String>,
    /// The unit's own databag in each relation, by its id, from the hook's first look on.
    pub(crate) unit_settings: BTreeMap<u32, Settings>,
    /// The application's databags, likewise.
    pub(crate) application_settings: BTreeMap<u32, Settings>,
    /// What the hook has written into the application's databags, which only a leader may.
    pub(crate) wrote_as_leader: bool,
    pub(crate) calls: Vec<ToolCall>,
    pub(crate) log: Vec<(String, String)>,
}

/// What a relation hook is about.
#[derive(Debug, Clone, Default)]
pub(crate) struct HookRelation {
    pub(crate) endpoint: String,
    pub(crate) id: u32,
    pub(crate) remote_application: String,
    /// Nothing in `-created` and `-broken`.
    pub(crate) remote_unit: Option<String>,
    /// The unit that goes, in `-departed`.
    pub(crate) departing_unit: Option<String>,
}

/// A running action.
#[derive(Debug, Clone, Default)]
pub(crate) struct ActionContext {
    pub(crate) name: String,
    pub(crate) uuid: String,
    pub(crate) parameters: Value,
    /// Results so far; dots part the segments of a key.
    pub(crate) results: BTreeMap<String, String>,
    pub(crate) log: Vec<String>,
    pub(crate) message: String,
    pub(crate) failed: bool,
}

/// One call of a hook tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCall {
    pub argv: Vec<String>,
    pub exit: i32,
    /// How long the agent took for it.
    pub elapsed: Duration,
}

impl HookContext {
    /// Write what was buffered: only when the hook exited with 0.
    pub(crate) fn flush(self, model: &mut Model) -> Result<()> {
        ensure!(
            !self.wrote_as_leader || model.leader.as_ref() == Some(&self.unit),
            "cannot write relation settings: {} is not the leader",
            self.unit
        );
        let peers = model.peers.as_ref().map(|peers| peers.id);
        for (id, settings) in self.application_settings {
            match &mut model.peers {
                Some(peers) if peers.id == id && self.wrote_as_leader => peers.write(settings),
                Some(peers) if peers.id == id => {}
                _ => model.application_settings = settings,
            }
        }
        let Some(unit) = model.units.get_mut(&self.unit) else {
            return Ok(());
        };
        for (id, settings) in self.unit_settings {
            match &mut unit.relation {
                _ if Some(id) == peers => unit.peer.write(settings),
                Some(relation) => relation.settings = settings,
                None => {}
            }
        }
        Ok(())
    }
}
