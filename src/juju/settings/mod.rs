//! What the operator wants: raw configuration made into types that can only hold valid values.
//!
//! Pure: no file, no process, no Juju. Every refusal names the option, the value and the remedy.

mod address;
mod options;
mod pin;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use address::{Address, Credentials, without_credentials};
pub use options::CapiHelmOptions;
pub use pin::{DISTRIBUTION, Pin, Sha256};

use crate::kube::Kubeconfig;
use crate::problem::Problem;

/// Everything the operator decides, valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The driver, and where it comes from.
    pub driver: DriverSource,
    /// Where helm comes from.
    pub helm: HelmSource,
    /// The chart that clusters are made of.
    pub chart: ChartSource,
    /// The management cluster's kubeconfig, as [`rotation`](crate::kube::rotation) chose it; `None`
    /// until there is one.
    pub kubeconfig: Option<Kubeconfig>,
    /// From how many days before its end on the kubeconfig's expiry is told.
    pub expiry_warning_days: u16,
    /// Whether every other Magnum driver is disabled.
    pub disable_other_drivers: bool,
    /// Further options of `[capi_helm]`.
    pub capi_helm_options: CapiHelmOptions,
    /// Where the services log.
    #[serde(default)]
    pub log_to: LogTo,
    /// Whether systemd watches over the graft between hooks.
    #[serde(default)]
    pub guard: bool,
    /// When services that are serving may be restarted.
    #[serde(default)]
    pub restart_mode: RestartMode,
}

/// Where the services log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogTo {
    /// To the journal, as in the runbook.
    #[default]
    Journal,
    /// To the file in `/var/log/magnum` that their packaged start scripts name.
    File,
}

/// When services that are serving may be restarted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartMode {
    /// One unit at a time, the next when the last one is well.
    #[default]
    Rolling,
    /// At once.
    Immediate,
    /// When the action `restart` says so.
    Manual,
}

/// Where helm comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum HelmSource {
    /// Whatever is on the services' PATH.
    Found,
    /// A resource: the executable or the official tarball.
    Resource(PathBuf),
    /// An address that serves one of them, and its checksum.
    Url {
        /// The address.
        url: Address,
        /// What its bytes must be.
        sha256: Sha256,
    },
}

/// The chart that clusters are made of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChartSource {
    /// A packaged chart, given as a resource: then neither repository nor version is asked.
    pub resource: Option<PathBuf>,
    /// The chart repository; `None` leaves the driver's default.
    pub repo: Option<String>,
    /// The chart's version; `None` leaves the driver's default.
    pub version: Option<String>,
}

/// What the operator gives besides the options' own values: what secrets and resources hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Given {
    /// Credentials for the package index.
    pub credentials: Option<Credentials>,
    /// The driver's wheel and its sha256.
    pub driver_wheel: Option<(PathBuf, Sha256)>,
    /// helm.
    pub helm: Option<PathBuf>,
    /// A packaged chart.
    pub helm_chart: Option<PathBuf>,
}

/// Which driver, and from where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriverSource {
    /// The exact version.
    pub pin: Pin,
    /// What the wheel's bytes must be.
    pub sha256: Option<Sha256>,
    /// The package index; `None` leaves it to pip's configuration on the unit.
    pub index: Option<Address>,
    /// The wheel itself, given as a resource: then no index is asked.
    pub wheel: Option<PathBuf>,
}

/// The name of the option that holds the secret with the kubeconfig.
pub const KUBECONFIG: &str = "kubeconfig";

