//! Whether the pinned driver, and the helm that it runs, can use a kubeconfig: judged offline.
//!
//! The rules are those of `Client.__init__` in `magnum_capi_helm/kubernetes.py` (which needs the
//! current user's client certificate and key, or from 1.3.0 a token) and of client-go's
//! `clientcmd` validation; `tests/real_unit/kubeconfigs` holds them against both. The one look
//! outside is at files that a kubeconfig names, by whoever the caller says.

use std::path::Path;

use pep440_rs::Version;

use super::Fault;
use super::certificate::{self, Pair};
use super::fields::Material;
use super::kubeconfig::{Kubeconfig, Secret, Target};
use super::validity::Validity;
use crate::settings::Pin;

/// The first driver that can use a token (`kubernetes.py` of 1.3.0).
const FIRST_WITH_TOKENS: [u64; 3] = [1, 3, 0];

/// Reads a file that a kubeconfig names, as user magnum would; the error says why that fails.
pub type ReadFile<'a> = &'a dyn Fn(&Path) -> Result<Vec<u8>, String>;

/// Everything it takes to talk to the management cluster as the driver does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usable {
    /// The API server's address, `https://…`, without a slash at its end.
    pub server: String,
    /// The certificates that vouch for it, PEM; `None` leaves it to the unit's own.
    pub authority: Option<Vec<u8>>,
    /// How the driver says who it is.
    pub login: Login,
    /// From when until when its parts are good.
    pub validity: Vec<Validity>,
    /// What one of driver and helm ignores; for people.
    pub notes: Vec<&'static str>,
}

/// How the driver says who it is.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    /// By a client certificate and its key, PEM.
    Certificate {
        /// The certificate, and those between it and the authority.
        certificate: Vec<u8>,
        /// Its private key.
        key: Vec<u8>,
    },
    /// By a bearer token.
    Token(String),
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Certificate { .. } => "Certificate(…)",
            Self::Token(_) => "Token(…)",
        })
    }
}

impl Kubeconfig {
    /// What the pinned driver makes of it.
    ///
    /// # Errors
    /// When that driver, or the helm it runs, would fail on its first use: why, and what to do.
    pub fn usable_by(&self, pin: &Pin, read: ReadFile<'_>) -> Result<Usable, Fault> {
        let target = self.target()?;
        let (mut validity, mut notes) = (Vec::new(), target.notes.clone());
        let authority = match &target.authority {
            None => None,
            Some(material) => {
                let pem = content(material, "certificate-authority", read)?;
                validity.push(certificate::authority(&pem)?);
                Some(pem)
            }
        };
        if target.token.is_some() && target.username {
            return Err(Fault::new(
                "has both a token and a user name, which helm refuses; take out the user name",
            ));
        }
        let login = match (&target.certificate, &target.key) {
            (Some(certificate), Some(key)) => {
                let certificate = content(certificate, "client-certificate", read)?;
                let key = content(key, "client-key", read)?;
                if let Some(path) = &target.token_file {
                    content(&Material::File(path.clone()), "tokenFile", read)?;
                }
                let (lasts, pair) = certificate::pair(&certificate, &key)?;
                validity.push(lasts);
                if pair == Pair::Unknown {
                    notes.push("whether client-key belongs to client-certificate cannot be told");
                }
                Login::Certificate { certificate, key }
            }
            (Some(_), None) => {
                return Err(Fault::new(
                    "has a client certificate without its key; add client-key-data",
                ));
            }
            (None, key) => {
                let (token, is_all) = token(&target, key.is_some(), pin)?;
                if !is_all {
                    notes.push("the API server goes by the first word of the token alone");
                }
                validity.extend(Validity::of_token(&token));
                Login::Token(token)
            }
        };
        Ok(Usable {
            server: target.server,
            authority,
            login,
            validity,
            notes,
        })
    }
}

