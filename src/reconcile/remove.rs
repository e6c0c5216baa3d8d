//! Removal: restores the unit to its state before the charm came.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use cap_std::fs::Metadata;
use tracing::{debug, warn};

use super::apply::Apply;
use super::observed::{is_switched_on, temporaries};
use super::plan::{Remains, plan_removal};
use crate::chart;
use crate::driver;
use crate::helm;
use crate::juju::settings::DISTRIBUTION;
use crate::kubeconfig::{self, programs};
use crate::magnum::{Python, Service, configuration_arguments, exception};
use crate::services::{self, ObservedService, conductors_environment};
use crate::step::{DueRestart, Step};
use crate::system::{Backups, Original, Root, STATE_DIRECTORY, System};

/// The most clusters that are named in the log.
const MOST_NAMED: usize = 20;

/// Takes the graft off a unit that stays: everything but what no service looks for without it. The services that `served`
/// before are restarted, for with it they may have failed.
///
/// # Errors
/// If a step fails: the next hook goes on.
pub fn take_off(system: &System, backups: &mut Backups, served: &BTreeSet<Service>) -> Result<()> {
    let stays = [kubeconfig::PATH, helm::PATH, chart::PATH].map(Path::new);
    let written = backups.entries().into_iter().filter(|(path, _)| !stays.contains(&path.as_path()));
    let remains = Remains { written: written.collect(), temporaries: Vec::new(), services: services::inspect(system)? };
    let mut steps = plan_removal(&remains);
    steps.retain(|step| !matches!(step, Step::Restart(_)));
    let may_start = remains.services.iter().filter(|it| it.unit.is_available() && served.contains(&it.service));
    let due = may_start.map(|it| DueRestart { service: it.service, why: "it ran without the graft".to_owned() });
    let due: Vec<DueRestart> = due.collect();
    steps.extend((!due.is_empty()).then_some(Step::Restart(due)));
    Apply { is_watched: true, ..Apply::new(system, backups, true) }.all(&steps)
}

/// Restores the unit. The caller holds the lock.
///
/// # Errors
/// If a step fails: the hook is to fail and be tried again.
pub fn run(system: &System) -> Result<()> {
    let root = &system.root;
    let mut backups = Backups::load(root)?;
    let python = Python::remembered(root).unwrap_or_else(|error| {
        warn!("{error:#}");
        None
    });
    let written = backups.entries();
    let found =
        [temporaries(root, &sites(python.as_ref(), &written)), root.temporaries(Path::new(programs::COPY_PARENT))];
    // User magnum may put more names into its directories than are read.
    let found = found.map(|found| found.unwrap_or_else(|error| none_found(&error)));
    let remains = Remains { written, temporaries: found.concat(), services: services::inspect(system)? };
    refuse_links(root, remains.written.iter().map(|(path, _)| path.as_path()))?;
    let steps = plan_removal(&remains);
    if steps.is_empty() {
        debug!("nothing of the graft is left on this unit");
    }
    if let Some(python) = python.filter(|_| is_switched_on(&remains.written)) {
        name_orphans(system, &python, &remains.services);
    }
    Apply::new(system, &mut backups, true).all(&steps)?;
    root.remove(Path::new(STATE_DIRECTORY))
}

fn none_found(error: &anyhow::Error) -> Vec<PathBuf> {
    warn!("cannot look for temporary files: {error:#}");
    Vec::new()
}

/// Returns the site directories in which the driver was installed: of the Python that was asked last, and by the paths
/// that were written.
fn sites<'a>(python: Option<&'a Python>, written: &'a [(PathBuf, Original)]) -> Vec<&'a Path> {
    let of_driver = written.iter().map(|(path, _)| path.as_path()).filter(|path| driver::is_part(path));
    let sites = of_driver.filter_map(Path::parent).chain(python.map(|python| python.site.as_path()));
    sites.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Refuses to begin when a link has come to stand on the way to a written file: the charm does not follow it, and what
/// lies behind would stay in force without its driver. A link of another user, who could keep the charm from ever leaving,
/// is renamed: then nothing leads there.
fn refuse_links<'a>(root: &Root, written: impl Iterator<Item = &'a Path>) -> Result<()> {
    for path in written {
        for directory in path.ancestors().skip(1).filter(|directory| directory.parent().is_some()) {
            if let Some(link) = root.metadata(directory)?.filter(Metadata::is_symlink) {
                if root.access_of(&link).uid != 0 {
                    root.rename_aside(directory, "it is a link of another user")?;
                    continue;
                }
                let (directory, path) = (directory.display(), path.display());
                bail!("{directory} is a symbolic link, behind which {path} would stay; put the directory back there");
            }
        }
    }
    Ok(())
}

/// Names in the log the clusters that Magnum cannot manage without the driver. The clusters themselves live on.
fn name_orphans(system: &System, python: &Python, services: &[ObservedService]) {
    let clusters = configuration_arguments(&system.root).and_then(|arguments| {
        let question = [&["clusters", DISTRIBUTION], arguments.as_slice()].concat();
        let environment = conductors_environment(system, services)?;
        python.ask::<Vec<(String, String)>>(system, &environment, &question)
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
    use crate::driver::tests::SITE;
    use crate::system::testing::Scratch;

    fn left(directory: &str) -> String {
        format!("{directory}/.magnum-capi-helm-left")
    }

    #[test]
    fn temporary_files_go_also_when_pythons_answer_is_damaged_and_one_directory_has_too_many_names() {
        let scratch = Scratch::new();
        scratch.root.make_state_directory().unwrap();
        let package = PathBuf::from(format!("{SITE}/{}", driver::PACKAGE));
        Backups::default().back_up(&scratch.root, &package).unwrap();
        let system = scratch.system(|_| Some("LoadState=not-found\n\nLoadState=not-found\n".to_owned()));
        for directory in [SITE, "/run"] {
            scratch.put(left(directory), "");
        }
        scratch.put(package.join("driver.py"), "");
        scratch.put(format!("{STATE_DIRECTORY}/interpreter.json"), "{");
        run(&system).unwrap();
        for path in [left(SITE), left("/run"), format!("{}/driver.py", package.display())] {
            assert_eq!(scratch.text(&path), None, "{path}");
        }
        // More names than are read.
        scratch.root.make_state_directory().unwrap();
        scratch.put("/etc/magnum/0", "");
        for index in 1..=20_000 {
            std::fs::hard_link(scratch.path("/etc/magnum/0"), scratch.path(format!("/etc/magnum/{index}"))).unwrap();
        }
        scratch.put(left("/run"), "");
        run(&system).unwrap();
        assert_eq!(scratch.text(left("/run")), None);
        assert!(!scratch.path(STATE_DIRECTORY).exists());
    }

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

    /// Only root can give a link away.
    #[test]
    fn a_link_of_another_user_on_the_way_gives_way() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let scratch = Scratch::new();
        scratch.put("/etc/magnum/moved/99-capi.conf", "");
        scratch.link("/etc/magnum/magnum.conf.d", "moved");
        std::os::unix::fs::lchown(scratch.path("/etc/magnum/magnum.conf.d"), Some(64), None).unwrap();
        let path = Path::new("/etc/magnum/magnum.conf.d/99-capi.conf");
        refuse_links(&scratch.root, [path].into_iter()).unwrap();
        assert!(scratch.root.metadata(path.parent().unwrap()).unwrap().is_none());
        assert!(scratch.text("/etc/magnum/moved/99-capi.conf").is_some());
    }
}
