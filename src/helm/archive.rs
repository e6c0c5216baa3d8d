//! helm as it is published: the executable itself, or the official tarball with the executable in it.

use std::io::{self, Read, Write};
use std::path::Path;

use anyhow::{Context, Result};
use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};

use super::OLDEST;
use crate::problem::Problem;
use crate::system::{Limited, Root};

/// The most bytes that are read of a file, a download and an unpacked archive; helm 3.17 has 57 MB, its tarball 17 MB.
pub const SIZE_LIMIT: u64 = 90 << 20;
/// The most bytes of a tarball: deflated bytes can take long to unpack to nothing.
const PACKED_LIMIT: u64 = 32 << 20;
/// The official tarball has three.
const MOST_MEMBERS: usize = 1000;
const ELF: [u8; 4] = *b"\x7fELF";
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// What the operator provides helm by.
pub const RESOURCE: &str = "resource helm";
pub const URL: &str = "option helm-url";

/// The problem that what `origin` gives is not helm.
pub fn refused(origin: &str, wrong: impl std::fmt::Display) -> Problem {
    let detail = format!(
        "{origin} {wrong}; provide helm {OLDEST} or later for this machine: the executable, or its official .tar.gz"
    );
    Problem::blocked(format!("Invalid {origin}"), detail)
}

/// Copies the executable within `given` to `to`, and returns its sha256. At most `limit` bytes are read and unpacked.
///
/// # Errors
/// A [`Problem`] if there is none in it.
pub fn extract(given: impl Read, limit: u64, origin: &str, to: &mut impl Write) -> Result<String> {
    let mut given = Limited::new(given, limit);
    let mut magic = [0; 4];
    given.read_exact(&mut magic).map_err(|error| refused(origin, format!("is cut off ({error})")))?;
    let whole = magic.chain(given);
    let failed = |error| refused(origin, format!("is cut off or damaged ({error})"));
    if magic == ELF {
        return copy(whole, to, failed);
    }
    if !magic.starts_with(&GZIP) {
        return Err(refused(origin, "is neither an executable nor a .tar.gz").into());
    }
    let damaged = |error| refused(origin, format!("is a damaged .tar.gz ({error})"));
    let mut archive = tar::Archive::new(Limited::new(GzDecoder::new(Limited::new(whole, PACKED_LIMIT)), limit));
    // Raw: the long names of GNU and PAX, which have no size limit, are skipped and not collected.
    for (index, entry) in archive.entries().map_err(damaged)?.raw(true).enumerate() {
        let entry = entry.map_err(damaged)?;
        if index == MOST_MEMBERS {
            return Err(refused(origin, format!("contains more than {MOST_MEMBERS} members")).into());
        }
        let is_helm = entry.path().is_ok_and(|path| path.ends_with("helm"));
        if is_helm && entry.header().entry_type().is_file() {
            return copy(entry, to, failed);
        }
    }
    Err(refused(origin, "contains no file named helm").into())
}

/// Copies to the end, and returns the sha256; `failed` is given the reader's error.
pub fn copy<E: Into<anyhow::Error>>(
    mut from: impl Read,
    to: &mut impl Write,
    failed: impl Fn(io::Error) -> E,
) -> Result<String> {
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = from.read(&mut buffer).map_err(|error| failed(error).into())?;
        if count == 0 {
            return Ok(hex::encode(digest.finalize()));
        }
        digest.update(&buffer[..count]);
        to.write_all(&buffer[..count]).context("writing helm")?;
    }
}

/// Returns the sha256 of a file, read up to the size limit; `None` if there is no such file.
pub fn sha256_of(root: &Root, path: &Path) -> Result<Option<String>> {
    if !root.is_file(path)? {
        return Ok(None);
    }
    let file = Limited::new(root.open_file(path)?, SIZE_LIMIT);
    let failed = |error| anyhow::Error::new(error).context(format!("reading {}", path.display()));
    copy(file, &mut io::sink(), failed).map(Some)
}

#[cfg(test)]
mod tests {
    use tar::EntryType;

    use super::*;

    const HELM: &[u8] = b"\x7fELFhelm";
    const LIMIT: u64 = 1 << 20;

    /// Packs an archive of files with their types and names.
    fn tarball(members: &[(EntryType, &str, &[u8])]) -> Vec<u8> {
        let encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut archive = tar::Builder::new(encoder);
        for (kind, name, content) in members {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_size(content.len() as u64);
            header.set_mode(0o755);
            header.set_cksum();
            archive.append_data(&mut header, name, *content).unwrap();
        }
        archive.into_inner().unwrap().finish().unwrap()
    }

    fn extracted(given: impl Read) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        extract(given, LIMIT, RESOURCE, &mut out).map(|_| out)
    }

    #[track_caller]
    fn assert_refused(given: impl Read, expected: &str) {
        let problem: Problem = extracted(given).unwrap_err().downcast().unwrap();
        assert_eq!(problem.summary, "Invalid resource helm");
        assert!(problem.detail.starts_with("resource helm "), "{problem}");
        assert!(problem.detail.contains(expected), "{problem}");
    }

    #[test]
    fn the_executable_and_the_official_tarball_give_the_same() {
        let tarball = tarball(&[
            (EntryType::Regular, "linux-amd64/README.md", b"notes"),
            (EntryType::Symlink, "other/helm", b""),
            (EntryType::Regular, "linux-amd64/helm", HELM),
        ]);
        assert_eq!(extracted(HELM).unwrap(), HELM);
        assert_eq!(extracted(tarball.as_slice()).unwrap(), HELM);
    }

    #[test]
    fn anything_else_is_refused_by_name() {
        let long = "long/".repeat(60) + "helm";
        let whole = tarball(&[(EntryType::Regular, "linux-amd64/helm", HELM)]);
        assert_refused(&b"ab"[..], "is cut off");
        assert_refused(&b"#!/bin/sh\n"[..], "is neither an executable");
        assert_refused(&whole[..whole.len() / 2], "damaged");
        for name in ["linux-amd64/README.md", &long] {
            let other = tarball(&[(EntryType::Regular, name, b"")]);
            assert_refused(other.as_slice(), "contains no file named helm");
        }
    }

    #[test]
    fn members_and_bytes_are_counted_and_not_believed() {
        let mut members = vec![(EntryType::Regular, "x", &b""[..]); MOST_MEMBERS];
        members.push((EntryType::Regular, "helm", HELM));
        assert_refused(tarball(&members).as_slice(), "contains more than 1000 members");
        assert_eq!(extracted(tarball(&members[1..]).as_slice()).unwrap(), HELM);
        let endless = HELM.chain(std::io::repeat(0));
        assert_refused(endless, "more than 1048576 bytes");
        // 2 MiB of zeros as a long name, in some 2 kB.
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(EntryType::GNULongName);
        header.set_size(2 << 20);
        header.set_cksum();
        packed.write_all(header.as_bytes()).unwrap();
        std::io::copy(&mut std::io::repeat(0).take(2 << 20), &mut packed).unwrap();
        assert_refused(packed.finish().unwrap().as_slice(), "more than 1048576 bytes");
    }
}
