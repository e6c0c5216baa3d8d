//! The look for secrets on a whole unit: every file and every name of one, the journal, what the
//! charm said.
//!
//! A secret is looked for in pieces of twelve characters, one behind the other: wherever any 24
//! consecutive characters of it stand, one of these stands whole.

use std::collections::BTreeSet;

use lab::{Credential, Machine};

const PIECE: usize = 12;
/// So many bytes as decimal numbers tell them from any other list of numbers.
const NUMBERS: usize = 8;
/// Where the pieces lie while they are looked for; nothing below `/dev` is looked at.
const PATTERNS: &str = "/dev/shm/pieces";
/// Every regular file of the unit: not the kernel's own, nor those of the management cluster.
const FILES: &str = "find / \\( -path /proc -o -path /sys -o -path /dev -o -path /run/management-cluster \\) \
                     -prune -o -type f";
const GREP: &str = "LC_ALL=C grep -aF -f /dev/shm/pieces";

/// The pieces of some secrets.
pub struct Scanner {
    pieces: BTreeSet<String>,
}

impl Scanner {
    pub fn new(credentials: &[&Credential], tokens: &[&str]) -> Self {
        let mut pieces = BTreeSet::new();
        for credential in credentials {
            pieces.extend(cut(&credential.key_data()));
            for line in credential.key_pem.lines() {
                pieces.extend(cut(line));
            }
            let bytes = credential.key_pem.as_bytes();
            // As Go and as Rust and Python print bytes, and in hexadecimal.
            for eight in bytes.chunks_exact(NUMBERS) {
                let numbers: Vec<String> = eight.iter().map(u8::to_string).collect();
                pieces.extend([numbers.join(" "), numbers.join(", ")]);
                pieces.insert(eight.iter().map(|byte| format!("{byte:02x}")).collect());
            }
        }
        pieces.extend(tokens.iter().flat_map(|token| cut(token)));
        Self { pieces }
    }

    pub fn pieces(&self) -> &BTreeSet<String> {
        &self.pieces
    }

    /// Forgets what stands on a unit that has never seen a secret: the words that every key begins
    /// with. How many these were.
    pub fn forget_what_everybody_knows(&mut self, machine: &Machine) -> usize {
        self.lay_out(machine);
        let common = machine
            .shell(&format!("{FILES} -print0 | xargs -0 {GREP} -oh | sort -u"))
            .unwrap();
        let common: BTreeSet<&str> = common.lines().collect();
        let before = self.pieces.len();
        let keeps = |piece: &String| !common.iter().any(|found| piece.contains(found));
        self.pieces.retain(keeps);
        before - self.pieces.len()
    }

    /// Files that hold a piece, or have one in their names.
    pub fn files(&self, machine: &Machine) -> Vec<String> {
        self.lay_out(machine);
        let script = format!(
            "{FILES} -print0 | xargs -0 {GREP} -l || true; find / -xdev -print | {GREP} || true"
        );
        let mut found: Vec<String> = machine
            .shell(&script)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect();
        found.sort_unstable();
        found
    }

    /// How many lines of the journal hold a piece.
    pub fn journal(&self, machine: &Machine) -> usize {
        self.lay_out(machine);
        let count = machine
            .shell(&format!(
                "journalctl --quiet --no-pager --all --output=export | {GREP} -c || true"
            ))
            .unwrap();
        count.trim().parse().unwrap()
    }

    /// Whether a piece stands in `text`.
    pub fn shows_in(&self, text: &str) -> bool {
        self.pieces.iter().any(|piece| text.contains(piece))
    }

    fn lay_out(&self, machine: &Machine) {
        let lines: Vec<&str> = self.pieces.iter().map(String::as_str).collect();
        machine
            .push(PATTERNS, lines.join("\n").as_bytes(), 0o600)
            .unwrap();
    }
}

/// Whole pieces, one behind the other.
fn cut(text: &str) -> impl Iterator<Item = String> {
    let ends = (PIECE..=text.len()).step_by(PIECE);
    ends.filter_map(|end| text.get(end - PIECE..end).map(str::to_owned))
}
