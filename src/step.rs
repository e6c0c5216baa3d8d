//! The vocabulary of plans: the steps, and the phases in which they are done. Each part of the graft adds its own.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::magnum::Service;
use crate::system::{Entry, ManagedFile, Original};

/// Something that a step installs from an artifact, rather than from bytes at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Artifact {
    Driver,
    Helm,
}

/// A service that is due for a restart, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueRestart {
    pub service: Service,
    pub why: String,
}

impl fmt::Display for DueRestart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.service.name(), self.why)
    }
}

/// One step. Doing it twice does no harm, and after a crash at any of them the next plan goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Remove what a killed hook left.
    RemoveTemporary(PathBuf),
    /// Make a directory, root:root 0755.
    MakeDirectory(PathBuf),
    /// Put an artifact in place of what stands at `replaces`.
    Install {
        artifact: Artifact,
        what: String,
        why: String,
        replaces: Vec<PathBuf>,
    },
    /// Back up what stands at a path, and remove it; in a directory of others, rename it.
    SetAside {
        path: PathBuf,
        why: String,
    },
    Write {
        file: ManagedFile,
        why: String,
    },
    /// Put the original back, or remove what the charm put there.
    Restore(PathBuf, Original),
    ReloadSystemd,
    /// Enable and start one of the charm's own units.
    Enable(&'static str),
    /// Disable and stop one of the charm's own units.
    Disable(&'static str),
    /// Restart services, all in one go.
    Restart(Vec<DueRestart>),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RemoveTemporary(path) => {
                write!(f, "remove {}, left by a killed hook", path.display())
            }
            Self::MakeDirectory(path) => write!(f, "make the directory {}", path.display()),
            Self::Install { what, why, .. } => write!(f, "install {what}: {why}"),
            Self::SetAside { path, why } => write!(f, "set aside {}: {why}", path.display()),
            Self::Write { file, why } => write!(f, "write {}: {why}", file.path.display()),
            Self::Restore(path, Original::BackedUp(_)) => {
                write!(f, "restore the original of {}", path.display())
            }
            Self::Restore(path, _) => write!(f, "remove {}", path.display()),
            Self::ReloadSystemd => f.write_str("reload systemd"),
            Self::Enable(unit) => write!(f, "start {unit}"),
            Self::Disable(unit) => write!(f, "stop {unit}"),
            Self::Restart(due) => {
                let each: Vec<String> = due.iter().map(ToString::to_string).collect();
                write!(f, "restart {}", each.join("; "))
            }
        }
    }
}

impl Step {
    /// Returns the one path that it changes, if it is one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Restore(path, _) => Some(path),
            step => match step.replaces() {
                [path] => Some(path),
                _ => None,
            },
        }
    }

    /// Returns the paths at which it puts something of the charm's in place of what stands there.
    pub fn replaces(&self) -> &[PathBuf] {
        match self {
            Self::MakeDirectory(path) | Self::SetAside { path, .. } => std::slice::from_ref(path),
            Self::Write { file, .. } => std::slice::from_ref(&file.path),
            Self::Install { replaces, .. } => replaces,
            _ => &[],
        }
    }
}

/// The phases of a plan, in their order. All parts' steps of one phase come before any of the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// What is harmless while nothing reads it: driver, helm, chart, kubeconfig.
    Install,
    /// What switches the graft on: configuration, drop-ins, the guard's units. Only once every part is ready.
    SwitchOn,
    /// After systemd has read its unit files again.
    Start,
    Restart,
    /// What nothing reads any more.
    Discard,
}

/// The steps of a plan while it is made.
#[derive(Debug, Default)]
pub struct Plan {
    steps: Vec<(Phase, Step)>,
    /// Whether systemd must read its unit files again before the phase [`Phase::Start`].
    pub reloads: bool,
    /// The directories for files of the graft that are not there.
    missing_directories: Vec<PathBuf>,
}

impl Plan {
    pub fn new(missing_directories: &[PathBuf]) -> Self {
        Self { missing_directories: missing_directories.to_vec(), ..Self::default() }
    }

    pub fn add(&mut self, phase: Phase, step: Step) {
        self.steps.push((phase, step));
    }

    /// Adds a write if what stands there differs, after its directory if that is missing. Returns whether it does.
    pub fn write(&mut self, phase: Phase, file: &ManagedFile, found: &Entry) -> bool {
        let Some(why) = file.drift(found) else { return false };
        let missing = self.missing_directories.iter().find(|directory| file.path.parent() == Some(directory));
        let make = missing.map(|directory| Step::MakeDirectory(directory.clone()));
        let steps = make.into_iter().chain([Step::Write { file: file.clone(), why }]);
        self.steps.extend(steps.map(|step| (phase, step)));
        true
    }

    /// Adds the restoration of those of the `written` paths that are `meant`.
    pub fn restore(&mut self, phase: Phase, written: &[(PathBuf, Original)], meant: impl Fn(&Path) -> bool) {
        let meant = written.iter().filter(|(path, _)| meant(path)).cloned();
        self.steps.extend(meant.map(|(path, original)| (phase, Step::Restore(path, original))));
    }

    /// Returns the steps in their order; without `switch_on` only those before [`Phase::SwitchOn`].
    pub fn into_steps(mut self, switch_on: bool) -> Vec<Step> {
        self.steps.sort_by_key(|(phase, _)| *phase);
        let last = self.steps.partition_point(|(phase, _)| *phase <= Phase::SwitchOn);
        if !switch_on {
            self.steps.retain(|(phase, _)| *phase < Phase::SwitchOn);
        } else if self.reloads {
            self.steps.insert(last, (Phase::Start, Step::ReloadSystemd));
        }
        self.steps.into_iter().map(|(_, step)| step).collect()
    }
}

/// How thorough a reconcile is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thoroughness {
    /// Asks the management cluster, and waits until the services are healthy: a hook.
    Full,
    /// Repairs drift and waits for nothing; the next hook checks the result: the guard.
    Quick,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_come_in_their_order_with_the_reload_between() {
        let mut plan = Plan { reloads: true, ..Plan::default() };
        plan.add(Phase::Start, Step::Enable("guard"));
        plan.add(Phase::SwitchOn, Step::MakeDirectory("/b".into()));
        plan.add(Phase::Install, Step::MakeDirectory("/a".into()));
        let steps: Vec<String> = plan.into_steps(true).iter().map(ToString::to_string).collect();
        assert_eq!(steps, ["make the directory /a", "make the directory /b", "reload systemd", "start guard"]);
    }

    #[test]
    fn nothing_is_switched_on_before_every_part_is_ready() {
        let mut plan = Plan { reloads: true, ..Plan::default() };
        plan.add(Phase::SwitchOn, Step::MakeDirectory("/b".into()));
        plan.add(Phase::Install, Step::MakeDirectory("/a".into()));
        assert_eq!(plan.into_steps(false), [Step::MakeDirectory("/a".into())]);
    }
}
