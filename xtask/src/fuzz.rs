//! `cargo xtask fuzz`: runs the charm's parsers of what others make on inputs that libFuzzer makes of a small corpus.
//!
//! The library's `fuzzing` has the targets, `fuzz` the program. Flags for LLVM instrument it, which stable Rust takes:
//! cargo-fuzz gives the same and wants a nightly for others.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use xshell::cmd;

use crate::binary;
use crate::workspace::Workspace;

/// What libFuzzer watches: how often each edge is run, and what is compared with what.
const FLAGS: [&str; 5] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];
/// For one input, in seconds. (Memory is limited in the program.)
const TIME_LIMIT: u32 = 5;
/// The longest input, in bytes.
const LONGEST: u32 = 64 << 10;

#[derive(Debug, clap::Args)]
pub struct Options {
    /// Runs each target for so many seconds
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Runs only these targets, which are the folders in fuzz/corpus
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
}

struct Fuzzer<'a> {
    workspace: &'a Workspace,
    /// Everything that is built and may be deleted.
    directory: PathBuf,
    program: PathBuf,
    seconds: u32,
}

/// What a target's log says.
#[derive(Debug, PartialEq, Eq)]
struct Outcome<'a> {
    runs: &'a str,
    per_second: &'a str,
    /// How many edges were run.
    coverage: &'a str,
    /// The file with the input that is a finding.
    finding: Option<&'a str>,
}

pub fn run(workspace: &Workspace, options: Options) -> Result<()> {
    let all = names_in(&workspace.root.join("fuzz/corpus"))?;
    if let Some(unknown) = options.targets.iter().find(|target| !all.contains(target)) {
        bail!("there is no target {unknown}, only {}", all.join(", "));
    }
    let targets = if options.targets.is_empty() { all } else { options.targets };
    let fuzzer = Fuzzer::build(workspace, options.seconds)?;
    let mut findings = Vec::new();
    println!("{:<12} {:>12} {:>8} {:>9}  result", "target", "runs", "runs/s", "coverage");
    for several in targets.chunks(thread::available_parallelism().map_or(1, Into::into)) {
        let started: Vec<_> = several.iter().map(|target| fuzzer.start(target)).collect::<Result<_>>()?;
        for (target, mut running) in several.iter().zip(started) {
            let passed = running.wait()?.success();
            let log = fs::read(fuzzer.log(target)).map(|log| String::from_utf8_lossy(&log).into_owned())?;
            let outcome = Outcome::of(&log);
            println!("{}", outcome.row(target));
            ensure!(passed || outcome.finding.is_some(), "libFuzzer fails: see {}", fuzzer.log(target).display());
            findings.extend(outcome.finding.map(|file| fuzzer.replay(target, file)));
        }
    }
    ensure!(findings.is_empty(), "there are findings; run them again with:\n{}", findings.join("\n"));
    Ok(())
}

impl<'a> Fuzzer<'a> {
    fn build(workspace: &'a Workspace, seconds: u32) -> Result<Self> {
        let host = binary::rustc_field(workspace, "host: ")?;
        let directory = workspace.target.join("fuzz");
        // With a target, the flags are not for build scripts and macros, which cannot be linked with them.
        cmd!(
            workspace.sh,
            "cargo build --profile fuzz --locked --target {host} --package fuzz --features engine --bin fuzz"
        )
        .env("CARGO_TARGET_DIR", &directory)
        .env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\x1f"))
        .run()?;
        let program = directory.join(host).join("fuzz/fuzz");
        Ok(Self { workspace, directory, program, seconds })
    }

    fn log(&self, target: &str) -> PathBuf {
        self.directory.join(format!("{target}.log"))
    }

    /// Starts a target on its corpus, and on the inputs that earlier runs found to reach new code.
    fn start(&self, target: &str) -> Result<Child> {
        let root = &self.workspace.root;
        let [findings, found] =
            [root.join("fuzz/findings"), self.directory.join("corpus")].map(|path| path.join(target));
        for directory in [&findings, &found] {
            fs::create_dir_all(directory).with_context(|| format!("creating {}", directory.display()))?;
        }
        let started = Command::new(&self.program)
            .env("FUZZ_TARGET", target)
            .arg(format!("-max_total_time={}", self.seconds))
            .args([format!("-timeout={TIME_LIMIT}"), format!("-max_len={LONGEST}")])
            .arg("-print_final_stats=1")
            .arg(format!("-artifact_prefix={}/", findings.display()))
            .args([found, root.join("fuzz/corpus").join(target)])
            .stderr(File::create(self.log(target))?)
            .spawn();
        started.with_context(|| format!("starting {}", self.program.display()))
    }

    /// Returns the command that runs a target on one input.
    fn replay(&self, target: &str, file: &str) -> String {
        format!("FUZZ_TARGET={target} {} -timeout={TIME_LIMIT} {file}", self.program.display())
    }
}

impl<'a> Outcome<'a> {
    fn of(log: &'a str) -> Self {
        let last = |key: &str| log.rsplit_once(key).and_then(|(_, rest)| rest.split_whitespace().next());
        let number = |key: &str| last(key).unwrap_or_default();
        Self {
            runs: number("stat::number_of_executed_units:"),
            per_second: number("stat::average_exec_per_sec:"),
            coverage: number(" cov: "),
            finding: last("Test unit written to "),
        }
    }

    fn row(&self, target: &str) -> String {
        let Self { runs, per_second, coverage, finding } = self;
        format!("{target:<12} {runs:>12} {per_second:>8} {coverage:>9}  {}", finding.unwrap_or("passed"))
    }
}

fn names_in(folder: &Path) -> Result<Vec<String>> {
    let names = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names: Vec<String> = names.collect::<Result<_>>()?;
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As libFuzzer prints them, shortened.
    const PASSED: &str = "#2\tINITED cov: 30 ft: 31 corp: 1/1b exec/s: 0 rss: 26Mb\n\
                          #9\tDONE   cov: 41 ft: 90 corp: 7/22b lim: 4 exec/s: 4 rss: 27Mb\n\
                          Done 9 runs in 2 second(s)\n\
                          stat::number_of_executed_units: 9\nstat::average_exec_per_sec:     4\n";
    const FAILED: &str = "artifact_prefix='/f/'; Test unit written to /f/crash-ab12\nBase64: AA==\n";

    #[test]
    fn the_figures_and_the_finding_are_those_of_the_log() {
        let outcome = Outcome::of(PASSED);
        assert_eq!(outcome, Outcome { runs: "9", per_second: "4", coverage: "41", finding: None });
        assert!(outcome.row("wheel").ends_with(" 41  passed"), "{}", outcome.row("wheel"));
        let log = format!("{FAILED}{PASSED}");
        assert_eq!(Outcome::of(&log).finding, Some("/f/crash-ab12"));
    }
}
