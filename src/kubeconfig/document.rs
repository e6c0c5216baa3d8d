//! A kubeconfig's document: where its current context leads.
//!
//! The fields are those that the charm needs. The driver and helm read the same file with parsers of their own, and
//! are asked about it ([`super::programs`]). No value goes into a message: names of fields do, and places.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde_yaml::Value;
use url::Url;

use super::KubeconfigFault;
use crate::system::Secret;

/// Kubernetes keeps a secret to 1 MiB, and Juju to less.
const SIZE_LIMIT: usize = 1 << 20;
/// The deepest nesting of brackets; a kubeconfig needs four. The parser's time grows with its square: 20,000 take
/// seconds.
const NESTING_LIMIT: usize = 32;
/// YAML aliases multiply what they name, and aliases of aliases do so again.
const ALIAS_LIMIT: usize = 8;
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
#[derive(Debug, PartialEq, Eq)]
pub struct Target {
    /// The API server's address, `https://…`, without credentials and without a slash at its end.
    pub server: String,
    /// `None` leaves it to the unit's own authorities.
    pub authority: Option<Material>,
    pub certificate: Option<Material>,
    pub key: Option<Material>,
    pub token: Option<Secret<String>>,
    /// helm reads it, the driver does not.
    pub token_file: Option<String>,
    pub has_username: bool,
    pub has_plugin: bool,
    pub has_login_in_server: bool,
    /// What driver or helm ignores; for people.
    pub notes: Vec<&'static str>,
}

