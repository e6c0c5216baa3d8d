//! The part "guard": systemd watches the graft, and runs the charm's program to repair it, also while no hook comes.
//!
//! A path unit watches, a service repairs. While that service runs, systemd does not watch, so a second look follows
//! each run: what changed in between is seen by one or the other. A run that has changed something looks once more, for
//! systemd may have lost its watch meanwhile. If something keeps undoing its repairs, systemd's start limit stops the
//! guard until the next hook.

pub mod checks;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::escape::unit_value;
use crate::step::{Phase, Plan, Step};
use crate::system::systemd::Unit;
use crate::system::{Entry, ManagedFile, Original, Root};

/// The unit that watches, the one that repairs, and the one that looks again.
pub const UNITS: [&str; 3] = [WATCH, "magnum-capi-helm-guard.service", "magnum-capi-helm-guard-again.service"];
/// The texts of [`UNITS`].
const TEMPLATES: [&str; 3] = [
    include_str!("watch.path.in"),
    concat!(include_str!("repair.service.in"), include_str!("bounds.in")),
    concat!(include_str!("again.service.in"), include_str!("bounds.in")),
];
/// The path unit.
pub const WATCH: &str = "magnum-capi-helm-guard.path";
/// Begins the names of the transient units that look at services which the guard has restarted.
pub const AFTER_RESTART: &str = "magnum-capi-helm-guard-restarted";
/// The command of the charm's program that the services run.
pub const COMMAND: &str = "guard";

/// The guard as observed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObservedGuard {
    /// What stands at the path of each of [`UNITS`].
    pub files: Vec<Entry>,
    /// The state of each of [`UNITS`].
    pub units: Vec<Unit>,
}

impl ObservedGuard {
    /// Looks at the files; `units` is the state of [`UNITS`].
    ///
    /// # Errors
    /// If a file cannot be looked at.
    pub fn inspect(root: &Root, units: Vec<Unit>) -> Result<Self> {
        let files = UNITS.map(|unit| root.inspect(&unit_file(unit)));
        Ok(Self { files: files.into_iter().collect::<Result<_>>()?, units })
    }

    /// Whether systemd watches, now and after a reboot.
    pub fn watches(&self) -> bool {
        self.units.first().is_some_and(|watch| watch.active_state == "active" && watch.unit_file_state == "enabled")
    }

    /// Whether systemd has lost its watch: it could not watch when it was to watch again, such as where a file stood in
    /// place of a directory.
    pub fn has_lost_its_watch(&self) -> bool {
        self.units.first().is_some_and(Unit::lacked_resources)
    }

    /// Whether an administrator has masked it; then it is theirs.
    pub fn is_masked(&self) -> bool {
        self.units.first().is_some_and(Unit::is_masked)
    }
}

/// Adds the steps to the guard: `wanted` are the files of [`UNITS`], none if it is turned off. While the principal has
/// paused Magnum nothing at all is started. `written` is every path that the charm has written, with its original.
pub fn plan(
    plan: &mut Plan,
    wanted: &[ManagedFile],
    observed: &ObservedGuard,
    is_paused: bool,
    written: &[(PathBuf, Original)],
) {
    if wanted.is_empty() {
        let units = UNITS.map(unit_file);
        let is_ours = |path: &Path| units.iter().any(|unit| unit == path);
        if written.iter().any(|(path, _)| is_ours(path)) {
            plan.reloads = true;
            plan.add(Phase::SwitchOn, Step::Disable(WATCH));
            plan.restore(Phase::SwitchOn, written, is_ours);
        }
        return;
    }
    plan.reloads |= observed.units.iter().any(Unit::is_stale);
    if observed.is_masked() {
        return;
    }
    for (file, found) in wanted.iter().zip(&observed.files) {
        plan.reloads |= plan.write(Phase::SwitchOn, file, found);
    }
    if !observed.watches() && !is_paused {
        plan.add(Phase::Start, Step::Enable(WATCH));
    }
}

/// Returns the directives that bound the charm's services, for its transient ones: `NoNewPrivileges=yes` and so on.
pub fn bounds() -> impl Iterator<Item = &'static str> {
    include_str!("bounds.in").lines().filter(|line| !line.starts_with('#'))
}

