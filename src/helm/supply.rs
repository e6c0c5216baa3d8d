//! helm at hand and known to run here: already on the unit, or staged from what the operator gives.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::unistd::{Gid, Uid, fchown};
use sha2::{Digest, Sha256};

use super::{CACHE, Found, Identity, Known, OLDEST, PATH, archive, version_of};
use crate::http;
use crate::problem::Problem;
use crate::settings::HelmSource;
use crate::unit::kept::Ledger;
use crate::unit::{files, state};

/// How long the server may say nothing: before its first byte, and between any two.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);
/// The official tarball has 17 MB.
const DOWNLOAD_LIMIT: Duration = Duration::from_secs(600);
const SIZE_LIMIT: u64 = 300 << 20;
/// What `helm-url` served.
const DOWNLOAD: &str = "helm-download";
/// A second name of the file that was installed: to put it back takes no copying.
const KEPT: &str = "helm";
/// Where helm is staged, beside its place.
const DIRECTORY: &str = "/usr/local/bin";

/// helm, ready to be installed when it is not there already.
#[derive(Debug)]
pub struct Supply {
    staged: Option<Staged>,
    /// What it comes from, when the operator gives it.
    pub source: Option<String>,
}

#[derive(Debug)]
struct Staged {
    file: tempfile::NamedTempFile,
    known: Known,
}

impl Supply {
    /// Makes sure that helm can be installed, or that the one on the unit will do.
    ///
    /// # Errors
    /// A [`Problem`] when what is given cannot be had or does not run here.
    pub fn provide(
        source: &HelmSource,
        found: Option<&Found>,
        proxy: &[(String, String)],
    ) -> Result<Self> {
        let key = source.key()?;
        let known = found.and_then(|found| found.known.as_ref());
        match (source, found) {
            (HelmSource::Found, None) => {}
            (HelmSource::Found, Some(found)) => {
                if known.is_none() {
                    look_into(&found.path)?;
                }
            }
            _ if known.is_some_and(|known| known.source == key) => {}
            _ if let Some(staged) = stage_kept(key.as_deref())? => {
                return Ok(Self {
                    staged: Some(staged),
                    source: key,
                });
            }
            (HelmSource::Resource(path), _) => {
                return Ok(Self {
                    staged: Some(stage(path, "resource helm", key.clone())?),
                    source: key,
                });
            }
            (HelmSource::Url { url, sha256 }, _) => {
                let file = download(url.expose(), &sha256.to_string(), proxy)?;
                return Ok(Self {
                    staged: Some(stage(&file, "helm-url", key.clone())?),
                    source: key,
                });
            }
        }
        Ok(Self {
            staged: None,
            source: key,
        })
    }

    /// Puts the staged helm in place; what stood there before the charm is kept.
    ///
    /// # Errors
    /// When nothing is staged, or it cannot be put in place.
    pub fn install(&mut self, ledger: &mut Ledger) -> Result<()> {
        let Staged { file, mut known } = self.staged.take().context("no helm was staged")?;
        let path = Path::new(PATH);
        ledger.keep(path)?;
        if path.is_dir() {
            files::remove(path)?;
        }
        let inode = |path: &Path| fs::symlink_metadata(path).map(|meta| meta.ino()).ok();
        // A rename of one name of a file to another would leave both.
        if inode(file.path()) == inode(path) {
            drop(file);
        } else {
            file.persist(path)
                .with_context(|| format!("putting {PATH} in place"))?;
        }
        files::sync_directory(Path::new(DIRECTORY))?;
        keep()?;
        let meta = path
            .metadata()
            .with_context(|| format!("looking at {PATH}"))?;
        known.file = Identity::of(path, &meta);
        state::save(CACHE, &known)
    }
}

/// Asks the helm on the unit for its version, once.
fn look_into(path: &Path) -> Result<()> {
    let unusable = |what: String| {
        Problem::blocked(format!(
            "helm: {} {what}; run: juju attach-resource APPLICATION helm=FILE; or set helm-url and \
             helm-sha256; or put helm {OLDEST} or later there",
            path.display()
        ))
    };
    let version = version_of(path).map_err(|error| unusable(format!("does not run: {error:#}")))?;
    if version < OLDEST {
        return Err(unusable(format!("is {version}, too old for the driver")).into());
    }
    let meta = path
        .metadata()
        .with_context(|| format!("looking at {}", path.display()))?;
    let known = Known {
        version,
        source: None,
        sha256: None,
        file: Identity::of(path, &meta),
    };
    state::save(CACHE, &known)
}

/// Gives the installed helm its second name, unless the state directory is on another disk.
fn keep() -> Result<()> {
    let kept = state::path(KEPT);
    files::remove(&kept)?;
    match fs::hard_link(PATH, &kept) {
        Err(error) if error.kind() != ErrorKind::CrossesDevices => {
            Err(error).with_context(|| format!("keeping {}", kept.display()))
        }
        _ => Ok(()),
    }
}

