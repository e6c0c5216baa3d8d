//! Magnum as the principal and the operating system installed it.
//!
//! It changes: a release upgrade brings another Python, a package upgrade other drivers. So every hook looks at it, at
//! files alone.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use super::defaults::{self, StartDefaults};
use super::entry_points::{DRIVERS_GROUP, entry_points};
use super::{ENTRY_POINT, MAGNUM_CONF, MAGNUM_USER, Python, Service};
use crate::problem::Problem;
use crate::system::{Budget, Root, System};

/// Our driver's distribution, by its normalised name.
const OUR_DISTRIBUTION: &str = "magnum_capi_helm";
const CACHE: &str = "distributions.json";
/// The most distributions whose entry points are read, and the most bytes of all: a unit of Ubuntu has 300, with 100 kB.
const MOST_DISTRIBUTIONS: usize = 5000;
const MOST_BYTES: usize = 2 << 20;
/// The most drivers that are disabled; Magnum comes with four. Of what else is registered so much is shown.
const MOST_DRIVERS: usize = 200;
const LONGEST_NAME: usize = 100;
const MOST_SHOWN: usize = 10;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    pub python: Python,
    /// The numeric id of group magnum.
    pub magnum_gid: u32,
    /// Magnum's version, from its metadata.
    pub version: String,
    /// The registered Magnum drivers but ours, sorted.
    pub other_drivers: Vec<String>,
    /// Those that are not known, or that no list can name.
    pub unknown_drivers: Option<Problem>,
    /// Directories in which Python looks before the site directory, and that are there.
    pub before_site: Vec<PathBuf>,
    pub defaults: BTreeMap<Service, StartDefaults>,
}

/// The distributions that register Magnum drivers, or may, and Magnum's own. Reading every distribution's entry points takes
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
        let mut drivers = RegisteredDrivers::new();
        for directory in &distributions.with_drivers {
            drivers.read(root, directory);
        }
        Ok(Self {
            version: distributions.magnum_version().ok_or_else(|| missing("Magnum's Python package"))?,
            unknown_drivers: drivers.problem(),
            other_drivers: drivers.names.into_iter().collect(),
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
        all.remove(OUR_DISTRIBUTION);
        let mut with_drivers: Vec<PathBuf> = all.into_values().collect();
        // The system's before those of user magnum, whose directory comes before them on the path and holds any number.
        let place =
            |metadata: &PathBuf| path.iter().position(|directory| Some(directory.as_path()) == metadata.parent());
        with_drivers.sort_by_key(|metadata| Reverse(place(metadata)));
        let mut drivers = RegisteredDrivers::new();
        with_drivers.retain(|metadata| drivers.read(root, metadata));
        // The last is one too many, which says so.
        with_drivers.truncate(MOST_DISTRIBUTIONS + 1);
        Ok(Self { with_drivers, magnum })
    }

    fn magnum_version(&self) -> Option<String> {
        let (_, version) = name_and_version(self.magnum.as_ref()?.file_name()?.to_str()?)?;
        Some(version)
    }
}

/// The drivers but ours that distributions register in `magnum.drivers`.
struct RegisteredDrivers {
    names: BTreeSet<String>,
    /// What else there is, as far as it is shown, and how much more.
    left_out: Vec<String>,
    more: usize,
    budget: Budget,
}

impl RegisteredDrivers {
    fn new() -> Self {
        let budget = Budget::new(MOST_DISTRIBUTIONS, MOST_BYTES);
        Self { names: BTreeSet::new(), left_out: Vec::new(), more: 0, budget }
    }

    /// Reads what a distribution registers. Returns whether it may be anything.
    fn read(&mut self, root: &Root, metadata: &Path) -> bool {
        let text = match self.entry_points(root, metadata) {
            Ok(text) => text,
            Err(error) => {
                self.leave_out(|| format!("{error:#}"));
                return true;
            }
        };
        let found = entry_points(&text).filter(|(group, _)| *group == DRIVERS_GROUP);
        let mut has_any = false;
        for (_, name) in found {
            has_any = true;
            if name == ENTRY_POINT {
                continue;
            }
            if is_list_name(name) && (self.names.len() < MOST_DRIVERS || self.names.contains(name)) {
                self.names.insert(name.to_owned());
            } else {
                let shown = || name.chars().take(LONGEST_NAME).collect::<String>();
                self.leave_out(|| format!("{:?} of {}", shown(), metadata.display()));
            }
        }
        has_any
    }

    fn entry_points(&mut self, root: &Root, metadata: &Path) -> Result<String> {
        // Python follows it.
        let is_link = root.metadata(metadata)?.is_some_and(|meta| meta.is_symlink());
        ensure!(!is_link, "{} is a symbolic link", metadata.display());
        let content = self.budget.read(root, &metadata.join("entry_points.txt"))?;
        Ok(String::from_utf8_lossy(&content.unwrap_or_default()).into_owned())
    }

    fn leave_out(&mut self, what: impl FnOnce() -> String) {
        match self.left_out.len() < MOST_SHOWN {
            true => self.left_out.push(what()),
            false => self.more += 1,
        }
    }

    fn problem(&self) -> Option<Problem> {
        let all = self.left_out.join("; ");
        let detail = match self.more {
            _ if all.is_empty() => return None,
            0 => all,
            more => format!("{all}; and {more} more"),
        };
        let remedy = "Magnum may load what is registered there; repair or remove that package";
        Some(Problem::notice("Some Magnum drivers cannot be disabled: see the log", format!("{detail}: {remedy}")))
    }
}

