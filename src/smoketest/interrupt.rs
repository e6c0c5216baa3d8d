//! SIGTERM, SIGINT and SIGHUP, taken as a wish: what was made is removed before the program ends. Whoever
//! says it twice does not want to wait for that either.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::{SigSet, Signal};

static WISHES: AtomicUsize = AtomicUsize::new(0);
/// How soon a wish is heard.
const SLICE: Duration = Duration::from_millis(200);

/// What somebody wants of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wish {
    /// To go on.
    Go,
    /// To stop, and to clean up.
    Stop,
    /// To end at once.
    End,
}

/// From now on the signals that mean "stop" are only noted. To be called before there are threads:
/// they inherit what is blocked.
///
/// # Errors
/// When the signals cannot be blocked.
pub fn listen() -> Result<()> {
    let signals: SigSet = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP]
        .into_iter()
        .collect();
    signals.thread_block().context("blocking signals")?;
    std::thread::spawn(move || {
        while signals.wait().is_ok() {
            WISHES.fetch_add(1, Ordering::Relaxed);
        }
    });
    Ok(())
}

/// What somebody wants now.
pub fn wish() -> Wish {
    match WISHES.load(Ordering::Relaxed) {
        0 => Wish::Go,
        1 => Wish::Stop,
        _ => Wish::End,
    }
}

/// Sleeps, less when there is a wish beyond `known`.
pub fn sleep(time: Duration, known: Wish) {
    let end = Instant::now() + time;
    while wish() <= known {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(SLICE));
    }
}
