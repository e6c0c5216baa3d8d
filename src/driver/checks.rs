//! Checks of the driver, and of what Magnum makes of it.

use super::facts::missing;
use super::{DesiredDriver, ObservedDriver};
use crate::check::{ANY_HOOK, Check, CheckResult, Finding, Outcome, run};
use crate::juju::settings::Pin;
use crate::magnum::{Asked, ClusterKind, ENTRY_POINT, PythonAnswers};

/// What the checks look at.
pub struct DriverSubject<'a> {
    /// `None` while the settings are not valid.
    pub pin: Option<&'a Pin>,
    /// `None` while it is not known which build is wanted.
    pub desired: Option<&'a DesiredDriver>,
    pub observed: &'a ObservedDriver,
    pub python: &'a PythonAnswers,
    /// Whether the other drivers are to be disabled.
    pub only_ours: bool,
}

/// Runs the driver's checks.
pub fn checks<'a>(subject: &DriverSubject<'a>) -> Vec<CheckResult> {
    let checks: [Check<DriverSubject<'a>>; 6] = [
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
    run(&checks, subject)
}

fn version(subject: &DriverSubject<'_>) -> Outcome {
    let Some(pin) = subject.pin else {
        return Ok(Err(Finding::skip(
            "the pin is not known while the settings are not valid",
        )));
    };
    let installed = &subject.observed.installed;
    Ok(match installed.0.as_slice() {
        [driver] if driver.is_of(pin) => Ok(format!("{pin} in {}", driver.dist_info.display())),
        _ => {
            let found = installed.differs(pin, None).unwrap_or_default();
            Err(Finding::fail(format!("{pin} is pinned: {found}"), ANY_HOOK))
        }
    })
}

fn record(subject: &DriverSubject<'_>) -> Outcome {
    // The others, and a driver of another version, are the finding of `driver-version`.
    let [driver] = subject.observed.installed.0.as_slice() else {
        return Ok(Err(Finding::skip("not exactly one driver is installed")));
    };
    if !driver.damage.is_empty() {
        let damage: Vec<String> = driver.damage.iter().map(ToString::to_string).collect();
        return Ok(Err(Finding::fail(damage.join(", "), ANY_HOOK)));
    }
    let is_other_build = subject.desired.is_some_and(|desired| {
        driver.is_of(&desired.pin) && driver.record_sha256 != desired.record_sha256
    });
    if is_other_build {
        return Ok(Err(Finding::fail(
            "RECORD itself is not the one that was installed",
            ANY_HOOK,
        )));
    }
    Ok(Ok(
        "every file has the sha256 in RECORD and is readable for user magnum".into(),
    ))
}

fn shadowed(subject: &DriverSubject<'_>) -> Outcome {
    let shadows = &subject.observed.shadows;
    if shadows.is_empty() {
        return Ok(Ok(
            "no other copy comes before it on user magnum's path".into()
        ));
    }
    let found: Vec<String> = shadows
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    Ok(Err(Finding::fail(
        format!("Python finds {} first", found.join(", ")),
        ANY_HOOK,
    )))
}

fn loads(subject: &DriverSubject<'_>) -> Outcome {
    Ok(match subject.python.get(|answers| &answers.loads)? {
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

fn requirements(subject: &DriverSubject<'_>) -> Outcome {
    let Asked::Answer(loaded) = subject.python.get(|answers| &answers.loads)? else {
        return Ok(Err(Finding::skip("the driver does not load")));
    };
    if loaded.missing.is_empty() {
        return Ok(Ok("every requirement in its metadata holds".into()));
    }
    Ok(Err(Finding::fail(
        format!("missing: {}", missing(&loaded.missing)),
        "install those packages with apt, or choose another driver-pin",
    )))
}

fn enabled(subject: &DriverSubject<'_>) -> Outcome {
    let enabled = match subject.python.get_with_driver(|answers| &answers.enabled)? {
        Err(finding) => return Ok(Err(finding)),
        Ok(Asked::Answer(enabled)) => enabled,
        Ok(Asked::Error(error)) => {
            let evidence = format!("Magnum's loader says {error}");
            return Ok(Err(Finding::fail(
                evidence,
                "repair what driver-loads and conf-effective report",
            )));
        }
    };
    let drivers = enabled.iter().map(|(name, kinds)| match kinds.is_empty() {
        true => format!("{name} for no cluster"),
        false => format!("{name} for {}", listed(kinds)),
    });
    let found = format!("Magnum enables {}", drivers.collect::<Vec<_>>().join("; "));
    let Some(ours) = enabled.get(ENTRY_POINT) else {
        return Ok(Err(Finding::fail(
            format!("{found}, not {ENTRY_POINT}"),
            "take it out of [drivers] disabled_drivers in /etc/magnum, or run any hook",
        )));
    };
    if subject.only_ours && enabled.len() > 1 {
        return Ok(Err(Finding::fail(
            format!("{found}, though disable-other-drivers is true"),
            format!(
                "take disabled_drivers out of the file that conf-effective names; else {ANY_HOOK}"
            ),
        )));
    }
    // Magnum's map holds one driver for each kind of cluster: of two that make the same, the last.
    let Asked::Answer(loaded) = subject.python.get(|answers| &answers.loads)? else {
        return Ok(Err(Finding::skip("the driver does not load")));
    };
    let taken = listed(loaded.provides.iter().filter(|kind| !ours.contains(kind)));
    if !taken.is_empty() {
        return Ok(Err(Finding::fail(
            format!("{found}: another driver makes the clusters {taken}"),
            "disable that driver: set disable-other-drivers=true, or remove its package",
        )));
    }
    Ok(Ok(found))
}

fn listed<'a>(kinds: impl IntoIterator<Item = &'a ClusterKind>) -> String {
    let kinds: Vec<String> = kinds.into_iter().map(ToString::to_string).collect();
    kinds.join(", ")
}

#[cfg(test)]
#[path = "checks_tests.rs"]
mod tests;
