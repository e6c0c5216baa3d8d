//! Which kubeconfig is used: the one that is granted, unless it is no good and an earlier one is.
//!
//! Pure: how a kubeconfig is judged and tried is given. A new one is judged offline, then tried.
//! When it does not work and the last one that did still does, that one stays. When neither
//! answers, the new one is used: the operator's word counts.

use jiff::Timestamp;

use super::validity::{Age, age};
use super::{Fault, Kubeconfig, Trouble, Usable};
use crate::problem::Problem;

/// The kubeconfigs there are to choose from.
#[derive(Debug, Clone, Copy)]
pub struct Candidates<'a> {
    /// What Juju gives, or why it gives none.
    pub granted: &'a Result<Option<Kubeconfig>, Problem>,
    /// The one that was used last.
    pub used: Option<&'a Kubeconfig>,
    /// The last one that the management cluster accepted.
    pub proven: Option<&'a Kubeconfig>,
}

/// The kubeconfig to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Itself, and what it takes to talk to the management cluster with it.
    pub kubeconfig: Kubeconfig,
    /// What it takes to talk to the management cluster with it.
    pub usable: Usable,
    /// Who we are there, or why that is not known.
    pub identity: Result<String, Trouble>,
    /// Why it is not the one that is granted.
    pub problem: Option<Problem>,
}

/// Chooses; `None` when there is none and none was ever granted.
///
/// # Errors
/// When what is granted is no good, and there is no other.
pub fn choose(
    candidates: Candidates<'_>,
    now: Timestamp,
    judge: impl Fn(&Kubeconfig) -> Result<Usable, Fault>,
    ask: impl Fn(&Usable) -> Result<String, Trouble>,
) -> Result<Option<Choice>, Problem> {
    let Candidates {
        granted,
        used,
        proven,
    } = candidates;
    let problem = match granted {
        Ok(Some(new)) => match judge(new) {
            Err(fault) => refused(&fault.to_string()),
            Ok(usable) => match age(&usable.validity, now) {
                // One that is in use goes on until there is another; its age is told elsewhere.
                Age::Expired(ends) if used != Some(new) => {
                    refused(&format!("is no good any more: {ends}"))
                }
                Age::TooEarly(begins) if used != Some(new) => {
                    refused(&format!("is not good yet: {begins}"))
                }
                _ => return Ok(Some(tried(new, usable, proven, judge, ask))),
            },
        },
        Ok(None) => match used {
            None => return Ok(None),
            Some(used) => match judge(used) {
                Ok(_) => return Ok(earlier([Some(used), proven], None, judge, ask)),
                Err(fault) => refused(&fault.to_string()),
            },
        },
        Err(problem) => problem.clone(),
    };
    let others = [used, proven]
        .map(|other| other.filter(|other| !matches!(granted, Ok(Some(new)) if new == *other)));
    earlier(others, Some(problem.clone()), judge, ask)
        .map(Some)
        .ok_or(problem)
}

/// The new one when it works, or when no other does. One that cannot be tried here is taken at its
/// word.
fn tried(
    new: &Kubeconfig,
    usable: Usable,
    proven: Option<&Kubeconfig>,
    judge: impl Fn(&Kubeconfig) -> Result<Usable, Fault>,
    ask: impl Fn(&Usable) -> Result<String, Trouble>,
) -> Choice {
    let identity = ask(&usable);
    let proven = proven.filter(|proven| *proven != new);
    if let Err(trouble) = &identity
        && *trouble != Trouble::Unaskable
    {
        let stays = Problem::blocked(format!(
            "kubeconfig: with the granted one, {} {trouble}; the earlier one works and stays in \
             place; run: juju update-secret SECRET kubeconfig#file=FILE with one that works",
            usable.server
        ));
        let still = earlier([proven, None], Some(stays), judge, &ask);
        if let Some(still) = still.filter(|still| still.identity.is_ok()) {
            return still;
        }
    }
    Choice {
        kubeconfig: new.clone(),
        usable,
        identity,
        problem: None,
    }
}

/// The first of these that the management cluster accepts, or else the first that the driver can use.
fn earlier(
    candidates: [Option<&Kubeconfig>; 2],
    problem: Option<Problem>,
    judge: impl Fn(&Kubeconfig) -> Result<Usable, Fault>,
    ask: impl Fn(&Usable) -> Result<String, Trouble>,
) -> Option<Choice> {
    let mut first: Option<Choice> = None;
    for kubeconfig in candidates.into_iter().flatten() {
        if first
            .as_ref()
            .is_some_and(|first| first.kubeconfig == *kubeconfig)
        {
            continue;
        }
        let Ok(usable) = judge(kubeconfig) else {
            continue;
        };
        let choice = Choice {
            kubeconfig: kubeconfig.clone(),
            identity: ask(&usable),
            usable,
            problem: problem.clone(),
        };
        if choice.identity.is_ok() {
            return Some(choice);
        }
        first = first.or(Some(choice));
    }
    first
}

fn refused(why: &str) -> Problem {
    Problem::blocked(format!("kubeconfig: what is granted {why}"))
}

#[cfg(test)]
mod tests {
    use super::super::client::Silence;
    use super::super::usable::Login;
    use super::super::validity::Validity;
    use super::*;

