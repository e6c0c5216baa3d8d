//! Test equipment: real units with systemd, Magnum and pip on one machine, and an agent that plays
//! Juju's part in them. It never ships in the charm.

mod host;
mod juju;
mod machine;
mod root;
mod snapshot;
#[doc(hidden)]
pub mod wire;

pub use host::Output;
pub use juju::{
    ActionRun, ActionStatus, Application, Event, Exec, Fault, HookRun, Proxy, SecretUri, Status,
    ToolCall, Unit,
};
pub use machine::Machine;
pub use root::{Release, Root, ensure_root};
pub use snapshot::{Diff, Entry, RESTLESS, Snapshot};
