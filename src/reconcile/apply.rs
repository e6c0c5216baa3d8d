//! Applies a plan, one step after the other, and logs each.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tracing::{info, warn};

use crate::driver::StagedDriver;
use crate::guard;
use crate::helm::StagedHelm;
use crate::problem::Problem;
use crate::step::{Artifact, Step};
use crate::system::systemd::{self, Unit, WaitFor};
use crate::system::{Backups, Entry, System};

/// How long all temporary files of a plan, which come first in it, may take: a tree takes as long as others fill it.
const TEMPORARIES_LIMIT: Duration = Duration::from_secs(60);

/// How often a step is tried at a path that others than root change meanwhile.
const MOST_TRIES: usize = 20;

/// What the steps need besides themselves.
pub struct Apply<'a> {
    pub system: &'a System,
    pub backups: &'a mut Backups,
    /// What is staged to be installed; a removal needs nothing.
    pub driver: Option<StagedDriver>,
    pub helm: Option<StagedHelm>,
    /// Whether a hook applies it, and not the guard: a hook waits for restarts.
    pub is_hook: bool,
    /// Whether what is restarted is watched, and undone if it fails: then a restart that fails is seen there.
    pub is_watched: bool,
    /// Steps of optional parts that failed.
    pub problems: Vec<Problem>,
}

impl<'a> Apply<'a> {
    /// Applies steps for which nothing is staged.
    pub fn new(system: &'a System, backups: &'a mut Backups, is_hook: bool) -> Self {
        Self { system, backups, driver: None, helm: None, is_hook, is_watched: false, problems: Vec::new() }
    }

    /// Applies `steps` in their order.
    ///
    /// # Errors
    /// At the first step that fails. What was done stays done: the next hook plans from there.
    pub fn all(&mut self, steps: &[Step]) -> Result<()> {
        self.system.root.mark_unfinished()?;
        let end = Instant::now() + TEMPORARIES_LIMIT;
        for step in steps {
            info!("{step}");
            match step {
                // It harms nobody that one is left, and user magnum can see to it that it is.
                Step::RemoveTemporary(path) => {
                    if let Err(error) = self.remove_temporary(path, end) {
                        warn!("{step}: {error:#}");
                    }
                }
                step => match self.persistently(step) {
                    Err(error) if self.is_watched && matches!(step, Step::Restart(_)) => warn!("{error:#}"),
                    Err(error) if is_of_guard(step) => {
                        warn!("{step}: {error:#}");
                        let detail = format!("{error:#}; see: systemctl status {}", guard::WATCH);
                        self.problems.push(Problem::notice("The guard cannot be changed: see the log", detail));
                    }
                    taken => taken?,
                },
            }
        }
        Ok(())
    }

    /// Takes a step, again and again while others change what it works on.
    fn persistently(&mut self, step: &Step) -> Result<()> {
        let mut tries = 1;
        loop {
            let Err(error) = self.one(step) else { return Ok(()) };
            let overtaken = step.path().filter(|path| self.system.root.is_overtaken(path, &error));
            match overtaken {
                None => return Err(error.context(step.to_string())),
                Some(_) if tries < MOST_TRIES => tries += 1,
                Some(path) => {
                    let summary = format!("Somebody keeps changing {}", path.display());
                    let remedy = "end what user magnum runs beside Magnum, then run any hook";
                    return Err(Problem::blocked(summary, format!("{step}: {error:#}; {remedy}")).into());
                }
            }
        }
    }

    /// Removes a temporary file, before `end`.
    pub(super) fn remove_temporary(&self, path: &Path, end: Instant) -> Result<()> {
        ensure!(Instant::now() < end, "the others have taken {} s", TEMPORARIES_LIMIT.as_secs());
        self.system.root.make_way(path)
    }

    fn one(&mut self, step: &Step) -> Result<()> {
        let root = &self.system.root;
        match step {
            Step::RemoveTemporary(_) => Ok(()),
            Step::MakeDirectory(path) => {
                match root.inspect(path)? {
                    Entry::Absent => self.backups.enter_new_directory(root, path)?,
                    // One that user magnum cannot enter, with nothing of others in it.
                    Entry::Directory => {
                        self.backups.enter_new_directory(root, path)?;
                        root.make_way(path)?;
                    }
                    // A file, or a link that leads elsewhere.
                    _ => {
                        self.backups.back_up(root, path)?;
                        root.remove(path)?;
                    }
                }
                root.make_directory(path, 0o755)
            }
            Step::Install { artifact: Artifact::Driver, .. } => {
                self.driver.take().context("no driver is staged")?.install(root, self.backups)
            }
            Step::Install { artifact: Artifact::Helm, .. } => {
                self.helm.take().context("no helm is staged")?.install(root, self.backups)
            }
            Step::SetAside { path, .. } => self.backups.set_aside(root, path),
            Step::Write { file, .. } => {
                self.backups.back_up(root, &file.path)?;
                // A rename replaces a file or a link, but not a directory.
                if root.is_directory(&file.path)? {
                    root.make_way(&file.path)?;
                }
                root.write(&file.path, &file.bytes, file.access)
            }
            Step::Restore(path, _) => self.backups.restore(root, path),
            Step::ReloadSystemd => systemd::daemon_reload(self.system),
            Step::Enable(unit) => {
                self.enable(unit);
                Ok(())
            }
            Step::Disable(unit) => self.disable(unit),
            Step::Restart(due) => {
                let units: Vec<&str> = due.iter().map(|due| due.service.unit()).collect();
                systemd::restart(self.system, &units, if self.is_hook { WaitFor::End } else { WaitFor::Queue })
            }
        }
    }

    /// A guard that cannot start (in a container, all of a host's inotify instances may be in use) fails no hook.
    fn enable(&mut self, unit: &str) {
        let stopped = |unit: &Unit| unit.has_failed() && !unit.lacked_resources();
        let was_stopped = systemd::show(self.system, &[unit]).is_ok_and(|units| units.iter().any(stopped));
        // The guard itself leaves to systemd how often it may run.
        let reset = if self.is_hook { systemd::reset_failed(self.system, &guard::UNITS) } else { Ok(()) };
        match reset.and_then(|()| systemd::enable(self.system, unit)) {
            Err(error) => {
                warn!("{unit} does not start: {error:#}");
                let detail = format!("{error:#}; see: systemctl status {unit}");
                self.problems.push(Problem::notice("The guard cannot start: only hooks repair drift", detail));
            }
            Ok(()) if was_stopped => {
                let detail = "something kept changing what it watches; see: journalctl -u 'magnum-capi-helm-guard*'";
                self.problems.push(Problem::notice("systemd had stopped the guard: see its journal", detail));
            }
            Ok(()) => {}
        }
    }

    /// A unit whose file somebody has removed can only be stopped. What systemd has counted goes with it.
    fn disable(&self, unit: &str) -> Result<()> {
        match self.system.root.is_file(&guard::unit_file(unit))? {
            true => systemd::disable(self.system, unit)?,
            false => systemd::stop(self.system, unit)?,
        }
        systemd::reset_failed(self.system, &guard::UNITS)
    }
}

/// Whether a step is only about the guard, without which the graft works as well.
fn is_of_guard(step: &Step) -> bool {
    let is_file = |path: &Path| guard::UNITS.iter().any(|unit| guard::unit_file(unit) == path);
    matches!(step, Step::Enable(_) | Step::Disable(_)) || step.path().is_some_and(is_file)
}
