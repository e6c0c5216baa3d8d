//! Proves that the charm's bytes depend on its sources alone: builds them again, from nothing, at another path.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use xshell::cmd;

use crate::binary::Link;
use crate::package::{self, Package};
use crate::workspace::Workspace;

/// Packs the charm again from a copy of the sources and compares it with `package`.
pub fn check(workspace: &Workspace, package: &Package, link: Link) -> Result<()> {
    let elsewhere = tempfile::Builder::new()
        .prefix("a-clone-at-another-path-")
        .tempdir()
        .context("making a directory for the second build")?;
    copy_sources(workspace, elsewhere.path())?;
    let mut copy = Workspace::at(elsewhere.path())?;
    copy.tools.clone_from(&workspace.tools);
    let again = package::write(&copy, &copy.charm_dir(), link).context("building the charm again at another path")?;
    if again.sha256 != package.sha256 {
        // The directory goes with this function; the file stays for a comparison by hand.
        let second = package.path.with_extension("charm.again");
        fs::copy(&again.path, &second).with_context(|| format!("writing {}", second.display()))?;
        bail!(
            "the same sources at another path give other bytes: compare {} and {}",
            package.path.display(),
            second.display()
        );
    }
    println!("the same sources at another path give the same bytes");
    Ok(())
}

/// Copies what git tracks or would track, without build output.
fn copy_sources(workspace: &Workspace, to: &Path) -> Result<()> {
    let sh = &workspace.sh;
    let listed = cmd!(sh, "git ls-files -z --cached --others --exclude-standard").read()?;
    let names = listed.split('\0').filter(|name| !name.is_empty());
    // git goes on listing a file that was deleted without `git rm`.
    let names = names.filter(|name| workspace.root.join(name).symlink_metadata().is_ok());
    cmd!(sh, "cp --parents --no-dereference {names...} {to}").quiet().run()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_copy_has_the_sources_and_links_and_nothing_that_git_ignores() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let workspace = Workspace::at(from.path()).unwrap();
        cmd!(workspace.sh, "git init --quiet").run().unwrap();
        let root = from.path();
        fs::create_dir(root.join("hooks")).unwrap();
        fs::write(root.join(".gitignore"), "/target\n").unwrap();
        fs::write(root.join("target"), "").unwrap();
        fs::write(root.join("Cargo.toml"), "[package]\n").unwrap();
        symlink("../dispatch", root.join("hooks/start")).unwrap();

        copy_sources(&workspace, to.path()).unwrap();

        let copied = |name: &str| to.path().join(name);
        assert_eq!(fs::read(copied("Cargo.toml")).unwrap(), b"[package]\n");
        assert_eq!(copied("hooks/start").read_link().unwrap(), Path::new("../dispatch"));
        assert!(!copied("target").exists());
    }
}
