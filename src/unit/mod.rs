//! The machine the charm runs on: files, commands, systemd, processes, Python.
//!
//! Each module is the only one that touches its piece of the outside world. None of them knows
//! Juju, and none of them decides anything: they look, and they do what they are told.

pub mod apt;
pub mod command;
pub mod culprit;
pub mod files;
pub mod kept;
pub mod oslo;
pub mod process;
pub mod python;
pub mod state;
pub mod systemd;
