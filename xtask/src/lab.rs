//! The lab's side of `cargo xtask test`: makes sure that a real unit can be booted and hands the tests what they put
//! on it.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::binary::{self, Link, Program};
use crate::exec::CommandExt as _;
use crate::workspace::Workspace;

/// The program that plays Juju's hook tools inside the unit. It runs there, so it is built as portably as the charm.
const JUJU_TOOL: Program = Program {
    package: "lab",
    bin: "juju-tool",
};

/// Brings the lab to where a test can boot a unit: the host's tools, the root, its cache.
///
/// # Errors
///
/// Always, until the lab is built. To become one call into the crate `lab`.
fn make_ready(_workspace: &Workspace) -> Result<()> {
    bail!("the lab is not built yet")
}

/// Runs every test of the workspace, those that boot a unit too, against the packed `charm`.
///
/// # Errors
///
/// When the lab cannot be made ready or a test fails.
pub fn test(workspace: &Workspace, charm: &Path) -> Result<()> {
    let juju_tool = binary::build(workspace, JUJU_TOOL, Link::HostFirst)?;
    make_ready(workspace)?;
    Command::new("cargo")
        .current_dir(workspace.root())
        .args(["test", "--workspace", "--locked", "--", "--include-ignored"])
        .env("LAB_CHARM", charm)
        .env("LAB_JUJU_TOOL", juju_tool.path)
        .show()
}
