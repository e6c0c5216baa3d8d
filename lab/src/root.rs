//! Roots: the file systems that machines boot from, built once per recipe and cached outside git.
//!
//! A root is never written to after it was built; a machine puts a layer of its own over it. What is
//! in it is the business of the files in `recipe/`; their hash is part of the root's name, so that a
//! changed recipe is built anew.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::fcntl::{Flock, FlockArg};
use sha2::{Digest, Sha256};

use crate::host;

/// What the unit runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Release {
    /// Debian 12 with Magnum 18.0.0 of OpenStack 2024.1: what the runbook is for.
    #[default]
    Caracal,
    /// Debian 12 as it is: Magnum 15.0.1, Python 3.11.
    Bookworm,
    /// Debian 13 as it is: Magnum 20, Python 3.13.
    Trixie,
}

impl Release {
    fn name(self) -> &'static str {
        match self {
            Self::Caracal => "caracal",
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
        }
    }
}

/// A finished root in the cache. While one exists, its directory is not removed.
#[derive(Debug)]
pub struct Root {
    path: PathBuf,
    release: Release,
    _in_use: Flock<File>,
}

impl Root {
    /// The directory of the root. It must not be written to.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What runs in it.
    #[must_use]
    pub fn release(&self) -> Release {
        self.release
    }
}

/// The recipe, as it is carried to the place where it runs.
const RECIPE: [(&str, &str); 10] = [
    ("build_root.sh", include_str!("../recipe/build_root.sh")),
    (
        "before_packages.sh",
        include_str!("../recipe/before_packages.sh"),
    ),
    ("customize.sh", include_str!("../recipe/customize.sh")),
    ("preseed", include_str!("../recipe/preseed")),
    ("magnum.conf", include_str!("../recipe/magnum.conf")),
    ("api-paste.ini", include_str!("../recipe/api-paste.ini")),
    (
        "caracal-requirements.txt",
        include_str!("../recipe/caracal-requirements.txt"),
    ),
    (
        "create_database.py",
        include_str!("../recipe/create_database.py"),
    ),
    (
        "unpack_downloads.py",
        include_str!("../recipe/unpack_downloads.py"),
    ),
    (
        "lab-index.service",
        include_str!("../recipe/lab-index.service"),
    ),
];

/// A build slower than this is stuck.
const BUILD_LIMIT: Duration = Duration::from_secs(30 * 60);

/// The cache: `LAB_CACHE`, or `/var/cache/magnum-capi-helm-lab`.
fn cache_directory() -> PathBuf {
    std::env::var_os("LAB_CACHE")
        .map_or_else(|| "/var/cache/magnum-capi-helm-lab".into(), PathBuf::from)
}

/// The root of `release`, built first when the cache does not have it (1 to 3 minutes).
///
/// Two processes that ask at the same time build it once. `progress` is told each step, and every ten
/// seconds of a long one.
///
/// # Errors
/// When not root, when a tool cannot be installed, or when the build fails or takes half an hour.
pub fn ensure_root(release: Release, progress: &mut dyn FnMut(&str)) -> Result<Root> {
    host::ensure_tools(progress)?;
    let cache = cache_directory();
    fs::create_dir_all(&cache).with_context(|| format!("creating {}", cache.display()))?;
    let name = format!("{}-{}", release.name(), recipe_hash(release));
    let path = cache.join(&name);

    let building = take_lock(&cache.join("build.lock"), FlockArg::LockExclusiveNonblock)?;
    let building = match building {
        Some(lock) => lock,
        None => {
            progress("waiting for another process that builds a root");
            take_lock(&cache.join("build.lock"), FlockArg::LockExclusive)?.context("no lock")?
        }
    };
    let in_use =
        take_lock(&cache.join(format!("{name}.lock")), FlockArg::LockShared)?.context("no lock")?;
    if !path.exists() {
        remove_unfinished(&cache)?;
        build(release, &cache, &path, progress)?;
        remove_outdated(&cache, release, &name)?;
    }
    drop(building);
    Ok(Root {
        path,
        release,
        _in_use: in_use,
    })
}

fn recipe_hash(release: Release) -> String {
    let mut hash = Sha256::new();
    hash.update(release.name());
    for (name, text) in RECIPE {
        hash.update(name);
        hash.update(text);
    }
    hash.finalize()
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The lock on `path`, or nothing when `how` does not wait and somebody else has it.
fn take_lock(path: &Path, how: FlockArg) -> Result<Option<Flock<File>>> {
    let file = File::options().create(true).append(true).open(path);
    let file = file.with_context(|| format!("opening {}", path.display()))?;
    match Flock::lock(file, how) {
        Ok(lock) => Ok(Some(lock)),
        Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, error)) => Err(error).with_context(|| format!("locking {}", path.display())),
    }
}

