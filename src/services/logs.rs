//! What the services log: known failures in the log of the current run of each, from where it really logs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Error, Result};

use super::ObservedService;
use super::checks::ServicesSubject;
use crate::check::{Outcome, nothing_wrong};
use crate::magnum::{Configuration, read_end_as_magnum};
use crate::system::{Command, Process, Root, System};

const JOURNAL_LIMIT: Duration = Duration::from_secs(20);
/// How many of the journal's newest lines are read.
const JOURNAL_LINES: usize = 2000;
/// About as many lines as two failed starts log; and as many as are read if more of them are too large to be read.
const CRASH_LINES: usize = 100;
const LOG_FILE_BYTES: u64 = 1 << 20;

/// Texts that mean a broken graft, and what they mean: the runbook's section 9 and what the daemons really log.
const KNOWN_FAILURES: [(&str, &str); 8] = [
    ("No module named 'magnum_capi_helm", "the driver is not installed for this Python"),
    ("No module named magnum_capi_helm", "the driver is not installed for this Python"),
    ("No 'k8s_capi_helm_v1' driver", "the driver's entry point is missing"),
    ("looking for 'k8s_capi_helm_v1'", "the driver's entry point is missing"),
    ("ConfigDirNotFoundError", "/etc/magnum/magnum.conf.d is missing"),
    ("ConfigFileParseError", "a file of /etc/magnum does not parse"),
    ("UnicodeDecodeError", "a file of /etc/magnum is not UTF-8"),
    ("ConfigFilesPermissionDeniedError", "user magnum cannot read a file of /etc/magnum"),
];

/// Answers the check `logs`. The journal has what kills a daemon in any case.
pub fn logs(subject: &ServicesSubject<'_>) -> Outcome {
    let system = subject.system;
    let (mut findings, mut places) = (Vec::new(), Vec::new());
    for observed in &subject.observed.services {
        let mut logs = vec![journal(system, observed)?];
        if let Some(process) = &observed.process
            && let Some(path) = log_file(&system.root, observed, process)?
        {
            logs.push(of_current_run(system, &path, process)?);
        }
        for (place, text) in logs {
            let found = KNOWN_FAILURES.iter().filter(|(sign, _)| text.contains(sign));
            let name = observed.service.name();
            findings.extend(found.map(|(sign, meaning)| format!("{name}, in {place}: {sign}: {meaning}")));
            if !places.contains(&place) {
                places.push(place);
            }
        }
    }
    let good = format!("none of the known failures in {} since the services' start", places.join(", "));
    nothing_wrong(findings, good, "fix what the evidence means, then: systemctl restart the service")
}

/// Returns the last exception that a service wrote to the journal, else its last line.
///
/// # Errors
/// If the journal cannot be read.
pub fn last_line(system: &System, observed: &ObservedService) -> Result<String> {
    let (_, text) = journal(system, observed)?;
    let says_why = |line: &&str| ["Error: ", "Exception: "].iter().any(|word| line.contains(word));
    let last = text.lines().rfind(says_why).or_else(|| text.lines().rfind(|line| !line.trim().is_empty()));
    Ok(last.unwrap_or_default().to_owned())
}

/// Returns what the current run of a service wrote to the journal, and where that is: by time alone, the last lines of the
/// run before would count too. Of a service that keeps failing, the last lines of any run count. Of a long run, these are
/// the newest lines.
fn journal(system: &System, observed: &ObservedService) -> Result<(String, String)> {
    let (which, most) = if observed.keeps_failing() {
        (format!("_SYSTEMD_UNIT={}", observed.service.unit()), CRASH_LINES)
    } else if observed.process.is_some() {
        let invocation = &observed.unit.invocation;
        (format!("_SYSTEMD_INVOCATION_ID={invocation}"), JOURNAL_LINES)
    } else {
        return Ok(("the journal".to_owned(), String::new()));
    };
    let read = |lines: usize| {
        let command = Command::new("journalctl", JOURNAL_LIMIT)
            .args(["--quiet", "--no-pager", "--output=cat", "--lines", &lines.to_string()])
            .arg(&which);
        anyhow::Ok((lines, String::from_utf8_lossy(&system.stdout(&command)?).into_owned()))
    };
    let (lines, text) = read(most).or_else(|_| read(CRASH_LINES))?;
    // An entry may have several lines: that there is no other is known only below the limit.
    let place = match text.lines().count() >= lines || lines < most {
        true => format!("the newest {lines} entries of the journal of {}", observed.service.name()),
        false => "the journal".to_owned(),
    };
    Ok((place, text))
}

/// Returns the file a service logs to besides: its own argument, or what the configuration says (oslo.log's `log_file`
/// within `log_dir`, else the program's name).
fn log_file(root: &Root, observed: &ObservedService, process: &Process) -> Result<Option<PathBuf>> {
    let mut arguments = process.cmdline.iter();
    let argument = arguments.find_map(|argument| argument.strip_prefix("--log-file="));
    let configuration = Configuration::read(root)?;
    let directory = configuration.value("DEFAULT", "log_dir");
    let default = directory.map(|_| format!("{}.log", observed.service.name()));
    let file = argument.or(configuration.value("DEFAULT", "log_file")).or(default.as_deref());
    let path = file.map(|file| Path::new(directory.unwrap_or_default()).join(file));
    match path {
        Some(path) if root.is_file(&path)? => Ok(Some(path)),
        _ => Ok(None),
    }
}

