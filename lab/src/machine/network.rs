//! A machine's network, entered from outside: it has a loopback and nothing else.

use std::fs::File;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use nix::sched::{CloneFlags, setns};

use super::Machine;

impl Machine {
    /// Where the host shows the machine's network.
    #[must_use]
    pub fn network(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/ns/net", self.leader()))
    }

    /// Do something on a thread that is in the machine's network, where 127.0.0.1 is the machine.
    pub fn in_network<T: Send>(&self, what: impl FnOnce() -> T + Send) -> Result<T> {
        let path = self.network();
        let network = File::open(&path).with_context(|| format!("opening {}", path.display()))?;
        std::thread::scope(|scope| {
            let inside = scope.spawn(move || {
                setns(network, CloneFlags::CLONE_NEWNET).context("entering a network")?;
                Ok(what())
            });
            inside.join().map_err(|_| anyhow!("a thread in a network panicked"))?
        })
    }
}
