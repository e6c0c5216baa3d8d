//! Builds a program of this workspace so that it runs on every unit, whatever machine built it.
//!
//! Plain cargo first. When the host's glibc is too new for the units, again with zig as the linker, which brings the
//! old glibc along. Both results are checked. The bytes do not depend on the directory of the build.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use xshell::cmd;

use crate::glibc::{self, Needs};
use crate::tools;
use crate::workspace::Workspace;

/// A cargo package and a binary target in it.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    pub package: &'static str,
    pub bin: &'static str,
}

/// The charm itself.
pub const CHARM: Program = Program { package: "magnum-capi-helm", bin: "magnum-capi-helm" };

/// The glibc that a program is linked against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// The host's where that is old enough, else the units' one.
    HostFirst,
    /// The units' one at once.
    OldGlibc,
}

/// An executable that a unit of the oldest base can start.
#[derive(Debug)]
pub struct Built {
    pub path: PathBuf,
    /// The newest glibc it needs.
    pub glibc: Option<glibc::Release>,
}

/// Builds `program` for release and checks that a unit of the oldest base can start it.
pub fn build(workspace: &Workspace, program: Program, link: Link) -> Result<Built> {
    // First, because the registry's directories must exist to be remapped.
    cmd!(workspace.sh, "cargo fetch --locked").run()?;
    let host = rustc_field(workspace, "host: ")?;
    if link == Link::HostFirst {
        let plain = Compiler {
            verb: "build",
            target: host.clone(),
            target_dir: workspace.target.clone(),
            path: std::env::var_os("PATH").unwrap_or_default(),
        };
        let path = plain.compile(workspace, program)?;
        let needs = Needs::of(&path)?;
        match needs.check(glibc::OLDEST) {
            Ok(()) => return Ok(built(path, &needs)),
            Err(error) => println!("{}: {error}. Linking against the old glibc", program.bin),
        }
    }
    let zig = Compiler {
        verb: "zigbuild",
        target: format!("{host}.{}", glibc::OLDEST),
        // A directory of its own: cargo would take the other linker's output for this one's.
        target_dir: workspace.target.join("zig"),
        path: tools::path_with_zig(workspace)?,
    };
    let path = zig.compile(workspace, program)?;
    let needs = Needs::of(&path)?;
    needs.check(glibc::OLDEST).with_context(|| format!("{} cannot be shipped", path.display()))?;
    Ok(built(path, &needs))
}

fn built(path: PathBuf, needs: &Needs) -> Built {
    let glibc = needs.newest();
    Built { path, glibc }
}

/// Returns Juju's name of this machine's architecture, which is the one built for.
pub fn architecture(workspace: &Workspace) -> Result<&'static str> {
    let host = rustc_field(workspace, "host: ")?;
    match host.split('-').next() {
        Some("x86_64") => Ok("amd64"),
        Some("aarch64") => Ok("arm64"),
        Some("powerpc64le") => Ok("ppc64el"),
        Some("riscv64gc") => Ok("riscv64"),
        Some("s390x") => Ok("s390x"),
        _ => bail!("Juju has no machines for the target {host}"),
    }
}

/// Returns a field of what `rustc -vV` prints.
pub fn rustc_field(workspace: &Workspace, key: &str) -> Result<String> {
    let version = cmd!(workspace.sh, "rustc -vV").read()?;
    version
        .lines()
        .find_map(|line| line.strip_prefix(key))
        .map(str::to_owned)
        .with_context(|| format!("`rustc -vV` has no line `{key}`"))
}

/// One of cargo's building commands.
struct Compiler {
    verb: &'static str,
    target: String,
    target_dir: PathBuf,
    path: OsString,
}

