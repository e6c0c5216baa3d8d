//! The Helm chart, for units without a way to a chart repository: kept on the unit, and named in
//! the configuration.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};
use flate2::read::GzDecoder;
use serde::Deserialize;

use crate::problem::Problem;
use crate::unit::files;

/// Where the charm keeps the chart it is given; readable for user magnum's helm.
pub const PATH: &str = "/usr/local/share/magnum-capi-helm/chart.tgz";

/// A packaged chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chart {
    /// Its version, from `Chart.yaml`.
    pub version: String,
    /// The archive.
    pub bytes: Vec<u8>,
}

/// What is read of [`Chart.yaml`](https://helm.sh/docs/topics/charts/#the-chartyaml-file).
#[derive(Deserialize)]
struct ChartYaml {
    name: String,
    version: String,
}

impl Chart {
    /// Reads the packaged chart at `path`.
    ///
    /// # Errors
    /// A [`Problem`] when it is none.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = files::read(path)?;
        let version = version(&bytes).map_err(|error| {
            Problem::blocked(format!(
                "resource helm-chart is no packaged chart: {error:#}; attach what `helm package` \
                 or `helm pull` writes"
            ))
        })?;
        Ok(Self { version, bytes })
    }
}

fn version(bytes: &[u8]) -> Result<String> {
    let mut archive = tar::Archive::new(GzDecoder::new(bytes));
    for entry in archive.entries().context("it is no .tgz")? {
        let mut entry = entry.context("it is a damaged .tgz")?;
        let path = entry.path().context("it holds an odd name")?.into_owned();
        // CHART/Chart.yaml; those of dependencies lie deeper.
        if path.components().count() != 2 || !path.ends_with("Chart.yaml") {
            continue;
        }
        let mut text = String::new();
        entry
            .read_to_string(&mut text)
            .context("reading its Chart.yaml")?;
        let chart: ChartYaml = serde_yaml::from_str(&text).context("its Chart.yaml")?;
        let plain = |c: char| c.is_ascii_alphanumeric() || ".-+".contains(c);
        anyhow::ensure!(
            !chart.version.is_empty() && chart.version.chars().all(plain),
            "the chart {} has no plain version",
            chart.name
        );
        return Ok(chart.version);
    }
    anyhow::bail!("it holds no Chart.yaml")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packaged(files: &[(&str, &str)]) -> Vec<u8> {
        let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(
            Vec::new(),
            flate2::Compression::fast(),
        ));
        for (name, text) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_cksum();
            archive
                .append_data(&mut header, name, text.as_bytes())
                .unwrap();
        }
        archive.into_inner().unwrap().finish().unwrap()
    }

    #[test]
    fn the_version_is_the_charts_own_and_not_a_dependencys() {
        let chart = packaged(&[
            (
                "openstack-cluster/charts/addons/Chart.yaml",
                "name: addons\nversion: 9.9.9\n",
            ),
            (
                "openstack-cluster/Chart.yaml",
                "name: openstack-cluster\nversion: 0.10.1\n",
            ),
        ]);
        assert_eq!(version(&chart).unwrap(), "0.10.1");
    }

    #[test]
    fn what_is_no_chart_is_refused() {
        assert!(version(b"not a tarball").is_err());
        assert!(version(&packaged(&[("x/README.md", "")])).is_err());
        assert!(
            version(&packaged(&[(
                "x/Chart.yaml",
                "name: x\nversion: \"a b\"\n"
            )]))
            .is_err()
        );
    }
}
