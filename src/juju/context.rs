//! What Juju says in the environment of a hook or action, read once.

use std::env;

use crate::unit::process;

/// The environment of a hook or action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// The unit's name, `magnum-capi-helm/0`.
    pub unit: String,
    /// The principal's unit it sits on, `magnum/0`.
    pub principal: String,
    /// The unit that goes, in a `-relation-departed` hook.
    pub departing: Option<String>,
    /// The model's proxy settings, under the names that programs know.
    pub proxy: Vec<(String, String)>,
    /// The charm: its version, and its revision as Juju names it.
    pub charm: String,
}

/// Juju's names for the model's proxies, and the usual ones.
const PROXIES: [(&str, &str); 3] = [
    ("JUJU_CHARM_HTTP_PROXY", "http_proxy"),
    ("JUJU_CHARM_HTTPS_PROXY", "https_proxy"),
    ("JUJU_CHARM_NO_PROXY", "no_proxy"),
];

impl Context {
    /// Reads the environment.
    pub fn from_environment() -> Self {
        let text = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            unit: text("JUJU_UNIT_NAME").unwrap_or_else(|| "magnum-capi-helm/0".to_owned()),
            principal: text("JUJU_PRINCIPAL_UNIT").unwrap_or_default(),
            departing: text("JUJU_DEPARTING_UNIT"),
            proxy: PROXIES
                .iter()
                .filter_map(|(juju, usual)| Some(((*usual).to_owned(), text(juju)?)))
                .collect(),
            charm: charm(),
        }
    }

    /// The application's name, as the operator chose it.
    pub fn application(&self) -> &str {
        self.unit.split('/').next().unwrap_or_default()
    }

    /// A text with commands in which `UNIT` and `APPLICATION` stand for the names of this one, as they
    /// can be typed.
    pub fn typed(&self, text: &str) -> String {
        text.replace("UNIT", &self.unit)
            .replace("APPLICATION", self.application())
    }
}

/// The charm: its version, and its revision, which the unit agent leaves with the charm's URL beside
/// the program.
pub fn charm() -> String {
    let version = env!("CARGO_PKG_VERSION");
    let program = process::own_program().unwrap_or_default();
    let url = std::fs::read_to_string(program.with_file_name(".juju-charm"));
    match url.unwrap_or_default().trim() {
        "" => version.to_owned(),
        url => format!("{version} ({url})"),
    }
}
