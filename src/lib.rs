//! Temporary
pub mod audit;
pub mod capture;
pub mod chart;
pub mod check;
pub mod helm;
pub mod juju;
pub mod magnum;
pub mod problem;
pub mod step;
pub mod system;
