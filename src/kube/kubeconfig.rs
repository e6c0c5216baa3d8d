//! A kubeconfig as granted: its document, and where its current context leads.
//!
//! Two programs read the same file: the driver (`magnum_capi_helm/kubernetes.py`, over PyYAML) and
//! the helm that it runs (client-go's `clientcmd`). What is read here is what both agree on; what
//! only one of them takes is refused. Which credentials the pinned driver can use is another
//! question: [`super::usable`].
//!
//! Nothing of the content ever goes into a message: names of fields do, values do not, and the
//! parser's own messages, which quote what they read, are left out.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};
use serde_yaml::{Mapping, Value};
use url::Url;

use super::Fault;

/// base64 as both read it: padded, and trailing bits of no meaning are let pass.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical)
        .with_decode_allow_trailing_bits(true),
);
/// Longer than any host name; a server's address is shown to people.
const LONGEST_SERVER: usize = 300;

/// The bytes of a kubeconfig as granted, known to lead to one server and one user.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kubeconfig(String);

/// Where the current context leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The API server's address, `https://…`, without a slash at its end.
    pub server: String,
    /// The certificate authority that vouches for it; `None` leaves it to the unit's own.
    pub authority: Option<Material>,
    /// The client certificate.
    pub certificate: Option<Material>,
    /// The client key.
    pub key: Option<Material>,
    /// The bearer token.
    pub token: Option<Secret>,
    /// A file with a bearer token, which helm reads and the driver does not.
    pub token_file: Option<String>,
    /// Whether a user name is given: helm takes it, the driver does not.
    pub username: bool,
    /// What one of the two ignores; for people.
    pub notes: Vec<&'static str>,
}

/// A piece of a kubeconfig: given in the file, or as the path of another file. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub enum Material {
    /// The decoded content.
    Inline(Vec<u8>),
    /// A path on the unit.
    File(String),
}

/// A text that never shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Material(…)")
    }
}

impl fmt::Debug for Kubeconfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kubeconfig(…)")
    }
}

impl FromStr for Kubeconfig {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let kubeconfig = Self(text.to_owned());
        kubeconfig.target()?;
        Ok(kubeconfig)
    }
}

impl Kubeconfig {
    /// The bytes, exactly as granted.
    pub fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Where the current context leads.
    ///
    /// # Errors
    /// When it leads nowhere: the reason, naming the field.
    pub fn target(&self) -> Result<Target, Fault> {
        let document = document(&self.0)?;
        let contexts = entries(&document, "contexts", "context")?;
        let clusters = entries(&document, "clusters", "cluster")?;
        let users = entries(&document, "users", "user")?;
        for (_, cluster) in &clusters {
            material(cluster, "certificate-authority")?;
        }
        for (_, user) in &users {
            material(user, "client-certificate")?;
            material(user, "client-key")?;
        }
        let current = document
            .get("current-context")
            .filter(|name| !name.is_null() && name.as_str() != Some(""))
            .ok_or_else(|| Fault::new("has no current-context"))?;
        let context = named(&contexts, current)
            .ok_or_else(|| Fault::new("has no context of the name in current-context"))?;
        let lead = |field: &str, among: &[(Value, Value)]| {
            let name = context.get(field).filter(|name| !name.is_null());
            let name =
                name.ok_or_else(|| Fault::new(format!("has a current context without {field}")))?;
            named(among, name).cloned().ok_or_else(|| {
                Fault::new(format!("has no {field} of the name in its current context"))
            })
        };
        target(&lead("cluster", &clusters)?, &lead("user", &users)?)
    }
}

fn document(text: &str) -> Result<Value, Fault> {
    let mut document: Value = serde_yaml::from_str(text).map_err(|error| {
        Fault::new(match error.location() {
            Some(at) => format!(
                "is not a kubeconfig: no YAML in line {}, column {}",
                at.line(),
                at.column()
            ),
            None => "is not a kubeconfig: no single YAML document".to_owned(),
        })
    })?;
    document
        .apply_merge()
        .map_err(|_| Fault::new("is not a kubeconfig: a YAML merge key leads nowhere"))?;
    if !document.is_mapping() {
        return Err(Fault::new("is not a kubeconfig: no mapping at the top"));
    }
    for (field, wanted) in [("apiVersion", "v1"), ("kind", "Config")] {
        // helm takes a document that leaves them out, and refuses any other.
        match document.get(field).filter(|value| !value.is_null()) {
            Some(value) if value.as_str() != Some(wanted) => {
                return Err(Fault::new(format!(
                    "is not a kubeconfig: {field} is not {wanted}"
                )));
            }
            _ => {}
        }
    }
    Ok(document)
}

