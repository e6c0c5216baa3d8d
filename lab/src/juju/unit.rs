//! One unit: its agent runs the charm's hooks and actions on a machine.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::application::{Event, Shared, context_id};
use super::context::{ActionContext, HookContext, HookRelation};
use super::environment::{agent_directory, charm_directory, socket, tools_directory, variables};
use super::hook::{ActionRun, ActionStatus, HookRun};
use super::model::{Model, Status, VERSION, application_of};
use super::secrets::SecretUri;
use super::server::{Board, Fault, Server};
use super::tools::{self, parameters};
use super::trace::{self, Exec};
use crate::host::{Process, lock};
use crate::machine::{Machine, child_of};

/// Juju has no such limit; a hook that takes longer is a failed test.
const HOOK_LIMIT: Duration = Duration::from_secs(600);

/// Juju waits this long before it runs a failed hook again the first time; then twice as long each
/// time, up to five minutes.
const FIRST_RETRY: Duration = Duration::from_secs(5);
const LONGEST_RETRY: Duration = Duration::from_secs(300);

/// A unit of an application on a machine of its own. Dropping it removes the machine.
pub struct Unit {
    // The server first: it must let go of the machine's files before the machine goes.
    _server: Server,
    board: Arc<Board>,
    unpacked: Mutex<Vec<String>>,
    waiting: Mutex<VecDeque<String>>,
    failed: Mutex<Option<String>>,
}

/// When to kill a running hook: asked over and over, with the time since its start.
type KillWhen<'a> = &'a mut dyn FnMut(Duration) -> bool;

/// One run, and what is special about it.
#[derive(Default)]
struct Job<'a> {
    hook: String,
    action: Option<ActionContext>,
    secret: Option<String>,
    environment: &'a [(&'a str, &'a str)],
    trace_to: Option<&'a str>,
    kill_when: Option<KillWhen<'a>>,
}

