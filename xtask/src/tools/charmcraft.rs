//! charmcraft as a judge of what was packed. It packs charms on Ubuntu hosts only, but judges them anywhere.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::python;
use crate::exec::CommandExt as _;
use crate::workspace::Workspace;

const PACKAGE: &str = "charmcraft==4.5.0";

/// Runs charmcraft's linters on a packed charm. Warnings count as failures.
///
/// # Errors
///
/// When charmcraft is absent and cannot be installed, or finds fault.
pub fn analyse(workspace: &Workspace, charm: &Path) -> Result<()> {
    charmcraft(workspace)?
        .arg("analyse")
        .arg(charm)
        .show()
        .context("charmcraft finds fault with the packed charm")
}

/// Checks charmcraft.yaml with charmcraft's own models: expanding extensions loads the whole project, the
/// files beside it too, and needs no build machine.
///
/// # Errors
///
/// When charmcraft is absent and cannot be installed, or refuses the project.
pub fn check_project(workspace: &Workspace) -> Result<()> {
    charmcraft(workspace)?
        .arg("expand-extensions")
        .show_and_capture()
        .context("charmcraft refuses charmcraft.yaml or a file beside it")?;
    println!("charmcraft accepts charmcraft.yaml");
    Ok(())
}

/// charmcraft in the project, with its logs and sockets kept out of the user's home.
fn charmcraft(workspace: &Workspace) -> Result<Command> {
    let bin = python::environment(workspace, &[PACKAGE])?;
    let state = workspace.tools_dir().join("charmcraft-state");
    // Sockets are only made in a directory that is closed to others.
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&state)
        .with_context(|| format!("creating {}", state.display()))?;
    let mut command = Command::new(bin.join("charmcraft"));
    command
        .current_dir(workspace.root())
        .env("XDG_STATE_HOME", &state)
        .env("XDG_RUNTIME_DIR", &state);
    Ok(command)
}
