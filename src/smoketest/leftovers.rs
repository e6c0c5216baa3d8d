//! The names of what a run makes, by which a later one knows what an earlier one left.
//!
//! A run that is killed cannot clean up. So every name begins with this unit's own, which is kept in
//! the state directory: what bears it and is not of the present run is a leftover, and nobody else's.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::api::Session;
use super::{Stage, cleanup};
use crate::unit::{files, state};

const FILE: &str = "smoketest.json";

/// What is remembered between runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Memory {
    /// This unit's own part of each name.
    unit: String,
    /// Runs that have not said yet that they left nothing, with the project they worked in.
    unfinished: Vec<Unfinished>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Unfinished {
    name: String,
    project: String,
    account: String,
}

/// The names of this unit's runs, and those of this run.
#[derive(Debug)]
pub struct Names {
    prefix: String,
    /// The name of what this run makes.
    pub name: String,
    memory: Memory,
}

impl Names {
    /// Chooses this run's name.
    ///
    /// # Errors
    /// When the state directory cannot be read or written.
    pub fn choose() -> Result<Self> {
        files::make_directory(Path::new(state::DIRECTORY), 0o700)?;
        let memory = match state::load(FILE)? {
            Some(memory) => memory,
            None => Memory {
                unit: random()?,
                unfinished: Vec::new(),
            },
        };
        let prefix = format!("magnum-capi-helm-smoketest-{}-", memory.unit);
        Ok(Self {
            name: format!("{prefix}{}", random()?),
            prefix,
            memory,
        })
    }

    /// Remembers, before anything is made, that this run may leave something in this project.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub fn begin(&mut self, project: &str, account: &str) -> Result<()> {
        self.memory.unfinished.push(Unfinished {
            name: self.name.clone(),
            project: project.to_owned(),
            account: account.to_owned(),
        });
        state::save(FILE, &self.memory)
    }

    /// This run has left nothing.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub fn end(&mut self) -> Result<()> {
        let name = self.name.clone();
        self.memory.unfinished.retain(|run| run.name != name);
        state::save(FILE, &self.memory)
    }

    /// Removes what earlier runs left in the session's project, and says what it was; what may be left
    /// in other projects is told.
    ///
    /// # Errors
    /// When Magnum does not say what is there, or does not remove it.
    pub fn clear(&mut self, session: &mut Session<'_>) -> Result<Vec<String>> {
        let mut told = Vec::new();
        for kind in ["clusters", "clustertemplates"] {
            let listed = session.ask(Stage::Leftovers, &Method::GET, &format!("/{kind}"), None)?;
            for (id, name) in ours(&listed[kind], &self.prefix, &self.name) {
                match kind {
                    "clusters" => cleanup::cluster(session, &id)?,
                    _ => cleanup::template(session, &id)?,
                }
                told.push(format!("removed {name}, left in {kind} by an earlier run"));
            }
        }
        let here = session.project.clone();
        self.memory.unfinished.retain(|run| run.project != here);
        for run in &self.memory.unfinished {
            told.push(format!(
                "{} may still be there, in a project that this account does not see ({}): run the action \
                 once with that one's credentials",
                run.name, run.account
            ));
        }
        state::save(FILE, &self.memory)?;
        Ok(told)
    }
}

/// Id and name of what a list holds of this unit's other runs.
fn ours(listed: &Value, prefix: &str, but: &str) -> Vec<(String, String)> {
    let text = |one: &Value, key: &str| one[key].as_str().unwrap_or_default().to_owned();
    let all = listed.as_array().into_iter().flatten();
    all.map(|one| (text(one, "uuid"), text(one, "name")))
        .filter(|(id, name)| !id.is_empty() && name.starts_with(prefix) && name != but)
        .collect()
}

/// Eight random hexadecimal digits.
fn random() -> Result<String> {
    let uuid =
        fs::read_to_string("/proc/sys/kernel/random/uuid").context("asking for a random id")?;
    Ok(uuid.chars().take(8).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_bears_this_units_name_is_a_leftover() {
        let listed = json!([
            {"uuid": "1", "name": "magnum-capi-helm-smoketest-aaaa-1"},
            {"uuid": "2", "name": "magnum-capi-helm-smoketest-bbbb-1"},
            {"uuid": "3", "name": "magnum-capi-helm-smoketest-aaaa-2"},
            {"uuid": "4", "name": "production"},
            {"uuid": "5", "name": null},
        ]);
        let prefix = "magnum-capi-helm-smoketest-aaaa-";
        let found = ours(&listed, prefix, "magnum-capi-helm-smoketest-aaaa-2");
        assert_eq!(
            found,
            [("1".into(), "magnum-capi-helm-smoketest-aaaa-1".into())]
        );
    }
}
