//! The tools of others that the tasks need. What is absent is installed under `target/tools`, and said.

pub mod charmcraft;
pub mod python;
pub mod rustup;
pub mod zig;
