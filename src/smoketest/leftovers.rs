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
use super::{Failure, Stage, Story, cleanup};
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

    /// Removes what earlier runs left, as far as the session sees it, and tells what it was and what may be
    /// left elsewhere. What cannot be removed keeps nobody from the rest of the run: it is given back.
    ///
    /// # Errors
    /// When Magnum does not say what is there.
    pub fn clear(
        &mut self,
        session: &mut Session<'_>,
        story: &mut Story,
    ) -> Result<Option<Failure>> {
        let (mut removed, mut stuck) = (Vec::new(), None);
        for kind in ["clusters", "clustertemplates"] {
            let listed = session.ask(Stage::Leftovers, &Method::GET, &format!("/{kind}"), None)?;
            for (id, name) in ours(&listed[kind], &self.prefix, &self.name) {
                let went = match kind {
                    "clusters" => cleanup::cluster(session, &id),
                    _ => cleanup::template(session, &id),
                };
                match went.map_err(anyhow::Error::downcast::<Failure>) {
                    Ok(()) => {
                        story.tell(format!("removed {name}, left in {kind} by an earlier run"));
                        removed.push(name);
                    }
                    Err(Ok(failure)) => {
                        story.tell(format!(
                            "{name}, left in {kind} by an earlier run, stays: {failure}"
                        ));
                        stuck = stuck.or(Some(failure));
                    }
                    Err(Err(fault)) => return Err(fault),
                }
            }
        }
        let unfinished = std::mem::take(&mut self.memory.unfinished);
        self.memory.unfinished = unseen(unfinished, &session.project, &removed);
        for run in &self.memory.unfinished {
            story.tell(format!(
                "{} may still be there, in a project that this account does not see ({}): run the action \
                 once with that one's credentials",
                run.name, run.account
            ));
        }
        state::save(FILE, &self.memory)?;
        Ok(stuck)
    }
}

/// The unfinished runs that may have left something which an account of this project does not see. (An
/// administrator sees what is in other projects too.)
fn unseen(unfinished: Vec<Unfinished>, here: &str, removed: &[String]) -> Vec<Unfinished> {
    let is_unseen = |run: &Unfinished| run.project != here && !removed.contains(&run.name);
    unfinished.into_iter().filter(is_unseen).collect()
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
    fn what_may_be_in_another_project_is_not_forgotten() {
        let run = |name: &str, project: &str| Unfinished {
            name: name.into(),
            project: project.into(),
            account: "somebody".into(),
        };
        let all = vec![run("1", "here"), run("2", "there"), run("3", "there")];
        let left = unseen(all, "here", &["3".into()]);
        assert_eq!(left, [run("2", "there")]);
    }

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
