//! The part "conf": the configuration fragment `99-capi.conf`.

pub mod checks;
mod options;

use std::path::Path;

use anyhow::Result;

pub use options::{ConfInputs, conf};

use crate::problem::Problem;
use crate::system::{Root, describe};

/// The graft's fragment; the number puts it after any other.
pub const CONF: &str = "/etc/magnum/magnum.conf.d/99-capi.conf";

/// Begins every file of configuration that the charm writes.
pub const HEADER: &str = "# Written by the magnum-capi-helm charm, which reverts changes made here.\n";

/// The problem of a directory of configuration that user magnum cannot enter: the services read nothing of it.
///
/// # Errors
/// If it cannot be looked at.
pub fn closed_to_magnum(root: &Root, directory: &Path) -> Result<Problem> {
    let (what, directory) = (describe(root, directory)?, directory.display());
    let detail = format!("user magnum cannot read {directory}, {what}; run: chmod 0755 {directory}");
    Ok(Problem::blocked(format!("Magnum is kept out of {directory}"), detail))
}

#[cfg(test)]
pub mod tests {
    use crate::juju::settings::{Given, RawConfig, Settings};

    /// The default settings, with these `capi-helm-options`.
    pub fn settings(options: &str) -> Settings {
        let config = serde_json::json!({"driver-pin": "magnum-capi-helm==1.1.0", "capi-helm-options": options});
        let config: RawConfig = serde_json::from_value(config).unwrap();
        config.validated(Given::default()).unwrap()
    }
}
