//! A table of kubeconfigs: as the tools write them, and with every fault that hands and tools put in. For each it
//! says which drivers can use it, and that is held against the driver's own client code and its helm, on a unit,
//! and against the charm's verdict, which asks the same two.
//!
//! Driver and helm read the very same file, with different eyes: usable is what both can use.

mod authority;
mod certificate;
mod document;
mod leads;
mod material;
mod online;
mod server;
mod shapes;
mod unit;
mod user;

use std::collections::BTreeMap;

use crate::support::{VERSIONS, soak, timed};
use online::{Unseen, trusting, unseen};
use unit::{Refusal, TestUnit, Verdict, file};

/// Which drivers can use a kubeconfig.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Every,
    /// Those from 1.3.0 on.
    Tokens,
    Nobody,
}

impl By {
    fn serves(self, version: &str) -> bool {
        match self {
            Self::Every => true,
            Self::Tokens => !["1.1.0", "1.2.1"].contains(&version),
            Self::Nobody => false,
        }
    }
}

/// What the charm refuses though driver and helm take it: a field twice, which YAML forbids and of which each reader
/// may take another, and names that are null.
const STRICTER: [&str; 5] = [
    "a field twice at the top, the last one right",
    "a list twice",
    "a field of the user twice",
    "a field of the user twice, the last one right",
    "names that are null",
];

/// One kubeconfig.
pub struct Case {
    name: &'static str,
    text: String,
    /// Who can use it.
    usable: By,
    /// Who can use it as the charm sees it, without asking the management cluster.
    charm: By,
}

impl Case {
    fn new(name: &'static str, usable: By, text: impl AsRef<str>) -> Self {
        let charm = if STRICTER.contains(&name) { By::Nobody } else { usable };
        Self { name, text: text.as_ref().to_owned(), usable, charm }
    }
}

/// `BY "name" => text;` makes the cases of a file.
macro_rules! table {
    ($($by:ident $name:literal => $text:expr;)*) => {
        pub fn cases() -> Vec<Case> {
            use super::By;
            vec![$(Case::new($name, By::$by, $text)),*]
        }
    };
}
use table;

/// The drivers that are asked: one that knows no token, and one that does. In a soak run all of them.
fn versions() -> &'static [&'static str] {
    soak(&["1.1.0", "1.4.0"], &VERSIONS)
}

/// What everybody says of the cases of a directory.
struct Answers {
    helm: BTreeMap<String, Refusal>,
    /// By version.
    driver: BTreeMap<&'static str, BTreeMap<String, Refusal>>,
    /// By version.
    charm: BTreeMap<&'static str, BTreeMap<String, Verdict>>,
}

/// The files of the cases about which the charm is asked where this driver is installed. By default, with an old one,
/// only those of which the drivers think differently.
fn asked_of_the_charm(version: &str, cases: &[Case]) -> Vec<String> {
    let is_newest = versions().last() == Some(&version);
    let asked = |case: &Case| soak(is_newest || case.charm == By::Tokens || case.usable == By::Tokens, true);
    cases.iter().enumerate().filter(|(_, case)| asked(case)).map(|(number, _)| file(number)).collect()
}

impl Answers {
    /// Lays the cases out and asks; `how` are further arguments for the charm's program.
    fn to(unit: &TestUnit, directory: &str, cases: &[Case], how: &str) -> Self {
        unit.lay_out(directory, cases);
        let each = || versions().iter().copied();
        let driver = || each().map(|version| (version, unit.driver(version, directory))).collect();
        let charm = || {
            let asked = each().map(|version| (version, asked_of_the_charm(version, cases)));
            let verdicts = |files: Vec<String>, version| match files.is_empty() {
                true => BTreeMap::new(),
                false => unit.charm(version, directory, &files, how),
            };
            asked.map(|(version, files)| (version, verdicts(files, version))).collect()
        };
        std::thread::scope(|scope| {
            let driver = scope.spawn(|| timed("drivers", driver));
            let helm = timed("helm", || unit.helm(directory));
            Self { helm, charm: timed("charm", charm), driver: driver.join().unwrap() }
        })
    }