/// Returns the lines of a log file that this process and its workers wrote, and where they are: oslo.log puts the process's
/// id behind date and time. Of a long file, these are the newest.
fn of_current_run(system: &System, path: &Path, process: &Process) -> Result<(String, String)> {
    let text = read_end_as_magnum(system, path, LOG_FILE_BYTES).map_err(Error::msg)?;
    let pids = process.workers(&system.root).into_iter().chain([process.pid]).collect();
    let place = match text.len() as u64 >= LOG_FILE_BYTES {
        true => format!("the newest {} MiB of {}", LOG_FILE_BYTES >> 20, path.display()),
        false => path.display().to_string(),
    };
    Ok((place, written_by(&String::from_utf8_lossy(&text), &pids)))
}

pub(crate) fn written_by(text: &str, pids: &BTreeSet<i32>) -> String {
    let pid = |line: &str| line.split_whitespace().nth(2)?.parse().ok();
    let is_ours = |line: &&str| pid(line).is_some_and(|pid| pids.contains(&pid));
    let lines: Vec<&str> = text.lines().filter(is_ours).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::magnum::{MAGNUM_CONF, Service};
    use crate::system::systemd::Unit;
    use crate::system::testing::Scratch;

    #[test]
    fn of_a_log_file_only_the_lines_of_the_current_run_count() {
        let text = "2026-11-23 01:00:00.100 41 ERROR magnum [-] UnicodeDecodeError\n\
                    2026-11-23 01:00:09.200 57 INFO magnum [-] started\n\
                    2026-11-23 01:00:09.900 58 INFO magnum.worker [-] ready\n";
        let lines = written_by(text, &[57, 58].into());
        assert_eq!(lines.lines().count(), 2);
        assert!(!lines.contains("UnicodeDecodeError"));
    }

    #[test]
    fn of_a_long_journal_the_newest_lines_are_read_and_not_taken_for_all() {
        let started = std::time::SystemTime::now();
        let process = Some(Process { pid: 7, start_ticks: 1, started, cmdline: vec![] });
        let observed = ObservedService { service: Service::Api, unit: Unit::default(), process, read: None };
        let place = |count: usize, readable: &'static str| {
            let system = Scratch::new().system(move |command| {
                let line = crate::system::testing::command_line(command);
                line.contains(readable).then(|| "x\n".repeat(count))
            });
            journal(&system, &observed).map(|(place, text)| (place, text.len() / 2))
        };
        assert_eq!(place(1999, "--lines 2000 ").unwrap(), ("the journal".to_owned(), 1999));
        let newest = |lines| format!("the newest {lines} entries of the journal of magnum-api");
        assert_eq!(place(2000, "--lines 2000 ").unwrap(), (newest(2000), 2000));
        // More than can be read: a journal of very long lines.
        assert_eq!(place(7, "--lines 100 ").unwrap(), (newest(100), 7));
        assert!(place(7, "--lines 7 ").is_err());
    }

    #[test]
    fn of_a_long_log_file_the_end_is_read_and_not_taken_for_all() {
        let path = Path::new("/var/log/magnum/x.log");
        let started = std::time::SystemTime::now();
        let process = Process { pid: 7, start_ticks: 1, started, cmdline: vec![] };
        for (size, place) in [(100, "/var/log/magnum/x.log"), (1 << 20, "the newest 1 MiB of /var/log/magnum/x.log")] {
            let system = Scratch::new().system(move |_| Some("x".repeat(size)));
            assert_eq!(of_current_run(&system, path, &process).unwrap().0, place);
        }
    }

    #[test]
    fn a_full_log_of_many_workers_is_read_in_a_moment() {
        // Comparing each line with each worker would take minutes.
        let pids = (1..=200_000).collect();
        let text = "a b 200001\n".repeat(100_000);
        let began = std::time::Instant::now();
        assert_eq!(written_by(&text, &pids), "");
        assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
    }

    #[test]
    fn the_log_file_is_the_argument_or_what_the_configuration_says() {
        let process = |argument: &str| Process {
            pid: 7,
            start_ticks: 1,
            started: std::time::SystemTime::now(),
            cmdline: vec![argument.to_owned()],
        };
        let observed = ObservedService { service: Service::Api, unit: Unit::default(), process: None, read: None };
        for (argument, conf, expected) in [
            ("", "", None),
            ("--log-file=/var/log/magnum/x.log", "", Some("/var/log/magnum/x.log")),
            ("", "log_dir = /var/log/magnum", Some("/var/log/magnum/magnum-api.log")),
            ("", "log_dir = /var/log/magnum\nlog_file = x.log", Some("/var/log/magnum/x.log")),
            ("", "log_file = /var/log/magnum/x.log", Some("/var/log/magnum/x.log")),
            ("", "log_file = /absent.log", None),
        ] {
            let scratch = Scratch::new();
            scratch.put(MAGNUM_CONF, format!("[DEFAULT]\n{conf}\n"));
            for name in ["x.log", "magnum-api.log"] {
                scratch.put(format!("/var/log/magnum/{name}"), "");
            }
            let found = log_file(&scratch.root, &observed, &process(argument)).unwrap();
            assert_eq!(found.as_deref(), expected.map(Path::new), "{argument} {conf}");
        }
    }

    #[test]
    fn whatever_stands_in_place_of_a_log_file_is_not_waited_for() {
        let scratch = Scratch::new();
        let log = "/var/log/magnum/magnum-api.log";
        scratch.put(MAGNUM_CONF, "[DEFAULT]\nlog_dir = /var/log/magnum\n");
        scratch.put(log, "");
        let started = std::time::SystemTime::now();
        let process = Process { pid: 7, start_ticks: 1, started, cmdline: vec![] };
        let observed = ObservedService { service: Service::Api, unit: Unit::default(), process: None, read: None };
        scratch.for_each_shape(log, |shape| {
            let is_file = shape == "bytes that are not UTF-8" || shape == "a file that somebody holds a lease on";
            assert_eq!(log_file(&scratch.root, &observed, &process).unwrap().is_some(), is_file, "{shape}");
        });
    }
}
