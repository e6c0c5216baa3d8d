//! A kubeconfig, judged by what the pinned driver does with it.
//!
//! The rules are those of `magnum_capi_helm/kubernetes.py`: it follows `current-context` to one
//! cluster and one user and needs that user's client certificate and key; from 1.3.0 a token will
//! do. Nothing of the content ever goes into a message: names of contexts and fields do, values
//! do not, and the parser's own messages, which quote what they read, are left out.

use std::fmt;
use std::str::FromStr;

use pep440_rs::Version;
use serde::{Deserialize, Serialize};

use crate::problem::Problem;
use crate::settings::Pin;

/// The first driver that can use a token (`kubernetes.py` of 1.3.0).
const FIRST_WITH_TOKENS: [u64; 3] = [1, 3, 0];

/// The bytes of a kubeconfig as granted, known to lead to one server and one user.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kubeconfig(String);

/// Where the current context leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The API server's address, `https://…`.
    pub server: String,
    /// The certificate authority that vouches for it.
    pub authority: Option<Material>,
    /// How the driver says who it is.
    pub credentials: Credentials,
}

/// What the user of the current context authenticates with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A client certificate and its key.
    Certificate {
        /// The certificate, PEM.
        certificate: Material,
        /// Its private key, PEM.
        key: Material,
    },
    /// A bearer token.
    Token(Material),
    /// Neither; what there is instead, for messages.
    None(&'static str),
}

/// A piece of a kubeconfig: given in the file, or as the path of another file. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub enum Material {
    /// base64, or a token's own text.
    Inline(String),
    /// A path on the unit.
    File(String),
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

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Document {
    current_context: Option<String>,
    #[serde(default)]
    contexts: Vec<Named>,
    #[serde(default)]
    clusters: Vec<Named>,
    #[serde(default)]
    users: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
    context: Option<Context>,
    cluster: Option<Cluster>,
    user: Option<User>,
}

