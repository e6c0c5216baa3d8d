//! The steps from what is there to what is wanted, in their order. Pure.

use std::fmt;
use std::path::{Path, PathBuf};

use super::services::{Due, Seen};
use super::{Desired, ManagedFile, Observed, Remains, chart, guard, helm};
use crate::settings::{DISTRIBUTION, Pin};
use crate::unit::files::Entry;
use crate::unit::kept::Before;

/// One step. Doing it twice does no harm, and a crash after any of them is mended by the next plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Remove what a killed hook left behind.
    RemoveLitter(PathBuf),
    /// Make a directory, root:root 0755.
    MakeDirectory(PathBuf),
    /// Swap the staged driver in for whatever is installed.
    InstallDriver {
        /// The version.
        pin: Pin,
        /// Why.
        why: String,
    },
    /// Keep a copy of the driver that Python would find first, and take it out of the way.
    SetAside(PathBuf),
    /// Put the staged helm in place.
    InstallHelm {
        /// Why.
        why: String,
    },
    /// Put a file in place.
    Write {
        /// The file.
        file: ManagedFile,
        /// Why.
        why: String,
    },
    /// Put back what stood at a path before the charm came, or remove what the charm put there.
    Restore(PathBuf, Before),
    /// Make systemd read its unit files.
    ReloadSystemd,
    /// Have systemd watch over the graft.
    StartGuard,
    /// Have it watch no more.
    StopGuard,
    /// Restart services, all in one go, each with why.
    Restart(Vec<Due>),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RemoveLitter(path) => {
                write!(
                    f,
                    "remove {}, left by a hook that was killed",
                    path.display()
                )
            }
            Self::MakeDirectory(path) => write!(f, "make the directory {}", path.display()),
            Self::InstallDriver { pin, why } => write!(f, "install {pin}: {why}"),
            Self::SetAside(path) => {
                write!(
                    f,
                    "set aside {}, which Python would find before the driver",
                    path.display()
                )
            }
            Self::InstallHelm { why } => write!(f, "install {}: {why}", helm::PATH),
            Self::Write { file, why } => write!(f, "write {}: {why}", file.path.display()),
            Self::Restore(path, Before::Kept(_)) => {
                write!(f, "put back what was at {}", path.display())
            }
            Self::Restore(path, _) => write!(f, "remove {}", path.display()),
            Self::ReloadSystemd => write!(f, "reload systemd"),
            Self::StartGuard => write!(f, "start {}", guard::WATCH),
            Self::StopGuard => write!(f, "stop {}", guard::WATCH),
            Self::Restart(services) => {
                let each: Vec<String> = services
                    .iter()
                    .map(|(service, why)| format!("{}: {why}", service.name()))
                    .collect();
                write!(f, "restart {}", each.join("; "))
            }
        }
    }
}

impl Step {
    /// Where it puts something of the charm's in place of whatever stands there; `site` is where the
    /// driver goes.
    pub fn takes_over(&self, seen: &Observed, site: &Path) -> Vec<PathBuf> {
        match self {
            Self::MakeDirectory(path) | Self::SetAside(path) => vec![path.clone()],
            Self::InstallDriver { .. } => seen.driver.paths(site),
            Self::InstallHelm { .. } => vec![helm::PATH.into()],
            Self::Write { file, .. } => vec![file.path.clone()],
            _ => Vec::new(),
        }
    }

    /// The path that it puts right, and what is wrong with it.
    pub fn puts_right(&self) -> Option<(&Path, &str)> {
        match self {
            Self::MakeDirectory(path) => Some((path, "missing")),
            Self::InstallDriver { why, .. } => Some((Path::new(DISTRIBUTION), why)),
            Self::SetAside(path) => Some((path, "in the way")),
            Self::InstallHelm { why } => Some((Path::new(helm::PATH), why)),
            Self::Write { file, why } => Some((&file.path, why)),
            Self::StartGuard => Some((Path::new(guard::WATCH), "stopped")),
            _ => None,
        }
    }
}

/// What must be done to get from `seen` to `desired`.
///
/// Driver and kubeconfig come first; conf, drop-ins and the restart only when all they need is
/// there. A graft that was switched on before is upheld all the same.
pub fn plan(desired: &Desired, seen: &Observed) -> Vec<Step> {
    let mut steps: Vec<Step> = seen
        .litter
        .iter()
        .cloned()
        .map(Step::RemoveLitter)
        .collect();
    let make = |wanted: &Path| {
        let missing = seen.missing_directories.iter().any(|path| path == wanted);
        missing.then(|| Step::MakeDirectory(wanted.to_owned()))
    };
    if let Some(why) = seen
        .driver
        .differs(&desired.pin, Some(&desired.record_sha256))
    {
        steps.extend(make(&desired.site));
        let pin = desired.pin.clone();
        steps.push(Step::InstallDriver { pin, why });
    }
    steps.extend(seen.shadows.iter().cloned().map(Step::SetAside));
    steps.extend(left_by_another_python(desired, seen));
    let helm = install_helm(desired, seen);
    let has_helm = seen.helm.is_some() || helm.is_some();
    steps.extend(helm);
    if let Some(chart) = &desired.chart {
        steps.extend(chart.path.parent().and_then(&make));
        steps.extend(write(chart, &seen.chart));
    }
    let Some(kubeconfig) = &desired.kubeconfig else {
        return steps;
    };
    steps.extend(write(kubeconfig, &seen.kubeconfig));
    if !has_helm && !seen.was_switched_on() {
        return steps;
    }
    let files = std::iter::once((&desired.conf, &seen.conf))
        .chain(desired.drop_ins.iter().zip(&seen.drop_ins));
    for (file, found) in files {
        // The directory comes first: with the drop-in's --config-dir, its absence is fatal.
        steps.extend(file.path.parent().and_then(&make));
        steps.extend(write(file, found));
    }
    let unguarded = guard_of_no_use(desired, seen);
    let guard: Vec<Step> = desired
        .guard
        .iter()
        .zip(&seen.guard.files)
        .filter(|_| !seen.guard.is_masked())
        .filter_map(|(file, found)| write(file, found))
        .chain(unguarded)
        .collect();
    let reload =
        drop_ins_change(desired, seen) || seen.services.iter().any(Seen::is_behind_its_files);
    let reload_guard = !guard.is_empty() || seen.guard.is_behind_its_files();
    steps.extend(guard);
    if reload || reload_guard {
        steps.push(Step::ReloadSystemd);
    }
    // Nothing at all is started while the principal has paused.
    let paused = seen.services.iter().any(|service| service.unit.is_masked());
    let guarded = seen.guard.watches() || seen.guard.is_masked() || paused;
    if !desired.guard.is_empty() && !guarded {
        steps.push(Step::StartGuard);
    }
    let reads = seen.reads(desired);
    steps.extend(restart(&seen.services, |service| {
        service.restart_due(&reads, !reload)
    }));
    steps.extend(chart_of_no_use(desired, seen));
    steps
}

