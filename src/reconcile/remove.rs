//! Removal: restores the unit to its state before the charm came.

use std::path::Path;

use anyhow::{Result, bail};
use tracing::{debug, warn};

use super::apply::Apply;
use super::observed::{is_switched_on, temporaries};
use super::plan::{Remains, plan_removal};
use crate::juju::settings::DISTRIBUTION;
use crate::kubeconfig::programs;
use crate::magnum::{Python, configuration_arguments, exception};
use crate::services;
use crate::system::{Backups, Root, STATE_DIRECTORY, System};

/// The most clusters that are named in the log.
const MOST_NAMED: usize = 20;

/// Restores the unit. The caller holds the lock.
///
/// # Errors
/// If a step fails: the hook is to fail and be tried again.
pub fn run(system: &System) -> Result<()> {
    let root = &system.root;
    let mut backups = Backups::load(root)?;
    let python = Python::remembered(root)?;
    let site = python.as_ref().map(|python| python.site.as_path());
    let remains = Remains {
        written: backups.entries(),
        temporaries: [temporaries(root, site)?, root.temporaries(Path::new(programs::COPY_PARENT))?].concat(),
        services: services::inspect(system)?,
    };
    refuse_links(root, remains.written.iter().map(|(path, _)| path.as_path()))?;
    let steps = plan_removal(&remains);
    if steps.is_empty() {
        debug!("nothing of the graft is left on this unit");
    }
    if let Some(python) = python.filter(|_| is_switched_on(&remains.written)) {
        name_orphans(system, &python);
    }
    let mut apply =
        Apply { system, backups: &mut backups, driver: None, helm: None, is_hook: true, problems: Vec::new() };
    apply.all(&steps)?;
    root.remove(Path::new(STATE_DIRECTORY))
}

/// Refuses to begin when a link has come to stand on the way to a written file: the charm does not follow it, and what
/// lies behind would stay in force without its driver.
fn refuse_links<'a>(root: &Root, written: impl Iterator<Item = &'a Path>) -> Result<()> {
    for path in written {
        for directory in path.ancestors().skip(1).filter(|directory| directory.parent().is_some()) {
            if root.metadata(directory)?.is_some_and(|meta| meta.is_symlink()) {
                let (directory, path) = (directory.display(), path.display());
                bail!("{directory} is a symbolic link, behind which {path} would stay; put the directory back there");
            }
        }
    }
    Ok(())
}

/// Names in the log the clusters that Magnum cannot manage without the driver. The clusters themselves live on.
fn name_orphans(system: &System, python: &Python) {
    let clusters = configuration_arguments(&system.root).and_then(|arguments| {
        let question = [&["clusters", DISTRIBUTION], arguments.as_slice()].concat();
        python.ask::<Vec<(String, String)>>(system, &question)
    });
    let clusters = match clusters {
        Ok(clusters) => clusters,
        Err(error) => return warn!("cannot list the clusters that lose their driver: {}", exception(&error)),
    };
    if clusters.is_empty() {
        return;
    }
    let named = clusters.iter().take(MOST_NAMED);
    let named: Vec<String> = named.map(|(name, uuid)| format!("{name} ({uuid})")).collect();
    let more = match clusters.len().saturating_sub(MOST_NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    warn!(
        "{} clusters made through Cluster API lose their driver on this unit; they live on, and Magnum can manage \
         them again when the charm is back: {}{more}",
        clusters.len(),
        named.join(", ")
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::testing::Scratch;

    #[test]
    fn a_link_on_the_way_is_named_before_anything_is_removed() {
        let scratch = Scratch::new();
        let path = Path::new("/etc/magnum/magnum.conf.d/99-capi.conf");
        let refusal = || refuse_links(&scratch.root, [path].into_iter());
        scratch.put(path, "");
        refusal().unwrap();
        std::fs::rename(scratch.path("/etc/magnum/magnum.conf.d"), scratch.path("/etc/moved")).unwrap();
        refusal().unwrap();
        scratch.link("/etc/magnum/magnum.conf.d", "/etc/moved");
        let error = refusal().unwrap_err().to_string();
        assert!(error.starts_with("/etc/magnum/magnum.conf.d is a symbolic link, behind which"), "{error}");
        std::fs::rename(scratch.path("/etc/magnum"), scratch.path("/etc/other")).unwrap();
        scratch.link("/etc/magnum", "/etc/other");
        assert!(refusal().unwrap_err().to_string().starts_with("/etc/magnum is a symbolic link"));
    }
}
