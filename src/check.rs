//! The vocabulary of checks: a question, the answer, and what to do about it. The parts' checks use it, and `verify`
//! and `preflight` report them.

use serde::Serialize;
use strum::Display;

/// What a reconcile does about a part that is not as wanted, for remedies. `UNIT` stands for the unit's name.
pub const ANY_HOOK: &str =
    "run any hook, such as: juju exec --unit UNIT 'JUJU_DISPATCH_PATH=hooks/update-status ./dispatch'";

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
        Self { status: Status::Fail, evidence, remedy }
    }

    pub fn warn(evidence: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { status: Status::Warn, ..Self::fail(evidence, remedy) }
    }

    pub fn skip(reason: impl Into<String>) -> Self {
        Self { status: Status::Skip, ..Self::fail(reason, "") }
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
        Self { id, status, summary: question, evidence, remedy }
    }
}

/// Runs `checks` on `subject`.
pub fn run<T: ?Sized>(checks: &[Check<T>], subject: &T) -> Vec<CheckResult> {
    let run = |check: &Check<T>| CheckResult::new(check.id, check.question, (check.answer)(subject));
    checks.iter().map(run).collect()
}

/// Checks that files hold plain ASCII; names the first other byte of each line. Each file is its name and its content.
pub fn plain_ascii(files: &[(String, Vec<u8>)]) -> Outcome {
    let mut found = Vec::new();
    for (name, content) in files {
        for (line, bytes) in content.split(|byte| *byte == b'\n').enumerate() {
            if let Some(column) = bytes.iter().position(|byte| !byte.is_ascii()) {
                let (line, byte) = (line + 1, bytes[column]);
                found.push(format!("{name}:{line}:{}: byte 0x{byte:02X}", column + 1));
            }
        }
    }
    Ok(match found.is_empty() {
        true => Ok(format!("{} files, every byte ASCII", files.len())),
        false => Err(Finding::fail(
            found.join("; "),
            "type that character in plain ASCII; any hook restores the charm's own files",
        )),
    })
}

/// The answers to all checks: a table for people, JSON for machines, counts for both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Report(Vec<CheckResult>);

impl Report {
    pub fn new(results: Vec<CheckResult>) -> Self {
        Self(results)
    }

    /// How many checks ended with this status.
    pub fn count(&self, status: Status) -> usize {
        self.0.iter().filter(|result| result.status == status).count()
    }

    /// The ids of the checks that failed.
    pub fn failed(&self) -> Vec<&'static str> {
        let failed = self.0.iter().filter(|result| result.status == Status::Fail);
        failed.map(|result| result.id).collect()
    }

    /// Names the checks that failed, if any.
    pub fn failure(&self) -> Option<String> {
        let failed = self.failed();
        (!failed.is_empty()).then(|| format!("verify found faults: {}", failed.join(", ")))
    }

    /// One line for each check; below it, the remedy if there is one.
    pub fn table(&self) -> String {
        let width = self.0.iter().map(|result| result.id.len()).max().unwrap_or_default();
        let mut table = String::new();
        for CheckResult { id, status, evidence, remedy, .. } in &self.0 {
            let status = match status {
                Status::Fail => "FAIL".to_owned(),
                status => status.to_string(),
            };
            table.push_str(&format!("{status}  {id:width$}  {evidence}\n"));
            if !remedy.is_empty() {
                table.push_str(&format!("      {:width$}  remedy: {remedy}\n", ""));
            }
        }
        table
    }

    /// The results of the action, by name.
    ///
    /// # Errors
    /// If the checks cannot be encoded.
    pub fn results(&self) -> anyhow::Result<Vec<(&'static str, String)>> {
        let count = |status| self.count(status).to_string();
        Ok(vec![
            ("passed", count(Status::Pass)),
            ("failed", count(Status::Fail)),
            ("warned", count(Status::Warn)),
            ("skipped", count(Status::Skip)),
            ("failures", self.failed().join(",")),
            ("report", self.table()),
            ("checks", serde_json::to_string(self)?),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_could_not_look_has_not_passed() {
        let checks: [Check<str>; 2] = [
            Check { id: "a", question: "A?", answer: |subject| Ok(Ok(subject.to_owned())) },
            Check { id: "b", question: "B?", answer: |_| anyhow::bail!("no permission") },
        ];
        let results = run(&checks, "seen");
        assert_eq!((results[0].status, results[0].evidence.as_str()), (Status::Pass, "seen"));
        assert_eq!(results[1].status, Status::Fail);
        assert_eq!(results[1].evidence, "could not look: no permission");
    }

    fn result(id: &'static str, status: Status, remedy: &str) -> CheckResult {
        let (evidence, remedy) = ("seen".to_owned(), remedy.to_owned());
        CheckResult { id, status, summary: "Is it?", evidence, remedy }
    }

    #[test]
    fn the_results_count_each_status_and_name_the_failures() {
        let report = Report::new(vec![
            result("a", Status::Pass, ""),
            result("bb", Status::Fail, "repair it"),
            result("c", Status::Warn, "look"),
            result("d", Status::Fail, "repair it"),
            result("e", Status::Skip, ""),
        ]);
        let results: std::collections::BTreeMap<_, _> = report.results().unwrap().into_iter().collect();
        let counts = ["passed", "failed", "warned", "skipped"].map(|name| results[name].as_str());
        assert_eq!(counts, ["1", "2", "1", "1"]);
        assert_eq!(results["failures"], "bb,d");
        assert_eq!(report.failure().unwrap(), "verify found faults: bb, d");
        assert!(results["report"].contains("FAIL  bb  seen\n          remedy: repair it\n"));
        let checks: serde_json::Value = serde_json::from_str(&results["checks"]).unwrap();
        assert_eq!((&checks[1]["status"], &checks[1]["id"]), (&"fail".into(), &"bb".into()));
    }

    #[test]
    fn a_report_without_a_failed_check_has_no_failure() {
        let report = Report::new(vec![result("a", Status::Pass, ""), result("b", Status::Warn, "look")]);
        assert_eq!(report.failure(), None);
    }

    #[test]
    fn the_first_byte_of_each_line_that_is_not_ascii_is_named() {
        let file = |content: &[u8]| ("f".to_owned(), content.to_vec());
        assert!(plain_ascii(&[file(b"a\nb")]).unwrap().is_ok());
        let finding = plain_ascii(&[file(b"a\n \xe9\xe9\n\xff")]).unwrap().unwrap_err();
        assert_eq!(finding.evidence, "f:2:2: byte 0xE9; f:3:1: byte 0xFF");
    }
}
