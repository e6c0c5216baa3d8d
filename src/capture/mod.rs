//! Collects diagnostics from the unit into one archive, with secrets redacted: the runbook's section 4, for whoever
//! looks for a fault, or compares before and after.

mod pieces;
pub(crate) mod redact;

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;

use crate::escape;
use crate::system::{Access, System, sha256, state_path};
use redact::redact;

/// In the state directory: only root can read it.
const DIRECTORY: &str = "captures";
/// How many archives are kept; the oldest are removed.
const MOST_ARCHIVES: usize = 5;

/// What the caller knows; neither is worked out here.
#[derive(Debug)]
pub struct Inputs {
    /// Lines with this unit and the charm.
    pub versions: String,
    /// The steps and problems of a dry run.
    pub plan: Result<String>,
    /// The report of `verify`.
    pub verify: Result<String>,
}

/// Collects everything into an archive. What cannot be read is said there. Returns the results of the action, by name.
///
/// # Errors
/// If the archive cannot be written.
pub fn capture(system: &System, inputs: Inputs) -> Result<[(&'static str, String); 4]> {
    let root = &system.root;
    let directory = state_path(DIRECTORY);
    root.make_state_directory()?;
    root.make_directory(&directory, 0o700)?;
    let now = Timestamp::now();
    let pieces: Vec<(String, String)> = pieces::pieces(system, inputs)?
        .into_iter()
        .map(|(name, text)| {
            let text = text.unwrap_or_else(|error| format!("could not look: {error:#}\n"));
            (name, escape::report(&redact(&text), usize::MAX))
        })
        .collect();
    let bytes = archive(&pieces, now)?;
    let path = directory.join(format!("{}.tar.gz", now.strftime("%Y%m%dT%H%M%S%.3fZ")));
    root.write(&path, &bytes, Access::PRIVATE)?;
    // Their names sort by time.
    for old in root.names(&directory)?.iter().rev().skip(MOST_ARCHIVES) {
        root.remove(&directory.join(old))?;
    }
    let names: Vec<String> = pieces.into_iter().map(|(name, _)| name).collect();
    Ok([
        ("path", path.display().to_string()),
        ("size", bytes.len().to_string()),
        ("sha256", sha256(&bytes)),
        ("files", names.join("\n")),
    ])
}

fn archive(pieces: &[(String, String)], now: Timestamp) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for (name, text) in pieces {
        let mut header = tar::Header::new_gnu();
        header.set_size(u64::try_from(text.len())?);
        header.set_mode(0o600);
        header.set_mtime(u64::try_from(now.as_second())?);
        archive.append_data(&mut header, name, text.as_bytes()).with_context(|| format!("adding {name}"))?;
    }
    archive.into_inner().and_then(GzEncoder::finish).context("closing the archive")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read;

    use crate::system::testing::{Scratch, command_line};

    use super::*;

    fn inputs() -> Inputs {
        Inputs {
            versions: "unit magnum-capi-helm/0\n".into(),
            plan: Ok("password = hunter2\n".into()),
            verify: Err(anyhow::anyhow!("no permission")),
        }
    }

    fn captured(system: &System) -> BTreeMap<&'static str, String> {
        capture(system, inputs()).unwrap().into()
    }

    fn unpacked(scratch: &Scratch, captured: &BTreeMap<&str, String>) -> BTreeMap<String, String> {
        let bytes = std::fs::read(scratch.path(&captured["path"])).unwrap();
        assert_eq!((bytes.len().to_string(), sha256(&bytes)), (captured["size"].clone(), captured["sha256"].clone()));
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(bytes.as_slice()));
        let mut pieces = BTreeMap::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().to_string_lossy().into_owned();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            pieces.insert(name, text);
        }
        pieces
    }

    #[test]
    fn every_piece_is_there_redacted_and_one_that_fails_says_why() {
        let scratch = Scratch::new();
        scratch.put("/etc/systemd/system/magnum-capi-helm-guard.service", "");
        scratch.put("/etc/magnum/magnum.conf.d/99-capi.conf", "[capi_helm]\ntoken = hunter2\n");
        let system = scratch.system(|command| match command_line(command) {
            // It is user magnum's, who can make a tree without end of it.
            line if line.starts_with("ls ") && command.user != Some("magnum") => Some("by root".to_owned()),
            line if line.contains("--lines 1000") && line.ends_with("magnum-api.service") => None,
            line => Some(format!("{line}\n")),
        });
        let captured = captured(&system);
        let pieces = unpacked(&scratch, &captured);
        assert_eq!(captured["files"].lines().count(), pieces.len());
        for (name, words) in [
            ("plan.txt", "password = (redacted)"),
            ("verify.txt", "could not look: no permission"),
            ("drivers.txt", "could not look: Magnum is not installed yet"),
            ("units.txt", "cat --no-pager -- magnum-api.service magnum-conductor.service magnum-capi-helm-guard"),
            ("magnum.conf.d/99-capi.conf", "token = (redacted)"),
            ("journal/magnum-api.txt", "journalctl --quiet failed"),
            ("journal/magnum-capi-helm-guard.txt", "--unit magnum-capi-helm-guard.service"),
            ("record.json", "{}"),
            ("conf.d.txt", "ls -lAR --full-time /etc/magnum\n"),
        ] {
            assert!(pieces[name].contains(words), "{name}: {}", pieces[name]);
        }
    }

    #[test]
    fn the_oldest_archives_are_removed() {
        let scratch = Scratch::new();
        let system = scratch.system(|_| None);
        let first = captured(&system);
        for _ in 0..MOST_ARCHIVES {
            std::thread::sleep(std::time::Duration::from_millis(2));
            captured(&system);
        }
        let names = scratch.root.names(&state_path(DIRECTORY)).unwrap();
        assert_eq!(names.len(), MOST_ARCHIVES);
        assert!(!scratch.root.is_file(first["path"].as_ref()).unwrap());
    }
}
