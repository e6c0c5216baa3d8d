//! The names of what a run makes, by which a later one knows what an earlier one left.
//!
//! A run that is killed cannot clean up. So every name begins with this unit's own, which is kept in
//! the state directory: what bears it and is not of the present run is a leftover, and nobody else's.
//!
//! A run may take most of an hour, and no hook waits for it: it never holds the charm's lock but one of its
//! own, and what it remembers is a file that nothing else writes. Only its own kind waits: what is at work
//! looks like a leftover.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::cleaner;
use crate::problem::Problem;
use crate::unit::state::{self, Lock};

const FILE: &str = "smoketest.json";
const LOCK: &str = "smoketest.lock";

/// What is remembered between runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Memory {
    /// This unit's own part of each name.
    unit: String,
    /// Runs that have not said yet that they left nothing, with the project they worked in.
    unfinished: Vec<Unfinished>,
}

/// A run that may have left something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfinished {
    /// The name of what it made.
    pub name: String,
    project: String,
    /// Who it was, as people say it.
    pub account: String,
}

/// The names of this unit's runs, and those of this run.
#[derive(Debug)]
pub struct Names {
    /// What every name of this unit begins with.
    pub prefix: String,
    /// The name of what this run makes.
    pub name: String,
    memory: Memory,
}

/// While it is held, no other run is at work on this unit.
///
/// # Errors
/// A [`Problem`] when one is.
pub fn alone() -> Result<Lock> {
    Ok(state::try_lock(LOCK)?.ok_or_else(|| {
        Problem::waiting(format!(
            "another smoketest is at work on this unit, or what removes what one has left; see: \
             journalctl -u {}",
            cleaner::UNIT
        ))
    })?)
}

impl Names {
    /// Chooses this run's name.
    ///
    /// # Errors
    /// When the state directory cannot be read.
    pub fn choose() -> Result<Self> {
        let memory = match state::load(FILE)? {
            Some(memory) => memory,
            None => Memory {
                unit: random()?,
                unfinished: Vec::new(),
            },
        };
        let prefix = format!("magnum-capi-helm-smoketest-{}-", memory.unit);
        Ok(Self {
            name: format!("{prefix}{}", random()?),
            prefix,
            memory,
        })
    }

    /// Remembers, before anything is made, that this run may leave something in this project.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub fn begin(&mut self, project: &str, account: &str) -> Result<()> {
        self.memory.unfinished.push(Unfinished {
            name: self.name.clone(),
            project: project.to_owned(),
            account: account.to_owned(),
        });
        self.save()
    }

    /// This run has left nothing.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub fn end(&mut self) -> Result<()> {
        let name = self.name.clone();
        self.memory.unfinished.retain(|run| run.name != name);
        self.save()
    }

    /// What is in this project is known from now on, and of other projects what was `removed` there. Gives
    /// the runs that may have left something where it cannot be seen.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub fn seen(&mut self, project: &str, removed: &[String]) -> Result<&[Unfinished]> {
        let unfinished = std::mem::take(&mut self.memory.unfinished);
        self.memory.unfinished = unseen(unfinished, project, removed);
        self.save()?;
        Ok(&self.memory.unfinished)
    }

    fn save(&self) -> Result<()> {
        // The charm may have left the unit meanwhile, and its directory with it.
        if !Path::new(state::DIRECTORY).is_dir() {
            return Ok(());
        }
        state::save(FILE, &self.memory)
    }
}

/// The unfinished runs that may have left something which an account of this project does not see. (An
/// administrator sees what is in other projects too.)
fn unseen(unfinished: Vec<Unfinished>, here: &str, removed: &[String]) -> Vec<Unfinished> {
    let is_unseen = |run: &Unfinished| run.project != here && !removed.contains(&run.name);
    unfinished.into_iter().filter(is_unseen).collect()
}

/// Eight random hexadecimal digits.
fn random() -> Result<String> {
    let uuid =
        fs::read_to_string("/proc/sys/kernel/random/uuid").context("asking for a random id")?;
    Ok(uuid.chars().take(8).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_in_another_project_is_not_forgotten() {
        let run = |name: &str, project: &str| Unfinished {
            name: name.into(),
            project: project.into(),
            account: "somebody".into(),
        };
        let all = vec![run("1", "here"), run("2", "there"), run("3", "there")];
        let left = unseen(all, "here", &["3".into()]);
        assert_eq!(left, [run("2", "there")]);
    }
}
