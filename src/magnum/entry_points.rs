//! [Entry points](https://packaging.python.org/en/latest/specifications/entry-points/), by which a distribution has other
//! programs load its code.

/// The group in which Magnum looks for drivers.
pub const DRIVERS_GROUP: &str = "magnum.drivers";

/// Returns group and name of each entry point in the text of an `entry_points.txt`, as Python's `importlib.metadata` reads
/// it: a line ends where Unicode says so, blanks around it mean nothing, `#` alone begins a comment, `=` alone ends a name.
pub fn entry_points(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut group = "";
    text.split(is_line_end).map(|line| line.trim_matches(is_blank)).filter_map(move |line| {
        if line.starts_with('[') && line.ends_with(']') {
            group = line.trim_matches(['[', ']']).trim_matches(is_blank);
            return None;
        }
        let (name, _) = line.split_once('=').filter(|_| !line.starts_with('#'))?;
        Some((group, name.trim_matches(is_blank)))
    })
}

/// As `str.splitlines` has it.
fn is_line_end(c: char) -> bool {
    matches!(c, '\n'..='\r' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// As `str.strip` has it.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\x1c'..='\x1f')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entry_points_are_read_as_python_reads_them() {
        for (text, expected) in [
            ("[g]\n a = b:c\n\tb=c:d\r\nc : x = d\n", vec![("g", "a"), ("g", "b"), ("g", "c : x")]),
            ("[g]\n;a = b\n#c = d\n # e = f\ng\n= h\n", vec![("g", ";a"), ("g", "")]),
            (
                "a = b\n  [g] \x1f\nc = d\n[h\ne = f\n[[ i ]]\ng = h\n",
                vec![("", "a"), ("g", "c"), ("g", "e"), ("i", "g")],
            ),
            ("[g]\ra=\x0b[h]\x0cb=\x1c[i]\x1dc=\x1e[j]\u{85}d=", vec![("g", "a"), ("h", "b"), ("i", "c"), ("j", "d")]),
            ("[g]\u{2028}\u{3000}a\u{a0}=\u{2029}\x1cb=\u{200b}c=", vec![("g", "a"), ("g", "b")]),
        ] {
            assert_eq!(entry_points(text).collect::<Vec<_>>(), expected, "{text:?}");
        }
    }
}
