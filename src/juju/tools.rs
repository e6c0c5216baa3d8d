//! Juju's hook tools: one function for each, invoking it and parsing what it prints.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
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

/// The file of a resource; `None` when it was not given, which is what an empty file means too.
///
/// # Errors
/// When the tool cannot be run, or what it names cannot be looked at.
pub fn resource_get(name: &str) -> Result<Option<PathBuf>> {
    let output = Run::output(command::run_inherited("resource-get", RESOURCE_LIMIT).arg(name))?;
    if output.code != Some(0) {
        return Ok(None);
    }
    let path = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    let meta = path
        .metadata()
        .with_context(|| format!("looking at resource {name}"))?;
    Ok((meta.len() > 0).then_some(path))
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
