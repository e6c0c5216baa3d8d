//! What a charm consists of: reads the project, judges it by Juju's rules, and lists what goes into the archive.
//!
//! Nothing is written here, so that a charm that Juju would refuse never comes to be.

pub mod archive;
mod hooks;
mod platforms;
mod rules;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_yaml::{Mapping, Value};

use self::archive::{Content, Entry};
use self::platforms::Platforms;

/// The files that say what the charm is. They go into the charm as they stand.
const METADATA: &str = "metadata.yaml";
const CONFIG: &str = "config.yaml";
const ACTIONS: &str = "actions.yaml";

/// How charmcraft builds the charm, and for what. Not part of the charm.
const CHARMCRAFT: &str = "charmcraft.yaml";

/// For people who look into the charm. The license asks to be handed on with every copy.
const PAPERS: [&str; 2] = ["LICENSE", "README.md"];

/// A charm that is ready to be written.
#[derive(Debug)]
pub struct Charm {
    /// `NAME_BASE-ARCHITECTURE.charm`, as charmcraft names it, with the oldest base.
    pub file_name: String,
    /// What is in it, in no particular order.
    pub entries: Vec<Entry>,
}

/// Puts the charm together from the project at `root` and the built program `dispatch`.
///
/// # Errors
///
/// When a file is missing or Juju or charmcraft would refuse what it says; names every fault at once.
pub fn assemble(root: &Path, dispatch: Vec<u8>, architecture: &str) -> Result<Charm> {
    let metadata = mapping(root, METADATA)?;
    let config = mapping(root, CONFIG)?;
    let actions = mapping(root, ACTIONS)?;
    let charmcraft = mapping(root, CHARMCRAFT)?;

    let mut faults = rules::faults(&rules::Declared {
        metadata: &metadata,
        config: &config,
        actions: &actions,
        charmcraft: &charmcraft,
    });
    let links = hooks::read(&root.join("hooks"))?;
    faults.extend(hooks::faults(&links, &rules::endpoints(&metadata)));

    let mut entries = vec![Entry::new("dispatch", Content::Program(dispatch))];
    for hook in links {
        entries.push(Entry::new(
            format!("hooks/{}", hook.name),
            Content::Link(hook.target),
        ));
    }
    let papers = PAPERS.into_iter().filter(|name| root.join(name).exists());
    for name in [METADATA, CONFIG, ACTIONS].into_iter().chain(papers) {
        let content = read(root, name)?.into_bytes();
        entries.push(Entry::new(name, Content::File(content)));
    }
    if !root.join("LICENSE").exists() {
        faults.push("LICENSE: missing".to_owned());
    }
    faults.extend(archive::faults(&entries));

    let platforms = Platforms::parse(&charmcraft)?.of_architecture(architecture)?;
    let manifest = platforms.manifest()?.into_bytes();
    entries.push(Entry::new("manifest.yaml", Content::File(manifest)));

    if !faults.is_empty() {
        bail!(
            "the charm is not fit to be packed:\n  {}",
            faults.join("\n  ")
        );
    }
    let name = metadata
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let file_name = format!("{name}_{}.charm", platforms.oldest()?);
    Ok(Charm { file_name, entries })
}

/// A file of the project that holds a YAML mapping; an empty file holds an empty one.
fn mapping(root: &Path, name: &str) -> Result<Mapping> {
    match serde_yaml::from_str(&read(root, name)?).with_context(|| format!("parsing {name}"))? {
        Value::Mapping(mapping) => Ok(mapping),
        Value::Null => Ok(Mapping::new()),
        _ => bail!("{name}: not a mapping"),
    }
}

fn read(root: &Path, name: &str) -> Result<String> {
    let path = root.join(name);
    fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const ELF: &[u8] = b"\x7fELF and the rest";

    /// A project that is fit to be packed.
    fn project() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for (name, text) in [
            (
                METADATA,
                "name: graft\nsummary: s\ndescription: d\nsubordinate: true\n\
                 requires:\n  host:\n    interface: juju-info\n    scope: container\n",
            ),
            (
                CONFIG,
                "options:\n  pin:\n    type: string\n    description: d\n    default: a==1\n",
            ),
            (
                ACTIONS,
                "verify:\n  description: d\n  additionalProperties: false\n",
            ),
            (
                CHARMCRAFT,
                "type: charm\nplatforms:\n  ubuntu@24.04:amd64:\n  ubuntu@22.04:amd64:\n",
            ),
            ("LICENSE", "do as you like\n"),
        ] {
            fs::write(root.join(name), text).unwrap();
        }
        fs::create_dir(root.join("hooks")).unwrap();
        for name in hooks::expected(&["host".to_owned()]) {
            symlink("../dispatch", root.join("hooks").join(name)).unwrap();
        }
        dir
    }

    fn packed(root: &Path) -> Vec<u8> {
        let charm = assemble(root, ELF.to_vec(), "amd64").unwrap();
        archive::write(charm.entries).unwrap()
    }

    fn fault(root: &Path) -> String {
        let error = assemble(root, ELF.to_vec(), "amd64").unwrap_err();
        format!("{error:#}")
    }

    #[test]
    fn the_file_is_named_after_the_oldest_base() {
        let charm = assemble(project().path(), ELF.to_vec(), "amd64").unwrap();
        assert_eq!(charm.file_name, "graft_ubuntu-22.04-amd64.charm");
    }

    #[test]
    fn the_same_project_gives_the_same_bytes_wherever_and_whenever_it_stands() {
        let (one, other) = (project(), project());
        // The second one's files are older, and closed to others.
        for name in [METADATA, CONFIG, "LICENSE"] {
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
    fn every_fault_is_named_at_once() {
        let dir = project();
        fs::write(dir.path().join(CONFIG), "options: {a: {type: text}}\n").unwrap();
        fs::remove_file(dir.path().join("hooks/start")).unwrap();
        fs::remove_file(dir.path().join("LICENSE")).unwrap();
        let fault = fault(dir.path());
        for part in ["option `a`", "hooks/start: missing", "LICENSE: missing"] {
            assert!(fault.contains(part), "{part} is not in {fault}");
        }
    }

    #[test]
    fn a_file_that_is_not_yaml_is_named() {
        let dir = project();
        fs::write(dir.path().join(ACTIONS), "verify: [\n").unwrap();
        assert!(fault(dir.path()).starts_with("parsing actions.yaml: "));
        fs::write(dir.path().join(ACTIONS), "verify: {}\nverify: {}\n").unwrap();
        assert!(
            fault(dir.path()).contains("duplicate"),
            "{}",
            fault(dir.path())
        );
        fs::write(dir.path().join(ACTIONS), "- verify\n").unwrap();
        assert_eq!(fault(dir.path()), "actions.yaml: not a mapping");
    }

    #[test]
    fn a_charm_for_an_architecture_that_was_not_declared_is_refused() {
        let error = assemble(project().path(), ELF.to_vec(), "s390x").unwrap_err();
        assert!(
            error.to_string().contains("no platform for s390x"),
            "{error}"
        );
    }
}
