//! A kubeconfig's document: where its current context leads.
//!
//! The fields are those that the charm needs. The driver and helm read the same file with parsers of their own, and
//! are asked about it ([`super::programs`]). No value goes into a message: names of fields do, and places.

use std::path::Path;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde_yaml::Value;
use url::Url;

use super::usable::ReadFile;
use super::{KubeconfigFault, fault};
use crate::system::limits::is_modest_yaml;

/// Kubernetes keeps a secret to 1 MiB, and Juju to less.
const SIZE_LIMIT: usize = 1 << 20;
/// The longest address of a server; it is shown to people.
const SERVER_LIMIT: usize = 300;
/// base64 as Go and Python read it: padded, and trailing bits without a meaning are let pass.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical)
        .with_decode_allow_trailing_bits(true),
);

/// Where the current context leads.
pub struct Target {
    /// The API server's address, which may hold credentials.
    pub server: Url,
    pub cluster: Cluster,
    pub user: User,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Document {
    #[serde(rename = "apiVersion")]
    api_version: Option<String>,
    kind: Option<String>,
    current_context: Option<String>,
    contexts: Option<Vec<Named<Context>>>,
    clusters: Option<Vec<Named<Cluster>>>,
    users: Option<Vec<Named<User>>>,
}

#[derive(Deserialize)]
struct Named<T> {
    name: Option<String>,
    #[serde(alias = "context", alias = "cluster", alias = "user")]
    content: Option<T>,
}

#[derive(Deserialize)]
struct Context {
    cluster: Option<String>,
    user: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Cluster {
    server: Option<String>,
    pub certificate_authority: Option<String>,
    pub certificate_authority_data: Option<String>,
    insecure_skip_tls_verify: Option<Value>,
    proxy_url: Option<Value>,
    tls_server_name: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct User {
    pub client_certificate: Option<String>,
    pub client_certificate_data: Option<String>,
    pub client_key: Option<String>,
    pub client_key_data: Option<String>,
    pub token: Option<String>,
    #[serde(rename = "tokenFile")]
    token_file: Option<Value>,
    username: Option<Value>,
    #[serde(rename = "as")]
    impersonated: Option<Value>,
    exec: Option<Value>,
    auth_provider: Option<Value>,
}

/// Reads a kubeconfig to where its current context leads.
///
/// # Errors
/// If it leads nowhere: the reason, naming the field.
pub fn target(text: &str) -> Result<Target, KubeconfigFault> {
    let document = parse(text)?;
    // helm takes a document that leaves them out.
    for (found, wanted) in [(document.api_version, "v1"), (document.kind, "Config")] {
        if found.is_some_and(|found| found != wanted) {
            return Err(fault("is not a kubeconfig of apiVersion v1 and kind Config"));
        }
    }
    let missing = |what| move || fault(format!("has no {what}"));
    let current = document.current_context;
    let context = named(document.contexts, current).ok_or_else(missing("current-context that it defines"))?;
    let cluster = named(document.clusters, context.cluster);
    let user = named(document.users, context.user);
    let cluster = cluster.ok_or_else(missing("cluster with the name in its current context"))?;
    let user = user.ok_or_else(missing("user with the name in its current context"))?;
    Ok(Target { server: address(cluster.server.as_deref().unwrap_or_default())?, cluster, user })
}

fn named<T>(entries: Option<Vec<Named<T>>>, name: Option<String>) -> Option<T> {
    let name = name?;
    let mut entries = entries?.into_iter();
    entries.find(|entry| entry.name.as_ref() == Some(&name))?.content
}

/// The parser's own messages would quote what it read, so only places go into the fault.
fn parse(text: &str) -> Result<Document, KubeconfigFault> {
    if text.len() > SIZE_LIMIT {
        return Err(fault("is not a kubeconfig: it has more than 1 MiB"));
    }
    if !is_modest_yaml(text) {
        return Err(fault("is not a kubeconfig: its YAML is nested too deeply, or has too many values or aliases"));
    }
    let parsed = serde_yaml::from_str::<Value>(text.trim_start_matches('\u{feff}'));
    let mut value = parsed.map_err(|error| {
        fault(match error.location() {
            Some(at) => {
                let (line, column) = (at.line(), at.column());
                format!("is not YAML, or has a field twice, in line {line}, column {column}")
            }
            None => "is not a single YAML document".to_owned(),
        })
    })?;
    value.apply_merge().map_err(|_| fault("has a YAML merge key that names no mapping"))?;
    if !value.is_mapping() {
        return Err(fault("is not a kubeconfig: there is no mapping at its top"));
    }
    serde_path_to_error::deserialize(value)
        .map_err(|error| fault(format!("has another type of value than a kubeconfig at {}", error.path())))
}

impl Target {
    /// Returns the fields that the driver ignores. helm goes by each of them.
    pub fn ignored(&self) -> Vec<&'static str> {
        given(&[
            (&self.cluster.insecure_skip_tls_verify, "insecure-skip-tls-verify"),
            (&self.cluster.proxy_url, "proxy-url"),
            (&self.cluster.tls_server_name, "tls-server-name"),
            (&self.user.impersonated, "as"),
            (&self.user.token_file, "tokenFile"),
        ])
    }
}

/// Parses the API server's address.
fn address(server: &str) -> Result<Url, KubeconfigFault> {
    if server.len() > SERVER_LIMIT {
        return Err(fault(format!("names a server whose address has more than {SERVER_LIMIT} bytes")));
    }
    let is_odd = |c: char| c.is_whitespace() || c.is_control();
    let is_shown = !server.contains(is_odd);
    let address = is_shown.then(|| Url::parse(server).ok()).flatten().filter(|url| url.scheme() == "https");
    let address = address.ok_or_else(|| fault("names a server that is not an https address"))?;
    if address.query().is_some() || address.fragment().is_some() {
        return Err(fault("names a server with ? or # in its address, to which the driver adds its paths"));
    }
    Ok(address)
}

impl User {
    /// Returns how else it authenticates than by certificate or token.
    pub fn other_login(&self) -> &'static str {
        let ways = given(&[
            (&self.exec, "an exec plugin, which the driver cannot run"),
            (&self.auth_provider, "auth-provider, which helm refuses"),
            (&self.token_file, "tokenFile, which the driver ignores"),
            (&self.username, "a user name and password"),
        ]);
        ways.first().unwrap_or(&"nothing")
    }
}

/// Returns the texts of those fields that are given.
fn given(fields: &[(&Option<Value>, &'static str)]) -> Vec<&'static str> {
    let nothing = [None, Some(Value::Null), Some(Value::Bool(false)), Some("".into())];
    fields.iter().filter(|(value, _)| !nothing.contains(value)).map(|(_, text)| *text).collect()
}

/// Returns the content of a field: of the file at `path`, which goes first as for the driver, or what `data` encodes.
pub fn content(
    field: &str,
    path: &Option<String>,
    data: &Option<String>,
    read: ReadFile<'_>,
) -> Result<Option<Vec<u8>>, KubeconfigFault> {
    if let Some(path) = path.as_ref().filter(|path| !path.is_empty()).map(Path::new) {
        if !path.is_absolute() {
            return Err(fault(format!(
                "names a relative path as {field}, which driver and helm look for in different directories; embed it: \
                 kubectl config view --flatten --raw"
            )));
        }
        return read(path).map(Some).map_err(|why| {
            fault(format!(
                "names a file as {field} that user magnum cannot read here ({why}); put it on every magnum unit, or \
                 embed it: kubectl config view --flatten --raw"
            ))
        });
    }
    let data = data.as_ref().filter(|data| !data.is_empty());
    if path.is_some() && data.is_some() {
        return Err(fault(format!(
            "has an empty {field}, which the driver takes in place of {field}-data; take it out"
        )));
    }
    let Some(data) = data else { return Ok(None) };
    // The decoder's own message would quote a byte of it.
    let decoded = BASE64.decode(data.split_whitespace().collect::<String>());
    decoded.map(Some).map_err(|_| fault(format!("has a {field}-data that is not base64")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "apiVersion: v1
kind: Config
current-context: c
contexts:
- {name: c, context: {cluster: k, user: u}}
clusters:
- {name: k, cluster: {server: 'https://h:6443'}}
users:
- {name: u, user: {token: hunter2}}
- {name: other, user: {exec: {command: aws}}}
";

    #[test]
    fn each_document_that_leads_nowhere_is_refused_with_its_reason() {
        assert!(target(GOOD).is_ok());
        for (from, to, words) in [
            ("current-context: c", "", "no current-context that it defines"),
            ("current-context: c", "current-context: d", "no current-context that it defines"),
            ("name: c, context", "context", "no current-context that it defines"),
            ("user: u}", "user: x}", "no user with the name"),
            ("cluster: k,", "", "no cluster with the name"),
            ("kind: Config", "kind: Secret", "and kind Config"),
            ("apiVersion: v1", "apiVersion: v2", "of apiVersion v1"),
            ("https://h", "http://h", "not an https address"),
            ("https://h:6443", "h:6443", "not an https address"),
            ("https://h:6443", " https://h:6443", "not an https address"),
            ("https://h:6443", &format!("https://h/{}", "x".repeat(300)), "more than 300 bytes"),
            ("kind: Config", "kind: Config\nkind: Config", "a field twice, in line "),
            ("https://h:6443", "https://h/?a=b", "with ? or #"),
            ("server: 'https://h:6443'", "server: 6443", "at clusters[0].cluster.server"),
            ("server: 'https://h:6443'", "", "not an https address"),
            ("users:", "people:", "no user with the name"),
            ("name: other", "name: 7", "at users[1].name"),
            ("- {name: c", "- [name: c", "line 5, column"),
            ("users:", "---\nusers:", "not a single YAML document"),
            ("token: hunter2", "<<: [hunter2]", "merge key"),
        ] {
            assert!(GOOD.contains(from), "{from}");
            let shown = target(&GOOD.replacen(from, to, 1)).err().unwrap().to_string();
            assert!(shown.contains(words), "{to}: {shown}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        for text in ["", "[a]", "hunter2"] {
            let shown = target(text).err().unwrap().to_string();
            assert!(shown.contains("no mapping"), "{text}: {shown}");
        }
    }

    #[test]
    fn merge_keys_and_aliases_are_resolved() {
        let merged = GOOD.replace("user: {token: hunter2}", "user: {<<: &auth {token: hunter2}}");
        let found = target(&merged).unwrap();
        assert_eq!(found.user.token.as_deref(), Some("hunter2"));
    }

    #[test]
    fn a_hostile_document_is_refused_at_once() {
        let began = std::time::Instant::now();
        let keys: String = (0..2000).map(|key| format!("  k{key}: v\n")).collect();
        let merges = format!("{GOOD}base: &b\n{keys}all:\n{}", "- {<<: *b}\n".repeat(3000));
        let block = format!("{GOOD}x:\n{}y", "- ".repeat(100_000));
        let keys = format!("{GOOD}x:\n{}y", "? ".repeat(100_000));
        let brackets = format!("{GOOD}x: {}", "[".repeat(20_000));
        let long = format!("{GOOD}# {}", "x".repeat(SIZE_LIMIT));
        let quoted = format!("{GOOD}x: \"{}\"", "\\n".repeat(400_000));
        for text in [&merges, &block, &keys, &long] {
            assert!(target(text).is_err());
        }
        assert!(target(&quoted).is_ok());
        let shown = target(&brackets).err().unwrap().to_string();
        assert!(shown.contains("nested too deeply"), "{shown}");
        assert!(began.elapsed() < std::time::Duration::from_secs(20), "{:?}", began.elapsed());
    }
}
