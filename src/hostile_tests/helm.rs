//! helm: taken in as the resource `helm`, and from `helm-url`.

use anyhow::Result;
use tar::EntryType;

use super::make::{empty_codes, entry, gzip, header, packed, tarballs, zeros};
use super::server::{endless, head, odd_answers};
use super::{INPUT, Kind, Shape, Unit};
use crate::helm::StagedHelm;
use crate::juju::settings::{Address, HelmSource};

pub const KIND: Kind = Kind { name: "helm", shapes, take_in };

fn take_in(unit: &Unit) -> Result<()> {
    unit.root.make_state_directory()?;
    let system = unit.system(|_| Some("v3.9.0+g1\n".to_owned()));
    let source = match unit.port {
        None => HelmSource::Resource(INPUT.into()),
        Some(port) => HelmSource::Url {
            url: Address::new("helm-url", &format!("http://127.0.0.1:{port}/helm"))?,
            sha256: "ab".repeat(32).parse()?,
        },
    };
    StagedHelm::obtain(&system, &source, Some("a source".to_owned()), None, &[]).map(drop)
}

const NAME: &str = "a/helm";
const ELF: &[u8] = b"\x7fELF";

/// An executable of so many bytes, which take no place on the disk.
fn executable(name: &'static str, length: u64) -> Shape {
    Shape::tree(name, move |scratch| {
        scratch.put(INPUT, ELF);
        std::fs::File::options().write(true).open(scratch.path(INPUT)).unwrap().set_len(length).unwrap();
    })
}

fn shapes() -> Vec<Shape> {
    let mut shapes = tarballs(NAME, || entry(EntryType::Regular, NAME, ELF));
    shapes.extend(odd_answers("application/octet-stream"));
    shapes.extend([
        executable("good, 60 MB", 60_000_000),
        executable("an executable of 300 MB", 300_000_000),
        executable("an executable of 1 TiB", 1 << 40),
        Shape::file("good, 80 MiB in a tarball", || {
            let header = header(EntryType::Regular, NAME, (80 << 20) - 512);
            gzip_whole(&[&header[..], ELF].concat(), (80 << 20) - 516)
        }),
        Shape::file("helm of 4 GiB", || gzip(&zeros(&header(EntryType::Regular, NAME, 4 << 30), 4 << 10))),
        Shape::file("3 GiB before helm", || gzip(&zeros(&header(EntryType::Regular, "x", 3 << 30), 4 << 10))),
        Shape::file("empty codes, 40 MiB", || gzip(&empty_codes(40 << 20))),
        Shape::file("three letters", || b"\x7fEL".to_vec()),
        Shape::served("an executable without end", |_, out| endless(out, &[&head("x", "")[..], ELF].concat(), &[0])),
        Shape::served("a bomb", |_, out| {
            let bomb = gzip(&zeros(&header(EntryType::Regular, NAME, 4 << 30), 4 << 10));
            out.write_all(&[head("x", ""), bomb].concat())
        }),
    ]);
    shapes
}

/// A gzip file of these bytes and zeros after them.
fn gzip_whole(start: &[u8], more: usize) -> Vec<u8> {
    packed(&[start, &vec![0; more]].concat())
}
