//! Processes of the host, found in `/proc`: which one is whose child.

use std::collections::BTreeMap;
use std::fs;

use anyhow::Result;

/// A process: its parent, and its ids from this process's PID namespace down to its own.
struct Process {
    parent: i32,
    ids: Vec<i32>,
}

/// A child of the process `parent`, while it has one.
pub(crate) fn child_of(parent: i32) -> Result<Option<i32>> {
    Ok(processes()?
        .into_iter()
        .find(|(_, process)| process.parent == parent)
        .map(|(pid, _)| pid))
}

/// The PID 1 of the container that a keeper holds: the child of systemd-nspawn, which is the child of
/// the script's `run`, which is the child of the script itself, which is the child of `keeper`.
pub(super) fn container_of(keeper: i32) -> Result<Option<i32>> {
    let all = processes()?;
    let parent = |pid: i32| all.get(&pid).map_or(0, |process| process.parent);
    let is_it = |pid: i32, process: &Process| {
        process.ids.len() > 2
            && process.ids.last() == Some(&1)
            && parent(parent(parent(parent(pid)))) == keeper
    };
    Ok(all
        .iter()
        .find(|(pid, process)| is_it(**pid, process))
        .map(|(pid, _)| *pid))
}

fn processes() -> Result<BTreeMap<i32, Process>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        // A process may end while it is looked at.
        let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else {
            continue;
        };
        let numbers = |name: &str| -> Vec<i32> {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .unwrap_or_default();
            line.split_whitespace()
                .filter_map(|number| number.parse().ok())
                .collect()
        };
        let parent = numbers("PPid:").first().copied().unwrap_or_default();
        all.insert(
            pid,
            Process {
                parent,
                ids: numbers("NSpid:"),
            },
        );
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn children_are_found() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = child.id().cast_signed();
        let all = processes().unwrap();
        assert_eq!(all[&pid].parent, std::process::id().cast_signed());
        assert_eq!(all[&pid].ids.first(), Some(&pid));
        assert_eq!(child_of(pid).unwrap(), None);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
