//! What the unit's status says of the selected kubeconfig and its management cluster.

use anyhow::Result;
use jiff::Timestamp;

use super::compatibility::{Harm, Stack};
use super::memory::{Memory, Passed};
use super::programs::{self, ProgramsToAsk};
use super::report::{ManagementReport, denial};
use super::validity::{Age, age};
use super::{ApiError, Selection, UsableKubeconfig};
use crate::juju::settings::Settings;
use crate::problem::Problem;
use crate::step::Thoroughness;
use crate::system::{Root, System, sha256};

/// How long a management cluster on which everything passed is not asked everything again.
const PASSED_FOR: i64 = 24 * 60 * 60;
const REMEDY: &str = "run: juju update-secret SECRET kubeconfig#file=FILE";

/// Returns what is wrong with the selected kubeconfig: its age, driver or helm that refuse it, and a management cluster
/// that does not answer, does not allow everything, or does not fit.
///
/// # Errors
/// If the memory cannot be read or written.
pub fn problems(
    system: &System,
    selection: &Selection,
    settings: &Settings,
    stack: &Stack,
    ask: &ProgramsToAsk<'_>,
) -> Result<Vec<Problem>> {
    let mut problems: Vec<Problem> = selection.problem.iter().cloned().collect();
    let pin = &settings.driver.pin;
    // When it was selected, the driver may not have been installed yet.
    if let Some(refusal) = programs::refusal(system, &selection.content, pin, ask, Thoroughness::Full)? {
        problems.push(Problem::blocked("Kubeconfig is not usable", format!("it {refusal}; {REMEDY}")));
    }
    let age = age(&selection.usable.validity, Timestamp::now());
    problems.extend(of_age(&age, settings.expiry_warning_days));
    let server = &selection.usable.server;
    match &selection.identity {
        // Its age explains the rejection.
        Err(ApiError::Rejected(_)) if !matches!(age, Age::Valid(_)) => {}
        Err(error) => problems.extend(of_error(server, error)),
        Ok(_) => problems.extend(of_cluster(&system.root, selection, stack)?),
    }
    Ok(problems)
}

fn of_age(age: &Age, warning_days: u16) -> Option<Problem> {
    match age {
        Age::Expired(ends) => Some(Problem::blocked("Kubeconfig has expired", format!("{ends}; {REMEDY}"))),
        Age::NotYetValid(begins) => Some(Problem::waiting("Kubeconfig is not valid yet", begins.to_string())),
        Age::Valid(Some((ends, days))) if *days < i64::from(warning_days) => {
            let summary = format!("Kubeconfig expires in {days} days");
            Some(Problem::notice(summary, format!("{ends}; {REMEDY}")))
        }
        Age::Valid(_) => None,
    }
}

fn of_error(server: &str, error: &ApiError) -> Option<Problem> {
    let detail = format!("{server} {error}");
    match error {
        ApiError::Rejected(_) => {
            let summary = "Management cluster rejects the kubeconfig";
            Some(Problem::blocked(summary, format!("{detail}; {REMEDY}")))
        }
        ApiError::Unreachable { kind, .. } => {
            Some(Problem::waiting(format!("Management cluster does not answer ({kind})"), detail))
        }
        ApiError::Unexpected(_) => Some(Problem::waiting("Management cluster does not answer as expected", detail)),
        ApiError::Unsupported => None,
    }
}

/// Asks the management cluster everything, unless everything passed within a day with the same kubeconfig, driver and
/// chart: each of many hooks on each of many units would be too often.
fn of_cluster(root: &Root, selection: &Selection, stack: &Stack) -> Result<Vec<Problem>> {
    let mut memory = Memory::load(root)?;
    let kubeconfig = sha256(selection.content.expose().as_bytes());
    let what = sha256(format!("{kubeconfig} {stack:?}").as_bytes());
    let now = Timestamp::now().as_second();
    let is_recent = |passed: &Passed| passed.what == what && (0..PASSED_FOR).contains(&(now - passed.at));
    if memory.passed.as_ref().is_some_and(is_recent) {
        return Ok(Vec::new());
    }
    let problems = of_report(&selection.usable, &ManagementReport::ask(&selection.usable, stack));
    let passed = problems.is_empty().then_some(Passed { what, at: now });
    if memory.passed != passed {
        memory.passed = passed;
        memory.save(root)?;
    }
    Ok(problems)
}

fn of_report(usable: &UsableKubeconfig, report: &ManagementReport) -> Vec<Problem> {
    let server = &usable.server;
    let mut problems = Vec::new();
    let mut failed = |error: &ApiError| problems.extend(of_error(server, error));
    match report {
        // It may have stopped answering since it was asked for the identity.
        ManagementReport { identity: Err(error), .. } => failed(error),
        ManagementReport { denied: Some(Err(error)), .. } => failed(error),
        ManagementReport { incompatible: Some(Err(error)), .. } => failed(error),
        _ => {}
    }
    if let Some(Ok(denied)) = &report.denied
        && !denied.is_empty()
    {
        problems.push(Problem::blocked("Kubeconfig's user lacks permissions", denial(server, denied)));
    }
    for found in report.incompatible.iter().flatten().flatten() {
        let detail = format!("{server}: {}; {}", found.what, found.remedy);
        let summary = "Management cluster does not fit driver or chart";
        problems.push(match found.harm {
            Harm::Fatal => Problem::blocked(summary, detail),
            Harm::Cosmetic => Problem::notice(summary, detail),
        });
    }
    problems
}
