//! Checks of the configuration: the file, its bytes, and its effect.

use std::path::{Path, PathBuf};

use super::CONF;
use crate::check::{ANY_HOOK, Check, CheckResult, Finding, Outcome, run};
use crate::magnum::oslo::assignments;
use crate::magnum::{Asked, CONF_DIRECTORY, PythonAnswers, Reading, Service};
use crate::system::{Entry, ManagedFile, Root};

/// What the checks look at.
pub struct ConfSubject<'a> {
    pub root: &'a Root,
    pub wanted: Result<&'a ManagedFile, Finding>,
    pub found: &'a Entry,
    /// Directories of drop-ins, whose files must be ASCII too.
    pub drop_in_directories: &'a [PathBuf],
    pub kubeconfig: &'a str,
    pub python: &'a PythonAnswers,
}

/// Runs every check of the part.
pub fn check(subject: &ConfSubject<'_>) -> Vec<CheckResult> {
    run(
        &[
            Check {
                id: "conf-file",
                question: "Is 99-capi.conf in place, with its content, owner and mode?",
                answer: file,
            },
            Check { id: "conf-ascii", question: "Are conf.d and the drop-ins plain ASCII?", answer: ascii },
            Check {
                id: "conf-effective",
                question: "Do the services' own arguments make the graft's options take effect?",
                answer: effective,
            },
        ],
        subject,
    )
}

fn file(subject: &ConfSubject<'_>) -> Outcome {
    let wanted = match &subject.wanted {
        Ok(wanted) => wanted,
        Err(finding) => return Ok(Err(finding.clone())),
    };
    Ok(match wanted.drift(subject.found) {
        None => Ok(format!("{CONF} is as the charm writes it, root:root 0644")),
        Some(drift) => Err(Finding::fail(format!("{CONF}: {drift}"), ANY_HOOK)),
    })
}

/// A byte that is not UTF-8, or a byte order mark, stops the daemons; a typographic quote becomes part of a value
/// without a word.
fn ascii(subject: &ConfSubject<'_>) -> Outcome {
    let conf = PathBuf::from(CONF_DIRECTORY);
    let (mut paths, mut found) = (0, Vec::new());
    for directory in std::iter::once(&conf).chain(subject.drop_in_directories) {
        for name in subject.root.names(directory)? {
            let path = directory.join(&name);
            if name.ends_with(".conf") && subject.root.is_file(&path)? {
                paths += 1;
                found.extend(non_ascii_places(&path, &subject.root.read(&path)?));
            }
        }
    }
    Ok(all_ascii(paths, &found))
}

/// Answers the check `conf-ascii` for files of which `found` are the places that are not ASCII.
pub fn all_ascii(files: usize, found: &[String]) -> Result<String, Finding> {
    if found.is_empty() {
        return Ok(format!("{files} files, every byte ASCII"));
    }
    let remedy = "type that character in plain ASCII; any hook restores the charm's own files";
    Err(Finding::fail(found.join("; "), remedy))
}

/// Returns the place of the first byte of each line that is not ASCII: `FILE:LINE:COLUMN: byte 0xE9`.
pub fn non_ascii_places(path: &Path, bytes: &[u8]) -> Vec<String> {
    let lines = bytes.split(|byte| *byte == b'\n').enumerate();
    let places = lines.filter_map(|(line, content)| {
        let column = content.iter().position(|byte| !byte.is_ascii())?;
        let (path, line, byte) = (path.display(), line + 1, content[column]);
        Some(format!("{path}:{line}:{}: byte 0x{byte:02X}", column + 1))
    });
    places.collect()
}

fn effective(subject: &ConfSubject<'_>) -> Outcome {
    let evidence = match takes_effect(subject, subject.python.get(|answers| &answers.conductor)?)? {
        Err(finding) => return Ok(Err(finding)),
        Ok(evidence) => evidence,
    };
    let Some(api) = subject.python.get(|answers| &answers.api)? else {
        return Ok(Ok(evidence));
    };
    Ok(takes_effect(subject, api)?.map_err(|finding| Finding {
        evidence: format!("for {}, which runs with other arguments: {}", Service::Api.name(), finding.evidence),
        ..finding
    }))
}

/// Whether the graft's options take effect for a service that reads its configuration so.
fn takes_effect(subject: &ConfSubject<'_>, reading: &Reading) -> Outcome {
    if let Asked::Error(error) = &reading.configuration {
        let evidence = format!("Magnum cannot read its configuration: {error}");
        return Ok(Err(Finding::fail(evidence, "repair the file that the evidence names")));
    }
    if let Asked::Error(_) = subject.python.get(|answers| &answers.loads)? {
        return Ok(Err(Finding::skip("the driver does not load")));
    }
    let effective = match &reading.effective {
        Asked::Answer(effective) => effective,
        Asked::Error(error) => {
            let evidence = format!("the effective configuration cannot be read: {error}");
            return Ok(Err(Finding::fail(evidence, "fix what driver-loads says")));
        }
    };
    let wanted = match &subject.wanted {
        Ok(wanted) => wanted,
        Err(finding) => return Ok(Err(finding.clone())),
    };
    let Some(kubeconfig) = effective.get("capi_helm.kubeconfig_file") else {
        let evidence = "the driver does not register [capi_helm] kubeconfig_file";
        return Ok(Err(Finding::fail(evidence, "fix what driver-loads says")));
    };
    let from = |from: &Option<String>| from.clone().unwrap_or_else(|| "the default".to_owned());
    if kubeconfig.value != subject.kubeconfig {
        let (value, from) = (&kubeconfig.value, from(&kubeconfig.from));
        return Ok(Err(Finding::fail(
            format!("[capi_helm] kubeconfig_file is {value} from {from}"),
            "take the option out of that file, or run any hook",
        )));
    }
    // Whatever our fragment sets must come from it, or another file has the last word.
    let text = String::from_utf8_lossy(&wanted.bytes).into_owned();
    let overridden = assignments(&text).filter_map(|set| {
        let name = format!("{}.{}", set.section, set.key);
        let option = effective.get(&name)?;
        (option.from.as_deref() != Some(CONF)).then(|| format!("{name} comes from {}", from(&option.from)))
    });
    let overridden: Vec<String> = overridden.collect();
    if !overridden.is_empty() {
        let remedy = format!("take the option out of that file: only {CONF} may set it");
        return Ok(Err(Finding::fail(overridden.join("; "), remedy)));
    }
    Ok(Ok(format!("kubeconfig_file = {}, and every option of {CONF} takes effect", subject.kubeconfig)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_odd_byte_of_each_line_is_placed() {
        let places = |bytes: &[u8]| non_ascii_places(Path::new("x"), bytes);
        assert_eq!(places(b"ok\n"), [""; 0]);
        assert_eq!(places(b"\xef\xbb\xbf[x]"), ["x:1:1: byte 0xEF"]);
        assert_eq!(places(b"a\nbc\xe9\n\xe9"), ["x:2:3: byte 0xE9", "x:3:1: byte 0xE9"]);
        assert!(all_ascii(1, &places(b"\xe9")).is_err());
    }
}
