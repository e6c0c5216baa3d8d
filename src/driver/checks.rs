//! Checks of the driver, and of what Magnum makes of it.

use std::collections::BTreeSet;
use std::path::Path;

use super::facts::missing;
use super::{DesiredDriver, ObservedDriver, PACKAGE};
use crate::check::{ANY_HOOK, Check, Finding, Outcome, nothing_wrong};
use crate::magnum::{ENTRY_POINT, Loaded, PythonAnswers};

/// What the checks look at.
pub struct DriverSubject<'a> {
    /// `None` while there are no settings to go by.
    pub desired: Option<&'a DesiredDriver>,
    pub observed: &'a ObservedDriver,
    pub python: &'a PythonAnswers,
    /// Whether the other drivers are to be disabled.
    pub only_ours: bool,
}

impl DriverSubject<'_> {
    pub const CHECKS: [Check<Self>; 6] = [
        Check::new("driver-version", "Is exactly the pinned driver installed?", version),
        Check::new("driver-record", "Is every file of the driver as its RECORD says?", record),
        Check::new("driver-shadowed", "Is it the first copy of the driver that Python finds?", shadowed),
        Check::new("driver-loads", "Does the driver's entry point load as user magnum?", loads),
        Check::new("driver-requirements", "Does this Python have what the driver requires?", requirements),
        Check::new("driver-enabled", "Does Magnum's own driver map give clusters to the drivers it should?", enabled),
    ];
}

fn joined(items: impl IntoIterator<Item = impl ToString>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    items.join(", ")
}

fn version(subject: &DriverSubject<'_>) -> Outcome {
    let unknown = || Finding::skip("the pin is not known while the settings are not valid");
    let pin = &subject.desired.ok_or_else(unknown)?.pin;
    let installed = &subject.observed.installed;
    match installed.0.as_slice() {
        [driver] if driver.is_of(pin) => Ok(format!("{pin} in {}", driver.dist_info.display())),
        _ => {
            let found = installed.differs(pin, None).unwrap_or_default();
            Err(Finding::fail(format!("{pin} is pinned: {found}"), ANY_HOOK))
        }
    }
}

fn record(subject: &DriverSubject<'_>) -> Outcome {
    // The others, and a driver of another version, are the finding of `driver-version`.
    let [driver] = subject.observed.installed.0.as_slice() else {
        return Err(Finding::skip("not exactly one driver is installed"));
    };
    if !driver.damage.is_empty() {
        return Err(Finding::fail(joined(&driver.damage), ANY_HOOK));
    }
    let is_other_build = subject.desired.is_some_and(|desired| {
        let pinned = subject.observed.installed.intact(&desired.pin);
        pinned.is_some_and(|driver| driver.record_sha256 != desired.record_sha256)
    });
    match is_other_build {
        true => Err(Finding::fail("RECORD itself is not the one that was installed", ANY_HOOK)),
        false => Ok("every file has the sha256 in RECORD and is readable for user magnum".to_owned()),
    }
}

fn shadowed(subject: &DriverSubject<'_>) -> Outcome {
    let shadows = subject.observed.shadows.iter().map(|path| format!("Python finds {} first", path.display()));
    nothing_wrong(shadows, "no other copy comes before it on user magnum's path", ANY_HOOK)
}

fn loads(subject: &DriverSubject<'_>) -> Outcome {
    let remedy = "run any hook to install the driver anew; if this stays, choose another driver-pin";
    let loads = subject.python.get(|answers| &answers.loads)?;
    let Loaded { class, version, file, .. } = loads.or(|error| Finding::fail(error, remedy))?;
    let ours = subject.desired.map(|desired| desired.site.join(PACKAGE));
    // Where one of these is loaded from, `driver-shadowed` says.
    if let Some(ours) = ours.filter(|ours| subject.observed.shadows.is_empty() && !Path::new(file).starts_with(ours)) {
        let evidence = format!("{file} is loaded, and not {}, which was compared with RECORD", ours.display());
        let remedy = "remove what puts it first (a .pth file with code in a directory of python3 -m site, PYTHONPATH in \
                      the services' environment), then: systemctl restart magnum-api magnum-conductor";
        return Err(Finding::fail(evidence, remedy));
    }
    Ok(format!("{ENTRY_POINT} is {class} of {version}, from {file}"))
}

fn requirements(subject: &DriverSubject<'_>) -> Outcome {
    let loaded = subject.python.loaded()?;
    if loaded.missing.is_empty() {
        return Ok("every requirement in its metadata holds".to_owned());
    }
    let remedy = "install those packages with apt, or choose another driver-pin";
    Err(Finding::fail(format!("missing: {}", missing(&loaded.missing)), remedy))
}

fn enabled(subject: &DriverSubject<'_>) -> Outcome {
    let remedy = "repair what driver-loads and conf-effective report";
    let enabled = subject.python.get_with_driver(|answers| &answers.enabled)?;
    let enabled = enabled.or(|error| Finding::fail(format!("Magnum's loader says {error}"), remedy))?;
    let drivers = enabled.iter().map(|(name, kinds)| match kinds.is_empty() {
        true => format!("{name} for no cluster"),
        false => format!("{name} for {}", joined(kinds)),
    });
    let found = format!("Magnum enables {}", drivers.collect::<Vec<_>>().join("; "));
    let Some(ours) = enabled.get(ENTRY_POINT) else {
        let remedy = "take it out of [drivers] disabled_drivers in /etc/magnum, or run any hook";
        return Err(Finding::fail(format!("{found}, not {ENTRY_POINT}"), remedy));
    };
    if subject.only_ours && enabled.len() > 1 {
        let remedy = "take disabled_drivers out of the file that conf-effective names; else";
        let evidence = format!("{found}, though disable-other-drivers is true");
        return Err(Finding::fail(evidence, format!("{remedy} {ANY_HOOK}")));
    }
    // Magnum's map holds one driver for each kind of cluster: of two that make the same, the last.
    let (provides, ours) = (subject.python.loaded()?.provides.iter(), BTreeSet::from_iter(ours));
    let taken = joined(provides.filter(|kind| !ours.contains(kind)));
    if taken.is_empty() {
        return Ok(found);
    }
    let remedy = "disable that driver: set disable-other-drivers=true, or remove its package";
    Err(Finding::fail(format!("{found}: another driver makes the clusters {taken}"), remedy))
}

#[cfg(test)]
#[path = "checks_tests.rs"]
mod tests;
