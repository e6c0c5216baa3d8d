//! Tests of the part as a whole, and the driver that they use.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::juju::settings::{RawConfig, Settings};
use crate::magnum::Installation;
use crate::system::testing::{Scratch, command_line};
use crate::system::{Backups, System};

use super::*;

pub const SITE: &str = "/usr/local/lib/python3.11/dist-packages";
pub const DIST_INFO: &str = "magnum_capi_helm-1.1.0.dist-info";
const MODULE: &[u8] = b"class Driver: pass\n";

pub fn pin() -> Pin {
    "magnum-capi-helm==1.1.0".parse().unwrap()
}

/// A zip of these members: name, content, mode.
pub fn zip_of(members: &[(&str, &[u8], u32)]) -> Vec<u8> {
    let (mut bytes, mut central) = (Vec::new(), Vec::new());
    for (name, content, mode) in members {
        let mut crc = flate2::Crc::new();
        crc.update(content);
        let (offset, size, length) = (bytes.len() as u32, content.len() as u32, name.len() as u16);
        let mut common = [20_u16, 0, 0, 0, 0].map(u16::to_le_bytes).concat();
        common.extend([crc.sum(), size, size].map(u32::to_le_bytes).concat());
        common.extend([length, 0].map(u16::to_le_bytes).concat());
        bytes.extend([b"PK\x03\x04", &common[..], name.as_bytes(), content].concat());
        central.extend([b"PK\x01\x02", &0x0314_u16.to_le_bytes()[..], &common].concat());
        central.extend([0_u16; 3].map(u16::to_le_bytes).concat());
        central.extend([mode << 16, offset].map(u32::to_le_bytes).concat());
        central.extend(name.as_bytes());
    }
    let (start, count) = (bytes.len() as u32, members.len() as u16);
    bytes.extend(&central);
    bytes.extend(
        [
            b"PK\x05\x06",
            &[0, 0, count, count].map(u16::to_le_bytes).concat()[..],
        ]
        .concat(),
    );
    bytes.extend([central.len() as u32, start].map(u32::to_le_bytes).concat());
    bytes.extend([0; 2]);
    bytes
}

fn record(more: &[(&str, &[u8], u32)]) -> String {
    let rows = [("magnum_capi_helm/driver.py", MODULE, 0)]
        .into_iter()
        .chain(more.iter().copied());
    let rows: String = rows
        .map(|(name, content, _)| {
            format!(
                "{name},sha256={},{}\n",
                URL_SAFE_NO_PAD.encode(Sha256::digest(content)),
                content.len()
            )
        })
        .collect();
    format!("{rows}magnum_capi_helm/__pycache__/driver.cpython-311.pyc,,\n{DIST_INFO}/RECORD,,\n")
}

/// A driver's wheel, with these members more.
pub fn wheel(more: &[(&str, &[u8], u32)]) -> Vec<u8> {
    let (own, record) = (format!("{DIST_INFO}/RECORD"), record(more));
    let mut members = vec![
        ("magnum_capi_helm/driver.py", MODULE, 0o100_600),
        (&own, record.as_bytes(), 0o100_644),
    ];
    members.extend(more);
    zip_of(&members)
}

/// A unit with the driver.
pub fn installed() -> Scratch {
    let scratch = Scratch::new();
    scratch.root.make_state_directory().unwrap();
    scratch.put(format!("{SITE}/magnum_capi_helm/driver.py"), MODULE);
    scratch.put(format!("{SITE}/{DIST_INFO}/RECORD"), record(&[]));
    scratch
}

fn python() -> Python {
    Python {
        executable: "/usr/bin/python3".into(),
        version: "3.11.2".into(),
        site: SITE.into(),
        path: [
            "/var/lib/magnum/site",
            SITE,
            "/usr/lib/python3/dist-packages",
        ]
        .map(PathBuf::from)
        .into(),
    }
}

