//! What `/etc/default` gave a daemon while its packaged start script ran it: the drop-ins go past that
//! script, so they carry it over. What they cannot carry over is named.
//!
//! The script, of Debian's openstack-pkg-tools, is a shell script that sources these files. They are
//! read as far as they are plain: assignments of the variables that the script knows, and `umask`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::Service;
use crate::problem::Problem;
use crate::unit::files;

/// The file for all of OpenStack's services; one of each service's own comes after it.
const COMMON: &str = "/etc/default/openstack";

/// What one service is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Defaults {
    /// Further arguments.
    pub arguments: Vec<String>,
    /// The umask, as an octal number.
    pub umask: Option<String>,
    /// Lines that cannot be carried over.
    pub left: Vec<(PathBuf, usize)>,
}

impl Defaults {
    /// Reads what `/etc/default` gives a service.
    ///
    /// # Errors
    /// When a file is there but cannot be read.
    pub fn look(service: Service) -> Result<Self> {
        let mut defaults = Self::default();
        let script = Path::new("/etc/init.d").join(service.name());
        let Some(script) = files::read_text(&script)? else {
            return Ok(defaults);
        };
        // Arguments for uWSGI are none for the daemon.
        let is_uwsgi = script.lines().any(|line| line.starts_with("UWSGI_PORT="));
        let own = Path::new("/etc/default").join(service.name());
        for path in [PathBuf::from(COMMON), own] {
            if let Some(text) = files::read_text(&path)? {
                defaults.add(&path, &text, is_uwsgi);
            }
        }
        Ok(defaults)
    }

    /// The lines that have no effect while the graft is on, for the unit's status and for `verify`.
    pub fn problems<'a>(all: impl Iterator<Item = &'a Self>) -> Vec<Problem> {
        let mut lines: BTreeMap<&Path, BTreeSet<usize>> = BTreeMap::new();
        for (path, line) in all.flat_map(|defaults| &defaults.left) {
            lines.entry(path).or_default().insert(*line);
        }
        let told = lines.into_iter().map(|(path, lines)| {
            let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
            Problem::notice(format!(
                "what {} does in line {} has no effect while the graft is on; do it in a drop-in of \
                 another name, and remove it there",
                path.display(),
                lines.join(", ")
            ))
        });
        told.collect()
    }

    fn add(&mut self, path: &Path, text: &str, is_uwsgi: bool) {
        for (number, line) in text.lines().enumerate() {
            let carried = match shlex::split(line) {
                // shlex takes comments for what they are.
                Some(words) if words.is_empty() => true,
                Some(words) if is_plain(line) => self.carry(&words, is_uwsgi),
                _ => false,
            };
            if !carried {
                self.left.push((path.to_owned(), number + 1));
            }
        }
    }

    /// Whether these words could be carried over, or mean nothing to the daemon.
    fn carry(&mut self, words: &[String], is_uwsgi: bool) -> bool {
        match words {
            [word] => match word.split_once('=') {
                Some(("DAEMON_ARGS", value)) => self.carry_arguments(value, is_uwsgi),
                Some(("USE_SYSLOG", value)) => {
                    if value == "yes" && !is_uwsgi {
                        self.arguments.push("--use-syslog".to_owned());
                    }
                    value != "yes" || !is_uwsgi
                }
                Some(("DAEMON" | "PYARGV", _)) | None => false,
                // The script does not know it, and does not export it.
                Some(_) => true,
            },
            [command, mask] if command == "umask" => {
                let octal = mask.chars().all(|digit| digit.is_digit(8));
                if octal {
                    self.umask = Some(mask.clone());
                }
                octal
            }
            _ => false,
        }
    }

    fn carry_arguments(&mut self, value: &str, is_uwsgi: bool) -> bool {
        let more = ["$DAEMON_ARGS", "${DAEMON_ARGS}"]
            .iter()
            .find_map(|own| value.strip_prefix(own));
        let given = more.unwrap_or(value);
        // The script's shell takes quotes inside for letters, systemd does not. A drop-in is plain
        // ASCII: a typographic dash would be a word that the daemon does not know.
        let plain = given.is_ascii() && !given.contains(['$', '%', '\'', '"']) && !is_uwsgi;
        let ours = |word: &&str| word.starts_with("--config-") || word.starts_with("--log-file");
        if plain {
            if more.is_none() {
                self.arguments.clear();
            }
            let words = given.split_whitespace().filter(|word| !ours(word));
            self.arguments.extend(words.map(str::to_owned));
        }
        plain
    }
}

/// Whether a line is one simple command without anything for the shell to work out but
/// `$DAEMON_ARGS`.
fn is_plain(line: &str) -> bool {
    let known = line
        .replace("${DAEMON_ARGS}", "")
        .replace("$DAEMON_ARGS", "");
    !known.contains(['$', '`', ';', '&', '|', '<', '>', '(', '\\'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> (String, Option<String>, Vec<usize>) {
        let mut defaults = Defaults::default();
        defaults.add(Path::new("/etc/default/x"), text, false);
        let lines = defaults.left.into_iter().map(|(_, line)| line);
        (
            defaults.arguments.join(" "),
            defaults.umask,
            lines.collect(),
        )
    }

    #[test]
    fn what_the_start_script_knows_is_carried_over() {
        let carried = |text| of(text).0;
        assert_eq!(carried("DAEMON_ARGS=\"$DAEMON_ARGS --debug\"\n"), "--debug");
        assert_eq!(
            carried("DAEMON_ARGS='--debug --nouse-json'\n"),
            "--debug --nouse-json"
        );
        assert_eq!(
            carried("# DAEMON_ARGS=x\n\nUSE_SYSLOG=yes # loud\n"),
            "--use-syslog"
        );
        assert_eq!(carried("USE_SYSLOG=no\nUSE_LOGFILE=no\n"), "");
        // The configuration and the log are the drop-in's.
        let text = "DAEMON_ARGS=\"${DAEMON_ARGS} --config-file=/x --log-file=/y --debug\"\n";
        assert_eq!(of(text), ("--debug".into(), None, vec![]));
        // Without $DAEMON_ARGS it takes the place of what was there, as in the script.
        assert_eq!(
            carried("USE_SYSLOG=no\nDAEMON_ARGS=--a\nDAEMON_ARGS=--b\n"),
            "--b"
        );
        assert_eq!(of("umask 027\n").1.as_deref(), Some("027"));
    }

    #[test]
    fn what_cannot_be_carried_over_is_named_by_its_line() {
        let text = "# fine\nexport http_proxy=http://proxy\nDAEMON_ARGS=\"--x=$(hostname)\"\n\
                    UNKNOWN=fine\nulimit -n 5\nDAEMON=/other\nA=1; B=2\n'\nDAEMON_ARGS=\"--x='a b'\"\n\
                    DAEMON_ARGS=\"\u{2013}debug\"\n";
        let lines = vec![2, 3, 5, 6, 7, 8, 9, 10];
        assert_eq!(of(text), (String::new(), None, lines));
        let mut defaults = Defaults::default();
        defaults.add(
            Path::new("/x"),
            "DAEMON_ARGS=--master\nUSE_SYSLOG=yes\n",
            true,
        );
        assert_eq!(defaults.left.len(), 2);
        assert_eq!(defaults.arguments, Vec::<String>::new());
    }
}
