//! Temporary
pub mod check;
pub mod driver;
pub mod juju;
pub mod magnum;
pub mod problem;
pub mod step;
pub mod system;
