//! What is on the unit: one cheap look at every part. It starts nothing but one `systemctl`.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Result;

use super::driver::{self, Installed};
use super::services::{self, Reads, Seen, Service};
use super::{Desired, chart, files, guard, helm};
use crate::unit::files::{Entry, litter, look, sha256};
use crate::unit::kept::{Before, Ledger};
use crate::unit::python::Python;
use crate::unit::state;

/// The graft as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// The installed driver.
    pub driver: Installed,
    /// Copies of the driver that Python would find before that one.
    pub shadows: Vec<PathBuf>,
    /// The helm on the services' PATH.
    pub helm: Option<helm::Found>,
    /// What stands where the charm keeps a chart that it is given.
    pub chart: Entry,
    /// What stands at `/etc/magnum/kubeconfig`.
    pub kubeconfig: Entry,
    /// What stands at `99-capi.conf`.
    pub conf: Entry,
    /// What stands at each drop-in's path.
    pub drop_ins: Vec<Entry>,
    /// Directories of the graft that do not exist.
    pub missing_directories: Vec<PathBuf>,
    /// Temporary files that a killed hook left.
    pub litter: Vec<PathBuf>,
    /// The services.
    pub services: Vec<Seen>,
    /// The guard.
    pub guard: guard::Seen,
    /// Every path the charm has written on this unit, and what was there before.
    pub written: Vec<(PathBuf, Before)>,
}

/// What of the graft is on a unit that the charm is to leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remains {
    /// Every path the charm has written, each directory after what is in it.
    pub written: Vec<(PathBuf, Before)>,
    /// Temporary files that a killed hook left.
    pub litter: Vec<PathBuf>,
    /// The services.
    pub services: Vec<Seen>,
}

impl Observed {
    /// Looks at everything.
    ///
    /// # Errors
    /// When a part cannot be looked at.
    pub fn look(python: &Python, ledger: &Ledger) -> Result<Self> {
        let site = python.site.as_path();
        let (services, units) = services::look_with(&guard::UNITS)?;
        Ok(Self {
            driver: driver::look(site)?,
            shadows: driver::shadows(&python.path, site)?,
            helm: helm::look()?,
            chart: look(Path::new(chart::PATH))?,
            kubeconfig: look(Path::new(files::KUBECONFIG))?,
            conf: look(Path::new(files::CONF))?,
            drop_ins: Service::ALL
                .into_iter()
                .map(|service| look(Path::new(service.drop_in())))
                .collect::<Result<_>>()?,
            missing_directories: files::directories()
                .chain([site.to_owned()])
                .filter(|directory| !directory.is_dir())
                .collect(),
            litter: litter_of_hooks(Some(site))?,
            services,
            guard: guard::Seen::look(units)?,
            written: ledger.entries(),
        })
    }

    /// What stands at one of the graft's paths.
    pub fn at(&self, path: &Path) -> Option<&Entry> {
        let fixed = [chart::PATH, files::KUBECONFIG, files::CONF].map(PathBuf::from);
        let fixed = fixed
            .into_iter()
            .zip([&self.chart, &self.kubeconfig, &self.conf]);
        let drop_ins = Service::ALL.map(|service| PathBuf::from(service.drop_in()));
        let guard = guard::UNITS.map(guard::unit_file);
        let mut all = fixed
            .chain(drop_ins.into_iter().zip(&self.drop_ins))
            .chain(guard.into_iter().zip(&self.guard.files));
        all.find(|(at, _)| at == path).map(|(_, found)| found)
    }

    /// Whether the graft has been switched on before.
    pub fn was_switched_on(&self) -> bool {
        switched_on(&self.written)
    }

    /// What the services are to have read, and since when it is there.
    pub fn reads(&self, desired: &Desired) -> Reads {
        let driver = self.driver.intact(&desired.pin);
        let since = match (&self.conf, driver) {
            (Entry::File(conf), Some(driver))
                if conf.bytes == desired.conf.bytes && self.shadows.is_empty() =>
            {
                Some(SystemTime::max(conf.changed, driver.changed))
            }
            _ => None,
        };
        let mut content = desired.conf.bytes.clone();
        content.extend_from_slice(desired.record_sha256.as_bytes());
        // Magnum looks for drivers when it first needs one: a process that looked while the driver
        // was gone or damaged goes on without it. So each installation counts as another one.
        content.extend_from_slice(
            format!(
                "{:?}{:?}",
                driver.map(|driver| driver.written),
                self.shadows
            )
            .as_bytes(),
        );
        content.extend_from_slice(desired.site.as_os_str().as_encoded_bytes());
        Reads {
            command_lines: desired.command_lines.clone(),
            fingerprint: sha256(&content),
            since,
        }
    }
}

impl Remains {
    /// Whether the graft has been switched on.
    pub fn was_switched_on(&self) -> bool {
        switched_on(&self.written)
    }

    /// Looks at what is left, also on a unit that Magnum has left already.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn look(site: Option<&Path>, ledger: &Ledger) -> Result<Self> {
        Ok(Self {
            written: ledger.entries(),
            litter: litter_of_hooks(site)?,
            services: services::look()?,
        })
    }
}

/// Whether our fragment is among what the charm has written.
fn switched_on(written: &[(PathBuf, Before)]) -> bool {
    let conf = Path::new(files::CONF);
    written.iter().any(|(path, _)| path == conf)
}

/// Temporary files in every directory that the charm writes to; the driver is staged beside `site`.
fn litter_of_hooks(site: Option<&Path>) -> Result<Vec<PathBuf>> {
    let etc_magnum = Path::new(files::KUBECONFIG).parent().map(Path::to_owned);
    let sites = site
        .into_iter()
        .flat_map(|site| site.ancestors().take(2))
        .map(Path::to_owned);
    let bin = Path::new(helm::PATH).parent().map(Path::to_owned);
    let own = Path::new(state::DIRECTORY).to_owned();
    let mut found = Vec::new();
    for directory in files::directories()
        .chain(etc_magnum)
        .chain(bin)
        .chain([own])
        .chain(sites)
    {
        found.extend(litter(&directory)?);
    }
    Ok(found)
}
