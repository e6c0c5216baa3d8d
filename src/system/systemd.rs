//! systemd, through `systemctl`.
//!
//! One `show` answers everything about all units at once: a converged hook needs no second call. Only the charm's own
//! units are enabled and disabled here; to enable, unmask or stop a service of Magnum is for the principal.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::{Command, Secret, System};

const SHOW_LIMIT: Duration = Duration::from_secs(30);
/// A restart waits for the old process to stop; systemd itself kills it after 90 s.
const JOB_LIMIT: Duration = Duration::from_secs(180);
/// What is asked about a unit, in systemd's own words.
const PROPERTIES: &str = "LoadState,UnitFileState,ActiveState,SubState,MainPID,NRestarts,\
                          NeedDaemonReload,ExecStart,FragmentPath,DropInPaths,InvocationID,Job,Result,\
                          Environment,EnvironmentFiles";

/// A service as systemd sees it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unit {
    /// `loaded`, `masked`, `not-found`, `bad-setting`, …
    pub load_state: String,
    /// `enabled`, `disabled`, `masked`, …
    pub unit_file_state: String,
    /// `active`, `activating`, `inactive`, `failed`, …
    pub active_state: String,
    /// `running`, `auto-restart`, `dead`, …
    pub sub_state: String,
    /// `success`, or why it failed: `exit-code`, `resources`, `unit-start-limit-hit`, …
    pub result: String,
    /// The main process, when there is one.
    pub main_pid: Option<i32>,
    /// How often systemd has restarted it automatically since it was last started on purpose.
    pub restarts: u32,
    /// The files of the unit changed since systemd read them.
    pub need_daemon_reload: bool,
    /// It is about to be started, stopped or restarted.
    pub has_job: bool,
    /// Tells this run of the service from the one before it, in the journal.
    pub invocation: String,
    /// The command lines in force, one for each `ExecStart=` that counts.
    pub exec_start: Vec<String>,
    /// The unit file.
    pub fragment: Option<PathBuf>,
    /// The drop-ins in force, in the order in which they apply.
    pub drop_ins: Vec<PathBuf>,
    /// The variables of `Environment=`, as `systemctl` prints them; they may hold credentials.
    pub environment: Secret<String>,
    /// The files of `EnvironmentFile=`, in the order in which they apply.
    pub environment_files: Vec<PathBuf>,
}

impl Unit {
    /// Whether the principal has paused it: charm-magnum's pause masks.
    pub fn is_masked(&self) -> bool {
        self.load_state == "masked" || self.unit_file_state.starts_with("masked")
    }

    /// Whether it exists on this unit at all.
    pub fn exists(&self) -> bool {
        self.load_state != "not-found" && !self.load_state.is_empty()
    }

    /// Whether it exists and is not masked.
    pub fn is_available(&self) -> bool {
        self.exists() && !self.is_masked()
    }

    /// Whether systemd has read other files of it than are there now.
    pub fn is_stale(&self) -> bool {
        self.is_available() && self.need_daemon_reload
    }

    /// Whether it is meant to run but does not: it failed, or systemd is about to start it again (`auto-restart`, from
    /// systemd 255 on `auto-restart-queued` too).
    pub fn is_failing(&self) -> bool {
        self.has_failed() || self.sub_state.starts_with("auto-restart")
    }

    /// Whether it failed because systemd lacked what it takes, such as a directory that a path unit is to watch.
    pub fn lacked_resources(&self) -> bool {
        self.has_failed() && self.result == "resources"
    }

    /// Whether it failed for good: systemd does not try again.
    pub fn has_failed(&self) -> bool {
        self.active_state == "failed"
    }
}

/// Asks about several units in one call; the answers come in the same order.
///
/// # Errors
/// If `systemctl` fails or answers about another number of units.
pub fn show(system: &System, units: &[&str]) -> Result<Vec<Unit>> {
    let command =
        Command::new("systemctl", SHOW_LIMIT).args(["show", "--no-pager", "--property", PROPERTIES, "--"]).args(units);
    let shown = parse(&String::from_utf8_lossy(&system.stdout(&command)?));
    let (found, asked) = (shown.len(), units.len());
    anyhow::ensure!(found == asked, "systemctl show answered about {found} units, not {asked}");
    Ok(shown)
}

/// Makes systemd read its unit files again.
///
/// # Errors
/// If `systemctl` fails.
pub fn daemon_reload(system: &System) -> Result<()> {
    system.stdout(&Command::new("systemctl", JOB_LIMIT).arg("daemon-reload")).map(drop)
}

/// What a restart waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitFor {
    /// That systemd has queued it.
    Queue,
    /// That it has ended.
    End,
}

/// Restarts units, and starts those that are not running, also when systemd has given one up. First resets what it
/// has counted of their failures: otherwise a restart soon after too many starts is refused.
///
/// # Errors
/// If `systemctl` fails, as it does for a unit that systemd could not load.
pub fn restart(system: &System, units: &[&str], wait_for: WaitFor) -> Result<()> {
    reset_failed(system, units)?;
    let command = Command::new("systemctl", JOB_LIMIT)
        .arg("restart")
        .args((wait_for == WaitFor::Queue).then_some("--no-block"))
        .arg("--")
        .args(units);
    system.stdout(&command).map(drop)
}

/// Resets what systemd has counted of the failures and starts of units.
///
/// # Errors
/// If `systemctl` cannot be run.
pub fn reset_failed(system: &System, units: &[&str]) -> Result<()> {
    let reset = Command::new("systemctl", SHOW_LIMIT).args(["reset-failed", "--"]).args(units);
    // It fails for a unit that systemd has not loaded, which then has no count.
    system.run(&reset).map(drop)
}

