//! The hook tools: what each one understands, and what it does to the model and the running hook.
//!
//! Facts are Juju 3.6's (`worker/uniter/runner/jujuc` and `juju/cmd`): exit code 0, 1 for an error, 2
//! for bad usage, the complaint after `ERROR` on standard error.

mod actions;
pub(crate) use actions::parameters;
mod relations;
mod secrets;
mod status;
mod values;

use anyhow::Result;

use super::context::HookContext;
use super::flags::{Flag, Line};
use super::format::{Format, Shown};
use super::model::Model;
use crate::wire::{Reply, Request};

/// Files of the unit, as far as tools write them.
pub(crate) trait UnitFiles {
    /// Write a file of root's, 0600, with its directories.
    fn write(&mut self, path: &str, content: &[u8]) -> Result<()>;
}

/// What a tool works with.
struct Session<'a> {
    pub(crate) context: &'a mut HookContext,
    pub(crate) model: &'a mut Model,
    pub(crate) files: &'a mut dyn UnitFiles,
    format: Format,
}

/// What a tool prints.
enum Answer {
    Nothing,
    Shown(Shown),
    /// Exactly this, not even a newline added.
    Raw(String),
}

/// Why a tool fails.
#[derive(Debug, PartialEq, Eq)]
enum Failure {
    /// Exit code 2.
    Usage(String),
    /// Exit code 1.
    Error(String),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Error(error.to_string())
    }
}

type Outcome = Result<Answer, Failure>;

type Run = fn(&Line, &mut Session<'_>) -> Outcome;

const ALL: &[Format] = &[Format::Smart, Format::Yaml, Format::Json];
const NO_SMART: &[Format] = &[Format::Yaml, Format::Json];
const NONE: &[Format] = &[];
const OUTPUT: Flag = value_flag(&["format"]);

const fn value_flag(names: &'static [&'static str]) -> Flag {
    Flag { names, takes_value: true }
}

const fn switch(names: &'static [&'static str]) -> Flag {
    Flag { names, takes_value: false }
}

const RELATION: Flag = value_flag(&["r", "relation"]);
const APP: Flag = switch(&["app"]);
const ALL_KEYS: Flag = switch(&["a", "all"]);
const DEBUG: Flag = switch(&["debug"]);
const LEVEL: Flag = value_flag(&["l", "log-level"]);
const REFRESH: Flag = switch(&["refresh"]);
const INCLUDE_DATA: Flag = switch(&["include-data"]);
const APPLICATION: Flag = switch(&["application"]);

/// Every tool the agent knows: its name, its options, the formats it knows with its default first (none when it takes
/// no `--format`), and its doing.
const TOOLS: [(&str, &[Flag], &[Format], Run); 17] = [
    ("action-fail", &[], NONE, actions::fail),
    ("action-get", &[], ALL, actions::get),
    ("action-log", &[], NONE, actions::log),
    ("action-set", &[], NONE, actions::set),
    ("application-version-set", &[], NONE, status::version_set),
    ("config-get", &[ALL_KEYS], ALL, values::config_get),
    ("goal-state", &[], NO_SMART, values::goal_state),
    ("is-leader", &[], ALL, values::is_leader),
    ("juju-log", &[DEBUG, LEVEL], NONE, status::log),
    ("relation-get", &[RELATION, APP], ALL, relations::get),
    ("relation-ids", &[], ALL, relations::ids),
    ("relation-list", &[RELATION, APP], ALL, relations::list),
    ("relation-set", &[RELATION, APP], NONE, relations::set),
    ("resource-get", &[], NONE, values::resource_get),
    ("secret-get", &[REFRESH], NO_SMART, secrets::get),
    ("status-get", &[INCLUDE_DATA, APPLICATION], ALL, status::get),
    ("status-set", &[APPLICATION], NONE, status::set),
];

/// The names of the tools, and so of the links in the unit's tools directory.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    TOOLS.iter().map(|(name, ..)| *name)
}

/// Do what one call of a hook tool asks for.
pub(crate) fn serve(
    request: &Request,
    context: &mut HookContext,
    model: &mut Model,
    files: &mut dyn UnitFiles,
) -> Reply {
    let Some((name, arguments)) = request.argv.split_first() else {
        return failed(&Failure::Error("bad request: command not specified".into()));
    };
    let Some((_, flags, formats, run)) = TOOLS.iter().find(|(known, ..)| known == name) else {
        return failed(&Failure::Error(format!("bad request: unknown command: {name}")));
    };
    let mut answer = || {
        let output = formats.first().map(|_| OUTPUT);
        let flags: Vec<Flag> = flags.iter().copied().chain(output).collect();
        let line = Line::parse(arguments, &flags).map_err(Failure::Usage)?;
        let format = format(&line, formats)?;
        let mut session = Session { context, model, files, format };
        Ok(match run(&line, &mut session)? {
            Answer::Nothing => String::new(),
            Answer::Raw(text) => text,
            Answer::Shown(shown) => format.show(&shown)?,
        })
    };
    match answer() {
        Ok(stdout) => Reply { stdout, ..Reply::default() },
        Err(failure) => failed(&failure),
    }
}

/// The format that a tool was asked for, or its default.
fn format(line: &Line, known: &[Format]) -> Result<Format, Failure> {
    let (Some(default), given) = (known.first(), line.value("format")) else {
        return Ok(Format::Smart);
    };
    let Some(given) = given else { return Ok(*default) };
    let found = Format::parse(given).filter(|format| known.contains(format));
    let unknown = || format!("invalid value {given:?} for option --format: unknown format {given:?}");
    found.ok_or_else(|| Failure::Usage(unknown()))
}

fn failed(failure: &Failure) -> Reply {
    let (code, text) = match failure {
        Failure::Usage(text) => (2, text),
        Failure::Error(text) => (1, text),
    };
    Reply { code, stdout: String::new(), stderr: format!("ERROR {text}\n") }
}

fn usage<T>(text: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Usage(text.into()))
}

fn error<T>(text: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Error(text.into()))
}

/// The words after those that a tool takes.
fn no_more(words: &[String]) -> Result<(), Failure> {
    if words.is_empty() {
        return Ok(());
    }
    let quoted: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
    usage(format!("unrecognized args: [{}]", quoted.join(" ")))
}

/// `key=value` words.
fn settings(line: &Line) -> Result<super::model::Settings, Failure> {
    let mut given = super::model::Settings::new();
    for word in &line.words {
        let Some((key, value)) = word.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            return usage(format!("expected \"key=value\", got {word:?}"));
        };
        if given.insert(key.to_owned(), value.to_owned()).is_some() {
            return usage(format!("key {key:?} specified more than once"));
        }
    }
    Ok(given)
}

#[cfg(test)]
mod tests;
