//! The archive: a zip whose bytes follow from its entries alone.
//!
//! Entries are sorted by name and have the zip format's first instant as their time, one mode per kind, and one level
//! of compression. The compressor is miniz_oxide, whose output depends on nothing but its version, which Cargo.lock
//! fixes. That of zlib-rs, which the zip crate would use here, also depends on the processor.

use std::io::Write as _;

use anyhow::{Context, Result, ensure};
use miniz_oxide::deflate::compress_to_vec;
use rawzip::time::UtcDateTime;
use rawzip::{CompressionMethod, DataDescriptorOutput, ZipArchiveWriter, crc32};

/// miniz_oxide's greatest level for zlib's format.
const LEVEL: u8 = 9;

/// The content of an entry. Juju takes the mode from the archive.
#[derive(Debug, PartialEq, Eq)]
pub enum Content {
    /// A file that is not executable.
    File(Vec<u8>),
    /// An executable.
    Program(Vec<u8>),
    /// A symbolic link with this target.
    Link(String),
}

impl Content {
    /// The mode with its file type (inode(7)).
    fn mode(&self) -> u32 {
        match self {
            Self::File(_) => 0o100_644,
            Self::Program(_) => 0o100_755,
            Self::Link(_) => 0o120_777,
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::File(bytes) | Self::Program(bytes) => bytes,
            Self::Link(target) => target.as_bytes(),
        }
    }
}

/// One file or link of the charm.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its path from the charm's root.
    pub name: String,
    pub content: Content,
}

/// Writes the archive with `entries`.
pub fn write(mut entries: Vec<Entry>) -> Result<Vec<u8>> {
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    ensure!(entries.is_sorted_by(|a, b| a.name < b.name), "two entries have the same name");
    let first_instant =
        UtcDateTime::from_components(1980, 1, 1, 0, 0, 0, 0).context("the zip format's first instant")?;
    let mut zip = ZipArchiveWriter::new(Vec::new());
    for Entry { name, content } in entries {
        let adding = || format!("adding {name} to the archive");
        let (mut file, _) = zip
            .new_file(name.as_str())
            .compression_method(CompressionMethod::DEFLATE)
            .last_modified(first_instant)
            .unix_permissions(content.mode())
            .start()
            .with_context(adding)?;
        let bytes = content.bytes();
        file.write_all(&compress_to_vec(bytes, LEVEL)).with_context(adding)?;
        let size = u64::try_from(bytes.len()).with_context(adding)?;
        file.finish(DataDescriptorOutput::new(crc32(bytes), size)).with_context(adding)?;
    }
    zip.finish().context("closing the archive")
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;

    fn entries() -> Vec<Entry> {
        let entry = |name: &str, content| Entry { name: name.to_owned(), content };
        vec![
            entry("metadata.yaml", Content::File(b"name: graft\n".repeat(100))),
            entry("hooks/start", Content::Link("../dispatch".to_owned())),
            entry("dispatch", Content::Program(b"\x7fELF".to_vec())),
        ]
    }

    #[test]
    fn the_order_of_the_entries_does_not_matter() {
        let mut reversed = entries();
        reversed.reverse();
        assert_eq!(write(entries()).unwrap(), write(reversed).unwrap());
    }

    #[test]
    fn two_entries_of_one_name_are_refused() {
        let mut twice = entries();
        twice.extend(entries());
        assert!(write(twice).is_err());
    }

    /// Python's zipfile is what charmcraft reads charms with.
    #[test]
    fn python_reads_names_modes_times_and_contents() {
        const READER: &str = "import io, sys, zipfile\n\
            z = zipfile.ZipFile(io.BytesIO(sys.stdin.buffer.read()))\n\
            assert z.testzip() is None\n\
            for i in z.infolist():\n\
            \x20   print(i.filename, oct(i.external_attr >> 16), '%d-%d-%d' % i.date_time[:3], i.compress_type, len(z.read(i)))";
        let mut python =
            Command::new("python3").args(["-c", READER]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let archive = write(entries()).unwrap();
        python.stdin.take().unwrap().write_all(&archive).unwrap();
        let output = python.wait_with_output().unwrap();
        assert_eq!(
            String::from_utf8(output.stdout).unwrap(),
            "dispatch 0o100755 1980-1-1 8 4\n\
             hooks/start 0o120777 1980-1-1 8 11\n\
             metadata.yaml 0o100644 1980-1-1 8 1200\n"
        );
    }
}
