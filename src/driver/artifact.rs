//! The pinned driver, at hand and known to work here: already installed, or staged and tried.
//!
//! This comes before any plan: a driver that cannot be fetched, or that does not load next to this unit's Magnum, is
//! refused while the old one is still in place and running.

use anyhow::Result;

use super::{DriverFacts, InstalledDrivers, StagedDriver, not_the_wheel};
use crate::juju::settings::DriverSource;
use crate::magnum::Installation;
use crate::system::System;

/// Makes sure that the pinned driver can be installed: nothing to do if it is installed and known, one question to
/// Python if it is installed but unknown, else one download and one question. `cached` is what it said when it was last
/// loaded here. Returns what it says of itself, and it staged if it is not installed.
///
/// # Errors
/// A [`Problem`](crate::problem::Problem) if the driver cannot be fetched or does not work here.
pub fn obtain(
    system: &System,
    source: &DriverSource,
    installation: &Installation,
    installed: &InstalledDrivers,
    cached: Option<DriverFacts>,
    proxy: &[(String, String)],
) -> Result<(DriverFacts, Option<StagedDriver>)> {
    let root = &system.root;
    let of_wheel = cached.as_ref().and_then(|facts| facts.wheel_sha256.as_ref());
    let of_wheel = of_wheel.filter(|known| source.sha256.as_ref().is_none_or(|wanted| wanted == *known));
    if let Some(driver) = installed.intact(&source.pin) {
        if let Some(facts) = cached.as_ref().filter(|facts| facts.is_of(driver, source, installation)) {
            return Ok((facts.clone(), None));
        }
        // Installed by hand, or known but next to another Python: adopted as it is, unless it must be checked
        // against another checksum or is not the build that the charm installed.
        let is_checked = source.sha256.is_none() || of_wheel.is_some();
        let is_same = cached.as_ref().is_none_or(|facts| facts.record_sha256 == driver.record_sha256);
        if is_checked && is_same {
            let facts = DriverFacts::ask(system, installation, "", driver, source, of_wheel)?;
            facts.remember(root, installed)?;
            return Ok((facts, None));
        }
    }
    let staged = StagedDriver::obtain(system, source, of_wheel, &installation.python, proxy)?;
    let unpacked = InstalledDrivers::inspect(root, staged.path())?;
    let driver = unpacked.intact(&source.pin).ok_or_else(|| {
        let how = unpacked.differs(&source.pin, None).unwrap_or_default();
        not_the_wheel(source, &how.replace("is installed", "is in it"))
    })?;
    let facts = match cached.filter(|facts| facts.is_of(driver, source, installation)) {
        Some(facts) => facts,
        None => {
            let directory = staged.path().to_string_lossy();
            let facts = DriverFacts::ask(system, installation, &directory, driver, source, Some(&staged.sha256))?;
            facts.remember(root, installed)?;
            facts
        }
    };
    // The installed one may turn out to be the very build that was fetched.
    let differs = installed.differs(&source.pin, Some(&facts.record_sha256));
    Ok((facts, differs.map(|_| staged)))
}

#[cfg(test)]
#[path = "artifact_tests.rs"]
mod tests;
