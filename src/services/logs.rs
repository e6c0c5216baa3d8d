//! What the services say of themselves: known failures in the log of the present run of each, from
//! where it really logs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use super::{Check, Finding, Outcome, Scene};
use crate::graft::services::Seen;
use crate::ground;
use crate::unit::process::Process;
use crate::unit::{command, files};

/// The checks of this group.
pub const CHECKS: &[Check<Scene>] = &[Check {
    id: "logs",
    question: "Are the logs since the services' start free of known failures?",
    answer: logs,
}];

const JOURNAL_LIMIT: Duration = Duration::from_secs(20);
/// How much of each log is read, from its end.
const JOURNAL_LINES: &str = "2000";
/// As much as two runs say that end at their start.
const LAST_WORDS: &str = "100";
const LOG_FILE_BYTES: u64 = 1 << 20;

/// Texts that mean a broken graft, and what they mean: the runbook's section 9 and what the
/// daemons really say.
const RED_FLAGS: [(&str, &str); 8] = [
    (
        "No module named 'magnum_capi_helm",
        "the driver is not installed for this Python",
    ),
    (
        "No module named magnum_capi_helm",
        "the driver is not installed for this Python",
    ),
    (
        "No 'k8s_capi_helm_v1' driver",
        "the driver's entry point is missing",
    ),
    (
        "looking for 'k8s_capi_helm_v1'",
        "the driver's entry point is missing",
    ),
    (
        "ConfigDirNotFoundError",
        "/etc/magnum/magnum.conf.d is missing",
    ),
    (
        "ConfigFileParseError",
        "a file of /etc/magnum does not parse",
    ),
    ("UnicodeDecodeError", "a file of /etc/magnum is not UTF-8"),
    (
        "ConfigFilesPermissionDeniedError",
        "user magnum cannot read a file of /etc/magnum",
    ),
];

/// Are the logs since the services' start free of known failures? The journal has what kills a
/// daemon in any case.
fn logs(scene: &Scene) -> Outcome {
    let (mut findings, mut places) = (Vec::new(), vec!["the journal".to_owned()]);
    for seen in &scene.observed.services {
        let mut said = vec![("the journal".to_owned(), journal(seen)?)];
        if let Some(process) = &seen.process
            && let Some(path) = log_file(seen, process)?
        {
            said.push((path.display().to_string(), of_this_run(&path, process)?));
            places.push(path.display().to_string());
        }
        for (place, text) in said {
            for (flag, meaning) in RED_FLAGS {
                if text.contains(flag) {
                    let name = seen.service.name();
                    findings.push(format!("{name}, in {place}: {flag}: {meaning}"));
                }
            }
        }
    }
    Ok(if findings.is_empty() {
        Ok(format!(
            "none of the known failures in {} since the services' start",
            places.join(", ")
        ))
    } else {
        Err(Finding::fail(
            findings.join("; "),
            "mend what the evidence means, then: systemctl restart the service",
        ))
    })
}

/// What the present run of a service wrote to the journal: by time alone, the last words of the run
/// before would count too. Of one that ends again and again, the last words of any run count.
fn journal(seen: &Seen) -> Result<String> {
    let which = if seen.keeps_ending() {
        format!("_SYSTEMD_UNIT={}", seen.service.unit())
    } else if seen.process.is_some() {
        format!("_SYSTEMD_INVOCATION_ID={}", seen.unit.invocation)
    } else {
        return Ok(String::new());
    };
    let lines = if seen.keeps_ending() {
        LAST_WORDS
    } else {
        JOURNAL_LINES
    };
    let printed = command::run("journalctl", JOURNAL_LIMIT)
        .args(["--quiet", "--no-pager", "--output=cat", "--lines", lines])
        .arg(which)
        .stdout()?;
    Ok(String::from_utf8_lossy(&printed).into_owned())
}

/// The file a service logs to besides: its own argument, or what the configuration says (oslo.log's
/// `log_file` within `log_dir`, else the program's name).
fn log_file(seen: &Seen, process: &Process) -> Result<Option<PathBuf>> {
    let argument = process
        .cmdline
        .iter()
        .find_map(|argument| argument.strip_prefix("--log-file="));
    let configuration = ground::configuration()?;
    let file = argument.or(configuration.value("DEFAULT", "log_file"));
    let path = match (configuration.value("DEFAULT", "log_dir"), file) {
        (None, None) => return Ok(None),
        (None, Some(file)) => PathBuf::from(file),
        (Some(directory), Some(file)) => Path::new(directory).join(file),
        (Some(directory), None) => {
            Path::new(directory).join(format!("{}.log", seen.service.name()))
        }
    };
    Ok(path.is_file().then_some(path))
}

/// The lines of a log file that this process and its workers wrote: oslo.log puts the process's id
/// behind date and time.
fn of_this_run(path: &Path, process: &Process) -> Result<String> {
    let text = String::from_utf8_lossy(&files::read_end(path, LOG_FILE_BYTES)?).into_owned();
    let family: Vec<String> = process
        .workers()
        .into_iter()
        .chain([process.pid])
        .map(|pid| pid.to_string())
        .collect();
    Ok(written_by(&text, &family))
}

fn written_by(text: &str, family: &[String]) -> String {
    let ours = |line: &&str| {
        let pid = line.split_whitespace().nth(2).unwrap_or_default();
        family.iter().any(|known| known == pid)
    };
    text.lines()
        .filter(ours)
        .fold(String::new(), |mut all, line| {
            all.push_str(line);
            all.push('\n');
            all
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_log_file_only_the_lines_of_this_run_count() {
        let text = "2026-11-23 01:00:00.100 41 ERROR magnum [-] UnicodeDecodeError\n\
                    2026-11-23 01:00:09.200 57 INFO magnum [-] started\n\
                    2026-11-23 01:00:09.900 58 INFO magnum.worker [-] ready\n";
        let said = written_by(text, &["57".to_owned(), "58".to_owned()]);
        assert_eq!(said.lines().count(), 2);
        assert!(!said.contains("UnicodeDecodeError"));
    }
}
