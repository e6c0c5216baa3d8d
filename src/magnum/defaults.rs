//! What a daemon's packaged start script gives it from `/etc/default`: the drop-ins bypass that script, so they carry
//! it over. What they cannot carry over is named.
//!
//! The script (of Debian's openstack-pkg-tools) says itself what it would run, with the argument `show-args`. It is
//! asked when one of the files it reads has changed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::{CONFIGURATION_ARGUMENTS, Service};
use crate::problem::Problem;
use crate::system::{Command, System};

/// For all of OpenStack's services; the file of each service comes after it.
const COMMON: &str = "/etc/default/openstack";
const CACHE: &str = "start-defaults.json";
const LIMIT: Duration = Duration::from_secs(20);

/// What the start script gives one service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartDefaults {
    /// Arguments that name further configuration files.
    pub config_files: Vec<String>,
    /// All further arguments, in their order.
    pub arguments: Vec<String>,
    /// The umask, as an octal number.
    pub umask: Option<String>,
    /// Lines that the drop-in cannot carry over.
    pub ignored: Vec<(PathBuf, usize)>,
}

/// Returns what each service is given.
///
/// # Errors
/// If a file cannot be read, or one that root would run is not root's alone.
pub fn inspect(system: &System) -> Result<BTreeMap<Service, StartDefaults>> {
    let root = &system.root;
    let files: BTreeSet<PathBuf> = Service::ALL.into_iter().flat_map(files).collect();
    root.cached(CACHE, root.identities(&Vec::from_iter(files))?, || {
        Service::ALL.into_iter().map(|service| Ok((service, ask(system, service)?))).collect()
    })
}

/// Returns the files that the start script of a service reads, itself the last.
fn files(service: Service) -> [PathBuf; 3] {
    let [own, script] = ["/etc/default", "/etc/init.d"].map(|directory| Path::new(directory).join(service.name()));
    [COMMON.into(), own, script]
}

fn ask(system: &System, service: Service) -> Result<StartDefaults> {
    let (mut defaults, [common, own, script]) = (StartDefaults::default(), files(service));
    if !system.root.is_file(&script)? {
        return Ok(defaults);
    }
    // Root runs the one, which reads the others.
    for path in [&script, &common, &own] {
        system.root.ensure_program_is_roots(path)?;
    }
    let output = system.run(&Command::new(&script, LIMIT).arg("show-args"))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let mut words = printed.split_whitespace();
    // Arguments for uWSGI, which Debian's script runs, are not the daemon's.
    let is_the_daemon = output.code == Some(0) && words.next() == Some(service.program());
    if is_the_daemon {
        defaults.carry(words, service);
    }
    for path in [common, own] {
        let text = system.root.read_text(&path)?.unwrap_or_default();
        defaults.read_lines(&path, &text, is_the_daemon);
    }
    Ok(defaults)
}

