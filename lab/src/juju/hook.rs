//! What a run of a hook or an action leaves to look at.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Result, bail};

use super::context::ToolCall;

#[derive(Debug, Clone)]
pub struct HookRun {
    pub name: String,
    /// The exit code; `None` when a signal ended it.
    pub exit: Option<i32>,
    pub signal: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    /// The hook tools it called, in order.
    pub tools: Vec<ToolCall>,
    /// What it wrote with `juju-log`: level and message.
    pub log: Vec<(String, String)>,
    pub wall: Duration,
}

impl HookRun {
    #[must_use]
    pub fn ok(&self) -> bool {
        self.exit == Some(0)
    }

    /// The run itself when it ended well.
    pub fn expect_ok(self) -> Result<Self> {
        if !self.ok() {
            bail!("{}", self.describe());
        }
        Ok(self)
    }

    /// The messages of the log, a line each.
    #[must_use]
    pub fn log_text(&self) -> String {
        self.log.iter().map(|(level, message)| format!("{level} {message}\n")).collect()
    }

    /// Whether a tool was called whose words, joined by spaces, contain `words`.
    #[must_use]
    pub fn called(&self, words: &str) -> bool {
        self.tools.iter().any(|call| call.argv.join(" ").contains(words))
    }

    /// The run in words, for the message of a failed test.
    #[must_use]
    pub fn describe(&self) -> String {
        let how = match (self.exit, self.signal) {
            (Some(code), _) => format!("exited with {code}"),
            (None, Some(signal)) => format!("was ended by signal {signal}"),
            (None, None) => "was ended".into(),
        };
        let mut text = format!("{} {how} after {:?}\n", self.name, self.wall);
        for call in &self.tools {
            // Writing to a string does not fail.
            writeln!(text, "  {:?} -> {}", call.argv, call.exit).unwrap_or_default();
        }
        text + &self.log_text() + &self.stdout + &self.stderr
    }
}

/// How an action ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActionStatus {
    /// It did what it should.
    Completed,
    /// It called `action-fail`, or exited with another code than 0.
    Failed,
}

#[derive(Debug, Clone)]
pub struct ActionRun {
    pub status: ActionStatus,
    /// What Juju shows when it failed: `action-fail`'s words, or `exit status N`.
    pub message: String,
    /// The results by their dotted keys, and what Juju adds: `return-code`, `stdout`, `stderr`.
    pub results: BTreeMap<String, String>,
    pub log: Vec<String>,
    pub run: HookRun,
}
