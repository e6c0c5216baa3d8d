//! The driver's wheel, as a file: its checksum, and its content unpacked.
//!
//! A [wheel](https://packaging.python.org/en/latest/specifications/binary-distribution-format/) is
//! a zip whose members are what lies in the site directory, RECORD included. The driver's has
//! nothing else (no scripts, no data files), so unpacking it is installing it; one that had is
//! refused.

use std::io::Cursor;
use std::path::Path;

use anyhow::{Context, Result};

use crate::problem::Problem;
use crate::settings::{DriverSource, Sha256};
use crate::unit::files;

/// Unpacks `wheel` into `directory`, when it is the one that `source` pins, and gives
/// its sha256.
///
/// # Errors
/// A [`Problem`] when it is another wheel or none at all.
pub fn unpack(wheel: &[u8], source: &DriverSource, directory: &Path) -> Result<Sha256> {
    let sha256: Sha256 = files::sha256(wheel).parse()?;
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
    let mut archive = zip::ZipArchive::new(Cursor::new(wheel))
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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn wheel(members: &[&str]) -> tempfile::NamedTempFile {
        let mut archive = zip::ZipWriter::new(tempfile::NamedTempFile::new().unwrap());
        for name in members {
            archive
                .start_file(*name, zip::write::SimpleFileOptions::default())
                .unwrap();
            archive.write_all(name.as_bytes()).unwrap();
        }
        archive.finish().unwrap()
    }

    fn unpacked(wheel: &Path, sha256: Option<Sha256>) -> Result<(Sha256, Vec<String>)> {
        let source = DriverSource {
            pin: "magnum-capi-helm==1.1.0".parse()?,
            sha256,
            index: None,
            wheel: Some(wheel.to_owned()),
        };
        let directory = tempfile::tempdir()?;
        let sha256 = unpack(&files::read(wheel)?, &source, directory.path())?;
        Ok((sha256, files::names(directory.path())?))
    }

    #[test]
    fn a_wheel_is_unpacked_when_its_checksum_is_the_one_that_is_set() {
        let wheel = wheel(&["magnum_capi_helm/driver.py", "x.dist-info/RECORD"]);
        let (sha256, names) = unpacked(wheel.path(), None).unwrap();
        assert_eq!(names, ["magnum_capi_helm", "x.dist-info"]);
        assert!(unpacked(wheel.path(), Some(sha256)).is_ok());
        let other = Some("ab".repeat(32).parse().unwrap());
        let message = unpacked(wheel.path(), other).unwrap_err().to_string();
        assert!(
            message.starts_with("driver-sha256: the wheel has sha256"),
            "{message}"
        );
    }

    #[test]
    fn what_is_no_wheel_or_would_write_elsewhere_is_refused() {
        let scripts = wheel(&["x.data/scripts/sudo"]);
        let message = unpacked(scripts.path(), None).unwrap_err().to_string();
        assert!(
            message.contains("it holds x.data/scripts/sudo"),
            "{message}"
        );
        let mut text = tempfile::NamedTempFile::new().unwrap();
        text.write_all(b"no zip").unwrap();
        let message = unpacked(text.path(), None).unwrap_err().to_string();
        assert!(
            message.starts_with("the resource driver-wheel is no wheel of"),
            "{message}"
        );
        let escaping = wheel(&["../../escaped"]);
        let outside = escaping
            .path()
            .parent()
            .unwrap()
            .parent()
            .unwrap()
            .join("escaped");
        assert!(unpacked(escaping.path(), None).is_err() || !outside.exists());
    }
}
