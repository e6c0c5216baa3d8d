//! The environment of Magnum's services, in which their configuration, the driver and its helm are asked.
//!
//! A running process has it in `/proc`, complete: with what systemd gives to every service, such as the proxies of a
//! model's legacy settings, and as it was when the process started. User magnum can rewrite that, and loses nothing by
//! it: the variables are handed on to programs that run as user magnum, and decide nothing for root.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::system::systemd::Unit;
use crate::system::{Command, Process, Root, Secret, System};

const LIMIT: Duration = Duration::from_secs(20);
/// The most bytes of the variables: a program cannot be started with many more.
const MOST_BYTES: usize = 64 << 10;
/// The variables that are handed on, besides `*_proxy`, `OS_*` (any option of oslo.config) and `HELM_*`. Root's own
/// `setsid` and `setpriv` start the programs and get them too, so there is none by which a program loads code or is
/// found (`LD_*`, `GCONV_PATH`, `LOCPATH`, `PATH`, …).
const HANDED_ON: [&str; 6] =
    ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR", "PYTHONPATH", "KUBECONFIG"];

/// Where a service's environment is found.
#[derive(Debug, Clone, Copy)]
pub struct EnvironmentSource<'a> {
    pub unit: &'a Unit,
    /// Its main process, if this runs with the graft. Another one may have what its start script exports, which has no
    /// effect once the graft is on.
    pub process: Option<&'a Process>,
}

/// The variables of a service that change how the driver, helm or Magnum's configuration work.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceEnvironment(BTreeMap<String, Secret<OsString>>);

impl EnvironmentSource<'_> {
    /// Returns what the process has; without one, or if it cannot be read, what systemd would give to the next.
    ///
    /// # Errors
    /// If there is none to be read either, or it is too long.
    pub fn read(&self, system: &System) -> Result<ServiceEnvironment> {
        let root = &system.root;
        if let Some(process) = self.process {
            // It may have ended meanwhile.
            let variables = root.read(Path::new(&format!("/proc/{}/environ", process.pid))).unwrap_or_default();
            if !variables.is_empty() {
                return ServiceEnvironment::new(variables.split(|byte| *byte == 0).map(<[u8]>::to_vec));
            }
        }
        let of_all = system.stdout(&Command::new("systemctl", LIMIT).arg("show-environment"))?;
        let of_unit = words(self.unit.environment.expose(), |c| c == ' ');
        let mut variables = words(&String::from_utf8_lossy(&of_all), |c| c == '\n');
        variables.extend(of_unit);
        for path in &self.unit.environment_files {
            let text = read(root, path)?.unwrap_or_default();
            let lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';']));
            variables.extend(words(&lines.collect::<Vec<_>>().join("\n"), |c| c == '\n'));
        }
        ServiceEnvironment::new(variables.into_iter().map(String::into_bytes))
    }

    /// Names the place of the unit's files that sets a variable: the last one, files of variables after `Environment=`.
    pub fn origin(&self, root: &Root, name: &str) -> String {
        let assigns = |text: &str| {
            text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '='))
                .any(|word| word.split_once('=').is_some_and(|(before, _)| before == name))
        };
        let in_file = |line: &str| assigns(line.trim_start().trim_start_matches("export "));
        let in_unit = |line: &str| line.trim_start().strip_prefix("Environment=").is_some_and(assigns);
        let last = |path: &PathBuf, sets: &dyn Fn(&str) -> bool| {
            let text = read(root, path).ok()??;
            let line = text.lines().collect::<Vec<_>>().into_iter().rposition(sets)?;
            Some(format!("{}:{}", path.display(), line + 1))
        };
        let mut files = self.unit.environment_files.iter().rev();
        let mut units = self.unit.drop_ins.iter().rev().chain(&self.unit.fragment);
        let found = files.find_map(|path| last(path, &in_file)).or_else(|| units.find_map(|path| last(path, &in_unit)));
        found.unwrap_or_else(|| "no file of its unit; see: systemctl show-environment".to_owned())
    }
}

