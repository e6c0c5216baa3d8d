//! The ground the graft stands on: what the principal and the operating system give.
//!
//! None of it is the charm's to change. It moves, though: a release upgrade brings another Python,
//! a package upgrade other drivers. So it is looked at in every hook, from files alone.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::unistd::{Group, User};

use crate::graft::{ENTRY_POINT, Service};
use crate::problem::Problem;
use crate::unit::files;
use crate::unit::python::{MAGNUM_USER, Python};

/// The main configuration file, rendered by the principal.
pub const MAGNUM_CONF: &str = "/etc/magnum/magnum.conf";
/// The entry point group in which Magnum looks for drivers.
const DRIVERS_GROUP: &str = "magnum.drivers";

/// What the unit offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ground {
    /// The Python that runs Magnum.
    pub python: Python,
    /// The numeric group id of group magnum.
    pub magnum_gid: u32,
    /// Every registered Magnum driver but ours, sorted.
    pub other_drivers: Vec<String>,
}

impl Ground {
    /// Looks at the unit.
    ///
    /// # Errors
    /// A [`Problem`] when Magnum is not (or not yet) installed; otherwise, what could not be read.
    pub fn look() -> Result<Self> {
        let missing = |what: &str| {
            Problem::waiting(format!(
                "magnum is not installed on this unit yet: {what} is missing"
            ))
        };
        for program in Service::ALL.map(Service::program) {
            if !Path::new(program).is_file() {
                return Err(missing(program).into());
            }
        }
        if !Path::new(MAGNUM_CONF).is_file() {
            return Err(missing(MAGNUM_CONF).into());
        }
        if User::from_name(MAGNUM_USER)
            .context("looking up user magnum")?
            .is_none()
        {
            return Err(missing("user magnum").into());
        }
        let group = Group::from_name(MAGNUM_USER)
            .context("looking up group magnum")?
            .ok_or_else(|| missing("group magnum"))?;
        let python = Python::of(Path::new(Service::Conductor.program()))?;
        let other_drivers = registered_drivers(&python.path)?
            .into_iter()
            .filter(|name| name != ENTRY_POINT)
            .collect();
        Ok(Self {
            python,
            magnum_gid: group.gid.as_raw(),
            other_drivers,
        })
    }
}

/// The names in group `magnum.drivers`, as Python's `importlib.metadata` would list them: of two
/// copies of a distribution, the one earlier on the path counts.
fn registered_drivers(path: &[PathBuf]) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let mut seen = HashSet::new();
    for directory in path {
        for name in files::names(directory)? {
            let Some(distribution) = distribution(&name) else {
                continue;
            };
            if !seen.insert(distribution) {
                continue;
            }
            let file = directory.join(&name).join("entry_points.txt");
            if let Some(text) = files::read_text(&file)? {
                names.extend(entry_points(&text, DRIVERS_GROUP));
            }
        }
    }
    names.sort();
    names.dedup();
    Ok(names)
}

/// The normalised distribution name in `Some.Name-1.0.dist-info` or `….egg-info`.
fn distribution(directory: &str) -> Option<String> {
    let stem = directory
        .strip_suffix(".dist-info")
        .or_else(|| directory.strip_suffix(".egg-info"))?;
    let name = stem.split_once('-').map_or(stem, |(name, _)| name);
    Some(name.to_lowercase().replace(['-', '.'], "_"))
}

/// The names in one group of an
/// [entry points file](https://packaging.python.org/en/latest/specifications/entry-points/).
fn entry_points(text: &str, group: &str) -> Vec<String> {
    let header = format!("[{group}]");
    text.lines()
        .map(str::trim)
        .skip_while(|line| *line != header)
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter(|line| !line.starts_with(['#', ';']))
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name.trim().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn install(site: &Path, directory: &str, entry_points: &str) {
        let directory = site.join(directory);
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("entry_points.txt"), entry_points).unwrap();
    }

    #[test]
    fn of_two_copies_of_magnum_the_one_earlier_on_the_path_counts() {
        let (local, apt) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        install(
            local.path(),
            "magnum-18.0.0.dist-info",
            "[console_scripts]\nx = y:z\n\n[magnum.drivers]\nk8s_fedora_coreos_v1 = a:B\n\n[other]\nno = a:B\n",
        );
        install(
            apt.path(),
            "magnum-15.0.1.egg-info",
            "[magnum.drivers]\nmesos_ubuntu_v1 = a:B\nswarm_fedora_atomic_v1 = a:B\n",
        );
        install(
            apt.path(),
            "Extra.Driver-1-py3.11.egg-info",
            "[magnum.drivers]\nextra = a:B\n",
        );
        let path = [
            local.path().to_owned(),
            apt.path().to_owned(),
            PathBuf::from("/absent"),
        ];
        assert_eq!(
            registered_drivers(&path).unwrap(),
            ["extra", "k8s_fedora_coreos_v1"]
        );
    }
}
