//! A packaged chart, as `helm package` and `helm pull` write it.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use flate2::read::GzDecoder;
use serde::Deserialize;

use super::PATH;
use crate::problem::Problem;
use crate::system::limits::is_modest_yaml;
use crate::system::{Entry, Limited, ManagedFile, Root};

/// The most bytes that are unpacked while looking for `Chart.yaml`.
pub(crate) const UNPACKED_LIMIT: u64 = 64 << 20;
const CHART_YAML_LIMIT: u64 = 64 << 10;
const MOST_MEMBERS: usize = 10_000;
/// The longest version, in characters; it becomes a part of a command line.
const LONGEST_VERSION: usize = 100;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChartArchive {
    /// Its version, from `Chart.yaml`.
    pub version: String,
    pub bytes: Vec<u8>,
}

/// What is read of [`Chart.yaml`](https://helm.sh/docs/topics/charts/#the-chartyaml-file).
#[derive(Deserialize)]
struct ChartYaml {
    name: String,
    version: String,
}

impl ChartArchive {
    /// Reads the packaged chart at `path`, the resource `helm-chart`.
    ///
    /// # Errors
    /// A [`Problem`] if it is not a packaged chart.
    pub fn read(root: &Root, path: &Path) -> Result<Self> {
        let refused = |wrong: String| {
            let detail = format!(
                "resource helm-chart is not a packaged chart: {wrong}; attach what `helm package` or `helm pull` writes"
            );
            Problem::blocked("Invalid resource helm-chart", detail)
        };
        let Entry::File(file) = root.inspect(path)? else {
            return Err(refused("it is missing, not a file, or a file of more than 8 MiB".to_owned()).into());
        };
        let version = version(&file.bytes, UNPACKED_LIMIT).map_err(|error| refused(format!("{error:#}")))?;
        Ok(Self { version, bytes: file.bytes })
    }

    /// The file that the charm keeps on the unit.
    pub fn managed_file(&self) -> ManagedFile {
        ManagedFile::public(PATH, self.bytes.clone())
    }
}

pub(crate) fn version(bytes: &[u8], limit: u64) -> Result<String> {
    let unpacked = Limited::new(GzDecoder::new(bytes), limit);
    let mut archive = tar::Archive::new(unpacked);
    // Raw: the long names of GNU and PAX, which have no size limit, are skipped and not collected.
    let entries = archive.entries().context("it is not a .tgz")?.raw(true);
    for (index, entry) in entries.enumerate() {
        ensure!(index < MOST_MEMBERS, "it has more than {MOST_MEMBERS} members");
        let entry = entry.context("it is a damaged .tgz")?;
        let path = entry.path().context("it contains an odd name")?.into_owned();
        // CHART/Chart.yaml; those of dependencies lie deeper.
        if path.components().count() != 2 || !path.ends_with("Chart.yaml") {
            continue;
        }
        let mut text = String::new();
        Limited::new(entry, CHART_YAML_LIMIT).read_to_string(&mut text).context("reading its Chart.yaml")?;
        ensure!(is_modest_yaml(&text), "its Chart.yaml is nested too deeply, or has too many values or aliases");
        let chart: ChartYaml = serde_yaml::from_str(&text).context("its Chart.yaml")?;
        let plain = |c: char| c.is_ascii_alphanumeric() || ".-+".contains(c);
        ensure!(
            (1..=LONGEST_VERSION).contains(&chart.version.len()) && chart.version.chars().all(plain),
            "the chart {} has no plain version",
            chart.name
        );
        return Ok(chart.version);
    }
    bail!("it contains no Chart.yaml")
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use crate::system::testing::Scratch;

    use super::*;

    fn packaged(files: &[(&str, &str)]) -> Vec<u8> {
        let encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let mut archive = tar::Builder::new(encoder);
        for (name, text) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_cksum();
            archive.append_data(&mut header, name, text.as_bytes()).unwrap();
        }
        archive.into_inner().unwrap().finish().unwrap()
    }

    fn read(content: &[u8]) -> Result<ChartArchive> {
        let scratch = Scratch::new();
        scratch.put("/chart", content);
        ChartArchive::read(&scratch.root, Path::new("/chart"))
    }

    #[test]
    fn the_version_is_the_charts_own_and_not_a_dependencys() {
        let content = packaged(&[
            ("openstack-cluster/charts/addons/Chart.yaml", "name: addons\nversion: 9.9.9\n"),
            ("openstack-cluster/Chart.yaml", "name: openstack-cluster\nversion: 0.10.1\n"),
        ]);
        let chart = read(&content).unwrap();
        assert_eq!(chart.version, "0.10.1");
        assert_eq!(chart.managed_file(), ManagedFile::public(PATH, content));
    }

    #[test]
    fn what_is_not_a_chart_or_over_a_limit_is_refused() {
        let large = "x".repeat(CHART_YAML_LIMIT as usize + 1);
        let many = vec![("x/y", ""); MOST_MEMBERS + 1];
        for (content, expected) in [
            (b"not a tarball".to_vec(), "damaged .tgz"),
            (packaged(&[("x/README.md", "")]), "contains no Chart.yaml"),
            (packaged(&[("x/Chart.yaml", "name: x\nversion: \"a b\"\n")]), "the chart x has no plain version"),
            (packaged(&[("x/Chart.yaml", &large)]), "more than 65536 bytes"),
            (packaged(&[("x/Chart.yaml", &format!("name: x\nversion: v{}", "1".repeat(100)))]), "no plain version"),
            (packaged(&[("x/Chart.yaml", &"[".repeat(20_000))]), "nested too deeply"),
            (packaged(&many), "more than 10000 members"),
            (vec![0; (8 << 20) + 1], "a file of more than 8 MiB"),
        ] {
            let problem: Problem = read(&content).unwrap_err().downcast().unwrap();
            assert_eq!(problem.summary, "Invalid resource helm-chart");
            assert!(problem.detail.contains(expected), "{expected}: {problem}");
        }
    }

    #[test]
    fn the_bytes_are_counted_and_not_believed() {
        let content = packaged(&[("x/y", &"x".repeat(5000))]);
        let error = version(&content, 4096).unwrap_err();
        assert!(format!("{error:#}").contains("more than 4096 bytes"), "{error:#}");
    }
}
