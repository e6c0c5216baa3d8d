//! JSON and YAML that others made: counted before they are parsed. A parser takes up to 600 bytes of memory for a value
//! of four bytes, and some texts take it a time that grows with the square of their size.

use serde::de::{DeserializeOwned, Error as _};

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

/// Counts what may be an alias or a directive: `*name` or `%NAME` where a value or a line begins.
fn aliases(bytes: &[u8]) -> usize {
    let begins = |previous: u8| !previous.is_ascii_graphic() || matches!(previous, b'[' | b'{' | b',' | b':');
    let pairs = std::iter::once(&b'\n').chain(bytes).zip(bytes);
    pairs.filter(|(previous, byte)| matches!(byte, b'*' | b'%') && begins(**previous)).count()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

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
        for part in [" *a", "\n*a", "\r*a", "[*a", "{*a", ",*a", ":*a", "\u{2028}*a", "%TAG !a! b\n"] {
            assert!(is_modest_yaml(&part.repeat(MOST_ALIASES)), "{part:?}");
            assert!(!is_modest_yaml(&part.repeat(MOST_ALIASES + 1)), "{part:?}");
        }
        // Eight aliases, each of all that is before it.
        assert!(!is_modest_yaml(&format!("{}{}", "a,".repeat(MOST_NODES / 256 + 1), " *a".repeat(8))));
        assert!(is_modest_yaml("no-proxy: a*b*c*d*e*f*g*h*i*j*k"));
    }
}
