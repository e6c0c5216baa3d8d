//! The pinned driver, at hand and known to work here: already installed, or staged and tried.
//!
//! This comes before any plan: a driver that cannot be had, or that does not load next to this
//! unit's Magnum, is found out while the old one is still in place and running.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{Driver, Installed, Staged, look, wheel};
use crate::graft::{ENTRY_POINT, Service};
use crate::ground::Ground;
use crate::problem::Problem;
use crate::settings::{DISTRIBUTION, DriverSource, Pin, Settings, Sha256};
use crate::unit::kept::Ledger;
use crate::unit::{python, state};

const CACHE: &str = "driver.json";

/// What the driver said of itself when it was loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Knowledge {
    /// The version it belongs to.
    pub pin: Pin,
    /// The checksum its wheel was held against.
    sha256: Option<Sha256>,
    /// The very build it belongs to.
    pub record_sha256: String,
    /// The sha256 of the wheel, when the charm unpacked it.
    pub wheel_sha256: Option<Sha256>,
    /// The versions of the Python and the Magnum it was loaded next to.
    next_to: (String, String),
    /// The `[capi_helm]` options it registers.
    pub options: Vec<String>,
    /// The directories it consists of, relative to the site directory.
    #[serde(default)]
    pub directories: BTreeSet<String>,
}

/// The driver, ready to be installed when it is not installed already.
#[derive(Debug)]
pub struct Supply {
    staged: Option<Staged>,
    /// What it said of itself.
    pub knowledge: Knowledge,
}

/// Python's answer to the question `driver`.
#[derive(Deserialize)]
struct Loaded {
    version: String,
    missing: Vec<(String, Option<String>)>,
    options: Vec<String>,
}

impl Supply {
    /// Makes sure that the pinned driver can be installed: nothing to do when it is installed and
    /// known, one question to Python when it is installed but unknown, else one pip and one
    /// question.
    ///
    /// # Errors
    /// A [`Problem`] when the driver cannot be had or does not work here.
    pub fn provide(
        source: &DriverSource,
        ground: &Ground,
        installed: &Installed,
        proxy: &[(String, String)],
    ) -> Result<Self> {
        let cached = Knowledge::cached(&source.pin)?;
        if let Some(driver) = installed.intact(&source.pin) {
            let knows = |known: &&Knowledge| known.is_of(driver, source, ground);
            if let Some(knowledge) = cached.as_ref().filter(knows) {
                return Ok(Self::installed(knowledge.clone()));
            }
            // Put there by hand, or known but next to another Python: adopted as it is, unless it
            // must be held against another checksum or is not the build that the charm installed.
            let known = cached.as_ref();
            let same = |known: &Knowledge| known.record_sha256 == driver.record_sha256;
            let wheel = known.and_then(|known| known.wheel_sha256.as_ref());
            let checked = source.sha256.is_none() || wheel == source.sha256.as_ref();
            if checked && known.is_none_or(same) {
                let loaded = ground.python.ask(&question(""));
                return Ok(Self::installed(judged(
                    loaded, driver, source, ground, wheel,
                )?));
            }
        }
        let mut staged = Staged::empty(&ground.python)?;
        let directory = staged.path().to_string_lossy().into_owned();
        // A driver that is known here need not be tried again; Python is not started in vain.
        let is_known =
            |known: &&Knowledge| known.sha256 == source.sha256 && known.next_to == next_to(ground);
        let known = cached.as_ref().filter(is_known);
        let trial = match known {
            Some(_) => None,
            None => Some(ground.python.ask_later(&question(&directory))),
        };
        let known = known.and_then(|known| known.wheel_sha256.as_ref());
        let wheel_sha256 = staged.fetch(source, known, &ground.python, proxy)?;
        let fetched = look(staged.path())?;
        let driver = fetched.intact(&source.pin).ok_or_else(|| {
            let how = fetched.differs(&source.pin, None).unwrap_or_default();
            wheel::no_wheel(source, &how.replace("is installed", "is in it"))
        })?;
        let knowledge = match cached.filter(|known| known.is_of(driver, source, ground)) {
            Some(knowledge) => knowledge,
            None => {
                let trial = trial.unwrap_or_else(|| ground.python.ask_later(&question(&directory)));
                judged(trial.answer(), driver, source, ground, Some(&wheel_sha256))?
            }
        };
        let differs = installed.differs(&source.pin, Some(&knowledge.record_sha256));
        Ok(Self {
            // Not needed when the installed one turns out to be the very build that was fetched.
            staged: differs.is_some().then_some(staged),
            knowledge,
        })
    }

