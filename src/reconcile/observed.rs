//! What is on the unit: one cheap look at every part. It starts nothing but one `systemctl`.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Result;
use cap_std::fs::Metadata;

use super::Desired;
use crate::chart;
use crate::conf::{CONF, closed_to_magnum};
use crate::driver::ObservedDriver;
use crate::guard::{self, ObservedGuard};
use crate::helm::{self, FoundHelm};
use crate::kubeconfig::{self, programs};
use crate::magnum::{CONF_DIRECTORY, MAGNUM_DIRECTORY, Python, Service};
use crate::problem::Problem;
use crate::services::{self, ObservedServices, ServiceInputs, drop_in_directories, drop_in_path};
use crate::system::{Access, Backups, Entry, Original, Root, STATE_DIRECTORY, System, sha256};

/// [`driver::inspect`](crate::driver::inspect), or [`driver::inspect_if_changed`](crate::driver::inspect_if_changed).
pub type LookAtDriver = fn(&Root, &Python) -> Result<ObservedDriver>;

/// The graft as observed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    pub driver: ObservedDriver,
    /// The helm on the services' PATH.
    pub helm: Option<FoundHelm>,
    pub chart: Entry,
    pub kubeconfig: Entry,
    pub conf: Entry,
    pub services: ObservedServices,
    pub guard: ObservedGuard,
    /// Those of `directories` that are to be made: they are not there, or are of no use to user magnum.
    pub missing_directories: Vec<PathBuf>,
    /// What keeps user magnum out of conf.d, in which others have files.
    pub closed: Option<Problem>,
    /// Temporary files that a killed hook left.
    pub temporaries: Vec<PathBuf>,
    /// Every path the charm has written on this unit, with its original.
    pub written: Vec<(PathBuf, Original)>,
}

impl Observed {
    /// Looks at everything; `driver` looks at the driver.
    ///
    /// # Errors
    /// If a part cannot be looked at.
    pub fn inspect(system: &System, python: &Python, backups: &Backups, driver: LookAtDriver) -> Result<Self> {
        let root = &system.root;
        let (services, units) = services::inspect_with(system, &guard::UNITS)?;
        let drop_ins = Service::ALL.map(|service| root.inspect(Path::new(drop_in_path(service))));
        let temporaries = match root.is_unfinished()? {
            true => temporaries(root, &[&python.site])?,
            // Where actions write, without the lock.
            false => root.temporaries(Path::new(STATE_DIRECTORY))?,
        };
        let (missing_directories, closed) = look_at_directories(root)?;
        let conf = match missing_directories.iter().any(|directory| directory == Path::new(CONF_DIRECTORY)) {
            true => Entry::Absent,
            false => root.inspect(Path::new(CONF))?,
        };
        Ok(Self {
            driver: driver(root, python)?,
            helm: helm::inspect(root)?,
            chart: root.inspect(Path::new(chart::PATH))?,
            kubeconfig: root.inspect(Path::new(kubeconfig::PATH))?,
            conf,
            services: ObservedServices { services, drop_ins: drop_ins.into_iter().collect::<Result<_>>()? },
            guard: ObservedGuard::inspect(root, units)?,
            missing_directories,
            closed,
            temporaries: [temporaries, programs::forgotten_copies(root)?].concat(),
            written: backups.entries(),
        })
    }

    /// Whether the graft has been switched on before.
    pub fn is_switched_on(&self) -> bool {
        is_switched_on(&self.written)
    }

    /// Returns what the services are to have read, and since when it is there.
    pub fn service_inputs(&self, desired: &Desired) -> ServiceInputs {
        let wanted = &desired.driver;
        let driver = self.driver.installed.intact(&wanted.pin);
        let since = match (&self.conf, driver) {
            (Entry::File(conf), Some(driver)) if conf.bytes == desired.conf.bytes && self.driver.shadows.is_empty() => {
                Some(SystemTime::max(conf.changed, driver.changed))
            }
            _ => None,
        };
        // Magnum looks for drivers when it first needs one: a process that looked while the driver was gone or damaged
        // goes on without it. So each installation counts as another one.
        let installation = format!(
            "{}{:?}{:?}{}",
            wanted.record_sha256,
            driver.map(|driver| driver.written),
            self.driver.shadows,
            wanted.site.display()
        );
        ServiceInputs {
            command_lines: desired.services.command_lines.clone(),
            fingerprint: sha256(&[desired.conf.bytes.as_slice(), installation.as_bytes()].concat()),
            since,
        }
    }
}

