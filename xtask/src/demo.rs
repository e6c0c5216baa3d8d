//! `cargo xtask demo`. Plays the whole story on a unit of the lab: deploy, grant, active, drift repaired, remove.

use anyhow::{Result, bail};

/// Runs the demo.
///
/// # Errors
///
/// Always, until it is built.
pub fn run(_args: lexopt::Parser) -> Result<()> {
    bail!("the demo is not built yet")
}
