//! The system Python that Magnum runs on: where it is, where it looks, and questions put to it.
//!
//! Starting Python costs more than a whole hook otherwise does. So the answers that only change
//! with the interpreter are kept, keyed by the interpreter's own file, and everything that can be
//! read from files (versions, RECORD, entry points) is read from files.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{command, files, state};

/// Importing all of Magnum on a slow, busy machine.
const QUESTION_LIMIT: Duration = Duration::from_secs(120);
/// Longer than any download and installation of pip that a question has to wait for.
const LATER_LIMIT: Duration = Duration::from_secs(1800);
const CACHE: &str = "python.json";
/// The questions, as one program that is given on stdin.
const PROGRAM: &str = include_str!("python.py");
/// The user Magnum's services run as.
pub const MAGNUM_USER: &str = "magnum";

/// The interpreter that runs Magnum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Python {
    /// The interpreter, as in the first line of Magnum's programs.
    pub executable: PathBuf,
    /// Its version, `3.11.2`.
    pub version: String,
    /// Where pip installs to: before apt's directory on the path.
    pub site: PathBuf,
    /// Where modules are looked for, in order, as user magnum.
    pub path: Vec<PathBuf>,
}

#[derive(Serialize, Deserialize)]
struct Cached {
    interpreter: Identity,
    python: Python,
}

/// Tells one interpreter from the next: an upgrade replaces the file.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    path: PathBuf,
    inode: u64,
    size: u64,
    mtime: i64,
}

/// What a question that failed ended with: the line below the last frame of its traceback names the
/// exception. Without a traceback, its last line.
pub fn exception(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let frame = lines.iter().rposition(|line| line.starts_with("  File "));
    let named = frame.and_then(|frame| lines[frame..].iter().find(|line| !line.starts_with(' ')));
    let named = named.or(lines.last());
    named.map(|line| line.trim().to_owned()).unwrap_or_default()
}

impl Python {
    /// The interpreter named in the first line of `program`, one of Magnum's.
    ///
    /// # Errors
    /// When there is none, or it does not answer.
    pub fn of(program: &Path) -> Result<Self> {
        let executable = interpreter(program)?;
        let interpreter = identity(&executable)?;
        let cached = state::load::<Cached>(CACHE)?;
        let same = |cached: &Cached| {
            cached.interpreter == interpreter && cached.python.executable == executable
        };
        if let Some(cached) = cached.filter(same) {
            return Ok(cached.python);
        }
        let python: Python = ask_interpreter(&executable, &["where"])?;
        let cached = Cached {
            interpreter,
            python,
        };
        state::save(CACHE, &cached)?;
        Ok(cached.python)
    }

    /// The interpreter of the last hook, without looking whether it is still there.
    ///
    /// # Errors
    /// When the cache cannot be read.
    pub fn remembered() -> Result<Option<Self>> {
        Ok(state::load::<Cached>(CACHE)?.map(|cached| cached.python))
    }

    /// Puts a question to Python as user magnum, from a clean environment, and parses its answer.
    ///
    /// # Errors
    /// When Python fails; the error holds its traceback.
    pub fn ask<T: DeserializeOwned>(&self, question: &[&str]) -> Result<T> {
        ask_interpreter(&self.executable, question)
    }

    /// Puts a question that can only be answered later: Python starts now and imports what it
    /// will need, which takes as long as a download does, and answers when it is told to.
    pub fn ask_later<T: DeserializeOwned + Send + 'static>(&self, question: &[&str]) -> Later<T> {
        let (go, told) = channel();
        let executable = self.executable.clone();
        let question: Vec<String> = question.iter().map(|&word| word.to_owned()).collect();
        let answer = std::thread::spawn(move || {
            let question: Vec<&str> = question.iter().map(String::as_str).collect();
            parsed(
                &question,
                program(&executable, &question, LATER_LIMIT)
                    .then(told)
                    .stdout()?,
            )
        });
        Later { go, answer }
    }
}

/// A question whose answer has to wait; dropping it ends Python.
#[derive(Debug)]
pub struct Later<T> {
    go: Sender<Vec<u8>>,
    answer: JoinHandle<Result<T>>,
}

impl<T> Later<T> {
    /// Lets Python go on, and waits for the answer.
    ///
    /// # Errors
    /// As [`Python::ask`].
    pub fn answer(self) -> Result<T> {
        // When Python has died already, its answer says why.
        self.go.send(b"go\n".to_vec()).ok();
        let answer = self.answer.join();
        answer.unwrap_or_else(|_| Err(anyhow::anyhow!("a thread that serves Python panicked")))
    }
}

fn ask_interpreter<T: DeserializeOwned>(executable: &Path, question: &[&str]) -> Result<T> {
    let printed = program(executable, question, QUESTION_LIMIT).stdout()?;
    parsed(question, printed)
}

/// The program comes by stdin, and leaves the rest of it for what comes later.
fn program(executable: &Path, question: &[&str], limit: Duration) -> command::Run {
    let read = format!(
        "import sys; exec(compile(sys.stdin.buffer.read({}), 'python.py', 'exec'))",
        PROGRAM.len()
    );
    command::run_as(MAGNUM_USER, &executable.to_string_lossy(), limit)
        .args(["-c", &read])
        .args(question)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(PROGRAM.as_bytes())
}

fn parsed<T: DeserializeOwned>(question: &[&str], printed: Vec<u8>) -> Result<T> {
    let answer = printed
        .split(|byte| *byte == b'\n')
        .rfind(|line| !line.is_empty());
    serde_json::from_slice(answer.unwrap_or_default())
        .with_context(|| format!("Python's answer to {question:?} does not parse"))
}

/// Reads `#!/usr/bin/python3`.
fn interpreter(program: &Path) -> Result<PathBuf> {
    let bytes = files::read(program)?;
    let line = bytes
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    std::str::from_utf8(line)
        .ok()
        .and_then(|line| line.strip_prefix("#!"))
        .and_then(|line| line.split_whitespace().next())
        .filter(|path| path.starts_with('/') && path.contains("python"))
        .map(PathBuf::from)
        .with_context(|| format!("{} does not name a Python interpreter", program.display()))
}

fn identity(executable: &Path) -> Result<Identity> {
    let context = || format!("looking at {}", executable.display());
    let path = executable.canonicalize().with_context(context)?;
    let meta = path.metadata().with_context(context)?;
    Ok(Identity {
        path,
        inode: meta.ino(),
        size: meta.len(),
        mtime: meta.mtime(),
    })
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
    }
}
