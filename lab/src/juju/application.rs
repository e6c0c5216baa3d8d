//! One application: what a person at the `juju` command line does to it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, ensure};

use super::charm::Charm;
use super::event::Event;
use super::model::{Model, Relation, Status, UnitState};
use super::peers::{Peer, Peers};
use super::random_id;
use super::secrets::{SecretUri, Secrets};
use super::unit::Unit;
use crate::host::lock;
use crate::machine::Machine;

type Callback = Box<dyn Fn(&Event) + Send>;

/// What the application and its units share.
pub(crate) struct Shared {
    pub(crate) model: Mutex<Model>,
    pub(crate) tool: Vec<u8>,
    callback: Mutex<Option<Callback>>,
}

impl Shared {
    pub(crate) fn tell(&self, event: &Event) {
        if let Some(callback) = &*lock(&self.callback) {
            callback(event);
        }
    }
}

/// One application of a model, with a charm, config, secrets, resources and units.
pub struct Application {
    shared: Arc<Shared>,
    added: u32,
}

impl Application {
    /// `juju deploy ./charm_file name`, without a unit yet. `juju_tool` is the built `juju-tool` program
    /// of this crate, which must run on the machines that will be added.
    pub fn new(charm_file: &Path, juju_tool: &Path, name: &str) -> Result<Self> {
        let charm = Charm::open(charm_file)?;
        let model = Model {
            name: "lab".into(),
            uuid: uuid::Uuid::new_v4().to_string(),
            application: name.into(),
            peers: charm.peers.clone().map(Peers::new),
            charm,
            config: BTreeMap::new(),
            secrets: Secrets::default(),
            resources: BTreeMap::new(),
            leader: None,
            application_status: ("unknown".into(), String::new()),
            units: BTreeMap::new(),
            application_settings: BTreeMap::new(),
        };
        let tool = fs::read(juju_tool).with_context(|| format!("reading the tool {}", juju_tool.display()))?;
        Ok(Self { shared: Arc::new(Shared { model: Mutex::new(model), tool, callback: Mutex::new(None) }), added: 0 })
    }

    /// Put a unit on `machine`, beside its principal, and unpack the charm there. The first unit leads.
    /// No hook runs yet: [`Unit::deploy`].
    pub fn add_unit(&mut self, machine: Machine, principal: &str) -> Result<Unit> {
        let number = self.added;
        self.added += 1;
        let unit = {
            let mut model = lock(&self.shared.model);
            let unit = format!("{}/{number}", model.application);
            let address = format!("10.0.0.{}", 10 + number);
            let status = ("maintenance".to_owned(), "installing charm software".to_owned());
            let remote = ["egress-subnets", "ingress-address", "private-address"].map(|key| {
                let suffix = if key == "egress-subnets" { "/32" } else { "" };
                (key.to_owned(), format!("{address}{suffix}"))
            });
            let relation = model.charm.principal_endpoint.clone().map(|endpoint| Relation {
                id: 3 + number,
                endpoint,
                entered: false,
                units: BTreeSet::new(),
                settings: BTreeMap::from(remote.clone()),
                remote: BTreeMap::from(remote.clone()),
            });
            let state = UnitState {
                status: status.clone(),
                history: vec![status],
                principal: principal.into(),
                relation,
                peer: Peer::new(BTreeMap::from(remote)),
                ..UnitState::default()
            };
            model.units.insert(unit.clone(), state);
            model.leader.get_or_insert_with(|| unit.clone());
            unit
        };
        Unit::new(unit, machine, Arc::clone(&self.shared))
    }

    /// `juju config app name=value …`: all or nothing. Says whether anything changed, which is when Juju
    /// runs `config-changed`.
    pub fn set_config(&self, values: &[(&str, &str)]) -> Result<bool> {
        let mut model = lock(&self.shared.model);
        let typed = values.iter().map(|(name, text)| Ok(((*name).to_owned(), model.charm.options.value(name, text)?)));
        let typed = typed.collect::<Result<BTreeMap<_, _>>>()?;
        let before = model.charm.options.effective(&model.config);
        model.config.extend(typed);
        Ok(before != model.charm.options.effective(&model.config))
    }

