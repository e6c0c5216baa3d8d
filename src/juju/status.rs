//! The unit's status: the most urgent problem in at most 80 characters.

use crate::escape::{self, STATUS_LENGTH};
use crate::problem::{Kind, Problem};

/// Returns the status and its message; `driver` is the version that is installed.
pub fn status_of(problems: &[Problem], driver: Option<&str>) -> (&'static str, String) {
    let grafted = format!("Driver {} grafted", driver.unwrap_or_default());
    // Of equally urgent ones the first counts: max_by_key would return the last.
    let Some(worst) = problems.iter().rev().max_by_key(|problem| problem.kind) else {
        return ("active", grafted);
    };
    let (status, message) = match worst.kind {
        Kind::Blocked => ("blocked", worst.summary.clone()),
        Kind::Waiting => ("waiting", worst.summary.clone()),
        Kind::Maintenance => ("maintenance", worst.summary.clone()),
        Kind::Notice => ("active", format!("{grafted}; {}", worst.summary)),
    };
    let more = match problems.len() {
        1 => String::new(),
        count => format!(" (+{} more: run verify)", count - 1),
    };
    let is_short = message.chars().count() + more.chars().count() <= STATUS_LENGTH;
    (status, escape::status(&if is_short { message + &more } else { message }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_urgent_problem_is_shown_and_the_others_are_counted() {
        let paused = Problem::maintenance("Magnum is paused");
        let blocked = |summary: &str| Problem::blocked(summary, "detail");
        for (problems, expected) in [
            (vec![], ("active", "Driver 1.1.0 grafted")),
            (
                vec![Problem::notice("kubeconfig expires in 9 days", "")],
                ("active", "Driver 1.1.0 grafted; kubeconfig expires in 9 days"),
            ),
            (vec![paused.clone()], ("maintenance", "Magnum is paused")),
            (
                vec![paused, blocked("First"), blocked("Second"), Problem::waiting("Later", "")],
                ("blocked", "First (+3 more: run verify)"),
            ),
        ] {
            let (status, message) = status_of(&problems, Some("1.1.0"));
            assert_eq!((status, message.as_str()), expected);
        }
    }

    #[test]
    fn a_message_never_has_more_than_80_characters() {
        for length in [40, 60, 79, 80, 81, 200] {
            let long = Problem::blocked("x".repeat(length), "");
            let (_, message) = status_of(&[long.clone(), long], None);
            assert!(message.chars().count() <= STATUS_LENGTH, "{message}");
        }
    }
}
