//! The installed driver: its tree and RECORD, compared as every hook does that finds a change.

use anyhow::{Context as _, Result};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::{Kind, Shape, Unit, refused};
use crate::driver;
use crate::driver::tests::{DIST_INFO, MODULE, SITE, pin, python, record};
use crate::system::testing::Scratch;

pub const KIND: Kind = Kind { name: "installed driver", shapes, take_in };

fn take_in(unit: &Unit) -> Result<()> {
    let found = driver::inspect_if_changed(&unit.root, &python())?.installed;
    if found.intact(&pin()).is_none() {
        return Err(refused(found.differs(&pin(), None).context("nothing of it is wrong")?));
    }
    Ok(())
}

const MIB: usize = 1 << 20;

fn path(name: &str) -> String {
    format!("{SITE}/magnum_capi_helm/{name}")
}

/// A good driver, and what is changed of it.
fn installed(name: &'static str, change: impl Fn(&Scratch) + Send + Sync + 'static) -> Shape {
    Shape::tree(name, move |scratch| {
        scratch.root.make_state_directory().unwrap();
        scratch.put(path("driver.py"), MODULE);
        scratch.put(format!("{SITE}/{DIST_INFO}/RECORD"), record(&[]));
        change(scratch);
    })
}

fn recorded(name: &'static str, make: impl Fn() -> Vec<u8> + Send + Sync + 'static) -> Shape {
    installed(name, move |scratch| scratch.put(format!("{SITE}/{DIST_INFO}/RECORD"), make()))
}

fn with_rows(name: &'static str, rows: impl Fn() -> String + Send + Sync + 'static) -> Shape {
    recorded(name, move || (record(&[]) + &rows()).into())
}

/// Takes a file's place.
fn instead(scratch: &Scratch, name: &str, put: impl Fn(&std::path::Path)) {
    std::fs::remove_file(scratch.path(name)).unwrap();
    put(&scratch.path(name));
}

fn sparse(scratch: &Scratch, name: &str, length: usize) {
    scratch.put(name, "");
    std::fs::File::options().write(true).open(scratch.path(name)).unwrap().set_len(length as u64).unwrap();
}

fn shapes() -> Vec<Shape> {
    let fifo = |path: &std::path::Path| mkfifo(path, Mode::from_bits_truncate(0o644)).unwrap();
    let zero = |path: &std::path::Path| std::os::unix::fs::symlink("/dev/zero", path).unwrap();
    vec![
        installed("good", |_| ()),
        recorded("empty RECORD", Vec::new),
        recorded("RECORD of zeros", || vec![0; 8 * MIB]),
        recorded("RECORD over the size", || vec![b'x'; 8 * MIB + 1]),
        recorded("RECORD of one field", || vec![b'x'; 8 * MIB]),
        recorded("RECORD of an open quote", || vec![b'"'; 8 * MIB - 1]),
        recorded("RECORD of commas", || vec![b','; 8 * MIB]),
        recorded("RECORD of line breaks", || vec![b'\n'; 8 * MIB]),
        recorded("RECORD that is no text", || [&vec![0xff; 7 * MIB][..], b",,\n"].concat()),
        recorded("RECORD of a name of control characters", || [&vec![1; 7 * MIB][..], b",,\n"].concat()),
        with_rows("RECORD names elsewhere", || "/etc/shadow,,\n../../../../../etc/shadow,,\n".repeat(2000)),
        with_rows("RECORD names one file 500 times", || "magnum_capi_helm/driver.py,,\n".repeat(500)),
        with_rows("RECORD of 300,000 rows", || (0..300_000).map(|row| format!("magnum_capi_helm/{row},,\n")).collect()),
        with_rows("RECORD of 5000 directories", || {
            (0..5000).map(|row| format!("magnum_capi_helm/{row}/{}x,,\n", "d/".repeat(700))).collect()
        }),
        installed("RECORD is a FIFO", move |scratch| instead(scratch, &format!("{SITE}/{DIST_INFO}/RECORD"), fifo)),
        installed("RECORD leads to /dev/zero", move |scratch| {
            instead(scratch, &format!("{SITE}/{DIST_INFO}/RECORD"), zero);
        }),
        installed("a module is a FIFO", move |scratch| instead(scratch, &path("driver.py"), fifo)),
        installed("a module leads to /dev/zero", move |scratch| instead(scratch, &path("driver.py"), zero)),
        installed("6000 files more", |scratch| (0..6000).for_each(|index| scratch.put(path(&index.to_string()), "x"))),
        installed("6000 directories more", |scratch| {
            (0..6000).for_each(|index| std::fs::create_dir(scratch.path(path(&index.to_string()))).unwrap());
        }),
        installed("300 directories deep", |scratch| {
            std::fs::create_dir_all(scratch.path(path(&"d/".repeat(300)))).unwrap();
        }),
        installed("1000 files of 8 MiB", |scratch| {
            (0..1000).for_each(|index| sparse(scratch, &path(&index.to_string()), 8 * MIB));
        }),
        installed("a file of 1 TiB", |scratch| sparse(scratch, &path("large"), 1 << 40)),
        installed("50 copies", |scratch| {
            let rows: String = (0..4000).map(|row| format!("{row}{},,\n", "\u{1}".repeat(200))).collect();
            let copy = |index| scratch.put(format!("{SITE}/magnum_capi_helm-{index}.dist-info/RECORD"), &rows);
            (0..50).for_each(copy);
        }),
    ]
}