/// The token, when that is what there is and the driver can use it, and whether nothing follows it.
fn token(target: &Target, has_key: bool, pin: &Pin) -> Result<(String, bool), Fault> {
    let tokens = *pin.version() >= Version::new(FIRST_WITH_TOKENS);
    let needs = if tokens {
        "a client certificate and key, or a token"
    } else {
        "a client certificate and key"
    };
    let without = |what: &str| {
        Fault::new(format!(
            "authenticates with {what}, and {pin} needs {needs}; use a kubeconfig that has them"
        ))
    };
    match &target.token {
        Some(_) if target.plugin => Err(Fault::new(
            "has both a token and an exec plugin; take out one of them",
        )),
        Some(_) if !tokens => Err(Fault::new(format!(
            "authenticates with a token, and {pin} needs {needs}; use a kubeconfig with both, or a \
             driver-pin from 1.3.0 on"
        ))),
        Some(token) if token.0 == "REDACTED" => Err(Fault::new(
            "has REDACTED for a token: kubectl config view leaves it out without --raw",
        )),
        Some(_) if target.login_in_server => Err(Fault::new(
            "has both a token and a user name or password in the address of its server, which go \
             in place of the token; take them out of server",
        )),
        Some(Secret(words)) => {
            let is_plain = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
            match words.split_once(' ').unwrap_or((words, "")) {
                ("", _) => Err(Fault::new("has a token with a blank before it")),
                (word, _) if word.eq_ignore_ascii_case("bearer") => Err(Fault::new(
                    "has a token with the word Bearer, which the driver puts before it itself",
                )),
                _ if !words.bytes().all(is_plain) => Err(Fault::new(
                    "has a token with a line break or another character that no token has",
                )),
                (token, rest) => Ok((token.to_owned(), rest.trim_matches(' ').is_empty())),
            }
        }
        None if target.plugin => Err(without("an exec plugin, which the driver cannot run")),
        None if target.token_file.is_some() => Err(without("tokenFile, which the driver ignores")),
        None if has_key => Err(without("a client key that has no certificate")),
        None if target.username => Err(without("a user name and password")),
        None => Err(without("nothing")),
    }
}

