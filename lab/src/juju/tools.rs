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

/// Every tool the agent knows, and so every link in the unit's tools directory.
pub(crate) const NAMES: [&str; 24] = [
    "action-fail",
    "action-get",
    "action-log",
    "action-set",
    "application-version-set",
    "config-get",
    "goal-state",
    "is-leader",
    "juju-log",
    "leader-get",
    "leader-set",
    "relation-get",
    "relation-ids",
    "relation-list",
    "relation-set",
    "resource-get",
    "secret-get",
    "secret-info-get",
    "state-delete",
    "state-get",
    "state-set",
    "status-get",
    "status-set",
    "unit-get",
];

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
    stdin: Option<&'a [u8]>,
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

/// How a tool is called, and what it does.
struct Tool {
    flags: &'static [Flag],
    /// The formats it knows, its default first; none when it takes no `--format`.
    formats: &'static [Format],
    run: Run,
}

type Run = fn(&Line, &mut Session<'_>) -> Outcome;

const ALL: &[Format] = &[Format::Smart, Format::Yaml, Format::Json];
const NO_SMART: &[Format] = &[Format::Yaml, Format::Json];
const NONE: &[Format] = &[];
const OUTPUT: [Flag; 2] = [value_flag(&["format"]), value_flag(&["o", "output"])];

const fn value_flag(names: &'static [&'static str]) -> Flag {
    Flag {
        names,
        takes_value: true,
    }
}

const fn switch(names: &'static [&'static str]) -> Flag {
    Flag {
        names,
        takes_value: false,
    }
}

const RELATION: Flag = value_flag(&["r", "relation"]);
const APP: Flag = switch(&["app"]);
const LABEL: Flag = value_flag(&["label"]);
const FILE: Flag = value_flag(&["file"]);
const ALL_KEYS: Flag = switch(&["a", "all"]);
const DEBUG: Flag = switch(&["debug"]);
const LEVEL: Flag = value_flag(&["l", "log-level"]);
const PEEK: Flag = switch(&["peek"]);
const REFRESH: Flag = switch(&["refresh"]);
const STRICT: Flag = switch(&["strict"]);
const INCLUDE_DATA: Flag = switch(&["include-data"]);
const APPLICATION: Flag = switch(&["application"]);
/// Accepted and deprecated: complained of, not obeyed.
const OLD_FORMAT: Flag = value_flag(&["format"]);

fn find(name: &str) -> Option<Tool> {
    let (flags, formats, run): (&[Flag], &[Format], Run) = match name {
        "action-fail" => (&[], NONE, actions::fail),
        "action-get" => (&[], ALL, actions::get),
        "action-log" => (&[], NONE, actions::log),
        "action-set" => (&[], NONE, actions::set),
        "application-version-set" => (&[], NONE, status::version_set),
        "config-get" => (&[ALL_KEYS], ALL, values::config_get),
        "goal-state" => (&[], NO_SMART, values::goal_state),
        "is-leader" => (&[], ALL, values::is_leader),
        "juju-log" => (&[DEBUG, LEVEL, OLD_FORMAT], NONE, status::log),
        "leader-get" => (&[], ALL, values::leader_get),
        "leader-set" => (&[FILE], NONE, values::leader_set),
        "relation-get" => (&[RELATION, APP], ALL, relations::get),
        "relation-ids" => (&[], ALL, relations::ids),
        "relation-list" => (&[RELATION, APP], ALL, relations::list),
        "relation-set" => (&[RELATION, APP, FILE, OLD_FORMAT], NONE, relations::set),
        "resource-get" => (&[], NONE, values::resource_get),
        "secret-get" => (&[LABEL, PEEK, REFRESH], NO_SMART, secrets::get),
        "secret-info-get" => (&[LABEL], NO_SMART, secrets::info_get),
        "state-delete" => (&[], NONE, values::state_delete),
        "state-get" => (&[STRICT], ALL, values::state_get),
        "state-set" => (&[FILE], NONE, values::state_set),
        "status-get" => (&[INCLUDE_DATA, APPLICATION], ALL, status::get),
        "status-set" => (&[APPLICATION], NONE, status::set),
        "unit-get" => (&[], ALL, values::unit_get),
        _ => return None,
    };
    Some(Tool {
        flags,
        formats,
        run,
    })
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
    let Some(tool) = find(name) else {
        return failed(&Failure::Error(format!(
            "bad request: unknown command: {name}"
        )));
    };
    run(
        &tool,
        name,
        arguments,
        request,
        Session {
            context,
            model,
            files,
            stdin: request.stdin.as_deref(),
            format: Format::Smart,
        },
    )
    .unwrap_or_else(|failure| failed(&failure))
}

fn run(
    tool: &Tool,
    name: &str,
    arguments: &[String],
    request: &Request,
    mut session: Session<'_>,
) -> Result<Reply, Failure> {
    let output: &[Flag] = if tool.formats.is_empty() {
        &[]
    } else {
        &OUTPUT
    };
    let flags: Vec<Flag> = tool.flags.iter().chain(output).copied().collect();
    let line = Line::parse(arguments, &flags).map_err(Failure::Usage)?;
    if line.help {
        return Ok(Reply {
            stdout: format!("Usage: {name}\n").into(),
            ..Reply::default()
        });
    }
    if let Some(default) = tool.formats.first() {
        session.format = match line.value("format") {
            None => *default,
            Some(given) => Format::parse(given)
                .filter(|format| tool.formats.contains(format))
                .ok_or_else(|| {
                    Failure::Usage(format!(
                        "invalid value {given:?} for option --format: unknown format {given:?}"
                    ))
                })?,
        };
    }
    let stdout = match (tool.run)(&line, &mut session)? {
        Answer::Nothing => String::new(),
        Answer::Raw(text) => text,
        Answer::Shown(shown) => session.format.show(&shown)?,
    };
    let mut reply = Reply {
        stdout: stdout.into_bytes(),
        ..Reply::default()
    };
    if tool.formats.is_empty()
        && line
            .value("format")
            .is_some_and(|format| !format.is_empty())
    {
        reply.stderr = format!("--format flag deprecated for command {name:?}").into_bytes();
    }
    if let Some(path) = line.value("o") {
        let path = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("{}/{path}", request.directory)
        };
        session
            .files
            .write(&path, &std::mem::take(&mut reply.stdout))?;
    }
    Ok(reply)
}

fn failed(failure: &Failure) -> Reply {
    let (code, text) = match failure {
        Failure::Usage(text) => (2, text),
        Failure::Error(text) => (1, text),
    };
    Reply {
        code,
        stdout: Vec::new(),
        stderr: format!("ERROR {text}\n").into_bytes(),
    }
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

/// `key=value` words, and the map in `--file -` below them.
fn settings(line: &Line, session: &Session<'_>) -> Result<super::model::Settings, Failure> {
    let mut given = super::model::Settings::new();
    for word in &line.words {
        let Some((key, value)) = word.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            return usage(format!("expected \"key=value\", got {word:?}"));
        };
        if given.insert(key.to_owned(), value.to_owned()).is_some() {
            return usage(format!("key {key:?} specified more than once"));
        }
    }
    match line.value("file") {
        None => Ok(given),
        Some("-") => {
            let text = String::from_utf8_lossy(session.stdin.unwrap_or_default()).into_owned();
            let mut all: super::model::Settings =
                serde_yaml::from_str(&text).map_err(|cause| Failure::Error(cause.to_string()))?;
            all.extend(given);
            Ok(all)
        }
        Some(_) => error("the lab reads settings from standard input only: --file -"),
    }
}

#[cfg(test)]
mod tests;
