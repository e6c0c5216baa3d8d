//! Magnum as the principal and the operating system installed it.
//!
//! It changes: a release upgrade brings another Python, a package upgrade other drivers. So every hook looks at it, at
//! files alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::defaults::{self, StartDefaults};
use super::oslo::assignments;
use super::{ENTRY_POINT, MAGNUM_CONF, MAGNUM_USER, Python, Service};
use crate::problem::Problem;
use crate::system::{Root, System};

/// The entry point group in which Magnum looks for drivers.
const DRIVERS_GROUP: &str = "magnum.drivers";
/// Our driver's distribution, by its normalised name.
const OUR_DISTRIBUTION: &str = "magnum_capi_helm";
const CACHE: &str = "distributions.json";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    pub python: Python,
    /// The numeric id of group magnum.
    pub magnum_gid: u32,
    /// Magnum's version, from its metadata.
    pub version: String,
    /// Every registered Magnum driver but ours, sorted.
    pub other_drivers: Vec<String>,
    /// Directories in which Python looks before the site directory, and that are there.
    pub before_site: Vec<PathBuf>,
    pub defaults: BTreeMap<Service, StartDefaults>,
}

/// The distributions that register Magnum drivers, and Magnum's own. Reading every distribution's entry points takes
/// longer than all else in a hook, so it is done when a directory of the module path has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Distributions {
    /// The metadata directory of each.
    with_drivers: Vec<PathBuf>,
    magnum: Option<PathBuf>,
}

impl Installation {
    /// Looks at the unit.
    ///
    /// # Errors
    /// A [`Problem`] if Magnum is not (or not yet) installed; otherwise, what could not be read.
    pub fn inspect(system: &System) -> Result<Self> {
        let root = &system.root;
        let missing = |what: &str| Problem::waiting("Magnum is not installed yet", format!("{what} is missing"));
        for path in Service::ALL.map(Service::program).into_iter().chain([MAGNUM_CONF]) {
            if !root.resolve_with_metadata(Path::new(path))?.1.is_some_and(|meta| meta.is_file()) {
                return Err(missing(path).into());
            }
        }
        let account = system.account(MAGNUM_USER)?.ok_or_else(|| missing("user magnum"))?;
        let python = Python::of_program(system, Path::new(Service::Conductor.program()), &account.home)?;
        let directories = root.identities(&python.path)?;
        let is_there = |path: &&PathBuf| directories.iter().any(|found| found.path == **path);
        let before_site = python.path.iter().take_while(|path| **path != python.site).filter(is_there);
        let before_site = before_site.cloned().collect();
        let distributions = root.cached(CACHE, directories, || Distributions::inspect(root, &python.path))?;
        let others = distributions.with_drivers.iter().flat_map(|directory| drivers_of(root, directory));
        let others: BTreeSet<String> = others.filter(|name| name != ENTRY_POINT).collect();
        Ok(Self {
            version: distributions.magnum_version().ok_or_else(|| missing("Magnum's Python package"))?,
            other_drivers: others.into_iter().collect(),
            defaults: defaults::inspect(system)?,
            magnum_gid: account.gid,
            before_site,
            python,
        })
    }
}

impl Distributions {
    fn inspect(root: &Root, path: &[PathBuf]) -> Result<Self> {
        // As Python's `importlib.metadata` finds them: of two copies, the one earlier on the path counts.
        let mut all: BTreeMap<String, PathBuf> = BTreeMap::new();
        for directory in path {
            for name in root.names(directory)? {
                if let Some((distribution, _)) = name_and_version(&name) {
                    all.entry(distribution).or_insert_with(|| directory.join(&name));
                }
            }
        }
        let magnum = all.get("magnum").cloned();
        all.retain(|name, directory| name != OUR_DISTRIBUTION && !drivers_of(root, directory).is_empty());
        Ok(Self { with_drivers: all.into_values().collect(), magnum })
    }

    fn magnum_version(&self) -> Option<String> {
        let (_, version) = name_and_version(self.magnum.as_ref()?.file_name()?.to_str()?)?;
        Some(version)
    }
}

/// Returns the names that a distribution registers in `magnum.drivers`, by its
/// [entry points file](https://packaging.python.org/en/latest/specifications/entry-points/). Metadata that cannot be
/// read registers none, for Python neither.
fn drivers_of(root: &Root, metadata: &Path) -> Vec<String> {
    let text = root.read_text(&metadata.join("entry_points.txt")).ok().flatten().unwrap_or_default();
    let drivers = assignments(&text).filter(|found| found.section.trim() == DRIVERS_GROUP);
    drivers.map(|found| found.key.to_owned()).collect()
}