impl ServiceEnvironment {
    /// Keeps of a service's variables those that matter.
    ///
    /// # Errors
    /// If they are too long.
    pub fn new(variables: impl Iterator<Item = Vec<u8>>) -> Result<Self> {
        let mut all = BTreeMap::new();
        for variable in variables {
            let Some(equals) = variable.iter().position(|byte| *byte == b'=') else { continue };
            let name = String::from_utf8_lossy(&variable[..equals]).into_owned();
            if name == "PATH" || is_handed_on(&name) {
                all.insert(name, Secret::new(OsString::from_vec(variable[equals + 1..].to_vec())));
            }
        }
        let bytes: usize = all.iter().map(|(name, value)| name.len() + value.expose().len()).sum();
        ensure!(bytes <= MOST_BYTES, "the services' environment has more than {MOST_BYTES} bytes");
        Ok(Self(all))
    }

    /// Returns a variable's value; `None` if it is not set, or empty.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.get(name).map(|value| value.expose().as_os_str()).filter(|value| !value.is_empty())
    }

    /// Returns the names of the variables that are set.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str).filter(|name| self.get(name).is_some())
    }

    /// Returns the proxies by the names that all programs know. helm, as all programs in Go, prefers capitals.
    pub fn proxies(&self) -> Vec<(String, String)> {
        let value = |name: &str| self.get(&name.to_uppercase()).or(self.get(name)).and_then(OsStr::to_str);
        let usual = ["http_proxy", "https_proxy", "no_proxy"].into_iter();
        usual.filter_map(|name| Some((name.to_owned(), value(name)?.to_owned()))).collect()
    }

    /// Returns the variables for a program that runs as user magnum.
    pub fn handed_on(&self) -> impl Iterator<Item = (String, Secret<OsString>)> {
        let handed_on = self.0.iter().filter(|(name, _)| is_handed_on(name));
        handed_on.map(|(name, value)| (name.clone(), value.clone()))
    }
}

fn is_handed_on(name: &str) -> bool {
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name
        && (HANDED_ON.contains(&name)
            || name.to_ascii_lowercase().ends_with("_proxy")
            || ["OS_", "HELM_"].iter().any(|prefix| name.starts_with(prefix)))
}

fn read(root: &Root, path: &Path) -> Result<Option<String>> {
    root.read_text(&root.resolve(path)?)
}

