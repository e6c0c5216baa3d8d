//! The lab: what a task needs to put the packed charm on a real unit.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use lab::{Application, INDEX, Machine, Release, Root};
use nix::unistd::Uid;

use crate::binary::{self, Link, Program};
use crate::package;
use crate::workspace::Workspace;

/// The stand-in for Juju's hook tools. It runs inside the unit, so it is built as portably as the charm.
pub const JUJU_TOOL: Program = Program { package: "lab", bin: "juju-tool" };

/// The application's name, as in the README's commands.
pub const APPLICATION: &str = "magnum-capi-helm";

/// The unit of the principal.
pub const PRINCIPAL: &str = "magnum/0";

/// The packed charm, and everything that boots a unit for it.
#[derive(Debug)]
pub struct Lab {
    /// The file that `juju deploy` takes.
    pub charm: PathBuf,
    juju_tool: PathBuf,
    root: Root,
}

impl Lab {
    /// Packs the charm and builds what is missing of the lab.
    pub fn prepare(workspace: &Workspace) -> Result<Self> {
        let package = package::write(workspace, &workspace.charm_dir(), Link::HostFirst)?;
        Ok(Self {
            charm: package.path,
            juju_tool: binary::build(workspace, JUJU_TOOL, Link::HostFirst)?.path,
            root: ensure_root()?,
        })
    }

    /// Boots a unit with a running Magnum and without the charm.
    pub fn boot(&self, hostname: &str) -> Result<Machine> {
        let machine = Machine::boot(&self.root, hostname)?;
        machine.wait_for_magnum()?;
        Ok(machine)
    }

    /// An application of `charm` without a unit. A unit has no internet: its index is the lab's.
    pub fn application(&self, charm: &Path) -> Result<Application> {
        let application = Application::new(charm, &self.juju_tool, APPLICATION)?;
        application.set_config(&[("index-url", INDEX)])?;
        Ok(application)
    }
}

/// Fails early when a task that boots a unit does not run as root.
pub fn require_root(task: &str) -> Result<()> {
    ensure!(
        Uid::effective().is_root(),
        "`cargo xtask {task}` boots a container, which needs root: run \
         `sudo env HOME=\"$HOME\" PATH=\"$PATH\" cargo xtask {task}`"
    );
    Ok(())
}

/// Builds the root filesystem of the units when it is absent.
pub fn ensure_root() -> Result<Root> {
    lab::ensure_root(Release::Caracal, &mut |line| println!("lab: {line}")).context("preparing the lab")
}
