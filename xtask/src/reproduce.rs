//! Proves that the charm's bytes depend on its sources alone: builds them again, from nothing, at another path.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::binary::Link;
use crate::exec::CommandExt as _;
use crate::package::{self, Packed};
use crate::workspace::Workspace;

/// Packs the charm again from a copy of the sources and compares it with `packed`.
///
/// # Errors
///
/// When the copy cannot be built, or the result differs.
pub fn check(workspace: &Workspace, packed: &Packed, link: Link) -> Result<()> {
    let elsewhere = tempfile::Builder::new()
        .prefix("a-clone-at-another-path-")
        .tempdir()
        .context("making a directory for the second build")?;
    copy_sources(workspace.root(), elsewhere.path())?;
    let copy = Workspace::at(elsewhere.path()).with_tools_of(workspace);
    let again = package::pack(&copy, &copy.charm_dir(), link)
        .context("building the charm again at another path")?;
    if again.sha256 != packed.sha256 {
        // Kept for a comparison by hand.
        let kept = packed.path.with_extension("charm.again");
        fs::copy(&again.path, &kept).with_context(|| format!("writing {}", kept.display()))?;
        bail!(
            "the same sources at another path give other bytes: compare {} and {}",
            packed.path.display(),
            kept.display()
        );
    }
    println!("the same sources at another path give the same bytes");
    Ok(())
}

/// Copies what git tracks or would track: no build output, no local litter.
fn copy_sources(from: &Path, to: &Path) -> Result<()> {
    let list = Command::new("git")
        .current_dir(from)
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .capture()?;
    for name in list.split('\0').filter(|name| !name.is_empty()) {
        let (source, target) = (from.join(name), to.join(name));
        let copying = || format!("copying {name}");
        // Deleted, but not yet so in git.
        if source.symlink_metadata().is_err() {
            continue;
        }
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).with_context(copying)?;
        }
        if source.is_symlink() {
            symlink(source.read_link().with_context(copying)?, &target).with_context(copying)?;
        } else {
            fs::copy(&source, &target).with_context(copying)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_has_the_sources_and_links_and_nothing_that_git_ignores() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let root = from.path();
        Command::new("git")
            .args(["init", "--quiet"])
            .arg(root)
            .capture()
            .unwrap();
        fs::create_dir(root.join("hooks")).unwrap();
        fs::write(root.join(".gitignore"), "/target\n").unwrap();
        fs::write(root.join("target"), "").unwrap();
        fs::write(root.join("Cargo.toml"), "[package]\n").unwrap();
        symlink("../dispatch", root.join("hooks/start")).unwrap();

        copy_sources(root, to.path()).unwrap();

        let copied = |name: &str| to.path().join(name);
        assert_eq!(
            fs::read_to_string(copied("Cargo.toml")).unwrap(),
            "[package]\n"
        );
        assert_eq!(
            copied("hooks/start").read_link().unwrap(),
            Path::new("../dispatch")
        );
        assert!(!copied("target").exists());
    }
}
