//! Runs the stages of a long task one after the other, stops at the first that fails, and shows a table of them all.

use std::fmt::{self, Write as _};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// One stage: what it is called and what it does with what the stages before it left.
pub struct Stage<T> {
    /// For the heading and the table.
    pub name: &'static str,
    /// What it does.
    pub run: fn(&mut T) -> Result<()>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed(Duration),
    Failed(Duration),
    NotRun,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed(time) => write!(f, "passed   {:>7.1} s", time.as_secs_f64()),
            Self::Failed(time) => write!(f, "FAILED   {:>7.1} s", time.as_secs_f64()),
            Self::NotRun => f.write_str("not run"),
        }
    }
}

/// Runs `stages` on `state`.
///
/// # Errors
///
/// The error of the first stage that fails, with its name.
pub fn run<T>(stages: &[Stage<T>], state: &mut T) -> Result<()> {
    let mut outcomes = vec![Outcome::NotRun; stages.len()];
    let mut verdict = Ok(());
    for (stage, outcome) in stages.iter().zip(&mut outcomes) {
        println!("\n== {} ==", stage.name);
        let start = Instant::now();
        verdict = (stage.run)(state).with_context(|| format!("stage `{}`", stage.name));
        let time = start.elapsed();
        if verdict.is_err() {
            *outcome = Outcome::Failed(time);
            break;
        }
        *outcome = Outcome::Passed(time);
        println!("-- {}: {:.1} s", stage.name, time.as_secs_f64());
    }
    println!("\n{}", table(stages, &outcomes));
    verdict
}

fn table<T>(stages: &[Stage<T>], outcomes: &[Outcome]) -> String {
    let mut total = Duration::ZERO;
    let mut passed = 0;
    let mut text = String::new();
    for (stage, outcome) in stages.iter().zip(outcomes) {
        match outcome {
            Outcome::Passed(time) => {
                passed += 1;
                total += *time;
            }
            Outcome::Failed(time) => total += *time,
            Outcome::NotRun => {}
        }
        // Writing to a String cannot fail.
        writeln!(text, "{:<28} {outcome}", stage.name).unwrap_or_default();
    }
    let count = format!("{passed} of {} stages passed", stages.len());
    write!(text, "{count:<28}          {:>7.1} s", total.as_secs_f64()).unwrap_or_default();
    text
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    fn stages() -> [Stage<Vec<&'static str>>; 3] {
        [
            Stage {
                name: "first",
                run: |log| {
                    log.push("first");
                    Ok(())
                },
            },
            Stage {
                name: "second",
                run: |_| bail!("it rains"),
            },
            Stage {
                name: "third",
                run: |log| {
                    log.push("third");
                    Ok(())
                },
            },
        ]
    }

    #[test]
    fn nothing_runs_after_the_first_failure_and_the_error_names_the_stage() {
        let mut log = Vec::new();
        let error = run(&stages(), &mut log).unwrap_err();
        assert_eq!(log, ["first"]);
        assert_eq!(format!("{error:#}"), "stage `second`: it rains");
    }

    #[test]
    fn the_table_says_how_each_stage_went() {
        let second = Duration::from_secs(1);
        let outcomes = [
            Outcome::Passed(second),
            Outcome::Failed(second * 2),
            Outcome::NotRun,
        ];
        assert_eq!(
            table(&stages(), &outcomes),
            "first                        passed       1.0 s\n\
             second                       FAILED       2.0 s\n\
             third                        not run\n\
             1 of 3 stages passed                      3.0 s"
        );
    }
}
