//! The archive itself: a zip whose bytes follow from its entries alone.
//!
//! Entries are sorted by name, carry the zip format's first instant as their time and one mode per kind, and are
//! stored without compression: a compressor's output may change with its version or with the processor it runs on.

use std::io::{Cursor, Write as _};

use anyhow::{Context, Result};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// What an entry is; its mode follows from that.
#[derive(Debug, PartialEq, Eq)]
pub enum Content {
    /// A file to be read, 0644.
    File(Vec<u8>),
    /// A file to be run, 0755. Juju takes the mode from the archive.
    Program(Vec<u8>),
    /// A symbolic link with this target, 0777.
    Link(String),
}

/// One file or link of the charm.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    name: String,
    content: Content,
}

impl Entry {
    /// An entry at `name`, a path from the charm's root.
    #[must_use]
    pub fn new(name: impl Into<String>, content: Content) -> Self {
        let name = name.into();
        Self { name, content }
    }
}

/// What is wrong with the list of entries.
#[must_use]
pub fn faults(entries: &[Entry]) -> Vec<String> {
    let mut faults = Vec::new();
    match entries.iter().find(|entry| entry.name == "dispatch") {
        None => faults.push("dispatch: missing".to_owned()),
        Some(Entry {
            content: Content::Program(bytes),
            ..
        }) if bytes.starts_with(b"\x7fELF") => {}
        Some(_) => faults.push("dispatch: must be an executable ELF program".to_owned()),
    }
    for entry in entries.iter().filter(|e| e.name.starts_with("hooks/")) {
        if entry.content != Content::Link("../dispatch".to_owned()) {
            faults.push(format!("{}: must be a link to ../dispatch", entry.name));
        }
    }
    faults
}

/// The archive with `entries`.
///
/// # Errors
///
/// When two entries have the same name.
pub fn write(mut entries: Vec<Entry>) -> Result<Vec<u8>> {
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let plain = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::DEFAULT);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for Entry { name, content } in entries {
        match content {
            Content::File(bytes) => zip
                .start_file(name.as_str(), plain.unix_permissions(0o644))
                .and_then(|()| Ok(zip.write_all(&bytes)?)),
            Content::Program(bytes) => zip
                .start_file(name.as_str(), plain.unix_permissions(0o755))
                .and_then(|()| Ok(zip.write_all(&bytes)?)),
            Content::Link(target) => {
                zip.add_symlink(name.as_str(), target, plain.unix_permissions(0o777))
            }
        }
        .with_context(|| format!("adding {name} to the archive"))?;
    }
    Ok(zip.finish().context("closing the archive")?.into_inner())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use zip::ZipArchive;

    use super::*;

    fn entries() -> Vec<Entry> {
        vec![
            Entry::new("metadata.yaml", Content::File(b"name: graft\n".to_vec())),
            Entry::new("hooks/start", Content::Link("../dispatch".to_owned())),
            Entry::new("dispatch", Content::Program(b"\x7fELF".to_vec())),
        ]
    }

    #[test]
    fn the_order_of_the_entries_does_not_matter() {
        let mut reversed = entries();
        reversed.reverse();
        assert_eq!(write(entries()).unwrap(), write(reversed).unwrap());
    }

    #[test]
    fn modes_times_and_links_are_as_juju_needs_them() {
        let bytes = write(entries()).unwrap();
        let mut zip = ZipArchive::new(Cursor::new(bytes)).unwrap();
        for (index, (name, mode, content)) in [
            ("dispatch", 0o100_755, "\x7fELF"),
            ("hooks/start", 0o120_777, "../dispatch"),
            ("metadata.yaml", 0o100_644, "name: graft\n"),
        ]
        .into_iter()
        .enumerate()
        {
            let mut entry = zip.by_index(index).unwrap();
            assert_eq!(entry.name(), name);
            assert_eq!(entry.unix_mode(), Some(mode), "{name}");
            assert_eq!(entry.last_modified().unwrap().year(), 1980, "{name}");
            assert_eq!(entry.compression(), CompressionMethod::Stored, "{name}");
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            assert_eq!(text, content);
        }
    }

    #[test]
    fn two_entries_of_one_name_are_refused() {
        let mut twice = entries();
        twice.extend(entries());
        assert!(write(twice).is_err());
    }

    #[test]
    fn dispatch_must_be_a_program_and_hooks_must_lead_to_it() {
        assert_eq!(faults(&entries()), Vec::<String>::new());
        let elf = b"\x7fELF".to_vec();
        for (entry, expected) in [
            (
                Entry::new("dispatch", Content::File(elf.clone())),
                "dispatch: must be an executable ELF program",
            ),
            (
                Entry::new("dispatch", Content::Program(b"#!/bin/sh\n".to_vec())),
                "dispatch: must be an executable ELF program",
            ),
        ] {
            assert_eq!(faults(&[entry]), [expected]);
        }
        assert_eq!(faults(&[]), ["dispatch: missing"]);
        let mut with_script = entries();
        with_script.push(Entry::new("hooks/stop", Content::Program(elf)));
        assert_eq!(
            faults(&with_script),
            ["hooks/stop: must be a link to ../dispatch"]
        );
    }
}
