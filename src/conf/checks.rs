//! Checks of the configuration: the file, its bytes, and its effect.

use std::path::PathBuf;

use serde_json::Value;

use super::CONF;
use crate::check::{ANY_HOOK, Check, Finding, Outcome, nothing_wrong};
use crate::magnum::oslo::assignments;
use crate::magnum::{CONF_BUDGET, CONF_DIRECTORY, EnvironmentSource, PythonAnswers, Reading, Service};
use crate::system::{Entry, ManagedFile, Root};

/// The most findings of one check: more than what is shown of them.
const MOST_FINDINGS: usize = 200;

/// What the checks look at.
pub struct ConfSubject<'a> {
    pub root: &'a Root,
    pub wanted: Result<&'a ManagedFile, Finding>,
    pub found: &'a Entry,
    /// What keeps user magnum out of the directory of configuration.
    pub closed: Option<Finding>,
    /// Directories of drop-ins, whose files must be ASCII too.
    pub drop_in_directories: Vec<PathBuf>,
    pub python: &'a PythonAnswers,
    /// Where each service's variables come from.
    pub environments: &'a [(Service, EnvironmentSource<'a>)],
}

impl ConfSubject<'_> {
    pub const CHECKS: [Check<Self>; 3] = [
        Check::new("conf-file", "Is 99-capi.conf in place, with its content, owner and mode?", file),
        Check::new("conf-ascii", "Are conf.d and the drop-ins plain ASCII?", ascii),
        Check::new("conf-effective", "Do the services' own arguments make the graft's options take effect?", effective),
    ];
}

fn file(subject: &ConfSubject<'_>) -> Outcome {
    if subject.closed.is_some() {
        return Err(Finding::skip("user magnum cannot enter its directory"));
    }
    let drift = subject.wanted.clone()?.drift(subject.found).map(|drift| format!("{CONF}: {drift}"));
    nothing_wrong(drift, format!("{CONF} is as the charm writes it, root:root 0644"), ANY_HOOK)
}

fn ascii(subject: &ConfSubject<'_>) -> Outcome {
    let (mut files, mut budget) = (Vec::new(), CONF_BUDGET);
    for directory in [PathBuf::from(CONF_DIRECTORY)].iter().chain(&subject.drop_in_directories) {
        for name in subject.root.names(directory)? {
            let path = directory.join(&name);
            if name.ends_with(".conf") && subject.root.is_file(&path)? {
                files.extend(budget.read(subject.root, &path)?.map(|content| (path, content)));
            }
        }
    }
    plain_ascii(&files)
}

/// Checks that files hold plain ASCII; names the first other byte of each line. A byte that is not UTF-8, or a byte
/// order mark, stops the daemons; a typographic quote becomes part of a value without a word.
///
/// # Errors
/// A finding if they do not.
pub fn plain_ascii(files: &[(PathBuf, Vec<u8>)]) -> Outcome {
    let found = files.iter().flat_map(|(path, content)| {
        let lines = content.split(|byte| *byte == b'\n').zip(1..);
        lines.filter_map(move |(bytes, line)| {
            let column = bytes.iter().position(|byte| !byte.is_ascii())?;
            Some(format!("{}:{line}:{}: byte 0x{:02X}", path.display(), column + 1, bytes[column]))
        })
    });
    let remedy = "type that character in plain ASCII; any hook restores the charm's own files";
    nothing_wrong(found.take(MOST_FINDINGS), format!("{} files, every byte ASCII", files.len()), remedy)
}

fn effective(subject: &ConfSubject<'_>) -> Outcome {
    if let Some(closed) = &subject.closed {
        return Err(closed.clone());
    }
    let evidence = takes_effect(subject, subject.python.get(|answers| &answers.conductor)?, Service::Conductor)?;
    if let Some(api) = subject.python.get(|answers| &answers.api)? {
        takes_effect(subject, api, Service::Api).map_err(|finding| Finding {
            evidence: format!(
                "for {}, which runs with other arguments or another environment: {}",
                Service::Api.name(),
                finding.evidence
            ),
            ..finding
        })?;
    }
    Ok(evidence)
}

