//! Several units of one application: the hooks that what one of them says brings to the others.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::Unit;
use super::run::Job;
use crate::host::lock;
use crate::juju::hook::HookRun;

/// A unit looks for its next hook this often.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

impl Unit {
    /// Run the next hook that Juju has for the relation to the other units, if there is one.
    pub fn peer_hook(&self) -> Result<Option<HookRun>> {
        let (due, endpoint) = {
            let model = lock(&self.board.shared.model);
            let endpoint = model.peers.as_ref().map(|peers| peers.endpoint.clone());
            (model.peer_hook_due(self.name()), endpoint)
        };
        let (Some(due), Some(endpoint)) = (due, endpoint) else {
            return Ok(None);
        };
        let job = Job { hook: format!("{endpoint}-relation-{}", due.event()), peer: Some(due), ..Job::default() };
        self.run(job).map(Some)
    }

    /// Let the agents of these units run, all at the same time, until none has anything to do: first
    /// `hook` on each, then whatever they bring each other. Gives each unit's runs.
    pub fn run_together(units: &[&Self], hook: Option<&str>, limit: Duration) -> Result<Vec<Vec<HookRun>>> {
        let start = Instant::now();
        let resting = Mutex::new(vec![false; units.len()]);
        let agent = |at: usize| {
            let unit = units[at];
            let mut runs = Vec::new();
            let mut next = match hook {
                Some(hook) => Some(unit.hook(hook)?),
                None => None,
            };
            loop {
                if let Some(run) = next.take() {
                    runs.push(run.expect_ok()?);
                }
                if start.elapsed() > limit {
                    bail!("{} is not done after {limit:?}", unit.name());
                }
                next = unit.peer_hook()?;
                let mut resting = lock(&resting);
                resting[at] = next.is_none();
                // Nobody is at work, so nobody has anything for another.
                if resting.iter().all(|rests| *rests) && units.iter().all(|unit| unit.is_idle()) {
                    return Ok(runs);
                }
                drop(resting);
                if next.is_none() {
                    std::thread::sleep(BETWEEN_LOOKS);
                }
            }
        };
        std::thread::scope(|scope| {
            let agents: Vec<_> = (0..units.len()).map(|at| scope.spawn(move || agent(at))).collect();
            let ended = agents.into_iter().map(|agent| match agent.join() {
                Ok(runs) => runs,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            ended.collect()
        })
    }

    fn is_idle(&self) -> bool {
        let model = lock(&self.board.shared.model);
        model.peer_hook_due(self.name()).is_none()
    }
}
