//! What is wanted, and the steps to it from what was observed. Pure.

use std::path::PathBuf;

use super::{Facts, Observed};
use crate::chart::{self, ChartArchive};
use crate::conf::{CONF, ConfInputs, HEADER, conf};
use crate::driver::{self, DesiredDriver};
use crate::guard;
use crate::helm;
use crate::juju::settings::Settings;
use crate::kubeconfig;
use crate::magnum::{Installation, Service};
use crate::services::{self, DesiredServices, drop_in_path};
use crate::step::{DueRestart, Phase, Plan, Step};
use crate::system::{ManagedFile, Original, own_program};

/// What the graft is to be on this unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    pub driver: DesiredDriver,
    /// The key of the source that helm is to come from; `None` leaves what is on the unit.
    pub helm: Option<String>,
    pub chart: Option<ManagedFile>,
    /// `None` until there is one; then nothing is switched on.
    pub kubeconfig: Option<ManagedFile>,
    pub conf: ManagedFile,
    pub services: DesiredServices,
    /// The guard's units, in the order of [`guard::UNITS`]; none if it is turned off.
    pub guard: Vec<ManagedFile>,
}

impl Desired {
    /// Returns what `settings` mean for this installation.
    ///
    /// # Errors
    /// A [`Problem`](crate::problem::Problem) if the driver does not know one of the options, or the configuration would
    /// not be ASCII.
    pub fn new(settings: &Settings, installation: &Installation, facts: &Facts) -> anyhow::Result<Self> {
        let chart = facts.chart.as_ref();
        let guard = match settings.guard {
            true => guard::unit_files(HEADER, &own_program()?, &watched(installation, facts))?,
            false => Vec::new(),
        };
        let gid = installation.magnum_gid;
        let kubeconfig = settings.kubeconfig.as_ref();
        Ok(Self {
            driver: DesiredDriver {
                pin: settings.driver.pin.clone(),
                record_sha256: facts.driver.record_sha256.clone(),
                site: installation.python.site.clone(),
            },
            helm: facts.helm.clone(),
            chart: chart.map(ChartArchive::managed_file),
            kubeconfig: kubeconfig.map(|content| kubeconfig::managed_file(content, gid)),
            conf: conf(&ConfInputs {
                settings,
                other_drivers: &installation.other_drivers,
                kubeconfig: kubeconfig::PATH,
                chart: chart.map(|chart| (chart::PATH, chart.version.as_str())),
                known_options: &facts.driver.options,
            })?,
            services: DesiredServices::new(HEADER, settings.log_to, &installation.defaults)?,
            guard,
        })
    }
}

/// Returns what the guard watches: every file of the graft, and the directories from which Python could load the driver
/// or another copy of it. Existing paths only: for a missing one systemd watches its parent, renews all its watches at each
/// change there, and misses what changes elsewhere meanwhile.
fn watched(installation: &Installation, facts: &Facts) -> Vec<PathBuf> {
    let site = &installation.python.site;
    let mut watched: Vec<PathBuf> = vec![kubeconfig::PATH.into(), CONF.into()];
    watched.extend(Service::ALL.map(|service| drop_in_path(service).into()));
    watched.extend(facts.helm.as_ref().map(|_| helm::PATH.into()));
    watched.extend(facts.chart.as_ref().map(|_| chart::PATH.into()));
    watched.extend(installation.before_site.iter().cloned());
    watched.push(site.clone());
    watched.extend(facts.driver.directories.iter().map(|directory| site.join(directory)));
    watched
}

/// Returns the steps from `observed` to `desired`.
///
/// Driver, helm, chart and kubeconfig come first; the graft is switched on only once every part is ready. One that was
/// switched on before is upheld in any case.
pub fn plan(desired: &Desired, observed: &Observed) -> Vec<Step> {
    let inputs = observed.service_inputs(desired);
    let (mut plan, written) = (Plan::new(&observed.missing_directories), &observed.written);
    driver::plan(&mut plan, &desired.driver, &observed.driver, written);
    helm::plan(&mut plan, desired.helm.as_deref(), observed.helm.as_ref());
    chart::plan(&mut plan, desired.chart.as_ref(), &observed.chart, written);
    if let Some(kubeconfig) = &desired.kubeconfig {
        plan.write(Phase::Install, kubeconfig, &observed.kubeconfig);
    }
    plan.write(Phase::SwitchOn, &desired.conf, &observed.conf);
    services::plan(&mut plan, &desired.services, &observed.services, &inputs);
    guard::plan(&mut plan, &desired.guard, &observed.guard, observed.services.are_paused(), written);
    let has_helm = desired.helm.is_some() || observed.helm.is_some();
    let is_on = desired.kubeconfig.is_some() && (has_helm || observed.is_switched_on());
    let temporaries = observed.temporaries.iter().cloned().map(Step::RemoveTemporary);
    temporaries.chain(plan.into_steps(is_on)).collect()
}

/// What of the graft is on a unit that the charm leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remains {
    /// Every path the charm has written, each directory after what is in it.
    pub written: Vec<(PathBuf, Original)>,
    pub temporaries: Vec<PathBuf>,
    pub services: Vec<crate::services::ObservedService>,
}

/// Returns the steps that restore the unit to its state before the charm came.
///
/// Drop-ins go first, and systemd forgets them, before the directory that they name: without it a service that starts
/// in between would fail.
pub fn plan_removal(remains: &Remains) -> Vec<Step> {
    let written = remains.written.iter().cloned();
    let (of_systemd, others): (Vec<_>, Vec<_>) = written.partition(|(path, _)| path.starts_with("/etc/systemd"));
    let restore = |(path, original)| Step::Restore(path, original);
    let watch = guard::unit_file(guard::WATCH);
    let is_guarded = of_systemd.iter().any(|(path, _)| *path == watch);
    let is_stale = remains.services.iter().any(|service| service.unit.is_stale());
    let reloads = !of_systemd.is_empty() || is_stale;
    let mut steps: Vec<Step> = remains.temporaries.iter().cloned().map(Step::RemoveTemporary).collect();
    steps.extend(is_guarded.then_some(Step::Disable(guard::WATCH)));
    steps.extend(of_systemd.into_iter().map(restore));
    steps.extend(reloads.then_some(Step::ReloadSystemd));
    steps.extend(others.into_iter().map(restore));
    let due = remains.services.iter().filter(|service| {
        let can_restart = service.unit.is_available() && service.process.is_some();
        let is_grafted = service.is_grafted() && (reloads || !service.is_grafted_next());
        can_restart && (service.read.is_some() || is_grafted)
    });
    let due: Vec<DueRestart> =
        due.map(|service| DueRestart { service: service.service, why: "it runs with the graft".to_owned() }).collect();
    steps.extend((!due.is_empty()).then_some(Step::Restart(due)));
    steps
}

#[cfg(test)]
#[path = "plan_tests/mod.rs"]
pub(super) mod tests;
