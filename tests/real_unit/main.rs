//! The packed charm on real units: real systemd, real Magnum, real pip, and the lab's agent in
//! Juju's place. `cargo xtask test` runs these; they need root.
//!
//! One module a theme. `support` sets units up and asks them; a test says what it means.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bad_input;
mod crash;
mod departure;
mod deploy;
mod drift;
mod idempotence;
mod management;
mod options;
mod pause;
mod pins;
mod support;
mod verify;
