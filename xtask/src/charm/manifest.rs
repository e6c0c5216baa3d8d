//! The bases and architectures of the charm: read from charmcraft.yaml, so that a charm packed here and one packed by
//! charmcraft are for the same machines, and written to manifest.yaml, where Juju reads them.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_yaml::Value;

/// charmcraft.yaml, as far as it is read here.
#[derive(Debug, Deserialize)]
pub struct Charmcraft {
    platforms: BTreeMap<Platform, Value>,
}

/// `ubuntu@22.04:amd64` (<https://documentation.ubuntu.com/charmcraft/stable/reference/platforms/>).
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
struct Platform {
    /// The release number, first so that platforms are sorted by it.
    release: (u32, u32),
    system: String,
    channel: String,
    architecture: String,
}

impl TryFrom<String> for Platform {
    type Error = String;

    fn try_from(label: String) -> Result<Self, Self::Error> {
        let parse = || {
            let (base, architecture) = label.split_once(':')?;
            let (system, channel) = base.split_once('@')?;
            let (major, minor) = channel.split_once('.')?;
            Some(Self {
                release: (major.parse().ok()?, minor.parse().ok()?),
                system: system.to_owned(),
                channel: channel.to_owned(),
                architecture: architecture.to_owned(),
            })
        };
        parse().ok_or_else(|| format!("platform `{label}` is not like `ubuntu@22.04:amd64`"))
    }
}

/// manifest.yaml. Without it Juju reads neither bases nor `assumes`.
#[derive(Debug, Serialize)]
pub struct Manifest {
    /// At least one, the oldest first.
    bases: Vec<Base>,
}

#[derive(Debug, Serialize)]
struct Base {
    name: String,
    /// Text: Juju refuses the number 22.04.
    channel: String,
    architectures: [String; 1],
}

impl Manifest {
    /// The platforms of one architecture.
    pub fn new(charmcraft: Charmcraft, architecture: &str) -> Result<Self> {
        let platforms = charmcraft.platforms.into_keys();
        let bases: Vec<Base> = platforms
            .filter(|platform| platform.architecture == architecture)
            .map(|platform| Base {
                name: platform.system,
                channel: platform.channel,
                architectures: [platform.architecture],
            })
            .collect();
        ensure!(!bases.is_empty(), "charmcraft.yaml: no platform for {architecture}");
        Ok(Self { bases })
    }

    /// Returns the oldest platform as charmcraft puts it into file names, `ubuntu-22.04-amd64`.
    pub fn oldest(&self) -> Result<String> {
        let Base { name, channel, architectures: [architecture] } = self.bases.first().context("no platform")?;
        Ok(format!("{name}-{channel}-{architecture}"))
    }

    pub fn to_yaml(&self) -> Result<String> {
        serde_yaml::to_string(self).context("writing manifest.yaml")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(platforms: &str) -> Result<Manifest> {
        let charmcraft = serde_yaml::from_str(&format!("platforms: {{{platforms}}}"))?;
        Manifest::new(charmcraft, "amd64")
    }

    #[test]
    fn the_manifest_lists_the_bases_of_the_built_architecture() {
        let manifest = manifest("'ubuntu@24.04:amd64': , 'ubuntu@8.04:amd64': , 'ubuntu@22.04:arm64': ").unwrap();
        assert_eq!(manifest.oldest().unwrap(), "ubuntu-8.04-amd64");
        assert_eq!(
            manifest.to_yaml().unwrap(),
            "bases:\n\
             - name: ubuntu\n  channel: '8.04'\n  architectures:\n  - amd64\n\
             - name: ubuntu\n  channel: '24.04'\n  architectures:\n  - amd64\n"
        );
    }

    #[test]
    fn a_platform_that_cannot_be_used_is_named() {
        for (platforms, expected) in [
            ("amd64: ", "platform `amd64`"),
            ("'ubuntu@jammy:amd64': ", "platform `ubuntu@jammy:amd64`"),
            ("'ubuntu@22.04': ", "platform `ubuntu@22.04`"),
            ("'ubuntu@22.04:arm64': ", "no platform for amd64"),
        ] {
            let error = format!("{:#}", manifest(platforms).unwrap_err());
            assert!(error.contains(expected), "{error}");
        }
    }
}
