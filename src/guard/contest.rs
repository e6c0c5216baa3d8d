//! Whether something keeps undoing what the guard does. Pure.
//!
//! The guard gives way then, for a while, and only at that path: the hooks go on putting it right.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// So many times the same harm, among so many repairs, within so many seconds.
const TIMES: usize = 5;
const AMONG: usize = 10;
const WITHIN: i64 = 60;
/// For so many seconds the guard gives way.
const GIVES_WAY_FOR: i64 = 600;

/// What the guard remembers from one run to the next.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// The last repairs, the newest last.
    repairs: Vec<Repair>,
    /// Where it has given way.
    contested: BTreeMap<PathBuf, Contested>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Repair {
    at: i64,
    /// Each path that was put right, and what was wrong with it.
    harm: Vec<(PathBuf, String)>,
}

/// A path at which something undoes what the guard does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contested {
    /// Until when the guard gives way, in seconds since 1970.
    pub until: i64,
    /// Who it is, when that was seen.
    pub who: Option<String>,
}

impl Memory {
    /// The paths at which the guard gives way at `now`.
    pub fn contested(&self, now: i64) -> impl Iterator<Item = (&Path, &Contested)> {
        let contested = self.contested.iter();
        contested
            .filter(move |(_, contested)| contested.until > now)
            .map(|(path, contested)| (path.as_path(), contested))
    }

    /// Enters what was put right at `now`, and tells the paths that are contested from now on.
    pub fn enter(&mut self, now: i64, harm: &[(PathBuf, String)]) -> Vec<PathBuf> {
        self.contested.retain(|_, contested| contested.until > now);
        if harm.is_empty() {
            return Vec::new();
        }
        self.repairs.push(Repair {
            at: now,
            harm: harm.to_vec(),
        });
        let first = self.repairs.len().saturating_sub(AMONG);
        self.repairs.drain(..first);
        let repairs = &self.repairs;
        let again = |harm: &&(PathBuf, String)| {
            let same = |repair: &&Repair| now - repair.at < WITHIN && repair.harm.contains(harm);
            repairs.iter().filter(same).count() >= TIMES
        };
        let contested: Vec<PathBuf> = harm
            .iter()
            .filter(again)
            .map(|(path, _)| path.clone())
            .collect();
        for path in &contested {
            let until = now + GIVES_WAY_FOR;
            let contested = Contested { until, who: None };
            self.contested.insert(path.clone(), contested);
        }
        if !contested.is_empty() {
            self.repairs.clear();
        }
        contested
    }

    /// Enters who contests `path`.
    pub fn blame(&mut self, path: &Path, who: String) {
        if let Some(contested) = self.contested.get_mut(path) {
            contested.who = Some(who);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn harm(path: &str, what: &str) -> Vec<(PathBuf, String)> {
        vec![(path.into(), what.into())]
    }

    #[test]
    fn the_same_harm_again_and_again_is_a_duel_for_a_while_and_at_that_path_alone() {
        let mut memory = Memory::default();
        for second in 0..4 {
            assert!(memory.enter(second, &harm("/a", "missing")).is_empty());
            assert!(
                memory
                    .enter(second, &harm("/b", &second.to_string()))
                    .is_empty()
            );
        }
        assert_eq!(memory.enter(4, &harm("/a", "missing")), [Path::new("/a")]);
        memory.blame(Path::new("/a"), "puppet".into());
        let contested: Vec<_> = memory.contested(5).collect();
        assert_eq!(contested.len(), 1);
        assert_eq!(contested[0].0, Path::new("/a"));
        assert_eq!(contested[0].1.who.as_deref(), Some("puppet"));
        assert_eq!(memory.contested(4 + GIVES_WAY_FOR).count(), 0);
        // Then it tries again, and gives way again after as many times.
        let later = 4 + GIVES_WAY_FOR;
        for second in later..later + 4 {
            assert!(memory.enter(second, &harm("/a", "missing")).is_empty());
        }
        assert!(!memory.enter(later + 4, &harm("/a", "missing")).is_empty());
    }

    #[test]
    fn different_harm_or_harm_now_and_then_is_no_duel() {
        let mut memory = Memory::default();
        for second in 0..100 {
            let harm = harm("/a", &format!("harm {}", second % 7));
            assert!(memory.enter(second, &harm).is_empty(), "{second}");
        }
        let mut memory = Memory::default();
        for minute in 0..100 {
            let harm = harm("/a", "missing");
            assert!(memory.enter(minute * 20, &harm).is_empty(), "{minute}");
        }
    }
}
