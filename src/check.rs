//! The vocabulary of checks: a question, the answer, and what to do about it. The parts' checks use it, and `verify`
//! and `preflight` report them.

use serde::Serialize;
use strum::Display;

/// What a reconcile does about a part that is not as wanted, for remedies. `UNIT` stands for the unit's name.
pub const ANY_HOOK: &str = "run any hook, such as: juju exec --unit UNIT 'JUJU_DISPATCH_PATH=hooks/update-status ./dispatch'";

/// The status of a check, in the words of `verify`'s results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Display)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Status {
    Pass,
    Fail,
    /// Something deserves a look, or is wrong outside the graft.
    Warn,
    /// The question does not arise now.
    Skip,
}

/// Anything other than a pass: what was seen, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub status: Status,
    pub evidence: String,
    pub remedy: String,
}

impl Finding {
    pub fn fail(evidence: impl Into<String>, remedy: impl Into<String>) -> Self {
        let (evidence, remedy) = (evidence.into(), remedy.into());
        Self {
            status: Status::Fail,
            evidence,
            remedy,
        }
    }

    pub fn warn(evidence: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            status: Status::Warn,
            ..Self::fail(evidence, remedy)
        }
    }

    pub fn skip(reason: impl Into<String>) -> Self {
        Self {
            status: Status::Skip,
            ..Self::fail(reason, "")
        }
    }
}

/// The outer error means "could not look", the inner one "looked, and it is not well". Otherwise: what was seen.
pub type Outcome = anyhow::Result<Result<String, Finding>>;

/// A question about a `T`. Ids never change their meaning.
pub struct Check<T: ?Sized> {
    pub id: &'static str,
    pub question: &'static str,
    pub answer: fn(&T) -> Outcome,
}

/// The answer to one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckResult {
    pub id: &'static str,
    pub status: Status,
    /// The question.
    pub summary: &'static str,
    pub evidence: String,
    pub remedy: String,
}

impl CheckResult {
    pub fn new(id: &'static str, question: &'static str, outcome: Outcome) -> Self {
        let (status, evidence, remedy) = match outcome {
            Ok(Ok(evidence)) => (Status::Pass, evidence, String::new()),
            Ok(Err(finding)) => (finding.status, finding.evidence, finding.remedy),
            // Could not look: that is not a pass.
            Err(error) => (
                Status::Fail,
                format!("could not look: {error:#}"),
                "fix what kept the check from looking, then run verify again".to_owned(),
            ),
        };
        Self {
            id,
            status,
            summary: question,
            evidence,
            remedy,
        }
    }
}

/// Runs `checks` on `subject`.
pub fn run<T: ?Sized>(checks: &[Check<T>], subject: &T) -> Vec<CheckResult> {
    let run =
        |check: &Check<T>| CheckResult::new(check.id, check.question, (check.answer)(subject));
    checks.iter().map(run).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_could_not_look_has_not_passed() {
        let checks: [Check<str>; 2] = [
            Check {
                id: "a",
                question: "A?",
                answer: |subject| Ok(Ok(subject.to_owned())),
            },
            Check {
                id: "b",
                question: "B?",
                answer: |_| anyhow::bail!("no permission"),
            },
        ];
        let results = run(&checks, "seen");
        assert_eq!(
            (results[0].status, results[0].evidence.as_str()),
            (Status::Pass, "seen")
        );
        assert_eq!(results[1].status, Status::Fail);
        assert_eq!(results[1].evidence, "could not look: no permission");
    }
}