/// Build in a temporary place in the cache and rename when whole.
///
/// The build runs in a PID namespace that dies with this process, however this one ends; its mounts
/// die with that. What may stay is the temporary directory, which the next build removes.
fn build(
    release: Release,
    cache: &Path,
    path: &Path,
    progress: &mut dyn FnMut(&str),
) -> Result<()> {
    let start = Instant::now();
    let scratch = cache.join(format!("building.{}", std::process::id()));
    let recipe = scratch.join("recipe");
    fs::create_dir_all(&recipe)?;
    for (name, text) in RECIPE {
        let mode = if Path::new(name).extension().is_some_and(|end| end == "sh") {
            0o755
        } else {
            0o644
        };
        let file = recipe.join(name);
        File::options()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(mode)
            .open(&file)?
            .write_all(text.as_bytes())?;
    }
    // mmdebstrap makes the root's directory readable for all only when its parents are.
    fs::set_permissions(&scratch, fs::Permissions::from_mode(0o755))?;
    let target = scratch.join("root");
    let mut child = Command::new("setpriv")
        .args([
            "--pdeathsig",
            "KILL",
            "unshare",
            "--pid",
            "--fork",
            "--kill-child=KILL",
            "--mount-proc",
            "bash",
        ])
        .args([
            recipe.join("build_root.sh").as_os_str(),
            release.name().as_ref(),
            target.as_os_str(),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("starting the build of the root")?;
    let (lines, incoming) = channel();
    let errors = lines.clone();
    let stdout = BufReader::new(child.stdout.take().context("no standard output")?);
    let stderr = BufReader::new(child.stderr.take().context("no standard error")?);
    std::thread::spawn(move || {
        stdout
            .lines()
            .map_while(Result::ok)
            .try_for_each(|line| lines.send((true, line)))
    });
    std::thread::spawn(move || {
        stderr
            .lines()
            .map_while(Result::ok)
            .try_for_each(|line| errors.send((false, line)))
    });

    let mut step = String::from("starting");
    let mut complaints = Vec::new();
    loop {
        match incoming.recv_timeout(Duration::from_secs(10)) {
            Ok((true, line)) => {
                progress(&line);
                step = line;
            }
            Ok((false, line)) => complaints.push(line),
            Err(RecvTimeoutError::Timeout) => {
                progress(&format!("{step}: {} s so far", start.elapsed().as_secs()))
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if start.elapsed() > BUILD_LIMIT {
            child.kill()?;
            complaints.push(format!(
                "still running after {} minutes, killed",
                BUILD_LIMIT.as_secs() / 60
            ));
        }
    }
    if !child.wait()?.success() {
        bail!(
            "building the root failed at: {step}\n{}",
            complaints.join("\n")
        );
    }
    fs::rename(&target, path).with_context(|| format!("renaming to {}", path.display()))?;
    fs::remove_dir_all(&scratch)?;
    progress(&format!(
        "root built in {} s: {}",
        start.elapsed().as_secs(),
        path.display()
    ));
    Ok(())
}

/// Remove what interrupted builds left. Called under the build lock, so no build is running.
fn remove_unfinished(cache: &Path) -> Result<()> {
    for entry in fs::read_dir(cache)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("building.") {
            fs::remove_dir_all(entry.path())
                .with_context(|| format!("removing {}", entry.path().display()))?;
        }
    }
    Ok(())
}

/// Remove roots of the same release made by other recipes, unless somebody is using them.
fn remove_outdated(cache: &Path, release: Release, current: &str) -> Result<()> {
    for entry in fs::read_dir(cache)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let same_release = name
            .rsplit_once('-')
            .is_some_and(|(head, _)| head == release.name());
        if !same_release || name.starts_with(current) || !entry.file_type()?.is_dir() {
            continue;
        }
        let lock = cache.join(format!("{name}.lock"));
        if take_lock(&lock, FlockArg::LockExclusiveNonblock)?.is_some() {
            fs::remove_dir_all(entry.path())?;
            fs::remove_file(&lock)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_recipe_is_carried_along() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/recipe");
        let mut there: Vec<String> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let mut carried: Vec<String> = RECIPE.iter().map(|(name, _)| (*name).to_owned()).collect();
        there.sort();
        carried.sort();
        assert_eq!(there, carried);
    }

    #[test]
    fn releases_have_roots_of_their_own() {
        assert_ne!(
            recipe_hash(Release::Caracal),
            recipe_hash(Release::Bookworm)
        );
    }

    #[test]
    fn a_held_lock_is_seen() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("lock");
        let held = take_lock(&file, FlockArg::LockExclusive).unwrap();
        assert!(
            take_lock(&file, FlockArg::LockExclusiveNonblock)
                .unwrap()
                .is_none()
        );
        drop(held);
        assert!(
            take_lock(&file, FlockArg::LockExclusiveNonblock)
                .unwrap()
                .is_some()
        );
    }
}
