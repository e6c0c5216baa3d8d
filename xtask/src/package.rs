//! `cargo xtask package`: one command from the sources to the file that `juju deploy` takes.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::binary::{self, Link};
use crate::tools::charmcraft;
use crate::workspace::Workspace;
use crate::{charm, digest, reproduce};

/// What was asked for on the command line.
#[derive(Debug, Default)]
pub struct Options {
    /// Another directory than `target/charm`.
    pub out: Option<PathBuf>,
    /// Let charmcraft judge the result.
    pub analyse: bool,
    /// Build it a second time elsewhere and compare.
    pub reproduce: bool,
    /// What to link against.
    pub link: Link,
}

/// A charm on disk.
#[derive(Debug, PartialEq, Eq)]
pub struct Packed {
    /// The `.charm` file.
    pub path: PathBuf,
    /// The sha256 of its content, in hexadecimal.
    pub sha256: String,
}

/// Runs the command.
///
/// # Errors
///
/// When the charm cannot be built, is not fit to be packed, or one of the checks asked for fails.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let out = options.out.clone().unwrap_or_else(|| workspace.charm_dir());
    let packed = pack(workspace, &out, options.link)?;
    if options.analyse {
        charmcraft::check_project(workspace)?;
        charmcraft::analyse(workspace, &packed.path)?;
    }
    if options.reproduce {
        reproduce::check(workspace, &packed, options.link)?;
    }
    Ok(())
}

/// Builds the charm and writes it to the directory `out`.
///
/// # Errors
///
/// When it cannot be built, is not fit to be packed, or cannot be written.
pub fn pack(workspace: &Workspace, out: &Path, link: Link) -> Result<Packed> {
    let built = binary::build(workspace, binary::CHARM, link)?;
    let dispatch =
        fs::read(&built.path).with_context(|| format!("reading {}", built.path.display()))?;
    let charm = charm::assemble(workspace.root(), dispatch, binary::architecture()?)?;
    let bytes = charm::archive::write(charm.entries)?;

    fs::create_dir_all(out).with_context(|| format!("creating {}", out.display()))?;
    let path = std::path::absolute(out.join(charm.file_name)).context("naming the charm")?;
    fs::write(&path, &bytes).with_context(|| format!("writing {}", path.display()))?;
    let sha256 = digest::of_bytes(&bytes);
    println!("{}", path.display());
    println!("  {} bytes, sha256 {sha256}", bytes.len());
    if let Some(glibc) = built.needs {
        println!("  needs glibc {glibc}");
    }
    Ok(Packed { path, sha256 })
}