    fn installed(knowledge: Knowledge) -> Self {
        Self {
            staged: None,
            knowledge,
        }
    }

    /// Swaps the staged driver in.
    ///
    /// # Errors
    /// When nothing is staged, or a rename fails.
    pub fn install(&self, site: &Path, ledger: &mut Ledger) -> Result<()> {
        let staged = self.staged.as_ref().context("no driver was staged")?;
        staged.install(site, ledger)
    }
}

impl Knowledge {
    /// For tests of what follows from it.
    #[cfg(test)]
    pub fn example(pin: &str, record_sha256: &str, options: &[&str]) -> Self {
        Self {
            pin: pin.parse().unwrap(),
            sha256: None,
            record_sha256: record_sha256.to_owned(),
            wheel_sha256: None,
            next_to: ("3.11.2".to_owned(), "18.0.0".to_owned()),
            options: options.iter().map(|&option| option.to_owned()).collect(),
            directories: BTreeSet::from(["magnum_capi_helm".to_owned()]),
        }
    }

    /// What the pinned driver said of itself when it was last loaded here.
    ///
    /// # Errors
    /// When the cache cannot be read.
    pub fn cached(pin: &Pin) -> Result<Option<Self>> {
        Ok(cache()?.remove(&pin.to_string()))
    }

    /// What to expect of a driver that has never been loaded here: that it is good, and knows the
    /// options that it is given.
    pub fn expected(settings: &Settings, ground: &Ground, installed: Option<&Driver>) -> Self {
        let options = settings.capi_helm_options.iter();
        Self {
            pin: settings.driver.pin.clone(),
            sha256: settings.driver.sha256.clone(),
            record_sha256: installed
                .map(|driver| driver.record_sha256.clone())
                .unwrap_or_default(),
            wheel_sha256: None,
            next_to: next_to(ground),
            options: options.map(|(key, _)| key.to_owned()).collect(),
            directories: installed
                .map(|driver| driver.directories.clone())
                .unwrap_or_default(),
        }
    }

    fn save(&self) -> Result<()> {
        let mut all = cache()?;
        all.insert(self.pin.to_string(), self.clone());
        state::save(CACHE, &all)
    }

    fn is_of(&self, driver: &Driver, source: &DriverSource, ground: &Ground) -> bool {
        self.pin == source.pin
            && self.sha256 == source.sha256
            && self.record_sha256 == driver.record_sha256
            && self.next_to == next_to(ground)
    }
}

fn next_to(ground: &Ground) -> (String, String) {
    (ground.python.version.clone(), ground.magnum.clone())
}

fn cache() -> Result<BTreeMap<String, Knowledge>> {
    Ok(state::load(CACHE)?.unwrap_or_default())
}

/// Asks Python to load the driver in `directory` as user magnum, next to this unit's Magnum.
fn question(directory: &str) -> Vec<&str> {
    let mut question = vec!["driver", directory, DISTRIBUTION, ENTRY_POINT];
    question.extend(Service::arguments_at_hand());
    question
}

/// What came of loading the driver: what it knows, remembered, or why it does not work here.
fn judged(
    loaded: Result<Loaded>,
    driver: &Driver,
    source: &DriverSource,
    ground: &Ground,
    wheel_sha256: Option<&Sha256>,
) -> Result<Knowledge> {
    let pin = &source.pin;
    let loaded = loaded.map_err(|error| {
        Problem::blocked(format!(
            "driver-pin {pin} does not load next to this unit's Magnum: {}; choose another version",
            python::exception(&error)
        ))
    })?;
    if !loaded.missing.is_empty() {
        let gaps: Vec<String> = loaded
            .missing
            .into_iter()
            .map(|(wanted, found)| match found {
                Some(found) => format!("{wanted} (found {found})"),
                None => format!("{wanted} (not installed)"),
            })
            .collect();
        return Err(Problem::blocked(format!(
            "driver-pin {pin} needs {}; choose another version, or install that",
            gaps.join(", ")
        ))
        .into());
    }
    let version = format!("{DISTRIBUTION}=={}", loaded.version);
    if version.parse::<Pin>().as_ref() != Ok(pin) {
        let what = format!("Python takes it for {version}");
        return Err(wheel::no_wheel(source, &what).into());
    }
    let knowledge = Knowledge {
        pin: pin.clone(),
        sha256: source.sha256.clone(),
        record_sha256: driver.record_sha256.clone(),
        wheel_sha256: wheel_sha256.cloned(),
        next_to: next_to(ground),
        options: loaded.options,
        directories: driver.directories.clone(),
    };
    knowledge.save()?;
    Ok(knowledge)
}
