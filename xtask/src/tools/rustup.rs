//! The parts of the Rust toolchain that a fresh machine may lack.

use std::process::Command;

use anyhow::{Context, Result};

use crate::exec::CommandExt as _;

/// Makes sure that `cargo <verb>` works, adding rustup's `component` when it does not.
///
/// # Errors
///
/// When the component is absent and rustup cannot add it.
pub fn ensure(component: &str, verb: &str) -> Result<()> {
    let works = Command::new("cargo").args([verb, "--version"]).capture();
    if works.is_ok() {
        return Ok(());
    }
    println!("`cargo {verb}` is absent: adding rustup's component {component}");
    Command::new("rustup")
        .args(["component", "add", component])
        .show()
        .with_context(|| format!("install {component} for this toolchain"))
}
