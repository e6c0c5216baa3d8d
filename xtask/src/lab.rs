//! The lab: what a task needs to put the packed charm on a real unit, made ready before the first one boots.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use lab::{Application, Machine, Release, Root};

use crate::binary::{self, Link, Program};
use crate::exec::CommandExt as _;
use crate::package;
use crate::workspace::Workspace;

/// The program that plays Juju's hook tools inside the unit. It runs there, so it is built as portably as the charm.
const JUJU_TOOL: Program = Program {
    package: "lab",
    bin: "juju-tool",
};

/// The application's name, as in the README's commands.
pub const APPLICATION: &str = "magnum-capi-helm";

/// The unit of the principal.
pub const PRINCIPAL: &str = "magnum/0";

/// Everything that goes on a unit.
#[derive(Debug)]
pub struct Lab {
    charm: PathBuf,
    juju_tool: PathBuf,
    root: Root,
}

impl Lab {
    /// Packs the charm and brings the lab to where a unit can be booted. Says what it builds and installs.
    ///
    /// # Errors
    ///
    /// When the charm does not build, or the lab cannot be made ready.
    pub fn ready(workspace: &Workspace) -> Result<Self> {
        let packed = package::pack(workspace, &workspace.charm_dir(), Link::HostFirst)?;
        let juju_tool = binary::build(workspace, JUJU_TOOL, Link::HostFirst)?.path;
        Ok(Self {
            charm: packed.path,
            juju_tool,
            root: make_ready()?,
        })
    }

    /// The file that `juju deploy` takes.
    #[must_use]
    pub fn charm(&self) -> &Path {
        &self.charm
    }

    /// A fresh unit with a running Magnum and without the charm.
    ///
    /// # Errors
    ///
    /// When it does not boot, or Magnum does not come up.
    pub fn boot(&self) -> Result<Machine> {
        let machine = Machine::boot(&self.root, "magnum-0")?;
        machine.wait_for_magnum()?;
        Ok(machine)
    }

    /// The charm's application, without a unit yet.
    ///
    /// # Errors
    ///
    /// When the packed charm is none.
    pub fn application(&self) -> Result<Application> {
        Application::new(&self.charm, &self.juju_tool, APPLICATION)
    }
}

/// Stops a task early that could not boot a unit.
///
/// # Errors
///
/// When this is not root: the command line that is.
pub fn require_root(task: &str) -> Result<()> {
    // The owner of a process's directory is its effective user (proc(5)).
    let this = std::fs::metadata("/proc/self").context("asking who runs this")?;
    if this.uid() != 0 {
        bail!(
            "`cargo xtask {task}` boots a container, which needs root: run \
             `sudo env HOME=\"$HOME\" PATH=\"$PATH\" cargo xtask {task}`"
        );
    }
    Ok(())
}

/// Brings the lab to where a unit can be booted: the host's tools, the root, its cache.
fn make_ready() -> Result<Root> {
    lab::ensure_root(Release::Caracal, &mut |line| println!("lab: {line}"))
        .context("making the lab ready")
}

/// Runs the tests of the workspace, those that boot a unit too, against the packed `charm`: all of them, or those
/// whose names contain one of `names`.
///
/// # Errors
///
/// When the lab cannot be made ready, a name is no test's, or a test fails.
pub fn test(workspace: &Workspace, charm: &Path, names: &[String]) -> Result<()> {
    let cargo_test = || {
        let mut cargo = Command::new("cargo");
        cargo.current_dir(workspace.root()).args([
            "test",
            "--workspace",
            "--locked",
            "--",
            "--include-ignored",
        ]);
        cargo
    };
    for name in names {
        let listed = cargo_test().args(["--list", name]).show_and_capture()?;
        if !listed.lines().any(|line| line.ends_with(": test")) {
            bail!("no test has `{name}` in its name");
        }
    }
    let juju_tool = binary::build(workspace, JUJU_TOOL, Link::HostFirst)?;
    let _in_use = make_ready()?;
    cargo_test()
        .args(names)
        .env("LAB_CHARM", charm)
        .env("LAB_JUJU_TOOL", juju_tool.path)
        .show()
}
