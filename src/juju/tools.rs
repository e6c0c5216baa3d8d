//! Juju's hook tools: one function for each, invoking it and parsing what it prints. Those that send a text escape and
//! cut it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::settings::RawConfig;
use crate::escape::{self, ARGUMENT_BYTES};
use crate::problem::Problem;
use crate::system::{Command, Secret, System, limits};

/// A hook tool asks the agent on this machine, which may ask the controller.
const LIMIT: Duration = Duration::from_secs(60);
/// A resource may have to be downloaded from the controller first.
const RESOURCE_LIMIT: Duration = Duration::from_secs(300);
/// Linux takes no longer path, in bytes.
const LONGEST_PATH: usize = 4096;

/// Returns all options that are set or have a default.
///
/// # Errors
/// If the tool fails.
pub fn config_get(system: &System) -> Result<RawConfig> {
    json(system, &tool("config-get").args(["--all", "--format=json"]))
}

/// The values of a secret, by its keys.
pub type SecretContent = BTreeMap<String, Secret<String>>;

/// Returns the content of a secret in its newest revision. `name` is the option or parameter that names it, and `again`
/// how to name another.
///
/// # Errors
/// A [`Problem`] if it is not granted, does not exist or is too large; otherwise, how the tool failed.
pub fn secret_get(system: &System, name: &str, id: &str, application: &str, again: &str) -> Result<SecretContent> {
    let output = system.run(&tool("secret-get").args(["--refresh", "--format=json", "--", id]))?;
    if output.code == Some(0) {
        if output.stdout.len() > limits::MOST_BYTES {
            let most = format!(
                "{id} has more than {} MiB; {again} {name}=secret:ID with a smaller one",
                limits::MOST_BYTES >> 20
            );
            return Err(Problem::blocked(format!("Secret of {name} is too large"), most).into());
        }
        // The parser's message could quote the secret.
        return limits::json(&output.stdout).ok().context("secret-get printed no JSON object of strings");
    }
    let stderr = output.stderr.to_lowercase();
    let (wrong, detail) = if stderr.contains("permission denied") {
        let remedy = format!("juju grant-secret {id} {application}");
        ("not granted: run juju grant-secret", format!("{id} is not granted to this application; run: {remedy}"))
    } else if stderr.contains("not found") || stderr.contains("not valid") {
        // What a person types into an action may not even look like one.
        let remedy = format!("{again} {name}=secret:ID with a secret that does (see: juju secrets)");
        ("does not exist", format!("{id} does not exist; {remedy}"))
    } else {
        anyhow::bail!(output.failure())
    };
    Err(Problem::blocked(format!("Secret of {name} {wrong}"), detail).into())
}

/// Returns the file of a resource; `None` if it is not attached, or empty, which means the same.
///
/// # Errors
/// If Juju cannot say now: its download from the controller may have failed.
pub fn resource_get(system: &System, name: &str) -> Result<Option<PathBuf>> {
    let output = system.run(&Command::inheriting("resource-get", RESOURCE_LIMIT).arg(name))?;
    if output.code != Some(0) {
        anyhow::ensure!(output.stderr.contains("not found"), output.failure());
        return Ok(None);
    }
    anyhow::ensure!(output.stdout.len() <= LONGEST_PATH, "resource-get printed no path of {name}");
    let path = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    let meta = system.root.metadata(&path)?;
    let meta = meta.with_context(|| format!("resource {name} is not at {}", path.display()))?;
    Ok((meta.len() > 0).then_some(path))
}

/// Sets the unit's status.
///
/// # Errors
/// If the tool fails.
pub fn status_set(system: &System, status: &str, message: &str) -> Result<()> {
    silent(system, &tool("status-set").args(["--", status, &escape::status(message)]))
}

/// Sets the workload's version.
///
/// # Errors
/// If the tool fails.
pub fn application_version_set(system: &System, version: &str) -> Result<()> {
    silent(system, &tool("application-version-set").args(["--", &escape::status(version)]))
}

/// Writes an entry to Juju's log.
///
/// # Errors
/// If the tool fails.
pub fn juju_log(system: &System, level: &str, text: &str) -> Result<()> {
    silent(system, &tool("juju-log").args(["--log-level", level, "--", &escape::log(text)]))
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
    let most = |key: &str| ARGUMENT_BYTES - key.len() - 1;
    let results = results.iter().map(|(key, value)| format!("{key}={}", escape::report(value, most(key))));
    silent(system, &tool("action-set").arg("--").args(results))
}

/// Adds a line to the action's progress log.
///
/// # Errors
/// If the tool fails.
pub fn action_log(system: &System, message: &str) -> Result<()> {
    silent(system, &tool("action-log").args(["--", &escape::log(message)]))
}

