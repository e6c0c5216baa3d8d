//! How much is taken in of what others made: nothing of it is parsed, unpacked, downloaded or read from a directory of
//! theirs but through these limits, which count before a parser sees it, or while it comes. A header may promise
//! anything; a parser takes up to 600 bytes of memory for a value of four bytes, and some texts take it a time that
//! grows with the square of their size. How much each kind of input may have stands beside its reader.

use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use serde::de::{DeserializeOwned, Error as _};
use thiserror::Error;

use super::Root;

/// The most bytes of a JSON text, and of whatever else an index serves: the driver has 50 kB, its page on PyPI 10, and a
/// management cluster's list of API groups some hundred.
pub const MOST_BYTES: usize = 2 << 20;
/// The most values, keys and lines of a text; the largest, a management cluster's list of API groups, has some thousand.
pub const MOST_NODES: usize = 50_000;
/// The most brackets of a YAML text: its parser looks back at each one that is open.
pub const MOST_BRACKETS: usize = 5_000;
/// The most aliases and directives of a YAML text.
pub const MOST_ALIASES: usize = 8;

/// Parses JSON.
///
/// # Errors
/// If it does not parse, or has too many values.
pub fn json<T: DeserializeOwned>(bytes: &[u8]) -> serde_json::Result<T> {
    if bytes.len() > MOST_BYTES || nodes(bytes) > MOST_NODES {
        let limits = format!("it has more than {MOST_BYTES} bytes or {MOST_NODES} values");
        return Err(serde_json::Error::custom(limits));
    }
    serde_json::from_slice(bytes)
}

/// Whether a YAML text may be parsed: it has few enough values, brackets and aliases.
pub fn is_modest_yaml(text: &str) -> bool {
    let brackets = text.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count();
    let aliases = aliases(text.as_bytes());
    // Each alias may double what there is.
    brackets <= MOST_BRACKETS && aliases <= MOST_ALIASES && nodes(text.as_bytes()) << aliases <= MOST_NODES
}

/// Counts what begins a value, a key or a line, or a tag in HTML; at least one for each. Within quotes it counts too.
pub fn nodes(bytes: &[u8]) -> usize {
    let is_node = |previous: u8, byte: u8| {
        matches!(byte, b',' | b':' | b'[' | b'{' | b'<' | b'?' | b'\n' | b'\r')
            || (previous == b'-' && !byte.is_ascii_graphic())
    };
    let (mut count, mut previous) = (0, b'\n');
    for byte in bytes {
        count += usize::from(is_node(previous, *byte));
        previous = *byte;
    }
    count
}

/// Counts what may be an alias or a directive: `*name` anywhere but within a word (whatever stands before it may have
/// ended), `%NAME` where a line may begin.
fn aliases(bytes: &[u8]) -> usize {
    let pairs = std::iter::once(&b'\n').chain(bytes).zip(bytes);
    let may_be = |(previous, byte): &(&u8, &u8)| match byte {
        b'*' => !previous.is_ascii_alphanumeric(),
        b'%' => !previous.is_ascii_graphic(),
        _ => false,
    };
    pairs.filter(may_be).count()
}

/// A reader with a size limit and a time limit, for archives and downloads.
///
/// Fails with [`ErrorKind::FileTooLarge`] or [`ErrorKind::TimedOut`] at the first read that exceeds a limit.
#[derive(Debug)]
pub struct Limited<R> {
    inner: R,
    limit: u64,
    left: u64,
    end: Option<Instant>,
}

impl<R: Read> Limited<R> {
    /// Lets at most `limit` bytes through.
    pub fn new(inner: R, limit: u64) -> Self {
        Self { inner, limit, left: limit, end: None }
    }

    #[must_use]
    pub fn until(mut self, end: Instant) -> Self {
        self.end = Some(end);
        self
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.end.is_some_and(|end| Instant::now() > end) {
            return Err(io::Error::new(ErrorKind::TimedOut, "it takes too long"));
        }
        let count = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| too_large(self.limit))?;
        Ok(count)
    }
}

/// The error of what exceeds a size limit.
pub(super) fn too_large(limit: u64) -> io::Error {
    io::Error::new(ErrorKind::FileTooLarge, format!("it has more than {limit} bytes"))
}

/// A directory or file with which there is more than is read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{} {what}; remove what does not belong there", .path.display())]
pub struct TooMuch {
    pub path: PathBuf,
    pub what: String,
}

/// What may still be read.
#[derive(Debug)]
pub struct Budget {
    most: (usize, usize),
    files: usize,
    bytes: usize,
}

