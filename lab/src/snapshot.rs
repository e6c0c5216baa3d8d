//! What is in a machine's directories at one moment, and how two moments differ.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::{Context, Result, ensure};

use crate::machine::Machine;

/// Paths that change while nobody does anything: the agent's own files, and Magnum's, with the services'
/// heartbeats in its database and a cache of entry points.
pub const RESTLESS: [&str; 2] = ["/var/lib/juju", "/var/lib/magnum"];

/// One file, directory or link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// `f` file, `d` directory, `l` link, `s` socket, `p` pipe.
    pub kind: char,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Size in bytes; 0 for a directory, whose size says nothing.
    pub size: u64,
    /// SHA-256 of a file's content in hex, the target of a link, or nothing.
    pub content: String,
    /// Inode number: another one when a file was replaced by another, even of the same content.
    pub inode: u64,
    /// Time of the last change, in seconds since 1970 with their fractions.
    pub mtime: String,
}

/// All entries below some directories, by path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    pub entries: BTreeMap<String, Entry>,
}

impl Machine {
    /// Look at everything below `directories` but `exclude` and what is below that: about half a
    /// second for `/etc`, `/usr/local` and `/var/lib`. A directory that does not exist is empty.
    pub fn snapshot(&self, directories: &[&str], exclude: &[&str]) -> Result<Snapshot> {
        let mut find: Vec<&str> = vec!["find"];
        find.extend(directories);
        for path in exclude {
            find.extend(["-path", path, "-prune", "-o"]);
        }
        let format = "%p\\0%y\\0%m\\0%U\\0%G\\0%s\\0%i\\0%T@\\0%l\\0";
        find.extend(["-printf", format]);
        // Files come and go under the feet of find; then it complains and exits with 1.
        let found = self.run(&find)?;
        let mut entries = BTreeMap::new();
        let fields: Vec<&str> = found.stdout.split_terminator('\0').collect();
        for field in fields.chunks(9) {
            let [path, kind, mode, uid, gid, size, inode, mtime, target] = field else {
                ensure!(false, "unexpected output of find: {field:?}\n{}", found.stderr);
                break;
            };
            let kind = kind.chars().next().context("no kind")?;
            let entry = Entry {
                kind,
                mode: u32::from_str_radix(mode, 8)?,
                uid: uid.parse()?,
                gid: gid.parse()?,
                size: if kind == 'd' { 0 } else { size.parse()? },
                content: (*target).to_owned(),
                inode: inode.parse()?,
                mtime: (*mtime).to_owned(),
            };
            entries.insert((*path).to_owned(), entry);
        }
        let mut snapshot = Snapshot { entries };
        self.hash(&mut snapshot)?;
        Ok(snapshot)
    }

    fn hash(&self, snapshot: &mut Snapshot) -> Result<()> {
        let files = snapshot.entries.iter().filter(|(_, entry)| entry.kind == 'f');
        let names: String = files.map(|(path, _)| format!("{path}\0")).collect();
        let hash = ["xargs", "--null", "--no-run-if-empty", "sha256sum", "--zero", "--"];
        let sums = self.run_with_input(&hash, Some(names.as_bytes()))?;
        for line in sums.stdout.split_terminator('\0') {
            let (sum, path) = line.split_once("  ").with_context(|| format!("sha256sum said {line:?}"))?;
            if let Some(entry) = snapshot.entries.get_mut(path) {
                entry.content = sum.to_owned();
            }
        }
        Ok(())
    }
}

impl Snapshot {
    /// How `later` differs in what a person would call different: what is there, its kind, mode, owner
    /// and content. When it was written does not count.
    #[must_use]
    pub fn diff(&self, later: &Self) -> Diff {
        self.compare(later, false)
    }

    /// How `later` differs in anything at all: [`Snapshot::diff`], and inodes and times too. Empty
    /// means that nobody has written anything, not even the same again.
    #[must_use]
    pub fn diff_exact(&self, later: &Self) -> Diff {
        self.compare(later, true)
    }

    fn compare(&self, later: &Self, exact: bool) -> Diff {
        let paths: BTreeSet<&String> = self.entries.keys().chain(later.entries.keys()).collect();
        let mut lines = BTreeMap::new();
        for path in paths {
            let line = match (self.entries.get(path), later.entries.get(path)) {
                (Some(_), None) => Some("removed".to_owned()),
                (None, Some(new)) => Some(format!("added: {}", new.describe())),
                (Some(old), Some(new)) => old.changes(new, exact),
                (None, None) => None,
            };
            if let Some(line) = line {
                lines.insert(path.clone(), line);
            }
        }
        Diff { lines }
    }
}

impl Entry {
    fn describe(&self) -> String {
        let Self { kind, mode, uid, gid, size, content, .. } = self;
        match kind {
            'l' => format!("link to {content}"),
            'd' => format!("directory {mode:04o} {uid}:{gid}"),
            _ => format!("{kind} {mode:04o} {uid}:{gid} {size} bytes"),
        }
    }

    fn changes(&self, new: &Self, exact: bool) -> Option<String> {
        let mut changes = Vec::new();
        let mut note = |what: &str, old: String, new: String| {
            if old != new {
                changes.push(format!("{what} {old} -> {new}"));
            }
        };
        note("kind", self.kind.to_string(), new.kind.to_string());
        note("mode", format!("{:04o}", self.mode), format!("{:04o}", new.mode));
        note("owner", format!("{}:{}", self.uid, self.gid), format!("{}:{}", new.uid, new.gid));
        note("size", self.size.to_string(), new.size.to_string());
        note("content", self.content.clone(), new.content.clone());
        if exact {
            note("inode", self.inode.to_string(), new.inode.to_string());
            note("mtime", self.mtime.clone(), new.mtime.clone());
        }
        (!changes.is_empty()).then(|| changes.join(", "))
    }
}

/// The differences of two snapshots: path → what is different.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diff {
    pub lines: BTreeMap<String, String>,
}

impl Diff {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    #[must_use]
    pub fn paths(&self) -> Vec<&str> {
        self.lines.keys().map(String::as_str).collect()
    }
}

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|(path, line)| writeln!(f, "{path}: {line}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(content: &str) -> Entry {
        let (kind, mtime, content) = ('f', "1.5".into(), content.into());
        Entry { kind, mode: 0o644, uid: 0, gid: 0, size: 1, content, inode: 7, mtime }
    }

    fn snapshot(entries: &[(&str, Entry)]) -> Snapshot {
        Snapshot { entries: entries.iter().map(|(path, entry)| ((*path).into(), entry.clone())).collect() }
    }

    #[test]
    fn differences_are_told_in_words() {
        let old = snapshot(&[("/a", entry("x")), ("/b", entry("x")), ("/c", entry("x"))]);
        let new = snapshot(&[("/b", Entry { mode: 0o600, ..entry("y") }), ("/c", entry("x")), ("/d", entry("x"))]);
        let told = "/a: removed\n/b: mode 0644 -> 0600, content x -> y\n/d: added: f 0644 0:0 1 bytes\n";
        assert_eq!(old.diff(&new).to_string(), told);
    }

    #[test]
    fn only_the_exact_difference_sees_a_file_written_again() {
        let old = snapshot(&[("/a", entry("x"))]);
        let new = snapshot(&[("/a", Entry { inode: 8, mtime: "2.5".into(), ..entry("x") })]);
        assert!(old.diff(&new).is_empty());
        assert_eq!(old.diff_exact(&new).paths(), ["/a"]);
    }
}
