//! Magnum's configuration files, for the few values that a hook needs without starting Python. `verify` asks
//! oslo.config itself.

use std::path::Path;

use anyhow::Result;

use super::{CONF_BUDGET, CONF_DIRECTORY, MAGNUM_CONF};
use crate::system::{Root, TooMuch};

/// The texts of magnum.conf and of conf.d, in the order in which the services read them with the graft's arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration(Vec<String>);

impl Configuration {
    /// Reads magnum.conf, then the fragments.
    ///
    /// # Errors
    /// [`TooMuch`] if there is more than [`CONF_BUDGET`], and if magnum.conf cannot be read. A fragment that cannot stops
    /// the services, and is left out here.
    pub fn read(root: &Root) -> Result<Self> {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let mut texts = vec![text(root.read(Path::new(MAGNUM_CONF))?)];
        let names = root.names(Path::new(CONF_DIRECTORY))?.into_iter();
        let fragments = names.filter(|name| name.ends_with(".conf") && !name.starts_with('.'));
        let mut budget = CONF_BUDGET;
        for name in fragments {
            match budget.read(root, &Path::new(CONF_DIRECTORY).join(name)) {
                Ok(content) => texts.extend(content.map(text)),
                Err(error) if error.is::<TooMuch>() => return Err(error),
                Err(_) => {}
            }
        }
        Ok(Self(texts))
    }

    /// Returns the value of `key` in `[section]`: the last assignment wins; an empty value counts as none.
    pub fn value(&self, section: &str, key: &str) -> Option<&str> {
        let all = self.0.iter().flat_map(|text| assignments(text));
        let last = all.filter(|found| (found.section, found.key) == (section, key)).last();
        last.map(|found| found.value).filter(|value| !value.is_empty())
    }
}

/// A line `key = value` of a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assignment<'a> {
    pub section: &'a str,
    pub key: &'a str,
    pub value: &'a str,
}

/// Returns the assignments of a file in its order. Continuation lines are left out.
pub fn assignments(text: &str) -> impl Iterator<Item = Assignment<'_>> {
    let mut section = "";
    text.lines().filter_map(move |line| {
        let line = line.trim_end();
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name;
            return None;
        }
        let (key, value) = line.split_once(['=', ':']).filter(|_| !line.starts_with(['#', ';', ' ', '\t']))?;
        Some(Assignment { section, key: key.trim(), value: unquoted(value.trim()) })
    })
}

/// Returns a value as oslo.config reads it: without one pair of quotes round it. A quote alone counts as two.
fn unquoted(value: &str) -> &str {
    let inner = |quote: char| {
        let rest = value.strip_prefix(quote)?;
        if rest.is_empty() { Some(rest) } else { rest.strip_suffix(quote) }
    };
    inner('"').or_else(|| inner('\'')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use crate::system::testing::Scratch;

    use super::*;

    #[test]
    fn a_fragment_has_the_last_word_and_a_directory_has_none() {
        let scratch = Scratch::new();
        scratch.put(MAGNUM_CONF, "[DEFAULT]\nport = 9\n[api]\n# port = 8\nport = 1\nhost=::\n port = 7\n");
        scratch.put("/etc/magnum/magnum.conf.d/50-x.conf", "[api]\nport = 2\n");
        scratch.put("/etc/magnum/magnum.conf.d/99-y.conf", "[api]\nport: 3\nhost =\n[x]\nport = 5\n");
        scratch.put("/etc/magnum/magnum.conf.d/.hidden.conf", "[api]\nport = 6\n");
        std::fs::create_dir(scratch.path("/etc/magnum/magnum.conf.d/95-odd.conf")).unwrap();
        let read = Configuration::read(&scratch.root).unwrap();
        assert_eq!(read.value("api", "port"), Some("3"));
        assert_eq!(read.value("api", "host"), None);
        assert_eq!(read.value("api", "absent"), None);
        assert_eq!(["\"x\"", "'x'", "\"\"x\"\"", "\"x'", "\""].map(unquoted), ["x", "x", "\"x\"", "\"x'", ""]);
    }

    #[test]
    fn more_than_is_read_of_the_fragments_is_an_error_and_no_silent_end() {
        let scratch = Scratch::new();
        scratch.put(MAGNUM_CONF, "");
        (0..1001).for_each(|index| scratch.put(format!("{CONF_DIRECTORY}/{index}.conf"), ""));
        assert!(Configuration::read(&scratch.root).unwrap_err().is::<TooMuch>());
        scratch.root.remove(Path::new(CONF_DIRECTORY).join("1000.conf").as_path()).unwrap();
        Configuration::read(&scratch.root).unwrap();
    }

    #[test]
    fn whatever_stands_in_place_of_a_fragment_or_of_their_directory_is_not_waited_for() {
        let scratch = Scratch::new();
        scratch.put(MAGNUM_CONF, "[api]\nport = 1\n");
        scratch.put("/etc/magnum/magnum.conf.d/50-x.conf", "[api]\nport = 2\n");
        let port = || Configuration::read(&scratch.root).map(|read| read.value("api", "port").map(str::to_owned));
        scratch.for_each_shape("/etc/magnum/magnum.conf.d/99-y.conf", |shape| {
            assert_eq!(port().unwrap().as_deref(), Some("2"), "{shape}");
        });
        scratch.for_each_shape(CONF_DIRECTORY, |shape| {
            assert_eq!(port().unwrap().as_deref(), Some("1"), "{shape}");
        });
        scratch.for_each_shape(MAGNUM_CONF, |shape| assert!(port().ok().flatten().is_none(), "{shape}"));
    }
}