impl Budget {
    pub const fn new(files: usize, bytes: usize) -> Self {
        Self { most: (files, bytes), files, bytes }
    }

    /// Returns the content of a file; `None` if nothing is there.
    ///
    /// # Errors
    /// [`TooMuch`] if it is one too many; and if it is there but cannot be read.
    pub fn read(&mut self, root: &Root, path: &Path) -> Result<Option<Vec<u8>>> {
        let (files, bytes) = self.most;
        let what = || format!("is too much, for {files} files with {bytes} bytes together are read");
        ensure!(self.files > 0, TooMuch { path: path.to_owned(), what: what() });
        let Some(content) = root.content(path)? else { return Ok(None) };
        let Some(left) = self.bytes.checked_sub(content.len()) else {
            self.files = 0;
            bail!(TooMuch { path: path.to_owned(), what: what() });
        };
        (self.files, self.bytes) = (self.files - 1, left);
        Ok(Some(content))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::system::testing::Scratch;

    #[test]
    fn json_with_too_many_values_is_not_parsed() {
        let list = |count: usize| format!("[{}0]", "0,".repeat(count)).into_bytes();
        assert!(json::<Value>(&list(MOST_NODES - 1)).is_ok());
        let error = json::<Value>(&list(MOST_NODES)).unwrap_err().to_string();
        assert_eq!(error, "it has more than 2097152 bytes or 50000 values");
    }

    #[test]
    fn every_way_to_write_many_values_brackets_or_aliases_in_yaml_is_seen() {
        for part in ["- \n", "- ", "-\t", "a:\n", "? ", "x\r", "a, ", "- \u{85}", "\n"] {
            assert!(is_modest_yaml(&part.repeat(MOST_NODES / 2)), "{part:?}");
            assert!(!is_modest_yaml(&part.repeat(MOST_NODES + 1)), "{part:?}");
        }
        // Brackets within quotes or a comment close nothing.
        for part in ["[", "{", "[ #]\n", "[\"]\","] {
            assert!(!is_modest_yaml(&part.repeat(MOST_BRACKETS + 1)), "{part:?}");
        }
        for part in [
            " *a",
            "\n*a",
            "\r*a",
            "[*a",
            "{*a",
            ",*a",
            ":*a",
            "[?*a",
            ",?*a",
            "}*a",
            "\"*a",
            "\u{2028}*a",
            "%TAG !a! b\n",
        ] {
            assert!(is_modest_yaml(&part.repeat(MOST_ALIASES)), "{part:?}");
            assert!(!is_modest_yaml(&part.repeat(MOST_ALIASES + 1)), "{part:?}");
        }
        // Eight aliases, each of all that is before it.
        assert!(!is_modest_yaml(&format!("{}{}", "a,".repeat(MOST_NODES / 256 + 1), " *a".repeat(8))));
        assert!(is_modest_yaml("no-proxy: a*b*c*d*e*f*g*h*i*j*k"));
    }

    fn kind_of(mut reader: impl Read) -> Option<ErrorKind> {
        let read = reader.read_to_end(&mut Vec::new());
        read.err().map(|error| error.kind())
    }

    #[test]
    fn what_is_larger_or_later_than_the_limits_is_an_error_and_not_an_end() {
        assert_eq!(kind_of(Limited::new(&b"four"[..], 4)), None);
        let larger = Limited::new(&b"four"[..], 3);
        assert_eq!(kind_of(larger), Some(ErrorKind::FileTooLarge));
        let later = Limited::new(&b"four"[..], 4).until(Instant::now() - std::time::Duration::from_secs(1));
        assert_eq!(kind_of(later), Some(ErrorKind::TimedOut));
    }

    #[test]
    fn one_file_or_byte_more_than_all_may_have_is_refused_and_nothing_read_after_it() {
        let scratch = Scratch::new();
        for name in ["a", "b", "c"] {
            scratch.put(format!("/etc/{name}"), "1234");
        }
        scratch.put("/etc/d", "");
        let refused = |files, bytes| {
            let mut budget = Budget::new(files, bytes);
            let mut read = |path| budget.read(&scratch.root, Path::new(path)).err();
            let errors = ["/etc/a", "/etc/none", "/etc/b", "/etc/c", "/etc/d"].map(&mut read).into_iter().flatten();
            let paths = errors.map(|error| error.downcast::<TooMuch>().unwrap().path);
            paths.map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(refused(4, 12), "");
        assert_eq!(refused(3, 12), "/etc/d");
        assert_eq!(refused(4, 11), "/etc/c /etc/d");
    }
}
