//! Asks the programs that use the kubeconfig whether they take it: the driver's own client, and helm. No packet leaves
//! the unit.
//!
//! They read a copy of the candidate that only root and group magnum can read. Their messages may quote what they read,
//! so of these only constant parts are shown.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use serde::Deserialize;

use crate::juju::settings::Pin;
use crate::magnum::{Asked, MAGNUM_USER, Python, exception};
use crate::system::{Access, Command, FileIdentity, Root, Secret, System};

/// Where the copy lies: in memory, and in no directory whose changes are looked at.
pub const COPY_PARENT: &str = "/run";
const HELM_LIMIT: Duration = Duration::from_secs(20);
/// Nobody listens here: helm reads the kubeconfig, makes its client, and then fails at once.
const NOWHERE: &str = "https://127.0.0.1:1";
/// Constant parts of the messages with which helm's Kubernetes client refuses a kubeconfig. They only make a message
/// more precise: whether helm refuses does not depend on them.
const HELM_REASONS: [&str; 13] = [
    "are both specified",
    "auth plugin has been removed",
    "cannot unmarshal",
    "duplicate name",
    "illegal base64 data",
    "invalid 'proxy-url'",
    "invalid header field value",
    "more than one authentication method found",
    "must be specified",
    "no such file or directory",
    "specifying a root certificates file with the insecure flag is not allowed",
    "unable to load root certificates",
    "unsupported elliptic curve",
];
/// Begins what Go's TLS says of certificates and keys; it quotes nothing.
const TLS_REASON: &str = "tls: ";

/// A program's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProgramVerdict {
    Accepts,
    /// The program's reason.
    Refuses(String),
    /// Why it was not asked.
    NotAsked(&'static str),
}

/// The answers about one kubeconfig.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProgramVerdicts {
    /// Which program refuses it, and why.
    pub refusal: Option<String>,
    /// Which programs were not asked, and why.
    pub not_asked: Vec<String>,
}

/// The programs as they are installed on the unit.
#[derive(Debug, Clone, Default)]
pub struct ProgramsToAsk<'a> {
    pub python: Option<&'a Python>,
    /// Anything that changes with the installed driver, such as the checksum of its RECORD; `None` if none is installed.
    pub driver: Option<String>,
    pub helm: Option<FileIdentity>,
    pub magnum_gid: u32,
    /// Whether nothing may be remembered, since nothing may be changed.
    pub is_dry_run: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct DriverAnswer {
    version: String,
    client: Asked<bool>,
}

impl ProgramVerdicts {
    pub fn new(driver: ProgramVerdict, helm: ProgramVerdict) -> Self {
        let mut verdicts = Self::default();
        for (program, verdict) in [("the driver", driver), ("helm", helm)] {
            match verdict {
                ProgramVerdict::Accepts => {}
                ProgramVerdict::Refuses(why) => {
                    verdicts.refusal.get_or_insert(format!("is refused by {program} ({why})"));
                }
                ProgramVerdict::NotAsked(why) => verdicts.not_asked.push(format!("{program} was not asked ({why})")),
            }
        }
        verdicts
    }
}

/// Asks both programs about a kubeconfig, as user magnum.
///
/// # Errors
/// If the copy for them cannot be written.
pub fn ask(
    system: &System,
    content: &Secret<String>,
    pin: &Pin,
    programs: &ProgramsToAsk<'_>,
) -> Result<ProgramVerdicts> {
    let root = &system.root;
    let directory = root.temporary_directory(Path::new(COPY_PARENT))?;
    // Until the programs have answered.
    let _in_use = root.lock_directory(directory.path())?;
    let copy = directory.path().join("kubeconfig");
    let access = Access { gid: programs.magnum_gid, ..Access::of_root(0o640) };
    root.write(&copy, content.expose().as_bytes(), access)?;
    let python = programs.python.filter(|_| programs.driver.is_some());
    let helm = programs.helm.as_ref().map(|helm| helm.path.as_path());
    Ok(ProgramVerdicts::new(ask_driver(system, python, pin, &copy), ask_helm(system, helm, Some(MAGNUM_USER), &copy)))
}

/// Returns the copies that a killed process left. Others are in use, for an action asks without the charm's lock.
///
/// # Errors
/// If they cannot be looked for.
pub fn forgotten_copies(root: &Root) -> Result<Vec<PathBuf>> {
    let copies = root.temporaries(Path::new(COPY_PARENT))?.into_iter();
    let forgotten = |copy: PathBuf| Ok(root.lock_directory(&copy)?.is_some().then_some(copy));
    copies.map(forgotten).filter_map(Result::transpose).collect()
}

/// Asks the installed driver's client.
pub fn ask_driver(system: &System, python: Option<&Python>, pin: &Pin, kubeconfig: &Path) -> ProgramVerdict {
    let Some(python) = python else {
        return ProgramVerdict::NotAsked("no driver is installed here");
    };
    let answer = python.ask::<DriverAnswer>(system, &["client", &kubeconfig.to_string_lossy()]);
    match answer {
        Err(error) => {
            tracing::warn!("the driver could not be asked about the kubeconfig: {}", exception(&error));
            ProgramVerdict::NotAsked("it does not load")
        }
        Ok(answer) if answer.version.parse() != Ok(pin.version().clone()) => {
            ProgramVerdict::NotAsked("another version than the pinned one is installed here")
        }
        Ok(answer) => match answer.client {
            Asked::Answer(_) => ProgramVerdict::Accepts,
            Asked::Error(reason) => ProgramVerdict::Refuses(reason),
        },
    }
}