impl Unit {
    pub(crate) fn new(name: String, machine: Machine, shared: Arc<Shared>) -> Result<Self> {
        let tools = tools_directory(&name);
        let tool = format!("/var/lib/juju/tools/{VERSION}-ubuntu-amd64/jujuc");
        machine.push(&tool, &shared.tool, 0o755)?;
        for link in tools::NAMES {
            machine.link(&tool, &format!("{tools}/{link}"))?;
        }
        machine.make_directory(&agent_directory(&name))?;
        let unpacked =
            lock(&shared.model)
                .charm
                .clone()
                .unpack(&machine, &charm_directory(&name), &[])?;
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

    /// The machine it is on.
    #[must_use]
    pub fn machine(&self) -> &Machine {
        &self.board.machine
    }

    /// Where the charm is unpacked.
    #[must_use]
    pub fn charm_directory(&self) -> String {
        charm_directory(self.name())
    }

    /// Run one hook now, whatever Juju would do next.
    ///
    /// # Errors
    /// When it cannot be started or takes more than ten minutes. A failing hook is no error.
    pub fn hook(&self, name: &str) -> Result<HookRun> {
        self.run(Job {
            hook: name.into(),
            ..Job::default()
        })
    }

    /// Run one hook with variables added to its environment, or overriding it.
    ///
    /// # Errors
    /// As [`Unit::hook`].
    pub fn hook_with_env(&self, name: &str, environment: &[(&str, &str)]) -> Result<HookRun> {
        self.run(Job {
            hook: name.into(),
            environment,
            ..Job::default()
        })
    }

    /// Run one hook and see which programs it starts, itself and its hook tools included.
    ///
    /// # Errors
    /// As [`Unit::hook`].
    pub fn hook_traced(&self, name: &str) -> Result<(HookRun, Vec<Exec>)> {
        let directory = format!("/run/lab-trace-{}", super::random_id(8));
        self.machine().make_directory(&directory)?;
        let run = self.run(Job {
            hook: name.into(),
            trace_to: Some(&directory),
            ..Job::default()
        })?;
        let execs = trace::read(self.machine(), &directory)?;
        self.machine().shell(&format!("rm -r {directory}"))?;
        Ok((run, execs))
    }

    /// Run one hook and kill it, as the out-of-memory killer would, once `condition` holds: its own
    /// process only, whatever it has started goes on. A hook that ends before that has an exit code.
    ///
    /// # Errors
    /// As [`Unit::hook`].
    pub fn kill_hook_when(
        &self,
        name: &str,
        mut condition: impl FnMut(&Self) -> bool,
    ) -> Result<HookRun> {
        let mut when = |_| condition(self);
        self.run(Job {
            hook: name.into(),
            kill_when: Some(&mut when),
            ..Job::default()
        })
    }

    /// Run one hook and kill it like [`Unit::kill_hook_when`], this long after its start.
    ///
    /// # Errors
    /// As [`Unit::hook`].
    pub fn kill_hook_after(&self, name: &str, delay: Duration) -> Result<HookRun> {
        let mut when = |elapsed| elapsed >= delay;
        self.run(Job {
            hook: name.into(),
            kill_when: Some(&mut when),
            ..Job::default()
        })
    }

    /// Run `secret-changed` for this secret.
    ///
    /// # Errors
    /// As [`Unit::hook`].
    pub fn secret_changed(&self, secret: &SecretUri) -> Result<HookRun> {
        self.run(Job {
            hook: "secret-changed".into(),
            secret: Some(secret.id().into()),
            ..Job::default()
        })
    }

    /// `juju run`: check the parameters against `actions.yaml`, fill in its defaults, run the action.
    ///
    /// # Errors
    /// When the charm has no such action, the parameters do not fit, or it cannot be run to its end.
    pub fn action(&self, name: &str, given: &Value) -> Result<ActionRun> {
        let schema = lock(&self.board.shared.model)
            .charm
            .actions
            .get(name)
            .cloned();
        let schema = schema
            .with_context(|| format!("action {name:?} not defined on unit {:?}", self.name()))?;
        let action = ActionContext {
            name: name.into(),
            uuid: super::random_uuid(),
            parameters: parameters(&schema, given)?,
            ..ActionContext::default()
        };
        let (run, context) = self.execute(Job {
            action: Some(action),
            ..Job::default()
        })?;
        let mut action = context
            .action
            .clone()
            .context("the action's context is gone")?;
        let mut status = if action.failed {
            ActionStatus::Failed
        } else {
            ActionStatus::Completed
        };
        if !run.ok() {
            status = ActionStatus::Failed;
            action.message = match (run.exit, run.signal) {
                (Some(code), _) => format!("exit status {code}"),
                (None, Some(9 | 15)) => "terminated".into(),
                (None, signal) => format!("signal: {signal:?}"),
            };
        }
        // Go has -1 for a process that a signal ended.
        action
            .results
            .insert("return-code".into(), run.exit.unwrap_or(-1).to_string());
        for (key, text) in [("stdout", &run.stdout), ("stderr", &run.stderr)] {
            if !text.is_empty() {
                action.results.insert(key.into(), text.clone());
            }
        }
        self.end(&run, context);
        Ok(ActionRun {
            status,
            message: action.message,
            results: action.results,
            log: action.log,
            run,
        })
    }

    /// Everything Juju runs on a new unit, up to the relation's first `changed`. It stops at a hook that
    /// fails: see [`Unit::retry`].
    ///
    /// # Errors
    /// As [`Unit::hook`].
    pub fn deploy(&self) -> Result<Vec<HookRun>> {
        let (leads, endpoint) = {
            let model = lock(&self.board.shared.model);
            (
                model.leader.as_deref() == Some(self.name()),
                model.charm.principal_endpoint.clone(),
            )
        };
        let leadership = if leads {
            "leader-elected"
        } else {
            "leader-settings-changed"
        };
        let relation = |event: &str| {
            endpoint
                .iter()
                .map(|name| format!("{name}-relation-{event}"))
                .collect::<Vec<_>>()
        };
        let mut hooks = vec!["install".to_owned()];
        hooks.extend(relation("created"));
        hooks.extend([leadership, "config-changed", "start"].map(str::to_owned));
        hooks.extend(relation("joined"));
        hooks.extend(relation("changed"));
        self.queue(hooks)
    }

    /// Unpack the application's charm, which `Application::refresh` may have changed, and run what Juju
    /// runs then.
    ///
    /// # Errors
    /// When the charm cannot be unpacked, and as [`Unit::hook`].
    pub fn upgrade(&self) -> Result<Vec<HookRun>> {
        let charm = lock(&self.board.shared.model).charm.clone();
        {
            let mut unpacked = lock(&self.unpacked);
            *unpacked = charm.unpack(self.machine(), &self.charm_directory(), &unpacked)?;
        }
        self.queue(
            ["upgrade-charm", "config-changed"]
                .map(str::to_owned)
                .into(),
        )
    }

    /// Everything Juju runs when the relation to the principal is removed, and with it the unit; then
    /// the agent's own files go, as on a real machine.
    ///
    /// # Errors
    /// As [`Unit::hook`].
    pub fn remove(&self) -> Result<Vec<HookRun>> {
        let endpoint = lock(&self.board.shared.model)
            .charm
            .principal_endpoint
            .clone();
        let mut hooks: Vec<String> = Vec::new();
        if let Some(name) = endpoint {
            hooks.extend([
                format!("{name}-relation-departed"),
                format!("{name}-relation-broken"),
            ]);
        }
        hooks.extend(["stop".into(), "remove".into()]);
        let runs = self.queue(hooks)?;
        if lock(&self.waiting).is_empty() {
            let (agent, tools) = (agent_directory(self.name()), tools_directory(self.name()));
            self.machine().shell(&format!("rm -rf {agent} {tools}"))?;
        }
        Ok(runs)
    }

    /// What Juju does with a unit in error: run the failed hook again, and when it ends well those that
    /// have been waiting behind it.
    ///
    /// # Errors
    /// As [`Unit::hook`].
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

    /// Retry with Juju's pauses (5 s, then twice as long each time, up to 5 min) until no hook is
    /// waiting.
    ///
    /// # Errors
    /// When a hook still fails after `limit`, and as [`Unit::hook`].
    pub fn retry_for(&self, limit: Duration) -> Result<Vec<HookRun>> {
        let start = Instant::now();
        let mut pause = FIRST_RETRY;
        let mut runs = Vec::new();
        while !lock(&self.waiting).is_empty() {
            if start.elapsed() + pause > limit {
                bail!(
                    "{} still in error after {:?}: {:?}",
                    self.name(),
                    start.elapsed(),
                    self.agent_error()
                );
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_RETRY);
            runs.extend(self.retry()?);
        }
        Ok(runs)
    }

    /// What Juju shows as the status of a unit whose hook failed, until it ends well.
    #[must_use]
    pub fn agent_error(&self) -> Option<String> {
        lock(&self.failed)
            .as_ref()
            .map(|hook| format!("hook failed: {hook:?}"))
    }

    /// The workload status the charm has set.
    #[must_use]
    pub fn status(&self) -> Status {
        self.state(|unit| unit.status.clone())
    }

    /// All workload statuses so far, Juju's own first one included.
    #[must_use]
    pub fn status_history(&self) -> Vec<Status> {
        self.state(|unit| unit.history.clone())
    }

    /// The workload version the charm has set.
    #[must_use]
    pub fn app_version(&self) -> String {
        self.state(|unit| unit.version.clone())
    }

    /// What `state-set` has written and a successful hook has flushed.
    #[must_use]
    pub fn charm_state(&self) -> BTreeMap<String, String> {
        self.state(|unit| unit.state.clone())
    }

    /// The unit's own databag in the relation to its principal.
    #[must_use]
    pub fn relation_settings(&self) -> BTreeMap<String, String> {
        self.state(|unit| {
            unit.relation
                .as_ref()
                .map(|relation| relation.settings.clone())
                .unwrap_or_default()
        })
    }

    /// Make a hook tool fail from now on.
    ///
    /// # Errors
    /// When there is no such tool or the machine cannot be written to.
    pub fn break_tool(&self, tool: &str, fault: Fault) -> Result<()> {
        self.mend_tool(tool)?;
        if fault == Fault::Missing {
            self.machine()
                .remove(&format!("{}/{tool}", tools_directory(self.name())))?;
        }
        lock(&self.board.faults).insert(tool.into(), fault);
        Ok(())
    }

    /// Make a hook tool work again.
    ///
    /// # Errors
    /// As [`Unit::break_tool`].
    pub fn mend_tool(&self, tool: &str) -> Result<()> {
        ensure!(tools::NAMES.contains(&tool), "no hook tool {tool:?}");
        if lock(&self.board.faults).remove(tool) == Some(Fault::Missing) {
            let target = format!("/var/lib/juju/tools/{VERSION}-ubuntu-amd64/jujuc");
            self.machine()
                .link(&target, &format!("{}/{tool}", tools_directory(self.name())))?;
        }
        Ok(())
    }

    fn state<T: Default>(&self, look: impl FnOnce(&super::model::UnitState) -> T) -> T {
        lock(&self.board.shared.model)
            .units
            .get(self.name())
            .map(look)
            .unwrap_or_default()
    }

    fn queue(&self, hooks: Vec<String>) -> Result<Vec<HookRun>> {
        lock(&self.waiting).extend(hooks);
        self.retry()
    }

    fn run(&self, job: Job<'_>) -> Result<HookRun> {
        let (run, context) = self.execute(job)?;
        let mut failed = lock(&self.failed);
        if !run.ok() {
            *failed = Some(run.name.clone());
        } else if failed.as_ref() == Some(&run.name) {
            *failed = None;
        }
        drop(failed);
        self.end(&run, context);
        Ok(run)
    }

    /// Run the charm's program to its end, in a context of its own.
    fn execute(&self, job: Job<'_>) -> Result<(HookRun, HookContext)> {
        let name = job
            .action
            .as_ref()
            .map_or(&job.hook, |action| &action.name)
            .clone();
        let kind = if job.action.is_some() {
            "actions"
        } else {
            "hooks"
        };
        let mut context = HookContext {
            id: context_id(self.name(), &name),
            unit: self.name().into(),
            hook: job.hook.clone(),
            action: job.action,
            secret: job.secret,
            ..HookContext::default()
        };
        let mut environment = {
            let mut model = lock(&self.board.shared.model);
            context.relation = enter_relation(&mut model, self.name(), &job.hook)?;
            variables(&context, &model)
        };
        environment.extend(
            job.environment
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into())),
        );

