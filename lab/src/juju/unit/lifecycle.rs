//! The orders in which Juju runs hooks: deployment, refresh, removal, and again after a failure.

use anyhow::Result;

use super::Unit;
use crate::host::lock;
use crate::juju::environment::{agent_directory, tools_directory};
use crate::juju::hook::HookRun;

impl Unit {
    /// Everything Juju runs on a new unit, up to the relation's first `changed`. It stops at a hook that
    /// fails: see [`Unit::retry`].
    pub fn deploy(&self) -> Result<Vec<HookRun>> {
        let (leads, endpoint, peers) = {
            let model = lock(&self.board.shared.model);
            (
                model.leader.as_deref() == Some(self.name()),
                model.charm.principal_endpoint.clone(),
                model.charm.peers.clone(),
            )
        };
        let leadership = if leads { "leader-elected" } else { "leader-settings-changed" };
        let relation = |event: &str| endpoint.iter().map(|name| format!("{name}-relation-{event}")).collect::<Vec<_>>();
        let mut hooks = vec!["install".to_owned()];
        hooks.extend(peers.map(|name| format!("{name}-relation-created")));
        hooks.extend(relation("created"));
        hooks.extend([leadership, "config-changed", "start"].map(str::to_owned));
        hooks.extend(relation("joined"));
        hooks.extend(relation("changed"));
        self.queue(hooks)
    }

    /// Unpack the application's charm, which `Application::refresh` may have changed, and run what Juju
    /// runs then.
    pub fn upgrade(&self) -> Result<Vec<HookRun>> {
        let charm = lock(&self.board.shared.model).charm.clone();
        {
            let mut unpacked = lock(&self.unpacked);
            *unpacked = charm.unpack(self.machine(), &self.charm_directory(), &unpacked)?;
        }
        let mut hooks = ["upgrade-charm", "config-changed"].map(str::to_owned).to_vec();
        let model = lock(&self.board.shared.model);
        let entered = model.units.get(self.name()).is_some_and(|unit| unit.peer.entered);
        let new = model.charm.peers.clone().filter(|_| !entered);
        drop(model);
        hooks.extend(new.map(|name| format!("{name}-relation-created")));
        self.queue(hooks)
    }

    /// Everything Juju runs when the relation to the principal is removed, and with it the unit; then
    /// the agent's own files go, as on a real machine.
    pub fn remove(&self) -> Result<Vec<HookRun>> {
        let endpoint = {
            let mut model = lock(&self.board.shared.model);
            if let Some(unit) = model.units.get_mut(self.name()) {
                unit.dying = true;
            }
            model.charm.principal_endpoint.clone()
        };
        let mut runs = Vec::new();
        while let Some(run) = self.peer_hook()? {
            runs.push(run.expect_ok()?);
        }
        if let Some(unit) = lock(&self.board.shared.model).units.get_mut(self.name()) {
            unit.peer.entered = false;
        }
        let mut hooks: Vec<String> = Vec::new();
        if let Some(name) = endpoint {
            hooks.extend([format!("{name}-relation-departed"), format!("{name}-relation-broken")]);
        }
        hooks.extend(["stop".into(), "remove".into()]);
        runs.extend(self.queue(hooks)?);
        if lock(&self.waiting).is_empty() {
            lock(&self.board.shared.model).forget(self.name());
            let (agent, tools) = (agent_directory(self.name()), tools_directory(self.name()));
            self.machine().shell(&format!("rm -rf {agent} {tools}"))?;
        }
        Ok(runs)
    }

    /// What Juju does with a unit in error: run the failed hook again, and when it ends well those that
    /// have been waiting behind it.
    pub fn retry(&self) -> Result<Vec<HookRun>> {
        let mut runs = Vec::new();
        loop {
            let Some(name) = lock(&self.waiting).front().cloned() else {
                return Ok(runs);
            };
            let run = self.hook(&name)?;
            let ok = run.ok();
            runs.push(run);
            if !ok {
                return Ok(runs);
            }
            lock(&self.waiting).pop_front();
        }
    }

    fn queue(&self, hooks: Vec<String>) -> Result<Vec<HookRun>> {
        lock(&self.waiting).extend(hooks);
        self.retry()
    }
}
