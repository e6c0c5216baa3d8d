//! Magnum's configuration files, read as oslo.config reads them, for the few values that a hook
//! needs without starting Python. `verify` asks oslo.config itself.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::files;

/// The files a service reads with the graft's arguments, in their order: the last assignment wins.
///
/// # Errors
/// When the directory cannot be listed.
pub fn files_read(conf: &Path, directory: &Path) -> Result<Vec<PathBuf>> {
    let fragments = files::names(directory)?;
    let fragments = fragments
        .iter()
        .filter(|name| name.ends_with(".conf") && !name.starts_with('.'));
    // A directory of such a name stops the daemons; whoever asks here goes by the rest.
    let fragments = fragments
        .map(|name| directory.join(name))
        .filter(|path| !path.is_dir());
    Ok(std::iter::once(conf.to_owned()).chain(fragments).collect())
}

/// The last value of `key` in `[section]` of one file's text.
pub fn value<'a>(text: &'a str, section: &str, key: &str) -> Option<&'a str> {
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
}