impl Compiler {
    /// Compiles `program` and returns its executable.
    fn compile(&self, workspace: &Workspace, program: Program) -> Result<PathBuf> {
        let Self { verb, target, .. } = self;
        let Program { package, bin } = program;
        println!("building {bin} for {target}");
        let messages = cmd!(
            workspace.sh,
            "cargo {verb} --release --locked --target {target} --package {package} --bin {bin}
             --message-format=json-render-diagnostics"
        )
        .env("PATH", &self.path)
        .env("CARGO_TARGET_DIR", &self.target_dir)
        .env("CARGO_ENCODED_RUSTFLAGS", self.flags(workspace)?)
        // The flags of this shell must not change the bytes.
        .env_remove("RUSTFLAGS")
        .env_remove("CFLAGS")
        .read()?;
        artifacts(&messages)
            .find(|artifact| artifact.target.name == bin)
            .map(|artifact| artifact.executable)
            .with_context(|| format!("cargo built no executable `{bin}`"))
    }

    /// Flags that keep this machine's paths out of the program, and tables that nobody reads: a panic ends it at once.
    ///
    /// Rust puts source paths into panic messages. The flags map them to paths that are the same everywhere, without
    /// the name of a registry's directory, which differs where a mirror stands in for crates.io. (The C of the
    /// dependencies is built without debug information and assertions, and has no paths.)
    fn flags(&self, workspace: &Workspace) -> Result<OsString> {
        let cargo_home = match std::env::var_os("CARGO_HOME") {
            Some(home) => PathBuf::from(home),
            None => std::env::home_dir().context("neither CARGO_HOME nor HOME is set")?.join(".cargo"),
        };
        let mut maps = vec![
            (workspace.root.clone(), "/charm".to_owned()),
            (self.target_dir.clone(), "/charm/target".to_owned()),
            (cargo_home.clone(), "/cargo".to_owned()),
        ];
        let registries = cargo_home.join("registry/src");
        if registries.exists() {
            for registry in workspace.sh.read_dir(&registries)? {
                maps.push((registry, "/cargo/registry".to_owned()));
            }
        }
        // With the component rust-src the standard library's own paths become those of this machine.
        let sysroot = cmd!(workspace.sh, "rustc --print sysroot").read()?;
        let commit = rustc_field(workspace, "commit-hash: ")?;
        maps.push((Path::new(&sysroot).join("lib/rustlib/src/rust"), format!("/rustc/{commit}")));

        // rustc takes the last map that fits, so the inner directories come later.
        let mut flags = vec![OsString::from("-Cforce-unwind-tables=no")];
        if self.verb == "build" {
            // One library fewer for the loader at each start; zig brings its own.
            flags.push("-lstatic:-bundle=gcc_eh".into());
        }
        for (from, to) in maps {
            let mut flag = OsString::from("--remap-path-prefix=");
            flag.push(from);
            flag.push(format!("={to}"));
            flags.push(flag);
        }
        Ok(flags.join("\u{1f}".as_ref()))
    }
}

/// A message of cargo about an executable
/// (<https://doc.rust-lang.org/cargo/reference/external-tools.html#json-messages>).
#[derive(Debug, Deserialize)]
pub struct Artifact {
    pub target: Target,
    pub manifest_path: PathBuf,
    pub profile: Profile,
    pub executable: PathBuf,
}

#[derive(Debug, Deserialize)]
pub struct Target {
    pub name: String,
}

#[derive(Debug, Deserialize)]
pub struct Profile {
    pub test: bool,
}

/// Reads the executables from cargo's messages. Messages of other kinds lack one of the fields.
pub fn artifacts(messages: &str) -> impl Iterator<Item = Artifact> {
    let lines = messages.lines();
    lines.filter_map(|line| serde_json::from_str(line).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executables_are_found_among_cargos_messages() {
        let artifact = |name: &str, executable: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","manifest_path":"/p/Cargo.toml","target":{{"name":"{name}"}},"profile":{{"test":false}},"executable":{executable}}}"#
            )
        };
        let messages = [
            artifact("anyhow", "null"),
            artifact("tool", r#""/t/tool""#),
            r#"{"reason":"build-finished","success":true}"#.to_owned(),
        ];
        let found: Vec<Artifact> = artifacts(&messages.join("\n")).collect();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].executable, Path::new("/t/tool"));
    }
}
