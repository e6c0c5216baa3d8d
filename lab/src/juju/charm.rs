//! A packed charm: what its files declare, and how it is unpacked on a unit.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Read};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;
use zip::ZipArchive;

use super::options::Options;
use crate::machine::Machine;

/// A `.charm` file, read and understood.
#[derive(Debug, Clone)]
pub(crate) struct Charm {
    /// The archive itself: the file may be gone by the time a unit is added.
    archive: Arc<[u8]>,
    name: String,
    pub(crate) options: Options,
    /// Resource name → its file name.
    pub(crate) resources: BTreeMap<String, String>,
    pub(crate) actions: BTreeMap<String, Value>,
    pub(crate) endpoints: Vec<String>,
    /// The endpoint between the units.
    pub(crate) peers: Option<String>,
    /// The endpoint to the principal: the container-scoped `requires` of a subordinate.
    pub(crate) principal_endpoint: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    name: String,
    #[serde(default)]
    subordinate: bool,
    #[serde(default)]
    requires: BTreeMap<String, Value>,
    #[serde(default)]
    provides: BTreeMap<String, Value>,
    #[serde(default)]
    peers: BTreeMap<String, Value>,
    #[serde(default)]
    resources: BTreeMap<String, Resource>,
}

#[derive(Debug, Deserialize)]
struct Resource {
    #[serde(default)]
    filename: String,
}

/// Symbolic links in a zip's Unix mode.
const LINK: u32 = 0o120_000;
const KIND: u32 = 0o170_000;

impl Charm {
    pub(crate) fn open(file: &Path) -> Result<Self> {
        Self::read(file).with_context(|| format!("charm {}", file.display()))
    }

    fn read(file: &Path) -> Result<Self> {
        let bytes: Arc<[u8]> = fs::read(file)?.into();
        let mut archive = ZipArchive::new(Cursor::new(Arc::clone(&bytes)))?;
        let metadata = text(&mut archive, "metadata.yaml")?.context("no metadata.yaml")?;
        let metadata: Metadata = serde_yaml::from_str(&metadata).context("metadata.yaml")?;
        ensure!(text(&mut archive, "manifest.yaml")?.is_some(), "no manifest.yaml");
        let options = match text(&mut archive, "config.yaml")? {
            Some(config) => Options::parse(&config)?,
            None => Options::default(),
        };
        let actions = match text(&mut archive, "actions.yaml")? {
            Some(actions) => serde_yaml::from_str(&actions).context("actions.yaml")?,
            None => BTreeMap::new(),
        };
        let in_container = |value: &Value| value.get("scope") == Some(&Value::from("container"));
        let principal = metadata.requires.iter().find(|(_, endpoint)| in_container(endpoint));
        let principal_endpoint = principal.filter(|_| metadata.subordinate).map(|(name, _)| name.clone());
        ensure!(
            !metadata.subordinate || principal_endpoint.is_some(),
            "subordinate {} has no requires endpoint of scope container",
            metadata.name
        );
        let endpoints = [&metadata.requires, &metadata.provides, &metadata.peers];
        Ok(Self {
            archive: bytes,
            name: metadata.name,
            options,
            resources: metadata.resources.into_iter().map(|(name, resource)| (name, resource.filename)).collect(),
            actions,
            peers: metadata.peers.keys().next().cloned(),
            endpoints: endpoints.into_iter().flat_map(BTreeMap::keys).cloned().collect(),
            principal_endpoint,
        })
    }

