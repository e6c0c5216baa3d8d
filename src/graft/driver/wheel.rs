//! The driver's wheel, as a file: its checksum, and its content unpacked.
//!
//! A [wheel](https://packaging.python.org/en/latest/specifications/binary-distribution-format/) is
//! a zip whose members are what lies in the site directory, RECORD included. The driver's has
//! nothing else (no scripts, no data files), so unpacking it is installing it; one that had is
//! refused.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result};

use crate::problem::Problem;
use crate::settings::{DriverSource, Sha256};
use crate::unit::files;

/// Unpacks the wheel at `path` into `directory`, when it is the one that `source` pins, and gives
/// its sha256.
///
/// # Errors
/// A [`Problem`] when it is another wheel or none at all.
pub fn unpack(path: &Path, source: &DriverSource, directory: &Path) -> Result<Sha256> {
    let bytes = files::read(path)?;
    let sha256: Sha256 = files::sha256(&bytes).parse()?;
    if source
        .sha256
        .as_ref()
        .is_some_and(|wanted| *wanted != sha256)
    {
        return Err(Problem::blocked(format!(
            "driver-sha256: the wheel has sha256 {sha256}, not the one that is set; give the \
             right wheel, or set driver-sha256={sha256} if you trust this one"
        ))
        .into());
    }
    let mut archive = File::open(path)
        .map_err(zip::result::ZipError::Io)
        .and_then(zip::ZipArchive::new)
        .map_err(|error| no_wheel(source, &error.to_string()))?;
    if let Some(name) = archive.file_names().find(|name| name.contains(".data/")) {
        let what = format!("it holds {name}, which does not belong in a site directory");
        return Err(no_wheel(source, &what).into());
    }
    archive
        .extract(directory)
        .with_context(|| format!("unpacking the wheel of {}", source.pin))?;
    Ok(sha256)
}

/// What is given or served is not the pinned wheel.
pub fn no_wheel(source: &DriverSource, what: &str) -> Problem {
    let origin = match source.wheel {
        Some(_) => "the resource driver-wheel",
        None => "what the package index served",
    };
    Problem::blocked(format!(
        "{origin} is no wheel of {}: {what}; give one that is",
        source.pin
    ))
}
