//! The check of the guard: is the graft watched over between hooks?

use super::{ANY_HOOK, Check, Finding, Outcome, Scene};
use crate::graft::guard::{UNITS, WATCH};
use crate::guard;

/// The checks of this group.
pub const CHECKS: &[Check<Scene>] = &[Check {
    id: "guard",
    question: "Is the graft watched over between hooks?",
    answer: guarded,
}];

fn guarded(scene: &Scene) -> Outcome {
    let desired = match scene.desired() {
        Ok(desired) => desired,
        Err(finding) => return Ok(Err(finding)),
    };
    if desired.guard.is_empty() {
        return Ok(Err(Finding::skip(
            "guard=false: the hooks alone put drift right",
        )));
    }
    let seen = &scene.observed.guard;
    if seen.is_masked() {
        return Ok(Err(Finding::warn(
            format!("{WATCH} is masked"),
            format!("run: systemctl unmask {WATCH}; or juju config guard=false"),
        )));
    }
    let files = desired.guard.iter().zip(&seen.files).zip(UNITS);
    let drift = files.filter_map(|((file, found), unit)| Some((unit, file.drift(found)?)));
    if let Some((unit, drift)) = drift.into_iter().next() {
        return Ok(Err(Finding::fail(format!("{unit}: {drift}"), ANY_HOOK)));
    }
    if scene.paused() && !seen.watches() {
        return Ok(Err(Finding::skip("magnum is paused")));
    }
    if !seen.watches() {
        let evidence = format!("{WATCH} is not running, or not enabled");
        return Ok(Err(Finding::fail(evidence, ANY_HOOK)));
    }
    let contested: Vec<String> = guard::contested()?
        .iter()
        .map(ToString::to_string)
        .collect();
    if !contested.is_empty() {
        return Ok(Err(Finding::warn(
            contested.join("; "),
            "have whoever it is leave that to the charm; hooks put it right until then",
        )));
    }
    Ok(Ok(format!(
        "{WATCH} has systemd watch, also after a reboot"
    )))
}
