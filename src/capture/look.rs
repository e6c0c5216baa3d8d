//! What goes into the archive: each piece a name and a text. A piece that cannot be had says why.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde::Deserialize;

use super::blank::blanked;
use crate::audit;
use crate::converge;
use crate::graft::files::CONF_DIRECTORY;
use crate::graft::{Service, guard};
use crate::ground::Ground;
use crate::hook::roll::Roll;
use crate::hook::sources::{self, Ask};
use crate::juju::Context;
use crate::unit::command;
use crate::unit::files;
use crate::unit::kept::Ledger;
use crate::verify::{Report, Scene};

/// Each question is small.
const LIMIT: Duration = Duration::from_secs(20);
/// The end of each journal.
const JOURNAL_LINES: &str = "1000";
/// What is asked of systemd: nothing that could hold an environment.
const PROPERTIES: &str = "Id,LoadState,UnitFileState,ActiveState,SubState,Result,MainPID,NRestarts,\
                          NeedDaemonReload,ExecStart,FragmentPath,DropInPaths,ExecMainStartTimestamp";

/// Python's answer to the question `inventory`.
#[derive(Deserialize)]
struct Inventory {
    /// Every option with its effective value, secrets already taken out by oslo.config.
    configuration: Vec<String>,
    /// Every distribution, `NAME==VERSION PLACE`.
    distributions: Vec<String>,
    /// Magnum's drivers by their entry points.
    drivers: Vec<String>,
}

/// Everything there is to see.
pub fn everything(context: &Context) -> Vec<(String, String)> {
    let inventory = inventory();
    let of_python = |which: fn(&Inventory) -> &Vec<String>| match &inventory {
        Ok(inventory) => Ok(which(inventory).join("\n") + "\n"),
        Err(error) => Err(anyhow::anyhow!("{error:#}")),
    };
    let mut pieces = vec![
        ("versions.txt", versions(context)),
        ("units.txt", systemctl(&["cat", "--no-pager", "--"])),
        (
            "services.txt",
            systemctl(&["show", "--no-pager", "--property", PROPERTIES, "--"]),
        ),
        (
            "configuration.txt",
            of_python(|inventory| &inventory.configuration),
        ),
        ("drivers.txt", of_python(|inventory| &inventory.drivers)),
        (
            "python-packages.txt",
            of_python(|inventory| &inventory.distributions),
        ),
        (
            "packages.txt",
            run("dpkg-query", &["--show", "*magnum*", "*helm*", "python3*"]),
        ),
        (
            "conf.d.txt",
            run("ls", &["-lAR", "--full-time", "/etc/magnum"]),
        ),
        ("plan.txt", plan(context)),
        (
            "verify.txt",
            Scene::look(context).map(|scene| Report::of(&scene).table()),
        ),
        (
            "record.json",
            audit::read().and_then(|record| Ok(serde_json::to_string_pretty(&record)?)),
        ),
        ("kept.txt", kept()),
    ]
    .into_iter()
    .map(|(name, text)| (name.to_owned(), text))
    .collect::<Vec<_>>();
    for unit in units() {
        let arguments = [
            "--quiet",
            "--no-pager",
            "--lines",
            JOURNAL_LINES,
            "--unit",
            unit,
        ];
        let name = format!("journal/{}.txt", unit.trim_end_matches(".service"));
        pieces.push((name, run("journalctl", &arguments)));
    }
    pieces.extend(fragments());
    let told = |text: Result<String>| match text {
        Ok(text) => blanked(&text),
        Err(error) => blanked(&format!("could not look: {error:#}\n")),
    };
    pieces
        .into_iter()
        .map(|(name, text)| (name, told(text)))
        .collect()
}

fn inventory() -> Result<Inventory> {
    let mut question = vec!["inventory"];
    question.extend(Service::arguments_at_hand());
    Ground::look()?.python.ask(&question)
}

fn versions(context: &Context) -> Result<String> {
    let ground = Ground::look()?;
    let system = files::read_text(Path::new("/etc/os-release"))?.unwrap_or_default();
    Ok(format!(
        "unit {}\ncharm {}\nmagnum {}\npython {} {}\n\n{system}\n{}",
        context.unit,
        context.charm,
        ground.magnum,
        ground.python.executable.display(),
        ground.python.version,
        run("uname", &["-a"])?,
    ))
}

fn plan(context: &Context) -> Result<String> {
    let wanted = sources::wanted(context, Ask::Remembered)?;
    let roll = Roll::of(&wanted, context);
    let rehearsal = converge::rehearse(wanted, &|due| roll.turn(due))?;
    let steps = rehearsal.steps.iter().map(|step| format!("{step}\n"));
    let problems = rehearsal.problems.iter();
    let problems = problems.map(|problem| format!("problem: {problem}\n"));
    Ok(steps.chain(problems).collect())
}

/// What stood on the unit before the charm came.
fn kept() -> Result<String> {
    let entries = Ledger::load()?.entries().into_iter();
    entries
        .map(|(path, before)| Ok(format!("{}: {}\n", path.display(), before.told()?)))
        .collect()
}

/// The configuration's fragments, themselves.
fn fragments() -> Vec<(String, Result<String>)> {
    let directory = Path::new(CONF_DIRECTORY);
    let names = files::names(directory).unwrap_or_default();
    let text = |name: &str| {
        let bytes = files::read(&directory.join(name))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    names
        .into_iter()
        .map(|name| (format!("magnum.conf.d/{name}"), text(&name)))
        .collect()
}

fn systemctl(arguments: &[&str]) -> Result<String> {
    run("systemctl", &[arguments, &units()].concat())
}

/// The services, and the guard's units when it is there.
fn units() -> Vec<&'static str> {
    let guard = guard::UNITS.into_iter();
    let guard = guard.filter(|unit| guard::unit_file(unit).exists());
    Service::ALL
        .map(Service::unit)
        .into_iter()
        .chain(guard)
        .collect()
}

/// What a program prints; one that fails is told with what it printed all the same.
fn run(program: &str, arguments: &[&str]) -> Result<String> {
    let output = command::run(program, LIMIT).args(arguments).output()?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(match output.code {
        Some(0) => printed,
        _ => format!("{printed}{}\n", output.failure()),
    })
}