/// Whether a driver's name can stand in a list of an ASCII file.
fn is_list_name(name: &str) -> bool {
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(is_of_name)
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

    use crate::problem::or_problem;
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
    fn a_unit_on_which_user_nobody_cannot_run_python_is_a_problem_and_no_fault() {
        let found = Installation::inspect(&unit().system(|_| None));
        let problem = or_problem(found).unwrap().unwrap_err();
        assert_eq!(problem.summary, "Cannot ask Magnum's Python as user nobody");
        assert!(
            problem.detail.contains("map id 65534") && problem.detail.contains("no such program here"),
            "{problem}"
        );
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
        register(&scratch, &format!("{APT}/Extra.Driver-1-py3.11.egg-info"), " [magnum.drivers]\r\tindented = a:B\n");
        assert_eq!(inspect(&scratch).unwrap().other_drivers, ["indented", "k8s_fedora_coreos_v1"]);
    }

    #[test]
    fn a_unit_without_magnum_is_waited_for_and_what_is_missing_is_named() {
        for missing in [MAGNUM_CONF, "/usr/bin/magnum-api"] {
            let scratch = unit();
            scratch.root.remove(Path::new(missing)).unwrap();
            let problem: Problem = inspect(&scratch).unwrap_err().downcast().unwrap();
            assert_eq!(problem.to_string(), format!("Magnum is not installed yet: {missing} is missing"));
        }
        // Links that lead nowhere, which user magnum can make of its own file.
        for target in ["magnum.conf".to_owned(), "x".repeat(300)] {
            let scratch = unit();
            scratch.root.remove(Path::new(MAGNUM_CONF)).unwrap();
            scratch.link(MAGNUM_CONF, &target);
            assert!(inspect(&scratch).unwrap_err().is::<Problem>(), "{target}");
        }
    }

    #[test]
    fn metadata_that_cannot_be_read_is_named_and_hangs_no_hook() {
        let scratch = unit();
        let odd = scratch.path(APT).join("odd-1.dist-info");
        std::fs::create_dir(&odd).unwrap();
        let unknown = || inspect(&scratch).unwrap().unknown_drivers.map(|problem| problem.detail).unwrap_or_default();
        scratch.for_each_shape(&format!("{APT}/odd-1.dist-info/entry_points.txt"), |shape| {
            scratch.root.remove(&crate::system::state_path(CACHE)).unwrap();
            let is_text = shape == "bytes that are not UTF-8";
            // The second time from the cache.
            for _ in 0..2 {
                assert_eq!(inspect(&scratch).unwrap().other_drivers, ["swarm_v1"], "{shape}");
                assert_eq!(
                    unknown().starts_with(&format!("{APT}/odd-1.dist-info/entry_points.txt is")),
                    !is_text,
                    "{shape}"
                );
            }
        });
        std::fs::remove_dir(&odd).unwrap();
        scratch.put("/opt/odd/entry_points.txt", "[magnum.drivers]\nodd = a:B\n");
        std::os::unix::fs::symlink(scratch.path("/opt/odd"), &odd).unwrap();
        scratch.root.remove(&crate::system::state_path(CACHE)).unwrap();
        assert!(unknown().starts_with(&format!("{APT}/odd-1.dist-info is a symbolic link: Magnum may load")));
        std::fs::write(scratch.path(APT).join(std::ffi::OsStr::from_bytes(b"\xff-1.dist-info")), "").unwrap();
        assert_eq!(inspect(&scratch).unwrap().other_drivers, ["swarm_v1"]);
    }

    #[test]
    fn an_interpreter_that_is_named_by_a_directory_that_is_a_link_is_found() {
        let scratch = unit();
        scratch.link("/bin", "usr/bin");
        scratch.put("/usr/bin/magnum-conductor", "#!/bin/python3\n");
        assert_eq!(inspect(&scratch).unwrap().python.executable, Path::new("/bin/python3"));
    }

    #[test]
    fn drivers_that_no_list_can_name_or_hold_are_left_out_and_named_and_the_systems_come_first() {
        let scratch = unit();
        let long = "x".repeat(1000);
        let odd = format!("[magnum.drivers]\né = a:b\n\x01\x7f = a:b\na,b = a:b\n{long} = a:b\n_a.b-1 = a:b\n");
        register(&scratch, &format!("{LOCAL}/odd-1.dist-info"), &odd);
        let installation = inspect(&scratch).unwrap();
        assert_eq!(installation.other_drivers, ["_a.b-1", "swarm_v1"]);
        let problem = installation.unknown_drivers.unwrap();
        for name in ["\"é\"", "\"\\u{1}\\u{7f}\"", "\"a,b\"", &format!("\"{}\"", &long[..100])] {
            assert!(problem.detail.contains(&format!("{name} of {LOCAL}/odd-1.dist-info")), "{name}: {problem}");
        }
        scratch.root.remove(&crate::system::state_path(CACHE)).unwrap();
        let many: String = (0..10_000).map(|index| format!("a{index} = a:b\n")).collect();
        register(&scratch, &format!("{LOCAL}/all-1.dist-info"), &format!("[magnum.drivers]\n{many}"));
        let installation = inspect(&scratch).unwrap();
        assert_eq!(installation.other_drivers.len(), MOST_DRIVERS);
        assert!(installation.other_drivers.contains(&"swarm_v1".to_owned()));
        let problem = installation.unknown_drivers.unwrap();
        assert!(problem.detail.contains("; and 979") && problem.detail.len() < 2000, "{problem}");
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
