//! What the lab needs of the host: programs, installed when they are missing, and room for many machines.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::run;

/// Programs the lab calls, with the Debian package of each.
const TOOLS: [(&str, &str); 8] = [
    ("mmdebstrap", "mmdebstrap"),
    ("systemd-nspawn", "systemd-container"),
    ("nsenter", "util-linux"),
    ("unshare", "util-linux"),
    ("setpriv", "util-linux"),
    ("flock", "util-linux"),
    ("mount", "mount"),
    ("pkill", "procps"),
];

/// Where Debian's archive keys are; other distributions have them in a package of their own.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// The packages of the programs that are not there.
pub(crate) fn missing_tools() -> Vec<&'static str> {
    let missing = TOOLS.iter().filter(|(program, _)| !is_there(program));
    let mut missing: Vec<&str> = missing.map(|(_, package)| *package).collect();
    if !Path::new(KEYRING).exists() {
        missing.push("debian-archive-keyring");
    }
    missing.dedup();
    missing
}

/// Install what is missing, with apt.
pub(crate) fn install_missing_tools(progress: &mut dyn FnMut(&str)) -> Result<()> {
    let missing = missing_tools();
    if missing.is_empty() {
        return Ok(());
    }
    install(&missing, progress)
}

/// Install packages, with apt.
pub(crate) fn install(packages: &[&str], progress: &mut dyn FnMut(&str)) -> Result<()> {
    ensure!(is_there("apt-get"), "the lab needs {} and can install them with apt only", packages.join(", "));
    progress(&format!("installing with apt-get: {}", packages.join(" ")));
    let apt = |arguments: &[&str], limit| {
        let mut command = Command::new("apt-get");
        run(command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive"), limit)
    };
    apt(&["update", "--quiet=2"], Duration::from_secs(300))?;
    let mut install = vec!["install", "--quiet=2", "--yes", "--no-install-recommends"];
    install.extend(packages);
    apt(&install, Duration::from_secs(600))?;
    Ok(())
}

pub(crate) fn ensure_root_user() -> Result<()> {
    ensure!(nix::unistd::geteuid().is_root(), "the lab makes mounts, namespaces and cgroups: run it as root");
    Ok(())
}

/// Machines share the host's inotify instances, as containers do, and systemd takes one for each path of a path unit:
/// the kernel's 128 are those of six machines with the guard.
const INOTIFY_INSTANCES: &str = "/proc/sys/fs/inotify/max_user_instances";
/// Far fewer than LXD's production setup asks a host for.
const MANY_INSTANCES: u32 = 8192;

/// Raise the host's limit of inotify instances to what a dozen machines need.
pub(crate) fn allow_many_inotify_instances() -> Result<()> {
    let limit = fs::read_to_string(INOTIFY_INSTANCES).context("reading the limit of inotify instances")?;
    if limit.trim().parse::<u32>().is_ok_and(|limit| limit >= MANY_INSTANCES) {
        return Ok(());
    }
    fs::write(INOTIFY_INSTANCES, MANY_INSTANCES.to_string()).context("raising the limit of inotify instances")
}

/// Whether a program is on the PATH.
pub(crate) fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(system).any(|dir| dir.join(program).is_file())
}
