//! Magnum's Python: its interpreter, its module path, and questions to it, none of which runs as root.
//!
//! Starting Python costs more than a whole hook otherwise does. So the answers that only change with the interpreter
//! are cached, keyed by the interpreter's own file, and everything that can be read from files (versions, RECORD,
//! entry points) is read from files.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::ServiceEnvironment;
use crate::escape;
use crate::problem::Problem;
use crate::system::{Command, FileIdentity, Root, System, limits};

/// Importing all of Magnum on a slow, busy machine.
const LIMIT: Duration = Duration::from_secs(120);
/// The most characters of an exception that are passed on.
const LONGEST_EXCEPTION: usize = 2000;
/// Another file than `python.json`, which an earlier charm filled with what user magnum could answer for Python.
const CACHE: &str = "interpreter.json";
/// The questions, as one program that is given on stdin.
const PROGRAM: &str = concat!(include_str!("python.py"), include_str!("proof.py"), include_str!("answer.py"));
/// The user Magnum's services run as.
pub const MAGNUM_USER: &str = "magnum";
/// Whose processes those of user magnum can neither stop nor change.
const NOBODY: &str = "nobody";

/// The interpreter that runs Magnum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Python {
    /// The interpreter in the first line of Magnum's programs.
    pub executable: PathBuf,
    /// `3.11.2`.
    pub version: String,
    /// The site directory of the system administrator, which comes before apt's on the module path.
    pub site: PathBuf,
    /// The module path of user magnum, in order.
    pub path: Vec<PathBuf>,
}

/// Its answer to the question `where`.
#[derive(Deserialize)]
pub(crate) struct WhereAnswer {
    version: String,
    site: PathBuf,
    path: Vec<PathBuf>,
}

/// Returns the exception with which a question failed: the line below the last frame of its traceback; without a
/// traceback, the last line. It is cut: what Python printed may be quoted in it.
pub fn exception(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let frame = lines.iter().rposition(|line| line.starts_with("  File "));
    let named = frame.and_then(|frame| lines[frame..].iter().find(|line| !line.starts_with(' ')));
    let named = named.or(lines.last());
    escape::line(named.map_or("", |line| line.trim()), LONGEST_EXCEPTION)
}

impl Python {
    /// Returns the interpreter in the first line of `program`, one of Magnum's; `home` is user magnum's.
    ///
    /// # Errors
    /// If there is none, or it or its site directory is not root's alone; a [`Problem`] if it does not answer.
    pub fn of_program(system: &System, program: &Path, home: &Path) -> Result<Self> {
        let root = &system.root;
        let executable = interpreter(root, program)?;
        let (file, meta) = root.resolve_with_metadata(&executable)?;
        let meta = meta.with_context(|| format!("{} is missing", file.display()))?;
        // Without user magnum's own modules, and not as user magnum: what they say would decide where root writes.
        root.cached(CACHE, FileIdentity::new(&executable, &meta), || {
            root.ensure_roots_alone(program)?;
            root.ensure_program_is_roots(&executable)?;
            let isolated = command(&executable, NOBODY).arg("-I").env("HOME", home);
            let answer = ask(system, isolated, &["where"]);
            let WhereAnswer { version, site, path } = answer.map_err(|error| cannot_ask(&error))?;
            root.ensure_roots_alone(&site)?;
            Ok(Self { executable: executable.clone(), version, site, path })
        })
    }

    /// Returns the interpreter of the last hook, without looking whether it is still there.
    ///
    /// # Errors
    /// If the cache cannot be read.
    pub fn remembered(root: &Root) -> Result<Option<Self>> {
        root.last_answer(CACHE)
    }

    /// Asks Python as user magnum, in this environment and no other, and parses its answer.
    ///
    /// # Errors
    /// If Python fails; the error holds its traceback.
    pub fn ask<T: DeserializeOwned>(
        &self,
        system: &System,
        environment: &ServiceEnvironment,
        words: &[&str],
    ) -> Result<T> {
        ask(system, command(&self.executable, MAGNUM_USER).secret_env(environment.handed_on()), words)
    }
}

fn command(executable: &Path, user: &'static str) -> Command {
    Command::new(executable, LIMIT).as_user(user).env("PYTHONDONTWRITEBYTECODE", "1").stdin(PROGRAM)
}

fn ask<T: DeserializeOwned>(system: &System, command: Command, words: &[&str]) -> Result<T> {
    let printed = system.stdout(&command.arg("-").args(words))?;
    parse(&printed).with_context(|| format!("Python's answer to {words:?} does not parse"))
}

/// Parses the last line that Python prints: modules may print others before.
pub(crate) fn parse<T: DeserializeOwned>(printed: &[u8]) -> serde_json::Result<T> {
    let answer = printed.split(|byte| *byte == b'\n').rfind(|line| !line.is_empty());
    limits::json(answer.unwrap_or_default())
}

/// The problem of a unit on which user nobody gets no answer of Magnum's Python.
fn cannot_ask(error: &anyhow::Error) -> Problem {
    let remedy = "have the unit's container map id 65534, and let user nobody run Magnum's Python";
    Problem::blocked("Cannot ask Magnum's Python as user nobody", format!("{remedy} ({})", exception(error)))
}

/// Reads `#!/usr/bin/python3`.
fn interpreter(root: &Root, program: &Path) -> Result<PathBuf> {
    let bytes = root.read(program)?;
    let line = String::from_utf8_lossy(bytes.split(|byte| *byte == b'\n').next().unwrap_or_default());
    let path = line.strip_prefix("#!").and_then(|line| line.split_whitespace().next());
    let path = path.filter(|path| path.starts_with('/') && path.contains("python"));
    path.map(PathBuf::from).with_context(|| format!("{} does not name a Python interpreter", program.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exception_is_named_and_not_what_follows_it() {
        let traceback = "asking Magnum: exit status 1: Traceback (most recent call last):
  File \"<string>\", line 1, in <module>
    connect()
  File \"base.py\", line 145, in connect
sqlalchemy.exc.OperationalError: (sqlite3.OperationalError) unable to open database file
(Background on this error at: https://sqlalche.me/e/14/e3q8)
";
        assert_eq!(
            exception(&anyhow::anyhow!(traceback)),
            "sqlalchemy.exc.OperationalError: (sqlite3.OperationalError) unable to open database file"
        );
        let error = anyhow::anyhow!("asking Magnum: still running after 30 s, killed");
        assert_eq!(exception(&error), format!("{error}"));
        assert_eq!(exception(&anyhow::anyhow!("x".repeat(2001))).chars().count(), 2000);
    }
}
