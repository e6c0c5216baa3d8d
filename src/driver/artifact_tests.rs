//! Tests of obtaining and installing the driver, with a Python that is played.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::inspect;
use super::super::tests::{DIST_INFO, MODULE, SITE, installation, installed, pin, python, record, wheel, zip_of};
use super::*;
use crate::problem::Problem;
use crate::system::Backups;
use crate::system::testing::{Scratch, command_line};

/// A unit whose Python gives this answer, and how often it was asked.
fn unit(scratch: &Scratch, answer: &'static str) -> (System, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let system = scratch.system(move |command| {
        counted.fetch_add(1, Ordering::Relaxed);
        let line = command_line(command);
        if line.ends_with(" fetch") {
            return None;
        }
        assert!(line.ends_with("magnum-capi-helm k8s_capi_helm_v1 --config-file=/etc/magnum/magnum.conf"), "{line}");
        (!answer.is_empty()).then(|| answer.to_owned())
    });
    (system, count)
}

const GOOD: &str = r#"{"version": "1.1.0", "missing": [], "options": ["kubeconfig_file"]}"#;

fn source_of(scratch: &Scratch, wheel: &[u8]) -> DriverSource {
    scratch.put("/var/lib/juju/driver.whl", wheel);
    DriverSource { pin: pin(), sha256: None, index: None, wheel: Some("/var/lib/juju/driver.whl".into()) }
}

fn obtain(system: &System, source: &DriverSource) -> Result<(DriverFacts, Option<StagedDriver>)> {
    let observed = inspect(&system.root, &python())?;
    let cached = DriverFacts::cached(&system.root, &source.pin);
    super::obtain(system, source, &installation(), &observed.installed, cached, &[])
}

fn problem(result: Result<(DriverFacts, Option<StagedDriver>)>) -> Problem {
    let problem: Problem = result.unwrap_err().downcast().unwrap();
    assert!(problem.summary.chars().count() <= 80, "{problem}");
    problem
}

/// The names below the directory that holds the site directory.
fn temporaries(scratch: &Scratch) -> usize {
    scratch.root.temporaries(Path::new(SITE).parent().unwrap()).unwrap().len()
}

#[test]
fn a_new_driver_is_tried_and_then_installed_and_removed_with_what_stood_there_put_back() {
    let scratch = Scratch::new();
    scratch.root.make_state_directory().unwrap();
    let old = format!("{SITE}/magnum_capi_helm-1.0.0.dist-info/METADATA");
    scratch.put(&old, "theirs");
    let (system, asked) = unit(&scratch, GOOD);
    let source = source_of(&scratch, &wheel(&[]));
    let (facts, staged) = obtain(&system, &source).unwrap();
    assert_eq!(facts.options, ["kubeconfig_file"]);
    assert_eq!(scratch.text(format!("{SITE}/{DIST_INFO}/RECORD")), None);
    let mut backups = Backups::default();
    staged.unwrap().install(&scratch.root, &mut backups).unwrap();
    let found = inspect(&scratch.root, &python()).unwrap();
    assert!(found.installed.intact(&pin()).is_some(), "{found:?}");
    assert_eq!((scratch.text(&old), temporaries(&scratch)), (None, 0));
    // It is known now, and Python is not asked again.
    assert!(obtain(&system, &source).unwrap().1.is_none());
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    for (path, _) in backups.entries() {
        backups.restore(&scratch.root, &path).unwrap();
    }
    assert_eq!(scratch.text(&old).as_deref(), Some("theirs"));
    assert_eq!(scratch.root.names(Path::new(SITE)).unwrap(), ["magnum_capi_helm-1.0.0.dist-info"]);
}

