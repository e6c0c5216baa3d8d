//! Runs the tests on real units, as built test binaries, and reports the slowest and, last, what the failed ones said.
//!
//! More tests run at a time than there are cores. Those that mostly wait, and those of the lab itself, run beside the
//! others.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, ensure};
use xshell::cmd;

use crate::binary::{self, Artifact, Link};
use crate::lab;
use crate::workspace::Workspace;

/// Begins the names of tests that mostly wait: for other units, Magnum's own periods, and clusters.
const WAITING: [&str; 4] = ["rolling::", "rotation::", "smoketest::", "sources::"];

/// How many tests the table of the slowest has.
const SLOWEST: usize = 10;

/// The tests to run.
#[derive(Debug)]
pub enum Selection {
    /// Those that `cargo test` leaves out.
    Ignored,
    /// Those whose names contain one of these, whether or not `cargo test` leaves them out.
    Named(Vec<String>),
    /// As `Ignored`, with many more rounds; only those whose names contain one of these, if there are any.
    Soak(Vec<String>),
}

impl Selection {
    fn names(&self) -> &[String] {
        match self {
            Self::Ignored => &[],
            Self::Named(names) | Self::Soak(names) => names,
        }
    }

    /// libtest's option.
    fn option(&self) -> &'static str {
        match self {
            Self::Ignored | Self::Soak(_) => "--ignored",
            Self::Named(_) => "--include-ignored",
        }
    }
}

/// A test binary, and how it is run.
struct TestBinary<'a> {
    artifact: Artifact,
    selection: &'a Selection,
}

impl TestBinary<'_> {
    /// Returns the command as cargo would run it.
    fn command(&self) -> Result<Command> {
        let manifest = &self.artifact.manifest_path;
        let package = manifest.parent().context("a Cargo.toml without a directory")?;
        let mut command = Command::new(&self.artifact.executable);
        command.current_dir(package).env("CARGO_MANIFEST_DIR", package).arg(self.selection.option());
        Ok(command)
    }

    /// Lists the names of the selected tests.
    fn list(&self) -> Result<Vec<String>> {
        let output = self.command()?.args(self.selection.names()).arg("--list").output().context("listing tests")?;
        ensure!(output.status.success(), "`{} --list` failed", self.artifact.target.name);
        let names = String::from_utf8(output.stdout).context("the list of tests")?;
        let names = names.lines().filter_map(|line| line.strip_suffix(": test"));
        Ok(names.map(str::to_owned).collect())
    }

    /// Runs the selected tests, those that mostly wait beside the others.
    fn run(&self, lab: &Lab) -> Result<Outcome> {
        let tests = self.list()?;
        let (waiting, working): (Vec<_>, Vec<_>) =
            tests.iter().partition(|name| WAITING.iter().any(|prefix| name.starts_with(prefix)));
        std::thread::scope(|scope| {
            let shares = [(waiting, waiting_threads(lab.threads)), (working, lab.threads)];
            let shares = shares.into_iter().filter(|(share, _)| !share.is_empty());
            let mut running = Vec::new();
            for (share, threads) in shares {
                running.push(scope.spawn(move || self.run_these(&share, threads, lab)));
            }
            let mut outcome = Outcome::default();
            for share in running {
                outcome.add(share.join().map_err(|_| anyhow!("a thread that runs tests panicked"))??);
            }
            Ok(outcome)
        })
    }

    /// Runs these tests and prints what they print.
    fn run_these(&self, names: &[&String], threads: usize, lab: &Lab) -> Result<Outcome> {
        let mut command = self.command()?;
        command
            .args(names)
            .args(["--exact", "--test-threads", &threads.to_string()])
            // libtest prints times for nightly toolchains only, unless this is set. The binary is built already.
            .args(["-Z", "unstable-options", "--report-time"])
            .env("RUSTC_BOOTSTRAP", "1")
            // The message of a failed test says where it failed.
            .env("RUST_BACKTRACE", "0")
            .env("LAB_CHARM", &lab.charm)
            .env("LAB_JUJU_TOOL", &lab.juju_tool)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        if matches!(self.selection, Selection::Soak(_)) {
            command.env("LAB_SOAK", "1");
        }
        let mut child = command.spawn().with_context(|| format!("starting {}", self.artifact.executable.display()))?;
        let stdout = child.stdout.take().context("the tests' output")?;
        let mut outcome = Outcome::default();
        let mut in_failures = false;
        for line in BufReader::new(stdout).split(b'\n') {
            let line = line.context("reading the tests' output")?;
            let line = String::from_utf8_lossy(&line);
            // libtest repeats the names of the failed tests after what they said, under the same heading.
            if line == "failures:" {
                in_failures = outcome.failures.is_empty();
            }
            if in_failures {
                outcome.failures.push_str(&line);
                outcome.failures.push('\n');
            } else {
                println!("{line}");
            }
            outcome.times.extend(time(&line));
        }
        outcome.failed = !child.wait().context("waiting for the tests")?.success();
        Ok(outcome)
    }
}

/// How tests ended.
#[derive(Default)]
struct Outcome {
    failed: bool,
    /// Seconds and name of each test.
    times: Vec<(f64, String)>,
    /// What the failed tests said.
    failures: String,
}

impl Outcome {
    fn add(&mut self, other: Self) {
        self.failed |= other.failed;
        self.times.extend(other.times);
        self.failures.push_str(&other.failures);
    }
}

