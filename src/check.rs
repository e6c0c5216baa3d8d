//! The vocabulary of checks: a question, the answer, and what to do about it. The parts' checks use it, and `verify`
//! and `preflight` report them.

use serde::Serialize;
use strum::Display;

use crate::escape::{self, ENTRY_LENGTH};

/// The remedy for drift, which any hook repairs. `UNIT` stands for the unit's name.
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

/// An error means that the check could not look: that is no pass.
impl From<anyhow::Error> for Finding {
    fn from(error: anyhow::Error) -> Self {
        Self::fail(format!("could not look: {error:#}"), "fix what kept the check from looking, then run verify again")
    }
}

/// The evidence of a pass, or a finding.
pub type Outcome = Result<String, Finding>;

/// Passes if nothing is `wrong`; else a finding that names all of it.
///
/// # Errors
/// That finding.
pub fn nothing_wrong(wrong: impl IntoIterator<Item = String>, good: impl Into<String>, remedy: &str) -> Outcome {
    let wrong: Vec<String> = wrong.into_iter().collect();
    match wrong.is_empty() {
        true => Ok(good.into()),
        false => Err(Finding::fail(wrong.join("; "), remedy)),
    }
}

/// A question about a `T`. Ids never change their meaning.
pub struct Check<T: ?Sized> {
    pub id: &'static str,
    pub question: &'static str,
    pub answer: fn(&T) -> Outcome,
}

impl<T: ?Sized> Check<T> {
    pub const fn new(id: &'static str, question: &'static str, answer: fn(&T) -> Outcome) -> Self {
        Self { id, question, answer }
    }
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

/// Runs `checks` on `subject`.
pub fn run<T: ?Sized>(checks: &[Check<T>], subject: &T) -> Vec<CheckResult> {
    let run = |check: &Check<T>| {
        let (status, evidence, remedy) = match (check.answer)(subject) {
            Ok(evidence) => (Status::Pass, evidence, String::new()),
            Err(Finding { status, evidence, remedy }) => (status, evidence, remedy),
        };
        let [evidence, remedy] = [evidence, remedy].map(|text| escape::line(&text, ENTRY_LENGTH));
        CheckResult { id: check.id, status, summary: check.question, evidence, remedy }
    };
    checks.iter().map(run).collect()
}

/// The answers to all checks: a table for people, JSON for machines, counts for both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Report(pub Vec<CheckResult>);

impl Report {
    /// How many checks ended with each status, by the names of the results.
    pub fn counts(&self) -> [(&'static str, usize); 4] {
        [("passed", Status::Pass), ("failed", Status::Fail), ("warned", Status::Warn), ("skipped", Status::Skip)]
            .map(|(name, status)| (name, self.0.iter().filter(|result| result.status == status).count()))
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
        let mut results = vec![
            ("failures", self.failed().join(",")),
            ("report", self.table()),
            ("checks", escape::json(serde_json::to_value(self)?)),
        ];
        results.extend(self.counts().map(|(name, count)| (name, count.to_string())));
        Ok(results)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_could_not_look_has_not_passed() {
        let checks: [Check<str>; 2] = [
            Check::new("a", "A?", |subject| Ok(subject.to_owned())),
            Check::new("b", "B?", |_| Err(anyhow::anyhow!("no permission"))?),
        ];
        let results = run(&checks, "seen");
        assert_eq!((results[0].status, results[0].evidence.as_str()), (Status::Pass, "seen"));
        assert_eq!(results[1].status, Status::Fail);
        assert_eq!(results[1].evidence, "could not look: no permission");
    }

    #[test]
    fn a_hostile_text_is_one_harmless_line_of_the_table_and_the_json_stays_json() {
        // A certificate's subject, an exception, the name of a file.
        let checks: [Check<str>; 3] = [
            Check::new("a", "A?", |subject| Ok(format!("only valid for DnsName({subject})"))),
            Check::new("b", "B?", |subject| Err(anyhow::anyhow!("KeyError: {subject}"))?),
            Check::new("c", "C?", |subject| nothing_wrong([format!("{subject}: missing")], "", subject)),
        ];
        let report = Report(run(&checks, "x\n      pass  b  all is well\u{1b}[1F\u{202e}"));
        let table = report.table();
        assert_eq!(table.lines().count(), 5, "{table}");
        let escaped = "x\\n      pass  b  all is well\\u001b[1F\\u202e";
        assert_eq!(table.matches(escaped).count(), 4, "{table}");
        let results: std::collections::BTreeMap<_, _> = report.results().unwrap().into_iter().collect();
        let checks: serde_json::Value = serde_json::from_str(&results["checks"]).unwrap();
        assert_eq!(checks[2]["evidence"], format!("{escaped}: missing"));
    }

    fn result(id: &'static str, status: Status, remedy: &str) -> CheckResult {
        let (evidence, remedy) = ("seen".to_owned(), remedy.to_owned());
        CheckResult { id, status, summary: "Is it?", evidence, remedy }
    }

    #[test]
    fn the_results_count_each_status_and_name_the_failures() {
        let report = Report(vec![
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
        let report = Report(vec![result("a", Status::Pass, ""), result("b", Status::Warn, "look")]);
        assert_eq!(report.failure(), None);
    }
}
