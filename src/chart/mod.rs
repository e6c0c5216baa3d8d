//! The Helm chart, for units that cannot reach a chart repository: kept on the unit, and named in the configuration.

mod archive;
mod checks;

use std::path::Path;

pub use archive::ChartArchive;
pub use checks::ChartSubject;

use crate::step::{Part, Phase, Plan, Step};
use crate::system::{Entry, ManagedFile, Original};

/// Where the charm keeps the chart that is attached; user magnum's helm reads it.
pub const PATH: &str = "/usr/local/share/magnum-capi-helm/chart.tgz";

#[derive(Debug)]
pub struct ChartPart<'a> {
    /// The attached chart.
    pub wanted: Option<&'a ManagedFile>,
    pub found: &'a Entry,
    /// The original of [`PATH`], if the charm has written there.
    pub written: Option<&'a Original>,
    /// The original of its directory, likewise.
    pub directory: Option<&'a Original>,
}

impl Part for ChartPart<'_> {
    fn plan(&self, plan: &mut Plan) {
        let Some(wanted) = self.wanted else {
            // Last: until they restart, the services may read it.
            let directory = Path::new(PATH).parent().unwrap_or(Path::new(PATH));
            for (path, original) in [(Path::new(PATH), self.written), (directory, self.directory)] {
                if let Some(original) = original {
                    plan.add(Phase::Discard, Step::Restore(path.to_owned(), original.clone()));
                }
            }
            return;
        };
        plan.write(Phase::Install, wanted, self.found);
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn an_attached_chart_is_written_and_a_detached_one_discarded() {
        let file = ManagedFile::public(PATH, "chart");
        let absent = Original::Absent;
        let directory = "/usr/local/share/magnum-capi-helm";
        let restores =
            vec![Step::Restore(PATH.into(), Original::Absent), Step::Restore(directory.into(), Original::NoDirectory)];
        let write = Step::Write { file: file.clone(), why: "missing".to_owned() };
        for (wanted, directory_is_missing, written, expected) in [
            (None, true, None, vec![]),
            (None, false, Some(&absent), restores),
            (Some(&file), false, Some(&absent), vec![write.clone()]),
            (Some(&file), true, None, vec![Step::MakeDirectory(directory.into()), write]),
        ] {
            let missing: Vec<PathBuf> = directory_is_missing.then(|| directory.into()).into_iter().collect();
            let mut plan = Plan::new(&missing);
            let directory = written.map(|_| &Original::NoDirectory);
            let part = ChartPart { wanted, found: &Entry::Absent, written, directory };
            part.plan(&mut plan);
            assert_eq!(plan.into_steps(true), expected);
        }
    }
}
