//! The ways out: every text that leaves the charm is escaped and cut here, by the function that sends it.
//!
//! Texts from wheels, charts, certificates, the management cluster, Keystone, exceptions, programs and names of files
//! hold anything and have any length. They are passed on as they are: no caller can forget to escape one. Nothing
//! leaves but through these functions, whose escapes are those of JSON (`\u001b`), so that JSON stays JSON.
//!
//! | way out | sent by | form |
//! |---|---|---|
//! | status, workload version | `juju::tools` | [`status`]: one line of 80 characters |
//! | log, progress log of an action | `juju::tools`, `juju::log` | [`log`]: 4,000 bytes, further lines indented |
//! | results and failure of an action | `juju::tools` | [`report`]: lines, no more than an argument holds |
//! | evidence and remedies; the smoketest's report | `check::run`, `smoketest` | [`line()`]: 4,000 characters each |
//! | terminal | `main`, `preflight` | [`log`] for an error, [`report`] |
//! | unit files | `guard`, `services` | [`unit_value`] |

use anyhow::{Result, ensure};
use serde_json::Value;

/// The longest message of a status, in characters: Juju's clients cut or wrap what is longer.
pub const STATUS_LENGTH: usize = 80;
/// The longest argument of a program, in bytes: Linux's `MAX_ARG_STRLEN` without the final NUL.
pub const ARGUMENT_BYTES: usize = 131_071;
/// The longest entry of a log, in bytes, and of a report, in characters.
pub const ENTRY_LENGTH: usize = 4000;
/// Room for the note that says how much is cut, in bytes.
const NOTE_BYTES: usize = 40;

/// Returns a text as the message of a status.
pub fn status(text: &str) -> String {
    line(text, STATUS_LENGTH)
}

/// Returns a text in one line of at most `most` characters.
pub fn line(text: &str, most: usize) -> String {
    let mut shown = String::new();
    // No escape is shorter than its character.
    text.chars().take(most + 1).for_each(|character| push(&mut shown, character, "\\n"));
    match shown.chars().count() > most {
        true => shown.chars().take(most - 1).chain(['…']).collect(),
        false => shown,
    }
}

/// Returns a text as an entry of a log. Its further lines are indented: none can pass for an entry of its own.
pub fn log(text: &str) -> String {
    lines(text.trim_end(), "\n    ", ENTRY_LENGTH)
}

/// Returns a text with its lines, in at most `most` bytes.
pub fn report(text: &str, most: usize) -> String {
    lines(text, "\n", most)
}

/// Returns a value as JSON that an argument holds: its texts are cut until it does.
pub fn json(mut value: Value) -> String {
    const MOST: usize = ARGUMENT_BYTES - 100;
    for longest in [ENTRY_LENGTH, 1000, 250, 60] {
        let shown = report(&value.to_string(), usize::MAX);
        if shown.len() <= MOST {
            return shown;
        }
        cut_texts(&mut value, longest);
    }
    report(&value.to_string(), MOST)
}

