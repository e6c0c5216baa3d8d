//! The pinned driver, at hand and known to work here: already installed, or staged and tried.
//!
//! This comes before any plan: a driver that cannot be had, or that does not load next to this
//! unit's Magnum, is found out while the old one is still in place and running.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{Driver, Installed, Staged, look};
use crate::graft::ENTRY_POINT;
use crate::ground::Ground;
use crate::problem::Problem;
use crate::settings::{DriverSource, Pin, Sha256};
use crate::unit::kept::Ledger;
use crate::unit::state;

const CACHE: &str = "driver.json";
const DISTRIBUTION: &str = "magnum-capi-helm";

/// What the driver said of itself when it was loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Knowledge {
    /// The version it belongs to.
    pub pin: Pin,
    /// The checksum its wheel was held against.
    sha256: Option<Sha256>,
    /// The very build it belongs to.
    pub record_sha256: String,
    /// The version of the Python it was loaded by.
    python: String,
    /// The `[capi_helm]` options it registers.
    pub options: Vec<String>,
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
            // must be held against a checksum or is not the build that the charm installed.
            let known = cached.as_ref().map(|known| &known.record_sha256);
            if source.sha256.is_none() && known.is_none_or(|build| *build == driver.record_sha256) {
                return Ok(Self::installed(try_out("", driver, source, ground)?));
            }
        }
        let staged = Staged::fetch(source, &ground.python, proxy)?;
        let fetched = look(staged.path())?;
        let driver = fetched.intact(&source.pin).with_context(|| {
            let how = fetched.differs(&source.pin, None).unwrap_or_default();
            format!("what pip fetched for {} is not whole: {how}", source.pin)
        })?;
        let knowledge = match cached.filter(|known| known.is_of(driver, source, ground)) {
            Some(knowledge) => knowledge,
            None => try_out(&staged.path().to_string_lossy(), driver, source, ground)?,
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
    pub fn install(&self, ground: &Ground, ledger: &mut Ledger) -> Result<()> {
        let staged = self.staged.as_ref().context("no driver was staged")?;
        staged.install(&ground.python.site, ledger)
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
            python: "3.11.2".to_owned(),
            options: options.iter().map(|&option| option.to_owned()).collect(),
        }
    }

    /// What the pinned driver said of itself when it was last loaded here.
    ///
    /// # Errors
    /// When the cache cannot be read.
    pub fn cached(pin: &Pin) -> Result<Option<Self>> {
        Ok(cache()?.remove(&pin.to_string()))
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
            && self.python == ground.python.version
    }
}

fn cache() -> Result<BTreeMap<String, Knowledge>> {
    Ok(state::load(CACHE)?.unwrap_or_default())
}

/// Loads the driver as user magnum, next to this unit's Magnum, asks what it knows, and remembers.
fn try_out(
    directory: &str,
    driver: &Driver,
    source: &DriverSource,
    ground: &Ground,
) -> Result<Knowledge> {
    let pin = &source.pin;
    let question = ["driver", directory, DISTRIBUTION, ENTRY_POINT];
    let loaded: Loaded = ground.python.ask(&question).map_err(|error| {
        let text = format!("{error:#}");
        let last = text.lines().rev().find(|line| !line.trim().is_empty());
        Problem::blocked(format!(
            "driver-pin {pin} does not load next to this unit's Magnum: {}; choose another version",
            last.unwrap_or_default().trim()
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
        anyhow::bail!("Python finds {version} where {pin} was put");
    }
    let knowledge = Knowledge {
        pin: pin.clone(),
        sha256: source.sha256.clone(),
        record_sha256: driver.record_sha256.clone(),
        python: ground.python.version.clone(),
        options: loaded.options,
    };
    knowledge.save()?;
    Ok(knowledge)
}
