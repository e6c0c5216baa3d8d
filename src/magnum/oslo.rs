//! Magnum's configuration files, read as oslo.config reads them, for the few values that a hook
//! needs without starting Python. `verify` asks oslo.config itself.

use std::path::Path;

use anyhow::Result;

use super::files;

/// What a service reads with the graft's arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration(Vec<String>);

impl Configuration {
    /// Reads `conf`, then the fragments in `directory`.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub fn read(conf: &Path, directory: &Path) -> Result<Self> {
        let names = files::names(directory)?;
        let fragments = names
            .iter()
            .filter(|name| name.ends_with(".conf") && !name.starts_with('.'))
            .map(|name| directory.join(name))
            // A directory of such a name stops the daemons; whoever asks here goes by the rest.
            .filter(|path| !path.is_dir());
        let texts = std::iter::once(conf.to_owned())
            .chain(fragments)
            .map(|path| {
                let bytes = files::read(&path)?;
                Ok(String::from_utf8_lossy(&bytes).into_owned())
            });
        texts.collect::<Result<_>>().map(Self)
    }

    /// The value of `key` in `[section]`: the last assignment wins. An empty one is none.
    pub fn value(&self, section: &str, key: &str) -> Option<&str> {
        let mut values = self.0.iter().rev();
        let last = values.find_map(|text| value(text, section, key));
        last.filter(|value| !value.is_empty())
    }
}

/// The last value of `key` in `[section]` of one file's text.
fn value<'a>(text: &'a str, section: &str, key: &str) -> Option<&'a str> {
    let mut current = "";
    let mut found = None;
    for line in text.lines() {
        let line = line.trim_end();
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            current = name;
        } else if current == section && !line.starts_with(['#', ';', ' ', '\t']) {
            found = line
                .split_once(['=', ':'])
                .filter(|(name, _)| name.trim() == key)
                .map(|(_, value)| value.trim())
                .or(found);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_in_the_section_counts() {
        let text =
            "[DEFAULT]\nport = 1\n[api]\n# port = 2\nport = 3\nhost=::\nport: 4\n[x]\nport = 5\n";
        assert_eq!(value(text, "api", "port"), Some("4"));
        assert_eq!(value(text, "api", "host"), Some("::"));
        assert_eq!(value(text, "api", "absent"), None);
    }

    #[test]
    fn a_fragment_has_the_last_word_and_a_directory_has_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let conf = path("magnum.conf");
        std::fs::write(&conf, "[api]\nport = 1\nhost = h\n").unwrap();
        std::fs::create_dir_all(path("conf.d/95-odd.conf")).unwrap();
        std::fs::write(path("conf.d/50-x.conf"), "[api]\nport = 2\n").unwrap();
        std::fs::write(path("conf.d/99-y.conf"), "[api]\nport = 3\nhost =\n").unwrap();
        let read = Configuration::read(&conf, &path("conf.d")).unwrap();
        assert_eq!(read.value("api", "port"), Some("3"));
        assert_eq!(read.value("api", "host"), None);
    }
}
