//! Other projects' tools. A tool that is absent is installed under `target/tools`, or by rustup.

use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use xshell::{Cmd, cmd};

use crate::workspace::Workspace;

const CHARMCRAFT: &str = "charmcraft==4.5.0";

const CARGO_DENY: &str = "cargo-deny@0.20.2";

/// Tested together: zig's releases break callers now and then. zig brings the stubs of every glibc release.
const ZIG: [&str; 2] = ["cargo-zigbuild==0.24.0", "ziglang==0.17.1"];

/// Asks a Python whether it runs charmcraft 4 (3.10 or later) and makes virtual environments. Debian's python3 has
/// `venv` without `ensurepip` until python3-venv is installed, so it asks `ensurepip` for its version.
const USABLE: &str = "import sys, venv, ensurepip; ensurepip.version(); sys.exit(sys.version_info < (3, 10))";

/// Runs charmcraft's linters on a packed charm. Warnings count as failures.
pub fn charmcraft_analyse(workspace: &Workspace, charm: &Path) -> Result<()> {
    charmcraft(workspace)?.arg("analyse").arg(charm).run().context("charmcraft reports problems in the packed charm")
}

/// Checks charmcraft.yaml with charmcraft's own models: expanding extensions loads the complete project, the files
/// beside it too, and needs no build machine.
pub fn charmcraft_check_project(workspace: &Workspace) -> Result<()> {
    charmcraft(workspace)?
        .arg("expand-extensions")
        .read()
        .context("charmcraft refuses charmcraft.yaml or a file beside it")?;
    println!("charmcraft accepts charmcraft.yaml");
    Ok(())
}

/// Returns the command charmcraft with its logs and sockets kept out of the user's home.
fn charmcraft(workspace: &Workspace) -> Result<Cmd<'_>> {
    let program = python_environment(workspace, &[CHARMCRAFT])?.join("charmcraft");
    let state = workspace.tools.join("charmcraft-state");
    // charmcraft makes sockets only in a directory that is closed to others.
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&state)
        .with_context(|| format!("creating {}", state.display()))?;
    Ok(cmd!(workspace.sh, "{program}").env("XDG_STATE_HOME", &state).env("XDG_RUNTIME_DIR", &state))
}

/// Returns a PATH on which `cargo zigbuild` and zig are found.
pub fn path_with_zig(workspace: &Workspace) -> Result<OsString> {
    let bin = python_environment(workspace, &ZIG)?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::iter::once(bin).chain(std::env::split_paths(&path));
    std::env::join_paths(dirs).context("a directory on PATH has a colon in its name")
}

/// Adds rustup's `component` when `cargo <verb>` does not work.
pub fn rust_component(workspace: &Workspace, component: &str, verb: &str) -> Result<()> {
    let sh = &workspace.sh;
    if cmd!(sh, "cargo {verb} --version").ignore_stderr().read().is_ok() {
        return Ok(());
    }
    cmd!(sh, "rustup component add {component}")
        .run()
        .with_context(|| format!("install {component} for this toolchain"))
}

/// Checks the dependencies against deny.toml. cargo-deny takes minutes to install.
pub fn cargo_deny(workspace: &Workspace, checks: &[&str]) -> Result<()> {
    let sh = &workspace.sh;
    let root = workspace.tools.join(CARGO_DENY);
    let program = root.join("bin/cargo-deny");
    if !program.exists() {
        cmd!(sh, "cargo install --locked --root {root} {CARGO_DENY}").run()?;
    }
    Ok(cmd!(sh, "{program} check {checks...}").run()?)
}

/// Returns the `bin` directory of a virtual environment with exactly `packages`, installed when absent.
///
/// The stamp is written last, so that an interrupted installation is repeated.
fn python_environment(workspace: &Workspace, packages: &[&str]) -> Result<PathBuf> {
    let sh = &workspace.sh;
    let dir = workspace.tools.join(packages.join("+"));
    let bin = dir.join("bin");
    let stamp = dir.join("installed");
    if !stamp.exists() {
        sh.remove_path(&dir)?;
        let interpreter = interpreter(workspace)?;
        let python = bin.join("python");
        cmd!(sh, "{interpreter} -m venv {dir}").run()?;
        cmd!(sh, "{python} -m pip install --quiet --disable-pip-version-check {packages...}").run()?;
        fs::write(&stamp, "").with_context(|| format!("writing {}", stamp.display()))?;
    }
    Ok(bin)
}

/// Returns a usable Python: the user's, the system's, or Debian's after its installation.
fn interpreter(workspace: &Workspace) -> Result<&'static str> {
    let sh = &workspace.sh;
    let find = || {
        let usable = |python: &&str| cmd!(sh, "{python} -c {USABLE}").ignore_stderr().read().is_ok();
        ["python3", "/usr/bin/python3"].into_iter().find(usable)
    };
    if let Some(python) = find() {
        return Ok(python);
    }
    let wanted = "Python 3.10 or later with the module venv is needed";
    cmd!(sh, "apt-get update").run().context(wanted)?;
    cmd!(sh, "apt-get install --yes --no-install-recommends python3 python3-venv").run().context(wanted)?;
    find().context(wanted)
}
