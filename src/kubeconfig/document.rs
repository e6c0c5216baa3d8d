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

use serde::{Deserialize, Serialize};
use serde_yaml::Value;
use url::Url;

use super::Fault;
use super::fields::{Material, data, given, material, text, texts};
use super::yaml::{self, Document};

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
    /// Whether the server's address came with a user name or password, which are not in `server`.
    pub login_in_server: bool,
    /// Whether a user name is given: helm takes it, the driver does not.
    pub username: bool,
    /// Whether an exec plugin is given. Neither of the two runs it beside a client certificate.
    pub plugin: bool,
    /// What one of the two ignores; for people.
    pub notes: Vec<&'static str>,
}

/// A text that never shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
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
        let Document {
            fields: document,
            has_repeated_fields,
        } = yaml::document(&self.0)?;
        of_the_right_kind(&document)?;
        let contexts = entries(&document, "contexts", "context")?;
        let clusters = entries(&document, "clusters", "cluster")?;
        let users = entries(&document, "users", "user")?;
        // helm reads every entry, also those that the current context does not lead to.
        for (_, context) in &contexts {
            texts(context, &["cluster", "user", "namespace"])?;
        }
        for (_, cluster) in &clusters {
            texts(cluster, &["server", "tls-server-name", "proxy-url"])?;
            texts(cluster, &["certificate-authority"])?;
            data(cluster, "certificate-authority-data")?;
            insecure(cluster)?;
        }
        for (_, user) in &users {
            texts(user, &["client-certificate", "client-key"])?;
            texts(user, &["token", "tokenFile", "username", "password", "as"])?;
            data(user, "client-certificate-data")?;
            data(user, "client-key-data")?;
        }
        let current = name(&document, "current-context", "current-context")
            .ok_or_else(|| Fault::new("has no current-context"))??;
        let context = named(&contexts, &current)
            .ok_or_else(|| Fault::new("has no context of the name in current-context"))?;
        let lead = |field: &str, among: &[(Name, Value)]| {
            let name = name(context, field, field)
                .ok_or_else(|| Fault::new(format!("has a current context without {field}")))??;
            named(among, &name).cloned().ok_or_else(|| {
                Fault::new(format!("has no {field} of the name in its current context"))
            })
        };
        let mut target = target(&lead("cluster", &clusters)?, &lead("user", &users)?)?;
        let lists = [contexts, clusters, users];
        let mut names = lists.iter().flatten().map(|(name, _)| name);
        let odd = [
            (
                has_repeated_fields,
                "a field stands twice in one place; driver and helm go by the last",
            ),
            (
                names.any(|name| name.as_deref().unwrap_or_default().is_empty()),
                "a name is empty, as if a template had lost its values",
            ),
        ];
        target.notes.extend(those(&odd));
        Ok(target)
    }
}

fn of_the_right_kind(document: &Value) -> Result<(), Fault> {
    for (field, wanted) in [("apiVersion", "v1"), ("kind", "Config")] {
        // helm takes a document that leaves them out, and refuses any other.
        if text(document, field)?.is_some_and(|found| found != wanted) {
            return Err(Fault::new(format!(
                "is not a kubeconfig: {field} is not {wanted}"
            )));
        }
    }
    Ok(())
}

/// What something is called. A null is a name like any other to the driver, and the empty one to helm.
type Name = Option<String>;

/// The name in a field, when the field is there; `what` it is called in a message.
fn name(of: &Value, field: &str, what: &str) -> Option<Result<Name, Fault>> {
    match of.get(field)? {
        Value::Null => Some(Ok(None)),
        Value::String(name) => Some(Ok(Some(name.clone()))),
        _ => Some(Err(Fault::new(format!(
            "has a {what} that helm takes for no text; put it in quotes"
        )))),
    }
}

