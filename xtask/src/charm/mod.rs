//! The content of a charm: reads the project, checks it by Juju's rules, and lists what goes into the archive.
//!
//! Nothing is written here, so that no charm is made that Juju would refuse.

pub mod archive;
mod hooks;
mod manifest;
mod rules;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::de::DeserializeOwned;
use serde_yaml::Value;

use self::archive::{Content, Entry};
use self::manifest::{Charmcraft, Manifest};
use self::rules::{Actions, Config, Metadata};

const METADATA: &str = "metadata.yaml";
const CONFIG: &str = "config.yaml";
const ACTIONS: &str = "actions.yaml";

/// How charmcraft builds the charm, and for what. Not part of the charm.
const CHARMCRAFT: &str = "charmcraft.yaml";

/// The files that go into the charm unchanged. The license requires its text with every copy.
const FILES: [&str; 5] = [METADATA, CONFIG, ACTIONS, "LICENSE", "README.md"];

/// A charm that is ready to be written.
#[derive(Debug)]
pub struct Charm {
    /// `NAME_BASE-ARCHITECTURE.charm`, as charmcraft names it, with the oldest base.
    pub file_name: String,
    pub entries: Vec<Entry>,
}

/// Assembles the charm from the project at `root` and the built program `dispatch`.
pub fn assemble(root: &Path, dispatch: Vec<u8>, architecture: &str) -> Result<Charm> {
    let metadata: Metadata = parse(root, METADATA)?;
    metadata.check()?;
    parse::<Config>(root, CONFIG)?;
    parse::<Actions>(root, ACTIONS)?;
    let manifest = Manifest::new(parse::<Charmcraft>(root, CHARMCRAFT)?, architecture)?;
    let links = hooks::read(&root.join("hooks"))?;
    let faults = hooks::faults(&links, &hooks::expected(metadata.endpoints()));
    ensure!(faults.is_empty(), "{}", faults.join("\n"));

    let mut contents = vec![
        ("dispatch".to_owned(), Content::Program(dispatch)),
        ("manifest.yaml".to_owned(), Content::File(manifest.to_yaml()?.into_bytes())),
    ];
    for hook in links.into_keys() {
        contents.push((format!("hooks/{hook}"), Content::Link(hooks::TARGET.to_owned())));
    }
    for name in FILES {
        contents.push((name.to_owned(), Content::File(read(root, name)?.into_bytes())));
    }
    let entries = contents.into_iter().map(|(name, content)| Entry { name, content });
    Ok(Charm { file_name: format!("{}_{}.charm", metadata.name.0, manifest.oldest()?), entries: entries.collect() })
}

fn parse<T: DeserializeOwned>(root: &Path, name: &str) -> Result<T> {
    let text = read(root, name)?;
    // As a value first: that finds keys that occur twice, which a map would overlook.
    serde_yaml::from_str::<Value>(&text)
        .and_then(|_| serde_yaml::from_str(&text))
        .with_context(|| format!("parsing {name}"))
}

fn read(root: &Path, name: &str) -> Result<String> {
    fs::read_to_string(root.join(name)).with_context(|| format!("reading {name}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const ELF: &[u8] = b"\x7fELF and the rest";

    /// A project that can be packed.
    fn project() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for (name, text) in [
            (
                METADATA,
                "name: graft\nsummary: s\ndescription: d\nsubordinate: true\n\
                 requires:\n  host:\n    interface: juju-info\n    scope: container\n",
            ),
            (CONFIG, "options:\n  pin:\n    type: string\n    description: d\n    default: a==1\n"),
            (ACTIONS, "verify:\n  description: d\n  additionalProperties: false\n"),
            (CHARMCRAFT, "type: charm\nplatforms:\n  ubuntu@24.04:amd64:\n  ubuntu@22.04:amd64:\n"),
            ("LICENSE", "do as you like\n"),
            ("README.md", "# graft\n"),
        ] {
            fs::write(root.join(name), text).unwrap();
        }
        fs::create_dir(root.join("hooks")).unwrap();
        for name in hooks::expected(["host"].into_iter()) {
            symlink(hooks::TARGET, root.join("hooks").join(name)).unwrap();
        }
        dir
    }

    fn packed(root: &Path) -> Vec<u8> {
        let charm = assemble(root, ELF.to_vec(), "amd64").unwrap();
        assert_eq!(charm.file_name, "graft_ubuntu-22.04-amd64.charm");
        archive::write(charm.entries).unwrap()
    }

    #[test]
    fn the_same_project_gives_the_same_bytes_wherever_and_whenever_it_is_packed() {
        let (one, other) = (project(), project());
        // The second one's files are older, and closed to others.
        for name in FILES {
            let file = fs::File::open(other.path().join(name)).unwrap();
            file.set_modified(std::time::UNIX_EPOCH).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            file.set_permissions(mode).unwrap();
        }
        assert_eq!(packed(one.path()), packed(other.path()));
        fs::write(other.path().join("LICENSE"), "other terms\n").unwrap();
        assert_ne!(packed(one.path()), packed(other.path()));
    }

    #[test]
    fn a_fault_is_refused_with_its_file_and_place() {
        for (name, text, expected) in [
            (CONFIG, "options: {a: {type: text}}\n", "parsing config.yaml: options.a"),
            (ACTIONS, "verify: [\n", "parsing actions.yaml: "),
            (ACTIONS, "verify: {}\nverify: {}\n", "duplicate"),
            (CHARMCRAFT, "platforms: {amd64: }\n", "parsing charmcraft.yaml: platforms"),
        ] {
            let dir = project();
            fs::write(dir.path().join(name), text).unwrap();
            let error = assemble(dir.path(), ELF.to_vec(), "amd64").unwrap_err();
            assert!(format!("{error:#}").contains(expected), "{expected}: {error:#}");
        }
        let dir = project();
        fs::remove_file(dir.path().join("hooks/start")).unwrap();
        let error = assemble(dir.path(), ELF.to_vec(), "amd64").unwrap_err();
        assert!(error.to_string().contains("hooks/start: missing"), "{error}");
    }
}
