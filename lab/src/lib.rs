//! Test equipment: real units with systemd, Magnum and pip on one machine, and an agent that plays
//! Juju's part in them. It never ships in the charm.
//!
//! ```no_run
//! use std::path::Path;
//!
//! # fn main() -> anyhow::Result<()> {
//! let root = lab::ensure_root(lab::Release::Caracal, &mut |line| eprintln!("{line}"))?;
//! let machine = lab::Machine::boot(&root, "magnum-0")?;
//! machine.wait_for_magnum()?;
//!
//! let charm = Path::new("target/charm/magnum-capi-helm.charm");
//! let mut app = lab::Application::new(charm, Path::new("juju-tool"), "magnum-capi-helm")?;
//! let unit = app.add_unit(machine, "magnum/0")?;
//! for run in unit.deploy()? {
//!     run.expect_ok()?;
//! }
//! println!("{:?}", unit.status());
//! # Ok(())
//! # }
//! ```
//!
//! It needs root, and a Debian or Ubuntu host whose apt can install what is missing. Roots are cached
//! below `/var/cache/magnum-capi-helm-lab` (or `LAB_CACHE`); machines live in memory, and nothing of
//! them stays behind however the process that booted them ends.

mod balancer;
mod cloud;
mod host;
mod juju;
mod machine;
mod management;
mod root;
mod snapshot;
#[doc(hidden)]
pub mod wire;

pub use balancer::LoadBalancer;
pub use cloud::{Cloud, HttpFault, SECURE_KEYSTONE};
pub use host::Output;
pub use juju::{ActionRun, ActionStatus, Application, Event, Exec, Fault, HookRun, SecretUri, Status, ToolCall, Unit};
pub use machine::Machine;
pub use management::{
    Behaviour, ClientCertificate, Controllers, Credential, Digest, Issuer, KeyKind, ManagementCluster, Mode, Purpose,
    Request, Rule, service_account_token,
};
pub use nix::sys::signal::Signal;
pub use root::{INDEX, Release, Root, ensure_root};
pub use snapshot::{Diff, Entry, RESTLESS, Snapshot};
