//! Restarts of services that are serving wait for their turn; all else is done at once.

use anyhow::Result;

use super::Step;
use super::services::{Due, Seen, Service};
use crate::problem::Problem;

/// Says whether these services, which are serving, may be restarted now.
pub type AskTurn<'a> = dyn Fn(&[Due]) -> Result<Turn> + 'a;

/// Whether services that are serving may be restarted now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// They may.
    Ours,
    /// Not yet, and why.
    NotYet(Problem),
}

/// Leaves to the hooks what the guard is not to restart: services that systemd is restarting already,
/// since the guard does not wait for what it asks for and looks again before it is done; and services
/// that have failed while there was nothing to put right, which is for a hook to judge.
pub fn without_restarts_of_hooks(steps: Vec<Step>, services: &[Seen]) -> Vec<Step> {
    let harmed = steps.iter().any(|step| step.puts_right().is_some());
    let now = |(service, _): &Due| {
        let mut seen = services.iter().filter(|seen| seen.service == *service);
        seen.all(|seen| !seen.unit.has_job && (harmed || seen.is_serving()))
    };
    let kept = steps.into_iter().filter_map(|step| match step {
        Step::Restart(mut due) => {
            due.retain(now);
            (!due.is_empty()).then_some(Step::Restart(due))
        }
        step => Some(step),
    });
    kept.collect()
}

/// A plan, parted where it first touches services that are serving.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staged {
    /// What can be done at any time.
    pub before: Vec<Step>,
    /// The restarts of services that are serving, each with why.
    pub due: Vec<Due>,
    /// What follows when these may be restarted now.
    pub now: Vec<Step>,
    /// What follows when they may not.
    pub later: Vec<Step>,
}

impl Staged {
    /// Parts `steps`, planned from `services` as they are.
    pub fn new(mut steps: Vec<Step>, services: &[Seen]) -> Self {
        let serving = |service: &Service| {
            let mut all = services.iter();
            all.any(|seen| seen.service == *service && seen.is_serving())
        };
        let found = steps.iter().enumerate().find_map(|(at, step)| match step {
            Step::Restart(each) => Some((at, each.clone())),
            _ => None,
        });
        let Some((at, each)) = found else {
            return Self::unstaged(steps);
        };
        let (due, failed): (Vec<_>, Vec<_>) =
            each.into_iter().partition(|(service, _)| serving(service));
        if due.is_empty() {
            return Self::unstaged(steps);
        }
        let now = steps.split_off(at);
        Self {
            before: steps,
            due,
            now,
            later: (!failed.is_empty())
                .then_some(Step::Restart(failed))
                .into_iter()
                .collect(),
        }
    }

    /// The steps that can be done now, and why not all.
    ///
    /// # Errors
    /// As `turn`.
    pub fn as_far_as(self, turn: &AskTurn<'_>) -> Result<(Vec<Step>, Option<Problem>)> {
        let mut steps = self.before;
        if self.due.is_empty() {
            return Ok((steps, None));
        }
        let (rest, problem) = match turn(&self.due)? {
            Turn::Ours => (self.now, None),
            Turn::NotYet(problem) => (self.later, Some(problem)),
        };
        steps.extend(rest);
        Ok((steps, problem))
    }

    fn unstaged(before: Vec<Step>) -> Self {
        Self {
            before,
            due: Vec::new(),
            now: Vec::new(),
            later: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::unit::process::Process;
    use crate::unit::systemd::Unit;

    fn seen(service: Service, unit: Unit, serving: bool) -> Seen {
        let process = serving.then(|| Process {
            pid: 1,
            start_ticks: 1,
            started: std::time::SystemTime::now(),
            cmdline: vec![],
        });
        Seen {
            service,
            unit,
            process,
            read: None,
        }
    }

    fn steps() -> [Step; 4] {
        let due = |service| (service, "why".to_owned());
        [
            Step::MakeDirectory(PathBuf::from("/a")),
            Step::ReloadSystemd,
            Step::Restart(Service::ALL.map(due).to_vec()),
            Step::RemoveLitter(PathBuf::from("/chart")),
        ]
    }

    /// What is done when the turn is ours, and when it is not.
    fn done(services: &[Seen]) -> [Vec<Step>; 2] {
        let staged = || Staged::new(steps().to_vec(), services);
        let later = |_: &[Due]| Ok(Turn::NotYet(Problem::waiting("later")));
        let (now, none) = staged().as_far_as(&|_| Ok(Turn::Ours)).unwrap();
        assert_eq!(none, None);
        [now, staged().as_far_as(&later).unwrap().0]
    }

    #[test]
    fn files_are_written_at_once_and_what_serves_waits_with_all_that_follows() {
        let services = Service::ALL.map(|service| seen(service, Unit::default(), true));
        let [now, later] = done(&services);
        assert_eq!(now, steps());
        assert_eq!(later, steps()[..2]);
    }

    #[test]
    fn the_guard_restarts_nothing_twice_and_nothing_that_failed_by_itself() {
        let under_way = Unit {
            has_job: true,
            ..Unit::default()
        };
        let services = [
            seen(Service::Api, under_way, true),
            seen(Service::Conductor, Unit::default(), false),
        ];
        let restarts = |steps: &[Step]| -> Vec<Service> {
            let kept = without_restarts_of_hooks(steps.to_vec(), &services);
            let due = kept.iter().filter_map(|step| match step {
                Step::Restart(due) => Some(due),
                _ => None,
            });
            due.flatten().map(|(service, _)| *service).collect()
        };
        assert_eq!(
            restarts(&steps()),
            [Service::Conductor],
            "something was harmed"
        );
        assert_eq!(restarts(&steps()[1..]), [], "nothing was");
        let well = Service::ALL.map(|service| seen(service, Unit::default(), true));
        assert_eq!(without_restarts_of_hooks(steps().to_vec(), &well), steps());
    }

    #[test]
    fn what_has_failed_is_restarted_at_once_also_beside_what_serves() {
        let crashing = Unit {
            restarts: 5,
            ..Unit::default()
        };
        for failed in [
            seen(Service::Conductor, Unit::default(), false),
            seen(Service::Conductor, crashing.clone(), true),
        ] {
            let services = [seen(Service::Api, Unit::default(), true), failed];
            let [_, later] = done(&services);
            let conductor = Step::Restart(vec![(Service::Conductor, "why".to_owned())]);
            assert_eq!(later[..2], steps()[..2]);
            assert_eq!(later[2..], [conductor]);
        }
        let failed = Service::ALL.map(|service| seen(service, crashing.clone(), true));
        let asked = |_: &[Due]| -> Result<Turn> { panic!("nobody is asked") };
        let staged = Staged::new(steps().to_vec(), &failed);
        assert_eq!(staged.as_far_as(&asked).unwrap().0, steps());
    }
}
