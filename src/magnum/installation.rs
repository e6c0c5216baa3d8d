//! The ground the graft stands on: what the principal and the operating system give.
//!
//! None of it is the charm's to change. It moves, though: a release upgrade brings another Python,
//! a package upgrade other drivers. So it is looked at in every hook, from files alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::unistd::{Group, User};

use crate::graft::defaults::Defaults;
use crate::graft::files::CONF_DIRECTORY;
use crate::graft::{ENTRY_POINT, Service};
use crate::problem::Problem;
use crate::unit::oslo::Configuration;
use crate::unit::python::{MAGNUM_USER, Python};
use crate::unit::{files, process};

/// The main configuration file, rendered by the principal.
pub const MAGNUM_CONF: &str = "/etc/magnum/magnum.conf";
/// The entry point group in which Magnum looks for drivers.
const DRIVERS_GROUP: &str = "magnum.drivers";
/// Our driver's distribution, by its normalised name.
const OUR_DISTRIBUTION: &str = "magnum_capi_helm";

/// What the unit offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ground {
    /// The Python that runs Magnum.
    pub python: Python,
    /// The numeric group id of group magnum.
    pub magnum_gid: u32,
    /// Magnum's version, as its metadata says.
    pub magnum: String,
    /// Every registered Magnum driver but ours, sorted.
    pub other_drivers: Vec<String>,
    /// Directories in which Python looks before the site directory, and that are there.
    pub before_site: Vec<PathBuf>,
    /// What `/etc/default` gives each service.
    pub defaults: BTreeMap<Service, Defaults>,
    /// The charm's own program.
    pub charm: PathBuf,
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
        let distributions = distributions(&python.path)?;
        let other_drivers = registered_drivers(&distributions)?
            .into_iter()
            .filter(|name| name != ENTRY_POINT)
            .collect();
        let magnum = distributions
            .get("magnum")
            .and_then(|directory| version(directory));
        Ok(Self {
            magnum: magnum.ok_or_else(|| missing("Magnum's Python package"))?,
            before_site: python
                .path
                .iter()
                .take_while(|path| **path != python.site)
                .filter(|path| path.is_dir())
                .cloned()
                .collect(),
            python,
            defaults: Service::ALL
                .into_iter()
                .map(|service| Ok((service, Defaults::look(service)?)))
                .collect::<Result<_>>()?,
            charm: process::own_program()?,
            magnum_gid: group.gid.as_raw(),
            other_drivers,
        })
    }
}

/// What Magnum's services read with the graft's arguments.
///
/// # Errors
/// When a file of it cannot be read.
pub fn configuration() -> Result<Configuration> {
    Configuration::read(Path::new(MAGNUM_CONF), Path::new(CONF_DIRECTORY))
}

/// The metadata directory of every distribution, as Python's `importlib.metadata` finds them: of
/// two copies of a distribution, the one earlier on the path counts.
fn distributions(path: &[PathBuf]) -> Result<BTreeMap<String, PathBuf>> {
    let mut found = BTreeMap::new();
    for directory in path {
        for name in files::names(directory)? {
            if let Some(distribution) = distribution(&name) {
                found
                    .entry(distribution)
                    .or_insert_with(|| directory.join(&name));
            }
        }
    }
    Ok(found)
}

/// The names in group `magnum.drivers`, but for those of our driver: its metadata may be damaged
/// until it is put back.
fn registered_drivers(distributions: &BTreeMap<String, PathBuf>) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for (distribution, directory) in distributions {
        if distribution == OUR_DISTRIBUTION {
            continue;
        }
        if let Some(text) = files::read_text(&directory.join("entry_points.txt"))? {
            names.extend(entry_points(&text, DRIVERS_GROUP));
        }
    }
    names.sort();
    names.dedup();
    Ok(names)
}

/// The normalised distribution name in `Some.Name-1.0.dist-info` or `….egg-info`.
fn distribution(directory: &str) -> Option<String> {
    let (name, _) = name_and_version(directory)?;
    Some(name.to_lowercase().replace(['-', '.'], "_"))
}

/// The version in the name of a metadata directory.
fn version(directory: &Path) -> Option<String> {
    let (_, version) = name_and_version(directory.file_name()?.to_str()?)?;
    Some(version.to_owned())
}

fn name_and_version(directory: &str) -> Option<(&str, &str)> {
    let stem = directory
        .strip_suffix(".dist-info")
        .or_else(|| directory.strip_suffix(".egg-info"))?;
    let (name, rest) = stem.split_once('-').unwrap_or((stem, ""));
    Some((name, rest.split('-').next().unwrap_or_default()))
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
        install(
            local.path(),
            "magnum_capi_helm-1.1.0.dist-info",
            "[magnum.drivers]\nk8s_damaged = a:B\n",
        );
        let path = [
            local.path().to_owned(),
            apt.path().to_owned(),
            PathBuf::from("/absent"),
        ];
        let found = distributions(&path).unwrap();
        assert_eq!(
            registered_drivers(&found).unwrap(),
            ["extra", "k8s_fedora_coreos_v1"]
        );
        assert_eq!(version(&found["magnum"]).unwrap(), "18.0.0");
    }
}
