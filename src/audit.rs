//! The record for auditors: what was installed, from where, when, by which charm.
//!
//! `record.json` has the present state; `history.jsonl` is only ever added to. Neither holds
//! credentials. Both go with the charm.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::unit::state;

const RECORD: &str = "record.json";
const HISTORY: &str = "history.jsonl";

/// One thing that was installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// `driver`, `helm` or `chart`.
    pub part: String,
    /// Its version.
    pub version: String,
    /// The sha256 of what it was installed from, when that is known.
    pub sha256: Option<String>,
    /// Where it came from, without credentials.
    pub source: String,
    /// When, in UTC, RFC 3339.
    pub installed_at: String,
    /// The charm's version, and its revision as Juju names it.
    pub charm: String,
}

/// The present state, by part.
pub type Record = BTreeMap<String, Entry>;

/// Reads the present state.
///
/// # Errors
/// When it cannot be read.
pub fn read() -> Result<Record> {
    Ok(state::load(RECORD)?.unwrap_or_default())
}

/// Records that something was installed.
///
/// # Errors
/// When it cannot be written.
pub fn installed(
    part: &str,
    version: &str,
    sha256: Option<String>,
    source: &str,
    charm: &str,
) -> Result<()> {
    let entry = Entry {
        part: part.to_owned(),
        version: version.to_owned(),
        sha256,
        source: source.to_owned(),
        installed_at: format!("{:.0}", Timestamp::now()),
        charm: charm.to_owned(),
    };
    let line = serde_json::to_string(&entry).context("encoding the record")?;
    let mut record = read()?;
    record.insert(part.to_owned(), entry);
    state::save(RECORD, &record)?;
    let path = state::path(HISTORY);
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| writeln!(file, "{line}").and_then(|()| file.sync_all()))
        .with_context(|| format!("adding to {}", path.display()))
}
