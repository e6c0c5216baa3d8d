//! What keeps the graft from what is wanted, for a person: one line for the unit's status, the rest for the log and
//! `verify`.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The longest message of a status, in characters: Juju's clients cut or wrap what is longer.
pub const STATUS_LENGTH: usize = 80;

/// Who solves a problem; the most urgent is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    /// Nothing is wrong yet, but somebody should know.
    Notice,
    /// Nobody has to: the graft is finished when the principal resumes.
    Maintenance,
    /// It passes; every hook tries again.
    Waiting,
    /// A person must do what the detail says.
    Blocked,
}

/// A problem. It never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[error("{summary}{}{detail}", if detail.is_empty() { "" } else { ": " })]
pub struct Problem {
    pub kind: Kind,
    /// What is wrong and where to look, short enough for a status.
    pub summary: String,
    /// The cause, and the command that helps. `UNIT` and `APPLICATION` stand for the names of this one.
    pub detail: String,
}

impl Problem {
    fn new(kind: Kind, summary: impl Into<String>, detail: impl Into<String>) -> Self {
        let (summary, detail) = (summary.into(), detail.into());
        Self { kind, summary, detail }
    }

    pub fn blocked(summary: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(Kind::Blocked, summary, detail)
    }

    pub fn waiting(summary: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(Kind::Waiting, summary, detail)
    }

    pub fn notice(summary: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(Kind::Notice, summary, detail)
    }

    pub fn maintenance(summary: impl Into<String>) -> Self {
        Self::new(Kind::Maintenance, summary, "")
    }

    /// A value of `option` that is not valid: `driver-pin "x" is not an exact pin`, and what to do.
    pub fn option(option: &str, wrong: impl std::fmt::Display, remedy: impl Into<String>) -> Self {
        Self::blocked(format!("Invalid option {option}"), format!("{option} {wrong}; {}", remedy.into()))
    }
}

/// Separates a problem, which a person must know, from an error that makes the hook fail.
///
/// # Errors
/// Any error that is not a [`Problem`].
pub fn or_problem<T>(result: anyhow::Result<T>) -> anyhow::Result<Result<T, Problem>> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(error) => error.downcast::<Problem>().map(Err),
    }
}

/// Cuts a text to the length of a status.
pub fn fit_status(text: &str) -> String {
    printable(text, STATUS_LENGTH)
}

/// Returns a text, such as another program's, as it may be shown: control characters escaped, and cut to `limit`
/// characters.
pub fn printable(text: &str, limit: usize) -> String {
    let mut shown = String::new();
    for character in text.chars() {
        match character.is_control() {
            true => shown.extend(character.escape_default()),
            false => shown.push(character),
        }
    }
    match shown.chars().count() > limit {
        true => shown.chars().take(limit - 1).chain(['…']).collect(),
        false => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_its_summary_and_then_its_detail() {
        let problem = Problem::waiting("Cannot fetch the driver", "the index does not answer");
        assert_eq!(problem.to_string(), "Cannot fetch the driver: the index does not answer");
        assert_eq!(Problem::maintenance("Magnum is paused").to_string(), "Magnum is paused");
    }

    #[test]
    fn a_status_has_at_most_80_characters() {
        assert_eq!(fit_status(&"x".repeat(80)).chars().count(), 80);
        let cut = fit_status(&"é".repeat(81));
        assert_eq!(cut.chars().count(), 80);
        assert!(cut.ends_with('…'));
    }

    #[test]
    fn what_is_printable_has_no_control_characters_and_an_end() {
        assert_eq!(printable("a\u{1b}[31mb\té", 200), "a\\u{1b}[31mb\\té");
        assert_eq!(printable("a\nb", 3), "a\\…");
    }
}
