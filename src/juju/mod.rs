//! Juju: the context it runs the charm in, its hook tools, the operator's options, secrets and resources, the status
//! and the log.
//!
//! The environment is read once, into [`Context`]; everything else goes through the hook tools.

mod context;
mod event;
pub mod log;
pub mod settings;
mod sources;
mod status;
pub mod tools;

pub use context::{Context, charm_version};
pub use event::Event;
pub use sources::{Ask, GrantedKubeconfig, Request, request};
pub use status::status_of;

/// The endpoint to the principal, as in `metadata.yaml`.
pub const PRINCIPAL_ENDPOINT: &str = "magnum";
