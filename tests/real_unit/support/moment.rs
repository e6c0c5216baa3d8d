//! Moments of a hook, and how much of a test is done by default.

use std::time::{Duration, Instant};

use lab::Machine;

use super::Deployment;

impl Deployment {
    /// Runs a hook that is killed at `moment`; whether it really was.
    pub fn kill_hook(&self, name: &str, moment: &Moment) -> bool {
        let run = match moment {
            Moment::After(delay) => self.unit.kill_hook_after(name, *delay),
            Moment::When(script) => {
                let is_it_time = format!("test -n \"$({script})\"");
                self.unit.kill_hook_when(name, |unit| unit.machine().run(&["sh", "-c", &is_it_time]).unwrap().ok())
            }
            Moment::Exists(path) => self.unit.kill_hook_when(name, |unit| unit.machine().exists(path).unwrap()),
        };
        self.heard(run.unwrap()).signal == Some(9)
    }
}

/// When to kill a hook.
#[derive(Debug, Clone)]
pub enum Moment {
    /// So long after its start.
    After(Duration),
    /// As soon as there is something at this path.
    Exists(&'static str),
    /// As soon as this shell command prints something.
    When(&'static str),
}

/// Moments spread over `range` without a pattern, the same ones in each run of the test.
pub fn moments(count: u32, range: Duration) -> impl Iterator<Item = Moment> {
    // The fractional parts of the multiples of the golden ratio: never close together.
    (1..=count).map(move |n| Moment::After(range.mul_f64(f64::from(n) * 0.618_034 % 1.0)))
}

/// However slow the machine is, what has not happened by then never will.
const NEVER: Duration = Duration::from_secs(600);

/// Waits until `found` says so, and tells after how long.
#[track_caller]
pub fn eventually(what: &str, found: impl Fn() -> bool) -> Duration {
    let began = Instant::now();
    while !found() {
        let waited = began.elapsed();
        assert!(waited < NEVER, "not so: {what}");
        // Each look starts a program, which slows down what it looks for.
        std::thread::sleep((waited / 4).clamp(Duration::from_millis(20), Duration::from_millis(500)));
    }
    began.elapsed()
}

/// Ends what a test has running on a machine beside it, however the test ends.
pub struct Enough<'a>(pub &'a Machine);

impl Drop for Enough<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.0.shell("touch /run/enough") {
            eprintln!("{error:#}");
        }
    }
}

/// Prints how long a part of a test took.
pub fn timed<T>(what: &str, part: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = part();
    eprintln!("{what}: {:.1} s", start.elapsed().as_secs_f64());
    result
}

/// How much of a test is done: `reduced` by default, and `full` with `LAB_SOAK=1`, which takes hours.
pub fn soak<T>(reduced: T, full: T) -> T {
    match std::env::var_os("LAB_SOAK") {
        Some(set) if set == "1" => full,
        _ => reduced,
    }
}