fn cut_texts(value: &mut Value, longest: usize) {
    match value {
        Value::String(text) => *text = line(text, longest),
        Value::Array(inner) => inner.iter_mut().for_each(|inner| cut_texts(inner, longest)),
        Value::Object(inner) => inner.values_mut().for_each(|inner| cut_texts(inner, longest)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Escapes a text and cuts it to `most` bytes, with a note of how much is cut.
fn lines(text: &str, line_break: &str, most: usize) -> String {
    let mut shown = String::new();
    for (at, character) in text.char_indices() {
        let before = shown.len();
        push(&mut shown, character, line_break);
        if shown.len() > most.saturating_sub(NOTE_BYTES) {
            shown.truncate(before);
            shown.push_str(&format!("… ({} bytes cut)", text.len() - at));
            break;
        }
    }
    shown
}

fn push(shown: &mut String, character: char, line_break: &str) {
    match character {
        '\n' => shown.push_str(line_break),
        '\r' => shown.push_str("\\r"),
        '\t' => shown.push_str("\\t"),
        harmful if is_harmful(harmful) => shown.push_str(&format!("\\u{:04x}", u32::from(harmful))),
        plain => shown.push(plain),
    }
}

/// Whether a character directs a terminal, ends a line, is invisible, or changes the direction of what follows.
fn is_harmful(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// Returns a value as a unit file holds it: a single `%` would begin a specifier.
///
/// # Errors
/// If systemd would read something else: a line break begins a directive, a backslash an escape.
pub fn unit_value(value: &str) -> Result<String> {
    let is_odd = |character: char| character.is_control() || character == '\\';
    ensure!(!value.contains(is_odd), "a unit file cannot hold {value:?}");
    Ok(value.replace('%', "%%"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A terminal escape, a line break, a bidirectional override, a line separator, C1 and NUL.
    const HOSTILE: &str = "a\u{1b}[31mé\nFAKE\r\t\u{202e}b\u{2066}\u{2028}\u{9b}\0";
    const ESCAPED: &str = "\\r\\t\\u202eb\\u2066\\u2028\\u009b\\u0000";

    #[test]
    fn what_directs_a_terminal_or_a_reader_is_escaped_on_every_way_out() {
        assert_eq!(status(HOSTILE), format!("a\\u001b[31mé\\nFAKE{ESCAPED}"));
        assert_eq!(report(HOSTILE, usize::MAX), format!("a\\u001b[31mé\nFAKE{ESCAPED}"));
        assert_eq!(log(&format!("{HOSTILE}\n")), format!("a\\u001b[31mé\n    FAKE{ESCAPED}"));
        // What is escaped once stays as it is.
        assert_eq!(status(&status(HOSTILE)), status(HOSTILE));
    }

    #[test]
    fn json_stays_json() {
        let text = serde_json::json!({"x": HOSTILE}).to_string();
        let parsed: serde_json::Value = serde_json::from_str(&report(&text, usize::MAX)).unwrap();
        assert_eq!(parsed["x"], HOSTILE);
    }

    #[test]
    fn json_of_any_size_is_json_that_an_argument_holds() {
        for text in ["x", "\u{1f600}", "\u{9b}", "\u{1b}"] {
            let checks: Vec<Value> =
                (0..50).map(|index| serde_json::json!({"id": index, "x": text.repeat(4000)})).collect();
            let shown = json(checks.into());
            assert!(shown.len() < ARGUMENT_BYTES, "{}", shown.len());
            let parsed: Value = serde_json::from_str(&shown).unwrap();
            assert_eq!((parsed.as_array().unwrap().len(), &parsed[49]["id"]), (50, &49.into()));
            assert!(parsed[0]["x"].as_str().unwrap().ends_with('…'));
        }
        assert_eq!(json(serde_json::json!({"x": "\n"})), r#"{"x":"\n"}"#);
    }

    #[test]
    fn a_status_has_at_most_80_characters() {
        assert_eq!(status(&"x".repeat(80)), "x".repeat(80));
        let cut = status(&"é".repeat(81));
        assert_eq!(cut.chars().count(), 80);
        assert!(cut.ends_with("é…"));
        assert_eq!(line("a\nb", 3), "a\\…");
    }

    #[test]
    fn a_longer_text_is_cut_with_a_note_of_how_much_and_never_more_than_it_may_be() {
        assert_eq!(report(&"x".repeat(1000), 100), format!("{}… (940 bytes cut)", "x".repeat(60)));
        for text in ["x", "é", "\u{1b}", "\n"].map(|text| text.repeat(200_000)) {
            let shown = report(&text, ARGUMENT_BYTES);
            assert!(shown.len() <= ARGUMENT_BYTES && shown.ends_with(" bytes cut)"), "{}", shown.len());
            assert!(shown.len() > ARGUMENT_BYTES - 2 * NOTE_BYTES, "{}", shown.len());
            assert!(log(&text).len() <= ENTRY_LENGTH);
        }
    }

    #[test]
    fn a_unit_file_holds_a_value_as_it_is_or_not_at_all() {
        assert_eq!(unit_value("/a b/50%n").unwrap(), "/a b/50%%n");
        for value in ["/x\nUnit=poweroff.target", "/x\r", "/x\u{1b}[2J", "/x\\"] {
            assert!(unit_value(value).is_err(), "{value:?}");
        }
    }
}
