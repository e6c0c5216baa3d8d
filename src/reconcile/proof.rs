//! The proof before a switch: Magnum's own start, with the command lines, the configuration and the driver that the
//! services are to get, as user magnum. What it refuses changes nothing on the unit.
//!
//! It takes seconds, so it is made only of what is not on the unit yet, and once for each combination.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::{Announce, Candidate, Desired, Observed, plan};
use crate::conf::CONF;
use crate::escape;
use crate::juju::settings::{CapiHelmOptions, Settings, shown};
use crate::magnum::{
    CONF_DIRECTORY, ENTRY_POINT, EnvironmentSource, Installation, MAGNUM_CONF, Service, StartRefusal, configuration_in,
    exception,
};
use crate::problem::Problem;
use crate::services::drop_in_path;
use crate::step::{Artifact, Step};
use crate::system::http::redact_urls;
use crate::system::{FileIdentity, Root, System, sha256, state_path};

/// The state file of the combinations that were asked about last, and what keeps the services from starting with each.
const CACHE: &str = "proof.json";
/// What is asked for, what was last good, and what failed before.
const KEPT: usize = 4;
/// The most characters of a reason.
const LONGEST_REASON: usize = 600;

type Refusals = BTreeMap<Service, StartRefusal>;
/// A digest of what is to be put in place, and the files of configuration that others write.
pub type Combination = (String, Vec<FileIdentity>);

/// What is known of a combination.
#[derive(Serialize, Deserialize)]
struct Known {
    combination: Combination,
    refusals: Refusals,
    /// Why it was undone, if it was tried.
    #[serde(default)]
    failed: Option<Problem>,
}

/// Proves that the services start with what is to be put in place; without `progress`, goes by what is known.
///
/// # Errors
/// A [`Problem`] that says what keeps a service from starting, or that Python could not be asked.
pub fn prove(
    system: &System,
    candidate: &Candidate,
    installation: &Installation,
    observed: &Observed,
    progress: Option<&Announce<'_>>,
) -> Result<()> {
    if !is_switch(&plan(&candidate.desired, observed), observed) {
        return Ok(());
    }
    let combination = combination(&system.root, &candidate.desired, installation, observed)?;
    let known: Vec<Known> = system.root.remembered(CACHE);
    let refusals = match (known.into_iter().find(|known| known.combination == combination), progress) {
        (Some(Known { failed: Some(problem), .. }), _) => return Err(problem.into()),
        (Some(known), _) => known.refusals,
        (None, None) => Refusals::new(),
        (None, Some(progress)) => {
            progress("Trying to start the services with what is asked for")?;
            let refusals = ask(system, candidate, installation, observed)?;
            remember(&system.root, Known { combination, refusals: refusals.clone(), failed: None })?;
            refusals
        }
    };
    let problem =
        refusals.iter().find_map(|(service, refusal)| problem(*service, refusal, &candidate.wanted.settings, observed));
    problem.map_or(Ok(()), |problem| Err(problem.into()))
}

/// Remembers that what was proven has failed all the same.
///
/// # Errors
/// If that cannot be written.
pub fn remember_failure(root: &Root, combination: Combination, problem: &Problem) -> Result<()> {
    remember(root, Known { combination, refusals: Refusals::new(), failed: Some(problem.clone()) })
}

/// Returns that of these problems, if one is, with which the services have failed.
pub fn failed_of<'a>(root: &Root, problems: &'a [Problem]) -> Option<&'a Problem> {
    let known: Vec<Known> = if problems.is_empty() { Vec::new() } else { root.remembered(CACHE) };
    problems.iter().find(|problem| known.iter().any(|known| known.failed.as_ref() == Some(*problem)))
}

/// Forgets what is known: everything is tried again.
///
/// # Errors
/// If that fails.
pub fn forget(root: &Root) -> Result<()> {
    root.remove(&state_path(CACHE))
}

fn remember(root: &Root, new: Known) -> Result<()> {
    let mut known: Vec<Known> = root.remembered(CACHE);
    known.retain(|known| known.combination != new.combination);
    known.truncate(KEPT - 1);
    known.insert(0, new);
    root.save(CACHE, &known)
}

/// Whether steps change what a service reads when it starts next.
pub fn is_switch(steps: &[Step], observed: &Observed) -> bool {
    let is_read =
        |path: &Path| path == Path::new(CONF) || Service::ALL.map(drop_in_path).map(Path::new).contains(&path);
    steps.iter().any(|step| match step {
        Step::Write { file, .. } => is_read(&file.path),
        Step::Install { artifact: Artifact::Driver, .. } => observed.is_switched_on(),
        Step::Restart(_) => true,
        _ => false,
    })
}

