//! The driver's own answers when it was loaded next to this unit's Magnum, cached by its pin.

use std::collections::BTreeSet;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::{InstalledDriver, InstalledDrivers, not_the_wheel};
use crate::juju::settings::{DISTRIBUTION, DriverSource, Pin, Settings, Sha256};
use crate::magnum::{self, ENTRY_POINT, Installation, ServiceEnvironment};
use crate::problem::Problem;
use crate::system::{Root, System};

const CACHE: &str = "driver.json";
/// The most drivers whose answers are kept: those asked last.
const MOST_PINS: usize = 5;
/// The most options of a driver, and the longest name of one, in bytes; it has some ten.
const MOST_OPTIONS: usize = 1000;
const LONGEST_OPTION: usize = 200;

/// What the driver said when it was loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriverFacts {
    pub pin: Pin,
    /// The sha256 of its RECORD: the very build.
    pub record_sha256: String,
    /// The sha256 of the wheel, if the charm unpacked it.
    pub wheel_sha256: Option<Sha256>,
    /// The versions of the Python and the Magnum it was loaded next to.
    next_to: (String, String),
    /// The `[capi_helm]` options it registers.
    pub options: Vec<String>,
    /// The directories it consists of, relative to the site directory.
    #[serde(default)]
    pub directories: BTreeSet<String>,
}

/// Python's answer to the question `driver`.
#[derive(Deserialize)]
pub(crate) struct FactsAnswer {
    version: String,
    missing: Vec<(String, Option<String>)>,
    options: Vec<String>,
}

impl FactsAnswer {
    /// Returns the options that the pinned driver registers.
    ///
    /// # Errors
    /// If it is another driver, lacks what it requires, or registers more than is kept.
    pub(crate) fn options(self, source: &DriverSource) -> Result<Vec<String>, Problem> {
        let pin = &source.pin;
        if !self.missing.is_empty() {
            let summary = "Pinned driver's requirements are not installed";
            let detail = format!("driver-pin {pin} needs {}", missing(&self.missing));
            return Err(Problem::blocked(summary, format!("{detail}; choose another version, or install that")));
        }
        let version = format!("{DISTRIBUTION}=={}", self.version);
        if version.parse::<Pin>().as_ref() != Ok(pin) {
            return Err(not_the_wheel(source, &format!("Python takes it for {version}")));
        }
        if self.options.len() > MOST_OPTIONS || self.options.iter().any(|option| option.len() > LONGEST_OPTION) {
            let most = format!("{MOST_OPTIONS} options, or one whose name has more than {LONGEST_OPTION} bytes");
            let detail = format!("driver-pin {pin} registers more than {most}; choose another version");
            return Err(Problem::blocked("Pinned driver registers too many options", detail));
        }
        Ok(self.options)
    }
}

impl DriverFacts {
    /// Returns what the pinned driver said when it was last loaded here, as far as that can still be read.
    pub fn cached(root: &Root, pin: &Pin) -> Option<Self> {
        cache(root).into_iter().find(|facts| facts.pin == *pin)
    }

    /// Returns what to expect of a driver that has never been loaded here: that it works, and knows the options that
    /// it is given.
    pub fn expected(settings: &Settings, installation: &Installation, installed: Option<&InstalledDriver>) -> Self {
        let options = settings.capi_helm_options.iter().map(|(key, _)| key.to_owned());
        Self::new(&settings.driver.pin, installation, installed, options.collect())
    }

    fn new(pin: &Pin, installation: &Installation, driver: Option<&InstalledDriver>, options: Vec<String>) -> Self {
        Self {
            pin: pin.clone(),
            record_sha256: driver.map(|driver| driver.record_sha256.clone()).unwrap_or_default(),
            wheel_sha256: None,
            next_to: next_to(installation),
            options,
            directories: driver.map(|driver| driver.directories.clone()).unwrap_or_default(),
        }
    }

    /// Whether they are of this very build next to this Magnum, and its wheel has the checksum that is set, if one is.
    pub(super) fn is_of(&self, driver: &InstalledDriver, source: &DriverSource, installation: &Installation) -> bool {
        self.pin == source.pin
            && (source.sha256.is_none() || self.wheel_sha256 == source.sha256)
            && self.record_sha256 == driver.record_sha256
            && self.next_to == next_to(installation)
    }

    /// Loads the driver in `directory` (the installed one with `""`) as user magnum.
    ///
    /// # Errors
    /// A [`Problem`] if it does not load next to this unit's Magnum, or lacks what it requires.
    pub(super) fn ask(
        system: &System,
        installation: &Installation,
        directory: &str,
        driver: &InstalledDriver,
        source: &DriverSource,
        wheel_sha256: Option<&Sha256>,
    ) -> Result<Self> {
        let pin = &source.pin;
        let mut question = vec!["driver", directory, DISTRIBUTION, ENTRY_POINT];
        question.extend(magnum::configuration_arguments(&system.root)?);
        // Without the services' environment: the answer is cached, and counts whatever that becomes.
        let answer: Result<FactsAnswer> = installation.python.ask(system, &ServiceEnvironment::default(), &question);
        let answer = answer.map_err(|error| {
            let summary = "Pinned driver does not load next to this unit's Magnum";
            let detail = format!("driver-pin {pin} does not load: {}", magnum::exception(&error));
            Problem::blocked(summary, format!("{detail}; choose another version"))
        })?;
        let facts = Self::new(pin, installation, Some(driver), answer.options(source)?);
        Ok(Self { wheel_sha256: wheel_sha256.cloned(), ..facts })
    }

    /// Caches them, in place of those of the driver that was asked first.
    ///
    /// # Errors
    /// If they cannot be written.
    pub(super) fn remember(&self, root: &Root, installed: &InstalledDrivers) -> Result<()> {
        let mut all = cache(root);
        all.retain(|facts| facts.pin != self.pin);
        // Those of the installed one count again when another pin turns out not to be met.
        let is_installed = |pin: &Pin| installed.0.iter().any(|driver| driver.is_of(pin));
        let mut surplus = (all.len() + 1).saturating_sub(MOST_PINS);
        all.retain(|facts| {
            let stays = surplus == 0 || is_installed(&facts.pin);
            surplus -= usize::from(!stays);
            stays
        });
        all.push(self.clone());
        root.save(CACHE, &all)
    }
}

/// Names requirements that do not hold, with what is there instead.
pub(super) fn missing(requirements: &[(String, Option<String>)]) -> String {
    let named = requirements.iter().map(|(wanted, found)| match found {
        Some(found) => format!("{wanted} (found {found})"),
        None => format!("{wanted} (not installed)"),
    });
    named.collect::<Vec<_>>().join(", ")
}

fn next_to(installation: &Installation) -> (String, String) {
    (installation.python.version.clone(), installation.version.clone())
}

/// In the order in which they were asked.
fn cache(root: &Root) -> Vec<DriverFacts> {
    root.remembered(CACHE)
}

#[cfg(test)]
impl DriverFacts {
    /// For tests of what follows from it.
    pub fn example(pin: &str, record_sha256: &str, options: &[&str]) -> Self {
        Self {
            pin: pin.parse().unwrap(),
            record_sha256: record_sha256.to_owned(),
            wheel_sha256: None,
            next_to: ("3.11.2".to_owned(), "18.0.0".to_owned()),
            options: options.iter().map(|&option| option.to_owned()).collect(),
            directories: BTreeSet::from([super::PACKAGE.to_owned()]),
        }
    }
}