/// What the tests need.
#[derive(Clone)]
struct Lab {
    charm: PathBuf,
    juju_tool: PathBuf,
    threads: usize,
}

/// Runs the selected tests of all packages against `charm`, all binaries even if one fails.
pub fn test(workspace: &Workspace, charm: &Path, selection: &Selection) -> Result<()> {
    let sh = &workspace.sh;
    let messages =
        cmd!(sh, "cargo test --workspace --locked --no-run --message-format=json-render-diagnostics").read()?;
    let mut binaries = Vec::new();
    let mut tests = Vec::new();
    for artifact in binary::artifacts(&messages).filter(|artifact| artifact.profile.test) {
        let binary = TestBinary { artifact, selection };
        let listed = binary.list()?;
        if !listed.is_empty() {
            binaries.push(binary);
            tests.extend(listed);
        }
    }
    for name in selection.names() {
        ensure!(tests.iter().any(|test| test.contains(name)), "no test has `{name}` in its name");
    }

    let _root = lab::ensure_root()?;
    let lab = Lab {
        charm: charm.to_owned(),
        juju_tool: binary::build(workspace, lab::JUJU_TOOL, Link::HostFirst)?.path,
        threads: threads()?,
    };
    let waiting = waiting_threads(lab.threads);
    println!("{} tests, {} at a time, and {waiting} of those that mostly wait", tests.len(), lab.threads);
    let charm_manifest = workspace.root.join("Cargo.toml");
    let (of_the_charm, of_the_lab): (Vec<_>, Vec<_>) =
        binaries.iter().partition(|binary| binary.artifact.manifest_path == charm_manifest);
    let beside = Lab { threads: 1, ..lab.clone() };
    let mut all = Outcome::default();
    std::thread::scope(|scope| {
        let lab_itself = scope.spawn(|| run_all(&of_the_lab, &beside));
        all.add(run_all(&of_the_charm, &lab)?);
        all.add(lab_itself.join().map_err(|_| anyhow!("the thread that runs the lab's tests panicked"))??);
        anyhow::Ok(())
    })?;
    print!("{}", slowest(all.times));
    print!("{}", all.failures);
    ensure!(!all.failed, "tests failed");
    Ok(())
}

fn run_all(binaries: &[&TestBinary], lab: &Lab) -> Result<Outcome> {
    let mut all = Outcome::default();
    for binary in binaries {
        println!("\nRunning {}", binary.artifact.target.name);
        all.add(binary.run(lab)?);
    }
    Ok(all)
}

/// Returns how many tests run at a time: `LAB_THREADS`, or two for each core and at least four.
fn threads() -> Result<usize> {
    match std::env::var_os("LAB_THREADS") {
        Some(set) => set
            .to_str()
            .and_then(|set| set.parse().ok())
            .with_context(|| format!("LAB_THREADS is not a number: {set:?}")),
        None => Ok(std::thread::available_parallelism().map_or(4, |cores| 4.max(2 * cores.get()))),
    }
}

/// Returns how many tests that mostly wait run at a time, beside others: three quarters.
fn waiting_threads(threads: usize) -> usize {
    (threads * 3).div_ceil(4)
}

/// Reads the time of a test from libtest's line `test NAME ... ok <1.234s>`.
fn time(line: &str) -> Option<(f64, String)> {
    let (name, outcome) = line.strip_prefix("test ")?.split_once(" ... ")?;
    let (_, seconds) = outcome.strip_suffix("s>")?.rsplit_once('<')?;
    Some((seconds.parse().ok()?, name.to_owned()))
}

fn slowest(mut times: Vec<(f64, String)>) -> String {
    times.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    let rows = times.iter().take(SLOWEST).map(|(seconds, name)| format!("{seconds:>9.1}  {name}\n"));
    format!("\nslowest tests, seconds\n{}", rows.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binary::{Profile, Target};

    /// Runs this test binary again, with one test of another file.
    #[test]
    fn a_test_binary_runs_the_named_tests_and_reports_their_times() {
        let selection = Selection::Named(vec!["stages::tests".to_owned()]);
        let binary = TestBinary {
            artifact: Artifact {
                target: Target { name: "xtask".to_owned() },
                manifest_path: Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"),
                profile: Profile { test: true },
                executable: std::env::current_exe().unwrap(),
            },
            selection: &selection,
        };
        let lab = Lab { charm: PathBuf::new(), juju_tool: PathBuf::new(), threads: 1 };
        let outcome = binary.run(&lab).unwrap();
        assert!(!outcome.failed && outcome.failures.is_empty());
        let names: Vec<String> = outcome.times.into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, binary.list().unwrap());
        assert_eq!(names.len(), 1);
    }

    #[test]
    fn the_ten_slowest_are_read_from_libtests_lines() {
        let lines = (1..=12).map(|number| format!("test module::t{number} ... ok <{number}.500s>"));
        let others = ["running 12 tests", "test result: ok. 12 passed; finished in 3s", "test x ... ignored"];
        let table =
            slowest(others.map(str::to_owned).into_iter().chain(lines).filter_map(|line| time(&line)).collect());
        let rows: Vec<&str> = table.trim().lines().collect();
        assert_eq!(rows.len(), 11, "{table}");
        assert_eq!(rows[1].trim(), "12.5  module::t12");
        assert_eq!(rows[10].trim(), "3.5  module::t3");
        assert_eq!(time("test x ... FAILED <0.002s>"), Some((0.002, "x".to_owned())));
    }
}
