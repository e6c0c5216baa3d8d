//! Tools that come from the Python package index, each in a virtual environment of its own.
//!
//! An environment counts as present when its stamp is there, and the stamp is written last: an installation that
//! was cut short is made anew.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::exec::CommandExt as _;
use crate::workspace::Workspace;

/// The oldest Python that charmcraft 4 runs on.
const OLDEST: &str = "3.10";

/// The Pythons to try, in this order: the user's, then the system's.
const CANDIDATES: [&str; 2] = ["python3", "/usr/bin/python3"];

/// Debian's packages of a Python that can make virtual environments.
const DEBIAN: [&str; 2] = ["python3", "python3-venv"];

/// The `bin` directory of an environment with exactly `packages` (as `name==version`), installed when absent.
///
/// # Errors
///
/// When there is no usable Python, or pip cannot install the packages.
pub fn environment(workspace: &Workspace, packages: &[&str]) -> Result<PathBuf> {
    let dir = workspace.tools_dir().join(packages.join("+"));
    let bin = dir.join("bin");
    let stamp = dir.join("installed");
    if stamp.exists() {
        return Ok(bin);
    }
    println!("installing {} into {}", packages.join(" "), dir.display());
    if dir.exists() {
        std::fs::remove_dir_all(&dir).with_context(|| format!("removing {}", dir.display()))?;
    }
    Command::new(interpreter()?)
        .args(["-m", "venv"])
        .arg(&dir)
        .show()?;
    Command::new(bin.join("python"))
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ])
        .args(packages)
        .show()?;
    std::fs::write(&stamp, packages.join("\n"))
        .with_context(|| format!("writing {}", stamp.display()))?;
    Ok(bin)
}

/// A Python that is new enough and can make virtual environments, installed from Debian when there is none.
fn interpreter() -> Result<&'static str> {
    if let Some(python) = CANDIDATES.into_iter().find(|python| usable(python)) {
        return Ok(python);
    }
    let wish = format!("Python {OLDEST} or later with the module venv");
    if !Path::new("/usr/bin/apt-get").exists() {
        bail!("there is no {wish}: install it");
    }
    println!("there is no {wish}: installing {}", DEBIAN.join(" "));
    Command::new("apt-get").arg("update").show()?;
    Command::new("apt-get")
        .args(["install", "--yes", "--no-install-recommends"])
        .args(DEBIAN)
        .show()
        .with_context(|| format!("install {wish}"))?;
    CANDIDATES
        .into_iter()
        .find(|python| usable(python))
        .with_context(|| format!("{} do not bring {wish}", DEBIAN.join(" and ")))
}

/// Debian's python3 has `venv` without `ensurepip` until python3-venv is installed; asking for the version finds
/// remnants of it too.
fn usable(python: &str) -> bool {
    let (major, minor) = OLDEST.split_once('.').unwrap_or((OLDEST, "0"));
    let question = format!(
        "import sys, venv, ensurepip; ensurepip.version(); \
         sys.exit(sys.version_info < ({major}, {minor}))"
    );
    Command::new(python)
        .args(["-c", &question])
        .capture()
        .is_ok()
}