fn installation() -> Installation {
    Installation {
        python: python(),
        magnum_gid: 64,
        version: "18.0.0".into(),
        other_drivers: vec![],
        before_site: vec![],
        defaults: BTreeMap::new(),
    }
}

fn settings() -> Settings {
    let config: RawConfig =
        serde_json::from_str(r#"{"driver-pin": "magnum-capi-helm==1.1.0"}"#).unwrap();
    config.validated(Default::default()).unwrap()
}

/// A unit whose Python gives this answer, and how often it was asked.
fn unit(scratch: &Scratch, answer: &'static str) -> (System, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let system = scratch.system(move |command| {
        counted.fetch_add(1, Ordering::Relaxed);
        let line = command_line(command);
        assert!(
            line.ends_with(
                "magnum-capi-helm k8s_capi_helm_v1 --config-file=/etc/magnum/magnum.conf"
            ),
            "{line}"
        );
        (!answer.is_empty()).then(|| answer.to_owned())
    });
    (system, count)
}

const GOOD: &str = r#"{"version": "1.1.0", "missing": [], "options": ["kubeconfig_file"]}"#;

fn source_of(scratch: &Scratch, wheel: &[u8]) -> DriverSource {
    scratch.put("/var/lib/juju/driver.whl", wheel);
    DriverSource {
        pin: pin(),
        sha256: None,
        index: None,
        wheel: Some("/var/lib/juju/driver.whl".into()),
    }
}

fn obtain(system: &System, source: &DriverSource) -> Result<DriverArtifact> {
    let observed = inspect(&system.root, &python())?;
    DriverArtifact::obtain(system, source, &installation(), &observed.installed, &[])
}

fn problem(result: Result<DriverArtifact>) -> Problem {
    let problem: Problem = result.unwrap_err().downcast().unwrap();
    assert!(problem.summary.chars().count() <= 80, "{problem}");
    problem
}

/// The names below the directory that holds the site directory.
fn temporaries(scratch: &Scratch) -> usize {
    scratch
        .root
        .temporaries(Path::new(SITE).parent().unwrap())
        .unwrap()
        .len()
}

#[test]
fn a_new_driver_is_tried_and_then_installed_and_removed_with_what_stood_there_put_back() {
    let scratch = Scratch::new();
    scratch.root.make_state_directory().unwrap();
    let old = format!("{SITE}/magnum_capi_helm-1.0.0.dist-info/METADATA");
    scratch.put(&old, "theirs");
    let (system, asked) = unit(&scratch, GOOD);
    let source = source_of(&scratch, &wheel(&[]));
    let artifact = obtain(&system, &source).unwrap();
    assert_eq!(artifact.facts.options, ["kubeconfig_file"]);
    assert_eq!(scratch.text(format!("{SITE}/{DIST_INFO}/RECORD")), None);
    let mut backups = Backups::default();
    artifact
        .install(&scratch.root, Path::new(SITE), &mut backups)
        .unwrap();
    drop(artifact);
    let found = inspect(&scratch.root, &python()).unwrap();
    assert!(found.installed.intact(&pin()).is_some(), "{found:?}");
    assert_eq!((scratch.text(&old), temporaries(&scratch)), (None, 0));
    // It is known now, and Python is not asked again.
    let artifact = obtain(&system, &source).unwrap();
    assert!(
        artifact
            .install(&scratch.root, Path::new(SITE), &mut backups)
            .is_err()
    );
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    for (path, _) in backups.entries() {
        backups.restore(&scratch.root, &path).unwrap();
    }
    assert_eq!(scratch.text(&old).as_deref(), Some("theirs"));
    assert_eq!(
        scratch.root.names(Path::new(SITE)).unwrap(),
        ["magnum_capi_helm-1.0.0.dist-info"]
    );
}