/// Splits a text as systemd quotes and unquotes words (`"…"`, `'…'`, `$'…'`, a backslash).
fn words(text: &str, is_end: impl Fn(char) -> bool) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('\\', None | Some('"')) => word.extend(letters.next().filter(|next| *next != '\n')),
            ('$', None) if letters.peek() == Some(&'\'') => {}
            ('"' | '\'', None) => quote = Some(letter),
            (_, Some(open)) if letter == open => quote = None,
            (_, None) if is_end(letter) => words.push(std::mem::take(&mut word).trim_end().to_owned()),
            _ => word.push(letter),
        }
    }
    words.push(word.trim_end().to_owned());
    words
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt as _;
    use std::time::SystemTime;

    use super::*;
    use crate::system::testing::{Scratch, command_line};

    fn texts(environment: &ServiceEnvironment) -> Vec<String> {
        let shown = environment.handed_on().map(|(name, value)| format!("{name}={}", value.expose().display()));
        shown.collect()
    }

    #[test]
    fn a_process_that_runs_with_the_graft_says_what_it_has() {
        let scratch = Scratch::new();
        scratch.put("/proc/7/environ", b"https_proxy=http://u:p@h\0OS_X__Y=\xff\0INVOCATION_ID=1\0NO_PROXY=\0odd\0");
        let process = Process { pid: 7, start_ticks: 1, started: SystemTime::now(), cmdline: vec![] };
        let source = EnvironmentSource { unit: &Unit::default(), process: Some(&process) };
        let environment = source.read(&scratch.system(|_| panic!("nothing is run"))).unwrap();
        assert_eq!(environment.names().collect::<Vec<_>>(), ["OS_X__Y", "https_proxy"]);
        assert_eq!(environment.get("OS_X__Y").map(OsStr::as_bytes), Some(&b"\xff"[..]));
        assert!(!format!("{environment:?}").contains("http://"));
        scratch.put("/proc/7/environ", format!("OS_X={}", "x".repeat(MOST_BYTES)));
        assert!(source.read(&scratch.system(|_| None)).is_err());
        scratch.put("/proc/7/environ", "");
        let environment = source.read(&scratch.system(|_| Some("OS_A=next".to_owned()))).unwrap();
        assert_eq!(environment.names().collect::<Vec<_>>(), ["OS_A"], "it has ended");
    }

    #[test]
    fn without_a_process_it_is_what_systemd_would_give_to_the_next() {
        let scratch = Scratch::new();
        let shown = r#"no_proxy=b "HTTPS_PROXY=http://u:p\"x@h y" OS_A=unit HELM_B=unit"#;
        scratch.put(
            "/etc/default/magnum",
            "# it's\nOS_A=file\nHELM_B = \nSSL_CERT_DIR='/a b' \nCURL_CA_BUNDLE=/c\\\n/d\n",
        );
        let unit = Unit {
            environment: Secret::new(shown.to_owned()),
            environment_files: ["/etc/default/magnum", "/etc/default/absent"].map(PathBuf::from).to_vec(),
            ..Unit::default()
        };
        let system = scratch.system(|command| {
            assert_eq!(command_line(command), "systemctl show-environment");
            Some("LANG=C\nno_proxy=a\nhttp_proxy=$'http://x y'\n".to_owned())
        });
        let environment = EnvironmentSource { unit: &unit, process: None }.read(&system).unwrap();
        assert_eq!(
            texts(&environment),
            [
                "CURL_CA_BUNDLE=/c/d",
                "HELM_B=unit",
                "HTTPS_PROXY=http://u:p\"x@h y",
                "OS_A=file",
                "SSL_CERT_DIR=/a b",
                "http_proxy=http://x y",
                "no_proxy=b"
            ]
        );
    }

    #[test]
    fn what_roots_programs_heed_is_not_handed_on() {
        let names = ["LD_PRELOAD", "GCONV_PATH", "LOCPATH", "PATH", "PYTHONSTARTUP", "TZ", "OS_=A B_proxy", "OS A"];
        let variables = names.map(|name| format!("{name}=/x").into_bytes());
        let environment = ServiceEnvironment::new(variables.into_iter()).unwrap();
        assert_eq!(texts(&environment), ["OS_=A B_proxy=/x"]);
        assert_eq!(environment.get("PATH"), Some(OsStr::new("/x")));
    }

    #[test]
    fn the_last_file_that_sets_a_variable_is_named() {
        let scratch = Scratch::new();
        scratch.put("/lib/m.service", "[Service]\nEnvironment=OS_A=1\n");
        scratch.put(
            "/etc/m.d/a.conf",
            "[Service]\nEnvironment=\"OS_A=1 2\" 'OS_B=3'\nEnvironment=OS_B=2\n#Environment=OS_C=1",
        );
        scratch.put("/etc/default/m", "OS_AB=1\nexport OS_D=1\n");
        let unit = Unit {
            fragment: Some("/lib/m.service".into()),
            drop_ins: vec!["/etc/m.d/a.conf".into(), "/etc/m.d/absent.conf".into()],
            environment_files: vec!["/etc/default/m".into()],
            ..Unit::default()
        };
        let source = EnvironmentSource { unit: &unit, process: None };
        for (name, expected) in [
            ("OS_A", "/etc/m.d/a.conf:2"),
            ("OS_B", "/etc/m.d/a.conf:3"),
            ("OS_AB", "/etc/default/m:1"),
            ("OS_D", "/etc/default/m:2"),
            ("OS_C", "no file of its unit; see: systemctl show-environment"),
        ] {
            assert_eq!(source.origin(&scratch.root, name), expected);
        }
    }
}
