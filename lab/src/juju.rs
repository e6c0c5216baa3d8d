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

pub use application::Application;
pub use context::ToolCall;
pub use event::Event;
pub use hook::{ActionRun, ActionStatus, HookRun};
pub use model::Status;
pub use secrets::SecretUri;
pub use server::Fault;
pub use trace::Exec;
pub use unit::Unit;

/// Random characters as Juju's ids have them: `0-9` and `a-v`.
pub(crate) fn random_id(length: usize) -> String {
    let alphabet = b"0123456789abcdefghijklmnopqrstuv";
    let random = || char::from(alphabet[fastrand::usize(..alphabet.len())]);
    std::iter::repeat_with(random).take(length).collect()
}
