//! Everything the graft is made of, at hand and tried out, before anything on the unit is touched.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::chart::Chart;
use super::driver::Knowledge;
use super::{Observed, driver, helm};
use crate::audit;
use crate::converge::Surroundings;
use crate::ground::Ground;
use crate::settings::{Address, HelmSource, Settings};
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

/// The parts themselves.
#[derive(Debug)]
pub struct Supplies {
    /// What is known of them.
    pub facts: Facts,
    driver: driver::Supply,
    helm: Option<helm::Supply>,
    settings: Settings,
    site: PathBuf,
}

impl Facts {
    /// What is known without fetching or running anything; `None` when the driver is not known.
    ///
    /// # Errors
    /// When a resource or what is remembered cannot be read.
    pub fn remembered(settings: &Settings) -> Result<Option<Self>> {
        let Some(driver) = Knowledge::cached(&settings.driver.pin)? else {
            return Ok(None);
        };
        Ok(Some(Self {
            driver,
            helm: settings.helm.key()?,
            chart: chart(settings)?,
        }))
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
            helm: Some(helm),
            settings: settings.clone(),
            site: ground.python.site.clone(),
        })
    }

    /// Swaps the staged driver in and records it.
    ///
    /// # Errors
    /// When nothing is staged, or it cannot be put in place.
    pub fn install_driver(&mut self, ledger: &mut Ledger, charm: &str) -> Result<()> {
        self.driver.install(&self.site, ledger)?;
        let source = &self.settings.driver;
        let from = match (&source.wheel, &source.index) {
            (Some(_), _) => "resource driver-wheel".to_owned(),
            (None, Some(index)) => index.shown(),
            (None, None) => "pip's own index".to_owned(),
        };
        let sha256 = self
            .facts
            .driver
            .wheel_sha256
            .as_ref()
            .map(ToString::to_string);
        audit::installed(
            "driver",
            &source.pin.version().to_string(),
            sha256,
            &from,
            charm,
        )
    }

    /// Puts the staged helm in place and records it.
    ///
    /// # Errors
    /// When nothing is staged, or it cannot be put in place.
    pub fn install_helm(&mut self, ledger: &mut Ledger, charm: &str) -> Result<()> {
        let known = self
            .helm
            .take()
            .context("helm was put in place before")?
            .install(ledger)?;
        let from = match &self.settings.helm {
            HelmSource::Url { url, .. } => Address::shown(url),
            _ => "resource helm".to_owned(),
        };
        audit::installed(
            "helm",
            &known.version.to_string(),
            known.sha256,
            &from,
            charm,
        )
    }

    /// Records the chart that was put in place.
    ///
    /// # Errors
    /// When it cannot be recorded.
    pub fn record_chart(&self, charm: &str) -> Result<()> {
        let chart = self.facts.chart.as_ref().context("no chart is given")?;
        let sha256 = files::sha256(&chart.bytes);
        audit::installed(
            "chart",
            &chart.version,
            Some(sha256),
            "resource helm-chart",
            charm,
        )
    }
}

fn chart(settings: &Settings) -> Result<Option<Chart>> {
    settings
        .chart
        .resource
        .as_deref()
        .map(|path: &Path| Chart::read(path))
        .transpose()
}
