//! What the charm remembers between hooks about kubeconfigs and the management cluster: a cache.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::Selection;
use super::programs::{self, ProgramVerdicts, ProgramsToAsk};
use crate::escape;
use crate::juju::settings::Pin;
use crate::step::Thoroughness;
use crate::system::{Root, Secret, System, sha256};

const FILE: &str = "management.json";
/// The granted kubeconfig, the earlier ones, and each of them after a change of driver or helm.
const MOST_VERDICTS: usize = 8;
/// The most characters of a refusal, which quotes what a program printed.
const LONGEST_REFUSAL: usize = 2000;

// The names on disk are those of earlier revisions.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// The last kubeconfig that the management cluster accepted.
    #[serde(rename = "proven")]
    pub accepted: Option<Secret<String>>,
    /// When everything there last was as needed.
    #[serde(rename = "fits")]
    pub passed: Option<Passed>,
    /// What driver and helm said of the last few kubeconfigs.
    #[serde(default)]
    pub programs: Vec<Verdict>,
    /// Of this run only, for not all programs could be asked: each try may take minutes.
    #[serde(skip)]
    unfinished: Vec<Verdict>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Passed {
    /// Kubeconfig, driver and chart, as a checksum.
    pub what: String,
    /// In seconds since 1970.
    pub at: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Kubeconfig, driver and helm, as a checksum.
    pub what: String,
    /// `None` if both accept it.
    pub refusal: Option<String>,
}

impl Memory {
    pub fn load(root: &Root) -> Self {
        root.remembered(FILE)
    }

    pub fn keep(&self, root: &Root) {
        root.keep(FILE, self);
    }

    /// Remembers a selection that the management cluster accepted: the next one is compared with it.
    pub fn remember(&mut self, root: &Root, selection: &Selection) {
        if selection.identity.is_ok() && self.accepted.as_ref() != Some(&selection.content) {
            self.accepted = Some(selection.content.clone());
            self.keep(root);
        }
    }

    /// Returns why one of the programs refuses the kubeconfig. They are asked once about each kubeconfig, and again when
    /// driver or helm changes; when not [`Thoroughness::Full`], only what is remembered counts.
    ///
    /// # Errors
    /// If a program cannot be given the kubeconfig.
    pub fn refusal(
        &mut self,
        system: &System,
        content: &Secret<String>,
        pin: &Pin,
        ask: &ProgramsToAsk<'_>,
        thoroughness: Thoroughness,
    ) -> Result<Option<String>> {
        let kubeconfig = sha256(content.expose().as_bytes());
        let what = sha256(format!("{kubeconfig} {pin} {:?} {:?}", ask.driver, ask.helm).as_bytes());
        if let Some(known) = self.programs.iter().chain(&self.unfinished).find(|verdict| verdict.what == what) {
            return Ok(known.refusal.clone());
        }
        if thoroughness == Thoroughness::Quick {
            return Ok(None);
        }
        let ProgramVerdicts { refusal, not_asked, may_change } = programs::ask(system, content, pin, ask)?;
        let refusal = refusal.map(|refusal| escape::line(&refusal, LONGEST_REFUSAL));
        // One that could not be asked is asked again by the next hook.
        if !not_asked.is_empty() || may_change {
            self.unfinished.push(Verdict { what, refusal: refusal.clone() });
        } else if !ask.is_dry_run {
            self.programs.push(Verdict { what, refusal: refusal.clone() });
            let surplus = self.programs.len().saturating_sub(MOST_VERDICTS);
            self.programs.drain(..surplus);
            self.keep(&system.root);
        }
        Ok(refusal)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::programs::tests::CANNOT_REACH;
    use super::super::testing::{gid, python, scratch};
    use super::*;
    use crate::magnum::{EnvironmentSource, MAGNUM_USER};
    use crate::system::systemd::Unit;
    use crate::system::testing::command_line;
    use crate::system::{Command, Host, Output};

    /// Accepts as helm, refuses as the driver; looks at the copy that each is given, and counts.
    struct Programs {
        root: crate::system::Root,
        asked: Arc<AtomicUsize>,
    }

    impl Host for Programs {
        fn run(&self, command: &Command) -> Result<Output> {
            let line = command_line(command);
            let copy = Path::new(line.split(' ').next_back().unwrap());
            let meta = self.root.metadata(copy)?.unwrap();
            assert_eq!((self.root.access_of(&meta).mode, command.user), (0o640, Some(MAGNUM_USER)));
            self.asked.fetch_add(1, Ordering::SeqCst);
            let (code, stdout) = match line.contains("client") {
                true => (Some(0), r#"{"version": "1.1.0", "client": {"error": "KeyError"}}"#.into()),
                false => (Some(1), vec![]),
            };
            Ok(Output { code, stdout, stderr: CANNOT_REACH.to_owned(), ..Output::default() })
        }

        fn account(&self, _: &str) -> Result<Option<crate::system::Account>> {
            Ok(None)
        }
    }

    #[test]
    fn programs_are_asked_once_about_a_private_copy_and_again_when_one_changes() {
        let scratch = scratch();
        let root = &scratch.root;
        scratch.put("/usr/bin/helm", "");
        let asked = Arc::new(AtomicUsize::new(0));
        let system = System::new(root.clone(), Programs { root: root.clone(), asked: asked.clone() });
        let (python, content) = (python(), Secret::new("hunter2".to_owned()));
        let pin: Pin = "magnum-capi-helm==1.1.0".parse().unwrap();
        let mut ask = ProgramsToAsk { python: Some(&python), driver: Some("a".into()), ..ProgramsToAsk::default() };
        ask.magnum_gid = gid(&scratch);
        let refusal = |ask: &ProgramsToAsk<'_>, thoroughness| {
            let refusal = Memory::load(root).refusal(&system, &content, &pin, ask, thoroughness).unwrap();
            (refusal.is_some(), asked.load(Ordering::SeqCst))
        };
        use Thoroughness::{Full, Quick};
        assert_eq!(refusal(&ask, Quick), (false, 0));
        // Without helm, the answer is not final: it counts in this run, and is asked for again in the next.
        let mut run = Memory::load(root);
        (0..2).for_each(|_| assert!(run.refusal(&system, &content, &pin, &ask, Full).unwrap().is_some()));
        assert_eq!(asked.swap(0, Ordering::SeqCst), 1);
        assert_eq!(refusal(&ask, Full), (true, 1));
        assert_eq!(refusal(&ask, Quick), (false, 1));
        ask.helm = root.identity(Path::new("/usr/bin/helm")).unwrap();
        assert_eq!(refusal(&ask, Full), (true, 3));
        assert_eq!(refusal(&ask, Full), (true, 3));
        assert_eq!(refusal(&ask, Quick), (true, 3));
        ask.driver = Some("b".to_owned());
        assert_eq!(refusal(&ask, Full), (true, 5));
        assert_eq!(root.names(Path::new("/etc/magnum")).unwrap(), [""; 0]);
    }

    #[test]
    fn a_refusal_that_may_be_the_environments_is_not_remembered() {
        let scratch = scratch();
        let (python, pin) = (python(), "magnum-capi-helm==1.1.0".parse().unwrap());
        scratch.put("/usr/bin/helm", "");
        let remembered = |variables: &str, said: &'static str| {
            let asked = Arc::default();
            let system = System::new(scratch.root.clone(), Helm { asked: Arc::clone(&asked), said });
            let unit = Unit { environment: Secret::new(variables.to_owned()), ..Unit::default() };
            let ask = ProgramsToAsk {
                python: Some(&python),
                driver: Some(format!("{variables}{said}")),
                helm: scratch.root.identity(Path::new("/usr/bin/helm")).unwrap(),
                magnum_gid: gid(&scratch),
                environment: Some(EnvironmentSource { unit: &unit, process: None }),
                is_dry_run: false,
            };
            let content = Secret::new("hunter2".to_owned());
            let refusal = || Memory::load(&scratch.root).refusal(&system, &content, &pin, &ask, Thoroughness::Full);
            assert_eq!(refusal().unwrap(), refusal().unwrap());
            asked.load(Ordering::SeqCst) == 1
        };
        let refuses = "Error: Kubernetes cluster unreachable: unable to load root certificates";
        assert!(remembered("", refuses) && remembered("HELM_KUBECAFILE=/x", CANNOT_REACH));
        assert!(!remembered("HELM_KUBECAFILE=/x", refuses));
    }

