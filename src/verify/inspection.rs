//! Everything the checks look at, looked at once.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::chart::ChartSubject;
use crate::check::{ANY_HOOK, Finding};
use crate::conf::checks::ConfSubject;
use crate::conf::closed_to_magnum;
use crate::driver::DriverSubject;
use crate::guard::checks::GuardSubject;
use crate::helm::HelmSubject;
use crate::juju::Context;
use crate::juju::settings::DISTRIBUTION;
use crate::kubeconfig::programs;
use crate::kubeconfig::{KubeconfigReport, KubeconfigSubject, Route, in_text};
use crate::magnum::checks::MagnumSubject;
use crate::magnum::{
    Answers, CONF_DIRECTORY, CONFIGURATION_ARGUMENTS, Configuration, ENTRY_POINT, EnvironmentSource, MAGNUM_DIRECTORY,
    Python, PythonAnswers, Service, ServiceEnvironment, StartDefaults, configuration_in, is_open_to_magnum,
    read_as_magnum,
};
use crate::reconcile::{self, Candidate, Desired, DryRun, Found, Wanted, dry_run};
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
    /// What keeps user magnum out of the directory of configuration.
    closed: Option<Finding>,
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
            (ask_python(system, &hook.found.installation.python, services), report.join())
        });
        let kubeconfig_report =
            kubeconfig_report.map_err(|_| anyhow::anyhow!("checking the kubeconfig panicked"))??;
        // A process that crashes at its start is given the time to do so before the second look.
        let young = services.iter().filter_map(|observed| observed.process.as_ref());
        let youngest = young.map(Process::age).min().unwrap_or(STABLE_AFTER);
        std::thread::sleep(STABLE_AFTER.saturating_sub(youngest));
        let later = services::inspect(system)?;
        let mut python = PythonAnswers(python);
        let closed = closed(system, &hook.found.observed.missing_directories)?;
        if let Some(closed) = &closed {
            python.forget_configuration(&closed.evidence);
        }
        Ok(Self { later, python, closed, system, hook, kubeconfig_report })
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
            only_ours: chosen.is_some_and(|chosen| chosen.wanted.settings.disable_other_drivers),
        }
    }

    pub fn helm(&self) -> HelmSubject<'_> {
        HelmSubject {
            system: self.system,
            found: self.hook.found.observed.helm.as_ref(),
            environment: self.conductors_environment(),
        }
    }

    pub fn chart(&self) -> ChartSubject<'_> {
        ChartSubject {
            system: self.system,
            wanted: self.desired().ok().and_then(|desired| desired.chart.as_ref()),
            found: &self.hook.found.observed.chart,
            helm: self.hook.found.observed.helm.as_ref().map(|helm| helm.path.as_path()),
            python: &self.python,
            environment: self.conductors_environment(),
        }
    }

    pub fn kubeconfig(&self) -> KubeconfigSubject<'_> {
        KubeconfigSubject {
            wanted: self.desired().ok().and_then(|desired| desired.kubeconfig.as_ref()),
            found: &self.hook.found.observed.kubeconfig,
            python: &self.python,
        }
    }

    pub fn conf<'b>(&'b self, environments: &'b [(Service, EnvironmentSource<'b>)]) -> ConfSubject<'b> {
        ConfSubject {
            root: &self.system.root,
            wanted: self.desired().map(|desired| &desired.conf),
            found: &self.hook.found.observed.conf,
            closed: self.closed.clone(),
            drop_in_directories: drop_in_directories().collect(),
            python: &self.python,
            environments,
        }
    }

    /// Returns where the services' environments are found.
    pub fn environments(&self) -> Vec<(Service, EnvironmentSource<'_>)> {
        let services = &self.hook.found.observed.services.services;
        services.iter().map(|observed| (observed.service, observed.environment())).collect()
    }

    /// Returns where the environment is found in which the driver and helm run.
    fn conductors_environment(&self) -> Option<EnvironmentSource<'_>> {
        let mut environments = self.environments().into_iter();
        environments.find(|(service, _)| *service == Service::Conductor).map(|(_, source)| source)
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

    /// # Errors
    /// If Magnum's configuration cannot be read.
    pub fn magnum(&self) -> Result<MagnumSubject<'_>> {
        Ok(MagnumSubject { configuration: Configuration::read(&self.system.root)?, python: &self.python })
    }
}

/// Finds a directory of configuration that user magnum cannot enter: the services read nothing of it, without a word.
fn closed(system: &System, made_anew: &[PathBuf]) -> Result<Option<Finding>> {
    for directory in [MAGNUM_DIRECTORY, CONF_DIRECTORY].map(Path::new) {
        if system.root.is_directory(directory)? && !is_open_to_magnum(system, directory)? {
            let problem = closed_to_magnum(&system.root, directory)?;
            let remedy = if made_anew.iter().any(|made| made == directory) {
                ANY_HOOK
            } else {
                "do as the evidence says, then run verify again"
            };
            return Ok(Some(Finding::fail(problem.detail, remedy)));
        }
    }
    Ok(None)
}

