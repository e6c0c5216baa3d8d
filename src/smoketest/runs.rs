//! The runs of this unit: their names, by which a later run recognises what an earlier one left, and their lock.
//!
//! A run that is killed cannot clean up. So every name begins with this unit's own prefix, which is in the state
//! directory: a resource with this prefix that is not of the present run is a leftover, and nobody else's.
//!
//! A run may take most of an hour, and no hook waits for it: it never holds the charm's lock but one of its own, and
//! its state file is written by nobody else. Only runs exclude each other: one at work looks like a leftover.

use std::path::Path;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::cleaner;
use super::resource::CloudResource;
use crate::problem::Problem;
use crate::system::{Lock, Root, STATE_DIRECTORY};

const FILE: &str = "smoketest.json";
pub const LOCK: &str = "smoketest.lock";

/// The state file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct RunsState {
    /// This unit's part of each name.
    unit: String,
    /// Runs that may have left something.
    unfinished: Vec<UnfinishedRun>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnfinishedRun {
    /// The name of what it created.
    pub name: String,
    project: String,
    pub account: String,
    /// Whether it has ended, and its cleaner could do no better.
    #[serde(default)]
    is_over: bool,
}

/// This run among the unfinished ones.
#[derive(Debug)]
pub struct Runs {
    root: Root,
    /// Begins every name of this unit.
    pub prefix: String,
    /// The name of what this run creates.
    pub name: String,
    state: RunsState,
}

/// Takes the lock that excludes other runs on this unit.
///
/// # Errors
/// A [`Problem`] if it is held.
pub fn lock(root: &Root) -> Result<Lock> {
    let summary = "Another smoketest is at work on this unit";
    let detail = format!("it or its clean-up must end first: journalctl -u {}", cleaner::UNIT);
    Ok(root.try_lock(LOCK)?.ok_or_else(|| Problem::waiting(summary, detail))?)
}

/// Whether the run of this name has neither removed everything nor ended in order. The charm may have left the unit.
///
/// # Errors
/// If the state file cannot be read.
pub fn needs_cleaner(root: &Root, name: &str) -> Result<bool> {
    let state: Option<RunsState> = root.load(FILE)?;
    let runs = state.into_iter().flat_map(|state| state.unfinished);
    Ok(runs.filter(|run| run.name == name).any(|run| !run.is_over))
}

impl Runs {
    /// Chooses this run's name.
    ///
    /// # Errors
    /// If the state file cannot be read.
    pub fn load(root: &Root) -> Result<Self> {
        let state = match root.load(FILE)? {
            Some(state) => state,
            None => RunsState { unit: random()?, unfinished: Vec::new() },
        };
        let prefix = format!("magnum-capi-helm-smoketest-{}-", state.unit);
        Ok(Self { root: root.clone(), name: format!("{prefix}{}", random()?), prefix, state })
    }

    /// Records, before anything is created, that this run may leave something in this project.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn begin(&mut self, project: &str, account: &str) -> Result<()> {
        self.state.unfinished.push(UnfinishedRun {
            name: self.name.clone(),
            project: project.to_owned(),
            account: account.to_owned(),
            is_over: false,
        });
        self.save()
    }

    /// Records that this run has ended in order; whether it left something.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn end(&mut self, leaves_something: bool) -> Result<()> {
        let runs = &mut self.state.unfinished;
        runs.retain(|run| leaves_something || run.name != self.name);
        for run in runs.iter_mut().filter(|run| run.name == self.name) {
            run.is_over = true;
        }
        self.save()
    }

    /// Forgets the runs of this project, whose leftovers are known now, and those `removed` in other projects. Returns
    /// the runs that may have left something where this account does not see it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn forget(&mut self, project: &str, removed: &[CloudResource]) -> Result<&[UnfinishedRun]> {
        // An administrator sees what is in other projects too.
        let is_removed = |name: &str| removed.iter().any(|resource| resource.name == name);
        let runs = &mut self.state.unfinished;
        runs.retain(|run| run.project != project && !is_removed(&run.name));
        self.save()?;
        Ok(&self.state.unfinished)
    }

    fn save(&self) -> Result<()> {
        // The charm may have left the unit meanwhile, and its directory with it.
        match self.root.is_directory(Path::new(STATE_DIRECTORY))? {
            true => self.root.save(FILE, &self.state),
            false => Ok(()),
        }
    }
}

/// Returns eight random hexadecimal digits.
fn random() -> Result<String> {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    Ok(hex::encode(bytes))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::system::testing::Scratch;

    use super::super::resource::ResourceKind;
    use super::*;

    #[test]
    fn what_may_be_in_another_project_is_not_forgotten() {
        let scratch = Scratch::new();
        let _lock = lock(&scratch.root).unwrap();
        let mut names = Vec::new();
        for project in ["here", "there", "there"] {
            let mut runs = Runs::load(&scratch.root).unwrap();
            runs.begin(project, "somebody").unwrap();
            names.push(runs.name);
        }
        let removed = json!({"name": names[2], "uuid": "1"});
        let removed = CloudResource::parse(ResourceKind::Cluster, &removed);
        let mut runs = Runs::load(&scratch.root).unwrap();
        let left = runs.forget("here", &[removed]).unwrap();
        let left: Vec<&str> = left.iter().map(|run| run.name.as_str()).collect();
        assert_eq!(left, &names[1..2]);
        assert!(names.iter().all(|name| name.starts_with(&runs.prefix)));
        assert!(lock(&scratch.root).unwrap_err().to_string().contains("at work"));
    }

    #[test]
    fn a_run_needs_its_cleaner_until_it_has_ended_in_order() {
        let scratch = Scratch::new();
        let _lock = lock(&scratch.root).unwrap();
        for leaves_something in [true, false] {
            let mut runs = Runs::load(&scratch.root).unwrap();
            runs.begin("here", "somebody").unwrap();
            assert!(needs_cleaner(&scratch.root, &runs.name).unwrap());
            runs.end(leaves_something).unwrap();
            assert!(!needs_cleaner(&scratch.root, &runs.name).unwrap());
        }
        assert_eq!(Runs::load(&scratch.root).unwrap().state.unfinished.len(), 1);
    }

    #[test]
    fn a_charm_that_has_left_gets_no_directory_back() {
        let scratch = Scratch::new();
        let mut runs = Runs::load(&scratch.root).unwrap();
        runs.begin("here", "somebody").unwrap();
        assert!(!scratch.path(STATE_DIRECTORY).exists());
    }
}
