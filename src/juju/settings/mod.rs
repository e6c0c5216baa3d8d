//! The operator's options as types that can only hold valid values.
//!
//! Pure: no file, no process, no Juju. Every refusal names the option, the value and the remedy.

mod address;
mod options;
mod pin;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use strum::{EnumString, VariantNames};

pub use address::{Address, Credentials, without_credentials};
pub use options::CapiHelmOptions;
pub use pin::{DISTRIBUTION, Pin, Sha256};

use crate::problem::Problem;
use crate::system::{Secret, http};

/// Everything the operator decides, valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    pub driver: DriverSource,
    pub helm: HelmSource,
    pub chart: ChartSource,
    /// The selected kubeconfig; `None` until there is one.
    pub kubeconfig: Option<Secret<String>>,
    pub expiry_warning_days: u16,
    pub disable_other_drivers: bool,
    pub capi_helm_options: CapiHelmOptions,
    #[serde(default)]
    pub log_to: LogTo,
    #[serde(default)]
    pub guard: bool,
    #[serde(default)]
    pub restart_mode: RestartMode,
}

/// Where the services log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, EnumString, VariantNames)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum LogTo {
    /// To the journal, as in the runbook.
    #[default]
    Journal,
    /// To the file in `/var/log/magnum` that their packaged start scripts name.
    File,
}

/// When services that are serving may be restarted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, EnumString, VariantNames)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum RestartMode {
    /// One unit at a time, the next when the last one is healthy.
    #[default]
    Rolling,
    Immediate,
    /// By the action `restart`.
    Manual,
}

/// Which driver, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriverSource {
    pub pin: Pin,
    /// The sha256 that the wheel must have.
    pub sha256: Option<Sha256>,
    /// The package index; `None` is PyPI.
    pub index: Option<Address>,
    /// The wheel, attached as a resource: then the charm does not contact an index.
    pub wheel: Option<PathBuf>,
}

/// Where helm comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum HelmSource {
    /// Whatever is on the services' PATH.
    Found,
    /// The resource: the executable or the official tarball.
    Resource(PathBuf),
    /// The option `helm-url`, which serves one of them.
    Url { url: Address, sha256: Sha256 },
}

/// The chart that clusters are made of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChartSource {
    /// A packaged chart, attached as a resource: then repository and version are not used.
    pub resource: Option<PathBuf>,
    /// `None` leaves the driver's default.
    pub repo: Option<String>,
    /// `None` leaves the driver's default.
    pub version: Option<String>,
}

/// What the operator's secrets and resources hold, besides the options' own values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Given {
    pub credentials: Option<Credentials>,
    pub driver_wheel: Option<(PathBuf, Sha256)>,
    pub helm: Option<PathBuf>,
    pub helm_chart: Option<PathBuf>,
}

/// The name of the option that holds the secret with the kubeconfig, of that secret's key, and of the resource.
pub const KUBECONFIG: &str = "kubeconfig";

/// The default of `driver-pin`, as in `config.yaml`.
pub const DEFAULT_PIN: &str = "magnum-capi-helm==1.1.0";
/// The default of `expiry-warning-days`, as in `config.yaml`.
pub const EXPIRY_WARNING_DAYS: u16 = 30;
const MOST_WARNING_DAYS: u16 = 3650;
/// The longest value of an option, in bytes, but for `capi-helm-options`, which has a line for each of many.
const LONGEST_VALUE: usize = 4096;

/// Options as `config-get --all --format=json` prints them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct RawConfig(BTreeMap<String, Value>);

