//! Everything the checks look at, looked at once.

use anyhow::Result;

use crate::chart::ChartSubject;
use crate::check::Finding;
use crate::conf::checks::ConfSubject;
use crate::driver::DriverSubject;
use crate::guard::checks::GuardSubject;
use crate::helm::HelmSubject;
use crate::juju::Context;
use crate::juju::settings::DISTRIBUTION;
use crate::kubeconfig::programs;
use crate::kubeconfig::{KubeconfigReport, KubeconfigSubject, in_text};
use crate::magnum::{
    Answers, CONFIGURATION_ARGUMENTS, ENTRY_POINT, PythonAnswers, Service, StartDefaults, configuration_in,
    read_as_magnum,
};
use crate::reconcile::{self, Candidate, Desired, DryRun, Found, dry_run};
use crate::services::checks::ServicesSubject;
use crate::services::{self, DesiredServices, ObservedService, STABLE_AFTER, ServiceInputs, drop_in_directories};
use crate::system::{Entry, ManagedFile, Process, System};

/// Everything the checks look at.
pub struct Inspection<'a> {
    pub system: &'a System,
    /// What a hook would find, go by and do.
    pub hook: DryRun,
    /// The kubeconfig on the unit, checked offline and online.
    pub kubeconfig_report: KubeconfigReport,
    /// The services a few seconds later.
    later: Vec<ObservedService>,
    python: PythonAnswers,
}

impl<'a> Inspection<'a> {
    /// Looks at everything.
    ///
    /// # Errors
    /// If the unit has no Magnum, or a hook tool fails.
    pub fn new(system: &'a System, context: &'a Context) -> Result<Self> {
        let hook = dry_run(system, context)?;
        let services = &hook.found.observed.services.services;
        // Both take their time, and neither needs the other.
        let (python, kubeconfig_report) = std::thread::scope(|scope| {
            let report = scope.spawn(|| kubeconfig_report(system, &hook));
            (ask_python(system, &hook.found, services), report.join())
        });
        let kubeconfig_report =
            kubeconfig_report.map_err(|_| anyhow::anyhow!("checking the kubeconfig panicked"))??;
        // A process that crashes at its start is given the time to do so before the second look.
        let young = services.iter().filter_map(|observed| observed.process.as_ref());
        let youngest = young.map(Process::age).min().unwrap_or(STABLE_AFTER);
        std::thread::sleep(STABLE_AFTER.saturating_sub(youngest));
        let later = services::inspect(system)?;
        Ok(Self { later, python: PythonAnswers(python), system, hook, kubeconfig_report })
    }

    fn desired(&self) -> Result<&Desired, Finding> {
        self.hook.chosen.as_ref().map(|chosen| &chosen.desired).ok_or_else(|| {
            Finding::fail("the wanted graft is not known yet", "fix what the check settings says, then run any hook")
        })
    }

    pub fn driver(&self) -> DriverSubject<'_> {
        let chosen = self.hook.chosen.as_ref();
        DriverSubject {
            desired: chosen.map(|chosen| &chosen.desired.driver),
            observed: &self.hook.found.observed.driver,
            python: &self.python,
            only_ours: chosen.is_some_and(|chosen| chosen.settings.disable_other_drivers),
        }
    }

    pub fn helm(&self) -> HelmSubject<'_> {
        HelmSubject { system: self.system, found: self.hook.found.observed.helm.as_ref() }
    }

    pub fn chart(&self) -> ChartSubject<'_> {
        ChartSubject {
            system: self.system,
            wanted: self.desired().ok().and_then(|desired| desired.chart.as_ref()),
            found: &self.hook.found.observed.chart,
            helm: self.hook.found.observed.helm.as_ref().map(|helm| helm.path.as_path()),
            python: &self.python,
        }
    }

    pub fn kubeconfig(&self) -> KubeconfigSubject<'_> {
        KubeconfigSubject {
            wanted: self.desired().ok().and_then(|desired| desired.kubeconfig.as_ref()),
            found: &self.hook.found.observed.kubeconfig,
            python: &self.python,
        }
    }

    pub fn conf(&self) -> ConfSubject<'_> {
        ConfSubject {
            root: &self.system.root,
            wanted: self.desired().map(|desired| &desired.conf),
            found: &self.hook.found.observed.conf,
            drop_in_directories: drop_in_directories().collect(),
            python: &self.python,
        }
    }

    pub fn services(&self) -> ServicesSubject<'_> {
        ServicesSubject {
            system: self.system,
            desired: self.desired().map(|desired| -> &DesiredServices { &desired.services }),
            observed: &self.hook.found.observed.services,
            later: &self.later,
            inputs: self.inputs(),
            pending: self.hook.pending.as_ref(),
            ignored_defaults: StartDefaults::problems(self.hook.found.installation.defaults.values()),
        }
    }

    fn inputs(&self) -> Result<ServiceInputs, Finding> {
        let desired = self.desired().map_err(|_| Finding::skip("the wanted graft is not known"))?;
        let driver = &self.hook.found.observed.driver;
        if driver.installed.intact(&desired.driver.pin).is_none() || !driver.shadows.is_empty() {
            return Err(Finding::skip("the driver itself is to be repaired first"));
        }
        Ok(self.hook.found.observed.service_inputs(desired))
    }

    pub fn guard(&self) -> GuardSubject<'_> {
        GuardSubject {
            wanted: self.desired().map(|desired| -> &[ManagedFile] { &desired.guard }),
            observed: &self.hook.found.observed.guard,
            is_paused: self.hook.found.observed.services.are_paused(),
        }
    }
}

/// Checks the kubeconfig that stands on the unit.
fn kubeconfig_report(system: &System, hook: &DryRun) -> Result<KubeconfigReport> {
    let DryRun { found: Found { installation, observed, .. }, chosen, .. } = hook;
    let (Entry::File(file), Some(Candidate { settings, artifacts, .. })) = (&observed.kubeconfig, chosen) else {
        return Ok(KubeconfigReport::default());
    };
    let pin = &settings.driver.pin;
    let programs = reconcile::programs(&system.root, installation, observed)?;
    KubeconfigReport::inspect(
        &system.root,
        in_text(file.bytes.clone()),
        pin,
        &|path| read_as_magnum(system, path),
        |kubeconfig| programs::ask(system, kubeconfig, pin, &programs),
        Some(&artifacts.facts.stack(settings)),
        settings.expiry_warning_days,
    )
}

/// Asks Python with each service's own arguments; once if they are the same.
fn ask_python(system: &System, found: &Found, services: &[ObservedService]) -> Result<Answers> {
    let [api, conductor] = Service::ALL.map(|service| arguments(services, service));
    let [api_list, conductor_list] = [&api, &conductor].map(|arguments| serde_json::json!(arguments).to_string());
    let mut question = vec!["verify", DISTRIBUTION, ENTRY_POINT, &conductor_list];
    if api != conductor {
        question.push(&api_list);
    }
    found.installation.python.ask(system, &question)
}

/// Returns the arguments of a running service that name configuration; while it is not running, those that the next
/// process gets.
fn arguments(services: &[ObservedService], service: Service) -> Vec<String> {
    let observed = services.iter().find(|observed| observed.service == service);
    match observed.and_then(|observed| observed.process.as_ref()) {
        Some(process) => configuration_in(process.cmdline.iter().map(String::as_str)),
        None => CONFIGURATION_ARGUMENTS.map(str::to_owned).to_vec(),
    }
}
