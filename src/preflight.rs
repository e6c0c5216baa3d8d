//! `preflight`: checks a kubeconfig and configuration files on an operator's desk, before anything is deployed. Changes
//! nothing, and needs neither Juju nor Magnum.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use lexopt::prelude::{Long, ValueExt};
use nix::unistd::Uid;
use serde_json::json;

use crate::check::{self, Check, Outcome, Report};
use crate::conf::checks::plain_ascii;
use crate::escape;
use crate::juju::settings::{DEFAULT_PIN, EXPIRY_WARNING_DAYS, Pin};
use crate::kubeconfig::checks::CHECKS;
use crate::kubeconfig::compatibility::Stack;
use crate::kubeconfig::programs::{self, ProgramVerdicts, ProgramsToAsk};
use crate::kubeconfig::{KubeconfigReport, fault, in_text};
use crate::magnum::{MAGNUM_USER, Python, ServiceEnvironment, read_as_magnum};
use crate::system::{Account, Limited, SIZE_LIMIT, SYSTEM_PATH, Secret, System};

const CONF_CHECKS: [Check<[PathBuf]>; 1] =
    [Check::new("conf-ascii", "Are the configuration files plain ASCII?", conf_ascii)];

#[derive(Debug, PartialEq, Eq)]
struct Request {
    kubeconfig: Option<PathBuf>,
    pin: Pin,
    chart: Option<String>,
    conf: Vec<PathBuf>,
    /// Whether the management cluster is not asked.
    offline: bool,
    /// Whether the answers are printed as JSON, or else as a table.
    is_json: bool,
}

