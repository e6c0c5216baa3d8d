//! User secrets: content by revision, who may read them, and which revision each unit tracks.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};

/// Content of one revision, by key.
type Content = BTreeMap<String, String>;

/// `secret:` and the id of 20 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretUri(String);

impl SecretUri {
    #[must_use]
    pub fn id(&self) -> &str {
        self.0.trim_start_matches("secret:")
    }
}

impl std::fmt::Display for SecretUri {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for SecretUri {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// The id in `secret:ID`, `secret://MODEL/ID` or `ID`.
pub(crate) fn parse_uri(text: &str) -> Option<String> {
    let rest = text.strip_prefix("secret:").unwrap_or(text);
    let id = match rest.strip_prefix("//") {
        Some(rest) => rest.split_once('/')?.1,
        None => rest,
    };
    let legal = |c: char| c.is_ascii_digit() || ('a'..='v').contains(&c);
    (id.len() == 20 && id.chars().all(legal)).then(|| id.to_owned())
}

/// All secrets of a model, as one application sees them.
#[derive(Debug, Default)]
pub(crate) struct Secrets {
    secrets: BTreeMap<String, Secret>,
}

#[derive(Debug)]
struct Secret {
    name: String,
    revisions: Vec<Content>,
    granted: bool,
    /// By unit, the revision it tracks, counted from 1.
    tracked: BTreeMap<String, usize>,
}

impl Secrets {
    /// `juju add-secret`: not granted to anybody yet.
    pub(crate) fn add(&mut self, name: &str, content: Content) -> Result<SecretUri> {
        ensure!(!self.secrets.values().any(|secret| secret.name == name), "secret with name {name:?} already exists");
        ensure!(!content.is_empty(), "missing secret value or filename");
        let id = super::random_id(20);
        let secret = Secret { name: name.into(), revisions: vec![content], granted: false, tracked: BTreeMap::new() };
        self.secrets.insert(id.clone(), secret);
        Ok(SecretUri(format!("secret:{id}")))
    }

    /// `juju update-secret`: the units that get `secret-changed`. The same content is no new revision.
    pub(crate) fn update(&mut self, uri: &SecretUri, content: Content) -> Result<BTreeSet<String>> {
        let secret = self.get_mut(uri.id())?;
        if secret.revisions.last() == Some(&content) {
            return Ok(BTreeSet::new());
        }
        secret.revisions.push(content);
        Ok(if secret.granted { secret.tracked.keys().cloned().collect() } else { BTreeSet::new() })
    }

    /// `juju grant-secret` and `juju revoke-secret`. Neither fires a hook.
    pub(crate) fn set_granted(&mut self, uri: &SecretUri, granted: bool) -> Result<()> {
        self.get_mut(uri.id())?.granted = granted;
        Ok(())
    }

    /// `juju remove-secret`.
    pub(crate) fn remove(&mut self, uri: &SecretUri) -> Result<()> {
        self.secrets.remove(uri.id()).map(drop).with_context(|| not_found(uri.id()))
    }

    /// The revision that `unit` gets for `id`: the one it tracks, which is the latest at its first reading and from
    /// each `refresh` on. In Juju's words when it gets nothing.
    pub(crate) fn read(&mut self, unit: &str, id: &str, refresh: bool) -> Result<Content> {
        let secret = self.get_mut(id)?;
        ensure!(secret.granted, "permission denied");
        let latest = secret.revisions.len();
        let tracked = secret.tracked.entry(unit.to_owned()).or_insert(latest);
        if refresh {
            *tracked = latest;
        }
        let content = secret.revisions.get(*tracked - 1);
        content.cloned().with_context(|| not_found(id))
    }

    fn get_mut(&mut self, id: &str) -> Result<&mut Secret> {
        self.secrets.get_mut(id).with_context(|| not_found(id))
    }
}

pub(crate) fn not_found(id: &str) -> String {
    format!("secret {id:?} not found")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(value: &str) -> Content {
        BTreeMap::from([("kubeconfig".to_owned(), value.to_owned())])
    }

    #[test]
    fn a_secret_must_be_granted_and_there() {
        let mut secrets = Secrets::default();
        let uri = secrets.add("capi", content("a")).unwrap();
        assert_eq!(parse_uri(uri.as_ref()).as_deref(), Some(uri.id()));
        let read = |secrets: &mut Secrets| secrets.read("u/0", uri.id(), false).map_err(|e| e.to_string());
        assert_eq!(read(&mut secrets), Err("permission denied".into()));
        secrets.set_granted(&uri, true).unwrap();
        assert_eq!(read(&mut secrets), Ok(content("a")));
        secrets.set_granted(&uri, false).unwrap();
        assert_eq!(read(&mut secrets), Err("permission denied".into()));
        secrets.remove(&uri).unwrap();
        assert_eq!(read(&mut secrets), Err(format!("secret \"{}\" not found", uri.id())));
    }

    #[test]
    fn a_unit_keeps_its_revision_until_it_refreshes() {
        let mut secrets = Secrets::default();
        let uri = secrets.add("capi", content("a")).unwrap();
        secrets.set_granted(&uri, true).unwrap();
        assert!(secrets.update(&uri, content("b")).unwrap().is_empty(), "nobody has read it");
        let mut read = |refresh| secrets.read("u/0", uri.id(), refresh).unwrap();
        assert_eq!(read(false), content("b"), "the latest at the first reading");
        let told = BTreeSet::from(["u/0".to_owned()]);
        assert_eq!(secrets.update(&uri, content("c")).unwrap(), told);
        assert!(secrets.update(&uri, content("c")).unwrap().is_empty(), "no new revision");
        let mut read = |refresh| secrets.read("u/0", uri.id(), refresh).unwrap();
        assert_eq!([false, true, false].map(&mut read), ["b", "c", "c"].map(content));
    }

    #[test]
    fn uris_come_in_three_shapes() {
        let id = "9m4e2mr0ui3e8a215n4g";
        for text in [id.to_owned(), format!("secret:{id}"), format!("secret://4f0e/{id}")] {
            assert_eq!(parse_uri(&text).as_deref(), Some(id), "{text}");
        }
        for text in ["", "secret:", "secret:capi-mgmt", "secret:9m4e2mr0ui3e8a215n4z", "9m4e"] {
            assert_eq!(parse_uri(text), None, "{text}");
        }
    }
}
