//! The build of a root: the recipe, carried in this program, and the process that follows it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use super::Release;

/// The recipe, as it is carried to the place where it runs.
const RECIPE: [(&str, &str); 10] = [
    ("build_root.sh", include_str!("../../recipe/build_root.sh")),
    (
        "before_packages.sh",
        include_str!("../../recipe/before_packages.sh"),
    ),
    ("customize.sh", include_str!("../../recipe/customize.sh")),
    ("preseed", include_str!("../../recipe/preseed")),
    ("magnum.conf", include_str!("../../recipe/magnum.conf")),
    ("api-paste.ini", include_str!("../../recipe/api-paste.ini")),
    (
        "caracal-requirements.txt",
        include_str!("../../recipe/caracal-requirements.txt"),
    ),
    (
        "create_database.py",
        include_str!("../../recipe/create_database.py"),
    ),
    (
        "unpack_downloads.py",
        include_str!("../../recipe/unpack_downloads.py"),
    ),
    (
        "lab-index.service",
        include_str!("../../recipe/lab-index.service"),
    ),
];

/// The same for a root that is made from another: its program takes that one's directory first.
const CLOUD: [(&str, &str); 4] = [
    ("build.sh", include_str!("../../cloud/build.sh")),
    ("keystone.conf", include_str!("../../cloud/keystone.conf")),
    ("authtoken.ini", include_str!("../../cloud/authtoken.ini")),
    (
        "setup_keystone.py",
        include_str!("../../cloud/setup_keystone.py"),
    ),
];

/// A build slower than this is stuck.
const BUILD_LIMIT: Duration = Duration::from_secs(30 * 60);

fn files(release: Release) -> &'static [(&'static str, &'static str)] {
    match release.base() {
        Some(_) => &CLOUD,
        None => &RECIPE,
    }
}

/// What tells the root of this recipe from those of others.
pub(super) fn recipe_hash(release: Release) -> String {
    let mut hash = Sha256::new();
    hash.update(release.name());
    if let Some(base) = release.base() {
        hash.update(recipe_hash(base));
    }
    for (name, text) in files(release) {
        hash.update(name);
        hash.update(text);
    }
    hash.finalize()
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Build in a temporary place in the cache and rename when whole.
///
/// The build runs in a PID namespace that dies with this process, however this one ends; its mounts
/// die with that. What may stay is the temporary directory, which the next build removes.
pub(super) fn build(
    release: Release,
    base: Option<&Path>,
    cache: &Path,
    path: &Path,
    progress: &mut dyn FnMut(&str),
) -> Result<()> {
    let start = Instant::now();
    let scratch = cache.join(format!("building.{}", std::process::id()));
    let recipe = scratch.join("recipe");
    fs::create_dir_all(&recipe)?;
    for (name, text) in files(release) {
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
    let (program, what) = match base {
        Some(base) => ("build.sh", base.as_os_str()),
        None => ("build_root.sh", release.name().as_ref()),
    };
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
        .args([recipe.join(program).as_os_str(), what, target.as_os_str()])
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_recipe_is_carried_along() {
        for (directory, release) in [("recipe", Release::Caracal), ("cloud", Release::Cloud)] {
            let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
            let mut there: Vec<String> = fs::read_dir(directory)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            let mut carried: Vec<String> = files(release)
                .iter()
                .map(|(name, _)| (*name).to_owned())
                .collect();
            there.sort();
            carried.sort();
            assert_eq!(there, carried);
        }
    }

    #[test]
    fn releases_have_roots_of_their_own() {
        assert_ne!(
            recipe_hash(Release::Caracal),
            recipe_hash(Release::Bookworm)
        );
    }
}
