//! What `verify` says: a table for people, JSON for machines, counts for both.

use serde::Serialize;

use super::{CATALOGUE, Scene, Status};

/// One check's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Line {
    id: &'static str,
    status: Status,
    summary: String,
    evidence: String,
    remedy: String,
}

/// Every check's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report(Vec<Line>);

impl Report {
    /// Runs every check of the catalogue.
    pub fn of(scene: &Scene) -> Self {
        let lines = CATALOGUE.iter().map(|check| {
            let (status, evidence, remedy) = match (check.answer)(scene) {
                Ok(Ok(evidence)) => (Status::Pass, evidence, String::new()),
                Ok(Err(finding)) => (finding.status, finding.evidence, finding.remedy),
                // Could not look: that is no pass.
                Err(error) => (
                    Status::Fail,
                    format!("could not look: {error:#}"),
                    "mend what kept the check from looking, then run verify again".to_owned(),
                ),
            };
            Line {
                id: check.id,
                status,
                summary: check.question.to_owned(),
                evidence,
                remedy: remedy.replace("UNIT", &scene.unit),
            }
        });
        Self(lines.collect())
    }

    /// The results of the action, by name.
    pub fn results(&self) -> Vec<(&'static str, String)> {
        let count = |status| {
            self.0
                .iter()
                .filter(|line| line.status == status)
                .count()
                .to_string()
        };
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

    fn failed(&self) -> Vec<&'static str> {
        self.0
            .iter()
            .filter(|line| line.status == Status::Fail)
            .map(|line| line.id)
            .collect()
    }

    /// A line a check; below it, where there is something to do, the remedy.
    fn table(&self) -> String {
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
        let mut ids: Vec<_> = CATALOGUE.iter().map(|check| check.id).collect();
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
