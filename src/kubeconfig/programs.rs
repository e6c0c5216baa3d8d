//! Asks the programs that use the kubeconfig whether they take it: the driver's own client, and helm. No packet leaves
//! the unit, unless they are asked whether they reach the management cluster.
//!
//! They run as user magnum in the conductor's environment, as the service runs them.
//! They read a copy of the candidate that only root and group magnum can read. Their messages may quote what they read,
//! so of these only constant parts are shown.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use serde::Deserialize;

use crate::juju::settings::Pin;
use crate::magnum::{Asked, EnvironmentSource, MAGNUM_USER, Python, ServiceEnvironment, exception};
use crate::system::{Access, Command, FileIdentity, Root, Secret, System};

/// Where the copy lies: in memory, and in no directory whose changes are looked at.
pub const COPY_PARENT: &str = "/run";
const HELM_LIMIT: Duration = Duration::from_secs(20);
/// Nobody listens here: helm reads the kubeconfig, makes its client, and then fails at once.
const NOWHERE: &str = "https://127.0.0.1:1";
/// Constant parts of the messages with which helm's Kubernetes client refuses a kubeconfig. They only make a message
/// more precise: whether helm refuses does not depend on them.
const HELM_REASONS: [&str; 14] = [
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
    "proxyconnect",
    "specifying a root certificates file with the insecure flag is not allowed",
    "unable to load root certificates",
    "unsupported elliptic curve",
];
/// Begins what Go's TLS says of certificates and keys; it quotes nothing.
const TLS_REASON: &str = "tls: ";

const NO_DRIVER: &str = "no driver is installed here";
const DOES_NOT_LOAD: &str = "it does not load";
const NO_HELM: &str = "it is not installed here";

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
    /// Whether the refusal may be due to the services' environment, which may change without a sign.
    pub may_change: bool,
}

/// The programs as they are installed on the unit.
#[derive(Debug, Clone, Default)]
pub struct ProgramsToAsk<'a> {
    pub python: Option<&'a Python>,
    /// Anything that changes with the installed driver, such as the checksum of its RECORD; `None` if none is installed.
    pub driver: Option<String>,
    pub helm: Option<FileIdentity>,
    pub magnum_gid: u32,
    /// Where the environment of the service that runs them is found; nowhere but on a unit.
    pub environment: Option<EnvironmentSource<'a>>,
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
    let mut may_change = false;
    let [driver, helm] = with_copy(system, content, programs, |asked, environment| {
        may_change = environment.handed_on().next().is_some();
        let driver = ask_driver(system, asked.python, environment, pin, asked.kubeconfig);
        [driver, ask_helm(system, asked.helm, environment, Some(MAGNUM_USER), asked.kubeconfig)]
    })?;
    let verdicts = ProgramVerdicts::new(driver, helm);
    Ok(ProgramVerdicts { may_change: may_change && verdicts.refusal.is_some(), ..verdicts })
}

/// Asks the driver's client and helm to send the management cluster a request.
///
/// # Errors
/// If the copy for them cannot be written.
pub fn reach(system: &System, content: &Secret<String>, programs: &ProgramsToAsk<'_>) -> Result<[ProgramVerdict; 2]> {
    with_copy(system, content, programs, |asked, environment| {
        [reach_by_driver(system, asked, environment), reach_by_helm(system, asked, environment)]
    })
}

/// What the programs are asked with.
struct AskedWith<'a> {
    python: Option<&'a Python>,
    helm: Option<&'a Path>,
    kubeconfig: &'a Path,
}

