//! Temporary
pub mod check;
pub mod juju;
pub mod magnum;
pub mod problem;
pub mod smoketest;
pub mod step;
pub mod system;
