//! The check of the guard.

use super::{ObservedGuard, UNITS, WATCH};
use crate::check::{ANY_HOOK, Check, Finding, Outcome};
use crate::system::ManagedFile;

/// What the check looks at.
pub struct GuardSubject<'a> {
    /// The files of the units; none if the guard is turned off.
    pub wanted: Result<&'a [ManagedFile], Finding>,
    pub observed: &'a ObservedGuard,
    pub is_paused: bool,
}

impl GuardSubject<'_> {
    pub const CHECKS: [Check<Self>; 1] = [Check::new("guard", "Is the graft watched between hooks?", is_watched)];
}

fn is_watched(subject: &GuardSubject<'_>) -> Outcome {
    let (wanted, observed) = (subject.wanted.clone()?, subject.observed);
    if wanted.is_empty() {
        return Err(Finding::skip("guard=false: only the hooks repair drift"));
    }
    if observed.is_masked() {
        let remedy = format!("run: systemctl unmask {WATCH}; or juju config APPLICATION guard=false");
        return Err(Finding::warn(format!("{WATCH} is masked"), remedy));
    }
    for ((file, found), unit) in wanted.iter().zip(&observed.files).zip(UNITS) {
        if let Some(drift) = file.drift(found) {
            return Err(Finding::fail(format!("{unit}: {drift}"), ANY_HOOK));
        }
    }
    if !observed.watches() {
        return Err(match subject.is_paused {
            true => Finding::skip("Magnum is paused"),
            false => Finding::warn(
                format!("{WATCH} is not running, or not enabled; only the hooks repair drift"),
                format!("see: systemctl status {WATCH}; then {ANY_HOOK}"),
            ),
        });
    }
    Ok(format!("systemd watches by {WATCH}, also after a reboot"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Status, run};
    use crate::system::systemd::Unit;
    use crate::system::{Access, Entry, RegularFile};

    fn unit(active_state: &str, unit_file_state: &str) -> Unit {
        Unit {
            load_state: "loaded".into(),
            active_state: active_state.into(),
            unit_file_state: unit_file_state.into(),
            ..Unit::default()
        }
    }

    #[test]
    fn a_guard_that_watches_passes_and_any_other_is_named() {
        let wanted = super::super::unit_files("", std::path::Path::new("/charm/dispatch"), &[]).unwrap();
        let now = std::time::SystemTime::now();
        let found = |file: &ManagedFile| {
            Entry::File(RegularFile { bytes: file.bytes.clone(), access: Access::PUBLIC, changed: now, written: now })
        };
        let in_place: Vec<Entry> = wanted.iter().map(found).collect();
        let missing = vec![Entry::Absent; 3];
        for (files, watch, is_paused, status) in [
            (&in_place, unit("active", "enabled"), false, Status::Pass),
            (&missing, unit("active", "enabled"), false, Status::Fail),
            (&in_place, unit("inactive", "enabled"), false, Status::Warn),
            (&in_place, unit("failed", "enabled"), false, Status::Warn),
            (&in_place, unit("inactive", "enabled"), true, Status::Skip),
            (&in_place, unit("inactive", "masked"), false, Status::Warn),
        ] {
            let observed = ObservedGuard { files: files.clone(), units: vec![watch] };
            let subject = GuardSubject { wanted: Ok(&wanted), observed: &observed, is_paused };
            assert_eq!(run(&GuardSubject::CHECKS, &subject)[0].status, status, "{observed:?}");
        }
    }
}
