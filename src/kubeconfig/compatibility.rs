//! Whether driver, chart and the API versions that the management cluster serves fit together. The one place for what is
//! known of that; pure.

use pep440_rs::Version;
use serde_json::Value;

use super::access::{ADDONS, BOOTSTRAP, CONTROL_PLANE, CORE, OPENSTACK, Served};
use crate::check::Finding;
use crate::juju::settings::Settings;
use crate::system::limits;

/// From this driver on, the version of `OpenStackCluster` that it reads and the chart it takes by
/// default (`kubernetes.py` and `conf.py` of each release).
const DRIVERS: [([u64; 3], (&str, &str)); 3] =
    [([0, 0, 0], ("v1alpha6", "0.4.0")), ([1, 2, 0], ("v1alpha6", "0.10.1")), ([1, 4, 0], ("v1beta1", "0.10.1"))];
/// From this chart on, the version of the OpenStack resources that it creates (capi-helm-charts'
/// templates; Cluster API Provider OpenStack serves v1alpha7 until 0.11, v1alpha6 until 0.10).
const CHARTS: [([u64; 3], &str); 2] = [([0, 0, 0], "v1alpha7"), ([0, 11, 0], "v1beta1")];
/// The version of Cluster API's own resources that every release of driver and chart uses.
const CORE_VERSION: &str = "v1beta1";

/// The versions of what is grafted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stack {
    pub driver: Version,
    /// The chart's version if the operator names one; otherwise the driver's default counts.
    pub chart: Option<String>,
    /// The driver's option `api_resources`, which replaces the versions it reads.
    pub api_resources: Option<String>,
}

impl Stack {
    /// The stack of these settings; `given_chart` is the version of the attached chart.
    pub fn new(settings: &Settings, given_chart: Option<&str>) -> Self {
        let option = |key: &str| {
            let mut options = settings.capi_helm_options.iter();
            options.find(|(set, _)| *set == key).map(|(_, value)| value.to_owned())
        };
        let chart = given_chart.map(str::to_owned).or_else(|| settings.chart.version.clone());
        Self {
            driver: settings.driver.pin.version().clone(),
            chart: chart.or_else(|| option("default_helm_chart_version")),
            api_resources: option("api_resources"),
        }
    }

    /// The chart that clusters are made of.
    pub fn chart(&self) -> &str {
        let (_, default) = newest(&DRIVERS, &self.driver);
        self.chart.as_deref().unwrap_or(default)
    }

    /// Returns what does not fit to what is served: it fails if no cluster can be created, and warns if clusters work
    /// and are shown as unhealthy.
    pub fn incompatibilities(&self, served: &Served) -> Vec<Finding> {
        let missing: Vec<&str> = [CORE, CONTROL_PLANE, BOOTSTRAP, OPENSTACK, ADDONS]
            .into_iter()
            .filter(|group| !served.contains_key(*group))
            .collect();
        if !missing.is_empty() {
            return vec![Finding::fail(
                format!("it serves no {}", missing.join(", ")),
                "install Cluster API with its OpenStack provider and the addon provider of the chart there, or grant \
                 the kubeconfig of the cluster that has them",
            )];
        }
        let mut found = Vec::new();
        let mut created = vec![(CORE, CORE_VERSION), (CONTROL_PLANE, CORE_VERSION)];
        // A version that is no version, such as that of a chart under development, is not checked.
        if let Ok(chart) = self.chart().trim_start_matches('v').parse::<Version>() {
            created.push((OPENSTACK, newest(&CHARTS, &chart)));
        }
        for (group, version) in created {
            if let Some(others) = served_instead(served, group, version) {
                let chart = self.chart();
                found.push(Finding::fail(
                    format!("chart {chart} creates {group}/{version}, and it serves {others}"),
                    "set helm-chart-version to a chart for the served versions (0.11.0 and later create v1beta1), or \
                     install a provider that serves them",
                ));
            }
        }
        let (group, version) = self.reads();
        if let Some(others) = served_instead(served, &group, &version) {
            let driver = &self.driver;
            found.push(Finding::warn(
                format!(
                    "driver {driver} reads {group}/{version}, and it serves {others}: clusters will work and be shown \
                     UNHEALTHY"
                ),
                "set driver-pin to a driver for the served versions (1.4.0 and later read v1beta1)",
            ));
        }
        found
    }