impl StartDefaults {
    /// Returns the lines that have no effect while the graft is on, as problems.
    pub fn problems<'a>(all: impl Iterator<Item = &'a Self>) -> Vec<Problem> {
        let mut files: BTreeMap<&Path, BTreeSet<usize>> = BTreeMap::new();
        for (path, line) in all.flat_map(|defaults| &defaults.ignored) {
            files.entry(path).or_default().insert(*line);
        }
        let problem = |(path, lines): (&Path, BTreeSet<usize>)| {
            let lines: Vec<String> = lines.iter().map(usize::to_string).collect();
            let lines = lines.join(", ");
            let remedy = "has no effect while the graft is on; move it to a drop-in of another name";
            Problem::notice(format!("{} has lines without effect", path.display()), format!("line {lines} {remedy}"))
        };
        files.into_iter().map(problem).collect()
    }

    /// Takes over the arguments that the drop-in does not set itself: whole options, also those in two words.
    pub(crate) fn carry<'a>(&mut self, words: impl Iterator<Item = &'a str>, service: Service) {
        let log_file = format!("--log-file=/var/log/magnum/{}.log", service.name());
        let own = [CONFIGURATION_ARGUMENTS[0], CONFIGURATION_ARGUMENTS[1], &log_file];
        for option in whole_options(words.take_while(|word| *word != "--pyargv")) {
            // Without quotes, `%` and `$`, which systemd takes for more than letters.
            let is_for_systemd =
                option.chars().all(|c| c.is_ascii_graphic()) && !option.contains(['$', '%', '\'', '"', '\\']);
            // A word of its own, it would begin another command.
            let is_for_systemd = is_for_systemd && option != ";";
            if own.contains(&option.trim_end_matches('/')) || !is_for_systemd {
                continue;
            }
            match names_configuration(&option) {
                true => self.config_files.push(option),
                false => self.arguments.push(option),
            }
        }
    }

    /// Reads the umask, and names the lines whose effect `show-args` does not tell or the drop-in cannot have.
    pub(crate) fn read_lines(&mut self, path: &Path, text: &str, is_the_daemon: bool) {
        for (number, line) in text.lines().enumerate() {
            let code = line.split(" #").next().unwrap_or_default().trim();
            let mask = code.strip_prefix("umask ").map(str::trim);
            if let Some(mask) = mask.filter(|mask| mask.chars().all(|digit| digit.is_digit(8))) {
                self.umask = Some(mask.to_owned());
                continue;
            }
            let assignment = code.split_once('=').filter(|(name, _)| is_name(name));
            let has_effect = match assignment {
                Some(("DAEMON", _)) => false,
                Some(("DAEMON_ARGS", value)) => is_the_daemon && is_simple_value(value),
                Some(("USE_SYSLOG", _)) => is_the_daemon,
                Some(_) => true,
                None => code.is_empty() || code.starts_with('#'),
            };
            if !has_effect {
                self.ignored.push((path.to_owned(), number + 1));
            }
        }
    }
}

/// Returns the arguments of a command line that name configuration, each in one word.
pub fn configuration_in<'a>(words: impl Iterator<Item = &'a str>) -> Vec<String> {
    whole_options(words).filter(|option| names_configuration(option)).collect()
}

/// Joins the options that stand in two words; one whose value is missing is left out.
fn whole_options<'a>(mut words: impl Iterator<Item = &'a str>) -> impl Iterator<Item = String> {
    std::iter::from_fn(move || match words.next()? {
        word @ ("--config-file" | "--config-dir" | "--log-file") => Some(format!("{word}={}", words.next()?)),
        word => Some(word.to_owned()),
    })
}

