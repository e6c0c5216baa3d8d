//! helm at hand and known to run here: already on the unit, or staged from what the operator provides.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result};
use cap_std::fs::MetadataExt as _;

use super::archive::{self, RESOURCE, SIZE_LIMIT, URL, refused};
use super::download;
use super::{CACHE, FoundHelm, HelmVersion, KnownHelm, PATH, drift, remedy, version_of};
use crate::juju::settings::HelmSource;
use crate::problem::Problem;
use crate::system::{Access, Backups, Root, System, Temporary, bounds};

/// Comes before [`PATH`] for the services.
const HIDING: &str = "/usr/local/sbin/helm";
/// The directory in which helm is staged, beside its place.
const DIRECTORY: &str = "/usr/local/bin";
const EXECUTABLE: Access = Access::of_root(0o755);

/// The helm that the operator provides, staged beside its place.
#[derive(Debug)]
pub struct StagedHelm {
    file: Temporary,
    version: HelmVersion,
    source: Option<String>,
    sha256: String,
}

/// Names the operator's source, so that the same is not installed twice; `None` if there is none.
///
/// # Errors
/// If the resource cannot be inspected.
pub fn source_key(root: &Root, source: &HelmSource) -> Result<Option<String>> {
    Ok(match source {
        HelmSource::Found => None,
        HelmSource::Url { sha256, .. } => Some(format!("sha256:{sha256}")),
        HelmSource::Resource(path) => {
            let meta = root.metadata(path)?.context("the resource helm is gone")?;
            let written = format!("{}.{}", meta.mtime(), meta.mtime_nsec());
            Some(format!("resource:{}:{}:{written}", meta.ino(), meta.size()))
        }
    })
}

impl StagedHelm {
    /// Extracts helm beside its place, and runs it as user magnum; `None` if the helm on the unit is the right one. One
    /// of the unit's own is asked for its version once.
    ///
    /// # Errors
    /// A [`Problem`] if the source, whose key is `key`, cannot be fetched, or a helm does not run here.
    pub fn obtain(
        system: &System,
        source: &HelmSource,
        key: Option<String>,
        found: Option<&FoundHelm>,
        proxy: &[(String, String)],
    ) -> Result<Option<Self>> {
        let root = &system.root;
        if drift(key.as_deref(), found).is_none() {
            if let Some(FoundHelm { path, known: None }) = found {
                check_found(system, path)?;
            }
            return Ok(None);
        }
        if found.is_some_and(|found| found.path == Path::new(HIDING)) {
            let detail = format!("the services find {HIDING} first; remove it");
            return Err(Problem::blocked(format!("Another helm hides {PATH}"), detail).into());
        }
        let (given, origin) = match source {
            HelmSource::Found => return Ok(None),
            HelmSource::Resource(path) => (path.clone(), RESOURCE),
            HelmSource::Url { url, sha256 } => {
                (download::fetch(root, url, sha256, proxy, download::limit(bounds::left()))?, URL)
            }
        };
        let given = root.open_file(&given)?;
        let directory = Path::new(DIRECTORY);
        root.ensure_roots_alone(directory)?;
        root.mark_unfinished()?;
        root.make_directories(directory)?;
        let extract = |to: &mut File| archive::extract(given, SIZE_LIMIT, origin, to);
        let (file, sha256) = root.temporary_file(directory, EXECUTABLE, extract)?;
        let version = version_of(system, file.path()).map_err(|error| refused(origin, format!("{error:#}")))?;
        Ok(Some(Self { file, version, source: key, sha256 }))
    }

    /// Puts it in place, and backs up what stood there before the charm.
    ///
    /// # Errors
    /// If it cannot be put in place.
    pub fn install(self, root: &Root, backups: &mut Backups) -> Result<()> {
        let path = Path::new(PATH);
        backups.back_up(root, path)?;
        if root.is_directory(path)? {
            root.remove(path)?;
        }
        self.file.persist(path)?;
        remember(root, path, self.version, self.source, Some(self.sha256))
    }
}

/// Asks the helm on the unit for its version, once.
fn check_found(system: &System, path: &Path) -> Result<()> {
    let version = version_of(system, path).map_err(|error| {
        let path = path.display();
        Problem::blocked("Unusable helm on the services' PATH", format!("{path} {error:#}; {}", remedy("there")))
    })?;
    remember(&system.root, path, version, None, None)
}

/// Writes down what is known of the helm at `path`.
fn remember(
    root: &Root,
    path: &Path,
    version: HelmVersion,
    source: Option<String>,
    sha256: Option<String>,
) -> Result<()> {
    let file = root.identity(&root.resolve(path)?)?;
    let file = file.with_context(|| format!("{} is gone again", path.display()))?;
    root.save(CACHE, &KnownHelm { version, source, sha256, file })
}

#[cfg(test)]
mod tests {
    use crate::helm::{OLDEST, inspect};
    use crate::problem::Kind;
    use crate::system::sha256;
    use crate::system::testing::{Scratch, command_line};

    use super::*;

    const HELM: &str = "\x7fELF 3.9.0";
    const GIVEN: &str = "/var/lib/juju/helm";

    /// A unit on which every helm prints the version that follows its first word.
    struct Unit {
        scratch: Scratch,
        system: System,
    }

    impl Unit {
        fn new() -> Self {
            let scratch = Scratch::new();
            scratch.root.make_state_directory().unwrap();
            scratch.put(GIVEN, HELM);
            let top = scratch.path("/");
            let system = scratch.system(move |command| {
                assert_eq!(command.user, Some("magnum"));
                let line = command_line(command);
                let path = line.strip_suffix(" version --short")?.trim_start_matches('/');
                let text = std::fs::read_to_string(top.join(path)).ok()?;
                Some(format!("v{}+g1\n", text.split_once(' ')?.1))
            });
            Self { scratch, system }
        }

