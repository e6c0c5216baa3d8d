//! Tests of the comparison with RECORD.

use std::os::unix::fs::PermissionsExt as _;

use crate::system::testing::Scratch;

use super::super::tests::{DIST_INFO, SITE, installed, pin};
use super::*;

fn inspect(scratch: &Scratch) -> InstalledDrivers {
    InstalledDrivers::inspect(&scratch.root, Path::new(SITE)).unwrap()
}

fn set_mode(scratch: &Scratch, path: &str, mode: u32) {
    let path = scratch.path(SITE).join(path);
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn add_row(scratch: &Scratch, row: &str) {
    let record = format!("{SITE}/{DIST_INFO}/RECORD");
    let text = scratch.text(&record).unwrap();
    scratch.put(record, text + row);
}

fn put(scratch: &Scratch, path: &str, content: &str) {
    scratch.put(format!("{SITE}/{path}"), content);
}

fn remove(scratch: &Scratch, path: &str) {
    scratch.root.remove(&Path::new(SITE).join(path)).unwrap();
}

fn rename(scratch: &Scratch, from: &str, to: &str) {
    std::fs::rename(scratch.path(SITE).join(from), scratch.path(SITE).join(to)).unwrap();
}

#[test]
fn a_complete_driver_of_the_pinned_version_does_not_differ() {
    let scratch = installed();
    put(&scratch, "magnum_capi_helm/__pycache__/driver.cpython-311.pyc", "made by Python");
    let found = inspect(&scratch);
    let driver = found.intact(&pin()).unwrap();
    assert_eq!(found.differs(&pin(), Some(&driver.record_sha256)), None);
    assert_eq!(driver.directories, [PACKAGE, DIST_INFO].map(str::to_owned).into());
    let other = found.differs(&pin(), Some("of another build")).unwrap();
    assert_eq!(other, "another build of that version is installed");
}

#[test]
fn a_package_that_no_dist_info_describes_lies_there_too() {
    let scratch = installed();
    let site = Path::new(SITE);
    assert_eq!(inspect(&scratch).paths(site), [site.join(PACKAGE), site.join(DIST_INFO)]);
    remove(&scratch, DIST_INFO);
    assert_eq!(inspect(&scratch).paths(site), [site.join(PACKAGE)]);
}

#[test]
fn every_kind_of_damage_is_found_and_named() {
    type Change = fn(&Scratch);
    let cases: [(&str, Change); 23] = [
        ("not installed", |s| remove(s, DIST_INFO)),
        ("driver.py is edited", |s| put(s, "magnum_capi_helm/driver.py", "x")),
        ("driver.py is missing", |s| remove(s, "magnum_capi_helm/driver.py")),
        ("driver.py is missing", |s| remove(s, "magnum_capi_helm")),
        ("driver.py is writable for others", |s| set_mode(s, "magnum_capi_helm/driver.py", 0o666)),
        ("driver.py is writable for others", |s| set_mode(s, "magnum_capi_helm/driver.py", 0o664)),
        ("magnum_capi_helm is writable for others", |s| set_mode(s, "magnum_capi_helm", 0o777)),
        ("__pycache__ is writable for others", |s| {
            put(s, "magnum_capi_helm/__pycache__/x.pyc", "");
            set_mode(s, "magnum_capi_helm/__pycache__", 0o777);
        }),
        ("driver.py is not readable", |s| set_mode(s, "magnum_capi_helm/driver.py", 0o600)),
        ("magnum_capi_helm is not readable", |s| set_mode(s, "magnum_capi_helm", 0o700)),
        ("driver.py is not a regular file", |s| {
            remove(s, "magnum_capi_helm/driver.py");
            s.link(format!("{SITE}/magnum_capi_helm/driver.py"), "/etc/passwd");
        }),
        ("magnum_capi_helm is not a directory", |s| {
            rename(s, PACKAGE, "moved");
            s.link(format!("{SITE}/magnum_capi_helm"), "moved");
        }),
        ("old.py is not in RECORD", |s| put(s, "magnum_capi_helm/old.py", "")),
        ("deep/old.so is not in RECORD", |s| put(s, "magnum_capi_helm/deep/old.so", "")),
        ("driver.pyc is not in RECORD", |s| put(s, "magnum_capi_helm/driver.pyc", "")),
        ("entry_points.txt is not in RECORD", |s| put(s, &format!("{DIST_INFO}/entry_points.txt"), "")),
        ("RECORD is missing or cut off", |s| put(s, &format!("{DIST_INFO}/RECORD"), "")),
        ("RECORD is damaged", |s| add_row(s, "magnum_capi_helm/x.py\n")),
        ("RECORD is damaged: it lists a file twice", |s| add_row(s, "magnum_capi_helm/driver.py,,\n")),
        ("/etc/hostname is outside the driver's directories", |s| add_row(s, "/etc/hostname,,\n")),
        ("hostname is outside the driver's directories", |s| add_row(s, "magnum_capi_helm/../../etc/hostname,,\n")),
        ("magnum_capi_helm-1.2.1.dist-info are installed", |s| put(s, "magnum_capi_helm-1.2.1.dist-info/RECORD", "")),
        ("1.2.1 is installed", |s| rename(s, DIST_INFO, "magnum_capi_helm-1.2.1.dist-info")),
    ];
    for (expected, change) in cases {
        let scratch = installed();
        change(&scratch);
        let found = inspect(&scratch);
        let named = found.differs(&pin(), None).unwrap_or_default();
        let all: Vec<String> = found.0.iter().flat_map(|driver| driver.damage.clone()).collect();
        assert!(
            named.contains(expected) || all.iter().any(|one| one.contains(expected)),
            "{expected}: {named}, {all:?}"
        );
        assert_eq!(found.intact(&pin()), None, "{expected}");
    }
}

#[test]
fn a_file_without_a_checksum_is_damage_and_a_record_has_its_limit() {
    let scratch = installed();
    put(&scratch, "magnum_capi_helm/x.py", "");
    add_row(&scratch, "magnum_capi_helm/x.py,,\n");
    let named = inspect(&scratch).differs(&pin(), None).unwrap();
    assert_eq!(named, "magnum_capi_helm/x.py is without a checksum in RECORD");
    let scratch = installed();
    let rows: String = (0..6000).map(|i| format!("magnum_capi_helm/__pycache__/{i}.pyc,,\n")).collect();
    add_row(&scratch, &rows);
    assert!(inspect(&scratch).differs(&pin(), None).unwrap().ends_with("RECORD is longer than 5000 rows"));
}

#[test]
fn a_driver_over_a_limit_is_refused_with_that_limit() {
    type Change = fn(&Scratch);
    let cases: [(&str, Change); 4] = [
        ("/RECORD is larger than 524288 bytes", |s| add_row(s, &"x".repeat(512 << 10))),
        ("is not a regular file of at most 8 MiB", |s| {
            put(s, "magnum_capi_helm/driver.py", &"x".repeat((8 << 20) + 1))
        }),
        ("is beyond 5000 files, 64 MiB or 32 directories", |s| {
            put(s, &format!("magnum_capi_helm/{}x.py", "d/".repeat(40)), "");
        }),
        ("is beyond 5000 files, 64 MiB or 32 directories", |s| {
            (0..5010).for_each(|index| put(s, &format!("magnum_capi_helm/{index}.py"), ""));
        }),
    ];
    for (expected, change) in cases {
        let scratch = installed();
        change(&scratch);
        let found = inspect(&scratch);
        assert!(found.0[0].damage.iter().any(|one| one.contains(expected)), "{expected}: {:.2000?}", found.0[0].damage);
    }
}

#[test]
fn a_site_directory_that_is_missing_or_a_link_holds_no_driver() {
    let scratch = installed();
    scratch.link("/usr/link", scratch.path(SITE));
    for site in ["/nowhere", "/usr/link"] {
        let found = InstalledDrivers::inspect(&scratch.root, Path::new(site)).unwrap();
        assert_eq!(found, InstalledDrivers::default());
    }
}

#[test]
fn whatever_stands_in_place_of_record_or_of_a_module_is_damage_and_not_waited_for() {
    let scratch = installed();
    for path in [format!("{SITE}/{DIST_INFO}/RECORD"), format!("{SITE}/{PACKAGE}/driver.py")] {
        let original = scratch.text(&path).unwrap();
        scratch.for_each_shape(&path, |shape| {
            let found = inspect(&scratch);
            assert!(found.differs(&pin(), None).is_some(), "{shape}");
            assert_eq!(found.intact(&pin()), None, "{shape}");
        });
        scratch.put(&path, original);
        assert_eq!(inspect(&scratch).differs(&pin(), None), None);
    }
}
