//! `cargo xtask bench`. Measures what the charm costs a unit: time and memory of a hook with and without work.

use anyhow::{Result, bail};

/// Runs the benchmark.
///
/// # Errors
///
/// Always, until it is built.
pub fn run(_args: lexopt::Parser) -> Result<()> {
    bail!("the benchmark is not built yet")
}