        fn obtain(&self, source: &HelmSource) -> Result<Option<StagedHelm>> {
            let (found, key) = (inspect(&self.system.root)?, source_key(&self.system.root, source)?);
            StagedHelm::obtain(&self.system, source, key, found.as_ref(), &[])
        }

        fn install(&self, source: &HelmSource) -> Result<()> {
            let root = &self.system.root;
            let mut backups = Backups::load(root)?;
            self.obtain(source)?.unwrap().install(root, &mut backups)
        }

        #[track_caller]
        fn assert_refused(&self, source: &HelmSource, kind: Kind, expected: &str) {
            let problem: Problem = self.obtain(source).unwrap_err().downcast().unwrap();
            assert_eq!(problem.kind, kind, "{problem}");
            assert!(problem.summary.len() <= 80, "{problem}");
            assert!(problem.detail.contains(expected), "{problem}");
            let temporaries = self.system.root.temporaries(Path::new(DIRECTORY)).unwrap();
            assert!(temporaries.is_empty());
        }

        #[track_caller]
        fn assert_installed(&self, content: &str, source: &HelmSource) {
            let root = &self.system.root;
            assert_eq!(self.scratch.text(PATH).as_deref(), Some(content));
            let meta = root.metadata(Path::new(PATH)).unwrap().unwrap();
            assert_eq!(root.access_of(&meta), EXECUTABLE);
            let known = inspect(root).unwrap().unwrap().known.unwrap();
            assert_eq!(known.source, source_key(root, source).unwrap());
            assert_eq!(known.sha256, Some(sha256(content.as_bytes())));
            assert!(self.obtain(source).unwrap().is_none());
        }
    }

    fn resource() -> HelmSource {
        HelmSource::Resource(GIVEN.into())
    }

    /// A URL that does not answer, but was fetched before.
    fn fetched(unit: &Unit) -> HelmSource {
        unit.scratch.put(download::path(), HELM);
        let address = "http://127.0.0.1:9/helm";
        HelmSource::Url {
            url: crate::juju::settings::Address::new("helm-url", address).unwrap(),
            sha256: sha256(HELM.as_bytes()).parse().unwrap(),
        }
    }

    #[test]
    fn a_resource_is_installed_and_what_stood_there_comes_back() {
        let unit = Unit::new();
        let root = &unit.system.root;
        unit.scratch.put(PATH, "theirs");
        unit.install(&resource()).unwrap();
        unit.assert_installed(HELM, &resource());
        let mut backups = Backups::load(root).unwrap();
        backups.restore(root, Path::new(PATH)).unwrap();
        assert_eq!(unit.scratch.text(PATH).as_deref(), Some("theirs"));
    }

    #[test]
    fn a_helm_that_is_gone_or_changed_is_restored_from_what_was_fetched() {
        let unit = Unit::new();
        let source = fetched(&unit);
        unit.install(&source).unwrap();
        unit.assert_installed(HELM, &source);
        let root = &unit.system.root;
        root.write(Path::new(PATH), b"changed", EXECUTABLE).unwrap();
        unit.install(&source).unwrap();
        unit.assert_installed(HELM, &source);
        unit.system.root.remove(Path::new(PATH)).unwrap();
        unit.system.root.make_directory(Path::new(PATH), 0o755).unwrap();
        unit.install(&source).unwrap();
        unit.assert_installed(HELM, &source);
    }

    #[test]
    fn what_was_fetched_and_has_changed_is_not_used() {
        let unit = Unit::new();
        let source = fetched(&unit);
        unit.scratch.put(download::path(), "\x7fELF 3.9.1");
        unit.assert_refused(&source, Kind::Waiting, "helm-url: ");
    }

    #[test]
    fn a_helm_that_does_not_run_or_is_too_old_is_refused_wherever_it_comes_from() {
        let unit = Unit::new();
        for (content, expected) in [
            ("\x7fELF", "does not run"),
            ("\x7fELF hello", "prints no version: vhello"),
            ("\x7fELF 3.7.2", "is 3.7.2, too old for the driver"),
        ] {
            unit.scratch.put(GIVEN, content);
            unit.assert_refused(&resource(), Kind::Blocked, &format!("resource helm {expected}"));
            unit.system.root.write(Path::new(PATH), content.as_bytes(), EXECUTABLE).unwrap();
            unit.assert_refused(&HelmSource::Found, Kind::Blocked, &format!("{PATH} {expected}"));
            unit.system.root.remove(Path::new(PATH)).unwrap();
        }
    }

    #[test]
    fn a_helm_that_hides_the_provided_one_is_named() {
        let unit = Unit::new();
        let hiding = Path::new(HIDING);
        let sbin = hiding.parent().unwrap();
        unit.system.root.make_directory(sbin, 0o755).unwrap();
        unit.system.root.write(hiding, b"own 3.8.0", EXECUTABLE).unwrap();
        unit.assert_refused(&resource(), Kind::Blocked, "/usr/local/sbin/helm first");
    }

    #[test]
    fn a_helm_of_the_units_own_is_asked_for_its_version_once() {
        let unit = Unit::new();
        let root = &unit.system.root;
        assert!(unit.obtain(&HelmSource::Found).unwrap().is_none());
        root.write(Path::new(PATH), b"own 3.8.0", EXECUTABLE).unwrap();
        unit.obtain(&HelmSource::Found).unwrap();
        let known = inspect(root).unwrap().unwrap().known.unwrap();
        assert_eq!((known.version, known.source), (OLDEST, None));
    }
}
