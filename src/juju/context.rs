//! The environment of a hook or action, read once.

use std::env;

use crate::system;

/// The context of a hook or action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// This unit: `magnum-capi-helm/0`.
    pub unit: String,
    /// The unit of the principal: `magnum/0`.
    pub principal: String,
    /// In a `-relation-departed` hook: the unit that leaves.
    pub departing: Option<String>,
    /// The model's proxy settings, by the names that programs know: `https_proxy` and so on.
    pub proxy: Vec<(String, String)>,
    /// The charm's version and its URL with the revision.
    pub charm: String,
}

impl Context {
    /// Reads the environment.
    pub fn from_environment() -> Self {
        let text = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let proxies = ["http_proxy", "https_proxy", "no_proxy"]
            .map(|usual| Some((usual.to_owned(), text(&format!("JUJU_CHARM_{}", usual.to_uppercase()))?)));
        Self {
            unit: text("JUJU_UNIT_NAME").unwrap_or_else(|| "magnum-capi-helm/0".to_owned()),
            principal: text("JUJU_PRINCIPAL_UNIT").unwrap_or_default(),
            departing: text("JUJU_DEPARTING_UNIT"),
            proxy: proxies.into_iter().flatten().collect(),
            charm: charm_version(),
        }
    }

    /// The application's name, as the operator chose it.
    pub fn application(&self) -> &str {
        self.unit.split('/').next().unwrap_or_default()
    }

    /// Puts this unit's and application's names in place of the words `UNIT` and `APPLICATION`, so that the commands
    /// in a text can be typed as they stand.
    pub fn with_names(&self, text: &str) -> String {
        let is_of_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
        let pieces = text.split_inclusive(|c: char| !is_of_word(c)).map(|piece| {
            let word = piece.trim_end_matches(|c: char| !is_of_word(c));
            let name: &str = match word {
                "UNIT" => &self.unit,
                "APPLICATION" => self.application(),
                other => other,
            };
            [name, &piece[word.len()..]].concat()
        });
        pieces.collect()
    }
}

/// Returns the charm's version and its URL with the revision, which the unit agent leaves beside the program.
pub fn charm_version() -> String {
    let version = env!("CARGO_PKG_VERSION");
    let program = system::own_program().unwrap_or_default();
    let url = std::fs::read_to_string(program.with_file_name(".juju-charm"));
    match url.unwrap_or_default().trim() {
        "" => version.to_owned(),
        url => format!("{version} ({url})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_in_place_of_whole_words_alone() {
        let context = Context {
            unit: "graft/0".into(),
            principal: "magnum/0".into(),
            departing: None,
            proxy: vec![],
            charm: "0".into(),
        };
        for (text, expected) in [
            (
                "juju exec --unit UNIT 'x'; juju config APPLICATION a=b",
                "juju exec --unit graft/0 'x'; juju config graft a=b",
            ),
            ("UNIT", "graft/0"),
            ("(UNIT)\nAPPLICATION:", "(graft/0)\ngraft:"),
            ("JUJU_UNIT_NAME COMMUNITY UNITS X-UNIT éUNIT", "JUJU_UNIT_NAME COMMUNITY UNITS X-UNIT éUNIT"),
            ("", ""),
        ] {
            assert_eq!(context.with_names(text), expected);
        }
    }
}
