//! Checks of the kubeconfig's file. What is in it: [`super::report`].

use super::PATH;
use crate::check::{ANY_HOOK, Check, Finding, Outcome, nothing_wrong};
use crate::magnum::{Asked, PythonAnswers};
use crate::system::{Entry, ManagedFile};

pub struct KubeconfigSubject<'a> {
    /// `None` if there is no kubeconfig.
    pub wanted: Option<&'a ManagedFile>,
    pub found: &'a Entry,
    pub python: &'a PythonAnswers,
}

impl KubeconfigSubject<'_> {
    pub const CHECKS: [Check<Self>; 2] = [
        Check::new("kubeconfig-file", "Is the granted kubeconfig in place, with its owner and mode?", file),
        Check::new(
            "kubeconfig-readable",
            "Can user magnum read the kubeconfig that the services are configured to use?",
            readable,
        ),
    ];
}

fn file(subject: &KubeconfigSubject<'_>) -> Outcome {
    let wanted = subject.wanted.ok_or_else(|| Finding::skip("no kubeconfig is given"))?;
    let drift = wanted.drift(subject.found).map(|drift| format!("{PATH}: {drift}"));
    nothing_wrong(drift, format!("{PATH} is the granted one, root:magnum 0640"), ANY_HOOK)
}

fn readable(subject: &KubeconfigSubject<'_>) -> Outcome {
    match subject.python.get_with_driver(|answers| &answers.kubeconfig)? {
        Asked::Answer(size) => Ok(format!("user magnum reads {size} bytes")),
        Asked::Error(error) => Err(Finding::fail(error.clone(), ANY_HOOK)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::managed_file;
    use super::*;
    use crate::check::{self, Status};
    use crate::system::Secret;
    use crate::system::testing::Scratch;

    fn statuses(wanted: Option<&ManagedFile>, found: &Entry, python: PythonAnswers) -> Vec<Status> {
        let subject = KubeconfigSubject { wanted, found, python: &python };
        let results = check::run(&KubeconfigSubject::CHECKS, &subject);
        results.iter().map(|result| result.status).collect()
    }

    fn answers(kubeconfig: &str) -> PythonAnswers {
        let text = format!(
            r#"{{"loads": {{"answer": {{"version": "1", "class": "", "file": "", "missing": [], "provides": []}}}},
                "conductor": {{"configuration": {{"answer": true}}, "effective": {{"error": ""}}}},
                "api": null, "enabled": {{"error": ""}}, "kubeconfig": {kubeconfig}}}"#
        );
        PythonAnswers(serde_json::from_str(&text).map_err(Into::into))
    }

    #[test]
    fn the_file_must_be_the_granted_one_and_readable() {
        let scratch = Scratch::new();
        scratch.root.make_directories("/etc/magnum".as_ref()).unwrap();
        let wanted = managed_file(&Secret::new("content".into()), 0);
        let (absent, read) = (Entry::Absent, r#"{"answer": 7}"#);
        let refused = r#"{"error": "PermissionError"}"#;
        let pass_and_fail = [Status::Pass, Status::Fail];
        assert_eq!(statuses(Some(&wanted), &absent, answers(read)), [Status::Fail, Status::Pass]);
        scratch.root.write(&wanted.path, &wanted.bytes, wanted.access).unwrap();
        let found = scratch.root.inspect(&wanted.path).unwrap();
        assert_eq!(statuses(Some(&wanted), &found, answers(refused)), pass_and_fail);
        assert_eq!(statuses(None, &found, answers(read)), [Status::Skip, Status::Pass]);
        let silent = PythonAnswers(Err(anyhow::anyhow!("no Python")));
        assert_eq!(statuses(Some(&wanted), &found, silent), pass_and_fail);
    }
}
