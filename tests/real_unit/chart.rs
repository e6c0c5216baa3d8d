//! The chart: given with the charm, or named by options.

use lab::Fault;

use crate::support::mirror::sha256;
use crate::support::{CONF, Deployment, assert_same, conf};

const CHART: &str = "/usr/local/share/magnum-capi-helm/chart.tgz";

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn a_chart_that_is_given_is_what_the_services_use_and_helm_can_read_it() {
    let it = Deployment::active();
    let untouched = it.graft();
    let attach = |content| it.application.attach_resource("helm-chart", content).unwrap();
    for (case, content) in [
        ("garbage", b"this is no chart".to_vec()),
        ("a tarball of something else", {
            it.shell("cd /etc; tar czf /root/other.tgz hostname");
            it.machine().read("/root/other.tgz").unwrap()
        }),
    ] {
        attach(Some(content));
        let runs = it.upgrade();
        it.assert_status("blocked", &["helm-chart"], case);
        assert!(runs.iter().any(|run| run.log_text().contains("helm package")), "{case}: {runs:?}");
        assert_same(&untouched.diff_exact(&it.graft()), case);
    }

    it.shell("cd /root; helm create openstack-cluster >/dev/null; helm package --version 0.25.1 openstack-cluster >/dev/null");
    let chart = it.machine().read("/root/openstack-cluster-0.25.1.tgz").unwrap();
    attach(Some(chart.clone()));
    it.upgrade();
    it.assert_status("active", &["Driver 1.1.0 grafted"], "a chart");
    assert_eq!(it.machine().read(CHART).unwrap(), chart);
    let lines = format!("helm_chart_repo =\nhelm_chart_name = {CHART}\ndefault_helm_chart_version = 0.25.1\n");
    assert_eq!(it.machine().read_text(CONF).unwrap(), conf(&lines));
    let effective = &it.ask_magnum()["capi_helm"];
    assert_eq!(effective["helm_chart_repo"], "");
    assert_eq!(effective["helm_chart_name"], CHART);
    assert_eq!(effective["default_helm_chart_version"], "0.25.1");
    // As the driver calls it, with the version it asks for.
    let shown = it.shell(&format!("sudo -u magnum helm show chart {CHART} --version 0.25.1"));
    assert!(shown.contains("name: openstack-cluster"), "{shown}");
    let rendered = it.shell(&format!("sudo -u magnum env HOME=/tmp helm template my-cluster {CHART} --version 0.25.1"));
    assert!(rendered.contains("kind: Deployment"), "{rendered}");
    let record: serde_json::Value = serde_json::from_str(&it.action("verify").results["record"]).unwrap();
    assert_eq!(record["chart"]["version"], "0.25.1");
    assert_eq!(record["chart"]["sha256"], sha256(&chart));
    assert_eq!(record["chart"]["source"], "resource helm-chart");

    for harm in ["rm", "truncate -s 10", "chmod 0600", "chown magnum"] {
        let services = it.services();
        it.shell(&format!("{harm} {CHART}"));
        it.hook("update-status");
        it.assert_status("active", &["Driver 1.1.0 grafted"], harm);
        assert_eq!(it.machine().read(CHART).unwrap(), chart, "{harm}");
        it.shell(&format!("sudo -u magnum helm show chart {CHART}"));
        assert_eq!(it.services(), services, "{harm}: helm reads it anew each time");
    }

    // A controller that does not serve a resource for once has not withdrawn it.
    let (given, services) = (it.graft(), it.services());
    let stderr = "ERROR could not download resource: HTTP request failed: connection refused\n";
    let fault = Fault::Exit { code: 1, stderr: stderr.into() };
    it.unit.break_tool("resource-get", fault).unwrap();
    let run = it.hook("config-changed");
    let log = run.log_text();
    assert!(log.contains("does not serve the resource helm-chart"), "{log}");
    it.assert_status("active", &["Driver 1.1.0 grafted"], "no resources for now");
    assert_same(&given.diff(&it.graft()), "no resources for now");
    it.hook("update-status");
    assert_eq!(it.services(), services, "no resources for now");
    it.unit.mend_tool("resource-get").unwrap();

    it.set(&[("helm-chart-version", "0.10.1")]);
    attach(None);
    it.set(&[("helm-chart-repo", "https://charts.example.org/mirror")]);
    it.upgrade();
    it.assert_status("active", &["Driver 1.1.0 grafted"], "options");
    let lines = "helm_chart_repo = https://charts.example.org/mirror\ndefault_helm_chart_version = 0.10.1\n";
    assert_eq!(it.machine().read_text(CONF).unwrap(), conf(lines));
    assert!(!it.machine().exists(CHART).unwrap(), "it is of no use now");
    let effective = &it.ask_magnum()["capi_helm"];
    assert_eq!(effective["default_helm_chart_version"], "0.10.1");
    assert_eq!(effective["helm_chart_repo"], "https://charts.example.org/mirror");
}
