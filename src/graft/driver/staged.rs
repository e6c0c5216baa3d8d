//! A driver fetched by pip into a directory of its own, beside the site directory.
//!
//! Beside it, so that it can be renamed into place, and so that user magnum can load it from there
//! before it is. pip is given the pin in a file that only root can read: an index's address may
//! hold a password, and arguments and environment can be read by others.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use crate::problem::Problem;
use crate::settings::{DriverSource, IndexUrl};
use crate::unit::kept::Ledger;
use crate::unit::python::Python;
use crate::unit::{command, files, state};

/// One fetch of one small wheel, through a slow proxy.
const PIP_LIMIT: Duration = Duration::from_secs(180);
/// How long pip waits for a byte from the index, in seconds.
const INDEX_LIMIT: &str = "15";
/// The unit's own certificate authorities, which an operator extends for an internal mirror.
const CA_BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// A staged driver; its directory goes when this is dropped.
#[derive(Debug)]
pub struct Staged {
    directory: tempfile::TempDir,
}

impl Staged {
    /// Fetches the pinned driver.
    ///
    /// # Errors
    /// A [`Problem`] that names what went wrong with the pin or the index.
    pub fn fetch(
        source: &DriverSource,
        python: &Python,
        proxy: &[(String, String)],
    ) -> Result<Self> {
        let beside = python
            .site
            .parent()
            .filter(|parent| parent.is_dir())
            .with_context(|| format!("there is no directory to hold {}", python.site.display()))?;
        let directory = tempfile::Builder::new()
            .prefix(files::TEMPORARY_PREFIX)
            .permissions(std::fs::Permissions::from_mode(0o755))
            .tempdir_in(beside)
            .with_context(|| format!("making a directory in {}", beside.display()))?;
        let requirements = state::path("requirements.txt");
        let private = files::Access {
            mode: 0o600,
            ..files::Access::PUBLIC
        };
        files::write(&requirements, requirements_of(source).as_bytes(), private)?;
        let mut pip = command::run_tied(&python.executable.to_string_lossy(), PIP_LIMIT)
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-input",
                "--no-cache-dir",
            ])
            .args([
                "--disable-pip-version-check",
                "--timeout",
                INDEX_LIMIT,
                "--retries",
                "1",
            ])
            .args(["--no-deps", "--no-compile", "--only-binary", ":all:"])
            .args([Path::new("--target"), directory.path()])
            .args([Path::new("--requirement"), &requirements])
            // Older pips know neither the flag nor the rule (PEP 668); all honour or ignore this.
            .env("PIP_BREAK_SYSTEM_PACKAGES", "1")
            .env("PIP_ROOT_USER_ACTION", "ignore");
        if Path::new(CA_BUNDLE).is_file() {
            pip = pip.env("PIP_CERT", CA_BUNDLE);
        }
        for (name, value) in proxy {
            pip = pip.env(name, value);
        }
        let ended = pip.output();
        files::remove(&requirements)?;
        let ended = ended.map_err(|error| cannot_fetch(source, &format!("{error:#}")))?;
        if ended.code != Some(0) {
            return Err(why(source, &ended.stderr).into());
        }
        Ok(Self { directory })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Swaps it in for whatever driver `site` holds. What stood there before the charm is kept.
    ///
    /// # Errors
    /// When a rename fails; what is then in place is found by the next look at RECORD.
    pub fn install(&self, site: &Path, ledger: &mut Ledger) -> Result<()> {
        let is_dist_info = |name: &String| name.ends_with(".dist-info");
        let mut staged = files::names(self.path())?;
        // The package first, dist-info last: what RECORD is compared with is never newer than it.
        staged.sort_by_key(is_dist_info);
        let old: Vec<PathBuf> = super::look(site)?
            .0
            .into_iter()
            .map(|driver| driver.dist_info)
            .filter(|path| !staged.iter().any(|name| path.ends_with(name)))
            .collect();
        for path in staged
            .iter()
            .map(|name| site.join(name))
            .chain(old.iter().cloned())
        {
            ledger.keep(&path)?;
        }
        for name in &staged {
            swap(&self.path().join(name), &site.join(name))?;
        }
        for path in &old {
            files::remove(path)?;
        }
        files::sync_directory(site)
    }
}

/// Puts `new` where `old` is, in one step; what was there comes to lie where `new` was.
fn swap(new: &Path, old: &Path) -> Result<()> {
    let flags = if std::fs::symlink_metadata(old).is_ok() {
        RenameFlags::RENAME_EXCHANGE
    } else {
        RenameFlags::RENAME_NOREPLACE
    };
    renameat2(AT_FDCWD, new, AT_FDCWD, old, flags)
        .with_context(|| format!("putting {} in place", old.display()))
}

