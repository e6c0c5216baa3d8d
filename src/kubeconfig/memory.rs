//! What the charm remembers between hooks about kubeconfigs and the management cluster: a cache.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::system::{Root, Secret};

const FILE: &str = "management.json";
/// The granted kubeconfig, the earlier ones, and each of them after a change of driver or helm.
const MOST_VERDICTS: usize = 8;

#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// The last kubeconfig that the management cluster accepted.
    #[serde(rename = "proven")]
    pub accepted: Option<Secret<String>>,
    /// When everything there last was as needed.
    #[serde(rename = "fits")]
    pub passed: Option<Passed>,
    /// What driver and helm said of the last few kubeconfigs.
    #[serde(default)]
    pub programs: Vec<Verdict>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Passed {
    /// Kubeconfig, driver and chart, as a checksum.
    pub what: String,
    /// In seconds since 1970.
    pub at: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Kubeconfig, driver and helm, as a checksum.
    pub what: String,
    /// `None` if both accept it.
    pub refusal: Option<String>,
}

impl Memory {
    pub fn load(root: &Root) -> Result<Self> {
        Ok(root.load(FILE)?.unwrap_or_default())
    }

    pub fn save(&self, root: &Root) -> Result<()> {
        root.save(FILE, self)
    }

    pub fn verdict(&self, what: &str) -> Option<&Verdict> {
        self.programs.iter().find(|verdict| verdict.what == what)
    }

    pub fn add(&mut self, verdict: Verdict) {
        self.programs.push(verdict);
        let surplus = self.programs.len().saturating_sub(MOST_VERDICTS);
        self.programs.drain(..surplus);
    }
}
