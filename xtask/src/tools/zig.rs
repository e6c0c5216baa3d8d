//! zig as a linker: it brings the stubs of every glibc release, so that the result runs on older machines.
//!
//! Both packages carry ready-made programs, so that installing them takes seconds.

use std::process::Command;

use anyhow::{Context, Result};

use super::python;
use crate::workspace::Workspace;

/// Tried together; zig's releases break callers now and then.
const PACKAGES: [&str; 2] = ["cargo-zigbuild==0.24.0", "ziglang==0.17.1"];

/// Lets `command` find `cargo zigbuild` and zig.
///
/// # Errors
///
/// When they are absent and cannot be installed.
pub fn put_on_path(workspace: &Workspace, command: &mut Command) -> Result<()> {
    let bin = python::environment(workspace, &PACKAGES)?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::iter::once(bin).chain(std::env::split_paths(&path));
    command.env(
        "PATH",
        std::env::join_paths(dirs).context("a directory on PATH has a colon in its name")?,
    );
    Ok(())
}