/// Checks what `arguments` name, and prints the answers.
///
/// # Errors
/// If the arguments are not valid (the caller shows the usage), or a file cannot be read.
pub fn run(system: &System, arguments: impl Iterator<Item = OsString>) -> Result<ExitCode> {
    let request = Request::parse(arguments)?;
    let report = request.report(system)?;
    match request.is_json {
        false => print!("{}", escape::report(&report.table(), usize::MAX)),
        true => println!("{}", escape::report(&format!("{:#}", as_json(&report)), usize::MAX)),
    }
    Ok(if report.failed().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Request {
    fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Self> {
        let mut parser = lexopt::Parser::from_args(arguments);
        let mut request = Self {
            kubeconfig: None,
            pin: DEFAULT_PIN.parse()?,
            chart: None,
            conf: Vec::new(),
            offline: false,
            is_json: false,
        };
        while let Some(argument) = parser.next()? {
            match argument {
                Long("kubeconfig") => request.kubeconfig = Some(parser.value()?.into()),
                Long("driver-pin") => request.pin = parser.value()?.string()?.parse()?,
                Long("helm-chart-version") => request.chart = Some(parser.value()?.string()?),
                Long("conf") => request.conf.push(PathBuf::from(parser.value()?)),
                Long("offline") => request.offline = true,
                Long("format") => match parser.value()?.string()?.as_str() {
                    format @ ("table" | "json") => request.is_json = format == "json",
                    other => bail!("--format {other} is neither table nor json"),
                },
                other => return Err(other.unexpected().into()),
            }
        }
        if request.kubeconfig.is_none() && request.conf.is_empty() {
            bail!("neither --kubeconfig FILE nor --conf FILE is given");
        }
        Ok(request)
    }

    fn report(&self, system: &System) -> Result<Report> {
        let mut results = Vec::new();
        if let Some(path) = &self.kubeconfig {
            results.extend(check::run(CHECKS, &self.kubeconfig_report(system, path)?));
        }
        if !self.conf.is_empty() {
            results.extend(check::run(&CONF_CHECKS, self.conf.as_slice()));
        }
        Ok(Report(results))
    }

    fn kubeconfig_report(&self, system: &System, path: &Path) -> Result<KubeconfigReport> {
        let stack = Stack { driver: self.pin.version().clone(), chart: self.chart.clone(), api_resources: None };
        let account = if Uid::effective().is_root() { system.account(MAGNUM_USER)? } else { None };
        let read_file = |path: &Path| match &account {
            Some(_) => read_as_magnum(system, path),
            None => read(path).map_err(|error| format!("{error:#}")),
        };
        let bytes = read(path).map_err(|error| fault(format!("cannot be read: {error:#}")));
        let programs = |kubeconfig: &Secret<String>| match &account {
            Some(account) => ask_unit(system, account, kubeconfig, &self.pin),
            None => {
                let none = ServiceEnvironment::default();
                let helm = helm_on(system, &std::env::var_os("PATH").unwrap_or_default());
                let helm = programs::ask_helm(system, helm.as_deref(), &none, None, &std::path::absolute(path)?);
                Ok(ProgramVerdicts::new(programs::ask_driver(system, None, &none, &self.pin, path), helm))
            }
        };
        let online = (!self.offline).then_some(&stack);
        let kubeconfig = bytes.and_then(in_text);
        KubeconfigReport::inspect(
            &system.root,
            kubeconfig,
            &self.pin,
            &read_file,
            programs,
            online,
            EXPIRY_WARNING_DAYS,
        )
    }
}

/// Asks the driver and helm of the unit, as user magnum.
fn ask_unit(system: &System, account: &Account, kubeconfig: &Secret<String>, pin: &Pin) -> Result<ProgramVerdicts> {
    let python = Python::remembered(&system.root)?;
    let helm = helm_on(system, SYSTEM_PATH.as_ref());
    let programs = ProgramsToAsk {
        python: python.as_ref(),
        // Nothing is remembered, so that it is there is all that counts.
        driver: python.as_ref().map(|_| String::new()),
        helm: helm.map(|helm| system.root.identity(&helm)).transpose()?.flatten(),
        magnum_gid: account.gid,
        environment: None,
        is_dry_run: true,
    };
    programs::ask(system, kubeconfig, pin, &programs)
}

fn conf_ascii(paths: &[PathBuf]) -> Outcome {
    let files: Result<Vec<_>> = paths.iter().map(|path| Ok((path.clone(), read(path)?))).collect();
    plain_ascii(&files?)
}

/// Returns the first helm on a PATH.
fn helm_on(system: &System, path: &OsStr) -> Option<PathBuf> {
    let candidates = std::env::split_paths(path).map(|directory| directory.join("helm"));
    // A directory that cannot be looked into has none.
    let mut files = candidates.filter_map(|helm| system.root.resolve(&helm).ok());
    files.find(|helm| system.root.is_file(helm).is_ok_and(|is| is))
}

/// Reads a file that the operator names, through links too.
fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    Limited::new(file, SIZE_LIMIT).read_to_end(&mut bytes).with_context(|| format!("reading {}", path.display()))?;
    Ok(bytes)
}

fn as_json(report: &Report) -> serde_json::Value {
    let mut json = json!({"failures": report.failed(), "checks": report});
    for (name, count) in report.counts() {
        json[name] = count.into();
    }
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Request> {
        Request::parse(arguments.iter().map(OsString::from))
    }

    #[test]
    fn the_arguments_say_what_is_checked() {
        let request = parse(&[
            "--kubeconfig=/k",
            "--driver-pin",
            "magnum-capi-helm==1.4.0",
            "--conf",
            "a",
            "--conf=b",
            "--offline",
            "--format",
            "json",
        ]);
        let request = request.unwrap();
        assert_eq!(request.kubeconfig, Some(PathBuf::from("/k")));
        assert_eq!(request.pin.to_string(), "magnum-capi-helm==1.4.0");
        assert_eq!(request.conf, [Path::new("a"), Path::new("b")]);
        assert_eq!((request.offline, request.is_json), (true, true));
    }

    #[test]
    fn arguments_that_are_not_valid_are_named() {
        for (arguments, named) in [
            (&[][..], "--kubeconfig"),
            (&["--kubeconfig"], "kubeconfig"),
            (&["--kubeconfig", "k", "--format", "xml"], "--format xml"),
            (&["--kubeconfig", "k", "--driver-pin", "latest"], "latest"),
            (&["--kubeconfig", "k", "--fast"], "--fast"),
        ] {
            let message = format!("{:#}", parse(arguments).unwrap_err());
            assert!(message.contains(named), "{message}");
        }
    }

    #[test]
    fn a_kubeconfig_and_a_configuration_file_that_are_not_valid_fail_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str, content: &[u8]| {
            let path = directory.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        let request = Request {
            kubeconfig: Some(path("kubeconfig", b"users: [{name: a, token: hunter2}]")),
            pin: DEFAULT_PIN.parse().unwrap(),
            chart: None,
            conf: vec![path("99-capi.conf", b"[capi_helm]\nx = \xe9\n")],
            offline: false,
            is_json: true,
        };
        let report = request.report(&System::local().unwrap()).unwrap();
        assert_eq!(report.failed(), ["kubeconfig-usable", "conf-ascii"]);
        let printed = as_json(&report).to_string();
        assert!(printed.contains("99-capi.conf:2:5"), "{printed}");
        assert!(!printed.contains("hunter2"));
    }
}
