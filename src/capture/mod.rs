//! One archive of what there is to see on the unit: the runbook's section 4, for whoever looks for
//! a fault, or wants to compare before and after. Secrets are blanked.

mod blank;
mod look;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;

use crate::juju::Context;
use crate::unit::{files, state};

/// Below the state directory: only root reads it.
const DIRECTORY: &str = "captures";
/// So many archives are kept; the oldest go.
const KEPT: usize = 5;

/// An archive.
#[derive(Debug)]
pub struct Archive {
    /// Where it lies.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: usize,
    /// Its sha256.
    pub sha256: String,
    /// The names of what is in it.
    pub names: Vec<String>,
}

/// Looks at everything and puts it into an archive. What cannot be looked at is told there.
///
/// # Errors
/// When the archive cannot be written.
pub fn capture(context: &Context) -> Result<Archive> {
    let now = Timestamp::now();
    let pieces = look::everything(context);
    let bytes = archived(&pieces, now)?;
    let directory = state::path(DIRECTORY);
    files::make_directory(Path::new(state::DIRECTORY), 0o700)?;
    files::make_directory(&directory, 0o700)?;
    let path = directory.join(format!("{}.tar.gz", now.strftime("%Y%m%dT%H%M%S%.3fZ")));
    files::write(&path, &bytes, files::Access::PRIVATE)?;
    // Their names sort by time.
    let archives = files::names(&directory)?;
    for old in archives.iter().rev().skip(KEPT) {
        files::remove(&directory.join(old))?;
    }
    Ok(Archive {
        size: bytes.len(),
        sha256: files::sha256(&bytes),
        names: pieces.into_iter().map(|(name, _)| name).collect(),
        path,
    })
}

fn archived(pieces: &[(String, String)], now: Timestamp) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for (name, text) in pieces {
        let mut header = tar::Header::new_gnu();
        header.set_size(u64::try_from(text.len())?);
        header.set_mode(0o600);
        header.set_mtime(u64::try_from(now.as_second())?);
        archive
            .append_data(&mut header, name, text.as_bytes())
            .with_context(|| format!("adding {name}"))?;
    }
    archive
        .into_inner()
        .and_then(GzEncoder::finish)
        .context("closing the archive")
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn an_archive_holds_each_piece_under_its_name() {
        let pieces = [("a/b.txt".to_owned(), "text\n".to_owned())];
        let bytes = archived(&pieces, Timestamp::UNIX_EPOCH).unwrap();
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(bytes.as_slice()));
        let mut entry = archive.entries().unwrap().next().unwrap().unwrap();
        assert_eq!(entry.path().unwrap().to_string_lossy(), "a/b.txt");
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        assert_eq!(text, "text\n");
    }
}
