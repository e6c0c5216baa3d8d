//! The Helm chart, for units that cannot reach a chart repository: kept on the unit, and named in the configuration.

mod archive;
mod checks;

pub use archive::ChartArchive;
pub use checks::ChartSubject;

use std::path::Path;

use crate::step::{Part, Phase, Plan, Step};
use crate::system::{Entry, ManagedFile, Original};

/// Where the charm keeps the chart that is attached; user magnum's helm reads it.
pub const PATH: &str = "/usr/local/share/magnum-capi-helm/chart.tgz";

#[derive(Debug)]
pub struct ChartPart<'a> {
    /// The attached chart.
    pub wanted: Option<&'a ManagedFile>,
    pub found: &'a Entry,
    pub directory_is_missing: bool,
    /// The original of [`PATH`], if the charm has written there.
    pub written: Option<&'a Original>,
}

impl Part for ChartPart<'_> {
    fn plan(&self, plan: &mut Plan) {
        let Some(wanted) = self.wanted else {
            // Last: until they restart, the services may read it.
            if let Some(original) = self.written {
                plan.add(Phase::Discard, Step::Restore(PATH.into(), original.clone()));
            }
            return;
        };
        if let (true, Some(directory)) = (self.directory_is_missing, Path::new(PATH).parent()) {
            plan.add(Phase::Install, Step::MakeDirectory(directory.to_owned()));
        }
        plan.write(Phase::Install, wanted, self.found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attached_chart_is_written_and_a_detached_one_discarded() {
        let file = ManagedFile::public(PATH, "chart");
        let absent = Original::Absent;
        let directory = "/usr/local/share/magnum-capi-helm";
        let restore = Step::Restore(PATH.into(), Original::Absent);
        let write = Step::Write { file: file.clone(), why: "missing".to_owned() };
        for (wanted, directory_is_missing, written, expected) in [
            (None, true, None, vec![]),
            (None, false, Some(&absent), vec![restore]),
            (Some(&file), false, Some(&absent), vec![write.clone()]),
            (Some(&file), true, None, vec![Step::MakeDirectory(directory.into()), write]),
        ] {
            let mut plan = Plan::default();
            let found = &Entry::Absent;
            let part = ChartPart { wanted, found, directory_is_missing, written };
            part.plan(&mut plan);
            assert_eq!(plan.into_steps(true), expected);
        }
    }
}
