//! Juju's hook tools: one function for each, invoking it and parsing what it prints.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::Value;

use super::settings::RawConfig;
use crate::problem::Problem;
use crate::system::{Command, Secret, System};

/// A hook tool asks the agent on this machine, which may ask the controller.
const LIMIT: Duration = Duration::from_secs(60);
/// A resource may have to be downloaded from the controller first.
const RESOURCE_LIMIT: Duration = Duration::from_secs(300);

/// Returns all options that are set or have a default.
///
/// # Errors
/// If the tool fails.
pub fn config_get(system: &System) -> Result<RawConfig> {
    json(system, &tool("config-get").args(["--all", "--format=json"]))
}

/// Where the operator names a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretOf<'a> {
    Option(&'a str),
    /// A parameter of an action.
    Parameter(&'a str),
}

/// Returns the content of a secret in its newest revision.
///
/// # Errors
/// A [`Problem`] if it is not granted or does not exist; otherwise, how the tool failed.
pub fn secret_get(
    system: &System,
    of: SecretOf<'_>,
    id: &str,
    application: &str,
) -> Result<BTreeMap<String, Secret<String>>> {
    let (SecretOf::Option(name) | SecretOf::Parameter(name)) = of;
    let output = system.run(&tool("secret-get").args(["--refresh", "--format=json", "--", id]))?;
    if output.code == Some(0) {
        // The parser's message could quote the secret.
        return serde_json::from_slice(&output.stdout).ok().context("secret-get printed no JSON object of strings");
    }
    let stderr = output.stderr.to_lowercase();
    if stderr.contains("permission denied") {
        return Err(Problem::blocked(
            format!("Secret of {name} not granted: run juju grant-secret"),
            format!("{id} is not granted to this application; run: juju grant-secret {id} {application}"),
        )
        .into());
    }
    // What a person types into an action may not even look like one.
    if stderr.contains("not found") || stderr.contains("not valid") {
        let remedy = match of {
            SecretOf::Option(name) => format!("run: juju config {application} {name}=secret:ID"),
            SecretOf::Parameter(name) => format!("run the action with {name}=secret:ID"),
        };
        return Err(Problem::blocked(
            format!("Secret of {name} does not exist"),
            format!("{id} does not exist; {remedy} with a secret that does (see: juju secrets)"),
        )
        .into());
    }
    anyhow::bail!(output.failure())
}

/// A resource as Juju has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    File(PathBuf),
    /// Not attached, or an empty file, which means the same.
    Absent,
    /// Juju cannot say now, for this reason: its download from the controller failed.
    Unknown(String),
}

/// Asks for a resource.
///
/// # Errors
/// If the tool cannot be run, or its file cannot be looked at.
pub fn resource_get(system: &System, name: &str) -> Result<Resource> {
    let output = system.run(&Command::inheriting("resource-get", RESOURCE_LIMIT).arg(name))?;
    if output.code != Some(0) {
        return Ok(match output.stderr.contains("not found") {
            true => Resource::Absent,
            false => Resource::Unknown(output.failure()),
        });
    }
    let path = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    let meta = system.root.metadata(&path)?;
    let meta = meta.with_context(|| format!("resource {name} is not at {}", path.display()))?;
    Ok(match meta.len() {
        0 => Resource::Absent,
        _ => Resource::File(path),
    })
}

/// Sets the unit's status.
///
/// # Errors
/// If the tool fails.
pub fn status_set(system: &System, status: &str, message: &str) -> Result<()> {
    silent(system, &tool("status-set").args(["--", status, message]))
}

/// Sets the workload's version.
///
/// # Errors
/// If the tool fails.
pub fn application_version_set(system: &System, version: &str) -> Result<()> {
    silent(system, &tool("application-version-set").args(["--", version]))
}

/// Writes a line to Juju's log.
///
/// # Errors
/// If the tool fails.
pub fn juju_log(system: &System, level: &str, line: &str) -> Result<()> {
    silent(system, &tool("juju-log").args(["--log-level", level, "--", line]))
}

/// Returns the parameters of the action that is running.
///
/// # Errors
/// If the tool fails.
pub fn action_get(system: &System) -> Result<BTreeMap<String, Value>> {
    json(system, &tool("action-get").arg("--format=json"))
}

/// Sets results of the action that is running.
///
/// # Errors
/// If the tool fails.
pub fn action_set(system: &System, results: &[(&str, String)]) -> Result<()> {
    let results = results.iter().map(|(key, value)| format!("{key}={value}"));
    silent(system, &tool("action-set").arg("--").args(results))
}

