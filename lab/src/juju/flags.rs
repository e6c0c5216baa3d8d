//! Command lines as the hook tools read them: Juju's `gnuflag`, and its complaints word for word.
//!
//! Options may stand anywhere; `--` ends them; `--name=value`, `--name value`, `-n value` and `-nvalue`
//! are the same. Whatever is wrong is bad usage: exit code 2.

use std::collections::BTreeMap;

/// One option of a tool, by all its names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flag {
    /// The names without dashes; the first one is the key in [`Line::flags`].
    pub(crate) names: &'static [&'static str],
    /// Whether a value follows.
    pub(crate) takes_value: bool,
}

/// A command line taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Line {
    flags: BTreeMap<&'static str, String>,
    /// What is not an option.
    pub(crate) words: Vec<String>,
    /// Whether help was asked for.
    pub(crate) help: bool,
}

impl Line {
    /// Take `arguments` apart; the error is what follows `ERROR`.
    pub(crate) fn parse(arguments: &[String], flags: &[Flag]) -> Result<Self, String> {
        let mut line = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            if argument == "--" {
                line.words.extend(rest.by_ref().cloned());
            } else if let Some(long) = argument.strip_prefix("--") {
                let (name, value) = match long.split_once('=') {
                    Some((name, value)) => (name, Some(value.to_owned())),
                    None => (long, None),
                };
                line.take(flags, name, &format!("--{name}"), value, &mut rest)?;
            } else if argument.len() > 1 && argument.starts_with('-') {
                line.take_letters(flags, &argument[1..], &mut rest)?;
            } else {
                line.words.push(argument.clone());
            }
        }
        Ok(line)
    }

    /// Whether the option was given, for one that is on or off.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.flags.get(name).is_some_and(|value| value != "false")
    }

    /// The option's value.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.flags.get(name).map(String::as_str)
    }

    fn take_letters<'a>(
        &mut self,
        flags: &[Flag],
        letters: &str,
        rest: &mut impl Iterator<Item = &'a String>,
    ) -> Result<(), String> {
        for (start, letter) in letters.char_indices() {
            let name = &letters[start..start + letter.len_utf8()];
            let after = &letters[start + letter.len_utf8()..];
            let takes_value = find(flags, name).is_some_and(|flag| flag.takes_value);
            let attached = (takes_value && !after.is_empty()).then(|| after.to_owned());
            self.take(flags, name, &format!("-{name}"), attached, rest)?;
            if takes_value {
                break;
            }
        }
        Ok(())
    }

    fn take<'a>(
        &mut self,
        flags: &[Flag],
        name: &str,
        shown: &str,
        value: Option<String>,
        rest: &mut impl Iterator<Item = &'a String>,
    ) -> Result<(), String> {
        let Some(flag) = find(flags, name) else {
            if name == "help" || name == "h" {
                self.help = true;
                return Ok(());
            }
            return Err(format!("option provided but not defined: {shown}"));
        };
        let value = match (value, flag.takes_value) {
            (Some(value), _) => value,
            (None, false) => "true".to_owned(),
            (None, true) => rest
                .next()
                .ok_or_else(|| format!("option needs an argument: {shown}"))?
                .clone(),
        };
        self.flags.insert(flag.names[0], value);
        Ok(())
    }
}

fn find(flags: &[Flag], name: &str) -> Option<Flag> {
    flags
        .iter()
        .find(|flag| flag.names.contains(&name))
        .copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: [Flag; 3] = [
        Flag {
            names: &["a", "all"],
            takes_value: false,
        },
        Flag {
            names: &["r", "relation"],
            takes_value: true,
        },
        Flag {
            names: &["format"],
            takes_value: true,
        },
    ];

    fn parse(line: &str) -> Result<Line, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Line::parse(&words, &FLAGS)
    }

    #[test]
    fn options_may_stand_anywhere_and_in_any_spelling() {
        for text in [
            "--all --format json key -r m:1",
            "key --format=json -a -rm:1",
            "-arm:1 key --format json",
            "--relation m:1 --all=true --format json -- key",
        ] {
            let line = parse(text).unwrap();
            assert!(line.has("a"), "{text}");
            assert_eq!(line.value("r"), Some("m:1"), "{text}");
            assert_eq!(line.value("format"), Some("json"), "{text}");
            assert_eq!(line.words, ["key"], "{text}");
        }
    }

    #[test]
    fn two_dashes_end_the_options_and_one_dash_is_a_word() {
        assert_eq!(parse("- -- --all -x").unwrap().words, ["-", "--all", "-x"]);
    }

    #[test]
    fn complaints_are_jujus() {
        for (text, complaint) in [
            ("--nope", "option provided but not defined: --nope"),
            ("--nope=1", "option provided but not defined: --nope"),
            ("-x", "option provided but not defined: -x"),
            ("--format", "option needs an argument: --format"),
            ("-r", "option needs an argument: -r"),
        ] {
            assert_eq!(parse(text).unwrap_err(), complaint);
        }
    }
}
