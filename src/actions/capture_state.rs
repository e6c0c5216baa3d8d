//! The action `capture-state`: what there is to see on the unit, as one archive on it.

use anyhow::Result;

use crate::capture;
use crate::juju::{Context, tools};

/// Captures, and sets where the archive lies as results.
pub fn run(context: &Context) -> Result<Option<String>> {
    let archive = capture::capture(context)?;
    tools::action_set(&[
        ("path", archive.path.display().to_string()),
        ("size", archive.size.to_string()),
        ("sha256", archive.sha256),
        ("files", archive.names.join("\n")),
    ])?;
    Ok(None)
}