#[derive(Deserialize)]
struct Context {
    cluster: String,
    user: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster {
    server: String,
    certificate_authority: Option<String>,
    certificate_authority_data: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct User {
    client_certificate: Option<String>,
    client_certificate_data: Option<String>,
    client_key: Option<String>,
    client_key_data: Option<String>,
    token: Option<String>,
    #[serde(rename = "tokenFile")]
    token_file: Option<String>,
    exec: Option<serde_yaml::Value>,
    auth_provider: Option<serde_yaml::Value>,
    username: Option<String>,
}

impl FromStr for Kubeconfig {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
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
    pub fn target(&self) -> Result<Target, Problem> {
        let document: Document = serde_yaml::from_str(&self.0).map_err(|error| {
            refused(match error.location() {
                Some(at) => format!(
                    "is not a kubeconfig (line {}, column {})",
                    at.line(),
                    at.column()
                ),
                None => "is not a kubeconfig".to_owned(),
            })
        })?;
        let current = document
            .current_context
            .filter(|name| !name.is_empty())
            .ok_or_else(|| refused("has no current-context"))?;
        let context = named(document.contexts, &current)
            .and_then(|entry| entry.context)
            .ok_or_else(|| refused("has no context of the name in current-context"))?;
        let cluster = named(document.clusters, &context.cluster)
            .and_then(|entry| entry.cluster)
            .ok_or_else(|| refused("has no cluster of the name in its current context"))?;
        let user = named(document.users, &context.user)
            .and_then(|entry| entry.user)
            .ok_or_else(|| refused("has no user of the name in its current context"))?;
        if !cluster.server.starts_with("https://") {
            return Err(refused("names a server that is no https address"));
        }
        Ok(Target {
            server: cluster.server.trim_end_matches('/').to_owned(),
            authority: material(
                cluster.certificate_authority,
                cluster.certificate_authority_data,
            ),
            credentials: credentials(user),
        })
    }

    /// Whether the pinned driver can use it.
    ///
    /// # Errors
    /// When that driver would die on its first use: why, and what to do.
    pub fn usable_by(&self, pin: &Pin) -> Result<(), Problem> {
        let tokens = *pin.version() >= Version::new(FIRST_WITH_TOKENS);
        match self.target()?.credentials {
            Credentials::Certificate { .. } => Ok(()),
            Credentials::Token(_) if tokens => Ok(()),
            Credentials::Token(_) => Err(unusable(format!(
                "authenticates with a token, and {pin} needs a client certificate and key; use a \
                 kubeconfig with both, or a driver-pin from 1.3.0 on"
            ))),
            Credentials::None(what) => Err(unusable(format!(
                "authenticates with {what}, and {pin} needs a client certificate and key; use a \
                 kubeconfig with both"
            ))),
        }
    }
}

fn unusable(what: String) -> Problem {
    Problem::blocked(format!("kubeconfig: what is granted {what}"))
}

/// What is wrong, to be put behind the name of where the content comes from.
fn refused(what: impl fmt::Display) -> Problem {
    Problem::blocked(what.to_string())
}

/// The first entry of that name, as the driver takes it.
fn named(entries: Vec<Named>, name: &str) -> Option<Named> {
    entries.into_iter().find(|entry| entry.name == name)
}

/// A path wins over data, as in the driver.
fn material(path: Option<String>, data: Option<String>) -> Option<Material> {
    path.map(Material::File).or(data.map(Material::Inline))
}

fn credentials(user: User) -> Credentials {
    let certificate = material(user.client_certificate, user.client_certificate_data);
    let key = material(user.client_key, user.client_key_data);
    let token = material(user.token_file, user.token);
    match (certificate, key, token) {
        (Some(certificate), Some(key), _) => Credentials::Certificate { certificate, key },
        (_, _, Some(token)) => Credentials::Token(token),
        (Some(_), None, None) => Credentials::None("a client certificate that has no key"),
        (None, Some(_), None) => Credentials::None("a client key that has no certificate"),
        (None, None, None) => Credentials::None(if user.exec.is_some() {
            "an exec plugin"
        } else if user.auth_provider.is_some() {
            "an auth provider"
        } else if user.username.is_some() {
            "a user name and password"
        } else {
            "nothing"
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CERTIFICATE: &str = "client-certificate-data: Q0VSVA==, client-key-data: S0VZ";

    fn with_user(user: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: admin@mgmt\n\
             contexts: [{{name: admin@mgmt, context: {{cluster: mgmt, user: admin}}}}]\n\
             clusters: [{{name: mgmt, cluster: {{server: 'https://192.0.2.1:6443'}}}}]\n\
             users: [{{name: admin, user: {{{user}}}}}]\n"
        )
    }

    fn pin(version: &str) -> Pin {
        format!("magnum-capi-helm=={version}").parse().unwrap()
    }

    #[test]
    fn a_client_certificate_serves_every_driver() {
        let kubeconfig: Kubeconfig = with_user(CERTIFICATE).parse().unwrap();
        assert_eq!(kubeconfig.usable_by(&pin("1.1.0")), Ok(()));
        assert_eq!(kubeconfig.usable_by(&pin("1.4.0")), Ok(()));
        assert_eq!(
            kubeconfig.target().unwrap().server,
            "https://192.0.2.1:6443"
        );
    }

    #[test]
    fn a_token_serves_from_1_3_0_on() {
        let kubeconfig: Kubeconfig = with_user("token: SECRET-TOKEN").parse().unwrap();
        assert_eq!(kubeconfig.usable_by(&pin("1.3.0")), Ok(()));
        let message = kubeconfig.usable_by(&pin("1.2.1")).unwrap_err().to_string();
        assert!(
            message.contains("needs a client certificate and key"),
            "{message}"
        );
        assert!(!message.contains("SECRET-TOKEN"));
    }

    #[test]
    fn other_users_serve_none() {
        for (user, named) in [
            ("exec: {command: aws}", "an exec plugin"),
            ("auth-provider: {name: gcp}", "an auth provider"),
            ("username: a, password: b", "a user name and password"),
            ("client-certificate-data: Q0VSVA==", "no key"),
            ("", "nothing"),
        ] {
            let kubeconfig: Kubeconfig = with_user(user).parse().unwrap();
            let message = kubeconfig.usable_by(&pin("1.4.0")).unwrap_err().to_string();
            assert!(message.contains(named), "{message}");
        }
    }

    #[test]
    fn what_leads_nowhere_is_refused_and_never_quoted() {
        let good = with_user(CERTIFICATE);
        for (text, reason) in [
            ("TOP-SECRET".to_owned(), "is not a kubeconfig"),
            ("a: [TOP-SECRET".to_owned(), "is not a kubeconfig"),
            ("users: TOP-SECRET".to_owned(), "is not a kubeconfig"),
            (String::new(), "has no current-context"),
            (
                good.replace("current-context: admin@mgmt", ""),
                "has no current-context",
            ),
            (
                good.replace("t: admin@mgmt", "t: TOP-SECRET"),
                "has no context of the name",
            ),
            (
                good.replace("user: admin", "user: TOP-SECRET"),
                "has no user of the name",
            ),
            (
                good.replace("cluster: mgmt,", "cluster: x,"),
                "has no cluster of the name",
            ),
            (good.replace("https://", "http://"), "is no https address"),
        ] {
            let message = text.parse::<Kubeconfig>().unwrap_err().to_string();
            assert!(message.contains(reason), "{text:?}: {message}");
            assert!(!message.contains("TOP-SECRET"), "{message}");
        }
    }
}
