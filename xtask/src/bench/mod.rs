//! x
use crate::workspace::Workspace;
use anyhow::Result;
/// x
pub fn run(_: &Workspace) -> Result<()> {
    Ok(())
}
