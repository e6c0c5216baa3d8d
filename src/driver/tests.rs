//! Tests of the part as a whole, and the driver that they use.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::juju::settings::{RawConfig, Settings};
use crate::magnum::Installation;
use crate::system::testing::Scratch;

use super::*;

pub const SITE: &str = "/usr/local/lib/python3.11/dist-packages";
pub const DIST_INFO: &str = "magnum_capi_helm-1.1.0.dist-info";
pub const MODULE: &[u8] = b"class Driver: pass\n";

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
    bytes.extend([b"PK\x05\x06", &[0, 0, count, count].map(u16::to_le_bytes).concat()[..]].concat());
    bytes.extend([central.len() as u32, start].map(u32::to_le_bytes).concat());
    bytes.extend([0; 2]);
    bytes
}

pub fn record(more: &[(&str, &[u8], u32)]) -> String {
    let rows = [("magnum_capi_helm/driver.py", MODULE, 0)].into_iter().chain(more.iter().copied());
    let rows: String = rows
        .map(|(name, content, _)| {
            format!("{name},sha256={},{}\n", URL_SAFE_NO_PAD.encode(Sha256::digest(content)), content.len())
        })
        .collect();
    format!("{rows}magnum_capi_helm/__pycache__/driver.cpython-311.pyc,,\n{DIST_INFO}/RECORD,,\n")
}

/// A driver's wheel, with these members more.
pub fn wheel(more: &[(&str, &[u8], u32)]) -> Vec<u8> {
    let (own, record) = (format!("{DIST_INFO}/RECORD"), record(more));
    let mut members = vec![("magnum_capi_helm/driver.py", MODULE, 0o100_600), (&own, record.as_bytes(), 0o100_644)];
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

pub fn python() -> Python {
    Python {
        executable: "/usr/bin/python3".into(),
        version: "3.11.2".into(),
        site: SITE.into(),
        path: ["/var/lib/magnum/site", SITE, "/usr/lib/python3/dist-packages"].map(PathBuf::from).into(),
    }
}

pub fn installation() -> Installation {
    Installation {
        python: python(),
        magnum_gid: 64,
        version: "18.0.0".into(),
        other_drivers: vec![],
        unknown_drivers: None,
        before_site: vec![],
        defaults: BTreeMap::new(),
    }
}

fn settings() -> Settings {
    let config: RawConfig = serde_json::from_str(r#"{"driver-pin": "magnum-capi-helm==1.1.0"}"#).unwrap();
    config.validated(Default::default()).unwrap()
}

fn steps(observed: &ObservedDriver, written: &[(PathBuf, Original)]) -> Vec<String> {
    let desired = DesiredDriver { pin: pin(), record_sha256: "ab".into(), site: SITE.into() };
    let mut plan = Plan::default();
    super::plan(&mut plan, &desired, observed, written);
    plan.into_steps(true).iter().map(ToString::to_string).collect()
}

#[test]
fn a_missing_driver_is_installed_into_a_new_site_directory() {
    let scratch = Scratch::new();
    let observed = inspect(&scratch.root, &python()).unwrap();
    let expected = [format!("make the directory {SITE}"), "install magnum-capi-helm==1.1.0: not installed".to_owned()];
    assert_eq!(steps(&observed, &[]), expected);
    let other = inspect(&installed().root, &python()).unwrap();
    let expected = ["install magnum-capi-helm==1.1.0: another build of that version is installed"];
    assert_eq!(steps(&other, &[]), expected);
}

#[test]
fn a_copy_earlier_on_the_path_is_set_aside_and_a_later_one_is_left() {
    let scratch = installed();
    for directory in ["/var/lib/magnum/site", "/usr/lib/python3/dist-packages"] {
        for name in ["magnum_capi_helm/x", "magnum_capi_helm.py", "magnum_capi_helm-9.egg-info", "magnum_capi_helmet"] {
            scratch.put(format!("{directory}/{name}"), "");
        }
    }
    let observed = inspect(&scratch.root, &python()).unwrap();
    let shadows = ["magnum_capi_helm", "magnum_capi_helm-9.egg-info", "magnum_capi_helm.py"];
    assert_eq!(observed.shadows, shadows.map(|name| Path::new("/var/lib/magnum/site").join(name)));
    let first = "set aside /var/lib/magnum/site/magnum_capi_helm: Python finds it before the pinned driver";
    assert_eq!(steps(&observed, &[])[1], first);
}

#[test]
fn of_any_number_of_copies_a_hook_sets_some_aside_and_a_problem_names_their_directory() {
    let scratch = installed();
    let observed = |copies: std::ops::Range<usize>| {
        copies.for_each(|copy| scratch.put(format!("/var/lib/magnum/site/{PACKAGE}-{copy}/x"), ""));
        inspect(&scratch.root, &python()).unwrap()
    };
    let few = observed(0..MOST_SHADOWS);
    assert_eq!((few.shadows.len(), few.problem()), (MOST_SHADOWS, None));
    let many = observed(MOST_SHADOWS..3 * MOST_SHADOWS);
    assert_eq!(many.problem().unwrap().summary, "Too many copies of the driver: /var/lib/magnum/site");
    let set_aside = steps(&many, &[]).into_iter().filter(|step| step.starts_with("set aside"));
    assert_eq!((set_aside.count(), many.shadows.len()), (MOST_SHADOWS, MOST_SHADOWS + 1));
}

#[test]
fn what_the_charm_installed_for_another_python_is_removed() {
    let observed = inspect(&installed().root, &python()).unwrap();
    let written = [
        (PathBuf::from("/usr/lib/python3.10/magnum_capi_helm"), Original::Absent),
        (Path::new(SITE).join(PACKAGE), Original::Absent),
        ("/usr/lib/python3.10/magnum_capi_helm-1.dist-info".into(), Original::BackedUp("x".into())),
        ("/usr/lib/python3.10/other".into(), Original::Absent),
    ];
    assert_eq!(steps(&observed, &written)[1..], ["remove /usr/lib/python3.10/magnum_capi_helm"]);
}

#[test]
fn a_driver_never_loaded_here_is_expected_to_know_its_options() {
    let scratch = installed();
    let observed = inspect(&scratch.root, &python()).unwrap();
    let driver = observed.installed.intact(&pin()).unwrap();
    let mut settings = settings();
    settings.capi_helm_options = "namespace_prefix = x".parse().unwrap();
    let facts = DriverFacts::expected(&settings, &installation(), Some(driver));
    assert_eq!(facts.options, ["namespace_prefix"]);
    assert_eq!((&facts.record_sha256, &facts.directories), (&driver.record_sha256, &driver.directories));
    assert_eq!(DriverFacts::expected(&settings, &installation(), None).record_sha256, "");
}
