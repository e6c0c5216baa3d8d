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

/// A part of the graft as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// `driver`, `helm` or `chart`.
    pub name: &'static str,
    /// Its version.
    pub version: String,
    /// The sha256 of what it was installed from, when that is known.
    pub sha256: Option<String>,
    /// Where it came from, without credentials.
    pub source: String,
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

/// Brings the record up to date: what is newly there, by version or checksum, is entered with the
/// present time. So a hook that was killed before it could record is made up for by the next.
///
/// # Errors
/// When it cannot be written.
pub fn record(parts: Vec<Part>, charm: &str) -> Result<()> {
    let mut record = read()?;
    for part in parts {
        let known = record.get(part.name);
        if known.is_some_and(|entry| entry.version == part.version && entry.sha256 == part.sha256) {
            continue;
        }
        let entry = Entry {
            part: part.name.to_owned(),
            version: part.version,
            sha256: part.sha256,
            source: part.source,
            installed_at: format!("{:.0}", Timestamp::now()),
            charm: charm.to_owned(),
        };
        append(&entry)?;
        record.insert(part.name.to_owned(), entry);
        state::save(RECORD, &record)?;
    }
    Ok(())
}

fn append(entry: &Entry) -> Result<()> {
    let line = serde_json::to_string(entry).context("encoding the record")?;
    let path = state::path(HISTORY);
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| writeln!(file, "{line}").and_then(|()| file.sync_all()))
        .with_context(|| format!("adding to {}", path.display()))
}
