//! One run of the charm's program: its context, its process, and what is written when it ends well.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Unit;
use crate::host::{Output, Process, lock};
use crate::juju::application::context_id;
use crate::juju::context::{ActionContext, HookContext, HookRelation};
use crate::juju::environment::variables;
use crate::juju::event::Event;
use crate::juju::hook::HookRun;
use crate::juju::model::{Model, application_of};
use crate::juju::peers::Due;
use crate::juju::trace;
use crate::machine::child_of;

/// Juju has no such limit; a hook that takes longer is a failed test.
const HOOK_LIMIT: Duration = Duration::from_secs(600);

/// When to kill a running hook: asked over and over, with the time since its start.
pub(super) type KillWhen<'a> = &'a mut dyn FnMut(Duration) -> bool;

/// One run, and what is special about it.
#[derive(Default)]
pub(super) struct Job<'a> {
    pub(super) hook: String,
    pub(super) action: Option<ActionContext>,
    pub(super) secret: Option<String>,
    pub(super) peer: Option<Due>,
    pub(super) trace_to: Option<&'a str>,
    pub(super) kill_when: Option<KillWhen<'a>>,
    /// By what, one after the other; SIGKILL unless given.
    pub(super) kill_by: &'a [Signal],
}

impl Unit {
    pub(super) fn run(&self, job: Job<'_>) -> Result<HookRun> {
        let (mut run, context) = self.execute(job)?;
        self.end(&mut run, context);
        let mut failed = lock(&self.failed);
        if !run.ok() {
            *failed = Some(run.name.clone());
        } else if failed.as_ref() == Some(&run.name) {
            *failed = None;
        }
        drop(failed);
        Ok(run)
    }

    /// Run the charm's program to its end, in a context of its own.
    pub(super) fn execute(&self, job: Job<'_>) -> Result<(HookRun, HookContext)> {
        let name = job.action.as_ref().map_or(&job.hook, |action| &action.name).clone();
        let kind = if job.action.is_some() { "actions" } else { "hooks" };
        let mut context = HookContext {
            id: context_id(self.name(), &name),
            unit: self.name().into(),
            hook: job.hook.clone(),
            action: job.action,
            secret: job.secret,
            peer: job.peer,
            ..HookContext::default()
        };
        let environment = {
            let mut model = lock(&self.board.shared.model);
            let unit = self.name();
            context.relation = match model.enter_peers(unit, &job.hook, context.peer.as_ref())? {
                Some(relation) => Some(relation),
                None => enter_relation(&mut model, unit, &job.hook)?,
            };
            variables(&context, &model)
        };

        let directory = self.charm_directory();
        let candidates = [format!("{directory}/dispatch"), format!("{directory}/{kind}/{name}")];
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
            ensure!(kind == "hooks", "action not implemented on unit {:?}", self.name());
            return Ok((run, context));
        };
        {
            let mut current = lock(&self.board.context);
            ensure!(current.is_none(), "{} is running another hook", self.name());
            *current = Some(context);
        }
        self.board.shared.tell(&Event::Started { unit: self.name().into(), name: name.clone() });
        let start = Instant::now();
        let mut argv = job.trace_to.map(trace::command).unwrap_or_default();
        argv.push(program);
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        let ended = self
            .machine()
            .start(&argv, &environment, &directory, None)
            .and_then(|process| watch(process, start, job.kill_when, job.kill_by));
        let context = lock(&self.board.context).take().context("the hook's context is gone")?;
        let (output, signal) = ended.with_context(|| format!("{name} on {}", self.name()))?;
        run.wall = start.elapsed();
        (run.exit, run.signal, run.stdout, run.stderr) = (output.code, signal, output.stdout, output.stderr);
        run.tools.clone_from(&context.calls);
        run.log.clone_from(&context.log);
        Ok((run, context))
    }

    /// After a run: flush what it buffered when it ended well, and tell. What cannot be flushed makes it
    /// a failed one.
    pub(super) fn end(&self, run: &mut HookRun, context: HookContext) {
        if run.ok() {
            let mut model = lock(&self.board.shared.model);
            let broken = context.relation.is_some() && context.hook.ends_with("-relation-broken");
            let unit = context.unit.clone();
            let peer = context.peer.clone();
            match context.flush(&mut model) {
                Ok(()) => {
                    if let Some(peer) = &peer {
                        model.peer_hook_done(&unit, peer);
                    }
                    if broken && let Some(unit) = model.units.get_mut(&unit) {
                        unit.relation = None;
                    }
                }
                Err(error) => {
                    run.exit = Some(1);
                    run.stderr.push_str(&format!("ERROR {error}\n"));
                }
            }
        }
        let (unit, name) = (self.name().to_owned(), run.name.clone());
        self.board.shared.tell(&Event::Ended { unit, name, exit: run.exit, wall: run.wall });
    }
}

/// Wait for a hook's end, killing its own process when it is time.
fn watch(
    mut process: Process,
    start: Instant,
    mut kill_when: Option<KillWhen<'_>>,
    kill_by: &[Signal],
) -> Result<(Output, Option<i32>)> {
    let mut signals = match kill_by {
        [] => [Signal::SIGKILL].iter(),
        given => given.iter(),
    };
    while let Some(when) = &mut kill_when {
        if process.has_ended()? {
            break;
        }
        if when(start.elapsed()) {
            // The first process is nsenter, which waits for the hook and ends as it did.
            if let Some(hook) = child_of(process.id()) {
                if let Some(signal) = signals.next() {
                    kill(Pid::from_raw(hook), *signal).ok();
                }
                if signals.len() == 0 {
                    kill_when = None;
                }
            }
        }
        ensure!(start.elapsed() < HOOK_LIMIT, "still running after {HOOK_LIMIT:?}");
        std::thread::sleep(Duration::from_micros(200));
    }
    process.finish(HOOK_LIMIT)
}

/// What a relation hook is about, and what it means for who has joined.
fn enter_relation(model: &mut Model, unit: &str, hook: &str) -> Result<Option<HookRelation>> {
    let is_of =
        |endpoint: &String| hook.strip_prefix(endpoint.as_str()).is_some_and(|rest| rest.starts_with("-relation-"));
    if !model.charm.endpoints.iter().any(is_of) {
        return Ok(None);
    }
    let state = model.units.get_mut(unit).context("no such unit")?;
    let principal = state.principal.clone();
    let relation = state.relation.as_mut().filter(|relation| is_of(&relation.endpoint));
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
