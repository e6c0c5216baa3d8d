//! `cargo xtask audit`: what the project depends on, checked against `deny.toml` by cargo-deny.
//!
//! Not among the stages of `test`: the tool itself takes minutes to build, and the answer changes with `Cargo.lock`
//! and with RustSec's advisories only.

use anyhow::Result;

use crate::tools;
use crate::workspace::Workspace;

#[derive(Debug, clap::Args)]
pub struct Options {
    /// Checks RustSec's advisories too, which are fetched from GitHub
    #[arg(long)]
    advisories: bool,
}

pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let mut checks = vec!["bans", "licenses", "sources"];
    checks.extend(options.advisories.then_some("advisories"));
    tools::cargo_deny(workspace, &checks)
}
