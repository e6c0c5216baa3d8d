//! Everything the graft is made of, at hand and tried out, before anything on the unit is touched.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::chart::Chart;
use super::driver::Knowledge;
use super::{AskTurn, Observed, driver, helm};
use crate::audit::Part;
use crate::ground::Ground;
use crate::settings::{HelmSource, Settings};
use crate::unit::files;
use crate::unit::kept::Ledger;

/// What is known of the parts, as the files of the graft depend on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// What the driver said of itself.
    pub driver: Knowledge,
    /// What helm comes from, when it is given.
    pub helm: Option<String>,
    /// The chart, when it is given.
    pub chart: Option<Chart>,
}

/// What is needed to get hold of them besides the settings.
pub struct Surroundings<'a> {
    /// The proxy settings under which things are fetched.
    pub proxy: &'a [(String, String)],
    /// The charm's version and revision, for the record.
    pub charm: &'a str,
    /// Told what is going on before each thing that takes longer than a moment.
    pub progress: &'a dyn Fn(&str) -> Result<()>,
    /// Asked right before a restart of services that are serving: which, and why each.
    pub turn: &'a AskTurn<'a>,
    /// How thorough it is.
    pub pace: Pace,
    /// What is left as it is, with all that is below it.
    pub leave: &'a [PathBuf],
}

/// How thorough the way through is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Asks the management cluster, and judges whether the services are well: a hook.
    Judging,
    /// Puts drift right and waits for nothing; the next hook judges: the guard.
    Swift,
}

/// The parts themselves.
#[derive(Debug)]
pub struct Supplies {
    /// What is known of them.
    pub facts: Facts,
    driver: driver::Supply,
    helm: helm::Supply,
    site: PathBuf,
}

impl Facts {
    /// What is known without fetching or running anything; `None` when the driver is not known.
    fn remembered(settings: &Settings) -> Result<Option<Self>> {
        let Some(driver) = Knowledge::cached(&settings.driver.pin)? else {
            return Ok(None);
        };
        Ok(Some(Self {
            driver,
            helm: settings.helm.key()?,
            chart: chart(settings)?,
        }))
    }

    /// What is known, and for a driver that is not, what there is to expect of it.
    ///
    /// # Errors
    /// When a resource or what is remembered cannot be read.
    pub fn expected(settings: &Settings, ground: &Ground, seen: &Observed) -> Result<Self> {
        if let Some(known) = Self::remembered(settings)? {
            return Ok(known);
        }
        let installed = seen.driver.intact(&settings.driver.pin);
        Ok(Self {
            driver: Knowledge::expected(settings, ground, installed),
            helm: settings.helm.key()?,
            chart: chart(settings)?,
        })
    }
}

impl Supplies {
    /// Gets hold of every part that is not in place already.
    ///
    /// # Errors
    /// A [`Problem`](crate::problem::Problem) when one cannot be had or does not work here.
    pub fn provide(
        settings: &Settings,
        ground: &Ground,
        seen: &Observed,
        around: &Surroundings<'_>,
    ) -> Result<Self> {
        let pin = &settings.driver.pin;
        // What is known of that driver refuses a bad option before anything is fetched.
        if let Some(knowledge) = Knowledge::cached(pin)? {
            settings
                .capi_helm_options
                .known_to(pin, &knowledge.options)?;
        }
        let chart = chart(settings)?;
        if seen.driver.intact(pin).is_none() {
            (around.progress)(&format!("fetching {pin}"))?;
        }
        let driver = driver::Supply::provide(&settings.driver, ground, &seen.driver, around.proxy)?;
        let key = settings.helm.key()?;
        let known = seen.helm.as_ref().and_then(|found| found.known.as_ref());
        if key.is_some() && known.is_none_or(|known| known.source != key) {
            (around.progress)("fetching helm")?;
        }
        let helm = helm::Supply::provide(&settings.helm, seen.helm.as_ref(), around.proxy)?;
        Ok(Self {
            facts: Facts {
                driver: driver.knowledge.clone(),
                helm: helm.source.clone(),
                chart,
            },
            driver,
            helm,
            site: ground.python.site.clone(),
        })
    }

    /// Swaps the staged driver in.
    ///
    /// # Errors
    /// When nothing is staged, or it cannot be put in place.
    pub fn install_driver(&self, ledger: &mut Ledger) -> Result<()> {
        self.driver.install(&self.site, ledger)
    }

    /// Puts the staged helm in place.
    ///
    /// # Errors
    /// When nothing is staged, or it cannot be put in place.
    pub fn install_helm(&mut self, ledger: &mut Ledger) -> Result<()> {
        self.helm.install(ledger)
    }
}

/// What the graft is made of on this unit, for the record.
pub fn parts(settings: &Settings, facts: &Facts, seen: &Observed) -> Vec<Part> {
    const FOUND: &str = "found on this unit";
    let source = &settings.driver;
    let driver = seen.driver.intact(&source.pin).map(|_| Part {
        name: "driver",
        version: source.pin.version().to_string(),
        sha256: facts.driver.wheel_sha256.as_ref().map(ToString::to_string),
        source: match (&facts.driver.wheel_sha256, &source.wheel, &source.index) {
            (None, ..) => FOUND.to_owned(),
            (_, Some(_), _) => "resource driver-wheel".to_owned(),
            (_, None, Some(index)) => index.shown(),
            (_, None, None) => "the package index that pip is set to".to_owned(),
        },
    });
    let known = seen.helm.as_ref().and_then(|found| found.known.as_ref());
    let helm = known.map(|known| Part {
        name: "helm",
        version: known.version.to_string(),
        sha256: known.sha256.clone(),
        source: match &settings.helm {
            HelmSource::Found => FOUND.to_owned(),
            HelmSource::Resource(_) => "resource helm".to_owned(),
            HelmSource::Url { url, .. } => url.shown(),
        },
    });
    let chart = facts.chart.as_ref().map(|chart| Part {
        name: "chart",
        version: chart.version.clone(),
        sha256: Some(files::sha256(&chart.bytes)),
        source: "resource helm-chart".to_owned(),
    });
    [driver, helm, chart].into_iter().flatten().collect()
}

fn chart(settings: &Settings) -> Result<Option<Chart>> {
    settings
        .chart
        .resource
        .as_deref()
        .map(|path: &Path| Chart::read(path))
        .transpose()
}
