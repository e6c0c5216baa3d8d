//! What the operator wants: raw configuration made into types that can only hold valid values.
//!
//! Pure: no file, no process, no Juju. Every refusal names the option, the value and the remedy.

mod options;
mod pin;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use options::CapiHelmOptions;
pub use pin::{Pin, Sha256};

use crate::kube::Kubeconfig;
use crate::problem::Problem;

/// Everything the operator decides, valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The driver, and where it comes from.
    pub driver: DriverSource,
    /// The management cluster's kubeconfig; `None` until there is one.
    pub kubeconfig: Option<Kubeconfig>,
    /// Whether every other Magnum driver is disabled.
    pub disable_other_drivers: bool,
    /// Further options of `[capi_helm]`.
    pub capi_helm_options: CapiHelmOptions,
}

/// Which driver, and from where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriverSource {
    /// The exact version.
    pub pin: Pin,
    /// What the wheel's bytes must be.
    pub sha256: Option<Sha256>,
    /// The package index; `None` leaves it to pip's configuration on the unit.
    pub index_url: Option<IndexUrl>,
}

/// A package index's address. It may hold a password: never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexUrl(String);

impl IndexUrl {
    /// The address with whatever it holds, for pip's requirements file alone.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for IndexUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IndexUrl(…)")
    }
}

/// The name of the option that holds the secret with the kubeconfig.
pub const KUBECONFIG: &str = "kubeconfig";

/// Configuration as `config-get --all --format=json` gives it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct RawConfig(BTreeMap<String, Value>);

impl RawConfig {
    /// A string option; `None` when it is unset or empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .and_then(Value::as_str)
            .map(str::trim)
            .filter(|text| !text.is_empty())
    }

    /// Checks every option. The kubeconfig is no option's value, but what its secret holds.
    ///
    /// # Errors
    /// The first option that is not valid, as what to tell the operator.
    pub fn validated(&self, kubeconfig: Option<Kubeconfig>) -> Result<Settings, Problem> {
        let driver = DriverSource {
            pin: self.text("driver-pin").unwrap_or_default().parse()?,
            sha256: self.text("driver-sha256").map(str::parse).transpose()?,
            index_url: self.text("index-url").map(index_url).transpose()?,
        };
        if let Some(kubeconfig) = &kubeconfig {
            kubeconfig.usable_by(&driver.pin)?;
        }
        Ok(Settings {
            driver,
            kubeconfig,
            disable_other_drivers: self
                .0
                .get("disable-other-drivers")
                .and_then(Value::as_bool)
                .unwrap_or(true),
            capi_helm_options: self.text("capi-helm-options").unwrap_or_default().parse()?,
        })
    }
}

/// Accepts http and https addresses; says nothing of the value, which may hold a password.
fn index_url(value: &str) -> Result<IndexUrl, Problem> {
    let usable = reqwest::Url::parse(value)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if !usable || value.contains(char::is_whitespace) {
        return Err(Problem::blocked(
            "index-url is not a http or https address (its value is not shown); \
             set it like https://HOST/simple/",
        ));
    }
    Ok(IndexUrl(value.to_owned()))
}

/// A value as shown in a message: quoted, escaped, cut to what fits a status line.
pub(crate) fn shown(value: &str) -> String {
    const MOST: usize = 60;
    let cut: String = value.chars().take(MOST).collect();
    let dots = if cut.len() < value.len() { "…" } else { "" };
    format!("\"{}{dots}\"", cut.escape_debug())
}

/// The first character that is not ASCII: its line, its column (both from 1) and itself.
pub fn first_non_ascii(text: &str) -> Option<(usize, usize, char)> {
    text.lines().enumerate().find_map(|(line, content)| {
        content
            .chars()
            .enumerate()
            .find(|(_, c)| !c.is_ascii())
            .map(|(column, c)| (line + 1, column + 1, c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(options: &[(&str, Value)]) -> RawConfig {
        let mut all = BTreeMap::from([(
            "driver-pin".to_owned(),
            Value::from("magnum-capi-helm==1.1.0"),
        )]);
        all.extend(options.iter().map(|(k, v)| ((*k).to_owned(), v.clone())));
        RawConfig(all)
    }

    #[test]
    fn the_defaults_are_valid() {
        let settings = raw(&[]).validated(None).unwrap();
        assert_eq!(settings.driver.pin.to_string(), "magnum-capi-helm==1.1.0");
        assert!(settings.disable_other_drivers);
        assert_eq!(settings.driver.sha256, None);
    }

    #[test]
    fn each_bad_option_is_refused_by_name_and_a_password_is_never_shown() {
        for (option, value) in [
            ("driver-pin", ""),
            ("driver-sha256", "abc"),
            ("index-url", "ftp://user:hunter2@host/simple"),
            ("index-url", "https://user:hunter2@ho st/simple"),
            ("capi-helm-options", "no equals sign"),
        ] {
            let problem = raw(&[(option, Value::from(value))])
                .validated(None)
                .unwrap_err();
            let message = problem.to_string();
            assert!(message.starts_with(option), "{message}");
            assert!(!message.contains("hunter2"), "{message}");
        }
    }

    #[test]
    fn a_non_ascii_character_is_found_with_line_and_column() {
        assert_eq!(first_non_ascii("ok\nab\u{2014}c"), Some((2, 3, '\u{2014}')));
        assert_eq!(first_non_ascii("ok\n"), None);
    }
}
