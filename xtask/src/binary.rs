//! Builds a program of this workspace so that it runs on every unit, whatever machine built it.
//!
//! Plain cargo first. When the host's glibc is too new for the units, once more with zig as the linker, which
//! brings the old glibc along. Both results pass the same gate. The bytes do not depend on where the build stands.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::exec::CommandExt as _;
use crate::glibc::{self, Needs};
use crate::tools;
use crate::workspace::Workspace;

/// A program: the package that has it and the name of its binary target.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// The cargo package.
    pub package: &'static str,
    /// The binary target in it.
    pub bin: &'static str,
}

/// The charm itself.
pub const CHARM: Program = Program {
    package: "magnum-capi-helm",
    bin: "magnum-capi-helm",
};

/// What the program is linked against.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Link {
    /// The host's glibc where that is old enough, else the units' one.
    #[default]
    HostFirst,
    /// The units' glibc at once.
    OldGlibc,
}

/// A program that was built and passed the gate.
#[derive(Debug)]
pub struct Built {
    /// The executable.
    pub path: PathBuf,
    /// The newest glibc it needs.
    pub needs: Option<glibc::Release>,
}

/// Builds `program` for release and checks that a unit of the oldest base can start it.
///
/// # Errors
///
/// When it does not build, or still needs more than the oldest unit has.
pub fn build(workspace: &Workspace, program: Program, link: Link) -> Result<Built> {
    // Before anything else: the folders of the registry must be there to be remapped.
    cargo(workspace, "fetch")
        .arg("--locked")
        .show()
        .context("fetching the dependencies")?;
    if link == Link::HostFirst {
        let path = compile(cargo(workspace, "build"), workspace, program, &host()?)?;
        let needs = Needs::of(&path)?;
        match needs.gate(glibc::FLOOR) {
            Ok(()) => return Ok(built(path, &needs)),
            Err(error) => println!("{}: {error}. Linking against the old glibc", program.bin),
        }
    }
    let mut zigbuild = cargo(workspace, "zigbuild");
    tools::zig::put_on_path(workspace, &mut zigbuild)?;
    // A target directory of its own: the other linker's output must not be taken for this one's.
    zigbuild.env("CARGO_TARGET_DIR", zig_target_dir(workspace));
    let target = format!("{}.{}", host()?, glibc::FLOOR);
    let path = compile(zigbuild, workspace, program, &target)?;
    let needs = Needs::of(&path)?;
    needs
        .gate(glibc::FLOOR)
        .with_context(|| format!("{} cannot be shipped", path.display()))?;
    Ok(built(path, &needs))
}

fn built(path: PathBuf, needs: &Needs) -> Built {
    let needs = needs.newest();
    Built { path, needs }
}

/// The Debian name of the architecture that is built for, as Juju has it.
///
/// # Errors
///
/// When Juju has no machines of that kind.
pub fn architecture() -> Result<&'static str> {
    debian_architecture(&host()?)
}

fn debian_architecture(target: &str) -> Result<&'static str> {
    match target.split('-').next() {
        Some("x86_64") => Ok("amd64"),
        Some("aarch64") => Ok("arm64"),
        Some("powerpc64le") => Ok("ppc64el"),
        Some("riscv64gc") => Ok("riscv64"),
        Some("s390x") => Ok("s390x"),
        _ => bail!("Juju has no machines for the target {target}"),
    }
}

/// The target triple of this machine: programs are built for the kind of machine that builds them.
fn host() -> Result<String> {
    rustc_says("host: ")
}

fn rustc_says(key: &str) -> Result<String> {
    let version = Command::new("rustc").arg("-vV").capture()?;
    version
        .lines()
        .find_map(|line| line.strip_prefix(key))
        .map(str::to_owned)
        .with_context(|| format!("`rustc -vV` does not say `{key}`"))
}

fn cargo(workspace: &Workspace, verb: &str) -> Command {
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(workspace.root())
        .env("CARGO_TARGET_DIR", workspace.cargo_target_dir())
        .arg(verb);
    cargo
}

fn zig_target_dir(workspace: &Workspace) -> PathBuf {
    workspace.cargo_target_dir().join("zig")
}

/// Runs one of cargo's building commands and returns the executable that it made.
fn compile(mut cargo: Command, ws: &Workspace, program: Program, target: &str) -> Result<PathBuf> {
    cargo
        .args(["--release", "--locked", "--target", target])
        .args(["--package", program.package, "--bin", program.bin])
        .arg("--message-format=json-render-diagnostics");
    forget_the_machine(ws, &mut cargo)?;
    let messages = cargo.show_and_capture()?;
    executable(&messages, program.bin)
        .with_context(|| format!("cargo built no executable of the name {}", program.bin))
}

