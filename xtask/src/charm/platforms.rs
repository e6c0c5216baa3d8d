//! The bases and architectures of the charm: read from charmcraft.yaml, so that a charm packed here and one packed
//! by charmcraft are for the same machines, and written to manifest.yaml, where Juju looks for them.

use anyhow::{Context, Result, bail};
use serde_yaml::{Mapping, Value};

/// One of charmcraft's platforms, `ubuntu@22.04:amd64`
/// (<https://documentation.ubuntu.com/charmcraft/stable/reference/platforms/>).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Platform {
    system: String,
    channel: String,
    architecture: String,
}

impl Platform {
    fn parse(label: &str) -> Option<Self> {
        let (base, architecture) = label.split_once(':')?;
        let (system, channel) = base.split_once('@')?;
        // Juju compares channels, so what is no release number is not let through.
        release(channel)?;
        Some(Self {
            system: system.to_owned(),
            channel: channel.to_owned(),
            architecture: architecture.to_owned(),
        })
    }
}

/// `22.04` as numbers that compare.
fn release(channel: &str) -> Option<(u32, u32)> {
    let (major, minor) = channel.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The platforms, oldest base first.
#[derive(Debug, PartialEq, Eq)]
pub struct Platforms(Vec<Platform>);

impl Platforms {
    /// Reads the platforms from the content of charmcraft.yaml.
    ///
    /// # Errors
    ///
    /// When there are none, or one is not written as base and architecture.
    pub fn parse(charmcraft: &Mapping) -> Result<Self> {
        let labels = charmcraft
            .get("platforms")
            .and_then(Value::as_mapping)
            .context("charmcraft.yaml: no mapping `platforms`")?;
        let mut platforms = Vec::new();
        for label in labels.keys() {
            let label = label.as_str().unwrap_or_default();
            let platform = Platform::parse(label).with_context(|| {
                format!("charmcraft.yaml: platform `{label}` is not like `ubuntu@22.04:amd64`")
            })?;
            platforms.push(platform);
        }
        platforms.sort_by_key(|platform| release(&platform.channel));
        Ok(Self(platforms))
    }

    /// Those for machines of one architecture.
    ///
    /// # Errors
    ///
    /// When there are none.
    pub fn of_architecture(mut self, architecture: &str) -> Result<Self> {
        self.0
            .retain(|platform| platform.architecture == architecture);
        if self.0.is_empty() {
            bail!("charmcraft.yaml: no platform for {architecture}");
        }
        Ok(self)
    }

    /// The oldest platform as charmcraft puts it into file names, `ubuntu-22.04-amd64`.
    ///
    /// # Errors
    ///
    /// When there are none.
    pub fn oldest(&self) -> Result<String> {
        let oldest = self.0.first().context("no platform")?;
        Ok(format!(
            "{}-{}-{}",
            oldest.system, oldest.channel, oldest.architecture
        ))
    }

    /// The text of manifest.yaml. Without it Juju looks at neither bases nor `assumes`.
    ///
    /// # Errors
    ///
    /// Never in practice: when the text cannot be made.
    pub fn manifest(&self) -> Result<String> {
        let bases: Vec<Value> = self
            .0
            .iter()
            .map(|platform| {
                let fields = [
                    ("name", Value::from(platform.system.as_str())),
                    // Text, never the number 22.04: Juju refuses that.
                    ("channel", Value::from(platform.channel.as_str())),
                    (
                        "architectures",
                        Value::from(vec![platform.architecture.as_str()]),
                    ),
                ];
                let fields = fields.map(|(key, value)| (Value::from(key), value));
                Value::Mapping(fields.into_iter().collect())
            })
            .collect();
        let manifest = Mapping::from_iter([(Value::from("bases"), Value::from(bases))]);
        serde_yaml::to_string(&manifest).context("writing manifest.yaml")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platforms(yaml: &str) -> Result<Platforms> {
        Platforms::parse(&serde_yaml::from_str(yaml).unwrap())
    }

    const TWO_BASES: &str =
        "platforms: {'ubuntu@24.04:amd64': , 'ubuntu@22.04:amd64': , 'ubuntu@22.04:arm64': }";

    #[test]
    fn the_manifest_lists_the_bases_of_the_built_architecture() {
        let manifest = platforms(TWO_BASES)
            .and_then(|all| all.of_architecture("amd64"))
            .and_then(|amd64| amd64.manifest())
            .unwrap();
        assert_eq!(
            manifest,
            "bases:\n\
             - name: ubuntu\n  channel: '22.04'\n  architectures:\n  - amd64\n\
             - name: ubuntu\n  channel: '24.04'\n  architectures:\n  - amd64\n"
        );
    }

    #[test]
    fn the_oldest_base_is_found_by_number() {
        let yaml = "platforms: {'ubuntu@22.04:amd64': , 'ubuntu@8.04:amd64': }";
        assert_eq!(
            platforms(yaml).unwrap().oldest().unwrap(),
            "ubuntu-8.04-amd64"
        );
    }

    #[test]
    fn what_is_not_a_platform_is_named() {
        for (yaml, expected) in [
            ("type: charm", "no mapping `platforms`"),
            ("platforms: {amd64: }", "platform `amd64`"),
            (
                "platforms: {'ubuntu@jammy:amd64': }",
                "platform `ubuntu@jammy:amd64`",
            ),
            ("platforms: {'ubuntu@22.04': }", "platform `ubuntu@22.04`"),
        ] {
            let error = platforms(yaml).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let error = platforms(TWO_BASES)
            .and_then(|all| all.of_architecture("s390x"))
            .unwrap_err();
        assert_eq!(error.to_string(), "charmcraft.yaml: no platform for s390x");
    }
}