/// Returns the path of a unit's file.
pub fn unit_file(unit: &str) -> PathBuf {
    Path::new("/etc/systemd/system").join(unit)
}

/// Returns the files of [`UNITS`], in that order. `program`, the charm's, runs when something changes at one of the
/// `watched` paths, or in it if that is a directory; a path that no unit file can hold is not watched. `header` begins
/// every file that the charm writes.
///
/// # Errors
/// If no unit file can hold the path of `program`.
pub fn unit_files(header: &str, program: &Path, watched: &[PathBuf]) -> Result<Vec<ManagedFile>> {
    let value = |path: &Path| unit_value(path.to_str().context("a path is not UTF-8")?);
    let (files, program) = (UNITS.map(unit_file), value(program)?);
    let watched = files.iter().chain(watched).filter_map(|path| value(path).ok());
    let changes: String = watched.map(|path| format!("PathChanged={path}\n")).collect();
    let file = |(path, template): (PathBuf, &str)| {
        let text =
            template.replace("@watched@\n", &changes).replace("@program@", &program).replace("@command@", COMMAND);
        ManagedFile::public(path, format!("{header}{text}"))
    };
    Ok(files.iter().cloned().zip(TEMPLATES).map(file).collect())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::system::LOCK_LIMIT;
    use crate::system::bounds::KILLED_AFTER;

    use super::*;

    #[test]
    fn a_path_with_a_line_break_is_no_directive_of_its_own() {
        let watched = ["/site/magnum_capi_helm", "/site/x\nUnit=poweroff.target", "/site/%n"].map(PathBuf::from);
        let files = unit_files("# ours\n", Path::new("/charm/dispatch"), &watched).unwrap();
        let text = String::from_utf8(files[0].bytes.clone()).unwrap();
        assert!(text.contains("PathChanged=/site/magnum_capi_helm\n"));
        assert!(text.contains("PathChanged=/site/%%n\n") && !text.contains("poweroff"), "{text}");
        assert!(unit_files("", Path::new("/charm\nExecStart=/x"), &[]).is_err());
    }

    #[test]
    fn both_services_have_the_bounds_of_the_transient_ones_and_more_time_than_their_program() {
        let files = unit_files("", Path::new("/charm/dispatch"), &[]).unwrap();
        assert!(bounds().count() > 20 && bounds().all(|line| line.contains('=')));
        for file in &files[1..] {
            let text = String::from_utf8(file.bytes.clone()).unwrap();
            let (_, service) = text.split_once("\n[Service]\n").unwrap();
            assert!(bounds().all(|line| service.contains(line)), "{text}");
            let (_, minutes) = service.split_once("TimeoutStartSec=").unwrap();
            let (minutes, _) = minutes.split_once("min").unwrap();
            let limit = Duration::from_secs(60 * minutes.parse::<u64>().unwrap());
            assert!(limit > LOCK_LIMIT + Duration::from_secs(KILLED_AFTER.into()), "{text}");
            assert!(LOCK_LIMIT > Duration::from_secs(2 * u64::from(KILLED_AFTER)));
        }
    }

    #[test]
    fn its_services_have_few_capabilities_little_memory_and_few_tasks() {
        let value = |name: &str| bounds().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        assert_eq!(value("CapabilityBoundingSet").map(|all| all.split(' ').count()), Some(9));
        assert_eq!((value("MemoryMax"), value("TasksMax")), (Some("1G"), Some("256")));
    }

    #[test]
    fn a_guard_that_is_turned_off_is_stopped_and_removed() {
        let written = [(unit_file(WATCH), Original::Absent), ("/etc/x".into(), Original::Absent)];
        let mut added = Plan::default();
        plan(&mut added, &[], &ObservedGuard::default(), false, &written);
        let steps = added.into_steps(true);
        let restore = Step::Restore(unit_file(WATCH), Original::Absent);
        assert_eq!(steps, [Step::Disable(WATCH), restore, Step::ReloadSystemd]);
    }
}