/// What must be done so that the unit is as it was before the charm came.
///
/// Drop-ins go first, and systemd forgets them, before the directory that they name: without it a
/// service that starts in between would not come up.
pub fn plan_departure(seen: &Remains) -> Vec<Step> {
    let (of_systemd, others): (Vec<_>, Vec<_>) = seen
        .written
        .iter()
        .cloned()
        .partition(|(path, _)| path.starts_with("/etc/systemd"));
    let restore = |(path, before)| Step::Restore(path, before);
    let stale = |s: &Seen| s.unit.need_daemon_reload && !s.unit.is_masked();
    let is_guard = |(path, _): &(PathBuf, Before)| *path == guard::unit_file(guard::WATCH);
    let guarded = of_systemd.iter().any(is_guard);
    let reload = !of_systemd.is_empty() || seen.services.iter().any(stale);
    let mut steps: Vec<Step> = seen
        .litter
        .iter()
        .cloned()
        .map(Step::RemoveLitter)
        .collect();
    steps.extend(guarded.then_some(Step::StopGuard));
    steps.extend(of_systemd.into_iter().map(restore));
    steps.extend(reload.then_some(Step::ReloadSystemd));
    steps.extend(others.into_iter().map(restore));
    steps.extend(restart(&seen.services, |service| {
        if service.unit.is_masked() || !service.unit.exists() {
            return None;
        }
        service.process.as_ref()?;
        let grafted = service.read.is_some()
            || (service.is_grafted() && (reload || !service.is_grafted_next()));
        grafted.then(|| "it runs with the graft".to_owned())
    }));
    steps
}

/// What the charm put into the site directory of a Python that has been replaced.
fn left_by_another_python(desired: &Desired, seen: &Observed) -> Vec<Step> {
    let package = |path: &Path| {
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        name.is_some_and(|name| name.starts_with("magnum_capi_helm"))
    };
    seen.written
        .iter()
        .filter(|(path, before)| *before == Before::Absent && package(path))
        .filter(|(path, _)| path.parent() != Some(&desired.site))
        .map(|(path, before)| Step::Restore(path.clone(), before.clone()))
        .collect()
}

/// The guard, once it is turned off.
fn guard_of_no_use(desired: &Desired, seen: &Observed) -> Vec<Step> {
    let ours = |(path, _): &&(PathBuf, Before)| guard::UNITS.map(guard::unit_file).contains(path);
    if !desired.guard.is_empty() || !seen.written.iter().any(|entry| ours(&entry)) {
        return Vec::new();
    }
    let restore = |(path, before): &(PathBuf, Before)| Step::Restore(path.clone(), before.clone());
    let files = seen.written.iter().filter(ours).map(restore);
    std::iter::once(Step::StopGuard).chain(files).collect()
}

/// A chart that is given no longer, once no process reads its path.
fn chart_of_no_use(desired: &Desired, seen: &Observed) -> Option<Step> {
    let ours = |(path, _): &&(PathBuf, Before)| path == Path::new(chart::PATH);
    let (path, before) = seen.written.iter().find(ours)?;
    desired
        .chart
        .is_none()
        .then(|| Step::Restore(path.clone(), before.clone()))
}

fn install_helm(desired: &Desired, seen: &Observed) -> Option<Step> {
    let wanted = desired.helm.as_ref()?;
    let why = match &seen.helm {
        None => "missing".to_owned(),
        Some(found) => match &found.known {
            Some(known) if known.source.as_ref() == Some(wanted) => return None,
            _ if found.path != Path::new(helm::PATH) => {
                format!("the services find {}", found.path.display())
            }
            _ => "another file".to_owned(),
        },
    };
    Some(Step::InstallHelm { why })
}

fn write(file: &ManagedFile, found: &Entry) -> Option<Step> {
    file.drift(found).map(|why| Step::Write {
        file: file.clone(),
        why,
    })
}

fn drop_ins_change(desired: &Desired, seen: &Observed) -> bool {
    let mut pairs = desired.drop_ins.iter().zip(&seen.drop_ins);
    pairs.any(|(file, found)| file.drift(found).is_some())
}

fn restart(services: &[Seen], due: impl Fn(&Seen) -> Option<String>) -> Option<Step> {
    let services: Vec<Due> = services
        .iter()
        .filter_map(|service| due(service).map(|why| (service.service, why)))
        .collect();
    (!services.is_empty()).then_some(Step::Restart(services))
}

#[cfg(test)]
#[path = "plan_tests.rs"]
pub(super) mod tests;
