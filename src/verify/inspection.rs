//! Everything the checks look at, looked at once.

use anyhow::Result;

use crate::chart::ChartSubject;
use crate::check::Finding;
use crate::conf::checks::ConfSubject;
use crate::driver::{self, DriverSubject};
use crate::guard::checks::GuardSubject;
use crate::helm::HelmSubject;
use crate::juju::settings::DISTRIBUTION;
use crate::juju::{Ask, Context, request};
use crate::kubeconfig::programs;
use crate::kubeconfig::{KubeconfigReport, KubeconfigSubject, in_text, read_as_magnum};
use crate::magnum::{
    Answers, CONFIGURATION_ARGUMENTS, ENTRY_POINT, Installation, PythonAnswers, Service, StartDefaults,
};
use crate::problem::Problem;
use crate::reconcile::{self, Desired, Expected, Observed, expect, plan, wanted_mode};
use crate::rolling::Rolling;
use crate::services::checks::ServicesSubject;
use crate::services::{
    self, DesiredServices, DuePlan, ObservedService, STABLE_AFTER, ServiceInputs, drop_in_directories,
};
use crate::system::{Backups, Entry, ManagedFile, Process, System};

/// Everything the checks look at.
pub struct Inspection<'a> {
    pub system: &'a System,
    /// What a hook would go by.
    pub expected: Expected,
    pub observed: Observed,
    /// The kubeconfig on the unit, checked offline and online.
    pub kubeconfig_report: KubeconfigReport,
    /// Why a restart that is due is not done by the next hook.
    pending: Option<Problem>,
    /// The services a few seconds later.
    later: Vec<ObservedService>,
    ignored_defaults: Vec<Problem>,
    python: PythonAnswers,
}

impl<'a> Inspection<'a> {
    /// Looks at everything.
    ///
    /// # Errors
    /// If the unit has no Magnum, or a hook tool fails.
    pub fn new(system: &'a System, context: &'a Context) -> Result<Self> {
        let request = request(system, context, Ask::Remembered)?;
        let rolling = Rolling::new(system, context, wanted_mode(&request));
        let installation = Installation::inspect(system)?;
        let backups = Backups::load(&system.root)?;
        let observed = Observed::inspect(system, &installation.python, &backups, driver::inspect)?;
        let expected = expect(system, request, &installation, &observed)?;
        let pending = match &expected.desired {
            Some(desired) => {
                let plan = DuePlan::new(plan(desired, &observed), &observed.services.services);
                plan.with_turn(|due| rolling.turn(due))?.1
            }
            None => None,
        };
        // Both take their time, and neither needs the other.
        let (python, kubeconfig_report) = std::thread::scope(|scope| {
            let report = scope.spawn(|| kubeconfig_report(system, &installation, &expected, &observed));
            let python = ask_python(system, &installation, &observed.services.services);
            (python, report.join())
        });
        let kubeconfig_report =
            kubeconfig_report.map_err(|_| anyhow::anyhow!("checking the kubeconfig panicked"))??;
        // A process that crashes at its start is given the time to do so before the second look.
        let young = observed.services.services.iter().filter_map(|observed| observed.process.as_ref());
        let youngest = young.map(Process::age).min().unwrap_or(STABLE_AFTER);
        std::thread::sleep(STABLE_AFTER.saturating_sub(youngest));
        Ok(Self {
            later: services::inspect(system)?,
            ignored_defaults: StartDefaults::problems(installation.defaults.values()),
            python: PythonAnswers(python),
            system,
            expected,
            observed,
            kubeconfig_report,
            pending,
        })
    }

    fn desired(&self) -> Result<&Desired, Finding> {
        self.expected.desired.as_ref().ok_or_else(|| {
            Finding::fail("the wanted graft is not known yet", "fix what the check settings says, then run any hook")
        })
    }