/// Runs a program in a unit of its own, with these further properties, after the jobs of `units` that are queued; does
/// not wait for it.
///
/// # Errors
/// If `systemd-run` fails.
pub fn run_after(
    system: &System,
    units: &[&str],
    name: &str,
    properties: impl Iterator<Item = &'static str>,
    program: &Path,
    argument: &str,
) -> Result<()> {
    let command = Command::new("systemd-run", SHOW_LIMIT)
        .args(["--quiet", "--collect", "--no-block"])
        .arg(format!("--unit={name}"))
        .arg(format!("--property=After={}", units.join(" ")))
        .args(properties.map(|property| format!("--property={property}")))
        .arg("--")
        .arg(program)
        .arg(argument);
    let started = system.stdout(&command).map(drop);
    started.with_context(|| format!("starting {name}"))
}

/// Stops one of the charm's own units, if it runs at all.
///
/// # Errors
/// If `systemctl` cannot be run.
pub fn stop(system: &System, unit: &str) -> Result<()> {
    system.run(&Command::new("systemctl", JOB_LIMIT).args(["stop", "--", unit])).map(drop)
}

/// Starts one of the charm's own units, now and at every boot.
///
/// # Errors
/// If `systemctl` fails.
pub fn enable(system: &System, unit: &str) -> Result<()> {
    now(system, "enable", unit)
}

/// Stops one of the charm's own units, which then does not start at boot either.
///
/// # Errors
/// If `systemctl` fails.
pub fn disable(system: &System, unit: &str) -> Result<()> {
    now(system, "disable", unit)
}

fn now(system: &System, verb: &str, unit: &str) -> Result<()> {
    let done = system.stdout(&Command::new("systemctl", JOB_LIMIT).args(["--quiet", "--now", verb, "--", unit]));
    done.map(drop).with_context(|| format!("systemctl {verb} {unit}"))
}

/// Parses what `systemctl show` prints: `Key=value` lines, an empty line between units.
pub fn parse(printed: &str) -> Vec<Unit> {
    printed.split("\n\n").filter(|block| !block.trim().is_empty()).map(unit).collect()
}

fn unit(block: &str) -> Unit {
    let values = |key| block.lines().filter_map(move |line| line.strip_prefix(key)?.strip_prefix('='));
    let value = |key| values(key).next().unwrap_or_default();
    Unit {
        load_state: value("LoadState").to_owned(),
        unit_file_state: value("UnitFileState").to_owned(),
        active_state: value("ActiveState").to_owned(),
        sub_state: value("SubState").to_owned(),
        result: value("Result").to_owned(),
        main_pid: value("MainPID").parse().ok().filter(|pid| *pid > 0),
        restarts: value("NRestarts").parse().unwrap_or_default(),
        need_daemon_reload: value("NeedDaemonReload") == "yes",
        has_job: !matches!(value("Job"), "" | "0"),
        invocation: value("InvocationID").to_owned(),
        exec_start: values("ExecStart").filter_map(argv).collect(),
        fragment: Some(value("FragmentPath")).filter(|path| !path.is_empty()).map(PathBuf::from),
        drop_ins: value("DropInPaths").split_whitespace().map(PathBuf::from).collect(),
        environment: Secret::new(value("Environment").to_owned()),
        environment_files: values("EnvironmentFiles").filter_map(file).collect(),
    }
}

/// The command line within `{ path=… ; argv[]=… ; ignore_errors=no ; … }`.
fn argv(value: &str) -> Option<String> {
    let (_, rest) = value.split_once("argv[]=")?;
    let (argv, _) = rest.split_once(" ; ignore_errors=")?;
    Some(argv.trim().to_owned())
}

/// The path within `/etc/default/magnum (ignore_errors=yes)`.
fn file(value: &str) -> Option<PathBuf> {
    value.split_once(" (ignore_errors=").map(|(path, _)| PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As printed by systemd 252 on a unit whose API runs the explicit command line and whose
    /// conductor is paused.
    const SHOWN: &str = include_str!("../../tests/fixtures/systemctl-show.txt");

    #[test]
    fn a_running_and_a_paused_service_are_read_from_real_output() {
        let units = parse(SHOWN);
        assert_eq!(units.len(), 2);
        let api = &units[0];
        assert_eq!(
            api.exec_start,
            ["/usr/bin/magnum-api --config-file=/etc/magnum/magnum.conf \
              --config-dir=/etc/magnum/magnum.conf.d"]
        );
        assert!(api.main_pid.is_some() && !api.is_masked() && !api.is_failing());
        assert_eq!(api.drop_ins, [PathBuf::from("/etc/systemd/system/magnum-api.service.d/override.conf")]);
        assert_eq!(api.fragment.as_deref(), Some(Path::new("/lib/systemd/system/magnum-api.service")));
        let conductor = &units[1];
        assert!(conductor.is_masked());
        assert_eq!(conductor.main_pid, None);
    }

    /// As `systemctl-show.c` and `bus-print-properties.c` of systemd print it.
    #[test]
    fn the_environment_is_read_and_shows_nowhere() {
        let shown = "LoadState=loaded\nEnvironment=A=b \"https_proxy=http://u:hunter2@h x\"\n\
                     EnvironmentFiles=/etc/default/a (ignore_errors=yes)\nEnvironmentFiles=/etc/b c (ignore_errors=no)\n";
        let unit = parse(shown).remove(0);
        assert_eq!(unit.environment.expose(), "A=b \"https_proxy=http://u:hunter2@h x\"");
        assert_eq!(unit.environment_files, ["/etc/default/a", "/etc/b c"].map(PathBuf::from));
        assert!(!format!("{unit:?}").contains("hunter2"));
    }
}
