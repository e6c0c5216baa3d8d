//! A run's exchange with whoever waits for it: the progress log, and the signals that ask it to stop.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::sys::signal::{SigSet, Signal};

use crate::escape::{self, ENTRY_LENGTH};

/// How soon a signal is noticed.
const SLICE: Duration = Duration::from_millis(200);

/// What the signals so far ask of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StopRequest {
    None,
    /// Stop, and clean up first.
    Stop,
    /// Asked twice: end without waiting for the clean-up.
    Abort,
}

/// Counts SIGTERM, SIGINT and SIGHUP.
#[derive(Debug, Clone, Default)]
pub struct Signals(Arc<AtomicUsize>);

impl Signals {
    /// Counts from now on, instead of ending the program. Threads inherit what is blocked, so this comes before them.
    ///
    /// # Errors
    /// If the signals cannot be blocked.
    pub fn listen() -> Result<Self> {
        let set: SigSet = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().collect();
        set.thread_block().context("blocking signals")?;
        let signals = Self::default();
        let counted = signals.clone();
        std::thread::spawn(move || {
            while set.wait().is_ok() {
                counted.count();
            }
        });
        Ok(signals)
    }

    pub fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

type Sink = Box<dyn FnMut(&str) -> Result<()>>;

/// The progress log: each line with its second, sent on as it is written.
pub struct Progress {
    began: Instant,
    lines: Vec<String>,
    sink: Option<Sink>,
    signals: Signals,
    /// Between two looks at a resource.
    pause: Duration,
}

impl Progress {
    pub fn new(signals: Signals, pause: Duration, sink: impl FnMut(&str) -> Result<()> + 'static) -> Self {
        Self { began: Instant::now(), lines: Vec::new(), sink: Some(Box::new(sink)), signals, pause }
    }

    pub fn log(&mut self, line: impl Display) {
        let line = escape::line(&format!("{:>5} s  {line}", self.seconds()), ENTRY_LENGTH);
        if let Some(sink) = &mut self.sink
            && let Err(error) = sink(&line)
        {
            // Nobody waits any more: no reason to stop, nor to try again.
            tracing::warn!("{error:#}");
            self.sink = None;
        }
        self.lines.push(line);
    }

    pub fn seconds(&self) -> u64 {
        self.began.elapsed().as_secs()
    }

    pub fn text(&self) -> String {
        self.lines.join("\n")
    }

    pub fn stop_request(&self) -> StopRequest {
        match self.signals.0.load(Ordering::Relaxed) {
            0 => StopRequest::None,
            1 => StopRequest::Stop,
            _ => StopRequest::Abort,
        }
    }

    /// Pauses before the next look, for less if a request beyond `known` comes.
    pub fn pause(&self, known: StopRequest) {
        let end = Instant::now() + self.pause;
        while self.stop_request() <= known {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(SLICE));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_nobody_reads_is_sent_once_and_still_complete_in_the_report() {
        let (sender, sent) = std::sync::mpsc::channel();
        let mut progress = Progress::new(Signals::default(), Duration::ZERO, move |_| {
            sender.send(()).unwrap();
            anyhow::bail!("nobody waits")
        });
        progress.log("one");
        progress.log("two\n    9 s  \u{1b}[2J");
        assert_eq!(progress.text(), "    0 s  one\n    0 s  two\\n    9 s  \\u001b[2J");
        drop(progress);
        assert_eq!(sent.iter().count(), 1);
    }

    #[test]
    fn a_pause_ends_with_the_next_signal() {
        let signals = Signals::default();
        let progress = Progress::new(signals.clone(), Duration::from_secs(60), |_| Ok(()));
        signals.count();
        progress.pause(StopRequest::None);
        assert_eq!(progress.stop_request(), StopRequest::Stop);
        signals.count();
        progress.pause(StopRequest::Stop);
        assert_eq!(progress.stop_request(), StopRequest::Abort);
    }
}
