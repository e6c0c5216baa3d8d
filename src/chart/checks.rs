//! Checks of the chart: the attached one, as user magnum, and the repository from which the driver fetches another.

use std::path::Path;
use std::time::Duration;

use super::PATH;
use crate::check::{self, ANY_HOOK, Check, CheckResult, Finding, Outcome};
use crate::juju::settings::without_credentials;
use crate::magnum::{Asked, MAGNUM_USER, PythonAnswers};
use crate::system::{Command, Entry, ManagedFile, System, http};

const HELM_LIMIT: Duration = Duration::from_secs(10);
const REPOSITORY_LIMIT: Duration = Duration::from_secs(5);

/// The chart and what reads it.
pub struct ChartSubject<'a> {
    pub system: &'a System,
    /// The attached chart.
    pub wanted: Option<&'a ManagedFile>,
    pub found: &'a Entry,
    /// The helm that the services find.
    pub helm: Option<&'a Path>,
    pub python: &'a PythonAnswers,
}

/// Runs the checks of the chart.
pub fn run_checks(subject: &ChartSubject) -> Vec<CheckResult> {
    let checks = [
        Check {
            id: "chart",
            question: "Is the given chart in place, and can user magnum's helm read it?",
            answer: chart,
        },
        Check {
            id: "chain-chart-repository",
            question: "Can this unit reach the repository of the driver's chart?",
            answer: repository,
        },
    ];
    check::run(&checks, subject)
}

fn chart(subject: &ChartSubject) -> Outcome {
    let Some(wanted) = subject.wanted else {
        return Ok(Err(Finding::skip("no chart is attached as a resource")));
    };
    let Some(helm) = subject.helm else {
        return Ok(Err(Finding::skip("there is no helm to read it")));
    };
    if let Some(drift) = wanted.drift(subject.found) {
        return Ok(Err(Finding::fail(format!("{PATH}: {drift}"), ANY_HOOK)));
    }
    let command = Command::new(helm, HELM_LIMIT).as_user(MAGNUM_USER);
    let output = subject
        .system
        .run(&command.args(["show", "chart", PATH]))?;
    Ok(if output.code == Some(0) {
        Ok(format!("helm reads {PATH}"))
    } else {
        let remedy =
            "attach a chart that helm can read: juju attach-resource APPLICATION helm-chart=FILE";
        Err(Finding::fail(output.failure(), remedy))
    })
}

fn repository(subject: &ChartSubject) -> Outcome {
    let answers = subject
        .python
        .get_with_driver(|answers| &answers.conductor.effective)?;
    let effective = match answers {
        Ok(Asked::Answer(effective)) => effective,
        Ok(Asked::Error(error)) => anyhow::bail!("Python says {error}"),
        Err(finding) => return Ok(Err(finding)),
    };
    let option = |key: &str| {
        let option = effective.get(&format!("capi_helm.{key}"));
        option
            .and_then(|option| option.value.as_str())
            .unwrap_or_default()
    };
    let name = option("helm_chart_name");
    let Some(address) = index_of(option("helm_chart_repo"), name) else {
        return Ok(Ok(format!("none is needed: the chart is {name}")));
    };
    let client = http::direct().timeout(REPOSITORY_LIMIT).build()?;
    let request = client.get(&address);
    let address = without_credentials(&address);
    let why = match request.send().map(|answer| answer.status()) {
        // A registry asks for a token first: it is there.
        Ok(status) if status.is_success() || status.as_u16() == 401 => {
            return Ok(Ok(format!("{address} answers")));
        }
        Ok(status) => format!("HTTP {status}"),
        Err(error) => http::reason(&error),
    };
    Ok(Err(Finding::warn(
        format!("not the graft, but {address} does not serve the chart: {why}"),
        "let this unit reach it, or attach the chart: juju attach-resource APPLICATION helm-chart=FILE, or set \
         helm-chart-repo to a mirror",
    )))
}

/// Returns the address at which a chart repository or registry answers; `None` if the chart is on the unit.
fn index_of(repo: &str, name: &str) -> Option<String> {
    if let Some(rest) = name.strip_prefix("oci://") {
        let registry = rest.split('/').next().unwrap_or_default();
        return Some(format!("https://{registry}/v2/"));
    }
    (!repo.is_empty()).then(|| format!("{}/index.yaml", repo.trim_end_matches('/')))
}
