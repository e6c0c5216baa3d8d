//! What `verify` says: a table for people, JSON for machines, counts for both.

use serde::Serialize;

use super::{CATALOGUE, Check, Group, Outcome, Scene, Status};

/// One check's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    id: &'static str,
    status: Status,
    summary: String,
    evidence: String,
    remedy: String,
}

impl Line {
    /// An answer to the question of check `id`.
    pub fn new(id: &'static str, question: &str, outcome: Outcome) -> Self {
        let (status, evidence, remedy) = match outcome {
            Ok(Ok(evidence)) => (Status::Pass, evidence, String::new()),
            Ok(Err(finding)) => (finding.status, finding.evidence, finding.remedy),
            // Could not look: that is no pass.
            Err(error) => (
                Status::Fail,
                format!("could not look: {error:#}"),
                "mend what kept the check from looking, then run verify again".to_owned(),
            ),
        };
        Self {
            id,
            status,
            summary: question.to_owned(),
            evidence,
            remedy,
        }
    }
}

/// The answers to `checks`.
fn answers<'a, S>(checks: &'a [Check<S>], of: &'a S) -> impl Iterator<Item = Line> + 'a {
    let answer = move |check: &Check<S>| Line::new(check.id, check.question, (check.answer)(of));
    checks.iter().map(answer)
}

/// Every check's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Report(Vec<Line>);

impl Report {
    /// Runs every check of the catalogue.
    pub fn of(scene: &Scene) -> Self {
        let mut lines: Vec<Line> = Vec::new();
        for group in CATALOGUE {
            match group {
                Group::Unit(checks) => lines.extend(answers(checks, scene)),
                Group::Kubeconfig(checks) => lines.extend(answers(checks, &scene.credentials)),
            }
        }
        for line in &mut lines {
            line.remedy = scene.context.typed(&line.remedy);
        }
        Self(lines)
    }

    /// Runs `checks` alone, and adds `further` answers.
    pub fn with<S>(checks: &[Check<S>], of: &S, further: impl IntoIterator<Item = Line>) -> Self {
        Self(answers(checks, of).chain(further).collect())
    }

    /// How many checks ended so.
    pub fn count(&self, status: Status) -> usize {
        self.0.iter().filter(|line| line.status == status).count()
    }

    /// The results of the action, by name.
    pub fn results(&self) -> Vec<(&'static str, String)> {
        let count = |status| self.count(status).to_string();
        // Plain strings and an enum: encoding cannot fail.
        let checks = serde_json::to_string(&self.0).unwrap_or_default();
        vec![
            ("passed", count(Status::Pass)),
            ("failed", count(Status::Fail)),
            ("warned", count(Status::Warn)),
            ("skipped", count(Status::Skip)),
            ("failures", self.failed().join(",")),
            ("report", self.table()),
            ("checks", checks),
        ]
    }

    /// Names the checks that failed, when there are any.
    pub fn failure(&self) -> Option<String> {
        let failed = self.failed();
        (!failed.is_empty()).then(|| format!("verify found faults: {}", failed.join(", ")))
    }

    /// The ids of the checks that failed.
    pub fn failed(&self) -> Vec<&'static str> {
        self.0
            .iter()
            .filter(|line| line.status == Status::Fail)
            .map(|line| line.id)
            .collect()
    }

    /// A line a check; below it, where there is something to do, the remedy.
    pub fn table(&self) -> String {
        let width = self
            .0
            .iter()
            .map(|line| line.id.len())
            .max()
            .unwrap_or_default();
        let mut table = String::new();
        for line in &self.0 {
            let status = match line.status {
                Status::Pass => "pass",
                Status::Fail => "FAIL",
                Status::Warn => "warn",
                Status::Skip => "skip",
            };
            table.push_str(&format!(
                "{status}  {:width$}  {}\n",
                line.id, line.evidence
            ));
            if !line.remedy.is_empty() {
                table.push_str(&format!("      {:width$}  remedy: {}\n", "", line.remedy));
            }
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(id: &'static str, status: Status, remedy: &str) -> Line {
        Line {
            id,
            status,
            summary: "Is it?".into(),
            evidence: "seen".into(),
            remedy: remedy.into(),
        }
    }

    #[test]
    fn the_results_count_each_status_and_name_the_failures() {
        let report = Report(vec![
            line("a", Status::Pass, ""),
            line("bb", Status::Fail, "mend it"),
            line("c", Status::Warn, "look"),
            line("d", Status::Fail, "mend it"),
            line("e", Status::Skip, ""),
        ]);
        let results: std::collections::BTreeMap<_, _> = report.results().into_iter().collect();
        assert_eq!(results["passed"], "1");
        assert_eq!(results["failed"], "2");
        assert_eq!(results["warned"], "1");
        assert_eq!(results["skipped"], "1");
        assert_eq!(results["failures"], "bb,d");
        assert_eq!(report.failure().unwrap(), "verify found faults: bb, d");
        assert!(results["report"].contains("FAIL  bb  seen\n          remedy: mend it\n"));
        let checks: serde_json::Value = serde_json::from_str(&results["checks"]).unwrap();
        assert_eq!(checks[1]["status"], "fail");
        assert_eq!(checks[1]["id"], "bb");
    }

    #[test]
    fn nothing_failed_is_no_failure() {
        let report = Report(vec![
            line("a", Status::Pass, ""),
            line("b", Status::Warn, "look"),
        ]);
        assert_eq!(report.failure(), None);
    }

    #[test]
    fn every_check_has_an_id_of_its_own_that_juju_takes() {
        fn all<S>(checks: &[Check<S>]) -> Vec<&'static str> {
            checks.iter().map(|check| check.id).collect()
        }
        let ids = CATALOGUE.iter().flat_map(|group| match group {
            Group::Unit(checks) => all(checks),
            Group::Kubeconfig(checks) => all(checks),
        });
        let mut ids: Vec<_> = ids.collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count);
        assert!(
            ids.iter()
                .all(|id| id.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'))
        );
    }
}
