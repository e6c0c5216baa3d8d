//! The fault matrix: each fault is found by the checks meant for it, and by no other; its evidence
//! names the place; and what the remedy says makes `verify` green again: the next hook, a command that
//! stands in its text, or what its words mean here.
//!
//! Among them are every row of the runbook's section 9, and every way in which its own checks
//! mislead.

mod driver;
mod files;
mod kubeconfig;
mod links;
mod services;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::support::{Deployment, Shared, soak};
use crate::verify::{checks, is_without_keystone};

/// A fault.
pub struct Fault {
    name: &'static str,
    seed: Seed,
    /// The checks that find it, by failing or warning; all the others stay quiet.
    found_by: &'static [&'static str],
    /// What the first of them shows as evidence.
    evidence: &'static [&'static str],
    /// What the first of them says is to be done; of a fault that a hook mends, one of them.
    remedy: &'static str,
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
    /// By a command that stands in the finding, typed on the unit as it stands there.
    Typed,
    /// By what the remedy means, as a shell script on the unit.
    Shell(String),
    /// By what the remedy means, elsewhere.
    Done(Box<dyn Fn(&Deployment)>),
}

/// What a check found.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    status: String,
    evidence: String,
    remedy: String,
}

/// A fault by a script, that the next hook mends.
fn fault(
    name: &'static str,
    seed: impl Into<String>,
    found_by: &'static [&'static str],
    evidence: &'static [&'static str],
) -> Fault {
    Fault { name, seed: Seed::Shell(seed.into()), found_by, evidence, remedy: "any hook", mend: Mend::Hook }
}

impl Fault {
    /// Mended by this script instead, which does what the remedy says: no hook does it.
    fn by(mut self, remedy: &'static str, script: impl Into<String>) -> Self {
        self.remedy = remedy;
        self.mend = Mend::Shell(script.into());
        self
    }

    /// Mended by this command, which stands in the finding.
    fn typed(mut self, command: &'static str) -> Self {
        self.remedy = command;
        self.mend = Mend::Typed;
        self
    }

    /// Whether no check finds both.
    fn is_apart_from(&self, other: &Self) -> bool {
        !self.found_by.iter().any(|id| other.found_by.contains(id))
    }

    /// Whether one of the findings says what is to be done: the first, unless a hook does it.
    fn is_remedied(&self, found: &BTreeMap<String, Found>) -> bool {
        let says = |found: &Found| {
            found.remedy.contains(self.remedy)
                || matches!(self.mend, Mend::Typed) && found.evidence.ends_with(self.remedy)
        };
        match self.mend {
            Mend::Hook => found.values().any(says),
            _ => found.get(self.found_by[0]).is_some_and(says),
        }
    }
}

/// A whole graft, with a chart of its own.
fn healthy() -> Shared {
    let it = Deployment::active();
    chart_of_its_own(&it);
    assert_eq!(findings(&it), BTreeMap::new(), "a whole graft");
    it
}

/// The unit reaches no chart repository: it is given a chart.
pub fn chart_of_its_own(it: &Deployment) {
    it.shell("cd /root; helm create openstack-cluster >/dev/null; helm package --version 0.10.1 openstack-cluster >/dev/null");
    let chart = it.machine().read("/root/openstack-cluster-0.10.1.tgz");
    it.application.attach_resource("helm-chart", Some(chart.unwrap())).unwrap();
    it.upgrade();
}

/// What is not well, by id, but for Keystone, which no unit here has.
pub fn findings(it: &Deployment) -> BTreeMap<String, Found> {
    let all = checks(&it.action("verify"));
    let found = |check: &Value| {
        let text = |key: &str| check[key].as_str().unwrap().to_owned();
        Found { status: text("status"), evidence: text("evidence"), remedy: text("remedy") }
    };
    all.into_iter()
        .filter(|(_, check)| !is_without_keystone(check))
        .map(|(id, check)| (id, found(&check)))
        .filter(|(_, found)| ["fail", "warn"].contains(&found.status.as_str()))
        .collect()
}

/// The first of those that the same checks find, and every one of the runbook's.
fn one_of_each(faults: Vec<Fault>) -> Vec<Fault> {
    let mut seen = BTreeSet::new();
    faults.into_iter().filter(|fault| seen.insert(fault.found_by) || fault.name.contains("runbook")).collect()
}

/// In an order in which as few as can be follow one that the same checks find.
fn mixed(mut faults: Vec<Fault>) -> Vec<Fault> {
    let mut all: Vec<Fault> = Vec::new();
    while !faults.is_empty() {
        let apart = |fault: &Fault| all.last().is_none_or(|last| last.is_apart_from(fault));
        let at = faults.iter().position(apart).unwrap_or(0);
        all.push(faults.remove(at));
    }
    all
}

/// Seeds and mends one fault after the other, and tells all that went otherwise.
fn each_is_found_and_mended(faults: Vec<Fault>) {
    let it = healthy();
    let faults = mixed(if soak(true, false) { one_of_each(faults) } else { faults });
    let mut wrong = Vec::new();
    for (number, fault) in faults.iter().enumerate() {
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
        let evidence = found.get(fault.found_by[0]).map(|found| found.evidence.as_str());
        for word in fault.evidence {
            if !evidence.unwrap_or_default().contains(word) {
                wrong.push(format!("{case}: no {word:?} in {evidence:?}"));
            }
        }
        if !fault.is_remedied(&found) {
            wrong.push(format!("{case}: no remedy {:?} in {found:#?}", fault.remedy));
        }
        match &fault.mend {
            Mend::Hook => drop(it.hook("update-status")),
            Mend::Typed => drop(it.shell(fault.remedy)),
            Mend::Shell(script) => drop(it.shell(script)),
            Mend::Done(mend) => mend(&it),
        }
        it.machine().wait_for_magnum().unwrap();
        // What is left of a fault shows among the findings of the next one, if other checks find that.
        let next = faults.get(number + 1);
        if soak(true, false) && next.is_some_and(|next| next.is_apart_from(fault)) {
            continue;
        }
        let left = findings(&it);
        if !left.is_empty() {
            wrong.push(format!("{case}: mended, and left {left:#?}"));
            // So that the next fault is seen by itself.
            it.shell("systemctl restart magnum-api magnum-conductor");
            it.hook("config-changed");
        }
    }
    eprintln!("{} faults, {} findings that went otherwise", faults.len(), wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn each_fault_of_the_configuration_is_found_and_mended() {
    each_is_found_and_mended(files::of_the_configuration());
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn each_fault_of_kubeconfig_and_drop_ins_is_found_and_mended() {
    each_is_found_and_mended([kubeconfig::of_the_file(), files::of_the_drop_ins()].into_iter().flatten().collect());
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn each_fault_of_the_driver_is_found_and_mended() {
    each_is_found_and_mended(driver::of_the_driver());
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn each_fault_of_the_management_cluster_is_found_and_mended() {
    each_is_found_and_mended(kubeconfig::of_the_cluster());
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn each_fault_of_helm_and_the_links_of_the_chain_is_found_and_mended_and_the_graft_is_not_blamed() {
    each_is_found_and_mended([driver::of_what_it_needs(), links::of_the_links()].into_iter().flatten().collect());
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn each_fault_of_the_services_is_found_and_mended() {
    each_is_found_and_mended(services::of_the_services());
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn each_fault_that_shows_in_what_the_services_log_or_answer_is_found_and_mended() {
    each_is_found_and_mended(services::of_what_they_say());
}