    pub fn driver(&self) -> DriverSubject<'_> {
        let settings = self.expected.settings.as_ref();
        DriverSubject {
            pin: settings.map(|settings| &settings.driver.pin),
            desired: self.expected.desired.as_ref().map(|desired| &desired.driver),
            observed: &self.observed.driver,
            python: &self.python,
            only_ours: settings.is_some_and(|settings| settings.disable_other_drivers),
        }
    }

    pub fn helm(&self) -> HelmSubject<'_> {
        HelmSubject { system: self.system, found: self.observed.helm.as_ref() }
    }

    pub fn chart(&self) -> ChartSubject<'_> {
        let desired = self.expected.desired.as_ref();
        ChartSubject {
            system: self.system,
            wanted: desired.and_then(|desired| desired.chart.as_ref()),
            found: &self.observed.chart,
            helm: self.observed.helm.as_ref().map(|helm| helm.path.as_path()),
            python: &self.python,
        }
    }

    pub fn kubeconfig(&self) -> KubeconfigSubject<'_> {
        KubeconfigSubject {
            wanted: self.expected.desired.as_ref().and_then(|desired| desired.kubeconfig.as_ref()),
            found: &self.observed.kubeconfig,
            python: &self.python,
        }
    }

    pub fn conf(&self) -> ConfSubject<'_> {
        ConfSubject {
            root: &self.system.root,
            wanted: self.desired().map(|desired| &desired.conf),
            found: &self.observed.conf,
            drop_in_directories: drop_in_directories().collect(),
            python: &self.python,
        }
    }

    pub fn services(&self) -> ServicesSubject<'_> {
        ServicesSubject {
            system: self.system,
            desired: self.desired().map(|desired| -> &DesiredServices { &desired.services }),
            observed: &self.observed.services,
            later: &self.later,
            inputs: self.inputs(),
            pending: self.pending.as_ref(),
            ignored_defaults: self.ignored_defaults.clone(),
        }
    }

    fn inputs(&self) -> Result<ServiceInputs, Finding> {
        let desired = self.expected.desired.as_ref();
        let desired = desired.ok_or_else(|| Finding::skip("the wanted graft is not known"))?;
        let driver = &self.observed.driver;
        if driver.installed.intact(&desired.driver.pin).is_none() || !driver.shadows.is_empty() {
            return Err(Finding::skip("the driver itself is to be repaired first"));
        }
        Ok(self.observed.service_inputs(desired))
    }

    pub fn guard(&self) -> GuardSubject<'_> {
        GuardSubject {
            wanted: self.desired().map(|desired| -> &[ManagedFile] { &desired.guard }),
            observed: &self.observed.guard,
            is_paused: self.observed.services.are_paused(),
        }
    }
}

/// Checks the kubeconfig that stands on the unit.
fn kubeconfig_report(
    system: &System,
    installation: &Installation,
    expected: &Expected,
    observed: &Observed,
) -> Result<KubeconfigReport> {
    let (Entry::File(file), Some(settings)) = (&observed.kubeconfig, &expected.settings) else {
        return Ok(KubeconfigReport::default());
    };
    let pin = &settings.driver.pin;
    let programs = reconcile::programs(&system.root, installation, observed)?;
    KubeconfigReport::inspect(
        in_text(file.bytes.clone()),
        pin,
        &|path| read_as_magnum(system, path),
        |kubeconfig| programs::ask(system, kubeconfig, pin, &programs),
        Some(&reconcile::stack(settings, expected.facts.as_ref())),
        settings.expiry_warning_days,
    )
}

/// Asks Python with each service's own arguments; once if they are the same.
fn ask_python(system: &System, installation: &Installation, services: &[ObservedService]) -> Result<Answers> {
    let [api, conductor] = Service::ALL.map(|service| arguments(services, service));
    let [api_list, conductor_list] = [&api, &conductor].map(|arguments| serde_json::json!(arguments).to_string());
    let mut question = vec!["verify", DISTRIBUTION, ENTRY_POINT, &conductor_list];
    if api != conductor {
        question.push(&api_list);
    }
    installation.python.ask(system, &question)
}

/// Returns the arguments of a running service that name configuration; while it is not running, those that the next
/// process gets.
fn arguments(services: &[ObservedService], service: Service) -> Vec<String> {
    let observed = services.iter().find(|observed| observed.service == service);
    match observed.and_then(|observed| observed.process.as_ref()) {
        Some(process) => configuration_in(&process.cmdline),
        None => CONFIGURATION_ARGUMENTS.map(str::to_owned).to_vec(),
    }
}

/// Returns the arguments that name configuration, each in one word.
fn configuration_in(command_line: &[String]) -> Vec<String> {
    let mut words = command_line.iter();
    let mut found = Vec::new();
    while let Some(word) = words.next() {
        match word.split_once('=').map_or(word.as_str(), |(option, _)| option) {
            "--config-file" | "--config-dir" if word.contains('=') => found.push(word.clone()),
            "--config-file" | "--config-dir" => found.extend(words.next().map(|value| format!("{word}={value}"))),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_found_however_it_is_named() {
        let words = "/usr/bin/python3 /usr/bin/magnum-api --config-file /a --debug --config-dir=/b --config-file";
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        assert_eq!(configuration_in(&words), ["--config-file=/a", "--config-dir=/b"]);
    }
}
