//! Packaged charts: taken in as the resource `helm-chart`.

use std::path::Path;

use anyhow::Result;
use tar::EntryType;

use super::make::{empty_codes, entry, gzip, packed, tarballs};
use super::{INPUT, Kind, Shape, Unit};
use crate::chart::ChartArchive;

pub const KIND: Kind = Kind { name: "chart", shapes, take_in };

fn take_in(unit: &Unit) -> Result<()> {
    ChartArchive::read(&unit.root, Path::new(INPUT)).map(drop)
}

const NAME: &str = "x/Chart.yaml";
const MOST: usize = 64 << 10;

/// A chart with this `Chart.yaml`.
fn yaml(name: &'static str, make: impl Fn() -> String + Send + Sync + 'static) -> Shape {
    Shape::file(name, move || packed(&entry(EntryType::Regular, NAME, make().as_bytes())))
}

/// The most that can be read of a `Chart.yaml` which repeats this.
fn repeated(name: &'static str, start: &'static str, part: &'static str) -> Shape {
    yaml(name, move || format!("{start}{}", part.repeat((MOST - start.len()) / part.len())))
}

fn shapes() -> Vec<Shape> {
    let good = || entry(EntryType::Regular, NAME, b"name: x\nversion: 0.1.0\n");
    let mut shapes = tarballs(NAME, good);
    shapes.extend([
        repeated("[", "version: ", "["),
        repeated("{", "version: ", "{"),
        repeated("closed brackets", "version: ", "[\"]\","),
        repeated("- ", "", "- "),
        repeated("? ", "", "? "),
        repeated("anchors", "a:\n", "- &a b\n"),
        repeated("aliases", "a: &a\nb: [", "*a,"),
        repeated("tags", "a: ", "!a "),
        repeated("directives", "", "%TAG !a! b\n"),
        repeated("tabs", "a:", "\t"),
        repeated("comments", "", "#\n"),
        repeated("a block", "version: |\n", " x\n"),
        repeated("a long version", "name: x\nversion: v", "1"),
        repeated("a long name", "version: ' '\nname: ", "x"),
        repeated("documents", "", "---\n"),
        repeated("NULs", "", "\0"),
        yaml("over the size", || " ".repeat(MOST + 1)),
        yaml("aliases of aliases", || {
            let level = |index| format!("a{index}: &a{index} [*a{}, *a{}]\n", index - 1, index - 1);
            (1..1000).fold("a0: &a0 x\n".to_owned(), |text, index| text + &level(index))
        }),
        yaml("a merge of many keys", || {
            let keys: String = (0..2000).map(|key| format!("  k{key}: v\n")).collect();
            format!("base: &b\n{keys}all:\n{}", "- {<<: *b}\n".repeat(2000))
        }),
        Shape::file("UTF-16", || packed(&entry(EntryType::Regular, NAME, &b"\xff\xfea\0:\0 \0b\0".repeat(9)))),
        Shape::file("over the size of a chart", || gzip(&empty_codes(9 << 20))),
    ]);
    shapes
}
