//! `cargo xtask package`: one command from the sources to the file that `juju deploy` takes.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest as _, Sha256};

use crate::binary::{self, Link};
use crate::workspace::Workspace;
use crate::{charm, reproduce, tools};

#[derive(Debug, clap::Args)]
pub struct Options {
    /// Writes the charm to this directory instead
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Then runs `charmcraft analyse` on it and checks charmcraft.yaml
    #[arg(long)]
    analyse: bool,
    /// Then builds it again in another directory and compares the bytes
    #[arg(long)]
    reproduce: bool,
    /// Links against the old glibc at once, without trying the host's
    #[arg(long)]
    zig: bool,
}

/// A charm on disk.
#[derive(Debug, PartialEq, Eq)]
pub struct Package {
    /// The `.charm` file.
    pub path: PathBuf,
    /// The sha256 of its content, in hexadecimal.
    pub sha256: String,
}

pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let out = options.out.clone().unwrap_or_else(|| workspace.charm_dir());
    let link = if options.zig { Link::OldGlibc } else { Link::HostFirst };
    let package = write(workspace, &out, link)?;
    if options.analyse {
        tools::charmcraft_check_project(workspace)?;
        tools::charmcraft_analyse(workspace, &package.path)?;
    }
    if options.reproduce {
        reproduce::check(workspace, &package, link)?;
    }
    Ok(())
}

/// Builds the charm and writes it to the directory `out`.
pub fn write(workspace: &Workspace, out: &Path, link: Link) -> Result<Package> {
    let built = binary::build(workspace, binary::CHARM, link)?;
    let dispatch = fs::read(&built.path).with_context(|| format!("reading {}", built.path.display()))?;
    let charm = charm::assemble(&workspace.root, dispatch, binary::architecture(workspace)?)?;
    let bytes = charm::archive::write(charm.entries)?;

    fs::create_dir_all(out).with_context(|| format!("creating {}", out.display()))?;
    let path = std::path::absolute(out.join(charm.file_name)).context("the charm's path")?;
    fs::write(&path, &bytes).with_context(|| format!("writing {}", path.display()))?;
    let sha256: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    println!("{}", path.display());
    println!("  {} bytes, sha256 {sha256}", bytes.len());
    if let Some(glibc) = built.glibc {
        println!("  needs glibc {glibc}");
    }
    Ok(Package { path, sha256 })
}