#[test]
fn a_damaged_driver_is_repaired_without_network_and_without_python() {
    let scratch = Scratch::new();
    scratch.root.make_state_directory().unwrap();
    scratch.root.make_directories(Path::new(SITE)).unwrap();
    let (system, asked) = unit(&scratch, GOOD);
    let mut source = source_of(&scratch, &wheel(&[]));
    let mut backups = Backups::default();
    obtain(&system, &source).unwrap().1.unwrap().install(&scratch.root, &mut backups).unwrap();
    scratch.put(format!("{SITE}/magnum_capi_helm/driver.py"), "edited");
    source.wheel = None;
    obtain(&system, &source).unwrap().1.unwrap().install(&scratch.root, &mut backups).unwrap();
    assert!(inspect(&scratch.root, &python()).unwrap().installed.intact(&pin()).is_some());
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[test]
fn a_driver_installed_by_hand_is_adopted_after_one_question() {
    let scratch = installed();
    let (system, asked) = unit(&scratch, GOOD);
    let source = source_of(&scratch, b"not needed");
    let facts = obtain(&system, &source).unwrap().0;
    assert_eq!(DriverFacts::cached(&scratch.root, &pin()), Some(facts));
    obtain(&system, &source).unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    // But not if it must have a checksum, which only a wheel can show.
    let sha256 = Some("ab".repeat(32).parse().unwrap());
    let problem = problem(obtain(&system, &DriverSource { sha256, ..source }));
    assert_eq!(problem.summary, "Wheel of the driver does not match driver-sha256");
}

#[test]
fn a_driver_that_does_not_work_here_is_refused_before_anything_changes() {
    for (answer, expected) in [
        ("", "does not load: "),
        (
            r#"{"version": "1.1.0", "missing": [["magnum>=19", "18.0.0"], ["pbr", null]], "options": []}"#,
            "needs magnum>=19 (found 18.0.0), pbr (not installed); choose another version, or install that",
        ),
        (r#"{"version": "1.2.0", "missing": [], "options": []}"#, "Python takes it for magnum-capi-helm==1.2.0"),
    ] {
        let scratch = installed();
        scratch.put(format!("{SITE}/magnum_capi_helm/driver.py"), "older");
        let (system, _) = unit(&scratch, answer);
        let problem = problem(obtain(&system, &source_of(&scratch, &wheel(&[]))));
        assert!(problem.detail.contains(expected), "{problem}");
        assert_eq!(scratch.text(format!("{SITE}/magnum_capi_helm/driver.py")).as_deref(), Some("older"));
        assert_eq!(temporaries(&scratch), 0);
        assert_eq!(DriverFacts::cached(&scratch.root, &pin()), None);
    }
}

#[test]
fn a_wheel_that_is_not_as_its_record_says_is_refused() {
    let scratch = Scratch::new();
    let (system, _) = unit(&scratch, GOOD);
    let own = format!("{DIST_INFO}/RECORD");
    let odd = |rows: &str, more: &[(&str, &[u8], u32)]| {
        let record = record(&[]) + rows;
        let mut members = vec![("magnum_capi_helm/driver.py", MODULE, 0o100_644), (&own, record.as_bytes(), 0o100_644)];
        members.extend(more);
        problem(obtain(&system, &source_of(&scratch, &zip_of(&members)))).detail
    };
    let elsewhere = odd("/etc/hostname,,\n../../etc/hostname,,\n", &[]);
    assert!(elsewhere.contains("/etc/hostname is outside the driver's directories (and 1 more)"), "{elsewhere}");
    let unlisted = odd("", &[("magnum_capi_helm/more.py", b"", 0o100_644)]);
    assert!(unlisted.contains("magnum_capi_helm/more.py is not in RECORD"), "{unlisted}");
    let unnamed = problem(obtain(&system, &source_of(&scratch, &zip_of(&[("magnum_capi_helm/x.py", b"", 0o100_644)]))));
    assert!(unnamed.detail.contains("not installed"), "{unnamed}");
}

#[test]
fn a_wheel_with_a_link_changes_no_mode_and_writes_nothing() {
    use std::os::unix::fs::MetadataExt as _;
    let scratch = Scratch::new();
    scratch.put("/etc/shadow", "root's");
    let (system, _) = unit(&scratch, GOOD);
    let state = |path: &str| {
        let meta = scratch.path(path).metadata().unwrap();
        (meta.mode(), meta.ctime(), meta.ctime_nsec())
    };
    let before = ["/", "/etc", "/etc/shadow"].map(state);
    for target in ["/", "/etc", "../../../../../../etc", "/etc/shadow"] {
        let link = ("magnum_capi_helm/evil", target.as_bytes(), 0o120_777);
        let problem = problem(obtain(&system, &source_of(&scratch, &wheel(&[link]))));
        assert!(problem.detail.contains("magnum_capi_helm/evil, which is not a plain file"), "{problem}");
    }
    assert_eq!(["/", "/etc", "/etc/shadow"].map(state), before);
    assert!(!scratch.path("/usr/local/lib").exists());
}

/// Installs what `source` gives.
fn install(system: &System, source: &DriverSource) {
    system.root.make_directories(Path::new(SITE)).unwrap();
    obtain(system, source).unwrap().1.unwrap().install(&system.root, &mut Backups::default()).unwrap();
}

#[test]
fn next_to_another_magnum_the_driver_is_tried_again() {
    let scratch = installed();
    let (system, asked) = unit(&scratch, GOOD);
    let source = source_of(&scratch, b"not needed");
    obtain(&system, &source).unwrap();
    let upgraded = Installation { version: "19.0.0".into(), ..installation() };
    let observed = inspect(&scratch.root, &python()).unwrap();
    let cached = DriverFacts::cached(&system.root, &source.pin);
    super::obtain(&system, &source, &upgraded, &observed.installed, cached, &[]).unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[test]
fn another_build_than_the_charm_installed_is_replaced() {
    let scratch = Scratch::new();
    scratch.root.make_state_directory().unwrap();
    let (system, _) = unit(&scratch, GOOD);
    let source = source_of(&scratch, &wheel(&[]));
    install(&system, &source);
    let more = ("magnum_capi_helm/more.py", &b"more"[..], 0o100_644);
    scratch.put(format!("{SITE}/{}", more.0), more.1);
    scratch.put(format!("{SITE}/{DIST_INFO}/RECORD"), record(&[more]));
    assert!(inspect(&scratch.root, &python()).unwrap().installed.intact(&pin()).is_some());
    install(&system, &source);
    assert_eq!(scratch.text(format!("{SITE}/{}", more.0)), None);
}

#[test]
fn a_driver_that_proves_to_be_the_pinned_build_is_not_installed_again() {
    let scratch = installed();
    let (system, _) = unit(&scratch, GOOD);
    let bytes = wheel(&[]);
    let mut source = source_of(&scratch, &bytes);
    source.sha256 = Some(crate::system::sha256(&bytes).parse().unwrap());
    let (facts, staged) = obtain(&system, &source).unwrap();
    assert_eq!(facts.wheel_sha256, source.sha256);
    assert!(staged.is_none());
}

#[test]
fn a_wheel_that_was_changed_in_the_state_directory_is_not_used() {
    let scratch = Scratch::new();
    scratch.root.make_state_directory().unwrap();
    let (system, _) = unit(&scratch, GOOD);
    let source = source_of(&scratch, &wheel(&[]));
    install(&system, &source);
    scratch.root.remove(&Path::new(SITE).join("magnum_capi_helm")).unwrap();
    scratch.put("/var/lib/magnum-capi-helm/driver.whl", "changed");
    let index = crate::juju::settings::Address::new("index-url", "http://mirror.example/").unwrap();
    let problem = problem(obtain(&system, &DriverSource { index: Some(index), wheel: None, ..source }));
    assert_eq!(problem.summary, "Cannot fetch the driver");
}

#[test]
fn a_driver_with_more_or_longer_options_than_are_kept_is_refused_with_the_limits() {
    for options in [format!("\"{}\"", "x".repeat(201)), ["\"x\""; 1001].join(",")] {
        let scratch = installed();
        let answer = format!(r#"{{"version": "1.1.0", "missing": [], "options": [{options}]}}"#).leak();
        let (system, _) = unit(&scratch, answer);
        let problem = problem(obtain(&system, &source_of(&scratch, b"not needed")));
        assert!(problem.detail.contains("1000 options, or one whose name has more than 200 bytes"), "{problem}");
    }
}

#[test]
fn of_what_is_remembered_of_drivers_that_of_those_asked_last_stays_and_all_can_be_lost() {
    let scratch = installed();
    let (system, asked) = unit(&scratch, GOOD);
    let source = source_of(&scratch, b"not needed");
    let cache = crate::system::state_path("driver.json");
    scratch.put(&cache, "{");
    obtain(&system, &source).unwrap();
    let read = || -> Vec<serde_json::Value> { serde_json::from_str(&scratch.text(&cache).unwrap()).unwrap() };
    let mut all = read();
    all[0]["next_to"][1] = "17.0.0".into();
    for version in (2..9).rev() {
        let mut other = all[0].clone();
        other["pin"] = format!("magnum-capi-helm=={version}").into();
        all.push(other);
    }
    scratch.put(&cache, serde_json::to_string(&all).unwrap());
    obtain(&system, &source).unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    let pins: Vec<String> = read().iter().map(|facts| facts["pin"].as_str().unwrap().to_owned()).collect();
    assert_eq!(pins, ["5", "4", "3", "2", "1.1.0"].map(|version| format!("magnum-capi-helm=={version}")));
}

#[test]
fn what_the_installed_driver_said_is_kept_while_others_are_tried() {
    let scratch = installed();
    let (system, _) = unit(&scratch, GOOD);
    let facts = obtain(&system, &source_of(&scratch, b"not needed")).unwrap().0;
    let others = (2..9).map(|version| DriverFacts::example(&format!("magnum-capi-helm=={version}"), "", &[]));
    let all: Vec<DriverFacts> = std::iter::once(facts.clone()).chain(others).collect();
    system.root.save("driver.json", &all).unwrap();
    let observed = inspect(&system.root, &python()).unwrap().installed;
    DriverFacts::example("magnum-capi-helm==10", "", &[]).remember(&system.root, &observed).unwrap();
    assert_eq!(DriverFacts::cached(&system.root, &facts.pin), Some(facts));
    let kept = system.root.load::<Vec<DriverFacts>>("driver.json").unwrap().unwrap();
    assert_eq!(kept.len(), 5, "{kept:?}");
}