    /// A unit whose driver accepts and whose helm says this; counts.
    struct Helm {
        asked: Arc<AtomicUsize>,
        said: &'static str,
    }

    impl Host for Helm {
        fn run(&self, command: &Command) -> Result<Output> {
            let line = command_line(command);
            let (code, stdout) = match (line.contains("systemctl"), line.contains("client")) {
                (true, _) => (0, vec![]),
                (_, true) => (0, r#"{"version": "1.1.0", "client": {"answer": true}}"#.into()),
                _ => {
                    self.asked.fetch_add(1, Ordering::SeqCst);
                    (1, vec![])
                }
            };
            Ok(Output { code: Some(code), stdout, stderr: self.said.to_owned(), ..Output::default() })
        }

        fn account(&self, _: &str) -> Result<Option<crate::system::Account>> {
            Ok(None)
        }
    }

    #[test]
    fn a_long_refusal_is_cut_and_a_damaged_file_counts_as_none() {
        let scratch = scratch();
        let root = &scratch.root;
        let answer = serde_json::json!({"version": "1.1.0", "client": {"error": "\u{1b}".repeat(9000)}}).to_string();
        let system = scratch.system(move |_| Some(answer.clone()));
        let (python, pin) = (python(), "magnum-capi-helm==1.1.0".parse().unwrap());
        let ask = ProgramsToAsk { python: Some(&python), driver: Some("a".into()), ..ProgramsToAsk::default() };
        let ask = ProgramsToAsk { magnum_gid: gid(&scratch), ..ask };
        let content = Secret::new("hunter2".to_owned());
        scratch.put(crate::system::state_path(FILE), "{");
        let mut memory = Memory::load(root);
        assert_eq!(memory, Memory::default());
        let refusal = memory.refusal(&system, &content, &pin, &ask, Thoroughness::Full).unwrap().unwrap();
        assert!(refusal.starts_with("is refused by the driver") && refusal.chars().count() <= 2000, "{refusal}");
    }
}