/// Returns what the answer depends on.
///
/// # Errors
/// If a file cannot be looked at.
pub fn combination(
    root: &Root,
    desired: &Desired,
    installation: &Installation,
    observed: &Observed,
) -> Result<Combination> {
    let lines = desired.services.command_lines.values();
    let named = lines.flat_map(|line| configuration_in(line.split(' ')));
    let mut files: Vec<PathBuf> =
        named.filter_map(|word| word.strip_prefix("--config-file=").map(PathBuf::from)).collect();
    files.push(MAGNUM_CONF.into());
    let fragments = root.names(Path::new(CONF_DIRECTORY))?.into_iter().map(|name| Path::new(CONF_DIRECTORY).join(name));
    files.extend(fragments.filter(|path| path != Path::new(CONF)));
    let units = observed.services.services.iter().map(|service| &service.unit);
    files.extend(units.clone().flat_map(|unit| unit.environment_files.iter().cloned()));
    let environments: Vec<&str> = units.map(|unit| unit.environment.expose().as_str()).collect();
    files.sort();
    files.dedup();
    let what = (
        String::from_utf8_lossy(&desired.conf.bytes),
        &desired.services.command_lines,
        &desired.driver.record_sha256,
        &installation.python.version,
        &installation.version,
        environments,
    );
    Ok((sha256(format!("{what:?}").as_bytes()), root.identities(&files)?))
}

fn ask(system: &System, candidate: &Candidate, installation: &Installation, observed: &Observed) -> Result<Refusals> {
    let Candidate { desired, artifacts, .. } = candidate;
    let staged = artifacts.driver.as_ref().map(|staged| staged.path().to_string_lossy()).unwrap_or_default();
    let text = std::str::from_utf8(&desired.conf.bytes).context("the fragment is ASCII")?;
    let mut refusals = Refusals::new();
    for (service, command_line) in &desired.services.command_lines {
        let name = service.name().trim_start_matches("magnum-");
        let mut question = vec!["proof", &staged, ENTRY_POINT, name, CONF, text];
        question.extend(command_line.split(' ').skip(1));
        // That of the process to come, which is not that of the one that runs.
        let unit = observed.services.services.iter().find(|observed| observed.service == *service);
        let environment =
            unit.map(|it| EnvironmentSource { unit: &it.unit, process: None }.read(system)).transpose()?;
        let environment = environment.unwrap_or_default();
        let answer: Result<Option<StartRefusal>> = installation.python.ask(system, &environment, &question);
        let answer = answer.map_err(|error| {
            let detail = format!("Magnum's Python could not be asked: {}; every hook tries again", exception(&error));
            Problem::waiting(format!("Cannot tell whether {} would start", service.name()), detail)
        })?;
        if let Some(refusal) = answer {
            // Magnum may quote an address with its password.
            let reason = escape::line(&redact_urls(&refusal.reason, ""), LONGEST_REASON);
            let refusal = StartRefusal { reason, ..refusal };
            let decides = problem(*service, &refusal, &candidate.wanted.settings, observed).is_some();
            refusals.insert(*service, refusal);
            if decides {
                break;
            }
        }
    }
    Ok(refusals)
}

/// Returns the problem of a service that would not start; none if that takes nothing away: it does not run now, and
/// nothing of the graft is to blame.
fn problem(service: Service, refusal: &StartRefusal, settings: &Settings, observed: &Observed) -> Option<Problem> {
    let (name, reason) = (service.name(), &refusal.reason);
    if let Some((group, option)) = &refusal.option {
        let from = option_of(settings, option);
        let value = settings.capi_helm_options.iter().find(|(key, _)| key == option);
        let value = value.map(|(_, value)| format!(" = {}", shown(value))).unwrap_or_default();
        let detail = format!("[{group}] {option}{value} is refused by {name}: {reason}; set it right, or remove it");
        return Some(Problem::blocked(format!("Invalid option {from}: {}", escape::status(option)), detail));
    }
    if !observed.services.services.iter().any(|observed| observed.service == service && observed.is_serving()) {
        return None;
    }
    Some(match &refusal.file {
        Some(file) => Problem::blocked(
            format!("{name} would not start with {file}"),
            format!("{reason}; correct it, then run any hook"),
        ),
        None => Problem::blocked(
            format!("{name} would not start: run verify"),
            format!("with {} and the options that are set: {reason}", settings.driver.pin),
        ),
    })
}

