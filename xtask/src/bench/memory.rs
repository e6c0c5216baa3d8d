//! How much memory a hook needs at most, read from its process while it runs.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use lab::Unit;

/// The name of the charm's program while it runs as a hook.
const PROGRAM: &str = "dispatch";

/// The peak of the resident memory of the charm's process, in MB.
///
/// # Errors
///
/// When the hook fails, or was too quick to be seen.
pub fn peak_of_hook(unit: &Unit, hook: &str) -> Result<f64> {
    let namespace = fs::read_link(format!("/proc/{}/ns/pid", unit.machine().leader()))
        .context("looking for the unit's processes")?;
    let mut process = None;
    let mut peak = None;
    // Asked over and over while the hook runs; it is never killed.
    let run = unit.kill_hook_when(hook, |_| {
        process = process.take().or_else(|| find(&namespace));
        if let Some(found) = process.as_deref().and_then(high_water) {
            peak = Some(found);
        }
        false
    })?;
    run.expect_ok()?;
    let kibibytes = peak.context("the hook was over before its process was seen")?;
    Ok(kibibytes * 1024.0 / 1e6)
}

/// The charm's process on the unit with this PID namespace.
fn find(namespace: &Path) -> Option<String> {
    let mut processes = fs::read_dir("/proc").ok()?.flatten();
    processes.find_map(|entry| {
        let path = entry.path();
        let name = fs::read_to_string(path.join("comm")).ok()?;
        let is_it = name.trim() == PROGRAM && fs::read_link(path.join("ns/pid")).ok()? == namespace;
        is_it.then(|| path.display().to_string())
    })
}

/// `VmHWM` in KiB (proc(5)).
fn high_water(process: &str) -> Option<f64> {
    let status = fs::read_to_string(format!("{process}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}
