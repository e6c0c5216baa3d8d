//! The Helm chart, for units that cannot reach a chart repository: kept on the unit, and named in the configuration.

pub(crate) mod archive;
mod checks;

use std::path::{Path, PathBuf};

pub use archive::ChartArchive;
pub use checks::ChartSubject;

use crate::step::{Phase, Plan};
use crate::system::{Entry, ManagedFile, Original};

/// Where the charm keeps the chart that is attached; user magnum's helm reads it.
pub const PATH: &str = "/usr/local/share/magnum-capi-helm/chart.tgz";

/// Adds the attached chart, or what is left of one. `written` is every path that the charm has written.
pub fn plan(plan: &mut Plan, wanted: Option<&ManagedFile>, found: &Entry, written: &[(PathBuf, Original)]) {
    let Some(wanted) = wanted else {
        // Last: until they restart, the services may read it.
        let chart = Path::new(PATH);
        let is_ours = |path: &Path| path == chart || Some(path) == chart.parent();
        return plan.restore(Phase::Discard, written, is_ours);
    };
    plan.write(Phase::Install, wanted, found);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::Step;

    #[test]
    fn an_attached_chart_is_written_and_a_detached_one_discarded() {
        let file = ManagedFile::public(PATH, "chart");
        let directory = "/usr/local/share/magnum-capi-helm";
        let ours = [(PATH.into(), Original::Absent), (directory.into(), Original::NoDirectory)];
        let restores = ours.iter().cloned().map(|(path, original)| Step::Restore(path, original)).collect();
        let [none, ours]: [&[_]; 2] = [&[], &ours];
        let write = Step::Write { file: file.clone(), why: "missing".to_owned() };
        for (wanted, directory_is_missing, written, expected) in [
            (None, true, none, vec![]),
            (None, false, ours, restores),
            (Some(&file), false, ours, vec![write.clone()]),
            (Some(&file), true, none, vec![Step::MakeDirectory(directory.into()), write]),
        ] {
            let missing: Vec<PathBuf> = directory_is_missing.then(|| directory.into()).into_iter().collect();
            let mut added = Plan::new(&missing);
            plan(&mut added, wanted, &Entry::Absent, written);
            assert_eq!(added.into_steps(true), expected);
        }
    }
}
