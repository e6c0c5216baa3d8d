//! SIGTERM, SIGINT and SIGHUP, taken as a wish: what was made is removed before the program ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::{SigSet, Signal};

static WISHED: AtomicBool = AtomicBool::new(false);
/// How soon a wish is heard.
const SLICE: Duration = Duration::from_millis(200);

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
            WISHED.store(true, Ordering::Relaxed);
        }
    });
    Ok(())
}

/// Whether somebody wants this to stop.
pub fn wished() -> bool {
    WISHED.load(Ordering::Relaxed)
}

/// Sleeps, less when somebody wants this to stop.
pub fn sleep(time: Duration) {
    let end = Instant::now() + time;
    while !wished() {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(SLICE));
    }
}
