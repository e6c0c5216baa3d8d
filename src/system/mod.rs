//! The machine the charm runs on: its files, its programs, its processes and systemd.
//!
//! Everything goes through a [`System`], which is passed in: the file system as a directory handle ([`Root`]) and
//! the programs as a trait ([`Host`]). Tests pass in a temporary directory and a function. This folder knows no other
//! folder, and decides nothing.

mod backup;
pub mod bounds;
mod command;
mod copy;
mod directory;
mod entry;
pub mod http;
pub mod limits;
mod links;
mod process;
#[cfg(test)]
pub mod proxy_tests;
mod root;
mod secret;
mod state;
pub mod systemd;
#[cfg(test)]
pub mod testing;
mod trust;
mod write;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;

pub use backup::{Backups, Original, describe};
pub use command::{Command, Output, SYSTEM_PATH};
pub use directory::TEMPORARY_PREFIX;
pub use entry::{Access, Entry, FileIdentity, ManagedFile, RegularFile};
pub use limits::{Budget, Limited, TooMuch};
pub use process::{Process, own_program};
pub use root::{Mounted, Root, SIZE_LIMIT, sha256};
pub use secret::Secret;
pub use state::{LOCK_LIMIT, Lock, STATE_DIRECTORY, state_path};
pub use trust::NotRootsAlone;
pub use write::Temporary;

/// A user account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub uid: u32,
    pub gid: u32,
    pub home: PathBuf,
}

/// Runs programs and looks up accounts; the trait that tests replace.
pub trait Host: Send + Sync {
    /// Runs a program to its end.
    ///
    /// # Errors
    /// If it cannot be started, does not end within its time limit or prints more than its size limit.
    fn run(&self, command: &Command) -> Result<Output>;

    /// Looks up a user account.
    ///
    /// # Errors
    /// If the name service fails.
    fn account(&self, name: &str) -> Result<Option<Account>>;
}

/// The machine: the file system from `root` down, and the programs of `host`.
#[derive(Clone)]
pub struct System {
    pub root: Root,
    host: Arc<dyn Host>,
}

impl System {
    /// This machine, for this process's run.
    ///
    /// # Errors
    /// If `/` cannot be opened.
    pub fn local() -> Result<Self> {
        Ok(Self::new(Root::open("/")?, command::LocalHost { left: bounds::left }))
    }

    pub fn new(root: Root, host: impl Host + 'static) -> Self {
        Self { root, host: Arc::new(host) }
    }

    /// Runs a program; how it ended is the caller's to check.
    ///
    /// # Errors
    /// As [`Host::run`].
    pub fn run(&self, command: &Command) -> Result<Output> {
        self.host.run(command)
    }

    /// Runs a program and returns what it printed on stdout.
    ///
    /// # Errors
    /// As [`Host::run`], and if it exits with another code than 0.
    pub fn stdout(&self, command: &Command) -> Result<Vec<u8>> {
        let output = self.run(command)?;
        anyhow::ensure!(output.code == Some(0), output.failure());
        Ok(output.stdout)
    }

    /// Looks up a user account.
    ///
    /// # Errors
    /// As [`Host::account`].
    pub fn account(&self, name: &str) -> Result<Option<Account>> {
        self.host.account(name)
    }
}