/// Checks that the graft's options take effect for a service that reads its configuration so.
fn takes_effect(subject: &ConfSubject<'_>, reading: &Reading, service: Service) -> Outcome {
    reading.configuration.or(|error| {
        let evidence = format!("Magnum cannot read its configuration: {error}");
        Finding::fail(evidence, "repair the file that the evidence names")
    })?;
    subject.python.loaded()?;
    let effective = reading.effective.or(|error| {
        let evidence = format!("the effective configuration cannot be read: {error}");
        Finding::fail(evidence, "fix what driver-loads says")
    })?;
    let text = String::from_utf8_lossy(&subject.wanted.clone()?.bytes);
    let Some(kubeconfig) = effective.get("capi_helm.kubeconfig_file") else {
        let evidence = "the driver does not register [capi_helm] kubeconfig_file";
        return Err(Finding::fail(evidence, "fix what driver-loads says"));
    };
    let mut overridden = Vec::new();
    for set in assignments(&text) {
        let Some(option) = effective.get(&format!("{}.{}", set.section, set.key)) else { continue };
        let is_path = set.key == "kubeconfig_file";
        // oslo.config names the last file with the section, so an equal value has the last word wherever it is from.
        if is_value(&option.value, set.value) || (!is_path && option.from.as_deref() == Some(CONF)) {
            continue;
        }
        let from = match option.from.as_deref() {
            None => "no file: it has its default".to_owned(),
            Some(variable) if variable.starts_with("OS_") => {
                let mut sources = subject.environments.iter().filter(|(of, _)| *of == service);
                let origin = sources.next().map(|(_, source)| source.origin(subject.root, variable));
                format!("{}'s environment: {variable}, from {}", service.name(), origin.unwrap_or_default())
            }
            Some(file) => file.to_owned(),
        };
        // Other values may be URLs with a password.
        let value = if is_path { format!(" is {} and", option.value) } else { String::new() };
        overridden.push(format!("[{}] {}{value} comes from {from}", set.section, set.key));
    }
    let good = format!("kubeconfig_file = {}, and every option of {CONF} takes effect", kubeconfig.value);
    let remedy = format!(
        "take the option out of that file, since only {CONF} may set it, or {ANY_HOOK}; after a change \
                          of the environment run: systemctl daemon-reload; systemctl restart magnum-api magnum-conductor"
    );
    nothing_wrong(overridden, good, &remedy)
}

