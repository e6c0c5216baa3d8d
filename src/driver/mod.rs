//! The driver: installed exactly as pinned, every file as its RECORD says.
//!
//! A new version is staged beside the site directory, checked and loaded there, and then exchanged with the installed
//! one: a driver is complete at every moment but for one instant between two renames, which the next comparison with
//! RECORD finds.

mod artifact;
mod checks;
pub(crate) mod facts;
mod fetcher;
mod index;
pub(crate) mod installed;
mod known;
pub(crate) mod page;
mod releases;
mod staged;
pub(crate) mod wheel;

use std::path::{Path, PathBuf};

use anyhow::Result;

pub use artifact::obtain;
pub use checks::DriverSubject;
pub use facts::DriverFacts;
pub use fetcher::{COMMAND as FETCHER, serve as run_fetcher};
#[cfg(test)]
pub(crate) use index::{Limits, fetch};
pub use installed::{InstalledDriver, InstalledDrivers};
pub use known::inspect_if_changed;
pub use releases::caveat;
pub use staged::StagedDriver;

use crate::juju::settings::{DriverSource, Pin};
use crate::magnum::Python;
use crate::problem::Problem;
use crate::step::{Artifact, Phase, Plan, Step};
use crate::system::{Original, Root};

/// The driver's import package.
pub const PACKAGE: &str = "magnum_capi_helm";
/// The most copies that a hook sets aside.
const MOST_SHADOWS: usize = 50;

/// The driver as wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredDriver {
    pub pin: Pin,
    /// The sha256 of the RECORD of the build that is wanted.
    pub record_sha256: String,
    pub site: PathBuf,
}

/// The driver as found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObservedDriver {
    pub installed: InstalledDrivers,
    /// Copies that Python would find before the site directory's; of more than a hook sets aside, one more.
    pub shadows: Vec<PathBuf>,
    pub site_is_missing: bool,
}

impl ObservedDriver {
    /// Returns the problem of more copies than a hook sets aside.
    pub fn problem(&self) -> Option<Problem> {
        let directory = self.shadows.get(MOST_SHADOWS)?.parent()?.display();
        let what = format!("Python finds more than {MOST_SHADOWS} copies of the driver before the pinned one, in");
        let remedy = format!("remove what begins with {PACKAGE} there");
        Some(Problem::blocked(
            format!("Too many copies of the driver: {directory}"),
            format!("{what} {directory}; {remedy}"),
        ))
    }
}

/// Reads the driver's files, without starting Python.
///
/// # Errors
/// If a directory or file is there but cannot be read.
pub fn inspect(root: &Root, python: &Python) -> Result<ObservedDriver> {
    Ok(ObservedDriver {
        installed: InstalledDrivers::inspect(root, &python.site)?,
        shadows: shadows(root, python)?,
        site_is_missing: !root.is_directory(&python.site)?,
    })
}

fn shadows(root: &Root, python: &Python) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for directory in python.path.iter().take_while(|directory| **directory != python.site) {
        let copies = root.names(directory)?.into_iter().filter(|name| {
            let rest = name.strip_prefix(PACKAGE);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '.']))
        });
        found.extend(copies.map(|name| directory.join(name)).take(MOST_SHADOWS + 1 - found.len()));
    }
    Ok(found)
}

/// Adds the steps to the desired driver. `written` is every path that the charm has written on this unit.
pub fn plan(plan: &mut Plan, desired: &DesiredDriver, observed: &ObservedDriver, written: &[(PathBuf, Original)]) {
    let installed = &observed.installed;
    if let Some(why) = installed.differs(&desired.pin, Some(&desired.record_sha256)) {
        if observed.site_is_missing {
            plan.add(Phase::Install, Step::MakeDirectory(desired.site.clone()));
        }
        let (artifact, what) = (Artifact::Driver, desired.pin.to_string());
        let replaces = installed.paths(&desired.site);
        plan.add(Phase::Install, Step::Install { artifact, what, why, replaces });
    }
    for path in observed.shadows.iter().take(MOST_SHADOWS) {
        let why = "Python finds it before the pinned driver".to_owned();
        plan.add(Phase::Install, Step::SetAside { path: path.clone(), why });
    }
    // What the charm put into the site directory of a Python that has been replaced.
    for (path, original) in written {
        if *original == Original::Absent && is_part(path) && path.parent() != Some(&desired.site) {
            plan.add(Phase::Install, Step::Restore(path.clone(), original.clone()));
        }
    }
}

/// Whether what the charm wrote at this path is the driver's package or its metadata, in some site directory.
pub fn is_part(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PACKAGE))
}

/// The problem with a wheel that is not a valid one of the pinned version.
fn not_the_wheel(source: &DriverSource, what: &str) -> Problem {
    let (origin, remedy) = match source.wheel {
        Some(_) => ("Resource driver-wheel", "run: juju attach-resource APPLICATION driver-wheel=FILE"),
        None => ("Package index's file", "set another index-url or driver-pin"),
    };
    let summary = format!("{origin} is not a valid wheel of the pinned driver");
    let detail = format!("it is not a wheel of {} that can be installed", source.pin);
    Problem::blocked(summary, format!("{detail}: {what}; {remedy}"))
}

#[cfg(test)]
pub(crate) mod tests;
