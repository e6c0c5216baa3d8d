//! Tests of what is refused in a wheel, each by its name.

use std::io::Write as _;

use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

use super::super::tests::{DIST_INFO, pin, wheel, zip_of};
use super::*;

fn source(sha256: Option<Sha256>) -> DriverSource {
    DriverSource { pin: pin(), sha256, index: None, wheel: Some("/wheel".into()) }
}

fn refusal(bytes: &[u8]) -> String {
    let problem = members(bytes, &source(None)).unwrap_err();
    assert_eq!(problem.summary, "Resource driver-wheel is not a valid wheel of the pinned driver");
    problem.detail
}

#[test]
fn a_wheel_is_accepted_with_its_members_if_its_checksum_is_the_one_that_is_set() {
    let bytes = wheel(&[]);
    let names: Vec<String> = members(&bytes, &source(None)).unwrap().into_keys().collect();
    assert_eq!(names, [format!("{DIST_INFO}/RECORD"), "magnum_capi_helm/driver.py".to_owned()]);
    let sha256 = checked_sha256(&bytes, &source(None)).unwrap();
    assert!(checked_sha256(&bytes, &source(Some(sha256))).is_ok());
    let other = Some("ab".repeat(32).parse().unwrap());
    let message = checked_sha256(&bytes, &source(other)).unwrap_err().to_string();
    assert!(message.contains("driver-sha256: the wheel has sha256"), "{message}");
}

#[test]
fn what_is_not_the_drivers_own_plain_file_is_refused_by_name() {
    for (name, mode, why) in [
        ("magnum_capi_helm/evil", 0o120_777, "evil, which is not a plain file"),
        ("magnum_capi_helm/fifo", 0o010_644, "fifo, which is not a plain file"),
        ("magnum_capi_helm/disk", 0o060_644, "disk, which is not a plain file"),
        ("magnum_capi_helm/tool", 0o104_755, "tool, which is not a plain file"),
        ("/etc/cron.d/evil", 0o100_644, "/etc/cron.d/evil, whose name is not a plain relative path"),
        ("../../escaped", 0o100_644, "../../escaped, whose name is not"),
        ("magnum_capi_helm/../escaped", 0o100_644, "escaped, whose name is not"),
        ("magnum_capi_helm/./x", 0o100_644, "x, whose name is not"),
        ("magnum_capi_helm\\x", 0o100_644, "x, whose name is not"),
        ("magnum_capi_helm/x\nUnit=poweroff.target", 0o100_644, "x\\nUnit=poweroff.target, whose name is not"),
        ("zz_evil.pth", 0o100_644, "zz_evil.pth, which is not the driver's own"),
        ("pip/__init__.py", 0o100_644, "pip/__init__.py, which is not the driver's own"),
        ("magnum_capi_helm-1.1.0.data/scripts/sudo", 0o100_755, "sudo, which is not the driver's own"),
        ("magnum_capi_helm-1.2.1.dist-info/METADATA", 0o100_644, "METADATA, which is of another version"),
        ("magnum_capi_helm", 0o100_644, "magnum_capi_helm, which should be a directory"),
        ("magnum_capi_helm/driver.py/below", 0o100_644, "below, which is below a file"),
        ("magnum_capi_helm/__pycache__/driver.cpython-311.pyc", 0o100_644, "pyc, which is compiled code"),
        ("magnum_capi_helm/driver.pyc", 0o100_644, "driver.pyc, which is compiled code"),
        ("magnum_capi_helm/d/driver.pyo", 0o100_644, "driver.pyo, which is compiled code"),
        ("magnum_capi_helm/driver.cpython-311-x86_64-linux-gnu.so", 0o100_644, "gnu.so, which is compiled code"),
        (&format!("magnum_capi_helm/{}x", "d/".repeat(20)), 0o100_644, "x, which lies too deep"),
        (&format!("magnum_capi_helm/{}", "x".repeat(300)), 0o100_644, "whose name is not"),
    ] {
        let detail = refusal(&wheel(&[(name, b"/", mode)]));
        assert!(detail.contains(why), "{name:?}: {detail}");
    }
}

