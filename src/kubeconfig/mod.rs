//! The management cluster: the kubeconfig that leads to it, judged offline and online.
//!
//! | question | file |
//! |---|---|
//! | where does it lead? | [`kubeconfig`], `yaml`, `fields` |
//! | can the pinned driver use it? | [`usable`], [`certificate`] |
//! | for how long? | [`validity`] |
//! | does the cluster answer, and know us? | [`client`], [`online`] |
//! | does it fit the driver and the chart? | [`fit`] |
//! | which of two is to be used? | [`rotation`] |
//!
//! [`judgement`] puts all the answers together.

pub mod certificate;
pub mod client;
mod fields;
pub mod fit;
pub mod judgement;
pub mod kubeconfig;
pub mod online;
pub mod rotation;
pub mod usable;
pub mod validity;
mod yaml;

use std::fmt;

pub use client::{Session, Trouble};
pub use judgement::Judgement;
pub use kubeconfig::Kubeconfig;
pub use usable::Usable;

/// What is wrong with a kubeconfig, to be put behind a name for it: "has no current-context".
/// Never holds any of its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault(String);

impl Fault {
    /// A fault, in words that go on after a name for the kubeconfig.
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Fault {}
