//! Juju's hook tools: one function for each, invoking it and parsing what it prints.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::Value;

use crate::problem::Problem;
use crate::settings::RawConfig;
use crate::unit::command::{self, Run};

/// A hook tool asks the agent on this machine, which may ask the controller.
const LIMIT: Duration = Duration::from_secs(60);
/// A resource may have to come from the controller first.
const RESOURCE_LIMIT: Duration = Duration::from_secs(300);

/// All configuration that is set or has a default.
///
/// # Errors
/// When the tool fails.
pub fn config_get() -> Result<RawConfig> {
    json(tool("config-get").args(["--all", "--format=json"]))
}

/// What names a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretOf<'a> {
    /// An option of the application.
    Option(&'a str),
    /// A parameter of an action.
    Parameter(&'a str),
}

/// The content of a secret, in its newest revision.
///
/// # Errors
/// A [`Problem`] when it is not granted or does not exist; otherwise, how the tool failed.
pub fn secret_get(
    of: SecretOf<'_>,
    id: &str,
    application: &str,
) -> Result<BTreeMap<String, String>> {
    let (SecretOf::Option(name) | SecretOf::Parameter(name)) = of;
    let output = tool("secret-get")
        .args([id, "--refresh", "--format=json"])
        .output()?;
    if output.code == Some(0) {
        // The parser's message could quote the secret.
        return serde_json::from_slice(&output.stdout)
            .ok()
            .context("secret-get printed no JSON object of strings");
    }
    let stderr = output.stderr.to_lowercase();
    if stderr.contains("permission denied") {
        return Err(Problem::blocked(format!(
            "{name} {id} is not granted; run: juju grant-secret {id} {application}"
        ))
        .into());
    }
    // What a person types into an action may not even look like one.
    if stderr.contains("not found") || stderr.contains("not valid") {
        let remedy = match of {
            SecretOf::Option(name) => format!("run: juju config {application} {name}=secret:ID"),
            SecretOf::Parameter(name) => format!("run the action with {name}=secret:ID"),
        };
        return Err(Problem::blocked(format!(
            "{name} {id} does not exist; {remedy} with a secret that does (see: juju secrets)"
        ))
        .into());
    }
    anyhow::bail!(output.failure())
}

/// What Juju says of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    /// It was given.
    File(PathBuf),
    /// It was not given, which is what an empty file means too.
    Absent,
    /// Juju does not know now, for this reason: its download from the controller failed.
    Unknown(String),
}

/// Asks for a resource.
///
/// # Errors
/// When the tool cannot be run, or what it names cannot be looked at.
pub fn resource_get(name: &str) -> Result<Resource> {
    let output = Run::output(command::run_inherited("resource-get", RESOURCE_LIMIT).arg(name))?;
    if output.code != Some(0) {
        return Ok(match output.stderr.contains("not found") {
            true => Resource::Absent,
            false => Resource::Unknown(output.failure().to_string()),
        });
    }
    let path = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    let meta = path
        .metadata()
        .with_context(|| format!("looking at resource {name}"))?;
    Ok(match meta.len() {
        0 => Resource::Absent,
        _ => Resource::File(path),
    })
}

/// Sets the unit's status.
///
/// # Errors
/// When the tool fails.
pub fn status_set(status: &str, message: &str) -> Result<()> {
    silent(tool("status-set").args(["--", status, message]))
}

/// Says which version of the workload is running.
///
/// # Errors
/// When the tool fails.
pub fn application_version_set(version: &str) -> Result<()> {
    silent(tool("application-version-set").args(["--", version]))
}

/// Writes a line to Juju's log.
///
/// # Errors
/// When the tool fails.
pub fn juju_log(level: &str, line: &str) -> Result<()> {
    silent(tool("juju-log").args(["--log-level", level, "--", line]))
}

/// The parameters of the action that is running.
///
/// # Errors
/// When the tool fails.
pub fn action_get() -> Result<BTreeMap<String, Value>> {
    json(tool("action-get").arg("--format=json"))
}

/// Sets results of the action that is running.
///
/// # Errors
/// When the tool fails.
pub fn action_set(results: &[(&str, String)]) -> Result<()> {
    silent(
        tool("action-set")
            .arg("--")
            .args(results.iter().map(|(key, value)| format!("{key}={value}"))),
    )
}

/// Tells whoever waits for the action how far it is.
///
/// # Errors
/// When the tool fails.
pub fn action_log(message: &str) -> Result<()> {
    silent(tool("action-log").args(["--", message]))
}

/// Makes the action that is running a failed one.
///
/// # Errors
/// When the tool fails.
pub fn action_fail(message: &str) -> Result<()> {
    silent(tool("action-fail").args(["--", message]))
}

