//! Grafts the Cluster API Helm driver onto OpenStack Magnum and keeps it there.
//!
//! Every hook, whatever its name, takes the one way through ([`converge`]): read what is wanted
//! ([`settings`]), see what the unit offers ([`ground`]), say what that means here
//! ([`graft::Desired`]), look at what is there ([`graft::Observed`]), plan the difference
//! ([`graft::plan`]), apply it, judge the result, set the status.

pub mod actions;
pub mod audit;
pub mod capture;
pub mod converge;
pub mod event;
pub mod graft;
pub mod ground;
pub mod guard;
pub mod health;
pub mod hook;
pub mod http;
pub mod juju;
pub mod kube;
pub mod preflight;
pub mod problem;
pub mod roll;
pub mod settings;
pub mod smoketest;
pub mod unit;
pub mod verify;
