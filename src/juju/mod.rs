//! Juju: the context it runs the charm in, its hook tools, its log.
//!
//! The environment is read once, into [`Context`]; everything else goes through the hook tools.
//! Nothing below `converge` knows this module.

mod context;
pub mod log;
pub mod tools;

pub use context::{Context, charm};

/// The endpoint to the principal, as in `metadata.yaml`.
pub const ENDPOINT: &str = "magnum";
