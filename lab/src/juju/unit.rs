//! One unit: its agent runs the charm's hooks and actions on a machine.

mod lifecycle;
mod peers;
mod run;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::application::Shared;
use super::context::ActionContext;
use super::environment::{agent_directory, charm_directory, socket, tools_directory};
use super::hook::{ActionRun, ActionStatus, HookRun};
use super::model::{Status, VERSION};
use super::secrets::SecretUri;
use super::server::{Board, Fault, Server};
use super::tools::{self, parameters};
use super::trace::{self, Exec};
use crate::host::lock;
use crate::machine::Machine;
use run::Job;

/// A unit of an application on a machine of its own. Dropping it removes the machine.
pub struct Unit {
    // The server first: it must let go of the machine's files before the machine goes.
    _server: Server,
    board: Arc<Board>,
    unpacked: Mutex<Vec<String>>,
    waiting: Mutex<VecDeque<String>>,
    failed: Mutex<Option<String>>,
}

impl Unit {
    pub(crate) fn new(name: String, machine: Machine, shared: Arc<Shared>) -> Result<Self> {
        let tools = tools_directory(&name);
        let tool = format!("/var/lib/juju/tools/{VERSION}-ubuntu-amd64/jujuc");
        machine.push(&tool, &shared.tool, 0o755)?;
        machine.shell(&format!(
            "mkdir -p {tools} {}; cd {tools}; for name in {}; do ln -s {tool} $name; done",
            agent_directory(&name),
            tools::names().collect::<Vec<_>>().join(" ")
        ))?;
        let unpacked = lock(&shared.model).charm.clone().unpack(&machine, &charm_directory(&name), &[])?;
        let path = socket(&name);
        let board = Arc::new(Board {
            unit: name,
            machine: Arc::new(machine),
            shared,
            context: Mutex::new(None),
            faults: Mutex::new(BTreeMap::new()),
        });
        Ok(Self {
            _server: Server::start(Arc::clone(&board), &path)?,
            board,
            unpacked: Mutex::new(unpacked),
            waiting: Mutex::new(VecDeque::new()),
            failed: Mutex::new(None),
        })
    }

