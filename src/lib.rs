//! Temporary
pub mod check;
pub mod juju;
pub mod kubeconfig;
pub mod magnum;
pub mod preflight;
pub mod problem;
pub mod step;
pub mod system;
