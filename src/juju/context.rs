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
    /// The model's proxy settings, by the names that programs know: `https_proxy` and so on. They may hold a password.
    pub proxy: Vec<(String, String)>,
    /// The charm's version and its URL with the revision.
    pub charm: String,
}

impl Context {
    /// Reads the environment.
    pub fn from_environment() -> Self {
        let text = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            unit: text("JUJU_UNIT_NAME").unwrap_or_else(|| "magnum-capi-helm/0".to_owned()),
            principal: text("JUJU_PRINCIPAL_UNIT").unwrap_or_default(),
            departing: text("JUJU_DEPARTING_UNIT"),
            proxy: proxies(text),
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

/// Returns the model's proxy settings from the hook's environment: `juju-http-proxy` and its kin come as
/// `JUJU_CHARM_HTTP_PROXY`, the legacy `http-proxy` as `http_proxy` and `HTTP_PROXY`. A model has one kind or the other.
fn proxies(text: impl Fn(&str) -> Option<String>) -> Vec<(String, String)> {
    const USUAL: [&str; 3] = ["http_proxy", "https_proxy", "no_proxy"];
    let of = |name: &dyn Fn(&str) -> String| USUAL.map(|usual| Some((usual.to_owned(), text(&name(usual))?)));
    let juju: Vec<_> = of(&|usual| format!("JUJU_CHARM_{}", usual.to_uppercase())).into_iter().flatten().collect();
    if !juju.is_empty() {
        return juju;
    }
    let [lower, upper] = [of(&str::to_owned), of(&str::to_uppercase)];
    lower.into_iter().zip(upper).filter_map(|(lower, upper)| lower.or(upper)).collect()
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
    fn a_models_proxies_are_those_of_juju_or_the_legacy_ones_but_no_mixture() {
        let found = |environment: &[&str]| {
            let variable = |name: &str| {
                let values = environment.iter().filter_map(|variable| variable.split_once('='));
                values.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
            };
            proxies(variable).into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
        };
        let legacy = ["http_proxy=a", "HTTP_PROXY=a", "https_proxy=b", "HTTPS_PROXY=b", "no_proxy=c", "NO_PROXY=c"];
        assert_eq!(found(&legacy), ["http_proxy=a", "https_proxy=b", "no_proxy=c"]);
        assert_eq!(found(&["HTTPS_PROXY=b"]), ["https_proxy=b"]);
        let juju = ["JUJU_CHARM_HTTPS_PROXY=d", "JUJU_CHARM_NO_PROXY=e"];
        assert_eq!(found(&[&legacy[..], &juju].concat()), ["https_proxy=d", "no_proxy=e"]);
        assert_eq!(found(&["ftp_proxy=x"]), [""; 0]);
    }

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
