//! When a service must restart, and which restarts wait for this unit's turn.
//!
//! A restart follows from evidence alone. The process itself shows its command line and its start time; what it read
//! is known from the times of the files, or, more surely, from a record made when it was last seen to have read the
//! right ones. So the next hook finishes what a killed one began, and a file that was damaged and repaired while a
//! good process went on running restarts nothing.

use std::collections::BTreeMap;
use std::time::SystemTime;

use anyhow::Result;

use super::ObservedService;
use crate::magnum::Service;
use crate::problem::Problem;
use crate::step::{DueRestart, Step};

/// What the services read of the graft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceInputs {
    pub command_lines: BTreeMap<Service, String>,
    /// A fingerprint of the right content.
    pub fingerprint: String,
    /// The last change of the files; `None` while they are not right.
    pub since: Option<SystemTime>,
}

impl ObservedService {
    /// Returns the restart that the service is due for; `None` if it need not restart, or must not. `is_loaded` says
    /// that the drop-ins are in place and systemd has read them.
    pub fn restart_due(&self, inputs: &ServiceInputs, is_loaded: bool) -> Option<DueRestart> {
        if !self.unit.is_available() {
            return None;
        }
        let wanted = inputs.command_lines.get(&self.service).map(String::as_str).unwrap_or_default();
        // With a foreign drop-in after ours, a restart would not bring our command line: it is reported, and not
        // tried again and again.
        let is_attainable = !is_loaded || self.runs_next(wanted);
        let why = match &self.process {
            None if self.unit.is_failing() => "it has failed",
            None => return None,
            Some(process) if is_attainable && !process.runs(wanted) => "it runs another command line",
            Some(_) if self.is_current(inputs) => return None,
            Some(_) if self.read.is_some() => "it has read another configuration or driver",
            Some(_) => "it is older than what it reads",
        };
        Some(DueRestart { service: self.service, why: why.to_owned() })
    }

    /// Whether the process is known to have read the right files.
    pub fn is_current(&self, inputs: &ServiceInputs) -> bool {
        match (&self.read, &self.process, inputs.since) {
            (Some(read), ..) => *read == inputs.fingerprint,
            (None, Some(process), Some(since)) => process.started > since,
            _ => false,
        }
    }
}

/// Leaves to the hooks what the guard must not restart:
///
/// - services that systemd is restarting already: the guard does not wait for a restart, and looks again before it is done;
/// - services that have failed without drift: a hook looks at these;
/// - a guard that systemd has stopped, but not one that `has_lost_its_watch`.
pub fn leave_to_hooks(mut steps: Vec<Step>, services: &[ObservedService], has_lost_its_watch: bool) -> Vec<Step> {
    let has_drift = steps.iter().any(|step| !step.replaces().is_empty());
    let is_left = |observed: &ObservedService| observed.unit.has_job || !(has_drift || observed.is_serving());
    let left: Vec<Service> = services.iter().filter(|observed| is_left(observed)).map(|it| it.service).collect();
    for step in &mut steps {
        if let Step::Restart(due) = step {
            due.retain(|due| !left.contains(&due.service));
        }
    }
    steps.retain(|step| match step {
        Step::Restart(due) => !due.is_empty(),
        Step::Enable(_) => has_lost_its_watch,
        _ => true,
    });
    steps
}

/// A plan, split where it first touches services that are serving.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DuePlan {
    /// What can be done at any time.
    pub before: Vec<Step>,
    /// The restarts of services that are serving.
    pub due: Vec<DueRestart>,
    /// What follows if these may be restarted now.
    pub granted: Vec<Step>,
    /// What follows if they may not.
    pub pending: Vec<Step>,
}

impl DuePlan {
    /// Splits `steps`, planned from `services` as observed.
    pub fn new(mut steps: Vec<Step>, services: &[ObservedService]) -> Self {
        let serving: Vec<Service> = services.iter().filter(|it| it.is_serving()).map(|it| it.service).collect();
        let is_serving = |due: &DueRestart| serving.contains(&due.service);
        let first = steps.iter().position(|step| matches!(step, Step::Restart(due) if due.iter().any(is_serving)));
        let granted = steps.split_off(first.unwrap_or(steps.len()));
        let (due, failed): (Vec<_>, Vec<_>) = match granted.first() {
            Some(Step::Restart(each)) => each.iter().cloned().partition(is_serving),
            _ => Default::default(),
        };
        let pending = (!failed.is_empty()).then_some(Step::Restart(failed)).into_iter().collect();
        Self { before: steps, due, granted, pending }
    }

