//! Children of a process of the host, found in `/proc`.

use std::fs;

use anyhow::Result;

/// A child of the process `parent`, while it has one.
pub(crate) fn child_of(parent: i32) -> Result<Option<i32>> {
    find_child(parent, |_| true)
}

/// The child of `parent` that is PID 1 of a PID namespace.
pub(super) fn pid_one_of(parent: i32) -> Result<Option<i32>> {
    find_child(parent, |ids| ids.split_whitespace().skip(1).eq(["1"]))
}

/// A child of `parent` whose ids in its PID namespaces are right.
fn find_child(parent: i32, is_right: impl Fn(&str) -> bool) -> Result<Option<i32>> {
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<i32>().ok())
        else {
            continue;
        };
        // A process may end while it is looked at.
        let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else {
            continue;
        };
        let field = |name: &str| {
            status
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .unwrap_or_default()
        };
        if field("PPid:").trim() == parent.to_string() && is_right(field("NSpid:")) {
            return Ok(Some(pid));
        }
    }
    Ok(None)
}