/// Parses `Some.Name-1.0.dist-info` or `….egg-info`; the name is normalised.
fn name_and_version(directory: &str) -> Option<(String, String)> {
    let stem = directory.strip_suffix(".dist-info").or_else(|| directory.strip_suffix(".egg-info"))?;
    let mut parts = stem.split('-');
    let name = parts.next()?.to_lowercase().replace('.', "_");
    Some((name, parts.next().unwrap_or_default().to_owned()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::PermissionsExt as _;

    use crate::system::NotRootsAlone;
    use crate::system::testing::Scratch;

    use super::*;

    const LOCAL: &str = "/usr/local/lib/python3.11/dist-packages";
    const APT: &str = "/usr/lib/python3/dist-packages";

    fn register(scratch: &Scratch, directory: &str, entry_points: &str) {
        scratch.put(format!("{directory}/entry_points.txt"), entry_points);
    }

    fn unit() -> Scratch {
        let scratch = Scratch::new();
        scratch.root.make_state_directory().unwrap();
        for program in ["magnum-api", "magnum-conductor"] {
            scratch.put(format!("/usr/bin/{program}"), "#!/usr/bin/python3\n");
        }
        scratch.put("/usr/bin/python3.11", "");
        scratch.link("/usr/bin/python3", "python3.11");
        scratch.put(MAGNUM_CONF, "[DEFAULT]\n");
        register(&scratch, &format!("{APT}/magnum-15.0.1.egg-info"), "[magnum.drivers]\nswarm_v1 = a:B\n");
        scratch
    }

    /// Asks where Python looks.
    fn inspect(scratch: &Scratch) -> Result<Installation> {
        let answer = format!(
            "{{\"version\": \"3.11.2\", \"site\": \"{LOCAL}\", \"path\": [\"/absent\", \"{LOCAL}\", \"{APT}\"]}}"
        );
        Installation::inspect(&scratch.system(move |command| {
            // What user magnum's processes could change decides where root writes.
            assert_eq!((command.user, command.args[0].to_str()), (Some("nobody"), Some("-I")));
            assert!(command.env.contains(&("HOME".to_owned(), "/var/lib/magnum".into())));
            Some(answer.clone())
        }))
    }

    #[test]
    fn magnum_is_found_with_its_python_and_its_drivers() {
        let installation = inspect(&unit()).unwrap();
        assert_eq!(installation.version, "15.0.1");
        assert_eq!(installation.python.executable, Path::new("/usr/bin/python3"));
        assert_eq!(installation.other_drivers, ["swarm_v1"]);
        assert_eq!(installation.magnum_gid, 64);
    }

    #[test]
    fn of_two_copies_of_magnum_the_one_earlier_on_the_path_counts_also_when_it_comes_later() {
        let scratch = unit();
        inspect(&scratch).unwrap();
        let entry_points =
            "[console_scripts]\nx = y:z\n\n[magnum.drivers]\nk8s_fedora_coreos_v1 = a:B\n\n[other]\nno = a:B\n";
        register(&scratch, &format!("{LOCAL}/magnum-18.0.0.dist-info"), entry_points);
        register(&scratch, &format!("{APT}/Extra.Driver-1-py3.11.egg-info"), "[magnum.drivers]\nextra = a:B\n");
        register(&scratch, &format!("{LOCAL}/magnum_capi_helm-1.1.0.dist-info"), "[magnum.drivers]\ndamaged = a:B\n");
        let installation = inspect(&scratch).unwrap();
        assert_eq!(installation.version, "18.0.0");
        assert_eq!(installation.other_drivers, ["extra", "k8s_fedora_coreos_v1"]);
        // An edit in place changes no directory, and is seen all the same.
        register(&scratch, &format!("{APT}/Extra.Driver-1-py3.11.egg-info"), "[magnum.drivers]\nother = a:B\n");
        assert_eq!(inspect(&scratch).unwrap().other_drivers, ["k8s_fedora_coreos_v1", "other"]);
    }

    #[test]
    fn a_unit_without_magnum_is_waited_for_and_what_is_missing_is_named() {
        for missing in [MAGNUM_CONF, "/usr/bin/magnum-api"] {
            let scratch = unit();
            scratch.root.remove(Path::new(missing)).unwrap();
            let problem: Problem = inspect(&scratch).unwrap_err().downcast().unwrap();
            assert_eq!(problem.to_string(), format!("Magnum is not installed yet: {missing} is missing"));
        }
    }

    #[test]
    fn metadata_that_cannot_be_read_registers_no_driver_and_hangs_no_hook() {
        let scratch = unit();
        let odd = scratch.path(APT).join("odd-1.dist-info");
        std::fs::create_dir(&odd).unwrap();
        scratch.for_each_shape(&format!("{APT}/odd-1.dist-info/entry_points.txt"), |shape| {
            scratch.root.remove(&crate::system::state_path(CACHE)).unwrap();
            assert_eq!(inspect(&scratch).unwrap().other_drivers, ["swarm_v1"], "{shape}");
        });
        std::fs::write(scratch.path(APT).join(std::ffi::OsStr::from_bytes(b"\xff-1.dist-info")), "").unwrap();
        assert_eq!(inspect(&scratch).unwrap().other_drivers, ["swarm_v1"]);
    }

    #[test]
    fn a_python_that_is_not_roots_alone_is_named_also_when_it_has_answered_before() {
        for (path, was_asked) in [
            ("/usr/bin/magnum-conductor", false),
            ("/usr/bin/python3.11", false),
            ("/usr/bin/python3.11", true),
            ("/usr/local", false),
        ] {
            let scratch = unit();
            if was_asked {
                inspect(&scratch).unwrap();
                // The clock of a file system has steps.
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            std::fs::set_permissions(scratch.path(path), std::fs::Permissions::from_mode(0o777)).unwrap();
            let error = inspect(&scratch).unwrap_err().downcast::<NotRootsAlone>().unwrap();
            assert_eq!(error.path, Path::new(path));
        }
    }
}