/// The entries of a list by name: helm refuses a name that is there twice (and prints the entry, keys
/// and all), the driver one that is missing.
fn entries(document: &Value, list: &str, kind: &str) -> Result<Vec<(Name, Value)>, Fault> {
    let found = match document.get(list) {
        Some(Value::Sequence(found)) => found,
        _ => return Err(Fault::new(format!("has no list of {list}"))),
    };
    let mut entries: Vec<(Name, Value)> = Vec::new();
    for entry in found {
        let name = name(entry, "name", &format!("name in {list}"))
            .ok_or_else(|| Fault::new(format!("has an entry without a name in {list}")))??;
        let to_helm = name.as_deref().unwrap_or_default();
        if entries
            .iter()
            .any(|(known, _)| known.as_deref().unwrap_or_default() == to_helm)
        {
            return Err(Fault::new(format!("has the same name twice in {list}")));
        }
        let content = entry.get(kind).cloned().unwrap_or_default();
        if !content.is_mapping() && !content.is_null() {
            return Err(Fault::new(format!("has a {kind} that is no mapping")));
        }
        entries.push((name, content));
    }
    Ok(entries)
}

fn named<'a>(entries: &'a [(Name, Value)], name: &Name) -> Option<&'a Value> {
    let entry = entries.iter().find(|(known, _)| known == name);
    entry.map(|(_, content)| content)
}

fn target(cluster: &Value, user: &Value) -> Result<Target, Fault> {
    if given(user, "auth-provider") {
        return Err(Fault::new(
            "has a user with auth-provider, which helm refuses; use one with a client certificate \
             and key",
        ));
    }
    let authority = material(cluster, "certificate-authority")?;
    let (server, login_in_server) = server(cluster)?;
    let insecure = insecure(cluster)?;
    if insecure && authority.is_some() {
        return Err(Fault::new(
            "has insecure-skip-tls-verify beside a certificate-authority, which helm refuses; take \
             out insecure-skip-tls-verify",
        ));
    }
    proxy(cluster)?;
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
        (
            login_in_server,
            "the API server ignores the user name and password in server",
        ),
        (
            given(user, "tokenFile"),
            "the driver ignores tokenFile, which helm prefers to token",
        ),
        (
            given(user, "as"),
            "the driver ignores as: it acts as the user itself, and helm as the other",
        ),
    ];
    Ok(Target {
        server,
        authority,
        certificate: material(user, "client-certificate")?,
        key: material(user, "client-key")?,
        token: text(user, "token")?.map(Secret),
        token_file: text(user, "tokenFile")?,
        login_in_server,
        username: given(user, "username"),
        plugin: plugin(user)?,
        notes: those(&ignored).collect(),
    })
}

