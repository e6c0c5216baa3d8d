//! Where things are: the root of the project and the folders that the tasks write.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The project's directories.
#[derive(Debug, Clone)]
pub struct Workspace {
    root: PathBuf,
    cargo_target: PathBuf,
    tools: PathBuf,
}

impl Workspace {
    /// The workspace whose `cargo xtask` this is.
    ///
    /// # Errors
    ///
    /// When the program was not started by cargo, which alone says where the project is.
    pub fn find() -> Result<Self> {
        let manifest_dir = std::env::var_os("CARGO_MANIFEST_DIR")
            .context("CARGO_MANIFEST_DIR is not set: start this program as `cargo xtask`")?;
        let root = Path::new(&manifest_dir)
            .parent()
            .context("the xtask package stands outside of a workspace")?
            .canonicalize()
            .context("looking up the workspace's root")?;
        let mut workspace = Self::at(root);
        if let Some(dir) = std::env::var_os("CARGO_TARGET_DIR") {
            workspace.cargo_target = std::path::absolute(dir).context("CARGO_TARGET_DIR")?;
        }
        Ok(workspace)
    }

    /// The project at `root`, with everything that is written below its `target/`.
    #[must_use]
    pub fn at(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        let target = root.join("target");
        Self {
            root,
            tools: target.join("tools"),
            cargo_target: target,
        }
    }

    /// The same project, using the tools that were installed for `other`.
    #[must_use]
    pub fn with_tools_of(mut self, other: &Self) -> Self {
        self.tools.clone_from(&other.tools);
        self
    }

    /// The directory with the top-level Cargo.toml.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where packed charms go.
    #[must_use]
    pub fn charm_dir(&self) -> PathBuf {
        self.root.join("target/charm")
    }

    /// Where the tools go that the tasks install for themselves.
    #[must_use]
    pub fn tools_dir(&self) -> &Path {
        &self.tools
    }

    /// Where cargo builds: its own `CARGO_TARGET_DIR`, or `target/`.
    #[must_use]
    pub fn cargo_target_dir(&self) -> &Path {
        &self.cargo_target
    }
}