/// Whether an option's value is what this text sets.
fn is_value(value: &Value, text: &str) -> bool {
    match value {
        Value::String(value) => value == text,
        Value::Bool(value) => text.eq_ignore_ascii_case(&value.to_string()),
        Value::Number(value) => value.to_string() == text,
        Value::Array(values) => text.split(',').map(|part| Some(part.trim())).eq(values.iter().map(Value::as_str)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Status;
    use crate::system::systemd::Unit;

    #[test]
    fn the_first_byte_of_each_line_that_is_not_ascii_is_named() {
        let evidence =
            |content: &[u8]| plain_ascii(&[("x".into(), content.to_vec())]).map_err(|finding| finding.evidence);
        assert!(evidence(b"a\nb").is_ok());
        assert_eq!(evidence(b"\xef\xbb\xbf[x]").unwrap_err(), "x:1:1: byte 0xEF");
        assert_eq!(evidence(b"a\n \xe9\xe9\n\xff").unwrap_err(), "x:2:2: byte 0xE9; x:3:1: byte 0xFF");
    }

    #[test]
    fn of_a_closed_directory_one_check_says_so_and_the_others_are_skipped() {
        let scratch = crate::system::testing::Scratch::new();
        let answers = r#"{"loads": {"error": ""}, "conductor": {"configuration": {"answer": true},
            "effective": {"answer": {}}}, "enabled": {"error": ""}, "kubeconfig": {"answer": 1}, "trust": {"error": ""}}"#;
        let mut python = PythonAnswers(Ok(serde_json::from_str(answers).unwrap()));
        python.forget_configuration("closed");
        let wanted = ManagedFile::public(CONF, "");
        let subject = ConfSubject {
            root: &scratch.root,
            wanted: Ok(&wanted),
            found: &Entry::Absent,
            closed: Some(Finding::fail("closed", "open it")),
            drop_in_directories: vec![],
            python: &python,
            environments: &[],
        };
        assert_eq!(effective(&subject).unwrap_err(), Finding::fail("closed", "open it"));
        assert_eq!(file(&subject).unwrap_err().status, Status::Skip);
        let other = python.get_with_configuration(|answers| &answers.kubeconfig);
        assert_eq!(other.unwrap_err().status, Status::Skip);
    }

    /// Answers `conf-effective` where Python reads this configuration, as JSON.
    fn effective_with(reading: &str) -> Outcome {
        let scratch = crate::system::testing::Scratch::new();
        let text = format!(
            r#"{{"loads": {{"answer": {{"version": "1", "class": "", "file": "", "missing": [], "provides": []}}}},
                "conductor": {reading}, "api": null, "enabled": {{"error": ""}}, "kubeconfig": {{"answer": 1}},
                "trust": {{"error": ""}}}}"#
        );
        scratch.put("/etc/x.conf", "Environment=OS_CAPI_HELM__NAMESPACE_PREFIX=hunter2\n");
        let unit = Unit { drop_ins: vec!["/etc/x.conf".into()], ..Unit::default() };
        let wanted = ManagedFile::public(CONF, "[capi_helm]\nkubeconfig_file = /k\nnamespace_prefix = x\n");
        effective(&ConfSubject {
            root: &scratch.root,
            wanted: Ok(&wanted),
            found: &Entry::Absent,
            closed: None,
            drop_in_directories: vec![],
            python: &PythonAnswers(serde_json::from_str(&text).map_err(Into::into)),
            environments: &[(Service::Conductor, EnvironmentSource { unit: &unit, process: None })],
        })
    }

    #[test]
    fn an_option_that_does_not_come_from_the_fragment_is_named_with_the_file_it_comes_from() {
        let with = |options: &str| {
            let reading =
                format!(r#"{{"configuration": {{"answer": true}}, "effective": {{"answer": {{{options}}}}}}}"#);
            effective_with(&reading).map_err(|finding| finding.evidence)
        };
        let option = |name: &str, value: &str, from: &str| {
            format!(r#""capi_helm.{name}": {{"value": {value:?}, "from": {from}}}"#)
        };
        let (ours, later) = (format!("{CONF:?}"), r#""/later.conf""#);
        let kubeconfig = option("kubeconfig_file", "/k", &ours);
        for equal in [option("namespace_prefix", "x", later), option("namespace_prefix", "parsed", &ours)] {
            let passed = with(&format!("{kubeconfig}, {equal}")).unwrap();
            assert_eq!(passed, format!("kubeconfig_file = \"/k\", and every option of {CONF} takes effect"));
        }
        let other = with(&format!("{kubeconfig}, {}", option("namespace_prefix", "https://u:hunter2@h", later)));
        assert_eq!(other.unwrap_err(), "[capi_helm] namespace_prefix comes from /later.conf");
        let variable = option("namespace_prefix", "hunter2", r#""OS_CAPI_HELM__NAMESPACE_PREFIX""#);
        let overridden = with(&format!("{kubeconfig}, {variable}")).unwrap_err();
        let place = "magnum-conductor's environment: OS_CAPI_HELM__NAMESPACE_PREFIX, from /etc/x.conf:1";
        assert_eq!(overridden, format!("[capi_helm] namespace_prefix comes from {place}"));
        let quoted = with(&option("kubeconfig_file", "“/k”", &ours)).unwrap_err();
        assert_eq!(quoted, format!("[capi_helm] kubeconfig_file is \"“/k”\" and comes from {CONF}"));
        let default = with(&option("kubeconfig_file", "/etc/k", "null")).unwrap_err();
        assert_eq!(default, "[capi_helm] kubeconfig_file is \"/etc/k\" and comes from no file: it has its default");
        for (value, text, expected) in [
            ("true", "True", true),
            ("5", "5", true),
            ("5", "6", false),
            (r#"["a", "b"]"#, "a, b", true),
            (r#"["a"]"#, "a,b", false),
            ("{}", "", false),
        ] {
            assert_eq!(is_value(&serde_json::from_str(value).unwrap(), text), expected, "{value} {text}");
        }
        assert!(with("").unwrap_err().contains("does not register"));
        let broken = r#"{"configuration": {"error": "ConfigFileParseError"}, "effective": {"error": ""}}"#;
        assert!(effective_with(broken).unwrap_err().evidence.contains("ConfigFileParseError"));
    }
}
