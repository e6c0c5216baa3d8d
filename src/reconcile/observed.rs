//! What is on the unit: one cheap look at every part. It starts nothing but one `systemctl`.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Result;

use super::Desired;
use crate::chart;
use crate::conf::CONF;
use crate::driver::ObservedDriver;
use crate::guard::{self, ObservedGuard};
use crate::helm::{self, FoundHelm};
use crate::kubeconfig::{self, programs};
use crate::magnum::{CONF_DIRECTORY, MAGNUM_DIRECTORY, Python, Service};
use crate::services::{self, ObservedServices, ServiceInputs, drop_in_directories, drop_in_path};
use crate::system::{Backups, Entry, Original, Root, STATE_DIRECTORY, System, sha256};

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
    /// Those of `directories` that are not there.
    pub missing_directories: Vec<PathBuf>,
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
        Ok(Self {
            driver: driver(root, python)?,
            helm: helm::inspect(root)?,
            chart: root.inspect(Path::new(chart::PATH))?,
            kubeconfig: root.inspect(Path::new(kubeconfig::PATH))?,
            conf: root.inspect(Path::new(CONF))?,
            services: ObservedServices { services, drop_ins: drop_ins.into_iter().collect::<Result<_>>()? },
            guard: ObservedGuard::inspect(root, units)?,
            missing_directories: missing(root)?,
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

fn missing(root: &Root) -> Result<Vec<PathBuf>> {
    let wanted: Vec<PathBuf> = directories().collect();
    let found = root.metadata_of(&wanted)?;
    let missing = wanted.into_iter().zip(found).filter(|(_, meta)| !meta.as_ref().is_some_and(|meta| meta.is_dir()));
    Ok(missing.map(|(directory, _)| directory).collect())
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
