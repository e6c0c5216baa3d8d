//! helm as it is given: the executable itself, or the official tarball with the executable in it.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::Path;

use anyhow::{Context, Result};
use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};

use crate::problem::Problem;

/// The most a helm executable may have; 3.17 has 57 MB.
const SIZE_LIMIT: u64 = 300 << 20;
const ELF: [u8; 4] = *b"\x7fELF";
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Copies the executable within `given` to `to`, and gives its sha256.
///
/// # Errors
/// A [`Problem`] when there is none in it; `origin` names it for the operator.
pub fn extract(given: &Path, origin: &str, to: &mut impl Write) -> Result<String> {
    let none = |what: &str| {
        Problem::blocked(format!(
            "{origin} {what}; give the helm executable for this machine, or its official .tar.gz"
        ))
    };
    let mut file = File::open(given).with_context(|| format!("opening {}", given.display()))?;
    let mut magic = [0; 4];
    file.read_exact(&mut magic)
        .map_err(|_| none("is cut off"))?;
    file.rewind().context("reading it again")?;
    if magic == ELF {
        return copy(&mut file, to, none);
    }
    if !magic.starts_with(&GZIP) {
        return Err(none("is neither an executable nor a .tar.gz").into());
    }
    let mut archive = tar::Archive::new(GzDecoder::new(file));
    let damaged = |error: std::io::Error| none(&format!("is a damaged .tar.gz ({error})"));
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let is_helm = entry.path().is_ok_and(|path| path.ends_with("helm"));
        if is_helm && entry.header().entry_type().is_file() {
            return copy(&mut entry, to, none);
        }
    }
    Err(none("holds no file named helm").into())
}

fn copy(
    from: &mut impl Read,
    to: &mut impl Write,
    none: impl Fn(&str) -> Problem,
) -> Result<String> {
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut total = 0;
    loop {
        let count = from
            .read(&mut buffer)
            .map_err(|error| none(&format!("is cut off or damaged ({error})")))?;
        if count == 0 {
            return Ok(hex::encode(digest.finalize()));
        }
        total += count as u64;
        if total > SIZE_LIMIT {
            return Err(none(&format!("is larger than {SIZE_LIMIT} bytes")).into());
        }
        digest.update(&buffer[..count]);
        to.write_all(&buffer[..count]).context("writing helm")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tarball(member: &str) -> Vec<u8> {
        let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(
            Vec::new(),
            flate2::Compression::fast(),
        ));
        let mut header = tar::Header::new_gnu();
        header.set_size(8);
        header.set_mode(0o755);
        header.set_cksum();
        archive
            .append_data(&mut header, member, &b"\x7fELFhelm"[..])
            .unwrap();
        archive.into_inner().unwrap().finish().unwrap()
    }

    fn extracted(given: &[u8]) -> Result<Vec<u8>> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(given).unwrap();
        let mut out = Vec::new();
        extract(file.path(), "resource helm", &mut out).map(|_| out)
    }

    #[test]
    fn the_executable_and_the_official_tarball_give_the_same() {
        assert_eq!(extracted(b"\x7fELFhelm").unwrap(), b"\x7fELFhelm");
        assert_eq!(
            extracted(&tarball("linux-amd64/helm")).unwrap(),
            b"\x7fELFhelm"
        );
    }

    #[test]
    fn anything_else_is_refused_by_name() {
        let whole = tarball("linux-amd64/helm");
        for (given, expected) in [
            (&b"ab"[..], "is cut off"),
            (b"#!/bin/sh\n", "is neither an executable"),
            (
                &tarball("linux-amd64/README.md"),
                "holds no file named helm",
            ),
            (&whole[..whole.len() / 2], "damaged"),
        ] {
            let problem: Problem = extracted(given).unwrap_err().downcast().unwrap();
            let message = problem.to_string();
            assert!(message.starts_with("resource helm "), "{message}");
            assert!(message.contains(expected), "{message}");
        }
    }
}
