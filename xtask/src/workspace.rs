//! Paths of the project, and a shell in its root directory.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use xshell::Shell;

/// The project's directories.
#[derive(Debug)]
pub struct Workspace {
    /// The directory with the top-level Cargo.toml.
    pub root: PathBuf,
    /// Where cargo builds: `CARGO_TARGET_DIR`, or `target/`.
    pub target: PathBuf,
    /// Where the tasks install the tools that they need.
    pub tools: PathBuf,
    /// Runs commands in `root`.
    pub sh: Shell,
}

impl Workspace {
    /// Finds the workspace whose `cargo xtask` this is; cargo says where it is.
    pub fn find() -> Result<Self> {
        let manifest_dir = std::env::var_os("CARGO_MANIFEST_DIR")
            .context("CARGO_MANIFEST_DIR is not set: start this program as `cargo xtask`")?;
        let root = Path::new(&manifest_dir)
            .parent()
            .context("the xtask package has no parent directory")?
            .canonicalize()
            .context("looking up the workspace's root")?;
        let mut workspace = Self::at(&root)?;
        if let Some(dir) = std::env::var_os("CARGO_TARGET_DIR") {
            workspace.target = std::path::absolute(dir).context("CARGO_TARGET_DIR")?;
        }
        Ok(workspace)
    }

    /// The project at `root`; everything is written below its `target/`.
    pub fn at(root: &Path) -> Result<Self> {
        let sh = Shell::new()?;
        sh.change_dir(root);
        Ok(Self { root: root.to_owned(), target: root.join("target"), tools: root.join("target/tools"), sh })
    }

    /// Where charms are written.
    pub fn charm_dir(&self) -> PathBuf {
        self.root.join("target/charm")
    }
}