/// Returns the charm's option that an option of the fragment comes from.
fn option_of(settings: &Settings, option: &str) -> &'static str {
    match option {
        _ if settings.capi_helm_options.iter().any(|(key, _)| key == option) => CapiHelmOptions::OPTION,
        "default_helm_chart_version" => "helm-chart-version",
        "helm_chart_repo" | "helm_chart_name" => "helm-chart-repo",
        _ => "driver-pin",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::super::plan::tests::model::{Model, desired, facts, installation, settings};
    use super::super::{Artifacts, Wanted, or_problem};
    use super::*;
    use crate::system::testing::{Programs, Scratch, command_line};

    /// A unit on which Python answers this, and what it was asked.
    struct Asked {
        scratch: Scratch,
        answer: Arc<Mutex<&'static str>>,
        lines: Arc<Mutex<Vec<String>>>,
        installation: Installation,
    }

    impl Asked {
        fn new(answer: &'static str) -> Self {
            let scratch = Scratch::new();
            scratch.root.make_state_directory().unwrap();
            scratch.put(MAGNUM_CONF, "");
            let (answer, installation) = (Arc::new(Mutex::new(answer)), installation());
            Self { scratch, answer, lines: Arc::default(), installation }
        }

        /// Proves these options on a unit; returns the problem, and how many questions it took.
        fn prove(&self, options: &str, observed: &Observed) -> (Option<Problem>, usize) {
            let (answer, lines) = (self.answer.clone(), self.lines.clone());
            let programs = Programs::new(move |command| {
                let line = command_line(command);
                if line == "systemctl show-environment" {
                    return Some("LANG=C\n".to_owned());
                }
                lines.lock().unwrap().push(line);
                Some(answer.lock().unwrap().to_string())
            });
            let system = System::new(self.scratch.root.clone(), programs);
            let settings = settings(options);
            let artifacts = Artifacts { facts: facts(), driver: None, helm: None };
            let desired = desired(&settings);
            let wanted = Wanted { settings, defaults: None };
            let candidate = Candidate { wanted, desired, artifacts, selection: None };
            let before = self.lines.lock().unwrap().len();
            let proved = prove(&system, &candidate, &self.installation, observed, Some(&|_| Ok(())));
            (or_problem(proved).unwrap().err(), self.lines.lock().unwrap().len() - before)
        }
    }

    const UNKNOWN: &str = "{\"reason\": \"at amqp://me:hunter2@rabbit\", \"file\": null}";

    #[test]
    fn a_switch_is_tried_once_for_each_combination_and_what_is_in_place_never() {
        let unit = Asked::new("null");
        let fresh = Model::fresh().observed;
        assert_eq!(unit.prove("", &fresh), (None, 2));
        assert_eq!(unit.prove("", &fresh), (None, 0));
        assert_eq!(unit.prove("namespace_prefix = x", &fresh), (None, 2));
        // What was last good is not forgotten for what is asked for.
        assert_eq!(unit.prove("", &fresh), (None, 0));
        unit.scratch.put(format!("{CONF_DIRECTORY}/50-site.conf"), "[api]\n");
        assert_eq!(unit.prove("", &fresh), (None, 2));
        assert_eq!(unit.prove("", &Model::grafted(&desired(&settings(""))).observed), (None, 0));
        let asked = unit.lines.lock().unwrap();
        assert!(
            asked[0].contains(" proof  k8s_capi_helm_v1 api /etc/magnum/magnum.conf.d/99-capi.conf "),
            "{}",
            asked[0]
        );
        assert!(asked[1].ends_with("--config-dir=/etc/magnum/magnum.conf.d"), "{}", asked[1]);
    }

    #[test]
    fn an_option_that_is_refused_is_named_with_its_value_and_the_reason_also_while_nothing_runs() {
        let unit = Asked::new("{\"reason\": \"invalid literal\", \"option\": [\"capi_helm\", \"namespace_prefix\"]}");
        let mut stopped = Model::fresh().observed;
        stopped.services.services.iter_mut().for_each(|service| service.process = None);
        let problem = unit.prove("namespace_prefix = 2GB", &stopped).0.unwrap();
        assert_eq!(problem.summary, "Invalid option capi-helm-options: namespace_prefix");
        let expected = "[capi_helm] namespace_prefix = \"2GB\" is refused by magnum-api: invalid literal; set it right";
        assert!(problem.detail.starts_with(expected), "{problem}");
        assert_eq!(unit.prove("namespace_prefix = 2GB", &stopped), (Some(problem), 0));
    }

    #[test]
    fn a_service_that_runs_is_not_restarted_into_what_it_would_not_start_with_and_one_that_does_not_loses_nothing() {
        let unit = Asked::new(UNKNOWN);
        let mut observed = Model::fresh().observed;
        let problem = unit.prove("", &observed).0.unwrap();
        assert_eq!(problem.summary, "magnum-api would not start: run verify");
        assert!(!problem.to_string().contains("hunter2"), "{problem}");
        observed.services.services.iter_mut().for_each(|service| service.process = None);
        assert_eq!(unit.prove("", &observed), (None, 0));
    }

    #[test]
    fn a_fragment_of_somebody_else_is_named() {
        let unit = Asked::new("{\"reason\": \"x\", \"file\": \"/etc/magnum/magnum.conf.d/50-site.conf\"}");
        let problem = unit.prove("", &Model::fresh().observed).0.unwrap();
        assert_eq!(problem.summary, "magnum-api would not start with /etc/magnum/magnum.conf.d/50-site.conf");
    }

    #[test]
    fn an_answer_that_cannot_be_had_is_asked_for_again() {
        let unit = Asked::new("nonsense");
        let (problem, asked) = unit.prove("", &Model::fresh().observed);
        assert_eq!((problem.unwrap().summary.as_str(), asked), ("Cannot tell whether magnum-api would start", 1));
        *unit.answer.lock().unwrap() = "null";
        assert_eq!(unit.prove("", &Model::fresh().observed), (None, 2));
    }
}
