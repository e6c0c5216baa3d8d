//! `cargo xtask test` and `cargo xtask soak`: every check that the project has, the cheapest first.

use anyhow::{Context, Result, ensure};
use xshell::cmd;

use crate::binary::Link;
use crate::package::{self, Package};
use crate::stages::Stages;
use crate::units::{self, Selection};
use crate::workspace::Workspace;
use crate::{lab, reproduce, tools};

#[derive(Debug, clap::Args)]
pub struct Options {
    /// Leaves out the tests that boot a unit; needs no root
    #[arg(long, conflicts_with = "names")]
    no_lab: bool,
    /// Runs only the tests whose names contain one of these
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub struct SoakOptions {
    /// Runs only the tests whose names contain one of these
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

/// Runs all stages, or only the tests that the options name.
pub fn run(workspace: &Workspace, options: Options) -> Result<()> {
    if !options.no_lab {
        lab::require_root("test").context("leave out the tests on real units with --no-lab, or")?;
    }
    report(|stages| {
        if !options.names.is_empty() {
            return on_units(stages, workspace, &Selection::Named(options.names)).map(drop);
        }
        let package = without_units(stages, workspace)?;
        if options.no_lab {
            return Ok(());
        }
        stages.run("tests on real units", || units::test(workspace, &package.path, &Selection::Ignored))
    })
}

/// Runs the tests on real units with `LAB_SOAK=1`, which they read; if all of them, builds the charm again elsewhere.
pub fn soak(workspace: &Workspace, options: SoakOptions) -> Result<()> {
    lab::require_root("soak")?;
    report(|stages| {
        let is_all = options.names.is_empty();
        let package = on_units(stages, workspace, &Selection::Soak(options.names))?;
        if !is_all {
            return Ok(());
        }
        stages.run("package elsewhere", || reproduce::check(workspace, &package, Link::HostFirst))
    })
}

/// Prints the table of the stages, however they end.
fn report(task: impl FnOnce(&mut Stages) -> Result<()>) -> Result<()> {
    let mut stages = Stages::default();
    let result = task(&mut stages);
    println!("\n{stages}");
    result
}

fn on_units(stages: &mut Stages, workspace: &Workspace, selection: &Selection) -> Result<Package> {
    let package = stages.run("package", || pack(workspace))?;
    stages.run("tests on real units", || units::test(workspace, &package.path, selection))?;
    Ok(package)
}

fn without_units(stages: &mut Stages, workspace: &Workspace) -> Result<Package> {
    let sh = &workspace.sh;
    stages.run("format", || {
        tools::rust_component(workspace, "rustfmt", "fmt")?;
        Ok(cmd!(sh, "cargo fmt --all --check").run()?)
    })?;
    stages.run("lint", || {
        tools::rust_component(workspace, "clippy", "clippy")?;
        Ok(cmd!(sh, "cargo clippy --workspace --all-targets --locked -- --deny warnings").run()?)
    })?;
    stages.run("documentation", || {
        let doc = cmd!(sh, "cargo doc --workspace --no-deps --locked");
        Ok(doc.env("RUSTDOCFLAGS", "--deny warnings").run()?)
    })?;
    stages.run("unit tests", || Ok(cmd!(sh, "cargo test --workspace --locked").run()?))?;
    let package = stages.run("package", || pack(workspace))?;
    stages.run("charmcraft project", || tools::charmcraft_check_project(workspace))?;
    stages.run("charmcraft analyse", || tools::charmcraft_analyse(workspace, &package.path))?;
    Ok(package)
}

/// Packs twice. The second time nothing is compiled, so a difference is the archive's.
fn pack(workspace: &Workspace) -> Result<Package> {
    let out = workspace.charm_dir();
    let package = package::write(workspace, &out, Link::HostFirst)?;
    let again = package::write(workspace, &out, Link::HostFirst)?;
    ensure!(package == again, "packing the same program twice gives different files");
    Ok(package)
}