impl RawConfig {
    /// Returns a string option; `None` if it is unset or empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty())
    }

    /// Checks every option and joins it with what is `given` besides. All are checked, even those that a resource makes
    /// idle: a bad value is never silent.
    ///
    /// # Errors
    /// The first option that is not valid.
    pub fn validated(&self, given: Given) -> Result<Settings, Problem> {
        let switch = |option: &str| self.0.get(option).and_then(Value::as_bool);
        self.check_lengths()?;
        Ok(Settings {
            driver: self.driver(given.driver_wheel, given.credentials.as_ref())?,
            helm: self.helm(given.helm)?,
            chart: ChartSource {
                resource: given.helm_chart,
                repo: self.parsed("helm-chart-repo", public)?,
                version: self.parsed("helm-chart-version", plain)?,
            },
            kubeconfig: None,
            expiry_warning_days: self.expiry_warning_days()?,
            disable_other_drivers: switch("disable-other-drivers").unwrap_or(true),
            log_to: self.parsed("log-to", one_of(LogTo::VARIANTS))?.unwrap_or_default(),
            guard: switch("guard").unwrap_or(true),
            capi_helm_options: self.text(CapiHelmOptions::OPTION).unwrap_or_default().parse()?,
            restart_mode: self.parsed("restart-mode", one_of(RestartMode::VARIANTS))?.unwrap_or_default(),
        })
    }

    fn check_lengths(&self) -> Result<(), Problem> {
        for (option, value) in &self.0 {
            let is_long = value.as_str().is_some_and(|text| text.len() > LONGEST_VALUE);
            if is_long && option != CapiHelmOptions::OPTION {
                let wrong = format!("has more than {LONGEST_VALUE} bytes");
                return Err(Problem::option(option, wrong, "set a shorter value"));
            }
        }
        Ok(())
    }

    /// Parses an option, if it is set.
    fn parsed<T>(&self, option: &str, parse: impl Fn(&str, &str) -> Result<T, Problem>) -> Result<Option<T>, Problem> {
        self.text(option).map(|text| parse(option, text)).transpose()
    }

    fn driver(
        &self,
        wheel: Option<(PathBuf, Sha256)>,
        credentials: Option<&Credentials>,
    ) -> Result<DriverSource, Problem> {
        let pin = self.text("driver-pin").unwrap_or_default().parse()?;
        let index = match (self.parsed("index-url", Address::new)?, credentials) {
            (None, Some(_)) => {
                let remedy = "set index-url too, or reset index-credentials";
                return Err(Problem::option("index-credentials", "is set without index-url", remedy));
            }
            (Some(index), Some(credentials)) => Some(index.with("index-url", credentials)?),
            (index, None) => index,
        };
        let sha256 = self.parsed("driver-sha256", Sha256::of_option)?;
        let Some((path, found)) = wheel else {
            return Ok(DriverSource { pin, sha256, index, wheel: None });
        };
        if sha256.is_some_and(|wanted| wanted != found) {
            let wrong = format!("is not that of the resource driver-wheel, which is {found}");
            let remedy = format!("attach the right wheel, or set driver-sha256={found} if you trust this one");
            return Err(Problem::option("driver-sha256", wrong, remedy));
        }
        Ok(DriverSource { pin, sha256: Some(found), index, wheel: Some(path) })
    }

    fn helm(&self, resource: Option<PathBuf>) -> Result<HelmSource, Problem> {
        let url = self.parsed("helm-url", Address::new)?;
        let sha256 = self.parsed("helm-sha256", Sha256::of_option)?;
        let given = match (url, sha256) {
            (None, None) => HelmSource::Found,
            (Some(url), Some(sha256)) => HelmSource::Url { url, sha256 },
            (Some(_), None) => {
                let remedy = "set helm-sha256 to what `sha256sum` prints for the file at helm-url";
                return Err(Problem::option("helm-url", "is set without helm-sha256", remedy));
            }
            (None, Some(_)) => {
                let remedy = "set helm-url too, or reset helm-sha256";
                return Err(Problem::option("helm-sha256", "is set without helm-url", remedy));
            }
        };
        Ok(resource.map_or(given, HelmSource::Resource))
    }

    fn expiry_warning_days(&self) -> Result<u16, Problem> {
        let Some(given) = self.0.get("expiry-warning-days") else {
            return Ok(EXPIRY_WARNING_DAYS);
        };
        let days = given.as_u64().and_then(|days| u16::try_from(days).ok());
        days.filter(|days| *days <= MOST_WARNING_DAYS).ok_or_else(|| {
            let wrong = format!("{given} is not a number of days from 0 to {MOST_WARNING_DAYS}");
            Problem::option("expiry-warning-days", wrong, "set one of them")
        })
    }
}

/// Parses an option that has one of a few values.
fn one_of<T: FromStr>(values: &[&str]) -> impl Fn(&str, &str) -> Result<T, Problem> {
    move |option, text| {
        text.parse().map_err(|_| {
            let wrong = format!("{} is not one of {}", shown(text), values.join(", "));
            Problem::option(option, wrong, "set one of them")
        })
    }
}

/// Parses an option that ends up in a file which everybody can read.
fn public(option: &str, text: &str) -> Result<String, Problem> {
    let [wrong, remedy] = address::PUBLIC;
    match address::holds_credentials(text) {
        true => Err(Problem::option(option, wrong, remedy)),
        false => plain(option, text),
    }
}