    const NOW: i64 = 1_000_000;

    /// Each is known by its server's name, which says what is to come of it.
    fn kubeconfig(name: &str) -> Kubeconfig {
        format!(
            "current-context: a\ncontexts: [{{name: a, context: {{cluster: c, user: u}}}}]\n\
             clusters: [{{name: c, cluster: {{server: 'https://{name}'}}}}]\n\
             users: [{{name: u, user: {{token: t}}}}]\n"
        )
        .parse()
        .unwrap()
    }

    fn judge(kubeconfig: &Kubeconfig) -> Result<Usable, Fault> {
        let server = kubeconfig.target()?.server;
        if server.contains("unusable") {
            return Err(Fault::new("is unusable"));
        }
        let until = if server.contains("expired") {
            NOW
        } else {
            NOW + 1
        };
        let until = Timestamp::from_second(until).ok();
        Ok(Usable {
            server,
            authority: None,
            login: Login::Token("t".into()),
            validity: vec![Validity::new("token", None, until)],
            notes: vec![],
        })
    }

    fn ask(usable: &Usable) -> Result<String, Trouble> {
        if usable.server.contains("unaskable") {
            return Err(Trouble::Unaskable);
        }
        if usable.server.contains("silent") {
            return Err(Trouble::Unreachable(Silence::TimedOut, "no answer".into()));
        }
        Ok("admin".into())
    }

    /// What is chosen, and whether there is a problem with what is granted.
    fn chosen(
        granted: Result<Option<&str>, &str>,
        used: Option<&str>,
        proven: Option<&str>,
    ) -> Result<Option<(String, bool)>, String> {
        let granted = granted
            .map(|name| name.map(kubeconfig))
            .map_err(Problem::blocked);
        let (used, proven) = (used.map(kubeconfig), proven.map(kubeconfig));
        let candidates = Candidates {
            granted: &granted,
            used: used.as_ref(),
            proven: proven.as_ref(),
        };
        let now = Timestamp::from_second(NOW).unwrap();
        choose(candidates, now, judge, ask)
            .map(|choice| {
                choice.map(|choice| {
                    (
                        choice.usable.server[8..].to_owned(),
                        choice.problem.is_some(),
                    )
                })
            })
            .map_err(|problem| problem.to_string())
    }

    #[test]
    fn the_granted_one_is_used_unless_it_is_no_good_and_an_earlier_one_is() {
        let uses = |name: &str| Ok(Some((name.to_owned(), false)));
        let keeps = |name: &str| Ok(Some((name.to_owned(), true)));
        for (granted, used, proven, expected) in [
            (Ok(Some("new")), None, None, uses("new")),
            (Ok(Some("new")), Some("old"), Some("old"), uses("new")),
            // It does not work, and the old one does; or neither does.
            (
                Ok(Some("silent-new")),
                Some("old"),
                Some("old"),
                keeps("old"),
            ),
            (
                Ok(Some("silent-new")),
                Some("silent-old"),
                Some("silent-old"),
                uses("silent-new"),
            ),
            // The one that worked last is not forgotten while one that does not is in place.
            (
                Ok(Some("silent-new")),
                Some("silent-new"),
                Some("old"),
                keeps("old"),
            ),
            (Ok(Some("silent-new")), None, None, uses("silent-new")),
            // Offline verdicts.
            (Ok(Some("unusable")), Some("old"), Some("old"), keeps("old")),
            (
                Ok(Some("expired-new")),
                Some("old"),
                Some("old"),
                keeps("old"),
            ),
            // It expired in use: there is nothing better.
            (
                Ok(Some("expired")),
                Some("expired"),
                Some("expired"),
                uses("expired"),
            ),
            // A grant that is revoked changes nothing.
            (Err("not granted"), Some("old"), Some("old"), keeps("old")),
            (Ok(None), Some("old"), Some("old"), uses("old")),
            // Nor does it keep one in place that never worked, when another did.
            (
                Err("not granted"),
                Some("silent-new"),
                Some("old"),
                keeps("old"),
            ),
            (Ok(None), Some("silent-new"), Some("old"), uses("old")),
            (
                Ok(Some("unusable")),
                Some("silent-new"),
                Some("silent-old"),
                keeps("silent-new"),
            ),
            // One that cannot be tried here is taken at its word.
            (
                Ok(Some("unaskable")),
                Some("old"),
                Some("old"),
                uses("unaskable"),
            ),
            (Ok(None), None, None, Ok(None)),
        ] {
            assert_eq!(
                chosen(granted, used, proven),
                expected,
                "{granted:?} {used:?}"
            );
        }
    }

    #[test]
    fn without_an_earlier_one_the_problem_is_all_there_is() {
        for (granted, message) in [
            (Err("not granted"), "not granted"),
            (
                Ok(Some("unusable")),
                "kubeconfig: what is granted is unusable",
            ),
            (
                Ok(Some("expired")),
                "kubeconfig: what is granted is no good any more: token 1970-01-12T13:46:40Z",
            ),
        ] {
            assert_eq!(chosen(granted, None, None), Err(message.to_owned()));
        }
        // In use, and the driver that is wanted cannot use it.
        assert!(chosen(Ok(Some("unusable")), Some("unusable"), None).is_err());
    }
}