/// Stages the file that was installed from `source` before, when nobody has changed it meanwhile.
fn stage_kept(source: Option<&str>) -> Result<Option<Staged>> {
    let known = state::load::<Known>(CACHE)?;
    let Some(known) = known.filter(|known| known.source.as_deref() == source) else {
        return Ok(None);
    };
    let kept = state::path(KEPT);
    let same = |bytes: &Vec<u8>| known.sha256.as_ref() == Some(&files::sha256(bytes));
    if !fs::read(&kept).is_ok_and(|bytes| same(&bytes)) {
        return Ok(None);
    }
    let link = |path: &Path| {
        fs::hard_link(&kept, path)?;
        let file = File::open(path)?;
        fchown(&file, Some(Uid::from_raw(0)), Some(Gid::from_raw(0)))?;
        file.set_permissions(fs::Permissions::from_mode(0o755))?;
        Ok(file)
    };
    let file = tempfile::Builder::new()
        .prefix(files::TEMPORARY_PREFIX)
        .make_in(DIRECTORY, link)
        .with_context(|| format!("linking {} to {DIRECTORY}", kept.display()))?;
    Ok(Some(Staged { file, known }))
}

/// Extracts helm beside its target, and runs it as user magnum.
fn stage(given: &Path, origin: &str, source: Option<String>) -> Result<Staged> {
    let directory = Path::new(DIRECTORY);
    fs::create_dir_all(directory).with_context(|| format!("making {}", directory.display()))?;
    let mut file = tempfile::Builder::new()
        .prefix(files::TEMPORARY_PREFIX)
        .permissions(fs::Permissions::from_mode(0o755))
        .tempfile_in(directory)
        .with_context(|| format!("making a file in {}", directory.display()))?;
    let sha256 = archive::extract(given, origin, file.as_file_mut())?;
    file.as_file().sync_all().context("syncing helm")?;
    file.as_file()
        .set_permissions(fs::Permissions::from_mode(0o755))
        .context("setting helm's mode")?;
    let meta = file.as_file().metadata().context("looking at helm")?;
    // A file that is open for writing cannot be executed.
    let (_, path) = file.into_parts();
    let refused = |what: String| {
        Problem::blocked(format!(
            "{origin} {what}; give helm {OLDEST} or later for this machine"
        ))
    };
    let known = state::load::<Known>(CACHE)?.filter(|known| known.sha256.as_ref() == Some(&sha256));
    let version = match known {
        Some(known) => known.version,
        None => version_of(&path).map_err(|error| refused(format!("does not run: {error:#}")))?,
    };
    if version < OLDEST {
        return Err(refused(format!("is {version}, too old for the driver")).into());
    }
    let reopened = File::open(&path).context("opening the staged helm")?;
    Ok(Staged {
        known: Known {
            version,
            source,
            sha256: Some(sha256),
            file: Identity::of(Path::new(PATH), &meta),
        },
        file: tempfile::NamedTempFile::from_parts(reopened, path),
    })
}

/// Fetches what `helm-url` names into a file that only root can read. It is kept there: to put helm
/// back takes no network.
fn download(url: &str, sha256: &str, proxy: &[(String, String)]) -> Result<PathBuf> {
    let kept = state::path(DOWNLOAD);
    if fs::read(&kept).is_ok_and(|bytes| files::sha256(&bytes) == sha256) {
        return Ok(kept);
    }
    let cannot = |what: String| Problem::waiting(format!("cannot fetch helm-url: {what}"));
    let mut file = tempfile::Builder::new()
        .prefix(files::TEMPORARY_PREFIX)
        .tempfile_in(state::DIRECTORY)
        .context("making a file for helm")?;
    let began = Instant::now();
    let client = http::client(SILENCE_LIMIT, proxy)?;
    let response = client
        .get(url)
        .send()
        .map_err(|error| cannot(http::reason(&error)))?;
    let status = response.status();
    if status.is_client_error() {
        return Err(Problem::blocked(format!(
            "helm-url: its server says {status}; set the address of a helm that is there"
        ))
        .into());
    }
    if !status.is_success() {
        return Err(cannot(format!("its server says {status}")).into());
    }
    let mut digest = Sha256::new();
    let mut body = response.take(SIZE_LIMIT);
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = body
            .read(&mut buffer)
            .map_err(|_| cannot("the download ended early".to_owned()))?;
        if count == 0 {
            break;
        }
        if began.elapsed() > DOWNLOAD_LIMIT {
            let limit = DOWNLOAD_LIMIT.as_secs();
            return Err(cannot(format!("it is not here after {limit} s")).into());
        }
        digest.update(&buffer[..count]);
        file.write_all(&buffer[..count]).context("writing helm")?;
    }
    let found = hex::encode(digest.finalize());
    if found != sha256 {
        return Err(Problem::blocked(format!(
            "helm-sha256: what helm-url serves has sha256 {found}; set helm-sha256 to what its \
             publisher announces, or another helm-url"
        ))
        .into());
    }
    file.persist(&kept)
        .with_context(|| format!("keeping {}", kept.display()))?;
    Ok(kept)
}

impl HelmSource {
    /// Names what is given, so that the same is not installed twice; `None` when nothing is.
    ///
    /// # Errors
    /// When the resource cannot be looked at.
    pub fn key(&self) -> Result<Option<String>> {
        Ok(match self {
            Self::Found => None,
            Self::Url { sha256, .. } => Some(format!("sha256:{sha256}")),
            Self::Resource(path) => {
                let meta = path.metadata().context("looking at the resource helm")?;
                let (inode, size) = (meta.ino(), meta.size());
                let written = (meta.mtime(), meta.mtime_nsec());
                Some(format!(
                    "resource:{inode}:{size}:{}.{}",
                    written.0, written.1
                ))
            }
        })
    }
}