        let directory = self.charm_directory();
        let candidates = [
            format!("{directory}/dispatch"),
            format!("{directory}/{kind}/{name}"),
        ];
        let mut program = None;
        for candidate in candidates {
            if self.machine().exists(&candidate)? {
                program = Some(candidate);
                break;
            }
        }
        let mut run = HookRun {
            name: name.clone(),
            exit: Some(0),
            signal: None,
            stdout: String::new(),
            stderr: String::new(),
            tools: Vec::new(),
            log: Vec::new(),
            wall: Duration::ZERO,
        };
        let Some(program) = program else {
            ensure!(
                kind == "hooks",
                "action not implemented on unit {:?}",
                self.name()
            );
            return Ok((run, context));
        };
        {
            let mut current = lock(&self.board.context);
            ensure!(current.is_none(), "{} is running another hook", self.name());
            *current = Some(context);
        }
        self.board.shared.tell(&Event::Started {
            unit: self.name().into(),
            name: name.clone(),
        });
        let start = Instant::now();
        let mut argv = job.trace_to.map(trace::command).unwrap_or_default();
        argv.push(program);
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        let ended = self
            .machine()
            .start(&argv, &environment, &directory, None)
            .and_then(|process| watch(process, start, job.kill_when));
        let context = lock(&self.board.context)
            .take()
            .context("the hook's context is gone")?;
        let (output, signal) = ended.with_context(|| format!("{name} on {}", self.name()))?;
        run.wall = start.elapsed();
        (run.exit, run.signal, run.stdout, run.stderr) =
            (output.code, signal, output.stdout, output.stderr);
        run.tools.clone_from(&context.calls);
        run.log.clone_from(&context.log);
        Ok((run, context))
    }

    /// After a run: flush what it buffered when it ended well, and tell.
    fn end(&self, run: &HookRun, context: HookContext) {
        if run.ok() {
            let mut model = lock(&self.board.shared.model);
            let broken = context.relation.is_some() && context.hook.ends_with("-relation-broken");
            let unit = context.unit.clone();
            context.flush(&mut model);
            if broken && let Some(unit) = model.units.get_mut(&unit) {
                unit.relation = None;
            }
        }
        let (unit, name) = (self.name().to_owned(), run.name.clone());
        self.board.shared.tell(&Event::Ended {
            unit,
            name,
            exit: run.exit,
            wall: run.wall,
        });
    }
}

