//! The record for auditors: what was installed, from where, when, by which charm.
//!
//! `record.json` has the present state; lines are only ever added to `history.jsonl`. Neither contains credentials.
//! Both are removed with the charm.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::problem::Problem;
use crate::system::{Root, STATE_DIRECTORY};

const RECORD: &str = "record.json";
const HISTORY: &str = "history.jsonl";

/// An artifact as it is installed now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstalledArtifact {
    /// `driver`, `helm` or `chart`.
    pub part: String,
    pub version: String,
    /// The sha256 of what it was installed from, if known.
    pub sha256: Option<String>,
    /// Where it came from, without credentials.
    pub source: String,
}

/// An artifact with the time and the charm that installed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installed {
    #[serde(flatten)]
    pub artifact: InstalledArtifact,
    /// In UTC, RFC 3339.
    pub installed_at: String,
    /// The charm's version, and its revision as Juju names it.
    pub charm: String,
}

/// The present state, by part.
pub type Record = BTreeMap<String, Installed>;

/// Reads the present state.
pub fn read(root: &Root) -> Record {
    root.remembered(RECORD)
}

/// Brings the record up to date: what is new, by version or checksum, is entered with the present time. So the next
/// hook enters what a killed hook could not. Returns the problem of a record that cannot be written.
pub fn record(root: &Root, artifacts: Vec<InstalledArtifact>, charm: &str) -> Option<Problem> {
    let error = enter(root, artifacts, charm).err()?;
    let detail = format!("{error:#}; make room in {STATE_DIRECTORY}, or move {HISTORY} elsewhere, then run any hook");
    Some(Problem::notice("What is installed cannot be recorded", detail))
}

fn enter(root: &Root, artifacts: Vec<InstalledArtifact>, charm: &str) -> Result<()> {
    let mut record = read(root);
    for artifact in artifacts {
        let known = record.get(&artifact.part).map(|known| &known.artifact);
        if known.is_some_and(|known| known.version == artifact.version && known.sha256 == artifact.sha256) {
            continue;
        }
        let part = artifact.part.clone();
        let installed =
            Installed { artifact, installed_at: format!("{:.0}", Timestamp::now()), charm: charm.to_owned() };
        let line = serde_json::to_string(&installed).context("encoding the record")?;
        root.append_line(HISTORY, &line)?;
        record.insert(part, installed);
        root.save(RECORD, &record)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use crate::problem::Kind;
    use crate::system::testing::Scratch;

    use super::*;

    #[test]
    fn only_what_is_new_by_version_or_checksum_is_entered() {
        let scratch = Scratch::new();
        let root = &scratch.root;
        root.make_state_directory().unwrap();
        let helm = |version: &str, sha256: &str, source: &str| {
            let artifact = InstalledArtifact {
                part: "helm".into(),
                version: version.into(),
                sha256: Some(sha256.into()),
                source: source.into(),
            };
            assert_eq!(record(root, vec![artifact], "0.1.0"), None);
        };
        helm("3.8.0", "aa", "resource helm");
        helm("3.8.0", "aa", "elsewhere");
        assert_eq!(read(root)["helm"].artifact.source, "resource helm");
        helm("3.8.0", "bb", "elsewhere");
        helm("3.9.0", "bb", "elsewhere");
        let history = scratch.text("/var/lib/magnum-capi-helm/history.jsonl").unwrap();
        let versions: Vec<String> = history
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .map(|line: Value| format!("{} {}", line["version"], line["sha256"]))
            .collect();
        assert_eq!(versions.join(", ").replace('"', ""), "3.8.0 aa, 3.8.0 bb, 3.9.0 bb");
        let present: Value = serde_json::to_value(read(root)).unwrap();
        let keys: Vec<_> = present["helm"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(keys, ["charm", "installed_at", "part", "sha256", "source", "version"]);
    }

    #[test]
    fn a_history_that_takes_no_more_is_a_notice_and_no_fault() {
        let scratch = Scratch::new();
        scratch.root.make_state_directory().unwrap();
        scratch.put(format!("{STATE_DIRECTORY}/{HISTORY}"), vec![b'\n'; (8 << 20) + 1]);
        let artifact =
            InstalledArtifact { part: "helm".into(), version: "3".into(), sha256: None, source: String::new() };
        let problem = record(&scratch.root, vec![artifact], "0.1.0").unwrap();
        assert_eq!((problem.kind, problem.summary.as_str()), (Kind::Notice, "What is installed cannot be recorded"));
        assert!(problem.detail.contains("history.jsonl is not a file of at most 8 MiB"), "{problem}");
    }
}
