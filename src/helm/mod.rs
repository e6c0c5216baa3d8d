//! helm: the driver runs the executable of that name on the services' PATH.
//!
//! It is the one that the unit has, or the one that the operator provides: a resource, or a URL with a checksum.
//! Inspecting it costs a `stat`; running it to ask its version happens once for each file that is found there.

pub(crate) mod archive;
mod artifact;
mod checks;
mod download;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use cap_std::fs::MetadataExt as _;
use serde::{Deserialize, Serialize};

pub use artifact::{StagedHelm, source_key};
pub use checks::HelmSubject;

use crate::magnum::MAGNUM_USER;
use crate::problem::Problem;
use crate::step::{Artifact, Phase, Plan, Step};
use crate::system::{Command, FileIdentity, Root, SYSTEM_PATH, System};

/// Where the charm installs the helm that the operator provides.
pub const PATH: &str = "/usr/local/bin/helm";
/// The first helm in which charts from `oci://` registries, which the driver allows, are stable.
pub const OLDEST: HelmVersion = HelmVersion(3, 8, 0);

const CACHE: &str = "helm.json";
const VERSION_LIMIT: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HelmVersion(pub u32, pub u32, pub u32);

impl std::fmt::Display for HelmVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// The helm that the services find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundHelm {
    pub path: PathBuf,
    /// What is known of this very file, if it was run or installed before.
    pub known: Option<KnownHelm>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownHelm {
    pub version: HelmVersion,
    /// The source from which the charm installed it.
    pub source: Option<String>,
    /// The sha256 of the executable that the charm installed.
    pub sha256: Option<String>,
    file: FileIdentity,
}

#[cfg(test)]
impl FoundHelm {
    /// A helm that was installed from `source`.
    pub fn example(source: &str) -> Self {
        let scratch = crate::system::testing::Scratch::new();
        scratch.put(PATH, "");
        let file = scratch.root.identity(Path::new(PATH)).unwrap().unwrap();
        Self {
            path: PATH.into(),
            known: Some(KnownHelm { version: OLDEST, source: Some(source.to_owned()), sha256: None, file }),
        }
    }
}

/// Finds the helm on the services' PATH.
///
/// # Errors
/// If a directory of it, or what is known of the file, cannot be read.
pub fn inspect(root: &Root) -> Result<Option<FoundHelm>> {
    for directory in SYSTEM_PATH.split(':') {
        // One that is a link leads to another of them.
        if !root.is_directory(Path::new(directory))? {
            continue;
        }
        let path = Path::new(directory).join("helm");
        let (file, meta) = root.resolve_with_metadata(&path)?;
        if let Some(meta) = meta.filter(|meta| meta.is_file() && meta.mode() & 0o001 != 0) {
            let identity = FileIdentity::new(&file, &meta);
            let known = root.remembered::<Option<KnownHelm>>(CACHE).filter(|known| known.file == identity);
            return Ok(Some(FoundHelm { path, known }));
        }
    }
    Ok(None)
}

/// The problem of a unit without helm.
pub fn missing() -> Problem {
    let detail = format!("the driver cannot work without it; {}", remedy(&format!("at {PATH}")));
    Problem::blocked("No helm on the services' PATH", detail)
}

/// The ways to a usable helm; the last is to put it at `place`.
fn remedy(place: &str) -> String {
    format!(
        "run: juju attach-resource APPLICATION helm=FILE; or set helm-url and helm-sha256; or put helm {OLDEST} or \
         later {place}"
    )
}

/// Runs the helm at `path` as user magnum to ask its version; the error completes the sentence "helm …".
fn version_of(system: &System, path: &Path) -> Result<HelmVersion> {
    let command = Command::new(path, VERSION_LIMIT).as_user(MAGNUM_USER);
    let printed = system.stdout(&command.args(["version", "--short"])).context("does not run")?;
    let printed = String::from_utf8_lossy(&printed);
    let version = parse(&printed).with_context(|| format!("prints no version: {}", printed.trim()))?;
    anyhow::ensure!(version >= OLDEST, "is {version}, too old for the driver");
    Ok(version)
}

/// Parses `v3.17.3+ge4da497`.
fn parse(printed: &str) -> Option<HelmVersion> {
    let version = printed.trim().strip_prefix('v')?;
    let mut numbers = version.split(['.', '+', '-']).map(|number| number.parse().ok());
    Some(HelmVersion(numbers.next()??, numbers.next()??, numbers.next()??))
}

/// Says why the helm that the operator provides must be installed; `wanted` is the key of its source.
fn drift(wanted: Option<&str>, found: Option<&FoundHelm>) -> Option<String> {
    let wanted = wanted?;
    let Some(found) = found else {
        return Some("missing".to_owned());
    };
    match &found.known {
        Some(known) if known.source.as_deref() == Some(wanted) => None,
        _ if found.path != Path::new(PATH) => Some(format!("the services find {}", found.path.display())),
        _ => Some("another file".to_owned()),
    }
}

/// Adds the installation of the helm that the operator provides, if any, unless the services find it.
pub fn plan(plan: &mut Plan, wanted: Option<&str>, found: Option<&FoundHelm>) {
    if let Some(why) = drift(wanted, found) {
        let (artifact, what, replaces) = (Artifact::Helm, PATH.to_owned(), vec![PATH.into()]);
        plan.add(Phase::Install, Step::Install { artifact, what, why, replaces });
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use crate::system::testing::Scratch;

    use super::*;

    #[test]
    fn the_first_helm_on_the_path_that_others_may_execute_is_found() {
        let scratch = Scratch::new();
        let found = || inspect(&scratch.root).unwrap().map(|found| found.path);
        let put = |path: &str, mode| {
            scratch.put(path, "");
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(scratch.path(path), mode).unwrap();
        };
        put(PATH, 0o750);
        assert_eq!(found(), None);
        put("/opt/helm", 0o755);
        scratch.link("/usr/bin/helm", "../../opt/helm");
        assert_eq!(found(), Some("/usr/bin/helm".into()));
        put(PATH, 0o755);
        assert_eq!(found(), Some(PATH.into()));
    }

    #[test]
    fn versions_are_parsed_and_compared() {
        assert_eq!(parse("v3.17.3+ge4da497\n"), Some(HelmVersion(3, 17, 3)));
        assert_eq!(parse("v4.0.0-rc.1+gabc"), Some(HelmVersion(4, 0, 0)));
        assert_eq!(parse("Client: v2.17.0"), None);
        assert!(parse("v3.7.2").unwrap() < OLDEST && parse("v3.10.0").unwrap() > OLDEST);
    }

    #[test]
    fn helm_is_installed_unless_it_is_there_from_the_same_source() {
        let same = FoundHelm::example("a");
        let elsewhere = FoundHelm { path: "/usr/bin/helm".into(), known: None };
        for (wanted, found, expected) in [
            (None, None, None),
            (None, Some(&elsewhere), None),
            (Some("a"), Some(&same), None),
            (Some("b"), Some(&same), Some("another file")),
            (Some("a"), None, Some("missing")),
            (Some("a"), Some(&elsewhere), Some("the services find /usr/bin/helm")),
        ] {
            let mut added = Plan::default();
            plan(&mut added, wanted, found);
            let steps: Vec<String> = added.into_steps(true).iter().map(Step::to_string).collect();
            let expected = expected.map(|why| format!("install {PATH}: {why}"));
            assert_eq!(steps, Vec::from_iter(expected));
        }
    }
}