/// The entries of a list by name: helm refuses a name that is there twice, the driver one that is
/// missing.
fn entries(document: &Value, list: &str, kind: &str) -> Result<Vec<(Value, Value)>, Fault> {
    let found = match document.get(list) {
        Some(Value::Sequence(found)) => found,
        _ => return Err(Fault::new(format!("has no list of {list}"))),
    };
    let mut entries: Vec<(Value, Value)> = Vec::new();
    for entry in found {
        let name = entry
            .get("name")
            .filter(|name| name.is_string() || name.is_number())
            .ok_or_else(|| Fault::new(format!("has an entry without a name in {list}")))?;
        if entries.iter().any(|(known, _)| known == name) {
            return Err(Fault::new(format!("has the same name twice in {list}")));
        }
        let content = entry.get(kind).cloned().unwrap_or_default();
        if !content.is_mapping() && !content.is_null() {
            return Err(Fault::new(format!("has a {kind} that is no mapping")));
        }
        entries.push((name.clone(), content));
    }
    Ok(entries)
}

/// The mapping of that name, and none when it is empty.
fn named<'a>(entries: &'a [(Value, Value)], name: &Value) -> Option<&'a Mapping> {
    let entry = entries.iter().find(|(known, _)| known == name);
    entry.and_then(|(_, content)| content.as_mapping())
}

fn target(cluster: &Mapping, user: &Mapping) -> Result<Target, Fault> {
    let cluster = &Value::Mapping(cluster.clone());
    let user = &Value::Mapping(user.clone());
    for plugin in ["exec", "auth-provider"] {
        if given(user, plugin) {
            return Err(Fault::new(format!(
                "has a user with {plugin}, which the driver cannot run; use one with a client \
                 certificate and key"
            )));
        }
    }
    let authority = material(cluster, "certificate-authority")?;
    let insecure = cluster.get("insecure-skip-tls-verify") == Some(&Value::Bool(true));
    if insecure && authority.is_some() {
        return Err(Fault::new(
            "has insecure-skip-tls-verify beside a certificate-authority, which helm refuses; take \
             out insecure-skip-tls-verify",
        ));
    }
    let ignored = [
        (
            insecure,
            "the driver ignores insecure-skip-tls-verify and verifies the server by this unit's own \
             authorities",
        ),
        (
            given(cluster, "tls-server-name"),
            "the driver ignores tls-server-name and verifies the name in server",
        ),
        (
            given(cluster, "proxy-url"),
            "the driver ignores proxy-url, only helm goes through it",
        ),
    ];
    Ok(Target {
        server: server(cluster)?,
        authority,
        certificate: material(user, "client-certificate")?,
        key: material(user, "client-key")?,
        token: text(user, "token")?.map(Secret),
        token_file: text(user, "tokenFile")?,
        username: given(user, "username"),
        notes: ignored
            .into_iter()
            .filter_map(|(is_there, note)| is_there.then_some(note))
            .collect(),
    })
}

fn server(cluster: &Value) -> Result<String, Fault> {
    let server =
        text(cluster, "server")?.ok_or_else(|| Fault::new("has a cluster without server"))?;
    let address = Url::parse(&server).ok().filter(|url| {
        url.scheme() == "https" && url.host_str().is_some_and(|host| !host.is_empty())
    });
    match address {
        Some(url) if url.username().is_empty() && url.password().is_none() => {}
        Some(_) => return Err(Fault::new("names a server with a user name in its address")),
        None => return Err(Fault::new("names a server that is no https address")),
    }
    if !server.starts_with("https://") || server.len() > LONGEST_SERVER {
        return Err(Fault::new("names a server that is no https address"));
    }
    Ok(server.trim_end_matches('/').to_owned())
}

