//! The pieces of the archive, each a name and a text. A piece that cannot be had says why.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

use super::Inputs;
use crate::audit;
use crate::magnum::{CONF_DIRECTORY, Installation, MAGNUM_DIRECTORY, MAGNUM_USER, Service, configuration_arguments};
use crate::services::{self, conductors_environment};
use crate::system::{Backups, Budget, Command, Root, System, TooMuch};

/// Each question is small.
const LIMIT: Duration = Duration::from_secs(20);
/// How many of a journal's newest lines are kept: fewer if that many are too large to be read.
const JOURNAL_LINES: [&str; 3] = ["1000", "100", "10"];
/// Properties of units, none of which contains an environment.
const PROPERTIES: &str = "Id,LoadState,UnitFileState,ActiveState,SubState,Result,MainPID,NRestarts,\
                          NeedDaemonReload,ExecStart,FragmentPath,DropInPaths,ExecMainStartTimestamp";
const UNIT_DIRECTORY: &str = "/etc/systemd/system";
/// What is kept of the configuration's directory: the principal's files have 30 kB.
const FRAGMENTS: Budget = Budget::new(1000, 1 << 20);
/// Begins the names of the charm's own units.
const OWN_UNITS: &str = "magnum-capi-helm-";

/// Returns every piece, not redacted yet.
///
/// # Errors
/// If the names of units cannot be read.
pub fn pieces(system: &System, inputs: Inputs) -> Result<Vec<(String, Result<String>)>> {
    let root = &system.root;
    let inventory = inventory(system);
    let of_python = |which| match &inventory {
        Ok(inventory) => inventory.get(which).map(|lines| lines.join("\n") + "\n").context("Python does not say"),
        Err(error) => Err(anyhow!("{error:#}")),
    };
    let own = root.names(Path::new(UNIT_DIRECTORY))?.into_iter();
    let own = own.filter(|name| name.starts_with(OWN_UNITS));
    let services = Service::ALL.map(|service| service.unit().to_owned());
    let units: Vec<String> = services.into_iter().chain(own).collect();
    let systemctl = |arguments: &[&str]| {
        let command = command("systemctl", arguments).arg("--no-pager");
        run(system, &command.arg("--").args(&units))
    };
    let packages = ["--show", "*magnum*", "*helm*", "python3*"];
    let record = || Ok(serde_json::to_string_pretty(&audit::read(root))?);
    let originals = || Ok(Backups::load(root)?.describe(root)?.join("\n") + "\n");
    let pieces = [
        ("versions.txt", versions(system, &inputs.versions)),
        ("units.txt", systemctl(&["cat"])),
        ("services.txt", systemctl(&["show", "--property", PROPERTIES])),
        ("configuration.txt", of_python("configuration")),
        ("drivers.txt", of_python("drivers")),
        ("python-packages.txt", of_python("distributions")),
        ("packages.txt", run(system, &command("dpkg-query", &packages))),
        ("conf.d.txt", run(system, &command("ls", &["-lAR", "--full-time", MAGNUM_DIRECTORY]).as_user(MAGNUM_USER))),
        ("plan.txt", inputs.plan),
        ("verify.txt", inputs.verify),
        ("record.json", record()),
        ("kept.txt", originals()),
    ];
    let pieces = pieces.into_iter().map(|(name, text)| (name.to_owned(), text));
    let journals = units.iter().map(|unit| {
        let name = format!("journal/{}.txt", unit.trim_end_matches(".service"));
        (name, journal(system, unit))
    });
    Ok(pieces.chain(journals).chain(fragments(root)).collect())
}

/// Asks Python for lines about its configuration, distributions and drivers.
fn inventory(system: &System) -> Result<BTreeMap<String, Vec<String>>> {
    let arguments = configuration_arguments(&system.root)?;
    let question = [&["inventory"], arguments.as_slice()].concat();
    // Without it, if it cannot be read: what the files say is still worth having.
    let environment = services::inspect(system).and_then(|services| conductors_environment(system, &services));
    let environment = environment.unwrap_or_default();
    Installation::inspect(system)?.python.ask(system, &environment, &question)
}

