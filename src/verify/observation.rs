//! Everything the checks look at, looked at once.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::Value;

use super::{Check, Credentials, Finding, Outcome};
use crate::converge::{self, Expected};
use crate::graft::defaults::Defaults;
use crate::graft::services::{self, Seen};
use crate::graft::{Desired, ENTRY_POINT, Facts, Observed, Service, Staged, kubeconfig, plan};
use crate::ground::Ground;
use crate::health::STABLE_AFTER;
use crate::hook::roll::Roll;
use crate::hook::sources::{self, Ask};
use crate::juju::Context;
use crate::kube::Judgement;
use crate::kube::judgement::Reach;
use crate::problem::Problem;
use crate::settings::{DISTRIBUTION, EXPIRY_WARNING_DAYS, Settings};
use crate::unit::files::Entry;
use crate::unit::kept::Ledger;
use crate::unit::process::Process;

/// The checks of this group.
pub const CHECKS: &[Check<Scene>] = &[Check {
    id: "settings",
    question: "Are the options and the kubeconfig's source valid?",
    answer: settings,
}];

/// Python's answer to one question, or how it failed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Asked<T> {
    /// The answer.
    Answer(T),
    /// The exception.
    Error(String),
}

/// What Python says with the services' own arguments, as user magnum.
#[derive(Debug, Deserialize)]
pub struct Answers {
    /// The driver, loaded through its entry point.
    pub loads: Asked<Loaded>,
    /// What the conductor makes of the configuration.
    pub conductor: Reading,
    /// What the API makes of it, when it has other arguments than the conductor.
    pub api: Option<Reading>,
    /// The entry points that Magnum's own loader enables, and which kinds of cluster its map gives to
    /// each.
    pub enabled: Asked<BTreeMap<String, Vec<ClusterKind>>>,
    /// The size of the kubeconfig that the configuration names.
    pub kubeconfig: Asked<u64>,
}

/// The configuration as a service reads it.
#[derive(Debug, Deserialize)]
pub struct Reading {
    /// Whether it parses.
    pub configuration: Asked<bool>,
    /// Each option's effective value and the file it comes from.
    pub effective: Asked<BTreeMap<String, Effective>>,
}

/// A kind of cluster, by which Magnum finds its driver: server type, operating system, orchestration
/// engine.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ClusterKind(String, String, String);

impl fmt::Display for ClusterKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(server_type, os, coe) = self;
        write!(f, "({server_type}, {os}, {coe})")
    }
}

/// The driver as Python loaded it.
#[derive(Debug, Deserialize)]
pub struct Loaded {
    /// Its version.
    pub version: String,
    /// Its class, with its module.
    pub class: String,
    /// The file it was loaded from.
    pub file: String,
    /// Requirements that do not hold, with the version found instead.
    pub missing: Vec<(String, Option<String>)>,
    /// The kinds of cluster that it says it makes.
    pub provides: Vec<ClusterKind>,
}

/// An option as the services see it.
#[derive(Debug, Deserialize)]
pub struct Effective {
    /// Its value.
    pub value: Value,
    /// The file it comes from; `None` is the default.
    pub from: Option<String>,
}

/// Everything the checks look at.
pub struct Scene {
    /// The settings in force; `None` when there are none to go by.
    pub settings: Option<Settings>,
    /// Why these are not all that is wanted.
    pub problems: Vec<Problem>,
    /// What the graft is to be; `None` when that cannot be said.
    pub desired: Option<Desired>,
    /// What is there.
    pub observed: Observed,
    /// Why a restart that is due is not done by the next hook.
    pub withheld: Option<Problem>,
    /// The services, a window of time later.
    pub later: Vec<Seen>,
    /// What of `/etc/default` has no effect.
    pub unheard: Vec<Problem>,
    /// What Python says; one process.
    pub python: Result<Answers>,
    /// The kubeconfig that stands on the unit, judged.
    pub credentials: Credentials,
    /// Whose names stand in remedies.
    pub context: Context,
}

impl Scene {
    /// Looks at everything.
    ///
    /// # Errors
    /// When the unit has no Magnum, or Juju does not tell what is wanted.
    pub fn look(context: &Context) -> Result<Self> {
        let wanted = sources::wanted(context, Ask::Remembered)?;
        let roll = Roll::of(&wanted, context);
        let ground = Ground::look()?;
        let observed = Observed::look(&ground.python, &Ledger::load()?)?;
        let Expected {
            settings,
            facts,
            desired,
            problems,
        } = converge::expect(wanted, &ground, &observed)?;
        let withheld = match &desired {
            Some(desired) => {
                Staged::new(plan(desired, &observed), &observed.services)
                    .as_far_as(&|due| roll.turn(due))?
                    .1
            }
            None => None,
        };
        let [api, conductor] = Service::ALL.map(|service| arguments(&observed.services, service));
        let [api_list, conductor_list] =
            [&api, &conductor].map(|arguments| serde_json::json!(arguments).to_string());
        let mut question = vec!["verify", DISTRIBUTION, ENTRY_POINT, &conductor_list];
        if api != conductor {
            question.push(&api_list);
        }
        // Both take their time, and neither needs the other.
        let (python, credentials) = std::thread::scope(|scope| {
            let asked = scope.spawn(|| credentials(settings.as_ref(), facts.as_ref(), &observed));
            let python = ground.python.ask(&question);
            let credentials = asked.join();
            (python, credentials)
        });
        let credentials =
            credentials.map_err(|_| anyhow::anyhow!("judging the kubeconfig panicked"))?;
        // A process that crashes at its start is given the time to do so before the second look.
        let young = observed
            .services
            .iter()
            .filter_map(|seen| seen.process.as_ref());
        let youngest = young.map(Process::age).min().unwrap_or(STABLE_AFTER);
        std::thread::sleep(STABLE_AFTER.saturating_sub(youngest));
        Ok(Self {
            later: services::look()?,
            unheard: Defaults::problems(ground.defaults.values()),
            context: context.clone(),
            settings,
            problems,
            desired,
            observed,
            withheld,
            python,
            credentials,
        })
    }

