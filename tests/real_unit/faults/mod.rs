//! The fault matrix: each fault is found by the checks meant for it, and by no other; its evidence
//! names the place; and what the remedy says, or the next hook, makes `verify` green again.
//!
//! Among them are every row of the runbook's section 9, and every way in which its own checks
//! mislead.

mod driver;
mod files;
mod kubeconfig;
mod links;
mod services;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::Deployment;
use crate::verify::checks;

/// A fault.
pub struct Fault {
    name: &'static str,
    seed: Seed,
    /// The checks that find it, by failing or warning; all the others stay quiet.
    found_by: &'static [&'static str],
    /// What the first of them shows as evidence.
    evidence: &'static [&'static str],
    mend: Mend,
}

/// How a fault comes about.
pub enum Seed {
    /// By a shell script on the unit.
    Shell(String),
    /// By anything else.
    Done(Box<dyn Fn(&Deployment)>),
}

/// How it is mended.
pub enum Mend {
    /// By the next hook.
    Hook,
    /// By what the remedy says, as a shell script on the unit.
    Shell(String),
    /// By what the remedy says, elsewhere.
    Done(Box<dyn Fn(&Deployment)>),
}

/// A fault by a script, that the next hook mends.
fn fault(
    name: &'static str,
    seed: impl Into<String>,
    found_by: &'static [&'static str],
    evidence: &'static [&'static str],
) -> Fault {
    Fault {
        name,
        seed: Seed::Shell(seed.into()),
        found_by,
        evidence,
        mend: Mend::Hook,
    }
}

impl Fault {
    /// Mended by this script instead: no hook does it.
    fn by(mut self, script: impl Into<String>) -> Self {
        self.mend = Mend::Shell(script.into());
        self
    }
}

/// A whole graft, with a chart of its own.
fn healthy() -> Deployment {
    let it = Deployment::active();
    chart_of_its_own(&it);
    assert_eq!(findings(&it), BTreeMap::new(), "a whole graft");
    it
}

/// The unit reaches no chart repository: it is given a chart.
pub fn chart_of_its_own(it: &Deployment) {
    it.shell("cd /root; helm create openstack-cluster >/dev/null; helm package --version 0.10.1 openstack-cluster >/dev/null");
    let chart = it.machine().read("/root/openstack-cluster-0.10.1.tgz");
    it.application
        .attach_resource("helm-chart", Some(chart.unwrap()))
        .unwrap();
    it.upgrade();
}

/// What is not well: by id, how bad, and the evidence.
pub fn findings(it: &Deployment) -> BTreeMap<String, (String, String)> {
    let all = checks(&it.action("verify"));
    let text = |check: &Value, key: &str| check[key].as_str().unwrap().to_owned();
    all.into_iter()
        .filter(|(_, check)| ["fail", "warn"].contains(&check["status"].as_str().unwrap()))
        .map(|(id, check)| (id, (text(&check, "status"), text(&check, "evidence"))))
        .collect()
}

/// Seeds and mends one fault after the other, and tells all that went otherwise.
fn each_is_found_and_mended(faults: Vec<Fault>) {
    let it = healthy();
    let count = faults.len();
    let mut wrong = Vec::new();
    for fault in faults {
        let case = fault.name;
        match &fault.seed {
            Seed::Shell(script) => drop(it.shell(script)),
            Seed::Done(seed) => seed(&it),
        }
        let found = findings(&it);
        let ids: Vec<&str> = found.keys().map(String::as_str).collect();
        let mut expected = fault.found_by.to_vec();
        expected.sort_unstable();
        if ids != expected {
            wrong.push(format!("{case}: found by {found:#?}, not by {expected:?}"));
        }
        let evidence = found
            .get(fault.found_by[0])
            .map(|(_, evidence)| evidence.as_str());
        for word in fault.evidence {
            if !evidence.unwrap_or_default().contains(word) {
                wrong.push(format!("{case}: no {word:?} in {evidence:?}"));
            }
        }
        match &fault.mend {
            Mend::Hook => drop(it.hook("update-status")),
            Mend::Shell(script) => drop(it.shell(script)),
            Mend::Done(mend) => mend(&it),
        }
        it.machine().wait_for_magnum().unwrap();
        let left = findings(&it);
        if !left.is_empty() {
            wrong.push(format!("{case}: mended, and left {left:#?}"));
            // So that the next fault is seen by itself.
            it.shell("systemctl restart magnum-api magnum-conductor");
            it.hook("config-changed");
        }
    }
    eprintln!(
        "{count} faults, {} findings that went otherwise",
        wrong.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