fn versions(system: &System, given: &str) -> Result<String> {
    let installation = Installation::inspect(system)?;
    let python = &installation.python;
    let release = system.root.resolve(Path::new("/etc/os-release"))?;
    Ok(format!(
        "{given}magnum {}\npython {} {}\n\n{}\n{}",
        installation.version,
        python.executable.display(),
        python.version,
        system.root.read_text(&release)?.unwrap_or_default(),
        run(system, &command("uname", &["-a"]))?,
    ))
}

fn journal(system: &System, unit: &str) -> Result<String> {
    let read = |lines| {
        let arguments = ["--quiet", "--no-pager", "--lines", lines, "--unit", unit];
        run(system, &command("journalctl", &arguments))
    };
    let [most, fewer, fewest] = JOURNAL_LINES;
    read(most).or_else(|_| read(fewer)).or_else(|_| read(fewest))
}

/// Returns the files of the configuration's directory; the last says so if there is too much in it.
fn fragments(root: &Root) -> Vec<(String, Result<String>)> {
    let (directory, mut budget) = (Path::new(CONF_DIRECTORY), FRAGMENTS);
    let names = match root.names(directory) {
        Ok(names) => names,
        Err(error) => return vec![("magnum.conf.d".to_owned(), Err(error))],
    };
    let mut pieces = Vec::new();
    for name in names {
        let content = budget.read(root, &directory.join(&name)).and_then(|content| content.context("it is gone again"));
        let is_last = content.as_ref().is_err_and(|error| error.is::<TooMuch>());
        pieces.push((
            format!("magnum.conf.d/{name}"),
            content.map(|content| String::from_utf8_lossy(&content).into_owned()),
        ));
        if is_last {
            break;
        }
    }
    pieces
}

fn command(program: &str, arguments: &[&str]) -> Command {
    Command::new(program, LIMIT).args(arguments)
}

/// Returns what a program prints, and how it failed if it did.
fn run(system: &System, command: &Command) -> Result<String> {
    let output = system.run(command)?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(match output.code {
        Some(0) => printed,
        _ => format!("{printed}{}\n", output.failure()),
    })
}

#[cfg(test)]
mod tests {
    use crate::system::testing::{Scratch, command_line};
    use crate::system::{Account, Host, Output};

    use super::*;

    /// A machine whose journal has very long lines.
    struct LongLines;

    impl Host for LongLines {
        fn run(&self, command: &Command) -> Result<Output> {
            let line = command_line(command);
            anyhow::ensure!(line.contains("--lines 10 "), "it prints more than 8388608 bytes");
            Ok(Output { code: Some(0), stdout: b"the newest".to_vec(), ..Output::default() })
        }

        fn account(&self, _: &str) -> Result<Option<Account>> {
            Ok(None)
        }
    }

    #[test]
    fn of_any_number_of_fragments_so_many_are_kept_and_the_last_says_that_there_are_more() {
        let scratch = Scratch::new();
        (0..1010).for_each(|index| scratch.put(format!("{CONF_DIRECTORY}/{index:04}.conf"), ""));
        let pieces = fragments(&scratch.root);
        let failed: Vec<_> = pieces.iter().filter(|(_, text)| text.is_err()).map(|(name, _)| name.as_str()).collect();
        assert_eq!((pieces.len(), failed), (1001, vec!["magnum.conf.d/1000.conf"]));
    }

    #[test]
    fn of_a_journal_that_is_too_large_the_newest_lines_are_kept() {
        let system = System::new(Scratch::new().root, LongLines);
        assert_eq!(journal(&system, "magnum-api.service").unwrap(), "the newest");
    }
}