/// Asks helm to use the kubeconfig with a server that does not answer.
pub fn ask_helm(system: &System, helm: Option<&Path>, user: Option<&'static str>, kubeconfig: &Path) -> ProgramVerdict {
    let Some(helm) = helm else {
        return ProgramVerdict::NotAsked("it is not installed here");
    };
    let mut command = Command::new(helm, HELM_LIMIT)
        .args(["list", "--max", "1", "--kube-apiserver", NOWHERE, "--kubeconfig"])
        .arg(kubeconfig);
    command.user = user;
    let said = match system.run(&command) {
        Ok(output) if output.code == Some(1) => output.stderr,
        _ => return ProgramVerdict::NotAsked("it does not run"),
    };
    let was_sent = said.contains(&format!("\"{NOWHERE}/")) && !said.contains("invalid header");
    // The beginning of an error is lost if too much of the file follows it.
    let is_cut = !said.is_empty() && !said.contains("Error: ");
    if was_sent {
        ProgramVerdict::Accepts
    } else if said.to_lowercase().contains("cluster unreachable: ") || is_cut {
        ProgramVerdict::Refuses(helm_reason(&said))
    } else {
        ProgramVerdict::NotAsked("it fails for another reason")
    }
}

fn helm_reason(said: &str) -> String {
    if let Some((_, reason)) = said.split_once(TLS_REASON) {
        return format!("{TLS_REASON}{}", reason.lines().next().unwrap_or_default());
    }
    let known: Vec<&str> = HELM_REASONS.into_iter().filter(|reason| said.contains(reason)).collect();
    match known[..] {
        [] => "its message is not shown, for it may quote the file".to_owned(),
        _ => known.join(", "),
    }
}

#[cfg(test)]
pub mod tests {
    use super::super::testing::python;
    use super::*;
    use crate::system::testing::{Scratch, command_line};
    use crate::system::{Host, Output};

    pub const CANNOT_REACH: &str = "Error: Kubernetes cluster unreachable: Get \"https://127.0.0.1:1/version\": dial tcp 127.0.0.1:1: connect: connection refused";

    /// A helm that fails with these words.
    struct Helm(&'static str);

    impl Host for Helm {
        fn run(&self, command: &Command) -> Result<Output> {
            assert!(command_line(command).starts_with("/usr/bin/helm list"));
            Ok(Output { code: Some(1), stderr: self.0.to_owned(), ..Output::default() })
        }

        fn account(&self, _: &str) -> Result<Option<crate::system::Account>> {
            Ok(None)
        }
    }

    fn helm_says(words: &'static str) -> ProgramVerdict {
        let system = System::new(Scratch::new().root, Helm(words));
        ask_helm(&system, Some(Path::new("/usr/bin/helm")), None, Path::new("/k"))
    }

    /// As helm 3.17.3 prints it.
    #[test]
    fn helm_refuses_unless_it_tried_to_connect_and_its_words_quote_nothing() {
        use ProgramVerdict::{Accepts, NotAsked, Refuses};
        let refuses = |reason: &str| Refuses(reason.to_owned());
        let hidden = "its message is not shown, for it may quote the file";
        for (words, expected) in [
            (CANNOT_REACH, Accepts),
            (
                "Error: Kubernetes cluster unreachable: error loading config file \"k\": error converting: duplicate name \"hunter2\" in list: [{hunter2",
                refuses("duplicate name"),
            ),
            (
                "Error: Kubernetes cluster unreachable: Get \"https://127.0.0.1:1/version\": net/http: invalid header field value for \"Authorization\"",
                refuses("invalid header field value"),
            ),
            (
                "Error: kubernetes cluster unreachable: tls: failed to parse private key\n",
                refuses("tls: failed to parse private key"),
            ),
            ("Error: Kubernetes cluster unreachable: hunter2", refuses(hidden)),
            ("[45 45 45] map[hunter2] }]", refuses(hidden)),
            ("Error: unknown flag: --kube-apiserver", NotAsked("it fails for another reason")),
        ] {
            assert_eq!(helm_says(words), expected, "{words}");
        }
    }

    #[test]
    fn a_copy_is_forgotten_when_nobody_holds_it() {
        let scratch = Scratch::new();
        let root = &scratch.root;
        let copy = root.temporary_directory(Path::new(COPY_PARENT)).unwrap();
        let held = root.lock_directory(copy.path()).unwrap();
        assert!(held.is_some() && forgotten_copies(root).unwrap().is_empty());
        assert_eq!(root.temporaries(Path::new(COPY_PARENT)).unwrap(), [copy.path()]);
        drop(held);
        assert_eq!(forgotten_copies(root).unwrap(), [copy.path()]);
    }

    fn pin() -> Pin {
        "magnum-capi-helm==1.1.0".parse().unwrap()
    }

    #[test]
    fn the_drivers_answer_counts_only_when_it_is_the_pinned_driver() {
        use ProgramVerdict::{Accepts, NotAsked, Refuses};
        for (answer, expected) in [
            (Some(r#"{"version": "1.1.0", "client": {"answer": true}}"#), Accepts),
            (Some(r#"{"version": "1.1.0", "client": {"error": "AssertionError"}}"#), Refuses("AssertionError".into())),
            (
                Some(r#"{"version": "1.4.0", "client": {"answer": true}}"#),
                NotAsked("another version than the pinned one is installed here"),
            ),
            (None, NotAsked("it does not load")),
        ] {
            let system = Scratch::new().system(move |_| answer.map(str::to_owned));
            assert_eq!(ask_driver(&system, Some(&python()), &pin(), Path::new("/k")), expected);
        }
    }
}
