//! Packages of the operating system, by apt: only what the charm cannot do without.

use std::time::Duration;

use anyhow::{Context, Result};
use tracing::info;

use super::{command, state};

/// Fetching and unpacking a few packages on a slow machine, after waiting for dpkg's lock.
const LIMIT: Duration = Duration::from_secs(900);
/// How long to wait for whoever holds dpkg's lock (the principal, unattended upgrades), in seconds.
const LOCK: &str = "DPkg::Lock::Timeout=600";
const QUERY_LIMIT: Duration = Duration::from_secs(60);
/// What was installed by the charm, for its departure.
const RECORD: &str = "packages.json";

/// Installs `package` and what it depends on, and remembers what came new.
///
/// # Errors
/// When apt fails.
pub fn install(package: &str, proxy: &[(String, String)]) -> Result<()> {
    info!("install the package {package}");
    let before = installed()?;
    let apt = |simulate: &str| {
        let apt = command::run_tied("apt-get", LIMIT)
            .args(["install", "--yes", "--quiet", "--no-install-recommends"])
            .args([simulate, "-o", LOCK, "--", package])
            .env("DEBIAN_FRONTEND", "noninteractive");
        let proxied = |apt: command::Run, (name, value): &(String, String)| apt.env(name, value);
        proxy
            .iter()
            .fold(apt, proxied)
            .stdout()
            .with_context(|| format!("installing the package {package}"))
    };
    // Known before the first comes in, lest a killed hook forget one.
    let planned = apt("--simulate")?;
    let mut ours: Vec<String> = state::load(RECORD)?.unwrap_or_default();
    for name in named_in(&planned, &["Inst "]) {
        if !before.contains(&name) && !ours.contains(&name) {
            ours.push(name);
        }
    }
    state::save(RECORD, &ours)?;
    apt("--no-simulate").map(drop)
}

/// Removes what [`install`] brought, unless something else has come to need it.
///
/// # Errors
/// When apt fails.
pub fn remove_ours() -> Result<()> {
    let recorded: Vec<String> = state::load(RECORD)?.unwrap_or_default();
    if recorded.is_empty() {
        return Ok(());
    }
    // A newer release may have dropped some, and apt fails at names that it does not know.
    let present = installed()?;
    let ours: Vec<String> = recorded
        .into_iter()
        .filter(|name| present.contains(name))
        .collect();
    if ours.is_empty() {
        return Ok(());
    }
    let purge = |simulate: &str| {
        command::run_tied("apt-get", LIMIT)
            .args(["purge", "--yes", "--quiet", simulate, "-o", LOCK, "--"])
            .args(&ours)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdout()
    };
    let planned = purge("--simulate")?;
    if named_in(&planned, &["Purg ", "Remv "])
        .iter()
        .any(|name| !ours.contains(name))
    {
        info!("leave {}: other packages need them now", ours.join(" "));
        return Ok(());
    }
    info!("remove the packages {}", ours.join(" "));
    purge("--no-simulate")
        .context("removing packages")
        .map(drop)
}

/// The packages of a simulation's lines that begin like this.
fn named_in(simulation: &[u8], beginnings: &[&str]) -> Vec<String> {
    let text = String::from_utf8_lossy(simulation);
    text.lines()
        .filter_map(|line| beginnings.iter().find_map(|word| line.strip_prefix(word)))
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

fn installed() -> Result<Vec<String>> {
    let printed = command::run("dpkg-query", QUERY_LIMIT)
        .args(["--show", "--showformat=${db:Status-Abbrev} ${Package}\\n"])
        .stdout()?;
    Ok(String::from_utf8_lossy(&printed)
        .lines()
        .filter_map(|line| line.strip_prefix("ii "))
        .map(|name| name.trim().to_owned())
        .collect())
}