/// A piece of a kubeconfig: in the file itself, or the path of another file.
#[derive(Debug, PartialEq, Eq)]
pub enum Material {
    Inline(Secret<Vec<u8>>),
    File(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Document {
    #[serde(rename = "apiVersion")]
    api_version: Option<String>,
    kind: Option<String>,
    current_context: Option<String>,
    contexts: Option<Vec<NamedContext>>,
    clusters: Option<Vec<NamedCluster>>,
    users: Option<Vec<NamedUser>>,
}

#[derive(Deserialize)]
struct NamedContext {
    name: Option<String>,
    context: Option<Context>,
}

#[derive(Deserialize)]
struct Context {
    cluster: Option<String>,
    user: Option<String>,
}

#[derive(Deserialize)]
struct NamedCluster {
    name: Option<String>,
    cluster: Option<Cluster>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster {
    server: Option<String>,
    certificate_authority: Option<String>,
    certificate_authority_data: Option<String>,
    insecure_skip_tls_verify: Option<Value>,
    proxy_url: Option<Value>,
    tls_server_name: Option<Value>,
}

#[derive(Deserialize)]
struct NamedUser {
    name: Option<String>,
    user: Option<User>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct User {
    client_certificate: Option<String>,
    client_certificate_data: Option<String>,
    client_key: Option<String>,
    client_key_data: Option<String>,
    token: Option<String>,
    #[serde(rename = "tokenFile")]
    token_file: Option<String>,
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
    for (field, found, wanted) in [
        ("apiVersion", &document.api_version, "v1"),
        ("kind", &document.kind, "Config"),
    ] {
        // helm takes a document that leaves them out.
        if found.as_ref().is_some_and(|found| found != wanted) {
            return Err(KubeconfigFault::new(format!(
                "is not a kubeconfig: {field} is not {wanted}"
            )));
        }
    }
    let current = document.current_context;
    let current = current.ok_or_else(|| KubeconfigFault::new("has no current-context"))?;
    let contexts = document.contexts.unwrap_or_default();
    let context = contexts
        .into_iter()
        .find(|named| named.name.as_ref() == Some(&current));
    let context = context.and_then(|named| named.context);
    let context = context
        .ok_or_else(|| KubeconfigFault::new("has no context with the name in current-context"))?;
    let clusters = document.clusters.unwrap_or_default();
    let cluster = clusters
        .into_iter()
        .find(|named| is_named(&named.name, &context.cluster));
    let cluster = cluster.and_then(|named| named.cluster);
    let users = document.users.unwrap_or_default();
    let user = users
        .into_iter()
        .find(|named| is_named(&named.name, &context.user));
    let user = user.and_then(|named| named.user);
    let missing = |what| {
        KubeconfigFault::new(format!(
            "has no {what} with the name in its current context"
        ))
    };
    join(
        cluster.ok_or_else(|| missing("cluster"))?,
        user.ok_or_else(|| missing("user"))?,
    )
}

fn is_named(name: &Option<String>, wanted: &Option<String>) -> bool {
    name.is_some() && name == wanted
}

/// The parser's own messages would quote what it read, so only places go into the fault.
fn parse(text: &str) -> Result<Document, KubeconfigFault> {
    if text.len() > SIZE_LIMIT {
        return Err(KubeconfigFault::new(
            "is not a kubeconfig: it has more than 1 MiB",
        ));
    }
    if nesting(text) > NESTING_LIMIT || aliases(text) > ALIAS_LIMIT {
        let deep = "is not a kubeconfig: its YAML is nested too deeply, or has too many aliases";
        return Err(KubeconfigFault::new(deep));
    }
    let parsed = serde_yaml::from_str::<Value>(text.trim_start_matches('\u{feff}'));
    let mut value = parsed.map_err(|error| {
        KubeconfigFault::new(match error.location() {
            Some(at) => {
                let (line, column) = (at.line(), at.column());
                format!("is not YAML, or has a field twice, in line {line}, column {column}")
            }
            None => "is not a single YAML document".to_owned(),
        })
    })?;
    value
        .apply_merge()
        .map_err(|_| KubeconfigFault::new("has a YAML merge key that names no mapping"))?;
    if !value.is_mapping() {
        return Err(KubeconfigFault::new(
            "is not a kubeconfig: there is no mapping at its top",
        ));
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        KubeconfigFault::new(format!(
            "has another type of value than a kubeconfig at {}",
            error.path()
        ))
    })
}

/// Returns the deepest nesting of brackets. Those within quotes are counted too: no kubeconfig has as many there.
fn nesting(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// Counts what may be an alias: `*name` where a value begins.
fn aliases(text: &str) -> usize {
    let begins = |pair: &[u8]| {
        pair[1] == b'*' && matches!(pair[0], b' ' | b'\t' | b'\n' | b'[' | b'{' | b',' | b':')
    };
    text.as_bytes()
        .windows(2)
        .filter(|pair| begins(pair))
        .count()
}

fn join(cluster: Cluster, user: User) -> Result<Target, KubeconfigFault> {
    if is_given(&user.auth_provider) {
        return Err(KubeconfigFault::new(
            "has a user with auth-provider, which helm refuses; use one with a client certificate and key",
        ));
    }
    let (server, has_login_in_server) = server(cluster.server)?;
    let token_file = user.token_file.filter(|path| !path.is_empty());
    let insecure = cluster.insecure_skip_tls_verify;
    let ignored = [
        (
            insecure.is_some_and(|value| value != Value::Bool(false) && !value.is_null()),
            "the driver ignores insecure-skip-tls-verify and verifies the server by this unit's own authorities",
        ),
        (
            is_given(&cluster.tls_server_name),
            "the driver ignores tls-server-name and verifies the name in server",
        ),
        (
            is_given(&cluster.proxy_url),
            "the driver ignores proxy-url, only helm goes through it",
        ),
        (
            has_login_in_server,
            "the API server ignores the user name and password in server",
        ),
        (
            token_file.is_some(),
            "the driver ignores tokenFile, which helm prefers to token",
        ),
        (
            is_given(&user.impersonated),
            "the driver ignores as: it acts as the user itself, and helm as the other",
        ),
    ];
    Ok(Target {
        server,
        authority: material(
            "certificate-authority",
            cluster.certificate_authority,
            cluster.certificate_authority_data,
        )?,
        certificate: material(
            "client-certificate",
            user.client_certificate,
            user.client_certificate_data,
        )?,
        key: material("client-key", user.client_key, user.client_key_data)?,
        token: user
            .token
            .filter(|token| !token.is_empty())
            .map(Secret::new),
        token_file,
        has_username: is_given(&user.username),
        has_plugin: is_given(&user.exec),
        has_login_in_server,
        notes: ignored
            .iter()
            .filter(|(holds, _)| *holds)
            .map(|(_, note)| *note)
            .collect(),
    })
}

fn is_given(value: &Option<Value>) -> bool {
    value
        .as_ref()
        .is_some_and(|value| !value.is_null() && value.as_str() != Some(""))
}

/// A path goes before the content, as for the driver.
fn material(
    field: &str,
    path: Option<String>,
    data: Option<String>,
) -> Result<Option<Material>, KubeconfigFault> {
    let data = data.filter(|data| !data.is_empty());
    match path {
        Some(path) if !path.is_empty() => return Ok(Some(Material::File(path))),
        Some(_) if data.is_some() => {
            return Err(KubeconfigFault::new(format!(
                "has an empty {field}, which the driver takes in place of {field}-data; take it out"
            )));
        }
        _ => {}
    }
    let Some(data) = data else {
        return Ok(None);
    };
    let data: String = data.split_whitespace().collect();
    // The decoder's own message would quote a byte of it.
    let decoded = BASE64
        .decode(data)
        .map_err(|_| KubeconfigFault::new(format!("has a {field}-data that is not base64")))?;
    Ok(Some(Material::Inline(Secret::new(decoded))))
}

/// Returns the server's address without credentials, and whether it had some.
fn server(server: Option<String>) -> Result<(String, bool), KubeconfigFault> {
    let server = server.ok_or_else(|| KubeconfigFault::new("has a cluster without server"))?;
    let not_https = || KubeconfigFault::new("names a server that is not an https address");
    let mut address = Url::parse(&server).map_err(|_| not_https())?;
    // The URL parser repairs what driver and helm do not.
    let scheme = server.get(..9).unwrap_or_default().to_ascii_lowercase();
    let is_exact = scheme.starts_with("https://") && !scheme.ends_with('/');
    let is_plain = |c: char| !c.is_whitespace() && !c.is_control();
    if !is_exact || server.len() > SERVER_LIMIT || !server.chars().all(is_plain) {
        return Err(not_https());
    }
    if address.query().is_some() || address.fragment().is_some() {
        return Err(KubeconfigFault::new(
            "names a server with ? or # in its address, to which the driver adds its paths",
        ));
    }
    let has_login = !address.username().is_empty() || address.password().is_some();
    if has_login {
        let cleared = address
            .set_username("")
            .and_then(|()| address.set_password(None));
        cleared.map_err(|()| not_https())?;
    }
    let shown = if has_login { address.as_str() } else { &server };
    Ok((shown.trim_end_matches('/').to_owned(), has_login))
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
            ("current-context: c", "", "no current-context"),
            (
                "current-context: c",
                "current-context: d",
                "no context with the name",
            ),
            ("name: c, context", "context", "no context with the name"),
            ("user: u}", "user: x}", "no user with the name"),
            ("cluster: k,", "", "no cluster with the name"),
            ("kind: Config", "kind: Secret", "kind is not Config"),
            ("apiVersion: v1", "apiVersion: v2", "apiVersion is not v1"),
            ("https://h", "http://h", "not an https address"),
            ("https://h:6443", "h:6443", "not an https address"),
            ("https://h:6443", "https:/h", "not an https address"),
            ("https://h:6443", "https:///h", "not an https address"),
            (
                "kind: Config",
                "kind: Config\nkind: Config",
                "a field twice, in line ",
            ),
            ("https://h:6443", "https://h/ x", "not an https address"),
            ("https://h:6443", "https://h/?a=b", "with ? or #"),
            (
                "server: 'https://h:6443'",
                "server: 6443",
                "at clusters[0].cluster.server",
            ),
            ("server: 'https://h:6443'", "", "a cluster without server"),
            ("users:", "people:", "no user with the name"),
            ("name: other", "name: 7", "at users[1].name"),
            (
                "token: hunter2",
                "client-key-data: '?'",
                "client-key-data that is not base64",
            ),
            ("- {name: c", "- [name: c", "line 5, column"),
            ("users:", "---\nusers:", "not a single YAML document"),
            ("token: hunter2", "<<: [hunter2]", "merge key"),
        ] {
            assert!(GOOD.contains(from), "{from}");
            let fault = target(&GOOD.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(fault.contains(words), "{to}: {fault}");
            assert!(!fault.contains("hunter2"), "{fault}");
        }
        for text in ["", "[a]", "hunter2"] {
            let fault = target(text).unwrap_err().to_string();
            assert!(fault.contains("no mapping"), "{text}: {fault}");
        }
    }

    #[test]
    fn merge_keys_and_aliases_are_resolved() {
        let merged = GOOD.replace(
            "user: {token: hunter2}",
            "user: {<<: &auth {token: hunter2}}",
        );
        let found = target(&merged).unwrap();
        assert_eq!(found.token, Some(Secret::new("hunter2".into())));
        assert!(!format!("{found:?}").contains("hunter2"));
    }

    #[test]
    fn a_hostile_document_is_refused_at_once() {
        let began = std::time::Instant::now();
        let keys: String = (0..2000).map(|key| format!("  k{key}: v\n")).collect();
        let merges = format!(
            "{GOOD}base: &b\n{keys}all:\n{}",
            "- {<<: *b}\n".repeat(3000)
        );
        let block = format!("{GOOD}x:\n{}y", "- ".repeat(100_000));
        let keys = format!("{GOOD}x:\n{}y", "? ".repeat(100_000));
        let brackets = format!("{GOOD}x: {}", "[".repeat(20_000));
        let long = format!("{GOOD}# {}", "x".repeat(SIZE_LIMIT));
        let quoted = format!("{GOOD}x: \"{}\"", "\\n".repeat(400_000));
        for text in [merges, block, keys, brackets, long] {
            assert!(target(&text).is_err());
        }
        assert!(target(&quoted).is_ok());
        assert!(
            began.elapsed() < std::time::Duration::from_secs(20),
            "{:?}",
            began.elapsed()
        );
    }

    #[test]
    fn credentials_in_the_server_are_taken_out_and_noted() {
        let found = target(&GOOD.replace("https://h", "https://a:hunter2@h")).unwrap();
        assert_eq!(found.server, "https://h:6443");
        assert!(found.has_login_in_server && found.notes.len() == 1);
    }
}
