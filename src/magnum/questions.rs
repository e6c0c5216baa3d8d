//! The answers of Magnum's own Python to the question `verify` (`python.py`).

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::check::Finding;

/// Python's answer to one question, or the exception.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Asked<T> {
    Answer(T),
    Error(String),
}

impl<T> Asked<T> {
    /// Returns the answer, or the finding that `failed` makes of the exception.
    ///
    /// # Errors
    /// That finding.
    pub fn or(&self, failed: impl FnOnce(&str) -> Finding) -> Result<&T, Finding> {
        match self {
            Self::Answer(answer) => Ok(answer),
            Self::Error(error) => Err(failed(error)),
        }
    }
}

/// What Python says with the services' own arguments, as user magnum.
#[derive(Debug, Deserialize)]
pub struct Answers {
    /// The driver, loaded through its entry point.
    pub loads: Asked<Loaded>,
    pub conductor: Reading,
    /// The configuration as the API reads it, if its arguments or its environment are not the conductor's.
    #[serde(default)]
    pub api: Option<Reading>,
    /// The entry points that Magnum's own loader enables, and the kinds of cluster that its map gives to each: server
    /// type, operating system, orchestration engine.
    pub enabled: Asked<BTreeMap<String, Vec<String>>>,
    /// The size of the kubeconfig that the configuration names, in bytes.
    pub kubeconfig: Asked<u64>,
    /// What Keystone says to the trustee domain's administrator.
    pub trust: Asked<TrusteeDomain>,
}

/// The trustee domain, as one request for a token shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrusteeDomain {
    Accepted,
    /// With this status of HTTP.
    Refused(u16),
    /// This Magnum makes no trusts.
    Unused,
}

/// Why a service would not start: the answer to the question `proof`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct StartRefusal {
    pub reason: String,
    /// Group and name of the option of the graft's fragment that is to blame.
    #[serde(default)]
    pub option: Option<(String, String)>,
    /// The fragment of somebody else that is to blame.
    #[serde(default)]
    pub file: Option<String>,
}

/// The configuration as a service reads it.
#[derive(Debug, Deserialize)]
pub struct Reading {
    /// Whether it parses.
    pub configuration: Asked<bool>,
    /// Each option's effective value and the file it comes from, by `group.option`.
    pub effective: Asked<BTreeMap<String, Effective>>,
}

/// The driver as Python loaded it.
#[derive(Debug, Deserialize)]
pub struct Loaded {
    pub version: String,
    /// Its class, with its module.
    pub class: String,
    pub file: String,
    /// Requirements that do not hold, with the version found instead.
    pub missing: Vec<(String, Option<String>)>,
    /// The kinds of cluster that it makes.
    pub provides: Vec<String>,
}

/// An option's effective value.
#[derive(Debug, Deserialize)]
pub struct Effective {
    pub value: Value,
    /// The file it comes from; `None` is the default.
    pub from: Option<String>,
}

/// What Python answered, or why it could not be asked at all.
#[derive(Debug)]
pub struct PythonAnswers(pub Result<Answers>);

impl PythonAnswers {
    /// Returns the answer to one question.
    ///
    /// # Errors
    /// If Python could not be asked at all.
    pub fn get<T>(&self, which: impl Fn(&Answers) -> &T) -> Result<&T> {
        match &self.0 {
            Ok(answers) => Ok(which(answers)),
            Err(error) => bail!("Python could not be asked: {error:#}"),
        }
    }

    /// Forgets what Python read of the configuration, which is not all that there is.
    pub fn forget_configuration(&mut self, why: &str) {
        if let Ok(answers) = &mut self.0 {
            answers.conductor.configuration = Asked::Error(why.to_owned());
        }
    }

    /// Returns the driver as Python loaded it.
    ///
    /// # Errors
    /// A finding if it does not load; the check `driver-loads` says so.
    pub fn loaded(&self) -> Result<&Loaded, Finding> {
        self.get(|answers| &answers.loads)?.or(|_| Finding::skip("the driver does not load"))
    }

    /// Returns the answer to a question that needs the configuration.
    ///
    /// # Errors
    /// A finding if it cannot be read; the check `conf-effective` says so.
    pub fn get_with_configuration<T>(&self, which: impl Fn(&Answers) -> &T) -> Result<&T, Finding> {
        let configuration = self.get(|answers| &answers.conductor.configuration)?;
        configuration.or(|_| Finding::skip("the configuration cannot be read"))?;
        Ok(self.get(which)?)
    }

    /// Returns the answer to a question that needs the configuration and the driver.
    ///
    /// # Errors
    /// A finding if one of them cannot be read; the checks `conf-effective` and `driver-loads` say so.
    pub fn get_with_driver<T>(&self, which: impl Fn(&Answers) -> &T) -> Result<&T, Finding> {
        let answer = self.get_with_configuration(which)?;
        self.loaded()?;
        Ok(answer)
    }
}