    /// Does by `apply`, in its order, what may be done now. Right before services that are serving restart, asks by
    /// `turn` why they must wait, if they must. Returns why not all is done.
    ///
    /// # Errors
    /// As `apply`.
    pub fn carry_out(
        self,
        turn: impl FnOnce(&[DueRestart]) -> Option<Problem>,
        mut apply: impl FnMut(&[Step], &str) -> Result<()>,
    ) -> Result<Option<Problem>> {
        apply(&self.before, "Putting the graft in place")?;
        if self.due.is_empty() {
            return Ok(None);
        }
        match turn(&self.due) {
            None => apply(&self.granted, "Restarting the services").map(|()| None),
            pending => apply(&self.pending, "Restarting failed services").map(|()| pending),
        }
    }

    /// Returns the steps that a hook would do now, and why not all.
    pub fn with_turn(self, turn: impl FnOnce(&[DueRestart]) -> Option<Problem>) -> (Vec<Step>, Option<Problem>) {
        let pending = if self.due.is_empty() { None } else { turn(&self.due) };
        let then = if pending.is_some() { self.pending } else { self.granted };
        ([self.before, then].concat(), pending)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::system::Process;
    use crate::system::systemd::Unit;

    fn observed(service: Service, unit: Unit, serving: bool) -> ObservedService {
        let process = serving.then(|| Process { pid: 1, start_ticks: 1, started: SystemTime::now(), cmdline: vec![] });
        ObservedService { service, unit, process, read: None }
    }

    fn due(service: Service) -> DueRestart {
        DueRestart { service, why: "why".to_owned() }
    }

    fn steps() -> [Step; 4] {
        [
            Step::MakeDirectory(PathBuf::from("/a")),
            Step::ReloadSystemd,
            Step::Restart(Service::ALL.map(due).to_vec()),
            Step::RemoveTemporary(PathBuf::from("/chart")),
        ]
    }

    /// The steps if the turn is granted, and if it is pending.
    fn done(services: &[ObservedService]) -> [Vec<Step>; 2] {
        let plan = || DuePlan::new(steps().to_vec(), services);
        let (granted, problem) = plan().with_turn(|_| None);
        assert_eq!(problem, None);
        let pending = |_: &[DueRestart]| Some(Problem::waiting("Later", ""));
        [granted, plan().with_turn(pending).0]
    }

    #[test]
    fn files_are_written_at_once_and_what_serves_waits_with_all_that_follows() {
        let services = Service::ALL.map(|service| observed(service, Unit::default(), true));
        let [granted, pending] = done(&services);
        assert_eq!(granted, steps());
        assert_eq!(pending, steps()[..2]);
    }

    #[test]
    fn the_guard_restarts_nothing_twice_and_nothing_that_failed_without_drift() {
        let under_way = Unit { has_job: true, ..Unit::default() };
        let services = [observed(Service::Api, under_way, true), observed(Service::Conductor, Unit::default(), false)];
        let restarts = |steps: &[Step]| -> Vec<Service> {
            let kept = leave_to_hooks(steps.to_vec(), &services, false);
            let due = kept.iter().filter_map(|step| match step {
                Step::Restart(due) => Some(due),
                _ => None,
            });
            due.flatten().map(|due| due.service).collect()
        };
        assert_eq!(restarts(&steps()), [Service::Conductor], "with drift");
        assert_eq!(restarts(&steps()[1..]), [], "without drift");
        let healthy = Service::ALL.map(|service| observed(service, Unit::default(), true));
        assert_eq!(leave_to_hooks(steps().to_vec(), &healthy, false), steps());
        let enable = [Step::Enable("guard")];
        assert_eq!(leave_to_hooks(enable.to_vec(), &healthy, false), []);
        assert_eq!(leave_to_hooks(enable.to_vec(), &healthy, true), enable);
    }

    #[test]
    fn what_has_failed_is_restarted_at_once_also_beside_what_serves() {
        let crashing = Unit { restarts: 5, ..Unit::default() };
        for failed in
            [observed(Service::Conductor, Unit::default(), false), observed(Service::Conductor, crashing.clone(), true)]
        {
            let services = [observed(Service::Api, Unit::default(), true), failed];
            let [_, pending] = done(&services);
            assert_eq!(pending[..2], steps()[..2]);
            assert_eq!(pending[2..], [Step::Restart(vec![due(Service::Conductor)])]);
        }
        let failed = Service::ALL.map(|service| observed(service, crashing.clone(), true));
        let plan = DuePlan::new(steps().to_vec(), &failed);
        let all = plan.with_turn(|_| panic!("nobody is asked")).0;
        assert_eq!(all, steps());
    }
}