/// Checks the kubeconfig that stands on the unit.
fn kubeconfig_report(system: &System, hook: &DryRun) -> Result<KubeconfigReport> {
    let DryRun { found: Found { installation, observed, .. }, chosen, .. } = hook;
    let (Entry::File(file), Some(Candidate { wanted: Wanted { settings, .. }, artifacts, .. })) =
        (&observed.kubeconfig, chosen)
    else {
        return Ok(KubeconfigReport::default());
    };
    let pin = &settings.driver.pin;
    let programs = reconcile::programs(&system.root, installation, observed)?;
    let content = in_text(file.bytes.clone());
    let mut report = KubeconfigReport::inspect(
        &system.root,
        content.clone(),
        pin,
        &|path| read_as_magnum(system, path),
        |kubeconfig| programs::ask(system, kubeconfig, pin, &programs),
        Some(&artifacts.facts.stack(settings)),
        settings.expiry_warning_days,
    )?;
    if let (Some(Ok(usable)), Ok(content)) = (&report.usable, &content) {
        let route = Route::inspect(system, usable, content, &programs);
        report.route = Some(route.map_err(|error| format!("{error:#}")));
    }
    Ok(report)
}

/// Asks Python with each service's own arguments and environment; once if they are the same.
fn ask_python(system: &System, python: &Python, services: &[ObservedService]) -> Result<Answers> {
    let ask = |(arguments, environment): &(Vec<String>, ServiceEnvironment)| -> Result<Answers> {
        let question = ["verify", DISTRIBUTION, ENTRY_POINT, &serde_json::json!(arguments).to_string()];
        python.ask(system, environment, &question)
    };
    let with =
        |observed: &ObservedService| -> Result<_> { Ok((arguments(observed), observed.environment().read(system)?)) };
    let of = |service| services.iter().find(|observed| observed.service == service).map(with).transpose();
    let (api, conductor) = (of(Service::Api)?, of(Service::Conductor)?.unwrap_or_default());
    let mut answers = ask(&conductor)?;
    if let Some(api) = api.filter(|api| *api != conductor) {
        answers.api = Some(ask(&api)?.conductor);
    }
    Ok(answers)
}

/// Returns the arguments of a running service that name configuration; while it is not running, those that the next
/// process gets.
fn arguments(observed: &ObservedService) -> Vec<String> {
    match &observed.process {
        Some(process) => configuration_in(process.cmdline.iter().map(String::as_str)),
        None => CONFIGURATION_ARGUMENTS.map(str::to_owned).to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::system::systemd::Unit;
    use crate::system::testing::Scratch;
    use crate::system::{Account, Command, Host, Output, Secret};

    /// What Python answers for both services, whose units have these variables: the conductor's configuration and the API's.
    fn configurations(variables: [&'static str; 2]) -> (bool, Option<bool>) {
        let system = Scratch::new().system(|command| {
            let is_bad = command.secret_env.iter().any(|(name, _)| name == "OS_BAD");
            let error = json!({"error": ""});
            let conductor = json!({"configuration": {"answer": !is_bad}, "effective": error});
            let answers = json!({
                "loads": error, "conductor": conductor, "enabled": error, "kubeconfig": error, "trust": error,
            });
            Some(answers.to_string())
        });
        let services = Service::ALL.into_iter().zip(variables).map(|(service, variables)| {
            let unit = Unit { environment: Secret::new(variables.to_owned()), ..Unit::default() };
            ObservedService { service, unit, process: None, read: None }
        });
        let python = crate::kubeconfig::testing::python();
        let answers = ask_python(&system, &python, &Vec::from_iter(services)).unwrap();
        let parses = |reading: &crate::magnum::Reading| reading.configuration == crate::magnum::Asked::Answer(true);
        (parses(&answers.conductor), answers.api.as_ref().map(parses))
    }

    /// A machine on which user magnum cannot enter this directory.
    struct Closed(&'static str);

    impl Host for Closed {
        fn run(&self, command: &Command) -> Result<Output> {
            assert_eq!((command.name().as_str(), command.user), ("test -r", Some("magnum")));
            let code = i32::from(command.args.iter().any(|word| word == self.0));
            Ok(Output { code: Some(code), ..Output::default() })
        }

        fn account(&self, _: &str) -> Result<Option<Account>> {
            Ok(None)
        }
    }

    #[test]
    fn a_directory_that_magnum_cannot_enter_is_named_with_its_mode_and_a_remedy() {
        let scratch = Scratch::new();
        scratch.put(crate::conf::CONF, "");
        let found = |closed: &'static str, made: &[&str]| {
            let made: Vec<PathBuf> = made.iter().map(PathBuf::from).collect();
            super::closed(&System::new(scratch.root.clone(), Closed(closed)), &made).unwrap()
        };
        assert_eq!(found("", &[]), None);
        let named = found(CONF_DIRECTORY, &[]).unwrap();
        assert!(named.evidence.starts_with(&format!("user magnum cannot read {CONF_DIRECTORY}, a directory of ")));
        assert!(named.evidence.ends_with(&format!("mode 0755; run: chmod 0755 {CONF_DIRECTORY}")), "{named:?}");
        assert_eq!(found(CONF_DIRECTORY, &[CONF_DIRECTORY]).unwrap().remedy, ANY_HOOK);
        assert!(found(MAGNUM_DIRECTORY, &[]).unwrap().evidence.contains("cannot read /etc/magnum, a directory"));
    }

    #[test]
    fn each_service_is_answered_for_in_its_own_environment() {
        assert_eq!(Service::ALL[0], Service::Api);
        assert_eq!(configurations(["OS_A=1", "OS_A=1"]), (true, None));
        assert_eq!(configurations(["OS_BAD=1", "OS_BAD=1"]), (false, None));
        assert_eq!(configurations(["OS_BAD=1", ""]), (true, Some(false)));
        assert_eq!(configurations(["", "OS_BAD=1"]), (false, Some(true)));
    }
}