    /// `juju config app --reset name`.
    pub fn reset_config(&self, name: &str) -> Result<()> {
        let mut model = lock(&self.shared.model);
        ensure!(model.charm.options.has(name), "unknown option {name:?}");
        model.config.remove(name);
        Ok(())
    }

    /// `juju add-secret name key=value …`. Nobody may read it before [`Application::grant`].
    pub fn add_secret(&self, name: &str, content: &[(&str, &str)]) -> Result<SecretUri> {
        lock(&self.shared.model).secrets.add(name, owned(content))
    }

    /// `juju update-secret`: the units that get `secret-changed`, which are those that have read it.
    /// The same content is no new revision.
    pub fn update_secret(&self, secret: &SecretUri, content: &[(&str, &str)]) -> Result<BTreeSet<String>> {
        lock(&self.shared.model).secrets.update(secret, owned(content))
    }

    /// `juju grant-secret`: the application may read it. Fires no hook.
    pub fn grant(&self, secret: &SecretUri) -> Result<()> {
        lock(&self.shared.model).secrets.set_granted(secret, true)
    }

    /// `juju revoke-secret`. Fires no hook.
    pub fn revoke(&self, secret: &SecretUri) -> Result<()> {
        lock(&self.shared.model).secrets.set_granted(secret, false)
    }

    /// `juju remove-secret`.
    pub fn remove_secret(&self, secret: &SecretUri) -> Result<()> {
        lock(&self.shared.model).secrets.remove(secret)
    }

    /// `juju attach-resource app name=…`, after which Juju runs `upgrade-charm`; nothing takes it away
    /// again, as if it had never been attached.
    pub fn attach_resource(&self, name: &str, content: Option<Vec<u8>>) -> Result<()> {
        let mut model = lock(&self.shared.model);
        ensure!(model.charm.resources.contains_key(name), "unrecognized resource {name:?}");
        match content {
            Some(content) => model.resources.insert(name.into(), content),
            None => model.resources.remove(name),
        };
        Ok(())
    }

    /// `juju refresh app --path charm_file`. Each unit gets it by [`Unit::upgrade`].
    pub fn refresh(&self, charm_file: &Path) -> Result<()> {
        let charm = Charm::open(charm_file)?;
        let mut model = lock(&self.shared.model);
        // A charm's new peer relation comes with the charm.
        if model.peers.is_none() {
            model.peers = charm.peers.clone().map(Peers::new);
        }
        model.charm = charm;
        Ok(())
    }

    /// The application's databag in the relation between its units.
    #[must_use]
    pub fn peer_settings(&self) -> BTreeMap<String, String> {
        let model = lock(&self.shared.model);
        let peers = model.peers.as_ref();
        peers.map(|peers| peers.settings.clone()).unwrap_or_default()
    }

    /// The machine of a unit is gone for good (`juju remove-unit --force`): no hook runs on it any
    /// more, and the other units see it depart. When it was the leader, there is none.
    pub fn lose(&self, unit: &str) {
        lock(&self.shared.model).forget(unit);
    }

    /// Make another unit the leader. Its `leader-elected` is the caller's to run.
    pub fn set_leader(&self, unit: &str) -> Result<()> {
        let mut model = lock(&self.shared.model);
        ensure!(model.units.contains_key(unit), "unit {unit:?} not found");
        model.leader = Some(unit.into());
        Ok(())
    }

    /// The application's own status, as its leader set it.
    #[must_use]
    pub fn status(&self) -> Status {
        lock(&self.shared.model).application_status.clone()
    }

    /// The application's own databag in the relation.
    #[must_use]
    pub fn relation_settings(&self) -> BTreeMap<String, String> {
        lock(&self.shared.model).application_settings.clone()
    }

    /// Call this on everything that happens from now on, from the thread in which it happens. It must
    /// not call back into the application.
    pub fn on_event(&self, callback: impl Fn(&Event) + Send + 'static) {
        *lock(&self.shared.callback) = Some(Box::new(callback));
    }
}

impl std::fmt::Debug for Application {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Application").field("units", &self.added).finish_non_exhaustive()
    }
}

fn owned(content: &[(&str, &str)]) -> BTreeMap<String, String> {
    content.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// An id for one run of a hook: the unit, the hook and a number nobody guesses.
pub(crate) fn context_id(unit: &str, name: &str) -> String {
    format!("{unit}-{name}-{}", random_id(16))
}