/// A path or a content. The driver lets the path win and helm refuses both, and an empty path
/// hides the content from the driver alone.
fn material(of: &Value, field: &str) -> Result<Option<Material>, Fault> {
    let data_field = format!("{field}-data");
    let data = match text(of, &data_field)? {
        None => None,
        Some(data) => {
            let data: String = data.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
            let decoded = BASE64.decode(data);
            // The decoder's own message would quote a byte of it.
            Some(decoded.map_err(|_| Fault::new(format!("has a {data_field} that is no base64")))?)
        }
    };
    let path = text(of, field)?;
    match (path, data) {
        (Some(_), Some(_)) => Err(Fault::new(format!(
            "has both {field} and {data_field}, which helm refuses; keep one"
        ))),
        (None, Some(_)) if of.get(field).is_some() => Err(Fault::new(format!(
            "has an empty {field}, for which the driver ignores {data_field}; take it out"
        ))),
        (None, data) => Ok(data.map(Material::Inline)),
        (Some(path), None) => Ok(Some(Material::File(path))),
    }
}

/// A text that is there and not empty.
fn text(of: &Value, field: &str) -> Result<Option<String>, Fault> {
    match of.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
        Some(_) => Err(Fault::new(format!("has a {field} that is no text"))),
    }
}

fn given(of: &Value, field: &str) -> bool {
    of.get(field)
        .is_some_and(|value| !value.is_null() && value.as_str() != Some(""))
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
        assert!(GOOD.parse::<Kubeconfig>().is_ok());
        for (from, to, words) in [
            ("current-context: c", "", "no current-context"),
            (
                "current-context: c",
                "current-context: ''",
                "no current-context",
            ),
            (
                "current-context: c",
                "current-context: d",
                "no context of the name",
            ),
            ("user: u}", "user: x}", "no user of the name"),
            ("cluster: k,", "", "a current context without cluster"),
            ("kind: Config", "kind: Secret", "kind is not Config"),
            ("apiVersion: v1", "apiVersion: v2", "apiVersion is not v1"),
            ("name: other", "name: u", "the same name twice in users"),
            (
                "- {name: other, ",
                "- {",
                "an entry without a name in users",
            ),
            ("https://h", "http://h", "no https address"),
            ("https://h:6443", "h:6443", "no https address"),
            (
                "https://h",
                "https://a:hunter2@h",
                "a user name in its address",
            ),
            (
                "server: 'https://h:6443'",
                "server: 6443",
                "a server that is no text",
            ),
            ("server: 'https://h:6443'", "", "a cluster without server"),
            ("users:", "people:", "no list of users"),
            (
                "exec: {command: aws}",
                "client-key-data: '?'",
                "client-key-data that is no base64",
            ),
            ("- {name: c", "\t- {name: c", "line 5, column 1"),
            ("users:", "---\nusers:", "no single YAML document"),
        ] {
            assert!(GOOD.contains(from), "{from}");
            let fault = GOOD
                .replacen(from, to, 1)
                .parse::<Kubeconfig>()
                .unwrap_err();
            assert!(fault.to_string().contains(words), "{to}: {fault}");
            assert!(!fault.to_string().contains("hunter2"), "{fault}");
        }
        for (text, words) in [
            ("", "no mapping"),
            ("[a]", "no mapping"),
            ("hunter2", "no mapping"),
        ] {
            let fault = text.parse::<Kubeconfig>().unwrap_err();
            assert!(fault.to_string().contains(words), "{text}: {fault}");
        }
    }

    #[test]
    fn names_that_are_numbers_and_merge_keys_are_read_as_driver_and_helm_do() {
        let numbers = GOOD
            .replace("current-context: c", "current-context: 7")
            .replace("name: c", "name: 7");
        assert!(numbers.parse::<Kubeconfig>().is_ok());
        let merged = GOOD.replace(
            "user: {token: hunter2}",
            "user: {<<: &auth {token: hunter2}}",
        );
        let target = merged.parse::<Kubeconfig>().unwrap().target().unwrap();
        assert_eq!(target.token, Some(Secret("hunter2".into())));
    }

    #[test]
    fn nothing_of_it_shows_in_debug_output() {
        let kubeconfig: Kubeconfig = GOOD.parse().unwrap();
        let shown = format!("{kubeconfig:?} {:?}", kubeconfig.target());
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
