//! What is told while it happens, and in the end.

use std::fmt::Display;
use std::time::Instant;

use anyhow::Result;

/// The lines of a run, each with its second.
#[derive(Debug)]
pub struct Story {
    began: Instant,
    lines: Vec<String>,
    listener: Option<fn(&str) -> Result<()>>,
}

impl Story {
    /// A story that is told to `listener` as it goes.
    pub fn new(listener: fn(&str) -> Result<()>) -> Self {
        Self {
            began: Instant::now(),
            lines: Vec::new(),
            listener: Some(listener),
        }
    }

    /// Tells one line.
    pub fn tell(&mut self, line: impl Display) {
        let line = format!("{:>5} s  {line}", self.seconds());
        if let Some(listener) = self.listener
            && let Err(error) = listener(&line)
        {
            // Nobody waits any more: no reason to stop, nor to try again.
            tracing::warn!("{error:#}");
            self.listener = None;
        }
        self.lines.push(line);
    }

    /// Seconds since it began.
    pub fn seconds(&self) -> u64 {
        self.began.elapsed().as_secs()
    }

    /// All of it.
    pub fn text(&self) -> String {
        self.lines.join("\n")
    }
}
