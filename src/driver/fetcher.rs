//! The fetcher: this program once more, as user nobody. It asks the package index, so that what an index sends (TLS,
//! HTTP, JSON, HTML) is read by a process that can change nothing on the unit.
//!
//! Its request comes on stdin, for it may hold the index's credentials. It prints the wheel, or the problem. What it
//! prints is not trusted: a wheel is checked like any other, and a text is cut.

use std::io::{Read as _, Write as _, stdin, stdout};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::index::{self, Limits};
use crate::escape;
use crate::juju::settings::DriverSource;
use crate::problem::{Problem, or_problem};
use crate::system::{Command, System, bounds, limits, own_program};

/// The command by which the program is the fetcher.
pub const COMMAND: &str = "fetch";
/// The code with which it ends if it cannot become user nobody.
const NOT_NOBODY: i32 = 3;
/// It ends by itself before, unless an index redirects it again and again.
const LIMIT: Duration = Limits::USUAL.total.saturating_add(Duration::from_secs(5));
/// The most characters of a problem's detail.
const LONGEST_DETAIL: usize = 2000;

#[derive(Serialize, Deserialize)]
struct Request {
    source: DriverSource,
    python: String,
    proxy: Vec<(String, String)>,
}

/// Has the fetcher fetch the pinned wheel for a Python of this version.
///
/// # Errors
/// A [`Problem`], as [`index::fetch`] says, or if the fetcher does not end in order.
pub fn fetch(system: &System, source: &DriverSource, python: &str, proxy: &[(String, String)]) -> Result<Vec<u8>> {
    let request = Request { source: source.clone(), python: python.to_owned(), proxy: proxy.to_vec() };
    let command = Command::new(own_program()?, LIMIT).arg(COMMAND).stdin(serde_json::to_vec(&request)?);
    let failed = |why: String| index::cannot_fetch(&index::shown(source), &why);
    let output = system.run(&command).map_err(|error| failed(format!("{error:#}")))?;
    let Problem { kind, summary, detail } = match output.code {
        Some(0) => return Ok(output.stdout),
        Some(NOT_NOBODY) => not_nobody(&output.failure()),
        _ => limits::json(&output.stdout).unwrap_or_else(|_| failed(output.failure())),
    };
    Err(Problem { kind, summary: escape::status(&summary), detail: escape::line(&detail, LONGEST_DETAIL) }.into())
}

/// The problem of a unit on which nobody asks the index.
fn not_nobody(why: &str) -> Problem {
    let remedy = "have the unit's container map id 65534";
    Problem::blocked("Cannot ask the package index as user nobody", format!("{remedy} ({why})"))
}

/// The fetcher itself.
///
/// # Errors
/// If it has no request, or cannot print.
pub fn serve(system: &System) -> Result<ExitCode> {
    if let Err(error) = bounds::become_nobody() {
        tracing::error!("{error:#}");
        return Ok(ExitCode::from(u8::try_from(NOT_NOBODY)?));
    }
    let mut bytes = Vec::new();
    stdin().read_to_end(&mut bytes)?;
    // The parser's message could quote the credentials.
    let request: Option<Request> = serde_json::from_slice(&bytes).ok();
    let Request { source, python, proxy } = request.context("only the charm itself uses this command")?;
    let printed = match or_problem(index::fetch(&system.root, &source, &python, &proxy, Limits::USUAL))? {
        Ok(wheel) => stdout().write_all(&wheel).map(|()| ExitCode::SUCCESS),
        Err(problem) => stdout().write_all(&serde_json::to_vec(&problem)?).map(|()| ExitCode::FAILURE),
    };
    printed.context("printing what was fetched")
}

#[cfg(test)]
mod tests {
    use super::super::tests::pin;
    use super::*;
    use crate::problem::Kind;
    use crate::system::testing::Scratch;
    use crate::system::{Account, Host, Output};

    /// A fetcher that ends so.
    struct Ended(Output);

    impl Host for Ended {
        fn run(&self, command: &Command) -> Result<Output> {
            assert_eq!(command.args, [COMMAND]);
            assert_eq!(command.limit, Duration::from_secs(125));
            Ok(self.0.clone())
        }

        fn account(&self, _: &str) -> Result<Option<Account>> {
            Ok(None)
        }
    }

    fn fetched(output: Output) -> Result<Vec<u8>> {
        let system = System::new(Scratch::new().root, Ended(output));
        let source = DriverSource { pin: pin(), sha256: None, index: None, wheel: None };
        fetch(&system, &source, "3.11.2", &[])
    }

    #[test]
    fn a_fetcher_that_fails_or_lies_is_a_problem_and_no_fault() {
        let wheel = Output { code: Some(0), stdout: b"PK".to_vec(), ..Output::default() };
        assert_eq!(fetched(wheel).unwrap(), b"PK");
        let long = Problem::blocked("a\u{1b}[31m".repeat(100), "b\n".repeat(9000));
        let lies = Output { code: Some(1), stdout: serde_json::to_vec(&long).unwrap(), ..Output::default() };
        let killed = Output { name: "dispatch fetch".into(), signal: Some(6), ..Output::default() };
        let root = Output { code: Some(3), stderr: "giving up root: EINVAL".into(), ..Output::default() };
        let garbage = Output { code: Some(1), stdout: b"{\"kind\": \"x\"}".to_vec(), ..Output::default() };
        for (output, kind, expected) in [
            (lies, Kind::Blocked, "b\\nb\\n"),
            (killed, Kind::Waiting, "https://pypi.org/simple/: dispatch fetch failed (signal 6)"),
            (garbage, Kind::Waiting, "failed (exit code 1)"),
            (root, Kind::Blocked, "map id 65534 ( failed (exit code 3): giving up root"),
        ] {
            let problem: Problem = fetched(output).unwrap_err().downcast().unwrap();
            assert_eq!(problem.kind, kind, "{problem}");
            assert!(problem.detail.contains(expected), "{problem}");
            let text = problem.to_string();
            assert!(text.chars().count() < 2100 && !text.contains(char::is_control), "{text}");
        }
    }
}
