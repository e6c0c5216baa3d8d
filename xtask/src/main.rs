//! `cargo xtask …`: the project's tasks, from packing the charm to the complete test run.
//!
//! This file only reads the command line. Each task has a file of its own.

mod audit;
mod bench;
mod binary;
mod charm;
mod demo;
mod fuzz;
mod glibc;
mod lab;
mod package;
mod reproduce;
mod screen;
mod stages;
mod test;
mod tools;
mod units;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use crate::workspace::Workspace;

/// The project's tasks
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
enum Task {
    /// Builds the charm and writes it to target/charm/
    Package(package::Options),
    /// Runs the tests, those on real units too (needs root)
    Test(test::Options),
    /// Runs the tests on real units with many more rounds, and builds the charm again elsewhere: hours (needs root)
    Soak(test::SoakOptions),
    /// Shows the charm on a real unit, from deploy to remove (needs root)
    Demo,
    /// Measures what the charm costs a unit (needs root)
    Bench(bench::Options),
    /// Checks licences, sources and versions of the dependencies
    Audit(audit::Options),
    /// Runs the parsers of what others make on inputs that a fuzzer makes
    Fuzz(fuzz::Options),
}

fn main() -> ExitCode {
    match run(Task::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        // Without a backtrace: the last lines are those that are read.
        Err(error) => {
            eprintln!("Error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    let workspace = Workspace::find()?;
    match task {
        Task::Package(options) => package::run(&workspace, &options),
        Task::Test(options) => test::run(&workspace, options),
        Task::Soak(options) => test::soak(&workspace, options),
        Task::Demo => demo::run(&workspace),
        Task::Bench(options) => bench::run(&workspace, &options),
        Task::Audit(options) => audit::run(&workspace, &options),
        Task::Fuzz(options) => fuzz::run(&workspace, options),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_no_lab_exclude_each_other() {
        for (line, accepted) in [
            (&["xtask", "test"][..], true),
            (&["xtask", "test", "deploy", "guard"], true),
            (&["xtask", "test", "--no-lab"], true),
            (&["xtask", "test", "--no-lab", "deploy"], false),
            (&["xtask", "soak", "guard"], true),
            (&["xtask", "bench", "--against", "old.charm"], true),
            (&["xtask", "bench", "50"], false),
            (&["xtask", "audit", "--advisories"], true),
            (&["xtask", "fuzz", "--seconds", "5", "wheel"], true),
            (&["xtask"], false),
        ] {
            assert_eq!(Task::try_parse_from(line).is_ok(), accepted, "{line:?}");
        }
    }
}