/// The executable of `bin` among cargo's messages
/// (<https://doc.rust-lang.org/cargo/reference/external-tools.html#json-messages>).
fn executable(messages: &str, bin: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == bin)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

/// Keeps the paths of this machine out of the program, and the flags of this shell out of the build.
///
/// Rust puts source paths into panic messages. They are mapped to paths that are the same everywhere; a registry's
/// folder loses its name too, which differs where a mirror stands in for crates.io. (The C of the dependencies is
/// built without debug information and assertions, and has no paths.)
fn forget_the_machine(workspace: &Workspace, cargo: &mut Command) -> Result<()> {
    let mut maps = vec![
        (workspace.root().to_owned(), "/charm".to_owned()),
        (
            workspace.cargo_target_dir().to_owned(),
            "/charm/target".to_owned(),
        ),
        (zig_target_dir(workspace), "/charm/target".to_owned()),
    ];
    let cargo_home = cargo_home()?;
    maps.push((cargo_home.clone(), "/cargo".to_owned()));
    for registry in folders(&cargo_home.join("registry/src"))? {
        maps.push((registry, "/cargo/registry".to_owned()));
    }
    // With the component rust-src the standard library's own paths become those of this machine.
    let sysroot = Command::new("rustc")
        .args(["--print", "sysroot"])
        .capture()?;
    maps.push((
        Path::new(sysroot.trim()).join("lib/rustlib/src/rust"),
        format!("/rustc/{}", rustc_says("commit-hash: ")?),
    ));

    // The last map that fits wins, so the inner folders come later.
    let mut flags = Vec::new();
    for (from, to) in &maps {
        let from = from
            .to_str()
            .with_context(|| format!("{} is not UTF-8", from.display()))?;
        flags.push(format!("--remap-path-prefix={from}={to}"));
    }
    cargo
        .env_remove("CFLAGS")
        .env_remove("RUSTFLAGS")
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    Ok(())
}

fn cargo_home() -> Result<PathBuf> {
    if let Some(home) = std::env::var_os("CARGO_HOME") {
        return Ok(PathBuf::from(home));
    }
    let home = std::env::home_dir().context("neither CARGO_HOME nor HOME is set")?;
    Ok(home.join(".cargo"))
}

/// The folders in `parent`, in the order of their names; none when there is no such place.
fn folders(parent: &Path) -> Result<Vec<PathBuf>> {
    if !parent.exists() {
        return Ok(Vec::new());
    }
    let listing = || format!("listing {}", parent.display());
    let mut found = Vec::new();
    for entry in parent.read_dir().with_context(listing)? {
        let path = entry.with_context(listing)?.path();
        if path.is_dir() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_found_among_cargos_messages() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"anyhow"},"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"tool"},"executable":"/t/tool"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        assert_eq!(executable(messages, "tool"), Some(PathBuf::from("/t/tool")));
        assert_eq!(executable(messages, "anyhow"), None);
        assert_eq!(executable(messages, "other"), None);
    }

    #[test]
    fn architectures_have_the_names_that_juju_uses() {
        for (target, expected) in [
            ("x86_64-unknown-linux-gnu", "amd64"),
            ("aarch64-unknown-linux-gnu", "arm64"),
            ("s390x-unknown-linux-gnu", "s390x"),
        ] {
            assert_eq!(debian_architecture(target).unwrap(), expected);
        }
        assert!(debian_architecture("wasm32-unknown-unknown").is_err());
    }

    #[test]
    fn no_path_of_this_machine_goes_unmapped() {
        let root = tempfile::tempdir().unwrap();
        let mut cargo = Command::new("cargo");
        forget_the_machine(&Workspace::at(root.path()), &mut cargo).unwrap();
        let flags = cargo
            .get_envs()
            .find(|(key, _)| *key == "CARGO_ENCODED_RUSTFLAGS")
            .and_then(|(_, value)| value)
            .unwrap()
            .to_string_lossy()
            .into_owned();
        let mapped: Vec<&str> = flags.split('\u{1f}').collect();
        let workspace = format!("--remap-path-prefix={}=/charm", root.path().display());
        assert_eq!(mapped.first(), Some(&workspace.as_str()));
        let home = format!(
            "--remap-path-prefix={}=/cargo",
            cargo_home().unwrap().display()
        );
        assert!(mapped.contains(&home.as_str()), "{mapped:?}");
    }
}
