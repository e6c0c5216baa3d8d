//! Command lines as the hook tools read them: Juju's `gnuflag`, and its complaints word for word.
//!
//! Options may stand anywhere; `--` ends them; `--name=value`, `--name value`, `-n value` and `-nvalue`
//! are the same. Whatever is wrong is bad usage: exit code 2.

use std::collections::BTreeMap;

use lexopt::Arg;

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
    /// Everything that is not an option.
    pub(crate) words: Vec<String>,
}

impl Line {
    /// Take `arguments` apart; the error is what follows `ERROR`.
    pub(crate) fn parse(arguments: &[String], flags: &[Flag]) -> Result<Self, String> {
        let mut line = Self::default();
        let mut parser = lexopt::Parser::from_args(arguments);
        while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
            let shown = match argument {
                Arg::Value(word) => {
                    line.words.push(word.to_string_lossy().into_owned());
                    continue;
                }
                Arg::Short(letter) => format!("-{letter}"),
                Arg::Long(name) => format!("--{name}"),
            };
            let name = shown.trim_start_matches('-');
            let flag = flags.iter().find(|flag| flag.names.contains(&name));
            let flag = flag.ok_or_else(|| format!("option provided but not defined: {shown}"))?;
            // After a letter that takes no value, what is attached are more letters.
            let value = match flag.takes_value {
                true => Some(parser.value().map_err(|_| format!("option needs an argument: {shown}"))?),
                false if shown.starts_with("--") => parser.optional_value(),
                false => None,
            };
            let value = value.map_or("true".into(), |value| value.to_string_lossy().into_owned());
            line.flags.insert(flag.names[0], value);
        }
        Ok(line)
    }

    /// Whether the option was given, for one that is on or off.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.flags.get(name).is_some_and(|value| value != "false")
    }

    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.flags.get(name).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Line, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let flag = |names, takes_value| Flag { names, takes_value };
        let flags = [flag(&["a", "all"], false), flag(&["r", "relation"], true), flag(&["format"], true)];
        Line::parse(&words, &flags)
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
