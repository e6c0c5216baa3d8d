//! The packed charm on real units: real systemd, real Magnum, and the lab's agent in
//! Juju's place. `cargo xtask test` runs these; they need root.
//!
//! One module a theme. `support` sets units up and asks them; a test says what it means.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::type_complexity, reason = "a table of cases says what its columns are")]

mod attacker;
mod bad_input;
mod capture;
mod chart;
mod crash;
mod crash_pins;
mod departure;
mod deploy;
mod drift;
mod false_alarms;
mod faults;
mod fit;
mod ground;
mod guard;
mod helm;
mod idempotence;
mod integrity;
mod kubeconfigs;
mod leaks;
mod log_to;
mod malformed;
mod management;
mod mirror;
mod online;
mod options;
mod packages;
mod pause;
mod pins;
mod plan;
mod record;
mod restart_mode;
mod roll;
mod rotation;
mod scanner;
mod smoketest;
mod sources;
mod support;
mod verify;
