//! Whether something keeps undoing what the guard repairs.
//!
//! The guard leaves such a path to the hooks for a while; they go on repairing it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::problem::Problem;
use crate::system::Root;

const FILE: &str = "guard.json";
/// This many repairs of the same drift, among this many repairs, within this many seconds.
const TIMES: usize = 5;
const AMONG: usize = 10;
const WITHIN: i64 = 60;
/// For this many seconds the guard leaves the path to the hooks.
const LEAVE_FOR: i64 = 600;

/// What the guard remembers from one run to the next.
#[derive(Debug, Default, Serialize, Deserialize)]
struct ContestMemory {
    /// The last repairs, the newest last.
    repairs: Vec<Repair>,
    /// The contested paths.
    contested: BTreeMap<PathBuf, Contest>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Repair {
    at: i64,
    /// Each repaired path, and what was wrong with it.
    #[serde(rename = "harm")]
    drift: Vec<(PathBuf, String)>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Contest {
    /// The end of it, in seconds since 1970.
    until: i64,
}

/// Returns what the guard leaves to the hooks now, for the unit's status and `verify`.
///
/// # Errors
/// If what it remembers cannot be read.
pub fn contested(root: &Root) -> Result<Vec<Problem>> {
    let notice = |path: &PathBuf| {
        Problem::notice(
            format!("Something keeps undoing {}", path.display()),
            "find what writes that path (such as a configuration management agent) and exclude the path there",
        )
    };
    Ok(contested_paths(root)?.iter().map(notice).collect())
}

/// Returns the paths that the guard leaves to the hooks now.
///
/// # Errors
/// If what it remembers cannot be read.
pub fn contested_paths(root: &Root) -> Result<Vec<PathBuf>> {
    let memory: ContestMemory = root.load(FILE)?.unwrap_or_default();
    Ok(memory.paths(Timestamp::now().as_second()))
}

/// Enters what the guard has repaired just now, and returns the paths that are contested from now on.
///
/// # Errors
/// If what it remembers cannot be read or written.
pub fn enter_repairs(root: &Root, drift: &[(PathBuf, String)]) -> Result<Vec<PathBuf>> {
    if drift.is_empty() {
        return Ok(Vec::new());
    }
    let mut memory: ContestMemory = root.load(FILE)?.unwrap_or_default();
    let contested = memory.enter(Timestamp::now().as_second(), drift);
    root.save(FILE, &memory)?;
    Ok(contested)
}

impl ContestMemory {
    /// Returns the paths that are contested at `now`.
    fn paths(&self, now: i64) -> Vec<PathBuf> {
        let contested = self.contested.iter().filter(|(_, contest)| contest.until > now);
        contested.map(|(path, _)| path.clone()).collect()
    }

    /// Enters what was repaired at `now`, and returns the paths that are contested from now on.
    fn enter(&mut self, now: i64, drift: &[(PathBuf, String)]) -> Vec<PathBuf> {
        self.contested.retain(|_, contest| contest.until > now);
        self.repairs.push(Repair { at: now, drift: drift.to_vec() });
        let first = self.repairs.len().saturating_sub(AMONG);
        self.repairs.drain(..first);
        let repairs = &self.repairs;
        let again = |drift: &&(PathBuf, String)| {
            let same = |repair: &&Repair| now - repair.at < WITHIN && repair.drift.contains(drift);
            repairs.iter().filter(same).count() >= TIMES
        };
        let contested: Vec<PathBuf> = drift.iter().filter(again).map(|(path, _)| path.clone()).collect();
        if !contested.is_empty() {
            let until = now + LEAVE_FOR;
            self.contested.extend(contested.iter().map(|path| (path.clone(), Contest { until })));
            self.repairs.clear();
        }
        contested
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn drift(path: &str, what: &str) -> Vec<(PathBuf, String)> {
        vec![(path.into(), what.into())]
    }

    #[test]
    fn the_same_drift_again_and_again_is_a_contest_for_a_while_and_at_that_path_alone() {
        let mut memory = ContestMemory::default();
        for second in 0..4 {
            assert!(memory.enter(second, &drift("/a", "missing")).is_empty());
            let other = drift("/b", &second.to_string());
            assert!(memory.enter(second, &other).is_empty());
        }
        assert_eq!(memory.enter(4, &drift("/a", "missing")), [Path::new("/a")]);
        assert_eq!(memory.paths(5), [Path::new("/a")]);
        let later = 4 + LEAVE_FOR;
        assert!(memory.paths(later).is_empty());
        // Then it repairs again, and leaves it again after as many times.
        for second in later..later + 4 {
            assert!(memory.enter(second, &drift("/a", "missing")).is_empty());
        }
        assert!(!memory.enter(later + 4, &drift("/a", "missing")).is_empty());
    }

    #[test]
    fn different_drift_or_drift_now_and_then_is_no_contest() {
        let mut memory = ContestMemory::default();
        for second in 0..100 {
            let drift = drift("/a", &format!("drift {}", second % 7));
            assert!(memory.enter(second, &drift).is_empty(), "{second}");
        }
        let mut memory = ContestMemory::default();
        for minute in 0..100 {
            let drift = drift("/a", "missing");
            assert!(memory.enter(minute * 20, &drift).is_empty(), "{minute}");
        }
    }

    #[test]
    fn a_contest_is_a_notice_that_names_the_path() {
        let scratch = crate::system::testing::Scratch::new();
        scratch.root.make_state_directory().unwrap();
        let drift = drift("/a", "missing");
        for _ in 1..TIMES {
            assert!(enter_repairs(&scratch.root, &drift).unwrap().is_empty());
        }
        assert_eq!(enter_repairs(&scratch.root, &drift).unwrap(), [Path::new("/a")]);
        assert_eq!(contested_paths(&scratch.root).unwrap(), [Path::new("/a")]);
        let notices = contested(&scratch.root).unwrap();
        assert_eq!(notices[0].summary, "Something keeps undoing /a");
    }
}