/// Marks the action that is running as failed.
///
/// # Errors
/// If the tool fails.
pub fn action_fail(system: &System, message: &str) -> Result<()> {
    silent(system, &tool("action-fail").args(["--", &escape::report(message, ARGUMENT_BYTES)]))
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

/// Returns the value of a key in the data bag of a unit or an application; `None` if it is unset.
///
/// # Errors
/// If the tool fails.
pub fn relation_get(system: &System, relation: &str, owner: &str, key: &str) -> Result<Option<String>> {
    json(system, &on_bag("relation-get", relation, owner).args(["--format=json", "--", key, owner]))
}

/// Sets a key in the data bag of this unit, or of its application, which only the leader may. Juju keeps it only if the
/// hook succeeds.
///
/// # Errors
/// If the tool fails.
pub fn relation_set(system: &System, relation: &str, owner: &str, key: &str, value: &str) -> Result<()> {
    silent(system, &on_bag("relation-set", relation, owner).arg("--").arg(format!("{key}={value}")))
}

/// Begins a command on a data bag. Only a unit's name has a slash.
fn on_bag(name: &str, relation: &str, owner: &str) -> Command {
    tool(name).args(["-r", relation]).args((!owner.contains('/')).then_some("--app"))
}

/// Whether this unit is its application's leader.
///
/// # Errors
/// If the tool fails.
pub fn is_leader(system: &System) -> Result<bool> {
    json(system, &tool("is-leader").arg("--format=json"))
}

/// Returns the units on the other side of an endpoint, those that there are and will be, with their statuses in Juju's
/// goal state.
///
/// # Errors
/// If the tool fails.
pub fn goal_units(system: &System, endpoint: &str) -> Result<BTreeMap<String, String>> {
    let goal: Value = json(system, &tool("goal-state").arg("--format=json"))?;
    let related = goal["relations"][endpoint].as_object().into_iter().flatten();
    let status = |goal: &Value| goal["status"].as_str().unwrap_or_default().to_owned();
    // Among the units stand their applications.
    Ok(related.filter(|(name, _)| name.contains('/')).map(|(name, goal)| (name.clone(), status(goal))).collect())
}

/// Returns the application's status and its message; only the leader may ask.
///
/// # Errors
/// If the tool fails.
pub fn application_status(system: &System) -> Result<(String, String)> {
    let run = tool("status-get").args(["--application", "--include-data", "--format=json"]);
    let shown: Value = json(system, &run)?;
    let text = |key: &str| shown["application-status"][key].as_str().unwrap_or_default().to_owned();
    Ok((text("status"), text("message")))
}

/// Sets the application's status; only the leader may.
///
/// # Errors
/// If the tool fails.
pub fn application_status_set(system: &System, status: &str, message: &str) -> Result<()> {
    silent(system, &tool("status-set").args(["--application", "--", status, &escape::status(message)]))
}

fn tool(name: &str) -> Command {
    Command::inheriting(name, LIMIT)
}

fn silent(system: &System, command: &Command) -> Result<()> {
    system.stdout(command).map(drop)
}

fn json<T: serde::de::DeserializeOwned>(system: &System, command: &Command) -> Result<T> {
    let printed = system.stdout(command)?;
    let parsed = limits::json(&printed);
    parsed.with_context(|| format!("{} printed other JSON than Juju documents", command.name()))
}

#[cfg(test)]
mod tests {
    use crate::system::testing::{Programs, Scratch};

    use super::*;

    #[test]
    fn a_secret_that_is_too_large_is_named_with_the_limit_and_a_remedy() {
        let printed = format!(r#"{{"kubeconfig": "{}"}}"#, "x".repeat(limits::MOST_BYTES));
        let system = Scratch::new().system(move |_| Some(printed.clone()));
        let read = secret_get(&system, "kubeconfig", "secret:x", "capi", "run: juju config capi");
        let problem: Problem = read.unwrap_err().downcast().unwrap();
        let expected = "Secret of kubeconfig is too large: secret:x has more than 2 MiB; run: juju config capi \
                        kubeconfig=secret:ID with a smaller one";
        assert_eq!(problem.to_string(), expected);
    }

    #[test]
    fn the_goal_state_of_a_subordinate_has_its_principals_units() {
        // In the shape of Juju 3.6: applications stand beside units, and its own like are left out.
        let printed = r#"{"units": {}, "relations": {"magnum": {
            "magnum": {"status": "joined", "since": "2026-01-01 00:00:00Z"},
            "magnum/0": {"status": "active", "since": "2026-01-01 00:00:00Z"},
            "magnum/10": {"status": "dying", "since": "2026-01-01 00:00:00Z"}}}}"#;
        let system = Scratch::new().system(|_| Some(printed.to_owned()));
        let units = goal_units(&system, "magnum").unwrap();
        let statuses = [("magnum/0", "active"), ("magnum/10", "dying")];
        assert_eq!(units, statuses.map(|(unit, status)| (unit.to_owned(), status.to_owned())).into());
        assert_eq!(goal_units(&system, "other").unwrap().len(), 0);
    }

    #[test]
    fn no_text_leaves_as_it_came_or_longer_than_an_argument() {
        let text = "\u{1b}[2J\u{202e}\r".repeat(200_000);
        let programs = Programs::new(|_| Some(String::new()));
        let ran = programs.ran.clone();
        let system = System::new(Scratch::new().root, programs);
        status_set(&system, "active", &text).unwrap();
        application_status_set(&system, "active", &text).unwrap();
        application_version_set(&system, &text).unwrap();
        juju_log(&system, "INFO", &text).unwrap();
        action_set(&system, &[("report", text.clone())]).unwrap();
        action_log(&system, &text).unwrap();
        action_fail(&system, &text).unwrap();
        let mut longest = Vec::new();
        for line in ran.lock().unwrap().iter() {
            let (tool, sent) = line.split_once("-- ").unwrap();
            let is_harmless = |c: char| !c.is_control() && c != '\u{202e}';
            assert!(sent.contains("\\u001b[2J\\u202e\\r") && sent.chars().all(is_harmless), "{tool}");
            assert!(sent.len() <= ARGUMENT_BYTES, "{tool}: {}", sent.len());
            longest.push(sent.len() / 100);
        }
        // A status has 80 characters and says before that what it is; "…" has three bytes.
        assert_eq!(longest, [0, 0, 0, 39, 1310, 39, 1310]);
    }
}