#[test]
fn a_damaged_driver_is_repaired_without_network_and_without_python() {
    let scratch = Scratch::new();
    scratch.root.make_state_directory().unwrap();
    let (system, asked) = unit(&scratch, GOOD);
    let mut source = source_of(&scratch, &wheel(&[]));
    let mut backups = Backups::default();
    let artifact = obtain(&system, &source).unwrap();
    artifact
        .install(&scratch.root, Path::new(SITE), &mut backups)
        .unwrap();
    scratch.put(format!("{SITE}/magnum_capi_helm/driver.py"), "edited");
    source.wheel = None;
    let artifact = obtain(&system, &source).unwrap();
    artifact
        .install(&scratch.root, Path::new(SITE), &mut backups)
        .unwrap();
    assert!(
        inspect(&scratch.root, &python())
            .unwrap()
            .installed
            .intact(&pin())
            .is_some()
    );
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[test]
fn a_driver_installed_by_hand_is_adopted_after_one_question() {
    let scratch = installed();
    let (system, asked) = unit(&scratch, GOOD);
    let source = source_of(&scratch, b"not needed");
    let facts = obtain(&system, &source).unwrap().facts;
    assert_eq!(
        DriverFacts::cached(&scratch.root, &pin()).unwrap(),
        Some(facts)
    );
    obtain(&system, &source).unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    // But not if it must have a checksum, which only a wheel can show.
    let sha256 = Some("ab".repeat(32).parse().unwrap());
    let problem = problem(obtain(&system, &DriverSource { sha256, ..source }));
    assert_eq!(
        problem.summary,
        "Wheel of the driver does not match driver-sha256"
    );
}

#[test]
fn a_driver_that_does_not_work_here_is_refused_before_anything_changes() {
    for (answer, expected) in [
        ("", "does not load: "),
        (
            r#"{"version": "1.1.0", "missing": [["magnum>=19", "18.0.0"], ["pbr", null]], "options": []}"#,
            "needs magnum>=19 (found 18.0.0), pbr (not installed); choose another version, or install that",
        ),
        (
            r#"{"version": "1.2.0", "missing": [], "options": []}"#,
            "Python takes it for magnum-capi-helm==1.2.0",
        ),
    ] {
        let scratch = installed();
        scratch.put(format!("{SITE}/magnum_capi_helm/driver.py"), "older");
        let (system, _) = unit(&scratch, answer);
        let problem = problem(obtain(&system, &source_of(&scratch, &wheel(&[]))));
        assert!(problem.detail.contains(expected), "{problem}");
        assert_eq!(
            scratch
                .text(format!("{SITE}/magnum_capi_helm/driver.py"))
                .as_deref(),
            Some("older")
        );
        assert_eq!(temporaries(&scratch), 0);
        assert_eq!(DriverFacts::cached(&scratch.root, &pin()).unwrap(), None);
    }
}

#[test]
fn a_wheel_that_is_not_as_its_record_says_is_refused() {
    let scratch = Scratch::new();
    let (system, _) = unit(&scratch, GOOD);
    let own = format!("{DIST_INFO}/RECORD");
    let odd = |rows: &str, more: &[(&str, &[u8], u32)]| {
        let record = record(&[]) + rows;
        let mut members = vec![
            ("magnum_capi_helm/driver.py", MODULE, 0o100_644),
            (&own, record.as_bytes(), 0o100_644),
        ];
        members.extend(more);
        problem(obtain(&system, &source_of(&scratch, &zip_of(&members)))).detail
    };
    let elsewhere = odd("/etc/hostname,,\n../../etc/hostname,,\n", &[]);
    assert!(
        elsewhere.contains("/etc/hostname is outside the driver's directories (and 1 more)"),
        "{elsewhere}"
    );
    let unlisted = odd("", &[("magnum_capi_helm/more.py", b"", 0o100_644)]);
    assert!(
        unlisted.contains("magnum_capi_helm/more.py is not in RECORD"),
        "{unlisted}"
    );
    let unnamed = problem(obtain(
        &system,
        &source_of(
            &scratch,
            &zip_of(&[("magnum_capi_helm/x.py", b"", 0o100_644)]),
        ),
    ));
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
        assert!(
            problem
                .detail
                .contains("magnum_capi_helm/evil, which is not a plain file"),
            "{problem}"
        );
    }
    assert_eq!(["/", "/etc", "/etc/shadow"].map(state), before);
    assert!(!scratch.path("/usr/local/lib").exists());
}

