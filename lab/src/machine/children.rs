//! Processes of the host, found in `/proc`: which one is whose child.

use std::fs;

/// The children of the main thread of `parent`: none when it has ended.
fn children_of(parent: i32) -> Vec<i32> {
    let path = format!("/proc/{parent}/task/{parent}/children");
    let children = fs::read_to_string(path).unwrap_or_default();
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// A child of the process `parent`, while it has one.
pub(crate) fn child_of(parent: i32) -> Option<i32> {
    children_of(parent).first().copied()
}

/// The PID 1 of the container that a keeper holds: the child of systemd-nspawn, which is the child of
/// the script's `run`, which is the child of the script itself, which is the child of `keeper`.
pub(super) fn container_of(keeper: i32) -> Option<i32> {
    let mut found = vec![keeper];
    for _ in 0..4 {
        found = found.into_iter().flat_map(children_of).collect();
    }
    found.into_iter().find(|pid| is_first(*pid).unwrap_or(false))
}

/// Whether a process is PID 1 of a PID namespace below the keeper's; nothing when it has ended.
fn is_first(pid: i32) -> Option<bool> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    let ids: Vec<&str> = ids.split_whitespace().collect();
    Some(ids.len() > 2 && ids.last() == Some(&"1"))
}