fn names_configuration(option: &str) -> bool {
    option.starts_with("--config-file=") || option.starts_with("--config-dir=")
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Whether the drop-in can have the arguments in a value: quotes within its own are letters for the shell.
fn is_simple_value(value: &str) -> bool {
    let is_text = |c: char| c.is_ascii_graphic() || matches!(c, ' ' | '\t');
    value.chars().all(is_text) && !value.contains(['%', '\\', ';']) && value.matches(['"', '\'']).count() <= 2
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use crate::system::testing::Scratch;

    use super::*;

    /// What the conductor is given when its script prints `shown`, and `/etc/default` holds `text`.
    fn given(shown: &'static str, text: &str) -> StartDefaults {
        let scratch = Scratch::new();
        scratch.root.make_state_directory().unwrap();
        scratch.put("/etc/init.d/magnum-conductor", "#!/bin/sh\n");
        scratch.put("/etc/default/magnum-conductor", text);
        let system = scratch.system(move |_| Some(shown.to_owned()));
        inspect(&system).unwrap().remove(&Service::Conductor).unwrap()
    }

    #[test]
    fn whole_options_are_carried_over_also_in_two_words_and_what_the_drop_in_sets_is_not_repeated() {
        let shown = "/usr/bin/magnum-conductor --config-file=/etc/magnum/magnum.conf --debug --config-dir \
                     /etc/magnum/magnum.conf.d --config-file /etc/magnum/site.conf --use-syslog \
                     --log-file=/var/log/magnum/magnum-conductor.log\n";
        let defaults = given(shown, "DAEMON_ARGS=\"$DAEMON_ARGS --config-dir /etc/magnum/magnum.conf.d\"\n");
        assert_eq!(defaults.config_files, ["--config-file=/etc/magnum/site.conf"]);
        assert_eq!(defaults.arguments, ["--debug", "--use-syslog"]);
        assert_eq!(defaults.ignored, []);
    }

    #[test]
    fn the_configuration_is_found_however_it_is_named() {
        let words = "/usr/bin/python3 /usr/bin/magnum-api --config-file /a --debug --config-dir=/b --config-file";
        assert_eq!(configuration_in(words.split(' ')), ["--config-file=/a", "--config-dir=/b"]);
    }

    #[test]
    fn lines_that_do_more_than_assign_are_named_and_a_umask_is_carried_over() {
        let text = "# fine\n\nUSE_LOGFILE=no # fine\nexport http_proxy=http://proxy\nulimit -n 5\numask 027\n\
                    DAEMON=/other\nDAEMON_ARGS=\"--x='a b'\"\nDAEMON_ARGS=\"\u{2013}debug\"\nDAEMON_ARGS=--\u{1b}x\n\
                    DAEMON_ARGS='; --y'\n";
        let defaults = given("/usr/bin/magnum-conductor --x='a b' --\u{1b}x ;\n", text);
        let lines: Vec<usize> = defaults.ignored.iter().map(|(_, line)| *line).collect();
        assert_eq!(lines, [4, 5, 7, 8, 9, 10, 11]);
        assert_eq!(defaults.arguments, [""; 0]);
        assert_eq!(defaults.umask.as_deref(), Some("027"));
        assert_eq!(StartDefaults::problems([&defaults].into_iter()).len(), 1);
    }

    #[test]
    fn an_argument_with_a_control_character_is_not_carried_over_and_its_line_named() {
        let defaults = given("/usr/bin/magnum-conductor --x=\u{1b}[31m --debug\n", "DAEMON_ARGS=\"--x=\u{1b}[31m\"\n");
        assert_eq!((defaults.arguments, defaults.ignored.len()), (vec!["--debug".to_owned()], 1));
    }

    #[test]
    fn arguments_for_uwsgi_are_not_the_daemons() {
        let shown = "/usr/bin/uwsgi_python3 --http-socket :9511 --master\n";
        let defaults = given(shown, "DAEMON_ARGS=--master\nUSE_SYSLOG=yes\n");
        assert_eq!((defaults.arguments, defaults.ignored.len()), (vec![], 2));
    }

    #[test]
    fn the_script_is_asked_again_only_when_one_of_its_files_has_changed() {
        let scratch = Scratch::new();
        scratch.root.make_state_directory().unwrap();
        scratch.put("/etc/init.d/magnum-api", "#!/bin/sh\n");
        let programs = crate::system::testing::Programs::new(|_| Some("/usr/bin/magnum-api --debug".into()));
        let ran = programs.ran.clone();
        let system = System::new(scratch.root.clone(), programs);
        for _ in 0..3 {
            assert_eq!(inspect(&system).unwrap()[&Service::Api].arguments, ["--debug"]);
        }
        assert_eq!(ran.lock().unwrap().len(), 1);
        scratch.put("/etc/default/openstack", "USE_SYSLOG=yes\n");
        inspect(&system).unwrap();
        assert_eq!(ran.lock().unwrap().len(), 2);
    }

    #[test]
    fn a_script_is_not_run_when_it_or_what_it_reads_is_not_roots_alone() {
        for path in ["/etc/init.d/magnum-api", "/etc/default/openstack", "/etc/default"] {
            let scratch = Scratch::new();
            scratch.root.make_state_directory().unwrap();
            scratch.put("/etc/init.d/magnum-api", "#!/bin/sh\n");
            scratch.put("/etc/default/openstack", "");
            std::fs::set_permissions(scratch.path(path), PermissionsExt::from_mode(0o777)).unwrap();
            let error = inspect(&scratch.system(|_| panic!("it is run"))).unwrap_err();
            assert!(format!("{error:#}").ends_with(&format!("chmod go-w {path}")), "{error:#}");
        }
    }
}
