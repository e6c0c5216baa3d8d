//! `cargo xtask test`: every check there is, in the order in which they cost little.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::binary::Link;
use crate::exec::CommandExt as _;
use crate::package::{self, Packed};
use crate::stages::{self, Stage};
use crate::tools::{charmcraft, rustup};
use crate::workspace::Workspace;
use crate::{lab, reproduce};

/// How much to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All of it; boots units, so it needs root.
    Everything,
    /// What needs no unit.
    WithoutUnits,
    /// The tests whose names contain one of these, and nothing besides; may boot units, so it needs root.
    Named(Vec<String>),
}

/// What the stages hand on.
struct Run {
    workspace: Workspace,
    packed: Option<Packed>,
    /// Which tests, by parts of their names; all when empty.
    names: Vec<String>,
}

impl Run {
    fn packed(&self) -> Result<&Packed> {
        self.packed.as_ref().context("the charm is not packed yet")
    }

    fn cargo(&self) -> Command {
        let mut cargo = Command::new("cargo");
        cargo.current_dir(self.workspace.root());
        cargo
    }
}

const PACK: Stage<Run> = Stage {
    name: "package",
    run: pack,
};

const WITHOUT_UNITS: [Stage<Run>; 8] = [
    Stage {
        name: "format",
        run: format,
    },
    Stage {
        name: "lint",
        run: lint,
    },
    Stage {
        name: "documentation",
        run: documentation,
    },
    Stage {
        name: "unit tests",
        run: unit_tests,
    },
    PACK,
    Stage {
        name: "charmcraft project",
        run: |run| charmcraft::check_project(&run.workspace),
    },
    Stage {
        name: "charmcraft analyse",
        run: |run| charmcraft::analyse(&run.workspace, &run.packed()?.path),
    },
    Stage {
        name: "package elsewhere",
        run: |run| reproduce::check(&run.workspace, run.packed()?, Link::HostFirst),
    },
];

const ON_UNITS: Stage<Run> = Stage {
    name: "tests on real units",
    run: |run| lab::test(&run.workspace, &run.packed()?.path, &run.names),
};

/// Runs the command.
///
/// # Errors
///
/// When a stage fails, or root is needed and missing.
pub fn run(workspace: Workspace, scope: Scope) -> Result<()> {
    if scope != Scope::WithoutUnits {
        lab::require_root("test")
            .context("leave out the tests on real units with `cargo xtask test --no-lab`, or")?;
    }
    let (stages, names) = match scope {
        Scope::Everything => (
            WITHOUT_UNITS.into_iter().chain([ON_UNITS]).collect(),
            Vec::new(),
        ),
        Scope::WithoutUnits => (Vec::from(WITHOUT_UNITS), Vec::new()),
        Scope::Named(names) => (vec![PACK, ON_UNITS], names),
    };
    let mut run = Run {
        workspace,
        packed: None,
        names,
    };
    stages::run(&stages, &mut run)
}

fn format(run: &mut Run) -> Result<()> {
    rustup::ensure("rustfmt", "fmt")?;
    run.cargo().args(["fmt", "--all", "--check"]).show()
}

fn lint(run: &mut Run) -> Result<()> {
    rustup::ensure("clippy", "clippy")?;
    run.cargo()
        .args(["clippy", "--workspace", "--all-targets", "--locked"])
        .args(["--", "--deny", "warnings"])
        .show()
}

fn documentation(run: &mut Run) -> Result<()> {
    run.cargo()
        .args(["doc", "--workspace", "--no-deps", "--locked"])
        .env("RUSTDOCFLAGS", "--deny warnings")
        .show()
}

fn unit_tests(run: &mut Run) -> Result<()> {
    run.cargo().args(["test", "--workspace", "--locked"]).show()
}

/// Packs twice: the second time nothing is compiled, so a difference is the archive's.
fn pack(run: &mut Run) -> Result<()> {
    let out = run.workspace.charm_dir();
    let packed = package::pack(&run.workspace, &out, Link::HostFirst)?;
    let again = package::pack(&run.workspace, &out, Link::HostFirst)?;
    if packed != again {
        bail!("packing the same program twice gives different files");
    }
    run.packed = Some(packed);
    Ok(())
}
