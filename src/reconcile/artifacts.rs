//! Everything the graft is made of, at hand and tried, before anything on the unit is touched.

use std::path::Path;

use anyhow::Result;

use super::{Environment, Observed};
use crate::audit::InstalledArtifact;
use crate::chart::ChartArchive;
use crate::driver::{self, DriverFacts, StagedDriver};
use crate::helm::{self, StagedHelm};
use crate::juju::settings::{DriverSource, HelmSource, Settings, Sha256};
use crate::kubeconfig::ProgramsToAsk;
use crate::kubeconfig::compatibility::Stack;
use crate::magnum::{Installation, Service};
use crate::services::ObservedService;
use crate::system::{Root, sha256};

/// What is known of the parts, as far as the graft's files depend on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    pub driver: DriverFacts,
    /// The key of helm's source, if the operator names one.
    pub helm: Option<String>,
    /// The chart, if one is attached.
    pub chart: Option<ChartArchive>,
}

impl Facts {
    /// Returns the stack that the management cluster must be compatible with.
    pub fn stack(&self, settings: &Settings) -> Stack {
        Stack::new(settings, self.chart.as_ref().map(|chart| chart.version.as_str()))
    }
}

/// The parts at hand.
#[derive(Debug)]
pub struct Artifacts {
    pub facts: Facts,
    /// `None` if it is in place; helm likewise.
    pub driver: Option<StagedDriver>,
    pub helm: Option<StagedHelm>,
}

impl Artifacts {
    /// Returns what is known without fetching or running anything; for a driver that has never been loaded here, what
    /// to expect of it.
    ///
    /// # Errors
    /// If a resource cannot be read.
    pub fn expected(
        root: &Root,
        settings: &Settings,
        installation: &Installation,
        observed: &Observed,
    ) -> Result<Self> {
        let pin = &settings.driver.pin;
        let driver = DriverFacts::cached(root, pin).unwrap_or_else(|| {
            let installed = observed.driver.installed.intact(pin);
            DriverFacts::expected(settings, installation, installed)
        });
        let facts = Facts { driver, helm: helm::source_key(root, &settings.helm)?, chart: chart(root, settings)? };
        Ok(Self { facts, driver: None, helm: None })
    }

    /// Gets hold of every part that is not in place already.
    ///
    /// # Errors
    /// A [`Problem`](crate::problem::Problem) if one cannot be had or does not work here.
    pub fn obtain(
        settings: &Settings,
        installation: &Installation,
        observed: &Observed,
        environment: &Environment<'_>,
    ) -> Result<Self> {
        let Environment { system, proxy, progress, .. } = *environment;
        let root = &system.root;
        let pin = &settings.driver.pin;
        // A bad option of a driver that is known is refused before anything is fetched.
        let known = DriverFacts::cached(root, pin);
        if let Some(facts) = &known {
            settings.capi_helm_options.check_known(pin, &facts.options)?;
        }
        let chart = chart(root, settings)?;
        let installed = &observed.driver.installed;
        if installed.intact(pin).is_none() {
            progress(&format!("Fetching {pin}"))?;
        }
        let (facts, driver) = driver::obtain(system, &settings.driver, installation, installed, known, proxy)?;
        let key = helm::source_key(root, &settings.helm)?;
        let known = observed.helm.as_ref().and_then(|found| found.known.as_ref());
        if key.is_some() && known.is_none_or(|known| known.source != key) {
            progress("Fetching helm")?;
        }
        let helm = StagedHelm::obtain(system, &settings.helm, key.clone(), observed.helm.as_ref(), proxy)?;
        Ok(Self { facts: Facts { driver: facts, helm: key, chart }, driver, helm })
    }
}

/// Returns what the graft is made of on this unit, for the record.
pub fn parts(settings: &Settings, facts: &Facts, observed: &Observed) -> Vec<InstalledArtifact> {
    const FOUND: &str = "found on this unit";
    let source = &settings.driver;
    let wheel = facts.driver.wheel_sha256.as_ref();
    let driver = observed.driver.installed.intact(&source.pin).map(|_| InstalledArtifact {
        part: "driver".to_owned(),
        version: source.pin.version().to_string(),
        sha256: wheel.map(ToString::to_string),
        source: wheel.map_or_else(|| FOUND.to_owned(), |wheel| origin(source, wheel)),
    });
    let known = observed.helm.as_ref().and_then(|found| found.known.as_ref());
    let helm = known.map(|known| InstalledArtifact {
        part: "helm".to_owned(),
        version: known.version.to_string(),
        sha256: known.sha256.clone(),
        source: match &settings.helm {
            HelmSource::Found => FOUND.to_owned(),
            HelmSource::Resource(_) => "resource helm".to_owned(),
            HelmSource::Url { url, .. } => url.to_string(),
        },
    });
    let chart = facts.chart.as_ref().map(|chart| InstalledArtifact {
        part: "chart".to_owned(),
        version: chart.version.clone(),
        sha256: Some(sha256(&chart.bytes)),
        source: "resource helm-chart".to_owned(),
    });
    [driver, helm, chart].into_iter().flatten().collect()
}

/// Returns where a wheel of the driver came from, and what vouched for it if not the checksum that PyPI has.
fn origin(source: &DriverSource, wheel: &Sha256) -> String {
    let origin = match (&source.wheel, &source.index) {
        (Some(_), _) => "resource driver-wheel".to_owned(),
        (None, Some(index)) => index.to_string(),
        (None, None) => "PyPI".to_owned(),
    };
    driver::caveat(source, wheel).map_or(origin.clone(), |caveat| format!("{origin} ({caveat})"))
}

/// Returns the programs that are asked about a new kubeconfig.
///
/// # Errors
/// If helm's file cannot be looked at.
pub fn programs<'a>(root: &Root, installation: &'a Installation, observed: &'a Observed) -> Result<ProgramsToAsk<'a>> {
    let driver = observed.driver.installed.0.first();
    let helm = observed.helm.as_ref();
    // It alone runs them.
    let mut services = observed.services.services.iter();
    let conductor = services.find(|observed| observed.service == Service::Conductor);
    Ok(ProgramsToAsk {
        python: Some(&installation.python),
        driver: driver.map(|driver| driver.record_sha256.clone()),
        helm: helm.map(|helm| root.identity(&helm.path)).transpose()?.flatten(),
        magnum_gid: installation.magnum_gid,
        environment: conductor.map(ObservedService::environment),
        is_dry_run: false,
    })
}

fn chart(root: &Root, settings: &Settings) -> Result<Option<ChartArchive>> {
    let resource = settings.chart.resource.as_deref();
    resource.map(|path: &Path| ChartArchive::read(root, path)).transpose()
}