/// The default of `driver-pin`, as in `config.yaml`.
pub const DEFAULT_PIN: &str = "magnum-capi-helm==1.1.0";
/// The default of `expiry-warning-days`, as in `config.yaml`.
pub const EXPIRY_WARNING_DAYS: u16 = 30;
const MOST_WARNING_DAYS: u16 = 3650;

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

    /// Checks every option and joins it with what is `given` besides.
    ///
    /// # Errors
    /// The first option that is not valid, as what to tell the operator.
    pub fn validated(&self, given: Given) -> Result<Settings, Problem> {
        let driver = self.driver(&given)?;
        let switch = |option: &str| self.0.get(option).and_then(Value::as_bool);
        Ok(Settings {
            driver,
            helm: self.helm(given.helm)?,
            chart: self.chart(given.helm_chart)?,
            kubeconfig: None,
            expiry_warning_days: self.expiry_warning_days()?,
            disable_other_drivers: switch("disable-other-drivers").unwrap_or(true),
            log_to: self.log_to()?,
            guard: switch("guard").unwrap_or(true),
            capi_helm_options: self.text("capi-helm-options").unwrap_or_default().parse()?,
            restart_mode: self.restart_mode()?,
        })
    }

    fn driver(&self, given: &Given) -> Result<DriverSource, Problem> {
        let pin: Pin = self.text("driver-pin").unwrap_or_default().parse()?;
        let wanted: Option<Sha256> = match self.text("driver-sha256") {
            Some(text) => Some(Sha256::of_option("driver-sha256", text)?),
            None => None,
        };
        let index = match (self.text("index-url"), &given.credentials) {
            (None, None) => None,
            (None, Some(_)) => {
                return Err(Problem::blocked(
                    "index-credentials is set without index-url; set index-url too, or reset it",
                ));
            }
            (Some(url), None) => Some(Address::new("index-url", url)?),
            (Some(url), Some(credentials)) => {
                Some(Address::new("index-url", url)?.with("index-url", credentials)?)
            }
        };
        let (wheel, sha256) = match &given.driver_wheel {
            None => (None, wanted),
            Some((_, found)) if wanted.as_ref().is_some_and(|wanted| wanted != found) => {
                return Err(Problem::blocked(format!(
                    "driver-sha256: the resource driver-wheel has sha256 {found}; attach the right \
                     wheel, or set driver-sha256={found} if you trust this one"
                )));
            }
            Some((path, found)) => (Some(path.clone()), Some(found.clone())),
        };
        Ok(DriverSource {
            pin,
            sha256,
            index,
            wheel,
        })
    }

    fn helm(&self, resource: Option<PathBuf>) -> Result<HelmSource, Problem> {
        let (url, sha256) = (self.text("helm-url"), self.text("helm-sha256"));
        // Both are checked even when a resource makes them idle: a bad value is never silent.
        let given = match (url, sha256) {
            (None, None) => HelmSource::Found,
            (Some(url), Some(sha256)) => HelmSource::Url {
                url: Address::new("helm-url", url)?,
                sha256: Sha256::of_option("helm-sha256", sha256)?,
            },
            (Some(_), None) => {
                return Err(Problem::blocked(
                    "helm-url is set without helm-sha256; set helm-sha256 to what `sha256sum` \
                     prints for what helm-url serves",
                ));
            }
            (None, Some(_)) => {
                return Err(Problem::blocked(
                    "helm-sha256 is set without helm-url; set helm-url too, or reset helm-sha256",
                ));
            }
        };
        Ok(resource.map_or(given, HelmSource::Resource))
    }

    fn log_to(&self) -> Result<LogTo, Problem> {
        match self.text("log-to") {
            None | Some("journal") => Ok(LogTo::Journal),
            Some("file") => Ok(LogTo::File),
            Some(other) => Err(Problem::blocked(format!(
                "log-to {} is neither journal nor file; set one of them",
                shown(other)
            ))),
        }
    }

    fn expiry_warning_days(&self) -> Result<u16, Problem> {
        let Some(given) = self.0.get("expiry-warning-days") else {
            return Ok(EXPIRY_WARNING_DAYS);
        };
        let days = given.as_u64().and_then(|days| u16::try_from(days).ok());
        days.filter(|days| *days <= MOST_WARNING_DAYS).ok_or_else(|| {
            Problem::blocked(format!(
                "expiry-warning-days {given} is no number of days from 0 to {MOST_WARNING_DAYS}; \
                 set one of them"
            ))
        })
    }

    fn restart_mode(&self) -> Result<RestartMode, Problem> {
        match self.text("restart-mode") {
            None | Some("rolling") => Ok(RestartMode::Rolling),
            Some("immediate") => Ok(RestartMode::Immediate),
            Some("manual") => Ok(RestartMode::Manual),
            Some(other) => Err(Problem::blocked(format!(
                "restart-mode {} is none of rolling, immediate, manual; set one of them",
                shown(other)
            ))),
        }
    }

    fn chart(&self, resource: Option<PathBuf>) -> Result<ChartSource, Problem> {
        let plain = |option: &str| match self.text(option) {
            Some(text) if text.contains(|c: char| !c.is_ascii_graphic()) => {
                Err(Problem::blocked(format!(
                    "{option} {} holds a character that is no plain ASCII; type it anew",
                    shown(text)
                )))
            }
            text => Ok(text.map(str::to_owned)),
        };
        Ok(ChartSource {
            resource,
            repo: plain("helm-chart-repo")?,
            version: plain("helm-chart-version")?,
        })
    }
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
        let settings = raw(&[]).validated(Given::default()).unwrap();
        assert_eq!(settings.driver.pin.to_string(), "magnum-capi-helm==1.1.0");
        assert!(settings.disable_other_drivers);
        assert_eq!(settings.driver.sha256, None);
        assert_eq!(settings.expiry_warning_days, 30);
    }

    #[test]
    fn each_bad_option_is_refused_by_name_and_a_password_is_never_shown() {
        for (option, value) in [
            ("driver-pin", ""),
            ("driver-sha256", "abc"),
            ("index-url", "ftp://user:hunter2@host/simple"),
            ("index-url", "https://user:hunter2@ho st/simple"),
            ("helm-url", "https://host/helm"),
            ("helm-sha256", "abc"),
            ("helm-chart-repo", "https://charts.example\u{2013}x"),
            ("helm-chart-version", "0 1"),
            ("capi-helm-options", "no equals sign"),
            ("expiry-warning-days", "-1"),
            ("log-to", "syslog"),
            ("restart-mode", "Rolling"),
        ] {
            let value = value.parse::<i64>().map_or(Value::from(value), Value::from);
            let problem = raw(&[(option, value)])
                .validated(Given::default())
                .unwrap_err();
            let message = problem.to_string();
            assert!(message.starts_with(option), "{message}");
            assert!(!message.contains("hunter2"), "{message}");
        }
    }

    #[test]
    fn a_wheel_that_is_given_is_held_against_the_checksum() {
        let found: Sha256 = "ab".repeat(32).parse().unwrap();
        let given = Given {
            driver_wheel: Some(("/wheel".into(), found.clone())),
            ..Given::default()
        };
        let settings = raw(&[]).validated(given.clone()).unwrap();
        assert_eq!(settings.driver.sha256, Some(found));
        let other = raw(&[("driver-sha256", Value::from("cd".repeat(32)))]);
        let message = other.validated(given).unwrap_err().to_string();
        assert!(
            message.starts_with("driver-sha256: the resource driver-wheel"),
            "{message}"
        );
    }

    #[test]
    fn a_non_ascii_character_is_found_with_line_and_column() {
        assert_eq!(first_non_ascii("ok\nab\u{2014}c"), Some((2, 3, '\u{2014}')));
        assert_eq!(first_non_ascii("ok\n"), None);
    }
}