impl std::fmt::Debug for Unit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unit")
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}

/// Wait for a hook's end, killing its own process when it is time.
fn watch(
    mut process: Process,
    start: Instant,
    mut kill_when: Option<KillWhen<'_>>,
) -> Result<(crate::host::Output, Option<i32>)> {
    while let Some(when) = &mut kill_when {
        if process.has_ended()? {
            break;
        }
        if when(start.elapsed()) {
            // The first process is nsenter, which waits for the hook and ends as it did.
            if let Some(hook) = child_of(process.id())? {
                kill(Pid::from_raw(hook), Signal::SIGKILL).ok();
                kill_when = None;
            }
        }
        ensure!(
            start.elapsed() < HOOK_LIMIT,
            "still running after {HOOK_LIMIT:?}"
        );
        std::thread::sleep(Duration::from_micros(200));
    }
    process.finish(HOOK_LIMIT)
}

/// What a relation hook is about, and what it means for who has joined.
fn enter_relation(model: &mut Model, unit: &str, hook: &str) -> Result<Option<HookRelation>> {
    let is_of = |endpoint: &String| {
        hook.strip_prefix(endpoint.as_str())
            .is_some_and(|rest| rest.starts_with("-relation-"))
    };
    if !model.charm.endpoints.iter().any(is_of) {
        return Ok(None);
    }
    let state = model.units.get_mut(unit).context("no such unit")?;
    let principal = state.principal.clone();
    let relation = state
        .relation
        .as_mut()
        .filter(|relation| is_of(&relation.endpoint));
    let relation = relation.with_context(|| format!("{unit} has no relation for {hook}"))?;
    let event = hook.rsplit('-').next().unwrap_or_default();
    relation.entered = true;
    let (remote_unit, departing_unit) = match event {
        "joined" | "changed" => {
            relation.units.insert(principal.clone());
            (Some(principal.clone()), None)
        }
        "departed" => {
            relation.units.remove(&principal);
            (Some(principal.clone()), Some(principal.clone()))
        }
        "created" | "broken" => (None, None),
        _ => bail!("no relation hook: {hook}"),
    };
    Ok(Some(HookRelation {
        endpoint: relation.endpoint.clone(),
        id: relation.id,
        remote_application: application_of(&principal).into(),
        remote_unit,
        departing_unit,
    }))
}