fn plain(option: &str, text: &str) -> Result<String, Problem> {
    if text.chars().all(|c| c.is_ascii_graphic()) {
        return Ok(text.to_owned());
    }
    let wrong = format!("{} holds a character that is not plain ASCII", shown(text));
    Err(Problem::option(option, wrong, "type it again"))
}

/// Returns a value as messages show it: quoted, escaped, cut to 60 characters, URLs without credentials.
pub(crate) fn shown(value: &str) -> String {
    const MOST: usize = 60;
    let value = http::redact_urls(value, "");
    let cut: String = value.chars().take(MOST).collect();
    let dots = if cut.len() < value.len() { "…" } else { "" };
    format!("\"{}{dots}\"", cut.escape_debug())
}

/// Returns the first character that is not ASCII: its line and column (both from 1) and itself.
pub fn first_non_ascii(text: &str) -> Option<(usize, usize, char)> {
    text.lines().enumerate().find_map(|(line, content)| {
        content.chars().enumerate().find(|(_, c)| !c.is_ascii()).map(|(column, c)| (line + 1, column + 1, c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(options: &[(&str, Value)]) -> RawConfig {
        let mut all = BTreeMap::from([("driver-pin".to_owned(), Value::from("magnum-capi-helm==1.1.0"))]);
        all.extend(options.iter().map(|(k, v)| ((*k).to_owned(), v.clone())));
        RawConfig(all)
    }

    #[test]
    fn the_defaults_are_valid() {
        let settings = raw(&[]).validated(Given::default()).unwrap();
        assert_eq!(settings.driver.pin.to_string(), "magnum-capi-helm==1.1.0");
        assert!(settings.disable_other_drivers);
        assert_eq!(settings.driver.sha256, None);
        assert_eq!(settings.expiry_warning_days, 30);
    }

    #[test]
    fn each_bad_option_is_refused_by_name_and_a_password_is_never_shown() {
        let (long, list) = ("1".repeat(LONGEST_VALUE + 1), "#\n".repeat(64 << 10));
        for (option, value) in [
            ("driver-pin", ""),
            ("driver-sha256", "abc"),
            ("index-url", "ftp://user:hunter2@host/simple"),
            ("index-url", "https://user:hunter2@ho st/simple"),
            ("helm-url", "https://host/helm"),
            ("helm-sha256", "abc"),
            ("helm-chart-repo", "https://charts.example\u{2013}x"),
            ("helm-chart-repo", "https://user:hunter2@charts.example/x"),
            ("helm-chart-repo", "https://user:/hunter2\u{e9}@charts.example"),
            ("helm-chart-version", "0 1"),
            ("helm-chart-version", "https://user:hunter2@charts.example\u{2013}x"),
            ("helm-chart-version", long.as_str()),
            ("capi-helm-options", "no equals sign"),
            ("capi-helm-options", list.as_str()),
            ("expiry-warning-days", "-1"),
            ("log-to", "syslog"),
            ("restart-mode", "Rolling"),
        ] {
            let value = value.parse::<i64>().map_or(Value::from(value), Value::from);
            let problem = raw(&[(option, value)]).validated(Given::default()).unwrap_err();
            let message = problem.to_string();
            assert!(message.starts_with(&format!("Invalid option {option}: {option}")), "{message}");
            assert!(!message.contains("hunter2"), "{message}");
        }
    }

    #[test]
    fn a_wheel_that_is_given_is_held_against_the_checksum() {
        let found: Sha256 = "ab".repeat(32).parse().unwrap();
        let given = Given { driver_wheel: Some(("/wheel".into(), found.clone())), ..Given::default() };
        let settings = raw(&[]).validated(given.clone()).unwrap();
        assert_eq!(settings.driver.sha256, Some(found));
        let other = raw(&[("driver-sha256", Value::from("cd".repeat(32)))]);
        let message = other.validated(given).unwrap_err().to_string();
        assert!(message.contains("driver-sha256 is not that of the resource driver-wheel"), "{message}");
    }

    #[test]
    fn a_non_ascii_character_is_found_with_line_and_column() {
        assert_eq!(first_non_ascii("ok\nab\u{2014}c"), Some((2, 3, '\u{2014}')));
        assert_eq!(first_non_ascii("ok\n"), None);
    }
}