    /// The unit's name, such as `magnum-capi-helm/0`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.board.unit
    }

    #[must_use]
    pub fn machine(&self) -> &Machine {
        &self.board.machine
    }

    #[must_use]
    pub fn charm_directory(&self) -> String {
        charm_directory(self.name())
    }

    /// Run one hook now, whatever Juju would do next: at most ten minutes. A failing hook is no error.
    pub fn hook(&self, name: &str) -> Result<HookRun> {
        self.run(Job { hook: name.into(), ..Job::default() })
    }

    /// Run one hook and see which programs it starts, itself and its hook tools included.
    pub fn hook_traced(&self, name: &str) -> Result<(HookRun, Vec<Exec>)> {
        self.traced(|job| self.run(Job { hook: name.into(), ..job }))
    }

    /// Run an action and see which programs it starts, itself and its hook tools included.
    pub fn action_traced(&self, name: &str, given: &Value) -> Result<(ActionRun, Vec<Exec>)> {
        self.traced(|job| self.run_action(name, given, job))
    }

    fn traced<T>(&self, run: impl FnOnce(Job<'_>) -> Result<T>) -> Result<(T, Vec<Exec>)> {
        let directory = format!("/run/lab-trace-{}", super::random_id(8));
        self.machine().shell(&format!("mkdir {directory}"))?;
        let ran = run(Job { trace_to: Some(&directory), ..Job::default() })?;
        let execs = trace::read(self.machine(), &directory)?;
        self.machine().shell(&format!("rm -r {directory}"))?;
        Ok((ran, execs))
    }

    /// Run one hook and kill it, as the out-of-memory killer would, once `condition` holds: its own
    /// process only, whatever it has started goes on. A hook that ends before that has an exit code.
    pub fn kill_hook_when(&self, name: &str, mut condition: impl FnMut(&Self) -> bool) -> Result<HookRun> {
        let mut when = |_| condition(self);
        self.run(Job { hook: name.into(), kill_when: Some(&mut when), ..Job::default() })
    }

    /// Run one hook and kill it like [`Unit::kill_hook_when`], this long after its start.
    pub fn kill_hook_after(&self, name: &str, delay: Duration) -> Result<HookRun> {
        let mut when = |elapsed| elapsed >= delay;
        self.run(Job { hook: name.into(), kill_when: Some(&mut when), ..Job::default() })
    }

    /// Run `secret-changed` for this secret.
    pub fn secret_changed(&self, secret: &SecretUri) -> Result<HookRun> {
        self.run(Job { hook: "secret-changed".into(), secret: Some(secret.id().into()), ..Job::default() })
    }

    /// `juju run`: check the parameters against `actions.yaml`, fill in its defaults, run the action.
    pub fn action(&self, name: &str, given: &Value) -> Result<ActionRun> {
        self.run_action(name, given, Job::default())
    }

    /// Like [`Unit::action`], and send its process these signals, one each time that `condition` holds.
    /// SIGKILL is what `juju cancel-task` does; SIGTERM comes when Juju's agent is stopped.
    pub fn action_signalled(
        &self,
        name: &str,
        given: &Value,
        signals: &[Signal],
        mut condition: impl FnMut(&Self) -> bool,
    ) -> Result<ActionRun> {
        let mut when = |_| condition(self);
        let job = Job { kill_when: Some(&mut when), kill_by: signals, ..Job::default() };
        self.run_action(name, given, job)
    }

    fn run_action(&self, name: &str, given: &Value, job: Job<'_>) -> Result<ActionRun> {
        let schema = lock(&self.board.shared.model).charm.actions.get(name).cloned();
        let schema = schema.with_context(|| format!("action {name:?} not defined on unit {:?}", self.name()))?;
        let action = ActionContext {
            name: name.into(),
            uuid: uuid::Uuid::new_v4().to_string(),
            parameters: parameters(&schema, given)?,
            ..ActionContext::default()
        };
        let (mut run, context) = self.execute(Job { action: Some(action), ..job })?;
        let mut action = context.action.clone().context("the action's context is gone")?;
        let mut status = if action.failed { ActionStatus::Failed } else { ActionStatus::Completed };
        if !run.ok() {
            status = ActionStatus::Failed;
            action.message = match (run.exit, run.signal) {
                (Some(code), _) => format!("exit status {code}"),
                (None, Some(9 | 15)) => "terminated".into(),
                (None, signal) => format!("signal: {signal:?}"),
            };
        }
        // Go has -1 for a process that a signal ended.
        action.results.insert("return-code".into(), run.exit.unwrap_or(-1).to_string());
        for (key, text) in [("stdout", &run.stdout), ("stderr", &run.stderr)] {
            if !text.is_empty() {
                action.results.insert(key.into(), text.clone());
            }
        }
        self.end(&mut run, context);
        Ok(ActionRun { status, message: action.message, results: action.results, log: action.log, run })
    }

    /// What Juju shows as the status of a unit whose hook failed, until it ends well.
    #[must_use]
    pub fn agent_error(&self) -> Option<String> {
        lock(&self.failed).as_ref().map(|hook| format!("hook failed: {hook:?}"))
    }

    #[must_use]
    pub fn status(&self) -> Status {
        self.state(|unit| unit.status.clone())
    }

    /// All workload statuses so far, Juju's own first one included.
    #[must_use]
    pub fn status_history(&self) -> Vec<Status> {
        self.state(|unit| unit.history.clone())
    }

    #[must_use]
    pub fn app_version(&self) -> String {
        self.state(|unit| unit.version.clone())
    }

    /// The unit's own databag in the relation to its principal.
    #[must_use]
    pub fn relation_settings(&self) -> BTreeMap<String, String> {
        self.state(|unit| unit.relation.as_ref().map(|relation| relation.settings.clone()).unwrap_or_default())
    }

    /// Make a hook tool fail from now on.
    pub fn break_tool(&self, tool: &str, fault: Fault) -> Result<()> {
        self.mend_tool(tool)?;
        if fault == Fault::Missing {
            self.machine().remove(&format!("{}/{tool}", tools_directory(self.name())))?;
        }
        lock(&self.board.faults).insert(tool.into(), fault);
        Ok(())
    }

    /// Make a hook tool work again.
    pub fn mend_tool(&self, tool: &str) -> Result<()> {
        ensure!(tools::names().any(|name| name == tool), "no hook tool {tool:?}");
        if lock(&self.board.faults).remove(tool) == Some(Fault::Missing) {
            let target = format!("/var/lib/juju/tools/{VERSION}-ubuntu-amd64/jujuc");
            let link = format!("{}/{tool}", tools_directory(self.name()));
            self.machine().shell(&format!("ln -s {target} {link}"))?;
        }
        Ok(())
    }

    fn state<T: Default>(&self, look: impl FnOnce(&super::model::UnitState) -> T) -> T {
        lock(&self.board.shared.model).units.get(self.name()).map(look).unwrap_or_default()
    }
}

impl std::fmt::Debug for Unit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unit").field("name", &self.name()).finish_non_exhaustive()
    }
}
