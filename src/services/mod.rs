//! The part "services": the drop-ins of magnum-api and magnum-conductor, what they must run, when they must restart,
//! and whether they are healthy.

pub mod checks;
mod drop_in;
mod health;
pub(crate) mod logs;
mod observed;
mod restart;

use std::path::{Path, PathBuf};

pub use drop_in::{DesiredServices, drop_in_path};
pub use health::{Health, STABLE_AFTER, WATCHED_FOR, api_answer, settle};
pub use logs::last_line;
pub use observed::{ObservedService, conductors_environment, inspect, inspect_with, record};
pub use restart::{DuePlan, ServiceInputs, leave_to_hooks};

use crate::magnum::Service;
use crate::step::{Phase, Plan, Step};
use crate::system::Entry;

/// What was observed of the part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedServices {
    pub services: Vec<ObservedService>,
    /// What stands at each drop-in's path, in the order of [`Service::ALL`].
    pub drop_ins: Vec<Entry>,
}

impl ObservedServices {
    /// Whether the principal has paused Magnum.
    pub fn are_paused(&self) -> bool {
        self.services.iter().any(|service| service.unit.is_masked())
    }
}

/// Adds the drop-ins and the restarts that are due.
pub fn plan(plan: &mut Plan, desired: &DesiredServices, observed: &ObservedServices, inputs: &ServiceInputs) {
    let mut reloads = observed.services.iter().any(ObservedService::is_behind_its_files);
    for (file, found) in desired.drop_ins.iter().zip(&observed.drop_ins) {
        reloads |= plan.write(Phase::SwitchOn, file, found);
    }
    plan.reloads |= reloads;
    let services = observed.services.iter();
    let due: Vec<_> = services.filter_map(|service| service.restart_due(inputs, !reloads)).collect();
    if !due.is_empty() {
        plan.add(Phase::Restart, Step::Restart(due));
    }
}

/// Returns the directories of the drop-ins.
pub fn drop_in_directories() -> impl Iterator<Item = PathBuf> {
    let directory = |service| Path::new(drop_in_path(service)).parent().map(Path::to_owned);
    Service::ALL.into_iter().filter_map(directory)
}
