//! Runs the stages of a long task and prints a table of their times.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// The stages that have ended, in order: name, time, success.
#[derive(Debug, Default)]
pub struct Stages(Vec<(&'static str, Duration, bool)>);

impl Stages {
    /// Runs one stage. Its error carries its name.
    pub fn run<T>(&mut self, name: &'static str, stage: impl FnOnce() -> Result<T>) -> Result<T> {
        println!("\n== {name} ==");
        let start = Instant::now();
        let result = stage().with_context(|| format!("stage `{name}`"));
        self.0.push((name, start.elapsed(), result.is_ok()));
        result
    }
}

impl fmt::Display for Stages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, time, passed) in &self.0 {
            let outcome = if *passed { "passed" } else { "FAILED" };
            writeln!(f, "{name:<28} {outcome} {:>8.1} s", time.as_secs_f64())?;
        }
        let total: Duration = self.0.iter().map(|(_, time, _)| *time).sum();
        write!(f, "{:<28}        {:>8.1} s", "total", total.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn the_error_names_the_stage_and_the_table_shows_how_each_went() {
        let mut stages = Stages::default();
        stages.run("first", || Ok(())).unwrap();
        let error = stages.run::<()>("second", || bail!("no space")).unwrap_err();
        assert_eq!(format!("{error:#}"), "stage `second`: no space");
        let table = stages.to_string();
        let words: Vec<&str> = table.split_whitespace().collect();
        assert_eq!(words[..2], ["first", "passed"]);
        assert_eq!(words[4..6], ["second", "FAILED"]);
    }
}
