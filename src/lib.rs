//! Temporary
pub mod check;
pub mod conf;
pub mod guard;
pub mod juju;
pub mod magnum;
pub mod problem;
pub mod rolling;
pub mod services;
pub mod step;
pub mod system;