#[test]
fn an_entry_point_that_other_programs_load_is_refused_however_it_is_written() {
    let name = format!("{DIST_INFO}/entry_points.txt");
    let with = |text: &[u8]| wheel(&[(&name, text, 0o100_644)]);
    let drivers = "[magnum.drivers]\nk8s_capi_helm_v1 = magnum_capi_helm.driver:Driver\n";
    let options = "\n[oslo.config.opts]\ncapi_helm = magnum_capi_helm.conf:list_capi_opts\n";
    for more in ["", options, "# [console_scripts]\n[console_scripts]\n"] {
        members(&with(format!("{drivers}{more}").as_bytes()), &source(None)).unwrap();
    }
    for more in [
        "[magnum.database.migration_backend]\nsqlalchemy = magnum_capi_helm.evil",
        "  [magnum.database.migration_backend]\r\tsqlalchemy = magnum_capi_helm.evil",
        "x = y\u{85}[[ magnum.database.migration_backend ]]\u{2028}sqlalchemy=magnum_capi_helm.evil",
    ] {
        let detail = refusal(&with(format!("{drivers}{more}").as_bytes()));
        let why =
            format!("{name}, which registers code that is no driver of Magnum in [magnum.database.migration_backend]");
        assert!(detail.contains(&why), "{more:?}: {detail}");
    }
    assert!(refusal(&with(b"[oslo.config.opts]\nmagnum = magnum_capi_helm.evil")).contains("in [oslo.config.opts]"));
    assert!(refusal(&with(b"x = y")).contains("in []"));
    assert!(refusal(&with(b"[magnum.drivers]\n\xff = x")).contains("which is not UTF-8"));
}

#[test]
fn a_directory_member_and_a_file_without_a_kind_are_harmless() {
    let bytes = wheel(&[("magnum_capi_helm/", b"", 0o040_755), ("magnum_capi_helm/x.py", b"", 0o644)]);
    assert_eq!(members(&bytes, &source(None)).unwrap().len(), 3);
}

#[test]
fn what_is_not_a_zip_or_holds_other_bytes_than_it_says_is_refused() {
    assert!(refusal(b"no zip").contains("that can be installed: "));
    let mut bytes = wheel(&[]);
    let at = bytes.windows(5).position(|window| window == b"class").unwrap();
    bytes[at] = b'C';
    assert!(refusal(&bytes).contains("driver.py, which cannot be read: Invalid checksum"));
    let cut = wheel(&[]);
    refusal(&cut[..cut.len() / 2]);
}

#[test]
fn a_declared_size_is_not_trusted() {
    // Nothing is allocated for what it declares; what it really holds is nothing.
    let members = members(&declaring_much(0o100_644), &source(None)).unwrap();
    assert_eq!(members.into_values().collect::<Vec<_>>(), [b""]);
    assert!(refusal(&declaring_much(0o120_777)).contains("magnum_capi_helm/l, which is not a plain file"));
}