/// The content of a piece, read from its file when it is a path.
fn content(material: &Material, field: &str, read: ReadFile<'_>) -> Result<Vec<u8>, Fault> {
    let path = match material {
        Material::Inline(bytes) => return Ok(bytes.clone()),
        Material::File(path) => Path::new(path),
    };
    if !path.is_absolute() {
        return Err(Fault::new(format!(
            "names a relative path as {field}, which driver and helm look for in different \
             directories; embed it: kubectl config view --flatten --raw"
        )));
    }
    read(path).map_err(|why| {
        Fault::new(format!(
            "names a file as {field} that user magnum cannot read here ({why}); put it on every \
             magnum unit, or embed it: kubectl config view --flatten --raw"
        ))
    })
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn fixture(name: &str) -> Result<Vec<u8>, String> {
        let name = name.trim_start_matches("/pki/");
        std::fs::read(format!("tests/fixtures/kubeconfig/{name}")).map_err(|e| e.to_string())
    }

    fn data(name: &str) -> String {
        STANDARD.encode(fixture(name).unwrap())
    }

    fn by_certificate() -> String {
        format!(
            "client-certificate-data: {}, client-key-data: {}",
            data("client.crt"),
            data("client-sec1.key")
        )
    }

    /// A kubeconfig of this cluster and this user.
    fn of(cluster: &str, user: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: admin@mgmt\n\
             contexts: [{{name: admin@mgmt, context: {{cluster: mgmt, user: admin}}}}]\n\
             clusters: [{{name: mgmt, cluster: {{{cluster}}}}}]\n\
             users: [{{name: admin, user: {{{user}}}}}]\n"
        )
    }

    fn judged(text: &str, version: &str) -> Result<Usable, String> {
        let pin = format!("magnum-capi-helm=={version}").parse().unwrap();
        let read = |path: &Path| fixture(&path.to_string_lossy());
        let kubeconfig: Kubeconfig = text.parse().map_err(|fault: Fault| fault.to_string())?;
        kubeconfig
            .usable_by(&pin, &read)
            .map_err(|fault| fault.to_string())
    }

    const EXEC: &str = "exec: {command: aws, apiVersion: client.authentication.k8s.io/v1, \
                        interactiveMode: Never}";
    const SERVER: &str = "server: 'https://192.0.2.1:6443/'";

    #[test]
    fn a_client_certificate_serves_every_driver() {
        for user in [
            by_certificate(),
            "client-certificate: /pki/client.crt, client-key: /pki/client-pkcs8.key".to_owned(),
            format!("{}, token: beside", by_certificate()),
            format!("{}, {EXEC}", by_certificate()),
        ] {
            for version in ["1.1.0", "1.4.0"] {
                let usable = judged(&of(SERVER, &user), version).unwrap();
                assert_eq!(usable.server, "https://192.0.2.1:6443");
                assert!(matches!(usable.login, Login::Certificate { .. }));
            }
        }
    }

    #[test]
    fn a_token_serves_from_1_3_0_on() {
        let text = of(SERVER, "token: hunter2");
        assert!(matches!(
            judged(&text, "1.3.0").unwrap().login,
            Login::Token(_)
        ));
        let fault = judged(&text, "1.2.1").unwrap_err();
        assert!(
            fault.contains("needs a client certificate and key"),
            "{fault}"
        );
        assert!(!fault.contains("hunter2"));
    }

    #[test]
    fn of_a_token_in_words_the_first_counts() {
        for (text, noted) in [("a", false), ("'a '", false), ("a b", true)] {
            let usable = judged(&of(SERVER, &format!("token: {text}")), "1.4.0").unwrap();
            assert_eq!(usable.login, Login::Token("a".into()));
            assert_eq!(!usable.notes.is_empty(), noted, "{text}");
        }
        let server = "server: 'https://u:p@192.0.2.1:6443'";
        let fault = judged(&of(server, "token: a"), "1.4.0").unwrap_err();
        assert!(fault.contains("in place of the token"), "{fault}");
        assert!(judged(&of(server, &by_certificate()), "1.1.0").is_ok());
    }

    #[test]
    fn each_user_that_serves_none_is_refused_with_its_reason() {
        let certificate = format!("client-certificate-data: {}", data("client.crt"));
        for (user, words) in [
            (
                EXEC.to_owned(),
                "an exec plugin, which the driver cannot run",
            ),
            (
                format!("{EXEC}, token: t"),
                "both a token and an exec plugin",
            ),
            (
                format!("{}, exec: {{command: aws}}", by_certificate()),
                "exec, without its apiVersion",
            ),
            (
                "auth-provider: {name: gcp}".into(),
                "a user with auth-provider",
            ),
            (
                "username: a, password: b".into(),
                "a user name and password",
            ),
            (
                "tokenFile: /pki/client.crt".into(),
                "tokenFile, which the driver ignores",
            ),
            (certificate.clone(), "a client certificate without its key"),
            (
                format!("{certificate}, token: t"),
                "a client certificate without its key",
            ),
            (
                format!("client-key-data: {}", data("client-sec1.key")),
                "a client key that has no",
            ),
            (
                "token: a, username: b".into(),
                "both a token and a user name",
            ),
            ("token: \"a\\n\"".into(), "a token with a line break"),
            ("token: bearer a".into(), "the word Bearer"),
            ("token: ' a'".into(), "a token with a blank before it"),
            ("token: ''".into(), "authenticates with nothing"),
            (
                format!("{}, client-key: /k", by_certificate()),
                "both client-key and client-key-data",
            ),
            (
                format!("{}, client-key: ''", by_certificate()),
                "an empty client-key",
            ),
            (
                "client-certificate: /absent, client-key: /k".into(),
                "that user magnum cannot read",
            ),
            (
                "client-certificate: rel, client-key: /k".into(),
                "a relative path",
            ),
            (
                "client-certificate-data: '!', client-key-data: ''".into(),
                "no base64",
            ),
        ] {
            let fault = judged(&of(SERVER, &user), "1.4.0").unwrap_err();
            assert!(fault.contains(words), "{user}: {fault}");
        }
    }

    #[test]
    fn what_is_ignored_by_one_of_the_two_is_named() {
        let cluster = format!("{SERVER}, insecure-skip-tls-verify: true, proxy-url: 'http://p'");
        let usable = judged(&of(&cluster, &by_certificate()), "1.1.0").unwrap();
        assert_eq!(usable.notes.len(), 2);
        let both = format!("{cluster}, certificate-authority: /pki/ca.crt");
        let fault = judged(&of(&both, &by_certificate()), "1.1.0").unwrap_err();
        assert!(fault.contains("which helm refuses"), "{fault}");
    }
}
