//! The look for secrets on a whole unit: every file and every name of one, the journal, what the
//! charm said.
//!
//! A secret is looked for in pieces of twelve characters, one behind the other: wherever any 24
//! consecutive characters of it stand, one of these stands whole. Only files that have changed since
//! are looked at, by the one time that nobody can set back: no other can hold what was not there.

use std::collections::BTreeSet;

use lab::{Credential, Machine, Output};
use serde_json::json;

use crate::support::soak;

const PIECE: usize = 12;
/// So many bytes as decimal numbers tell them from any other list of numbers.
const NUMBERS: usize = 8;
/// Where the pieces lie while they are looked for; nothing below `/dev` is looked at.
const PATTERNS: &str = "/dev/shm/pieces";
/// When it began.
const BEGAN: &str = "/dev/shm/began";
/// Every changed file of the unit: not the kernel's own, nor those of the management cluster.
const FILES: &str = "find / \\( -path /proc -o -path /sys -o -path /dev -o -path /run/host -o -path /run/management-cluster \\) \
                     -prune -o -type f -cnewer /dev/shm/began";
/// Without a word about files that go while it reads.
const GREP: &str = "env LC_ALL=C grep -saF -f /dev/shm/pieces";

/// Looks at all processes again and again until the test has `Enough`, more often in a soak run; what was seen, as JSON.
/// From the first look on there is a file `/run/looked`.
pub fn sample_processes(machine: &Machine, pieces: &BTreeSet<String>) -> Output {
    let program = include_str!("sample_processes.py");
    let seconds_between = soak("0.02", "0.002");
    let command = ["/usr/bin/python3", "-c", program, seconds_between];
    machine.run_with_input(&command, Some(json!(pieces).to_string().as_bytes())).unwrap()
}

/// The pieces of some secrets.
pub struct Scanner {
    pieces: BTreeSet<String>,
}

impl Scanner {
    /// To be made before any of these is on the unit. `alike` are keys of the same kinds, which
    /// begin with the same words.
    pub fn new(machine: &Machine, credentials: &[&Credential], alike: &[&Credential], tokens: &[&str]) -> Self {
        machine.push(BEGAN, b"", 0o600).unwrap();
        let common = pieces(alike);
        let mut pieces = pieces(credentials);
        pieces.retain(|piece| !common.contains(piece));
        pieces.extend(tokens.iter().flat_map(|token| cut(token)));
        Self { pieces }
    }

    pub fn pieces(&self) -> &BTreeSet<String> {
        &self.pieces
    }

    /// Files that hold a piece, or have one in their names.
    pub fn files(&self, machine: &Machine) -> BTreeSet<String> {
        let inside = format!("{FILES} -print0 | xargs -0 {GREP} -l");
        let named = format!("find / -xdev -print | {GREP}");
        let mut found = self.look(machine, &inside);
        found.extend(self.look(machine, &named));
        found
    }

    /// Lines of the journal that hold a piece.
    pub fn journal(&self, machine: &Machine) -> BTreeSet<String> {
        let all = "journalctl --quiet --no-pager --all --output=export";
        self.look(machine, &format!("{all} | {GREP}"))
    }

    /// The lines that `script` prints: none is no failure, a complaint is one.
    fn look(&self, machine: &Machine, script: &str) -> BTreeSet<String> {
        let lines: Vec<&str> = self.pieces.iter().map(String::as_str).collect();
        machine.push(PATTERNS, lines.join("\n").as_bytes(), 0o600).unwrap();
        let found = machine.run(&["sh", "-c", script]).unwrap();
        assert_eq!(found.stderr, "", "{script}");
        found.stdout.lines().map(str::to_owned).collect()
    }

    /// Whether a piece stands in `text`.
    pub fn shows_in(&self, text: &str) -> bool {
        self.pieces.iter().any(|piece| text.contains(piece))
    }
}

fn pieces(credentials: &[&Credential]) -> BTreeSet<String> {
    let mut pieces = BTreeSet::new();
    for credential in credentials {
        pieces.extend(cut(&credential.key_data()));
        for line in credential.key_pem.lines() {
            pieces.extend(cut(line));
        }
        // As Go and as Rust and Python print bytes, and in hexadecimal.
        for eight in credential.key_pem.as_bytes().chunks_exact(NUMBERS) {
            let numbers: Vec<String> = eight.iter().map(u8::to_string).collect();
            pieces.extend([numbers.join(" "), numbers.join(", ")]);
            pieces.insert(eight.iter().map(|byte| format!("{byte:02x}")).collect());
        }
    }
    pieces
}

/// Whole pieces, one behind the other.
fn cut(text: &str) -> impl Iterator<Item = String> {
    let ends = (PIECE..=text.len()).step_by(PIECE);
    ends.filter_map(|end| text.get(end - PIECE..end).map(str::to_owned))
}
