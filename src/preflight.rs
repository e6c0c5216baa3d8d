//! `preflight`: the judgement of a kubeconfig and of configuration files on an operator's desk,
//! before anything is deployed. Changes nothing, and needs neither Juju nor Magnum.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use lexopt::prelude::{Long, ValueExt};
use nix::unistd::{Uid, User};
use serde_json::json;

use crate::graft::kubeconfig::read_as_magnum;
use crate::kube::fit::Stack;
use crate::kube::judgement::{Judgement, Reach};
use crate::kube::{Fault, Kubeconfig};
use crate::settings::{DEFAULT_PIN, EXPIRY_WARNING_DAYS, Pin};
use crate::unit::files;
use crate::unit::python::MAGNUM_USER;
use crate::verify::{Credentials, Line, OF_A_KUBECONFIG, Report, Status, odd_bytes};

/// How the answers are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Table,
    Json,
}

#[derive(Debug, PartialEq, Eq)]
struct Request {
    kubeconfig: Option<PathBuf>,
    pin: Pin,
    chart: Option<String>,
    conf: Vec<PathBuf>,
    reach: Reach,
    format: Format,
}

/// Judges what `arguments` name, and prints the answers.
///
/// # Errors
/// When the arguments are no good; the caller shows how they are meant.
pub fn run(arguments: impl Iterator<Item = OsString>) -> Result<ExitCode> {
    let request = Request::parse(arguments)?;
    let report = judged(&request);
    match request.format {
        Format::Table => print!("{}", report.table()),
        Format::Json => println!("{:#}", as_json(&report)),
    }
    Ok(match report.failed().len() {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

impl Request {
    fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Self> {
        let mut parser = lexopt::Parser::from_args(arguments);
        let mut request = Self {
            kubeconfig: None,
            pin: DEFAULT_PIN.parse()?,
            chart: None,
            conf: Vec::new(),
            reach: Reach::Online,
            format: Format::Table,
        };
        while let Some(argument) = parser.next()? {
            match argument {
                Long("kubeconfig") => request.kubeconfig = Some(parser.value()?.into()),
                Long("driver-pin") => request.pin = parser.value()?.string()?.parse()?,
                Long("helm-chart-version") => request.chart = Some(parser.value()?.string()?),
                Long("conf") => request.conf.push(PathBuf::from(parser.value()?)),
                Long("offline") => request.reach = Reach::Offline,
                Long("format") => {
                    request.format = match parser.value()?.string()?.as_str() {
                        "table" => Format::Table,
                        "json" => Format::Json,
                        other => bail!("--format {other} is neither table nor json"),
                    }
                }
                other => return Err(other.unexpected().into()),
            }
        }
        if request.kubeconfig.is_none() && request.conf.is_empty() {
            bail!("neither --kubeconfig FILE nor --conf FILE is given");
        }
        Ok(request)
    }
}

fn judged(request: &Request) -> Report {
    let stack = Stack {
        driver: request.pin.version().clone(),
        chart: request.chart.clone(),
        api_resources: None,
    };
    let judged = |path: &PathBuf| {
        let kubeconfig = read(path);
        Judgement::of(&kubeconfig, &request.pin, &stack, &read_here, request.reach)
    };
    let credentials = Credentials {
        judgement: request.kubeconfig.as_ref().map(judged),
        warning_days: EXPIRY_WARNING_DAYS,
    };
    let conf = (!request.conf.is_empty()).then(|| {
        Line::new(
            "conf-ascii",
            "Are the configuration files plain ASCII?",
            odd_bytes(&request.conf),
        )
    });
    Report::with(OF_A_KUBECONFIG, &credentials, conf)
}

fn read(path: &Path) -> Result<Kubeconfig, Fault> {
    let bytes = files::read(path).map_err(|error| Fault::new(format!("is missing: {error:#}")))?;
    let text = String::from_utf8(bytes).map_err(|_| Fault::new("is not text in UTF-8"))?;
    text.parse()
}

/// A file that the kubeconfig names: as user magnum on a unit, as whoever asks on a desk.
fn read_here(path: &Path) -> Result<Vec<u8>, String> {
    let on_a_unit = Uid::effective().is_root()
        && User::from_name(MAGNUM_USER).is_ok_and(|magnum| magnum.is_some());
    if on_a_unit {
        return read_as_magnum(path);
    }
    files::read(path).map_err(|error| format!("{error:#}"))
}

fn as_json(report: &Report) -> serde_json::Value {
    json!({
        "passed": report.count(Status::Pass),
        "failed": report.count(Status::Fail),
        "warned": report.count(Status::Warn),
        "skipped": report.count(Status::Skip),
        "failures": report.failed(),
        "checks": report,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Request> {
        Request::parse(arguments.iter().map(OsString::from))
    }

    #[test]
    fn the_arguments_say_what_is_judged() {
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
        assert_eq!(
            (request.reach, request.format),
            (Reach::Offline, Format::Json)
        );
    }

    #[test]
    fn arguments_that_are_no_good_are_named() {
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
    fn a_kubeconfig_and_a_configuration_file_that_are_no_good_fail_by_name() {
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
            reach: Reach::Online,
            format: Format::Json,
        };
        let report = judged(&request);
        assert_eq!(report.failed(), ["kubeconfig-usable", "conf-ascii"]);
        let printed = as_json(&report).to_string();
        assert!(printed.contains("99-capi.conf:2:5"), "{printed}");
        assert!(!printed.contains("hunter2"));
    }
}