    /// Prints a case and what was said of it. Returns where that is not what was expected.
    fn disagreements(&self, number: usize, case: &Case) -> Vec<String> {
        let file = file(number);
        println!("{:?}: {}", case.usable, case.name);
        let helm = &self.helm[&file];
        say("helm", "", helm);
        let (mut both, mut alone) = (Vec::new(), Vec::new());
        for &version in versions() {
            let driver = &self.driver[version][&file];
            say("driver", version, driver);
            if case.usable.serves(version) != (helm.is_none() && driver.is_none()) {
                both.push(version);
            }
            if let Some(Verdict { refusal, .. }) = self.charm[version].get(&file) {
                say("charm", version, refusal);
                if case.charm.serves(version) != refusal.is_none() {
                    alone.push(version);
                }
            }
        }
        let named = |who, expected: By, versions: Vec<&str>| {
            let versions = (!versions.is_empty()).then(|| versions.join(", "))?;
            Some(format!("{}: {expected:?}, and not so {who} of {versions}", case.name))
        };
        let wrong = [named("driver and helm", case.usable, both), named("the charm", case.charm, alone)];
        wrong.into_iter().flatten().collect()
    }
}

/// The reason of a refusal, on one line and not all of it.
fn say(who: &str, version: &str, refusal: &Refusal) {
    if let Some(reason) = refusal {
        let words: Vec<&str> = reason.split_whitespace().collect();
        let line: String = words.join(" ").chars().take(160).collect();
        println!("    {who:6} {version:5}  {line}");
    }
}

#[track_caller]
fn assert_none(wrong: &[String]) {
    let all = wrong.join("\n");
    assert!(wrong.is_empty(), "{} disagreements:\n{all}", wrong.len());
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn the_verdict_on_a_kubeconfig_is_what_driver_and_helm_make_of_it() {
    let unit = timed("unit", TestUnit::new);
    let topics = [
        shapes::cases(),
        document::cases(),
        leads::cases(),
        server::cases(),
        authority::cases(),
        certificate::cases(),
        user::cases(),
    ];
    let cases: Vec<Case> = topics.into_iter().flatten().collect();
    let answers = Answers::to(&unit, "/etc/magnum/table", &cases, "--offline");
    println!("{} kubeconfigs, {} drivers", cases.len(), versions().len());
    let each = cases.iter().enumerate();
    let wrong: Vec<String> = each.flat_map(|(number, case)| answers.disagreements(number, case)).collect();
    assert_none(&wrong);
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn what_only_the_management_cluster_can_tell_is_seen_when_it_is_asked() {
    let unit = TestUnit::new();
    let (cases, checks): (Vec<Case>, Vec<_>) = unseen()
        .into_iter()
        .chain(trusting().into_iter().map(Unseen::until_trusted))
        .map(|unseen| (unseen.case, (unseen.check, unseen.status)))
        .unzip();
    let answers = Answers::to(&unit, "/etc/magnum/unseen", &cases, "");
    let mut wrong = Vec::new();
    for (number, (case, (check, status))) in cases.iter().zip(checks).enumerate() {
        wrong.extend(answers.disagreements(number, case));
        for &version in versions().iter().filter(|version| case.charm.serves(version)) {
            let Some(verdict) = answers.charm[version].get(&file(number)) else { continue };
            let (found, evidence) = &verdict.checks[check];
            println!("    {check} {version}  {evidence}");
            if found != status {
                wrong.push(format!("{}, {version}: {check} is {found}, not {status}", case.name));
            }
        }
    }

    unit.trust_the_cluster();
    let cases = trusting();
    let answers = Answers::to(&unit, "/etc/magnum/trusting", &cases, "");
    for (number, case) in cases.iter().enumerate() {
        wrong.extend(answers.disagreements(number, case));
        for &version in versions() {
            let Some(verdict) = answers.charm[version].get(&file(number)) else { continue };
            let (found, evidence) = &verdict.checks["management-identity"];
            if found != "pass" {
                wrong.push(format!("{}, {version}: trusted, and {evidence}", case.name));
            }
        }
    }
    assert_none(&wrong);
}