/// Adds a line to the action's progress log.
///
/// # Errors
/// If the tool fails.
pub fn action_log(system: &System, message: &str) -> Result<()> {
    silent(system, &tool("action-log").args(["--", message]))
}

/// Marks the action that is running as failed.
///
/// # Errors
/// If the tool fails.
pub fn action_fail(system: &System, message: &str) -> Result<()> {
    silent(system, &tool("action-fail").args(["--", message]))
}

/// A data bag of a relation.
#[derive(Debug, Clone, Copy)]
pub enum Bag<'a> {
    Unit(&'a str),
    /// Only the leader may write it.
    Application(&'a str),
}

/// Returns the ids of an endpoint's relations.
///
/// # Errors
/// If the tool fails.
pub fn relation_ids(system: &System, endpoint: &str) -> Result<Vec<String>> {
    json(system, &tool("relation-ids").args([endpoint, "--format=json"]))
}

/// Returns the remote units of a relation; of a peer relation, the other units.
///
/// # Errors
/// If the tool fails.
pub fn relation_list(system: &System, relation: &str) -> Result<Vec<String>> {
    json(system, &tool("relation-list").args(["-r", relation, "--format=json"]))
}

/// Returns the value of a key in a data bag; `None` if it is unset.
///
/// # Errors
/// If the tool fails.
pub fn relation_get(system: &System, relation: &str, bag: Bag<'_>, key: &str) -> Result<Option<String>> {
    let run = tool("relation-get").args(["-r", relation, "--format=json"]);
    let run = match bag {
        Bag::Unit(unit) => run.args(["--", key, unit]),
        Bag::Application(name) => run.args(["--app", "--", key, name]),
    };
    json(system, &run)
}

/// Sets a key in this unit's or application's data bag. Juju keeps it only if the hook succeeds.
///
/// # Errors
/// If the tool fails.
pub fn relation_set(system: &System, relation: &str, bag: Bag<'_>, key: &str, value: &str) -> Result<()> {
    let run = tool("relation-set").args(["-r", relation]);
    let run = match bag {
        Bag::Unit(_) => run,
        Bag::Application(_) => run.arg("--app"),
    };
    silent(system, &run.arg("--").arg(format!("{key}={value}")))
}

/// Whether this unit is its application's leader.
///
/// # Errors
/// If the tool fails.
pub fn is_leader(system: &System) -> Result<bool> {
    json(system, &tool("is-leader").arg("--format=json"))
}

/// Juju's goal state: the units that there are and will be. Among a relation's units stand their applications.
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
    /// Returns the units on the other side of an endpoint.
    pub fn units(&self, endpoint: &str) -> Vec<&str> {
        self.which(endpoint, |_| true)
    }

    /// Returns those that are not being removed.
    pub fn staying(&self, endpoint: &str) -> Vec<&str> {
        self.which(endpoint, |goal| goal.status != "dying")
    }

    fn which(&self, endpoint: &str, of: impl Fn(&Goal) -> bool) -> Vec<&str> {
        let all = self.relations.get(endpoint).into_iter().flatten();
        all.filter(|(name, goal)| name.contains('/') && of(goal)).map(|(name, _)| name.as_str()).collect()
    }
}

/// Returns the goal state.
///
/// # Errors
/// If the tool fails.
pub fn goal_state(system: &System) -> Result<GoalState> {
    json(system, &tool("goal-state").arg("--format=json"))
}

/// Returns the application's status and its message; only the leader may ask.
///
/// # Errors
/// If the tool fails.
pub fn application_status(system: &System) -> Result<(String, String)> {
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
    let shown: Shown = json(system, &run)?;
    let Status { status, message } = shown.application_status;
    Ok((status, message))
}

/// Sets the application's status; only the leader may.
///
/// # Errors
/// If the tool fails.
pub fn application_status_set(system: &System, status: &str, message: &str) -> Result<()> {
    silent(system, &tool("status-set").args(["--application", "--", status, message]))
}

fn tool(name: &str) -> Command {
    Command::inheriting(name, LIMIT)
}

fn silent(system: &System, command: &Command) -> Result<()> {
    system.stdout(command).map(drop)
}

fn json<T: serde::de::DeserializeOwned>(system: &System, command: &Command) -> Result<T> {
    let printed = system.stdout(command)?;
    let parsed = serde_json::from_slice(&printed);
    parsed.with_context(|| format!("{} printed other JSON than Juju documents", command.name()))
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
