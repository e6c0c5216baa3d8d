//! Grafts the Cluster API Helm driver onto OpenStack Magnum and keeps it there.
//!
//! Every hook, whatever its name, [reconciles](reconcile): reads what the operator asks for ([`juju`]), looks at Magnum
//! as the principal installed it ([`magnum`]), gets hold of what is needed ([`reconcile::Artifacts`]), compares what is
//! wanted ([`reconcile::Desired`]) with what is there ([`reconcile::Observed`]), plans the steps between
//! ([`reconcile::plan()`]), applies them, checks the result and sets the status.

pub mod actions;
pub mod audit;
pub mod capture;
pub mod chart;
pub mod check;
pub mod conf;
pub mod driver;
pub mod escape;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod guard;
pub mod helm;
#[cfg(test)]
mod hostile_tests;
pub mod juju;
pub mod kubeconfig;
pub mod magnum;
pub mod preflight;
pub mod problem;
pub mod reconcile;
pub mod rolling;
pub mod services;
pub mod smoketest;
pub mod step;
pub mod system;
pub mod verify;
