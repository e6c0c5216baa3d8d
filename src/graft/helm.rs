//! helm: the driver runs the executable of that name on the services' PATH.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::problem::Problem;
use crate::unit::command::SYSTEM_PATH;

/// The helm that user magnum's services find, if there is one.
pub fn find() -> Option<PathBuf> {
    find_in(SYSTEM_PATH)
}

fn find_in(path: &str) -> Option<PathBuf> {
    path.split(':')
        .map(|directory| Path::new(directory).join("helm"))
        .find(|candidate| {
            candidate
                .metadata()
                .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o001 != 0)
        })
}

/// What to tell the operator when there is none.
pub fn missing() -> Problem {
    Problem::blocked(
        "helm is not on the PATH of magnum's services, and the driver cannot work without it; \
         put an executable helm 3 at /usr/local/bin/helm",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_that_others_may_execute_counts() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = format!("{}:{}", first.path().display(), second.path().display());
        let put = |dir: &Path, mode| {
            let file = dir.join("helm");
            std::fs::write(&file, "").unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            file
        };
        assert_eq!(find_in(&path), None);
        put(first.path(), 0o750);
        assert_eq!(find_in(&path), None);
        let found = put(second.path(), 0o755);
        assert_eq!(find_in(&path), Some(found));
    }
}