    /// Unpack into `directory` on a machine as Juju does, and return the names of the files: modes and
    /// links as the zip has them, hooks made executable; files of the `previous` charm that this one
    /// has not are removed, what the charm itself made stays.
    pub(crate) fn unpack(&self, machine: &Machine, directory: &str, previous: &[String]) -> Result<Vec<String>> {
        let (names, archive) = self.as_tar()?;
        let mut remove = vec!["rm", "-f", "--"];
        let gone: Vec<String> = previous.iter().map(|name| format!("{directory}/{name}")).collect();
        remove.extend(gone.iter().map(String::as_str));
        let removed = machine.run(&remove)?;
        ensure!(removed.ok(), "{}", removed.stderr);
        machine.shell(&format!("mkdir -p {directory}"))?;
        let extract = ["tar", "--extract", "--preserve-permissions", "--directory", directory];
        let extracted = machine.run_with_input(&extract, Some(&archive))?;
        ensure!(extracted.ok(), "unpacking the charm: {}", extracted.stderr);
        self.leave_url(machine, &format!("{directory}/.juju-charm"))?;
        Ok(names)
    }

    /// The names of the charm's files, and all of it as a tar archive of root's: a unit has no `unzip`.
    fn as_tar(&self) -> Result<(Vec<String>, Vec<u8>)> {
        let mut zip = ZipArchive::new(Cursor::new(Arc::clone(&self.archive)))?;
        let mut tar = tar::Builder::new(Vec::new());
        let mut names = Vec::new();
        for index in 0..zip.len() {
            let mut entry = zip.by_index(index)?;
            let name = entry.name().trim_end_matches('/').to_owned();
            ensure!(entry.enclosed_name().is_some(), "{name:?} leads out of the charm");
            let mode = entry.unix_mode().unwrap_or(0o644);
            let mut header = tar::Header::new_gnu();
            if entry.is_dir() {
                header.set_entry_type(tar::EntryType::Directory);
                header.set_mode(0o755);
                tar.append_data(&mut header, &name, [].as_slice())?;
                continue;
            }
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            if mode & KIND == LINK {
                let target = String::from_utf8(content)?;
                ensure!(!target.starts_with('/'), "{name} is an absolute link: {target}");
                header.set_entry_type(tar::EntryType::Symlink);
                tar.append_link(&mut header, &name, target)?;
            } else {
                let is_hook = name.strip_prefix("hooks/").is_some_and(|hook| !hook.contains('/'));
                header.set_mode(mode & 0o777 | if is_hook { 0o100 } else { 0 });
                header.set_size(content.len() as u64);
                tar.append_data(&mut header, &name, content.as_slice())?;
            }
            names.push(name);
        }
        Ok((names, tar.into_inner()?))
    }

    /// The charm's address with its revision, as Juju's deployer leaves it beside what it unpacks. Of a
    /// local charm the revision counts up with each refresh.
    fn leave_url(&self, machine: &Machine, path: &str) -> Result<()> {
        let before = match machine.exists(path)? {
            true => machine.read_text(path)?,
            false => String::new(),
        };
        let revision = before.trim().rsplit('-').next().unwrap_or_default();
        let next = revision.parse().map_or(0, |revision: u32| revision + 1);
        let url = format!("local:{}-{next}\n", self.name);
        machine.push(path, url.as_bytes(), 0o644)
    }
}

fn text(archive: &mut ZipArchive<Cursor<Arc<[u8]>>>, name: &str) -> Result<Option<String>> {
    let mut entry = match archive.by_name(name) {
        Ok(entry) => entry,
        Err(zip::result::ZipError::FileNotFound) => return Ok(None),
        Err(error) => return Err(error).with_context(|| name.to_owned()),
    };
    let mut content = String::new();
    entry.read_to_string(&mut content).with_context(|| name.to_owned())?;
    Ok(Some(content))
}

#[cfg(test)]
impl Charm {
    /// A charm of no file, for tests of what only needs its declarations.
    pub(crate) fn for_tests(options: Options, resources: &[(&str, &str)]) -> Self {
        let named = resources.iter().map(|(name, file)| ((*name).to_owned(), (*file).to_owned()));
        Self {
            name: "example".to_owned(),
            archive: Arc::new([]),
            options,
            resources: named.collect(),
            actions: BTreeMap::new(),
            endpoints: vec!["magnum".into(), "cluster".into()],
            peers: Some("cluster".into()),
            principal_endpoint: Some("magnum".into()),
        }
    }
}
