//! Wheels: taken in as the resource `driver-wheel`, up to the comparison with RECORD.

use anyhow::{Context as _, Result};

use super::make::{Member, empty_blocks, empty_codes, end, longs, shorts, zeros, zip};
use super::{INPUT, Kind, Shape, Unit, refused};
use crate::driver::tests::{self, DIST_INFO, pin, python};
use crate::driver::{InstalledDrivers, StagedDriver};
use crate::juju::settings::DriverSource;

pub const KIND: Kind = Kind { name: "wheel", shapes, take_in };

fn take_in(unit: &Unit) -> Result<()> {
    let source = DriverSource { pin: pin(), sha256: None, index: None, wheel: Some(INPUT.into()) };
    let staged = StagedDriver::obtain(&unit.system(|_| None), &source, None, &python(), &[])?;
    let found = InstalledDrivers::inspect(&unit.root, staged.path())?;
    if found.intact(&pin()).is_none() {
        return Err(refused(found.differs(&pin(), None).context("nothing of it is wrong")?));
    }
    Ok(())
}

const MIB: usize = 1 << 20;

fn own(name: &str) -> String {
    format!("magnum_capi_helm/{name}")
}

/// A wheel with this RECORD.
fn with_record(make: impl Fn() -> Vec<u8> + Send + Sync + 'static) -> impl Fn() -> Vec<u8> + Send + Sync + 'static {
    move || {
        let driver = Member::stored(own("driver.py"), tests::MODULE);
        zip(&[driver, Member::deflated(format!("{DIST_INFO}/RECORD"), make())])
    }
}

/// A wheel with members that are numbered.
fn numbered(count: usize, make: impl Fn(usize) -> Member + Send + Sync + 'static) -> impl Fn() -> Vec<u8> {
    move || zip(&(0..count).map(&make).collect::<Vec<_>>())
}

fn one(make: impl Fn() -> Member + Send + Sync + 'static) -> impl Fn() -> Vec<u8> {
    move || zip(&[make()])
}

fn mode(mode: u32) -> impl Fn() -> Vec<u8> {
    one(move || Member { mode, ..Member::stored(own("evil"), b"/etc/shadow") })
}

fn named(name: &'static str) -> impl Fn() -> Vec<u8> {
    one(move || Member::stored(name, b""))
}

fn entry_points(text: String) -> Member {
    Member::deflated(format!("{DIST_INFO}/entry_points.txt"), text)
}

fn shapes() -> Vec<Shape> {
    let (bomb, small) = (|name: String, mebibytes| Member::raw(name, zeros(b"", mebibytes)), zeros(b"", 15));
    let mut shapes = vec![
        Shape::file("good", || tests::wheel(&[])),
        Shape::file("good, 7 MiB", || tests::wheel(&[("magnum_capi_helm/large", &vec![7; 7 * MIB], 0o100_644)])),
        Shape::file("empty", Vec::new),
        Shape::file("no zip", || vec![b'x'; 8 * MIB]),
        Shape::file("over the size", || vec![0; 8 * MIB + 1]),
        Shape::file("cut off", || tests::wheel(&[])[..90].to_vec()),
        Shape::file("a link", mode(0o120_777)),
        Shape::file("setuid", mode(0o104_755)),
        Shape::file("a device", mode(0o060_644)),
        Shape::file("another top level", named("zz_evil.pth")),
        Shape::file("upwards", named("magnum_capi_helm/../../../etc/x")),
        Shape::file("a line break in a name", named("magnum_capi_helm/x\nUnit=poweroff.target")),
        Shape::file("a wrong checksum", one(|| Member { crc: 1, ..Member::stored(own("driver.py"), b"x") })),
        Shape::file("encrypted", one(|| Member { flags: 1, ..Member::stored(own("x"), [0_u8; 100]) })),
        Shape::file("an unknown method", one(|| Member { method: 99, ..Member::stored(own("x"), b"x") })),
        Shape::file("bad deflated bytes", one(|| Member::raw(own("x"), vec![0xff; 7 * MIB]))),
        Shape::file("a declared size of 2^63", || {
            let extra = [shorts(&[1, 8]), longs(&[0, 1 << 31])].concat();
            zip(&[Member { size: u32::MAX, extra, ..Member::raw(own("l"), b"\x03\0".to_vec()) }])
        }),
        Shape::file("a bomb of 4 GiB", one(move || bomb(own("bomb"), 4 << 10))),
        Shape::file("a bomb in a bomb", one(move || Member::deflated(own("b"), zip(&[bomb(own("b"), 4 << 10)])))),
        Shape::file("300 bombs", numbered(300, move |index| Member::raw(own(&index.to_string()), small.clone()))),
        Shape::file("empty blocks", one(|| Member::raw(own("x"), empty_blocks(7 * MIB)))),
        Shape::file("empty codes", one(|| Member::raw(own("x"), empty_codes(7 * MIB)))),
        Shape::file("300 members with the same empty codes", || {
            let shared = |index: usize| match index {
                0 => Member::raw(own("0"), empty_codes(7 * MIB)),
                _ => Member { shares: Some(0), ..Member::raw(own(&index.to_string()), Vec::new()) },
            };
            zip(&(0..300).map(shared).collect::<Vec<_>>())
        }),
        Shape::file("65,534 members", numbered(65_534, |index| Member::stored(own(&index.to_string()), b""))),
        Shape::file("300 members", numbered(300, |index| Member::stored(own(&index.to_string()), b""))),
        Shape::file("300 members, 15 MiB", numbered(300, |i| Member::deflated(own(&i.to_string()), [7_u8; 50_000]))),
        Shape::file("300 deep members", numbered(300, |i| Member::stored(own(&format!("{i}/b/c/d/e/f/g")), b""))),
        Shape::file("300 members of one name", numbered(300, |_| Member::stored(own("x"), b"x"))),
        Shape::file("100 long names", numbered(100, |i| Member::stored(vec![b'a' + (i % 20) as u8; 60_000], b""))),
        Shape::file("15 long names", numbered(15, |i| Member::stored(vec![0xf0 + i as u8; 65_000], b""))),
        Shape::file(
            "long extra fields",
            numbered(15, |i| {
                let extra = [0x5455_u16.to_le_bytes(), [1, 0]].concat().into_iter().chain([0]).collect::<Vec<_>>();
                Member { extra: extra.repeat(13_000), ..Member::stored(own(&i.to_string()), b"") }
            }),
        ),
        Shape::file("entry points of another program", one(|| entry_points("[console_scripts]\nx = y".to_owned()))),
        Shape::file("entry points of 15 MiB", one(|| entry_points("[magnum.drivers]\na=\n".repeat(3 * MIB / 4)))),
        Shape::file("names that differ in case", numbered(2, |i| Member::stored(own(["A.py", "a.py"][i]), b""))),
        Shape::file("a file below a file", numbered(2, |i| Member::stored(own(["a", "a/b"][i]), b""))),
        Shape::file("100,000 ends", || {
            let mut bytes = zip(&(0..40_000).map(|_| Member::stored(own("x"), b"")).collect::<Vec<_>>());
            let last = bytes.len() - 22;
            // The last entry is damaged, so that every end is tried.
            bytes[last - 64] = 0;
            let end = bytes[last..].to_vec();
            bytes.extend(end.repeat(100_000));
            bytes
        }),
        Shape::file("ends in a row that look like zip64", || end(u16::MAX, u32::MAX, u32::MAX).repeat(300_000)),
    ];
    let row = |name: &str| format!("{name},sha256=x,1\n");
    shapes.extend([
        Shape::file("RECORD of 15 MiB", with_record(|| vec![b'x'; 15 * MIB])),
        Shape::file("RECORD of one field of 7 MiB", with_record(|| vec![b'x'; 7 * MIB])),
        Shape::file(
            "RECORD of one name of 7 MiB of control characters",
            with_record(|| [&vec![1; 7 * MIB][..], b",,\n"].concat()),
        ),
        Shape::file("RECORD names elsewhere", with_record(move || row("/etc/shadow").repeat(4000).into())),
        Shape::file("RECORD names one file 500 times", with_record(move || row(&own("driver.py")).repeat(500).into())),
        Shape::file(
            "RECORD with 400,000 rows",
            with_record(|| {
                (0..400_000)
                    .flat_map(|index| format!("magnum_capi_helm/{index},,\n").into_bytes())
                    .take(7 * MIB)
                    .collect()
            }),
        ),
    ]);
    shapes
}