    /// Returns group and version in which the driver reads an `OpenStackCluster`.
    fn reads(&self) -> (String, String) {
        let (own, _) = newest(&DRIVERS, &self.driver);
        let replaced = self.api_resources.as_deref().and_then(|text| {
            let resources: Value = limits::json(text.as_bytes()).ok()?;
            let version = resources["OpenstackCluster"]["api_version"].as_str()?;
            let (group, version) = version.split_once('/')?;
            Some((group.to_owned(), version.to_owned()))
        });
        replaced.unwrap_or_else(|| (OPENSTACK.to_owned(), own.to_owned()))
    }
}

/// Returns the last entry that begins at or before `version`.
fn newest<T: Copy + Default>(table: &[([u64; 3], T)], version: &Version) -> T {
    let entry = table.iter().rfind(|(from, _)| *version >= Version::new(from));
    entry.map(|(_, value)| *value).unwrap_or_default()
}

/// Returns the versions of a group that are served instead of this one; `None` if this one is.
fn served_instead(served: &Served, group: &str, version: &str) -> Option<String> {
    match served.get(group).map(Vec::as_slice).unwrap_or_default() {
        [] => Some("none of it".to_owned()),
        versions if versions.iter().any(|found| found == version) => None,
        versions => Some(versions.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(openstack: &[&str]) -> Served {
        let versions = |versions: &[&str]| versions.iter().map(|&v| v.to_owned()).collect();
        Served::from([
            (CORE.to_owned(), versions(&["v1beta1"])),
            (CONTROL_PLANE.to_owned(), versions(&["v1beta1"])),
            (BOOTSTRAP.to_owned(), versions(&["v1beta1"])),
            (ADDONS.to_owned(), versions(&["v1alpha1"])),
            (OPENSTACK.to_owned(), versions(openstack)),
        ])
    }

    fn stack(driver: &str, chart: Option<&str>) -> Stack {
        Stack { driver: driver.parse().unwrap(), chart: chart.map(str::to_owned), api_resources: None }
    }

    /// The coherence that breaks real clouds, one row each.
    #[test]
    fn what_breaks_is_told_from_what_only_looks_broken() {
        let old = ["v1alpha6", "v1alpha7"];
        let middle = ["v1alpha7", "v1beta1"];
        let new = ["v1beta1"];
        use crate::check::Status::{Fail, Warn};
        for (driver, chart, openstack, expected) in [
            ("1.1.0", None, &old[..], vec![]),
            ("1.1.0", None, &middle, vec![Warn]),
            ("1.1.0", None, &new, vec![Fail, Warn]),
            ("1.1.0", Some("0.25.1"), &new, vec![Warn]),
            ("1.4.0", None, &new, vec![Fail]),
            ("1.4.0", Some("0.25.1"), &new, vec![]),
            ("1.4.0", Some("v0.11.0"), &old, vec![Fail, Warn]),
            ("1.3.0", Some("main"), &middle, vec![Warn]),
        ] {
            let found = stack(driver, chart).incompatibilities(&served(openstack));
            let statuses: Vec<_> = found.iter().map(|finding| finding.status).collect();
            assert_eq!(statuses, expected, "{driver} {chart:?} {openstack:?}");
        }
    }

    #[test]
    fn what_is_not_there_at_all_is_named() {
        let mut without = served(&["v1beta1"]);
        without.remove(OPENSTACK);
        let found = stack("1.4.0", None).incompatibilities(&without);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].evidence, "it serves no infrastructure.cluster.x-k8s.io");
    }

    #[test]
    fn the_drivers_own_option_replaces_what_it_reads() {
        let mut stack = stack("1.4.0", Some("0.25.1"));
        stack.api_resources =
            Some(r#"{"OpenstackCluster": {"api_version": "infrastructure.cluster.x-k8s.io/v1beta2"}}"#.to_owned());
        let found = stack.incompatibilities(&served(&["v1beta1"]));
        assert!(found[0].evidence.contains("reads infrastructure.cluster.x-k8s.io/v1beta2"));
    }
}
