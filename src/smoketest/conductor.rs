//! What this unit's conductor has said since a run began: a failed cluster's own reason often names only
//! the step, and the log has the cause. The conductor of another unit may have done it; then there is none.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;

use crate::unit::{command, files};

const LIMIT: Duration = Duration::from_secs(20);
/// Where the init wrapper has it log to, while the graft's drop-in is not the operator's choice.
const FILE: &str = "/var/log/magnum/magnum-conductor.log";
const MOST: u64 = 1 << 20;
/// How many causes are of use.
const CAUSES: usize = 6;

/// The place in the conductor's logs from which on they are of interest.
#[derive(Debug)]
pub struct Since {
    time: u64,
    size: u64,
}

impl Since {
    /// This moment.
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            time: since.unwrap_or_default().as_secs(),
            size: size(),
        }
    }

    /// The last causes of failures, one a line; empty when there is none.
    ///
    /// # Errors
    /// When the logs cannot be read.
    pub fn causes(&self) -> Result<String> {
        let printed = command::run("journalctl", LIMIT)
            .args(["--quiet", "--no-pager", "--output=cat", "--lines=5000"])
            .args([
                "--unit=magnum-conductor",
                &format!("--since=@{}", self.time),
            ])
            .stdout()?;
        let mut text = String::from_utf8_lossy(&printed).into_owned();
        let new = size().saturating_sub(self.size).min(MOST);
        if new > 0 {
            let end = files::read_end(Path::new(FILE), new)?;
            text.push_str(&String::from_utf8_lossy(&end));
        }
        Ok(causes(&text))
    }
}

fn size() -> u64 {
    Path::new(FILE).metadata().map_or(0, |meta| meta.len())
}

/// The lines that name an exception with its message, without what oslo.log puts before it.
fn causes(text: &str) -> String {
    let mut found: Vec<&str> = Vec::new();
    for line in text.lines() {
        let Some((_, said)) = line.split_once(" ERROR ") else {
            continue;
        };
        // The logger's name, and the request's ids on the first line of a message.
        let (_, said) = said.split_once(' ').unwrap_or(("", said));
        let said = match said.split_once("] ") {
            Some((ids, said)) if ids.starts_with('[') => said,
            _ => said,
        };
        let names_one = ["Error: ", "Exception: ", "exceptions.", "exception."];
        let is_frame = said.contains("  File \"") || said.contains(" raise ");
        if names_one.iter().any(|name| said.contains(name)) && !is_frame && !found.contains(&said) {
            found.push(said);
        }
    }
    let first = found.len().saturating_sub(CAUSES);
    found[first..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_log_the_exceptions_are_told() {
        let text = "2026-11-23 02:35:45.400 389 INFO magnum [-] Error: none\n\
            2026-11-23 02:35:45.400 389 ERROR oslo_messaging.rpc.server [None req-46 b8 - - -] Exception during \
            message handling: FileNotFoundError: [Errno 2] No such file or directory: '/etc/magnum/kubeconfig'\n\
            2026-11-23 02:35:45.400 389 ERROR oslo_messaging.rpc.server Traceback (most recent call last):\n\
            2026-11-23 02:35:45.401 389 ERROR magnum.conductor keystoneauth1.exceptions.http.Forbidden: no\n\
            2026-11-23 02:35:45.402 389 ERROR oslo_messaging.rpc.server keystoneauth1.exceptions.http.Forbidden: no\n";
        let expected = "Exception during message handling: FileNotFoundError: [Errno 2] No such file or \
                        directory: '/etc/magnum/kubeconfig'\n\
                        keystoneauth1.exceptions.http.Forbidden: no";
        assert_eq!(causes(text), expected);
    }
}