/// A zip of one empty member that declares 2^63 bytes.
fn declaring_much(mode: u32) -> Vec<u8> {
    let name = b"magnum_capi_helm/l";
    let mut bytes = Vec::new();
    let short = |bytes: &mut Vec<u8>, values: &[u16]| values.iter().for_each(|v| bytes.extend(v.to_le_bytes()));
    let long = |bytes: &mut Vec<u8>, values: &[u32]| values.iter().for_each(|v| bytes.extend(v.to_le_bytes()));
    bytes.extend(b"PK\x03\x04");
    short(&mut bytes, &[20, 0, 0, 0, 0]);
    long(&mut bytes, &[0, 0, u32::MAX]);
    short(&mut bytes, &[18, 0]);
    bytes.extend(name);
    let central = bytes.len() as u32;
    bytes.extend(b"PK\x01\x02");
    short(&mut bytes, &[0x0314, 45, 0, 0, 0, 0]);
    long(&mut bytes, &[0, 0, u32::MAX]);
    short(&mut bytes, &[18, 12, 0, 0, 0]);
    long(&mut bytes, &[mode << 16, 0]);
    bytes.extend(name);
    short(&mut bytes, &[1, 8]);
    bytes.extend((1_u64 << 63).to_le_bytes());
    let length = bytes.len() as u32 - central;
    bytes.extend(b"PK\x05\x06");
    short(&mut bytes, &[0, 0, 1, 1]);
    long(&mut bytes, &[length, central]);
    short(&mut bytes, &[0]);
    bytes
}

#[test]
fn a_wheel_that_unpacks_to_too_much_is_refused() {
    let many: Vec<String> = (0..=MOST_MEMBERS).map(|i| format!("magnum_capi_helm/{i}")).collect();
    let many: Vec<(&str, &[u8], u32)> = many.iter().map(|name| (name.as_str(), &b""[..], 0o100_644)).collect();
    assert!(refusal(&zip_of(&many)).contains("it holds too many files"));
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for name in ["magnum_capi_helm/a", "magnum_capi_helm/b"] {
        archive.start_file(name, options).unwrap();
        archive.write_all(&vec![0; 9 << 20]).unwrap();
    }
    let bytes = archive.finish().unwrap().into_inner();
    assert!(bytes.len() < 100_000);
    assert!(refusal(&bytes).contains("magnum_capi_helm/b, with which it has more than 16 MiB"));
}

#[test]
fn a_zip_that_the_library_would_read_for_long_is_refused_before() {
    let good = wheel(&[]);
    let (before, end) = good.split_at(good.len() - END_LENGTH);
    let with_end = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[before.len() + at] = value;
        bytes
    };
    for bytes in [
        [end, &good].concat(),
        [b"junk", &good[..]].concat(),
        [&good[..], b"comment"].concat(),
        // Another disk, another number of files, another start of the directory; many files.
        with_end(4, 1),
        with_end(8, 9),
        with_end(16, 9),
        with_end(11, 9),
    ] {
        assert!(refusal(&bytes).contains(excess(&bytes).unwrap()));
    }
    assert_eq!(excess(&good), None);
}

#[test]
fn members_that_share_their_bytes_are_refused() {
    let shared = vec![0; 9000];
    let more: Vec<String> = (0..3).map(|index| format!("magnum_capi_helm/{index}")).collect();
    let more: Vec<(&str, &[u8], u32)> = more.iter().map(|name| (name.as_str(), &shared[..], 0o100_644)).collect();
    let mut bytes = wheel(&more);
    // The local headers and contents of the last two go; their entries in the directory then name the first one's.
    let headers: Vec<usize> = positions(&bytes, b"PK\x03\x04");
    let (first, last) = (headers[headers.len() - 3], headers[headers.len() - 2]);
    let directory = positions(&bytes, b"PK\x01\x02")[0];
    bytes.drain(last..directory);
    let gone = (directory - last) as u32;
    let entries = positions(&bytes, b"PK\x01\x02");
    for entry in &entries[entries.len() - 2..] {
        bytes[entry + 42..entry + 46].copy_from_slice(&(first as u32).to_le_bytes());
    }
    let start = bytes.len() - 6;
    let old = u32::from_le_bytes(bytes[start..start + 4].try_into().unwrap());
    bytes[start..start + 4].copy_from_slice(&(old - gone).to_le_bytes());
    assert!(refusal(&bytes).contains("its members overlap"));
}

fn positions(bytes: &[u8], mark: &[u8]) -> Vec<usize> {
    (0..bytes.len()).filter(|at| bytes[*at..].starts_with(mark)).collect()
}
