//! The build of a root: the recipe, carried in this program, and the process that follows it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use include_dir::{Dir, include_dir};
use sha2::{Digest, Sha256};

use super::{HOST_ID_OF_ROOT, Release};

/// The recipe, as it is carried to the place where it runs.
static RECIPE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/recipe");

/// A build slower than this is stuck.
const BUILD_LIMIT: Duration = Duration::from_secs(30 * 60);

/// The part of a root's name that changes with its recipe.
pub(super) fn recipe_hash(release: Release) -> String {
    let mut hash = Sha256::new();
    hash.update(release.name());
    for file in RECIPE.files() {
        hash.update(file.path().as_os_str().as_encoded_bytes());
        hash.update(file.contents());
    }
    hex::encode(&hash.finalize()[..6])
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
    RECIPE.extract(&recipe).context("laying the recipe out")?;
    // mmdebstrap makes the root's directory readable for all only when its parents are.
    fs::set_permissions(&scratch, fs::Permissions::from_mode(0o755))?;
    let target = scratch.join("root");
    let (program, what) = match base {
        Some(base) => ("build_cloud.sh", base.as_os_str()),
        None => ("build_root.sh", release.name().as_ref()),
    };
    let mut child = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "unshare", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "bash"])
        .args([recipe.join(program).as_os_str(), what, target.as_os_str()])
        .arg(HOST_ID_OF_ROOT.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("starting the build of the root")?;
    let (lines, incoming) = channel();
    let errors = lines.clone();
    let stdout = BufReader::new(child.stdout.take().context("no standard output")?);
    let stderr = BufReader::new(child.stderr.take().context("no standard error")?);
    std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| lines.send((true, line))));
    std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| errors.send((false, line))));

    let mut step = String::from("starting");
    let mut complaints = Vec::new();
    loop {
        match incoming.recv_timeout(Duration::from_secs(10)) {
            Ok((true, line)) => {
                progress(&line);
                step = line;
            }
            Ok((false, line)) => complaints.push(line),
            Err(RecvTimeoutError::Timeout) => progress(&format!("{step}: {} s so far", start.elapsed().as_secs())),
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if start.elapsed() > BUILD_LIMIT {
            child.kill()?;
            complaints.push(format!("still running after {} minutes, killed", BUILD_LIMIT.as_secs() / 60));
        }
    }
    if !child.wait()?.success() {
        bail!("building the root failed at: {step}\n{}", complaints.join("\n"));
    }
    fs::rename(&target, path).with_context(|| format!("renaming to {}", path.display()))?;
    fs::remove_dir_all(&scratch)?;
    progress(&format!("root built in {} s: {}", start.elapsed().as_secs(), path.display()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_have_roots_of_their_own() {
        assert_ne!(recipe_hash(Release::Caracal), recipe_hash(Release::Bookworm));
    }
}
