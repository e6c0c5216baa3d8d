//! The agent's end of the hook tools: a socket in the unit, and a thread that answers on it.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::os::unix::fs::lchown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::application::Shared;
use super::context::{HookContext, ToolCall};
use super::event::Event;
use super::tools::{self, UnitFiles};
use crate::host::lock;
use crate::machine::Machine;
use crate::root::HOST_ID_OF_ROOT;
use crate::wire::{self, Reply, Request};

/// How a hook tool misbehaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It is not in the tools directory.
    Missing,
    /// It ends with this exit code and these words, and does nothing.
    Exit {
        code: u8,
        /// What it writes to standard error.
        stderr: String,
    },
    /// It does not answer until the hook is over.
    Hang,
}

/// What the server's thread and the unit share.
pub(crate) struct Board {
    pub(crate) unit: String,
    pub(crate) machine: Arc<Machine>,
    pub(crate) shared: Arc<Shared>,
    /// The hook that is running, if one is.
    pub(crate) context: Mutex<Option<HookContext>>,
    pub(crate) faults: Mutex<BTreeMap<String, Fault>>,
}

/// Writes files on the unit's machine for the hook tools.
struct Files<'a>(&'a Machine);

impl UnitFiles for Files<'_> {
    fn write(&mut self, path: &str, content: &[u8]) -> Result<()> {
        self.0.push(path, content, 0o600)
    }
}

impl Board {
    /// Answer one call.
    fn answer(&self, request: &Request) -> Reply {
        let start = Instant::now();
        let tool = request.argv.first().cloned().unwrap_or_default();
        let fault = lock(&self.faults).get(&tool).cloned();
        if fault == Some(Fault::Hang) {
            while self.is_current(request) {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        let mut current = lock(&self.context);
        let Some(context) = current.as_mut().filter(|context| context.id == request.context) else {
            let complaint = format!("error: bad request: no running hook has the context id {:?}\n", request.context);
            return Reply { code: 1, stderr: complaint, ..Reply::default() };
        };
        let logged = context.log.len();
        let reply = match fault {
            Some(Fault::Exit { code, stderr }) => Reply { code, stderr, ..Reply::default() },
            _ => tools::serve(request, context, &mut lock(&self.shared.model), &mut Files(&self.machine)),
        };
        context.calls.push(ToolCall { argv: request.argv.clone(), exit: reply.code.into(), elapsed: start.elapsed() });
        let mut events: Vec<Event> = context.log[logged..]
            .iter()
            .map(|(level, message)| Event::Log {
                unit: self.unit.clone(),
                level: level.clone(),
                message: message.clone(),
            })
            .collect();
        drop(current);
        if reply.code == 0 && tool == "status-set" {
            events.extend(self.status_event());
        }
        if reply.code == 0 && tool == "action-log" {
            events.push(Event::ActionLog { unit: self.unit.clone(), message: request.argv[1..].join(" ") });
        }
        for event in events {
            self.shared.tell(&event);
        }
        reply
    }

    fn status_event(&self) -> Option<Event> {
        let model = lock(&self.shared.model);
        let (kind, message) = model.units.get(&self.unit)?.status.clone();
        Some(Event::Status { unit: self.unit.clone(), kind, message })
    }

    fn is_current(&self, request: &Request) -> bool {
        lock(&self.context).as_ref().is_some_and(|context| context.id == request.context)
    }
}

/// The listening socket and its thread; both end when this is dropped.
pub(crate) struct Server {
    /// Closing this end wakes the thread.
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listen at `path` in the unit.
    pub(crate) fn start(board: Arc<Board>, path: &str) -> Result<Self> {
        board.machine.remove(path)?;
        let seen_from_here = format!("/proc/{}/root{path}", board.machine.leader());
        let listener = UnixListener::bind(&seen_from_here).with_context(|| format!("listening on {path}"))?;
        // Made from outside, it would belong to nobody inside, who lets nobody in.
        let owner = Some(HOST_ID_OF_ROOT);
        lchown(&seen_from_here, owner, owner).with_context(|| format!("giving {path} to root"))?;
        let (stop, stopped) = UnixStream::pair()?;
        let thread = std::thread::spawn(move || serve(&listener, &stopped, &board));
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It panicked only if a tool did; the tool's caller has seen that.
            thread.join().ok();
        }
    }
}

fn serve(listener: &UnixListener, stopped: &UnixStream, board: &Arc<Board>) {
    loop {
        let mut waiting =
            [PollFd::new(listener.as_fd(), PollFlags::POLLIN), PollFd::new(stopped.as_fd(), PollFlags::POLLIN)];
        if poll(&mut waiting, PollTimeout::NONE).is_err() {
            continue;
        }
        if waiting[1].any().unwrap_or(true) {
            return;
        }
        let Ok((caller, _)) = listener.accept() else {
            continue;
        };
        let board = Arc::clone(board);
        // A caller may hang or be killed: its trouble is its own.
        std::thread::spawn(move || {
            if let Ok(request) = wire::read(&caller) {
                wire::write(&caller, &board.answer(&request)).ok();
            }
        });
    }
}