    /// What the graft is to be.
    ///
    /// # Errors
    /// A finding when that cannot be said.
    pub fn desired(&self) -> Result<&Desired, Finding> {
        self.desired.as_ref().ok_or_else(|| {
            Finding::fail(
                "the wanted graft is not known yet",
                "mend what the check settings says, then run any hook",
            )
        })
    }

    /// The answer to one of Python's questions.
    ///
    /// # Errors
    /// When Python could not be asked at all.
    pub fn asked<T>(&self, which: impl Fn(&Answers) -> &T) -> Result<&T> {
        match &self.python {
            Ok(answers) => Ok(which(answers)),
            Err(error) => anyhow::bail!("Python could not be asked: {error:#}"),
        }
    }

    /// The answer to a question that needs the configuration and the driver.
    ///
    /// # Errors
    /// A finding when one of them cannot be read; the checks `conf-effective` and `driver-loads`
    /// say so.
    pub fn asked_of_driver<T>(
        &self,
        which: impl Fn(&Answers) -> &T,
    ) -> Result<Result<&T, Finding>> {
        if let Asked::Error(_) = self.asked(|answers| &answers.conductor.configuration)? {
            return Ok(Err(Finding::skip("the configuration cannot be read")));
        }
        if let Asked::Error(_) = self.asked(|answers| &answers.loads)? {
            return Ok(Err(Finding::skip("the driver does not load")));
        }
        self.asked(which).map(Ok)
    }

    /// Whether the principal has paused Magnum.
    pub fn paused(&self) -> bool {
        self.observed
            .services
            .iter()
            .any(|seen| seen.unit.is_masked())
    }
}

/// Judges the kubeconfig that stands on the unit.
fn credentials(
    settings: Option<&Settings>,
    facts: Option<&Facts>,
    observed: &Observed,
) -> Credentials {
    let judgement = match (&observed.kubeconfig, settings) {
        (Entry::File(file), Some(settings)) => Some(Judgement::of(
            &String::from_utf8_lossy(&file.bytes).parse(),
            &settings.driver.pin,
            &kubeconfig::stack(settings, facts),
            &kubeconfig::read_as_magnum,
            Reach::Online,
        )),
        _ => None,
    };
    let days = settings.map(|settings| settings.expiry_warning_days);
    Credentials {
        judgement,
        warning_days: days.unwrap_or(EXPIRY_WARNING_DAYS),
    }
}

/// The arguments of a running service, as far as they name configuration; while it is not running,
/// those that the next one gets.
fn arguments(services: &[Seen], service: Service) -> Vec<String> {
    let mut of_service = services.iter().filter(|seen| seen.service == service);
    let Some(process) = of_service.find_map(|seen| seen.process.as_ref()) else {
        return Service::ARGUMENTS.map(str::to_owned).to_vec();
    };
    configuration_in(&process.cmdline)
}

/// The arguments that name configuration, each in one word.
fn configuration_in(command_line: &[String]) -> Vec<String> {
    let mut words = command_line.iter();
    let mut found = Vec::new();
    while let Some(word) = words.next() {
        let (option, value) = match word.split_once('=') {
            Some((option, value)) => (option, Some(value)),
            None => (word.as_str(), None),
        };
        if ["--config-file", "--config-dir"].contains(&option)
            && let Some(value) = value.or_else(|| words.next().map(String::as_str))
        {
            found.push(format!("{option}={value}"));
        }
    }
    found
}

/// The check `settings`.
pub(super) fn settings(scene: &Scene) -> Outcome {
    let told = |problem: &Problem| scene.context.typed(&problem.to_string());
    let problems: Vec<String> = scene.problems.iter().map(told).collect();
    if !problems.is_empty() {
        let remedy = "set the option, or update the secret, as the evidence says";
        return Ok(Err(Finding::fail(problems.join("; "), remedy)));
    }
    let given = scene.settings.as_ref();
    let Some(settings) = given.filter(|settings| settings.kubeconfig.is_some()) else {
        return Ok(Err(Finding::fail(
            "no kubeconfig is given",
            "juju add-secret, juju grant-secret and juju config kubeconfig=secret:ID; the unit's \
             status shows the commands",
        )));
    };
    let options = settings.capi_helm_options.iter().count();
    Ok(Ok(format!(
        "{}, {options} further options",
        settings.driver.pin
    )))
}

impl<T> Asked<T> {
    /// The answer, or the exception as an error.
    ///
    /// # Errors
    /// The exception.
    pub fn get(&self) -> Result<&T> {
        match self {
            Self::Answer(answer) => Ok(answer),
            Self::Error(error) => Err(anyhow::anyhow!("{error}")).context("Python says"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_found_however_it_is_named() {
        let words = "/usr/bin/python3 /usr/bin/magnum-api --config-file /a --debug --config-dir=/b --config-file";
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        assert_eq!(
            configuration_in(&words),
            ["--config-file=/a", "--config-dir=/b"]
        );
    }
}
