//! Juju's part, played for one application: its model side (config, secrets, resources, relation), and
//! the unit agent that runs the charm's hooks and actions and answers its hook tools.
//!
//! What is true of Juju here was read in its 3.6 source; where a file follows a particular part of it,
//! the file says so.

mod application;
mod charm;
mod context;
mod environment;
mod event;
mod flags;
mod format;
mod hook;
mod model;
mod options;
mod peers;
mod secrets;
mod server;
mod tools;
mod trace;
mod unit;

use std::fs::File;
use std::io::Read;

pub use application::Application;
pub use context::ToolCall;
pub use event::Event;
pub use hook::{ActionRun, ActionStatus, HookRun};
pub use model::{Proxy, Status};
pub use secrets::SecretUri;
pub use server::Fault;
pub use trace::Exec;
pub use unit::Unit;

/// Random characters as Juju's ids have them: `0-9` and `a-v`.
pub(crate) fn random_id(length: usize) -> String {
    let alphabet = b"0123456789abcdefghijklmnopqrstuv";
    random_bytes(length)
        .iter()
        .map(|byte| char::from(alphabet[usize::from(byte % 32)]))
        .collect()
}

/// A random UUID (version 4).
pub(crate) fn random_uuid() -> String {
    let hex: String = random_bytes(16)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!(
        "{}-{}-4{}-a{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[13..16],
        &hex[17..20],
        &hex[20..]
    )
}

fn random_bytes(count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    let read = File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes));
    // Without the kernel's random numbers ids only repeat, and nothing here relies on secrecy.
    debug_assert!(read.is_ok());
    bytes
}