/// Whether our fragment is among what the charm has written.
pub fn is_switched_on(written: &[(PathBuf, Original)]) -> bool {
    written.iter().any(|(path, _)| path == Path::new(CONF))
}

/// The directories of the configuration, the chart and the drop-ins, which may not exist yet.
pub fn directories() -> impl Iterator<Item = PathBuf> {
    let chart = Path::new(chart::PATH).parent();
    [Some(Path::new(CONF_DIRECTORY)), chart].into_iter().flatten().map(Path::to_owned).chain(drop_in_directories())
}

/// Returns which of `directories` are to be made. A conf.d that user magnum cannot enter is made anew if only the charm's
/// fragment is in it. Its mode is not changed: in `/etc/magnum`, which is user magnum's, another of root's directories may
/// have been moved in its place. With files of others in it, it is a problem.
fn look_at_directories(root: &Root) -> Result<(Vec<PathBuf>, Option<Problem>)> {
    let wanted: Vec<PathBuf> = directories().collect();
    let found = root.metadata_of(&wanted)?;
    let (mut missing, mut closed) = (Vec::new(), None);
    for (directory, meta) in wanted.into_iter().zip(found) {
        let Some(meta) = meta.filter(Metadata::is_dir) else {
            missing.push(directory);
            continue;
        };
        if directory == Path::new(CONF_DIRECTORY) && is_closed(root.access_of(&meta)) {
            match root.names(&directory)?.iter().any(|name| !CONF.ends_with(&format!("/{name}"))) {
                false => missing.push(directory),
                true => closed = Some(closed_to_magnum(root, &directory)?),
            }
        }
    }
    Ok((missing, closed))
}

/// Whether only root may list a directory. One that its group may list may be user magnum's to read, by its group or an ACL.
fn is_closed(access: Access) -> bool {
    access.uid == 0 && ![0o050, 0o005].iter().any(|may_list| access.mode & may_list == *may_list)
}

/// Returns the temporary files in every directory that the charm writes to, those of user magnum last; drivers are staged
/// beside `sites`.
pub fn temporaries(root: &Root, sites: &[&Path]) -> Result<Vec<PathBuf>> {
    let parents = [kubeconfig::PATH, helm::PATH].map(Path::new).into_iter().filter_map(Path::parent);
    let sites = sites.iter().flat_map(|site| site.ancestors().take(2));
    let others = parents.chain([Path::new(STATE_DIRECTORY)]).chain(sites).map(Path::to_owned);
    let mut all: Vec<PathBuf> = directories().chain(others).collect();
    all.sort_by_key(|directory| directory.starts_with(MAGNUM_DIRECTORY));
    let found: Result<Vec<_>> = all.iter().map(|directory| root.temporaries(directory)).collect();
    Ok(found?.concat())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::system::testing::Scratch;

    #[test]
    fn a_closed_directory_is_made_anew_unless_somebody_else_has_files_in_it() {
        let scratch = Scratch::new();
        scratch.put(CONF, "");
        let looked = |mode| {
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(scratch.path(CONF_DIRECTORY), mode).unwrap();
            let (missing, closed) = look_at_directories(&scratch.root).unwrap();
            (missing.contains(&CONF_DIRECTORY.into()), closed)
        };
        for (mode, is_closed) in [(0o755, false), (0o750, false), (0o705, false), (0o711, true), (0o700, true)] {
            assert_eq!(looked(mode), (is_closed, None), "{mode:o}");
        }
        scratch.put(format!("{CONF_DIRECTORY}/50-mine.conf"), "");
        assert_eq!(looked(0o755), (false, None));
        let (is_made, closed) = looked(0o700);
        let closed = closed.unwrap();
        assert_eq!((is_made, closed.summary.as_str()), (false, "Magnum is kept out of /etc/magnum/magnum.conf.d"));
        assert!(closed.detail.contains("mode 0700"), "{closed}");
        assert!(closed.detail.ends_with("chmod 0755 /etc/magnum/magnum.conf.d"), "{closed}");
    }
}
