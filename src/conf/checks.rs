//! Checks of the configuration: the file, its bytes, and what the services make of it.

use std::path::{Path, PathBuf};

use super::scene::{Asked, Reading};
use super::{ANY_HOOK, Check, Finding, Outcome, Scene};
use crate::graft::Service;
use crate::graft::files::{CONF, CONF_DIRECTORY, KUBECONFIG};
use crate::unit::files;

/// The checks of this group.
pub const CHECKS: &[Check<Scene>] = &[
    Check {
        id: "conf-file",
        question: "Is 99-capi.conf in place, with its content, owner and mode?",
        answer: file,
    },
    Check {
        id: "conf-ascii",
        question: "Are conf.d and the drop-ins plain ASCII?",
        answer: ascii,
    },
    Check {
        id: "conf-effective",
        question: "Do the services' own arguments make the graft's options count?",
        answer: effective,
    },
];

/// Is 99-capi.conf in place, with its content, owner and mode?
pub fn file(scene: &Scene) -> Outcome {
    let desired = match scene.desired() {
        Ok(desired) => desired,
        Err(finding) => return Ok(Err(finding)),
    };
    Ok(match desired.conf.drift(&scene.observed.conf) {
        None => Ok(format!("{CONF} is as the charm writes it, root:root 0644")),
        Some(drift) => Err(Finding::fail(format!("{CONF}: {drift}"), ANY_HOOK)),
    })
}

/// Are conf.d and the drop-ins plain ASCII? A byte that is not UTF-8, or a byte order mark, stops
/// the daemons; a typographic quote becomes part of a value, silently.
pub fn ascii(_: &Scene) -> Outcome {
    let drop_in_directories = Service::ALL
        .into_iter()
        .filter_map(|service| Path::new(service.drop_in()).parent());
    let mut paths = Vec::new();
    for directory in std::iter::once(Path::new(CONF_DIRECTORY)).chain(drop_in_directories) {
        let names = files::names(directory)?.into_iter();
        let fragments = names.filter(|name| name.ends_with(".conf"));
        let fragments = fragments.map(|name| directory.join(name));
        paths.extend(fragments.filter(|path| !path.is_dir()));
    }
    odd_bytes(&paths)
}

/// Is every byte of these files ASCII? Each line with one that is not is named.
pub fn odd_bytes(paths: &[PathBuf]) -> Outcome {
    let mut found = Vec::new();
    for path in paths {
        for (line, column, byte) in odd_in(&files::read(path)?) {
            found.push(format!(
                "{}:{line}:{column}: byte 0x{byte:02X}",
                path.display()
            ));
        }
    }
    if found.is_empty() {
        return Ok(Ok(format!("{} files, every byte ASCII", paths.len())));
    }
    Ok(Err(Finding::fail(
        found.join("; "),
        "type that character in plain ASCII; the charm's own files are put back by any hook",
    )))
}

/// The first byte of each line that is no ASCII, with line and column, both from 1.
fn odd_in(bytes: &[u8]) -> impl Iterator<Item = (usize, usize, u8)> + '_ {
    let lines = bytes.split(|byte| *byte == b'\n').enumerate();
    lines.filter_map(|(line, content)| {
        let column = content.iter().position(|byte| !byte.is_ascii())?;
        Some((line + 1, column + 1, content[column]))
    })
}

/// Do the services' own arguments make the graft's options count?
pub fn effective(scene: &Scene) -> Outcome {
    let seen = match count(scene, scene.asked(|answers| &answers.conductor)?)? {
        Err(finding) => return Ok(Err(finding)),
        Ok(seen) => seen,
    };
    let Some(api) = scene.asked(|answers| &answers.api)? else {
        return Ok(Ok(seen));
    };
    Ok(count(scene, api)?.map_err(|finding| Finding {
        evidence: format!(
            "for {}, which runs with other arguments: {}",
            Service::Api.name(),
            finding.evidence
        ),
        ..finding
    }))
}

/// Do the graft's options count for a service that reads its configuration so?
fn count(scene: &Scene, reading: &Reading) -> Outcome {
    if let Asked::Error(error) = &reading.configuration {
        return Ok(Err(Finding::fail(
            format!("Magnum cannot read its configuration: {error}"),
            "mend the file that the evidence names",
        )));
    }
    if let Asked::Error(_) = scene.asked(|answers| &answers.loads)? {
        return Ok(Err(Finding::skip("the driver does not load")));
    }
    let effective = match &reading.effective {
        Asked::Answer(effective) => effective,
        Asked::Error(error) => {
            let evidence = format!("the effective configuration cannot be read: {error}");
            return Ok(Err(Finding::fail(evidence, "mend what driver-loads says")));
        }
    };
    let desired = match scene.desired() {
        Ok(desired) => desired,
        Err(finding) => return Ok(Err(finding)),
    };
    let Some(kubeconfig) = effective.get("capi_helm.kubeconfig_file") else {
        let evidence = "the driver does not register [capi_helm] kubeconfig_file";
        return Ok(Err(Finding::fail(evidence, "mend what driver-loads says")));
    };
    if kubeconfig.value != KUBECONFIG {
        return Ok(Err(Finding::fail(
            format!(
                "[capi_helm] kubeconfig_file is {} from {}",
                kubeconfig.value,
                kubeconfig.from.as_deref().unwrap_or("the default")
            ),
            "take the option out of that file, or run any hook",
        )));
    }
    // Whatever our fragment sets must come from it, or another file has the last word.
    let wins = |name: &str| {
        effective
            .get(name)
            .and_then(|option| option.from.as_deref())
            == Some(CONF)
    };
    let text = String::from_utf8_lossy(&desired.conf.bytes).into_owned();
    let overridden: Vec<String> = set_in(&text)
        .filter(|name| effective.contains_key(name) && !wins(name))
        .map(|name| {
            let from = effective
                .get(&name)
                .and_then(|option| option.from.as_deref());
            format!("{name} comes from {}", from.unwrap_or("the default"))
        })
        .collect();
    if !overridden.is_empty() {
        return Ok(Err(Finding::fail(
            overridden.join("; "),
            format!("take the option out of that file: only {CONF} is to set it"),
        )));
    }
    Ok(Ok(format!(
        "kubeconfig_file = {KUBECONFIG}, and every option of {CONF} counts"
    )))
}

/// The options a file sets, as `section.key`.
fn set_in(text: &str) -> impl Iterator<Item = String> + '_ {
    let mut section = "";
    text.lines().filter_map(move |line| {
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            section = name;
            return None;
        }
        let (key, _) = line.split_once('=').filter(|_| !line.starts_with('#'))?;
        Some(format!("{section}.{}", key.trim()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_odd_byte_of_each_line_is_placed() {
        let odd = |bytes: &[u8]| odd_in(bytes).collect::<Vec<_>>();
        assert_eq!(odd(b"ok\n"), []);
        assert_eq!(odd(b"\xef\xbb\xbf[x]"), [(1, 1, 0xef)]);
        assert_eq!(odd(b"a\nbc\xe9\n\xe9"), [(2, 3, 0xe9), (3, 1, 0xe9)]);
    }

    #[test]
    fn the_options_a_file_sets_are_listed_with_their_section() {
        let text = "# a = b\n[drivers]\ndisabled_drivers =\n[capi_helm]\nx = y = z\n";
        assert_eq!(
            set_in(text).collect::<Vec<_>>(),
            ["drivers.disabled_drivers", "capi_helm.x"]
        );
    }
}
