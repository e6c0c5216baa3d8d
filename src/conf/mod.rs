//! The part "conf": the configuration fragment `99-capi.conf`.

pub mod checks;
mod options;

pub use options::{ConfInputs, conf};

/// The graft's fragment; the number puts it after any other.
pub const CONF: &str = "/etc/magnum/magnum.conf.d/99-capi.conf";

/// Begins every file of configuration that the charm writes.
pub const HEADER: &str = "# Written by the magnum-capi-helm charm, which reverts changes made here.\n";

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