fn steps(observed: &ObservedDriver, written: &[(PathBuf, Original)]) -> Vec<String> {
    let desired = DesiredDriver {
        pin: pin(),
        record_sha256: "ab".into(),
        site: SITE.into(),
    };
    let mut plan = Plan::default();
    DriverPart {
        desired: &desired,
        observed,
        written,
    }
    .plan(&mut plan);
    plan.into_steps(true)
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn a_missing_driver_is_installed_into_a_new_site_directory() {
    let scratch = Scratch::new();
    let observed = inspect(&scratch.root, &python()).unwrap();
    let expected = [
        format!("make the directory {SITE}"),
        "install magnum-capi-helm==1.1.0: not installed".to_owned(),
    ];
    assert_eq!(steps(&observed, &[]), expected);
    let other = inspect(&installed().root, &python()).unwrap();
    let expected = ["install magnum-capi-helm==1.1.0: another build of that version is installed"];
    assert_eq!(steps(&other, &[]), expected);
}

#[test]
fn a_copy_earlier_on_the_path_is_set_aside_and_a_later_one_is_left() {
    let scratch = installed();
    for directory in ["/var/lib/magnum/site", "/usr/lib/python3/dist-packages"] {
        for name in [
            "magnum_capi_helm/x",
            "magnum_capi_helm.py",
            "magnum_capi_helm-9.egg-info",
            "magnum_capi_helmet",
        ] {
            scratch.put(format!("{directory}/{name}"), "");
        }
    }
    let observed = inspect(&scratch.root, &python()).unwrap();
    let shadows = [
        "magnum_capi_helm",
        "magnum_capi_helm-9.egg-info",
        "magnum_capi_helm.py",
    ];
    assert_eq!(
        observed.shadows,
        shadows.map(|name| Path::new("/var/lib/magnum/site").join(name))
    );
    let first =
        "set aside /var/lib/magnum/site/magnum_capi_helm: Python finds it before the pinned driver";
    assert_eq!(steps(&observed, &[])[1], first);
}

#[test]
fn what_the_charm_installed_for_another_python_is_removed() {
    let observed = inspect(&installed().root, &python()).unwrap();
    let written = [
        (
            PathBuf::from("/usr/lib/python3.10/magnum_capi_helm"),
            Original::Absent,
        ),
        (Path::new(SITE).join(PACKAGE), Original::Absent),
        (
            "/usr/lib/python3.10/magnum_capi_helm-1.dist-info".into(),
            Original::BackedUp("x".into()),
        ),
        ("/usr/lib/python3.10/other".into(), Original::Absent),
    ];
    assert_eq!(
        steps(&observed, &written)[1..],
        ["remove /usr/lib/python3.10/magnum_capi_helm"]
    );
}

#[test]
fn a_driver_never_loaded_here_is_expected_to_know_its_options() {
    let scratch = installed();
    let observed = inspect(&scratch.root, &python()).unwrap();
    let driver = observed.installed.intact(&pin()).unwrap();
    let facts = DriverFacts::expected(&settings(), &installation(), Some(driver));
    assert_eq!(
        (&facts.record_sha256, &facts.directories),
        (&driver.record_sha256, &driver.directories)
    );
    assert_eq!(
        DriverFacts::expected(&settings(), &installation(), None).record_sha256,
        ""
    );
    assert_eq!(
        DriverFacts::example("magnum-capi-helm==1.1.0", "ab", &["x"]).options,
        ["x"]
    );
}
