//! The driver's version and checksum, as the operator pins them.

use std::fmt;
use std::str::FromStr;

use pep440_rs::Version;
use serde::{Deserialize, Serialize};

use super::shown;
use crate::problem::Problem;

/// The driver's distribution.
pub const DISTRIBUTION: &str = "magnum-capi-helm";

/// One exact version of the driver: `magnum-capi-helm==1.1.0`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pin(Version);

impl Pin {
    /// Returns the version, as [PEP 440](https://peps.python.org/pep-0440/) orders it.
    pub fn version(&self) -> &Version {
        &self.0
    }
}

impl FromStr for Pin {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        text.strip_prefix(DISTRIBUTION)
            .and_then(|rest| rest.strip_prefix("=="))
            .filter(|version| version.starts_with(|c: char| c.is_ascii_digit()))
            .and_then(|version| Version::from_str(version).ok())
            .map(Self)
            .ok_or_else(|| {
                let wrong = format!("{} is not an exact pin of {DISTRIBUTION}", shown(text));
                Problem::option("driver-pin", wrong, format!("set it like driver-pin={DISTRIBUTION}==1.1.0"))
            })
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{DISTRIBUTION}=={}", self.0)
    }
}

impl TryFrom<String> for Pin {
    type Error = Problem;

    fn try_from(text: String) -> Result<Self, Problem> {
        text.parse()
    }
}

impl From<Pin> for String {
    fn from(pin: Pin) -> Self {
        pin.to_string()
    }
}

/// A sha256, as 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sha256(String);

impl Sha256 {
    /// Checks the value of `option`.
    ///
    /// # Errors
    /// If it is not a sha256.
    pub fn of_option(option: &str, text: &str) -> Result<Self, Problem> {
        if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        let wrong = format!("{} is not a sha256 of 64 hexadecimal digits", shown(text));
        Err(Problem::option(option, wrong, "set it to what `sha256sum` prints for the file, or reset it"))
    }
}

impl FromStr for Sha256 {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        Self::of_option("the checksum", text)
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_pins_are_accepted() {
        for text in ["magnum-capi-helm==1.1.0", "magnum-capi-helm==1.4.0.dev3", "magnum-capi-helm==1.2"] {
            assert_eq!(text.parse::<Pin>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn everything_else_is_refused_with_the_value_and_the_remedy() {
        for text in [
            "",
            "magnum-capi-helm",
            "magnum-capi-helm>=1.1.0",
            "magnum-capi-helm==1.*",
            "magnum-capi-helm==1.1.0,<2",
            "magnum-capi-helm== 1.1.0",
            "magnum-capi-helm==v1.1.0",
            "magnum-capi-helm==1.1.0; rm -rf /",
            "magnum-capi-helm==1.1.0 --index-url http://evil",
            "magnum-capi-helm==$(id)",
            "magnum-capi-helm===1.1.0",
            "requests==1.1.0",
            "git+https://example.org/magnum-capi-helm",
            "https://example.org/magnum_capi_helm-1.1.0-py3-none-any.whl",
            "magnum-capi-helm @ file:///tmp/x.whl",
            "magnum-capi-helm==1.1.0\nrequests",
        ] {
            let message = text.parse::<Pin>().unwrap_err().to_string();
            assert!(message.contains(&shown(text)), "{message}");
            assert!(message.contains("set it like driver-pin="), "{message}");
        }
    }

    #[test]
    fn a_sha256_is_64_hexadecimal_digits_in_either_case() {
        let digits = "AB".repeat(32);
        assert_eq!(digits.parse::<Sha256>().unwrap().to_string(), digits.to_lowercase());
        assert!("ab".parse::<Sha256>().is_err());
        assert!("zz".repeat(32).parse::<Sha256>().is_err());
    }
}
