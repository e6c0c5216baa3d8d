//! The guard: systemd watches over the graft and has it put back, also while no hook comes by.
//!
//! A path unit watches, a service puts back. While that service runs, systemd does not watch, so
//! a second look follows each run: what changed in between is seen by one or the other.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::files::{HEADER, ManagedFile};
use crate::unit::files::{Entry, look};
use crate::unit::systemd::Unit;

/// What watches, what puts back, and what looks once more.
pub const UNITS: [&str; 3] = [
    WATCH,
    "magnum-capi-helm-guard.service",
    "magnum-capi-helm-guard-again.service",
];
/// The path unit.
pub const WATCH: &str = "magnum-capi-helm-guard.path";
/// Begins the names of the units that look at services which the guard has restarted.
pub const RESTARTED: &str = "magnum-capi-helm-guard-restarted";
/// The command of the charm's program that the services run.
pub const COMMAND: &str = "guard";

/// The guard as it was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// What stands at the path of each of [`UNITS`].
    pub files: Vec<Entry>,
    /// What systemd says of each.
    pub units: Vec<Unit>,
}

impl Seen {
    /// Looks at the files; `units` is what systemd said of [`UNITS`].
    ///
    /// # Errors
    /// When a file cannot be looked at.
    pub fn look(units: Vec<Unit>) -> Result<Self> {
        let files = UNITS.map(|unit| look(&unit_file(unit)));
        Ok(Self {
            files: files.into_iter().collect::<Result<_>>()?,
            units,
        })
    }

    /// Whether systemd watches, now and after a reboot.
    pub fn watches(&self) -> bool {
        self.units.first().is_some_and(|watch| {
            watch.active_state == "active" && watch.unit_file_state == "enabled"
        })
    }

    /// Whether an administrator has masked it: it is theirs then.
    pub fn is_masked(&self) -> bool {
        self.units.first().is_some_and(Unit::is_masked)
    }

    /// Whether systemd does not know the files as they are.
    pub fn is_behind_its_files(&self) -> bool {
        let stale = |unit: &Unit| unit.exists() && !unit.is_masked() && unit.need_daemon_reload;
        self.units.iter().any(stale)
    }
}

/// Where one of [`UNITS`] has its file.
pub fn unit_file(unit: &str) -> PathBuf {
    Path::new("/etc/systemd/system").join(unit)
}

/// The files of [`UNITS`], in that order: `program`, the charm's, is run when something changes at
/// one of the `watched` paths, or in it when that is a directory.
pub fn files(program: &Path, watched: &[PathBuf]) -> [ManagedFile; 3] {
    let [watch, put_back, again] = UNITS;
    let lines: String = UNITS
        .map(unit_file)
        .iter()
        .chain(watched)
        .map(|path| format!("PathChanged={}\n", path.display()))
        .collect();
    let service = |what: &str, then: &str| {
        format!(
            "{HEADER}[Unit]\nDescription={what} Magnum's Cluster API graft\n\
             ConditionPathExists={program}\nStartLimitIntervalSec=0\n{then}\n\
             [Service]\nType=oneshot\nExecStart={program} {COMMAND}\nTimeoutStartSec=15min\n",
            program = program.display(),
        )
    };
    let file = |unit: &str, text: String| ManagedFile::public(unit_file(unit), text);
    [
        file(
            watch,
            format!(
                "{HEADER}[Unit]\nDescription=Watch over Magnum's Cluster API graft\n\
                 Wants={again}\n\n[Path]\n{lines}\n[Install]\nWantedBy=multi-user.target\n"
            ),
        ),
        file(
            put_back,
            service(
                "Put back",
                // One after the other: a second look that has begun already would be none.
                &format!("After={again}\nOnSuccess={again}\nOnFailure={again}\n"),
            ),
        ),
        file(again, service("Look again at", "")),
    ]
}
