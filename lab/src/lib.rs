//! Test equipment: real units with systemd, Magnum and pip on one machine, and an agent that plays
//! Juju's part in them. It never ships in the charm.

mod host;
mod machine;
mod root;

pub use host::Output;
pub use machine::Machine;
pub use root::{Release, Root, ensure_root};