/// Whose data bag in a relation.
#[derive(Debug, Clone, Copy)]
pub enum Bag<'a> {
    /// This unit's.
    Unit(&'a str),
    /// This application's; only its leader may write it.
    Application(&'a str),
}

/// The relations of an endpoint, by their ids.
///
/// # Errors
/// When the tool fails.
pub fn relation_ids(endpoint: &str) -> Result<Vec<String>> {
    json(tool("relation-ids").args([endpoint, "--format=json"]))
}

/// The units on the other side of a relation: of a peer relation, the other units.
///
/// # Errors
/// When the tool fails.
pub fn relation_list(relation: &str) -> Result<Vec<String>> {
    json(tool("relation-list").args(["-r", relation, "--format=json"]))
}

/// A key of a data bag; `None` when it is unset.
///
/// # Errors
/// When the tool fails.
pub fn relation_get(relation: &str, bag: Bag<'_>, key: &str) -> Result<Option<String>> {
    let run = tool("relation-get").args(["-r", relation, "--format=json"]);
    json(match bag {
        Bag::Unit(unit) => run.args(["--", key, unit]),
        Bag::Application(name) => run.args(["--app", "--", key, name]),
    })
}

/// Sets a key of this unit's or this application's data bag, as soon as the hook has ended well.
///
/// # Errors
/// When the tool fails.
pub fn relation_set(relation: &str, bag: Bag<'_>, key: &str, value: &str) -> Result<()> {
    let run = tool("relation-set").args(["-r", relation]);
    let run = match bag {
        Bag::Unit(_) => run,
        Bag::Application(_) => run.arg("--app"),
    };
    silent(run.arg("--").arg(format!("{key}={value}")))
}

/// Whether this unit is its application's leader.
///
/// # Errors
/// When the tool fails.
pub fn is_leader() -> Result<bool> {
    json(tool("is-leader").arg("--format=json"))
}

/// The units that there are and will be: the application's own as far as it is told of them, and
/// those on the other side of each endpoint, where the applications stand beside their units.
#[derive(Debug, Default, Deserialize)]
pub struct GoalState {
    #[serde(default)]
    relations: BTreeMap<String, BTreeMap<String, Goal>>,
}

#[derive(Debug, Deserialize)]
struct Goal {
    status: String,
}

impl GoalState {
    /// The units on the other side of an endpoint.
    pub fn units(&self, endpoint: &str) -> Vec<&str> {
        self.which(endpoint, |_| true)
    }

    /// Those of them that are not on their way out.
    pub fn staying(&self, endpoint: &str) -> Vec<&str> {
        self.which(endpoint, |goal| goal.status != "dying")
    }

    fn which(&self, endpoint: &str, of: impl Fn(&Goal) -> bool) -> Vec<&str> {
        let all = self.relations.get(endpoint).into_iter().flatten();
        all.filter(|(name, goal)| name.contains('/') && of(goal))
            .map(|(name, _)| name.as_str())
            .collect()
    }
}

/// What Juju says there is and will be.
///
/// # Errors
/// When the tool fails.
pub fn goal_state() -> Result<GoalState> {
    json(tool("goal-state").arg("--format=json"))
}

/// The application's status and its message; only the leader may ask.
///
/// # Errors
/// When the tool fails.
pub fn application_status() -> Result<(String, String)> {
    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    struct Shown {
        application_status: Status,
    }
    #[derive(Deserialize)]
    struct Status {
        status: String,
        #[serde(default)]
        message: String,
    }
    let run = tool("status-get").args(["--application", "--include-data", "--format=json"]);
    let shown: Shown = json(run)?;
    let Status { status, message } = shown.application_status;
    Ok((status, message))
}

/// Sets the application's status; only the leader may.
///
/// # Errors
/// When the tool fails.
pub fn application_status_set(status: &str, message: &str) -> Result<()> {
    silent(tool("status-set").args(["--application", "--", status, message]))
}

fn tool(name: &str) -> Run {
    command::run_inherited(name, LIMIT)
}

fn silent(run: Run) -> Result<()> {
    run.stdout().map(drop)
}

fn json<T: serde::de::DeserializeOwned>(run: Run) -> Result<T> {
    let printed = run.stdout()?;
    serde_json::from_slice(&printed).context("a hook tool printed other JSON than Juju documents")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_goal_state_of_a_subordinate_has_its_principals_units() {
        // In the shape of Juju 3.6: applications stand beside units, and its own like are left out.
        let printed = r#"{"units": {}, "relations": {"magnum": {
            "magnum": {"status": "joined", "since": "2026-01-01 00:00:00Z"},
            "magnum/0": {"status": "active", "since": "2026-01-01 00:00:00Z"},
            "magnum/10": {"status": "dying", "since": "2026-01-01 00:00:00Z"}}}}"#;
        let goal: GoalState = serde_json::from_str(printed).unwrap();
        assert_eq!(goal.units("magnum"), ["magnum/0", "magnum/10"]);
        assert_eq!(goal.staying("magnum"), ["magnum/0"]);
        assert_eq!(goal.units("other"), [""; 0]);
    }
}