/// Asks both programs about a copy of the kubeconfig; neither, if the environment in which they run cannot be read.
fn with_copy(
    system: &System,
    content: &Secret<String>,
    programs: &ProgramsToAsk<'_>,
    ask: impl FnOnce(&AskedWith<'_>, &ServiceEnvironment) -> [ProgramVerdict; 2],
) -> Result<[ProgramVerdict; 2]> {
    let root = &system.root;
    let environment = programs.environment.map(|source| source.read(system)).transpose();
    let environment = match environment {
        Ok(environment) => environment.unwrap_or_default(),
        Err(error) => {
            tracing::warn!("the programs could not be asked about the kubeconfig: {error:#}");
            return Ok([(); 2].map(|()| ProgramVerdict::NotAsked("the services' environment cannot be read")));
        }
    };
    let directory = root.temporary_directory(Path::new(COPY_PARENT))?;
    // Until the programs have answered.
    let _in_use = root.lock_directory(directory.path())?;
    let copy = directory.path().join("kubeconfig");
    let access = Access { gid: programs.magnum_gid, ..Access::of_root(0o640) };
    root.write(&copy, content.expose().as_bytes(), access)?;
    let python = programs.python.filter(|_| programs.driver.is_some());
    let helm = programs.helm.as_ref().map(|helm| helm.path.as_path());
    Ok(ask(&AskedWith { python, helm, kubeconfig: &copy }, &environment))
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
pub fn ask_driver(
    system: &System,
    python: Option<&Python>,
    environment: &ServiceEnvironment,
    pin: &Pin,
    kubeconfig: &Path,
) -> ProgramVerdict {
    let Some(python) = python else {
        return ProgramVerdict::NotAsked(NO_DRIVER);
    };
    let answer = python.ask::<DriverAnswer>(system, environment, &["client", &kubeconfig.to_string_lossy()]);
    match answer {
        Err(error) => {
            tracing::warn!("the driver could not be asked about the kubeconfig: {}", exception(&error));
            ProgramVerdict::NotAsked(DOES_NOT_LOAD)
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
pub fn ask_helm(
    system: &System,
    helm: Option<&Path>,
    environment: &ServiceEnvironment,
    user: Option<&'static str>,
    kubeconfig: &Path,
) -> ProgramVerdict {
    let Some(helm) = helm else {
        return ProgramVerdict::NotAsked(NO_HELM);
    };
    let mut command = list(helm, environment, kubeconfig, &["--kube-apiserver", NOWHERE]);
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

fn list(helm: &Path, environment: &ServiceEnvironment, kubeconfig: &Path, further: &[&str]) -> Command {
    let command = Command::new(helm, HELM_LIMIT).secret_env(environment.handed_on());
    command.args(["list", "--max", "1"]).args(further).arg("--kubeconfig").arg(kubeconfig)
}

fn reach_by_driver(system: &System, asked: &AskedWith<'_>, environment: &ServiceEnvironment) -> ProgramVerdict {
    let Some(python) = asked.python else {
        return ProgramVerdict::NotAsked(NO_DRIVER);
    };
    match python.ask(system, environment, &["reach", &asked.kubeconfig.to_string_lossy()]) {
        // It may know the user or not.
        Ok(Asked::Answer(200 | 401 | 403)) => ProgramVerdict::Accepts,
        Ok(Asked::Answer(status)) => ProgramVerdict::Refuses(format!("HTTP {status}")),
        Ok(Asked::Error(class)) => ProgramVerdict::Refuses(class),
        Err(error) => {
            tracing::warn!("the driver's client could not be asked: {}", exception(&error));
            ProgramVerdict::NotAsked(DOES_NOT_LOAD)
        }
    }
}

fn reach_by_helm(system: &System, asked: &AskedWith<'_>, environment: &ServiceEnvironment) -> ProgramVerdict {
    let Some(helm) = asked.helm else {
        return ProgramVerdict::NotAsked(NO_HELM);
    };
    match system.run(&list(helm, environment, asked.kubeconfig, &[]).as_user(MAGNUM_USER)) {
        Ok(output) if output.code == Some(0) => ProgramVerdict::Accepts,
        // The cluster answers, and does not know the user or does not let it in.
        Ok(output) if ["Unauthorized", "forbidden"].iter().any(|said| output.stderr.contains(said)) => {
            ProgramVerdict::Accepts
        }
        Ok(output) => ProgramVerdict::Refuses(helm_reason(&output.stderr)),
        Err(_) => ProgramVerdict::NotAsked("it does not end in time"),
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
        ask_helm(&system, Some(Path::new("/usr/bin/helm")), &ServiceEnvironment::default(), None, Path::new("/k"))
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
            let answer = ask_driver(&system, Some(&python()), &ServiceEnvironment::default(), &pin(), Path::new("/k"));
            assert_eq!(answer, expected);
        }
    }
}