/// pip's [requirements file](https://pip.pypa.io/en/stable/reference/requirements-file-format/).
fn requirements_of(source: &DriverSource) -> String {
    let index = source.index_url.as_ref().map(IndexUrl::expose);
    let index = index
        .map(|url| format!("--index-url {url}\n"))
        .unwrap_or_default();
    let hash = source.sha256.as_ref();
    let hash = hash
        .map(|sha| format!(" --hash=sha256:{sha}"))
        .unwrap_or_default();
    format!("{index}{}{hash}\n", source.pin)
}

/// What pip's failure means for the operator. The texts are pip's, of 22.0 to 25.
fn why(source: &DriverSource, stderr: &str) -> Problem {
    let pin = &source.pin;
    if stderr.contains("No module named pip") {
        return Problem::blocked(
            "pip is not installed on this unit; install it with: apt-get install python3-pip",
        );
    }
    if stderr.contains("DO NOT MATCH THE HASHES") {
        return Problem::blocked(format!(
            "driver-sha256: the wheel of {pin} has another sha256; check the index, or set \
             driver-sha256 to what `sha256sum` prints for a wheel you trust"
        ));
    }
    if stderr.contains("Requires-Python") || stderr.contains("requires a different Python") {
        return Problem::blocked(format!(
            "driver-pin {pin} does not support this unit's Python; choose another version"
        ));
    }
    if stderr.contains("No matching distribution found") && !stderr.contains("WARNING: Retrying") {
        return Problem::blocked(format!(
            "driver-pin {pin} is not in the package index; choose a version that is, or set \
             index-url to an index that has it"
        ));
    }
    let said = stderr.lines().rev().find(|line| line.starts_with("ERROR:"));
    cannot_fetch(source, said.unwrap_or("pip gave no reason"))
}

fn cannot_fetch(source: &DriverSource, reason: &str) -> Problem {
    Problem::waiting(format!(
        "cannot fetch {}: {}",
        source.pin,
        without_credentials(reason)
    ))
}

/// Replaces what stands between `://` and `@` in every address.
fn without_credentials(text: &str) -> String {
    let mut parts = text.split("://");
    let mut clean = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        clean.push_str("://");
        let end = part
            .find(|c: char| c == '/' || c.is_whitespace())
            .unwrap_or(part.len());
        match part[..end].rfind('@') {
            Some(at) => {
                clean.push_str("****");
                clean.push_str(&part[at..]);
            }
            None => clean.push_str(part),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_in_an_address_are_not_repeated() {
        let said = "ERROR: https://user:hunter2@host/simple/ and http://token@h:8080 and https://plain/x@y";
        assert_eq!(
            without_credentials(said),
            "ERROR: https://****@host/simple/ and http://****@h:8080 and https://plain/x@y"
        );
    }

    #[test]
    fn pips_failures_are_told_apart() {
        let source = DriverSource {
            pin: "magnum-capi-helm==9.9.9".parse().unwrap(),
            sha256: None,
            index_url: None,
        };
        for (stderr, expected) in [
            (
                include_str!("../../../tests/fixtures/pip-no-such-version.txt"),
                "is not in the package index",
            ),
            (
                include_str!("../../../tests/fixtures/pip-hash-mismatch.txt"),
                "has another sha256",
            ),
            (
                include_str!("../../../tests/fixtures/pip-unreachable.txt"),
                "cannot fetch",
            ),
            (
                "/usr/bin/python3: No module named pip",
                "apt-get install python3-pip",
            ),
        ] {
            let message = why(&source, stderr).to_string();
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn a_swap_leaves_the_old_one_where_the_new_one_was() {
        let dir = tempfile::tempdir().unwrap();
        let (new, old) = (dir.path().join("new"), dir.path().join("old"));
        std::fs::create_dir(&new).unwrap();
        std::fs::write(new.join("it"), "new").unwrap();
        swap(&new, &old).unwrap();
        std::fs::create_dir(&new).unwrap();
        std::fs::write(new.join("it"), "newer").unwrap();
        swap(&new, &old).unwrap();
        assert_eq!(std::fs::read_to_string(old.join("it")).unwrap(), "newer");
        assert_eq!(std::fs::read_to_string(new.join("it")).unwrap(), "new");
    }
}
