//! The architecture, held by reading the sources: the layers, one name for one type, and files that a person can read.

#![allow(clippy::unwrap_used, reason = "a source that cannot be read fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The folders (and single files) of `src`, the lowest layer first. Each may use earlier lines only; `main` and `lib` use
/// all of them.
const LAYERS: [&[&str]; 11] = [
    &["escape", "system"],
    &["check", "problem"],
    &["juju"],
    &["magnum"],
    &["step"],
    // The parts do not know each other.
    &["audit", "chart", "conf", "driver", "guard", "helm", "kubeconfig", "services"],
    &["rolling", "smoketest", "capture"],
    &["reconcile"],
    &["verify"],
    &["actions", "preflight"],
    &["fuzzing"],
];

/// The longest file, in lines.
const LONGEST: usize = 400;

fn rust_files(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            match path.extension() {
                _ if path.is_dir() => folders.push(path),
                Some(extension) if extension == "rs" => found.push(path),
                _ => {}
            }
        }
    }
    found.sort();
    found
}

/// The folder or file directly below `src` that a path belongs to.
fn layer_member(path: &Path) -> String {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let first = path.strip_prefix(src).unwrap().components().next().unwrap();
    first.as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

/// Whether a whole file is a part of unit tests.
fn is_test(path: &Path) -> bool {
    let mut parts = path.components().map(|part| part.as_os_str().to_string_lossy());
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    parts.any(|part| part.ends_with("tests")) || name.ends_with("tests") || name == "testing"
}

/// The source without its unit tests, which may use anything.
fn without_tests(source: &str) -> &str {
    source.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default()
}

/// Which folders a source uses: every `crate::NAME`, and the members of `use crate::{…}`.
fn uses(source: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for rest in without_tests(source).split("crate::").skip(1) {
        let (names, in_braces) = match rest.strip_prefix('{') {
            Some(inner) => (inner.split(';').next().unwrap_or_default(), true),
            None => (rest, false),
        };
        let mut depth = 0;
        for part in names.split_inclusive(['{', '}', ',']) {
            let name: String = part.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if depth == 0 && !name.is_empty() {
                found.insert(name);
            }
            depth += part.matches('{').count();
            depth = depth.saturating_sub(part.matches('}').count());
            if !in_braces {
                break;
            }
        }
    }
    found
}

/// Every use that goes up, or sideways, in the layers.
fn violations(sources: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let layer = |name: &str| LAYERS.iter().position(|layer| layer.contains(&name));
    let mut found = Vec::new();
    for (member, texts) in sources {
        let own = layer(member).unwrap_or_else(|| panic!("src/{member} stands in no layer"));
        for used in texts.iter().flat_map(|text| uses(text)).filter(|used| used != member) {
            if layer(&used).is_some_and(|other| other >= own) {
                found.push(format!("src/{member} uses crate::{used}"));
            }
        }
    }
    found.dedup();
    found
}

fn sources() -> BTreeMap<String, Vec<String>> {
    let mut sources: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in rust_files("src") {
        let member = layer_member(&path);
        if !["main", "lib"].contains(&member.as_str()) && !is_test(&path) {
            sources.entry(member).or_default().push(fs::read_to_string(path).unwrap());
        }
    }
    sources
}

#[test]
fn each_folder_uses_lower_layers_only_so_there_is_no_circle() {
    assert_eq!(violations(&sources()), [""; 0]);
}

#[test]
fn a_use_of_a_higher_layer_is_found() {
    let mut sources = sources();
    for line in ["use crate::reconcile::Reconciled;", "use crate::{reconcile::{Reconciled, plan}};"] {
        sources.get_mut("system").unwrap().push(line.to_owned());
        assert_eq!(violations(&sources), ["src/system uses crate::reconcile"], "{line}");
        sources.get_mut("system").unwrap().pop();
    }
    sources.get_mut("helm").unwrap().push("fn f() { crate::driver::inspect() }".to_owned());
    assert_eq!(violations(&sources), ["src/helm uses crate::driver"]);
}

/// What crosses a border of trust, the signs of it, and the files that may: each is bounded there.
const BORDERS: [(&str, &[&str], &[&str]); 4] = [
    (
        "prints",
        &["print!(", "println!(", "stdout()", "stderr()"],
        // What the fetcher prints is read by this program itself.
        &["driver/fetcher.rs", "juju/log.rs", "main.rs", "preflight.rs", "smoketest/mod.rs"],
    ),
    (
        "opens a path",
        &["fs::read", "fs::write", "fs::remove", "fs::rename", "fs::create", "File::open", "File::create"],
        // Juju's own file beside the program; a file that a person names.
        &["juju/context.rs", "preflight.rs"],
    ),
    ("starts a program", &["process::Command"], &["system/command.rs"]),
    (
        "parses",
        &["serde_json::from_s", "serde_json::from_r", "serde_yaml::from_"],
        // YAML that has been looked at; what this program wrote itself.
        &[
            "chart/archive.rs",
            "driver/fetcher.rs",
            "kubeconfig/document.rs",
            "smoketest/cleaner.rs",
            "system/limits.rs",
            "system/state.rs",
        ],
    ),
];

#[test]
fn borders_are_crossed_in_their_own_files_only() {
    for (what, signs, known) in BORDERS {
        let mut found = Vec::new();
        for path in rust_files("src").into_iter().filter(|path| !is_test(path) && !path.ends_with("fuzzing.rs")) {
            let source = fs::read_to_string(&path).unwrap();
            if signs.iter().any(|sign| without_tests(&source).contains(sign)) {
                found.push(path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().display().to_string());
            }
        }
        assert_eq!(found, known.iter().map(|path| format!("src/{path}")).collect::<Vec<_>>(), "who {what}");
    }
}

/// Whoever writes a state file says what it is for.
#[test]
fn every_state_file_is_in_contributings_table() {
    let contributing = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("CONTRIBUTING.md")).unwrap();
    let table = contributing.split("### The state directory").nth(1).unwrap().split("\n### ").next().unwrap();
    let mut count = 0;
    for path in rust_files("src").into_iter().filter(|path| !is_test(path)) {
        let source = fs::read_to_string(&path).unwrap();
        let texts = without_tests(&source).split('"');
        for name in texts.filter(|text| text.ends_with(".json") || text.ends_with(".jsonl")) {
            assert!(table.contains(&format!("`{name}`")), "{name} of {}", path.display());
            count += 1;
        }
    }
    assert!(count > 10, "{count}");
}

#[test]
fn no_two_public_types_have_one_name() {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in rust_files("src").into_iter().filter(|path| !is_test(path)) {
        let source = fs::read_to_string(&path).unwrap();
        for line in without_tests(&source).lines() {
            let declaration = line.trim().strip_prefix("pub ").unwrap_or_default();
            let mut words = declaration.split(|c: char| !c.is_alphanumeric() && c != '_');
            if ["struct", "enum", "trait", "type"].contains(&words.next().unwrap_or_default()) {
                let name = words.next().unwrap_or_default().to_owned();
                places.entry(name).or_default().push(path.display().to_string());
            }
        }
    }
    places.retain(|_, places| places.len() > 1);
    assert_eq!(places, BTreeMap::new());
}

#[test]
fn every_file_says_what_it_is_for_and_none_is_longer_than_400_lines() {
    for path in ["src", "fuzz", "lab", "xtask", "tests"].iter().flat_map(|folder| rust_files(folder)) {
        let source = fs::read_to_string(&path).unwrap();
        let lines = source.lines().count();
        assert!(source.starts_with("//!"), "{}", path.display());
        assert!(lines <= LONGEST, "{} has {lines} lines", path.display());
    }
}