/// The notes that hold.
fn those(notes: &[(bool, &'static str)]) -> impl Iterator<Item = &'static str> {
    notes
        .iter()
        .filter(|(holds, _)| *holds)
        .map(|(_, note)| *note)
}

fn insecure(cluster: &Value) -> Result<bool, Fault> {
    match cluster.get("insecure-skip-tls-verify") {
        Some(Value::Bool(insecure)) => Ok(*insecure),
        None | Some(Value::Null) => Ok(false),
        Some(_) => Err(Fault::new(
            "has an insecure-skip-tls-verify that is neither true nor false",
        )),
    }
}

/// An address that only helm looks at, and refuses the file for.
fn proxy(cluster: &Value) -> Result<(), Fault> {
    let Some(proxy) = text(cluster, "proxy-url")? else {
        return Ok(());
    };
    match Url::parse(&proxy) {
        Ok(url) if ["http", "https", "socks5"].contains(&url.scheme()) => Ok(()),
        _ => Err(Fault::new(
            "names a proxy-url that is no http, https or socks5 address",
        )),
    }
}

/// The address of the server without what it is shown to nobody with, and whether there was such.
fn server(cluster: &Value) -> Result<(String, bool), Fault> {
    let server =
        text(cluster, "server")?.ok_or_else(|| Fault::new("has a cluster without server"))?;
    let no_https = || Fault::new("names a server that is no https address");
    let mut address = Url::parse(&server).map_err(|_| no_https())?;
    // What the parser mends, driver and helm do not.
    let scheme = "https://";
    let starts = server.get(..scheme.len());
    let is_plain = server.len() <= LONGEST_SERVER
        && starts.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        && !server[scheme.len()..].starts_with('/')
        && !server.contains(|c: char| c.is_whitespace() || c.is_control());
    if address.scheme() != "https" || !is_plain {
        return Err(no_https());
    }
    if address.query().is_some() || address.fragment().is_some() {
        return Err(Fault::new(
            "names a server with ? or # in its address, to which the driver adds its paths",
        ));
    }
    let has_login = !address.username().is_empty() || address.password().is_some();
    if has_login {
        let cleared = address.set_username("");
        cleared
            .and_then(|()| address.set_password(None))
            .map_err(|()| no_https())?;
    }
    let server = if has_login { address.as_str() } else { &server };
    Ok((server.trim_end_matches('/').to_owned(), has_login))
}

/// A plugin that is not complete makes helm refuse the whole file.
fn plugin(user: &Value) -> Result<bool, Fault> {
    let Some(exec) = user.get("exec").filter(|exec| !exec.is_null()) else {
        return Ok(false);
    };
    // Without a certificate the plugin itself is what is wrong.
    if material(user, "client-certificate")?.is_none() {
        return Ok(true);
    }
    for field in ["command", "apiVersion", "interactiveMode"] {
        if text(exec, field)?.is_none() {
            return Err(Fault::new(format!(
                "has a user with exec, without its {field}"
            )));
        }
    }
    Ok(true)
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
                "no context of the name",
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
            ("- {name: c", "\t- {name: c", "a tab in line 5"),
            ("- {name: c", "- [name: c", "line 5, column"),
            ("name: other", "name: 7", "no text; put it in quotes"),
            (
                "name: other",
                "name: 017",
                "line 10 that helm takes for a number",
            ),
            (
                "name: other",
                "name: Yes",
                "line 10 that helm takes for a number",
            ),
            ("token: hunter2", "token: !!binary hunter2", "a YAML tag"),
            (
                "cluster: {server",
                "cluster: {proxy-url: 'p:1', server",
                "a proxy-url that is no",
            ),
            ("https://h:6443", "https:/h", "no https address"),
            ("https://h:6443", "https://h/?a=b", "with ? or #"),
            ("token: hunter2", "token: !thing hunter2", "a YAML tag"),
            (
                "exec: {command: aws}",
                "token: 7",
                "a token that is no text",
            ),
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
    fn merge_keys_and_quoted_tabs_are_read_as_driver_and_helm_do() {
        let merged = GOOD.replace(
            "user: {token: hunter2}",
            "user: {<<: &auth {token: hunter2}}",
        );
        let merged = format!("{merged}# a\ttab\n");
        let target = merged.parse::<Kubeconfig>().unwrap().target().unwrap();
        assert_eq!(target.token, Some(Secret("hunter2".into())));
        let quoted = GOOD.replace("command: aws", "command: \"it's\taws\"");
        assert!(quoted.parse::<Kubeconfig>().is_ok());
    }

    #[test]
    fn what_looks_like_a_slip_is_read_as_driver_and_helm_do_and_named() {
        let target = |text: &str| text.parse::<Kubeconfig>().unwrap().target().unwrap();
        assert_eq!(target(GOOD).notes, [""; 0]);
        for (from, to, words) in [
            (
                "https://h",
                "https://a:hunter2@h",
                "user name and password in server",
            ),
            ("kind: Config", "kind: Secret\nkind: Config", "stands twice"),
            ("token: hunter2", "token: x, token: hunter2", "stands twice"),
            ("name: other", "name: ", "a name is empty"),
            ("name: other", "name: ''", "a name is empty"),
        ] {
            assert!(GOOD.contains(from), "{from}");
            let found = target(&GOOD.replacen(from, to, 1));
            assert_eq!(found.server, "https://h:6443");
            assert_eq!(found.token, Some(Secret("hunter2".into())), "{to}");
            let [note] = found.notes[..] else {
                panic!("{to}: {:?}", found.notes);
            };
            assert!(note.contains(words), "{to}: {note}");
        }
        let nameless = GOOD
            .replace("current-context: c", "current-context: ''")
            .replace("{name: c,", "{name: '',");
        assert_eq!(target(&nameless).server, "https://h:6443");
    }

    #[test]
    fn nothing_of_it_shows_in_debug_output() {
        let kubeconfig: Kubeconfig = GOOD.parse().unwrap();
        let shown = format!("{kubeconfig:?} {:?}", kubeconfig.target());
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
