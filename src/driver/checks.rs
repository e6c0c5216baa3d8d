//! Checks of the driver, and of what Magnum makes of it.

use super::scene::{Asked, ClusterKind};
use super::{ANY_HOOK, Check, Finding, Outcome, Scene};
use crate::graft::ENTRY_POINT;
use crate::graft::driver::Driver;

/// The checks of this group.
pub const CHECKS: &[Check<Scene>] = &[
    Check {
        id: "driver-version",
        question: "Is exactly the pinned driver installed?",
        answer: version,
    },
    Check {
        id: "driver-record",
        question: "Is every file of the driver as its RECORD says?",
        answer: record,
    },
    Check {
        id: "driver-shadowed",
        question: "Is it the first copy of the driver that Python finds?",
        answer: shadowed,
    },
    Check {
        id: "driver-loads",
        question: "Does the driver's entry point load as user magnum?",
        answer: loads,
    },
    Check {
        id: "driver-requirements",
        question: "Does this Python have what the driver requires?",
        answer: requirements,
    },
    Check {
        id: "driver-enabled",
        question: "Does Magnum's own driver map give clusters to the drivers it should?",
        answer: enabled,
    },
];

/// Is exactly the pinned driver installed?
pub fn version(scene: &Scene) -> Outcome {
    let Some(settings) = &scene.settings else {
        return Ok(Err(Finding::skip(
            "the pin is not known while the settings are not valid",
        )));
    };
    let pin = &settings.driver.pin;
    Ok(match scene.observed.driver.0.as_slice() {
        [driver] if driver.version.as_ref() == Some(pin.version()) => {
            Ok(format!("{pin} in {}", driver.dist_info.display()))
        }
        _ => {
            let seen = scene.observed.driver.differs(pin, None).unwrap_or_default();
            Err(Finding::fail(format!("{pin} is pinned: {seen}"), ANY_HOOK))
        }
    })
}

/// Is every file of the driver as its RECORD says?
pub fn record(scene: &Scene) -> Outcome {
    let drivers = &scene.observed.driver.0;
    if drivers.is_empty() {
        return Ok(Err(Finding::skip("the driver is not installed")));
    }
    let damage: Vec<String> = drivers
        .iter()
        .flat_map(|driver| &driver.damage)
        .map(|damage| format!("{} is {}", damage.path, damage.what))
        .collect();
    if !damage.is_empty() {
        return Ok(Err(Finding::fail(damage.join(", "), ANY_HOOK)));
    }
    // Of another version than the pinned one, the check `driver-version` tells.
    let pinned = scene.desired.as_ref().and_then(|desired| {
        let of_pin = |driver: &&Driver| driver.version.as_ref() == Some(desired.pin.version());
        let driver = drivers.iter().find(of_pin)?;
        Some((driver, &desired.record_sha256))
    });
    if pinned.is_some_and(|(driver, build)| driver.record_sha256 != *build) {
        let evidence = "RECORD itself is not the one that was installed";
        return Ok(Err(Finding::fail(evidence, ANY_HOOK)));
    }
    Ok(Ok(
        "every file has the sha256 in RECORD and is readable for user magnum".into(),
    ))
}

/// Is it the first copy of the driver that Python finds?
pub fn shadowed(scene: &Scene) -> Outcome {
    let shadows = &scene.observed.shadows;
    if shadows.is_empty() {
        return Ok(Ok(
            "no other copy comes before it on user magnum's path".into()
        ));
    }
    let found: Vec<String> = shadows
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let evidence = format!("Python finds {} first", found.join(", "));
    Ok(Err(Finding::fail(evidence, ANY_HOOK)))
}

/// Does the driver's entry point load as user magnum?
pub fn loads(scene: &Scene) -> Outcome {
    Ok(match scene.asked(|answers| &answers.loads)? {
        Asked::Answer(loaded) => Ok(format!(
            "{ENTRY_POINT} is {} of {}, from {}",
            loaded.class, loaded.version, loaded.file
        )),
        Asked::Error(error) => Err(Finding::fail(
            error.clone(),
            "run any hook to install the driver anew; if this stays, choose another driver-pin",
        )),
    })
}

/// Does this Python have what the driver requires?
pub fn requirements(scene: &Scene) -> Outcome {
    let Asked::Answer(loaded) = scene.asked(|answers| &answers.loads)? else {
        return Ok(Err(Finding::skip("the driver does not load")));
    };
    if loaded.missing.is_empty() {
        return Ok(Ok("every requirement in its metadata holds".into()));
    }
    let missing: Vec<String> = loaded
        .missing
        .iter()
        .map(|(wanted, found)| format!("{wanted} (found {})", found.as_deref().unwrap_or("none")))
        .collect();
    Ok(Err(Finding::fail(
        format!("missing: {}", missing.join(", ")),
        "install those packages with apt, or choose another driver-pin",
    )))
}

/// Does Magnum's own driver map give clusters to the drivers it should?
pub fn enabled(scene: &Scene) -> Outcome {
    let enabled = match scene.asked_of_driver(|answers| &answers.enabled)? {
        Err(finding) => return Ok(Err(finding)),
        Ok(Asked::Answer(enabled)) => enabled,
        Ok(Asked::Error(error)) => {
            return Ok(Err(Finding::fail(
                format!("Magnum's loader says {error}"),
                "mend what driver-loads and conf-effective say",
            )));
        }
    };
    let serves = |(name, kinds): (&String, &Vec<ClusterKind>)| match listed(kinds) {
        none if none.is_empty() => format!("{name} for no cluster"),
        kinds => format!("{name} for {kinds}"),
    };
    let drivers: Vec<String> = enabled.iter().map(serves).collect();
    let seen = format!("Magnum enables {}", drivers.join("; "));
    let Some(ours) = enabled.get(ENTRY_POINT) else {
        return Ok(Err(Finding::fail(
            format!("{seen}, not {ENTRY_POINT}"),
            "take it out of [drivers] disabled_drivers in /etc/magnum, or run any hook",
        )));
    };
    let only_ours = scene
        .settings
        .as_ref()
        .is_some_and(|settings| settings.disable_other_drivers);
    if only_ours && enabled.len() > 1 {
        return Ok(Err(Finding::fail(
            format!("{seen}, though disable-other-drivers is true"),
            format!(
                "take disabled_drivers out of the file that conf-effective names; else {ANY_HOOK}"
            ),
        )));
    }
    // Magnum's map holds one driver for each kind of cluster: of two that make the same, the last.
    let Asked::Answer(loaded) = scene.asked(|answers| &answers.loads)? else {
        return Ok(Err(Finding::skip("the driver does not load")));
    };
    let taken = loaded.provides.iter().filter(|kind| !ours.contains(kind));
    let taken = listed(taken);
    if !taken.is_empty() {
        return Ok(Err(Finding::fail(
            format!("{seen}: another driver makes the clusters {taken}"),
            "disable that driver: set disable-other-drivers=true, or remove its package",
        )));
    }
    Ok(Ok(seen))
}

fn listed<'a>(kinds: impl IntoIterator<Item = &'a ClusterKind>) -> String {
    let kinds: Vec<String> = kinds.into_iter().map(ToString::to_string).collect();
    kinds.join(", ")
}
