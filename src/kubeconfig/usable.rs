//! Whether the pinned driver can use a kubeconfig, as far as that follows from the kubeconfig alone.
//!
//! The rules are those of `Client.__init__` in `magnum_capi_helm/kubernetes.py`: it needs the current user's client
//! certificate and key, or from 1.3.0 on a token. Everything else is the programs' to say ([`super::programs`]).

use std::path::Path;

use pep440_rs::Version;
use url::{Host, Url};

use super::certificate;
use super::document::{self, Target, content};
use super::validity::Validity;
use super::{KubeconfigFault, fault};
use crate::juju::settings::{Pin, without_credentials};
use crate::system::Secret;

/// The first driver that can use a token (`kubernetes.py` of 1.3.0).
const FIRST_WITH_TOKENS: [u64; 3] = [1, 3, 0];
/// What kubectl shows in the place of a token.
const LEFT_OUT: &str = "REDACTED";

/// Reads a file that a kubeconfig names, as user magnum would; the error says why that fails.
pub type ReadFile<'a> = &'a dyn Fn(&Path) -> Result<Vec<u8>, String>;

/// Everything that it takes to talk to the management cluster as the driver does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsableKubeconfig {
    /// The API server's address, `https://…`, without a slash at its end.
    pub server: String,
    /// The certificates of its authority, PEM; `None` leaves it to the unit's own authorities.
    pub authority: Option<Vec<u8>>,
    pub login: Login,
    pub validity: Vec<Validity>,
    /// What may not be as the operator expects.
    pub notes: Vec<String>,
}

/// How the driver authenticates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    /// PEM: the certificate with those between it and the authority, and its key.
    Certificate {
        certificate: Vec<u8>,
        key: Secret<Vec<u8>>,
    },
    Token(Secret<String>),
}

impl UsableKubeconfig {
    /// Reads what the pinned driver uses of a kubeconfig.
    ///
    /// # Errors
    /// If it leads nowhere, or that driver would fail on its first use: why, and what to do.
    pub fn new(kubeconfig: &Secret<String>, pin: &Pin, read: ReadFile<'_>) -> Result<Self, KubeconfigFault> {
        let target = document::target(kubeconfig.expose())?;
        let Target { server, cluster, user } = &target;
        let (mut validity, mut notes) = (Vec::new(), Vec::new());
        let ignored = target.ignored();
        if !ignored.is_empty() {
            notes.push(format!("the driver ignores {}", ignored.join(", ")));
        }
        let (path, data) = (&cluster.certificate_authority, &cluster.certificate_authority_data);
        let authority = content("certificate-authority", path, data, read)?;
        if let Some(authority) = &authority {
            validity.push(certificate::authority(authority)?);
        }
        let takes_tokens = *pin.version() >= Version::new(FIRST_WITH_TOKENS);
        let token = user.token.as_ref().filter(|token| !token.is_empty());
        let (path, data) = (&user.client_certificate, &user.client_certificate_data);
        let certificate = content("client-certificate", path, data, read)?;
        let key = content("client-key", &user.client_key, &user.client_key_data, read)?;
        let login = match (certificate, key, token) {
            (Some(certificate), Some(key), _) => {
                let key = Secret::new(key);
                let (period, note) = certificate::pair(&certificate, &key)?;
                validity.push(period);
                notes.extend(note.map(str::to_owned));
                Login::Certificate { certificate, key }
            }
            (None, _, Some(token)) if takes_tokens => {
                if token == LEFT_OUT {
                    return Err(fault("has no token, for kubectl has left it out; add --raw to kubectl config view"));
                }
                if !server.username().is_empty() || server.password().is_some() {
                    return Err(fault("has a token and credentials in its server's address, and helm takes only one"));
                }
                validity.extend(Validity::of_token(token));
                Login::Token(Secret::new(token.clone()))
            }
            (certificate, key, token) => {
                let way = match (certificate, key, token) {
                    (Some(_), ..) => "a client certificate without its key",
                    (_, Some(_), _) => "a client key without its certificate",
                    (_, _, Some(_)) => "a token (which drivers from 1.3.0 on can use)",
                    _ => user.other_login(),
                };
                let or_token = if takes_tokens { ", or a token" } else { "" };
                return Err(fault(format!(
                    "authenticates with {way}, and {pin} needs a client certificate and key{or_token}; use a \
                     kubeconfig that has them"
                )));
            }
        };
        let server = without_credentials(server.as_str()).trim_end_matches('/').to_owned();
        let mut usable = Self { server, authority, login, validity, notes };
        if usable.leads_here() {
            usable.notes.push("that is this machine itself".to_owned());
        }
        Ok(usable)
    }

    /// Whether the server's address is a loopback address: each machine's own.
    pub fn leads_here(&self) -> bool {
        let address = Url::parse(&self.server).ok();
        match address.as_ref().and_then(Url::host) {
            Some(Host::Domain(name)) => {
                let name = name.trim_end_matches('.');
                ["localhost.localdomain", "ip6-localhost", "ip6-loopback"].contains(&name)
                    || name.rsplit('.').next() == Some("localhost")
            }
            // Nobody's address is one's own to whoever connects to it.
            Some(Host::Ipv4(address)) => address.is_loopback() || address.is_unspecified(),
            Some(Host::Ipv6(address)) => {
                let mapped = address.to_ipv4_mapped();
                address.is_loopback() || address.is_unspecified() || mapped.is_some_and(|mapped| mapped.is_loopback())
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::super::testing::kubeconfig;
    use super::*;

    fn fixture(name: &str) -> Result<Vec<u8>, String> {
        let name = name.trim_start_matches("/pki/");
        std::fs::read(format!("tests/fixtures/kubeconfig/{name}")).map_err(|e| e.to_string())
    }

    fn data(name: &str) -> String {
        STANDARD.encode(fixture(name).unwrap())
    }

    fn by_certificate() -> String {
        let (certificate, key) = (data("client.crt"), data("client-sec1.key"));
        format!("client-certificate-data: {certificate}, client-key-data: {key}")
    }

    const SERVER: &str = "server: 'https://192.0.2.1:6443/'";

    fn usable(cluster: &str, user: &str, version: &str) -> Result<UsableKubeconfig, String> {
        let pin = format!("magnum-capi-helm=={version}").parse().unwrap();
        let read = |path: &Path| fixture(&path.to_string_lossy());
        let kubeconfig = Secret::new(kubeconfig(cluster, user));
        UsableKubeconfig::new(&kubeconfig, &pin, &read).map_err(|fault| fault.to_string())
    }

    const EXEC: &str = "exec: {command: aws}";

    #[test]
    fn every_driver_can_use_a_client_certificate() {
        for user in [
            by_certificate(),
            "client-certificate: /pki/client.crt, client-key: /pki/client-pkcs8.key".to_owned(),
            format!("{}, token: beside", by_certificate()),
            format!("{}, {EXEC}", by_certificate()),
        ] {
            for (server, version) in [(SERVER, "1.1.0"), ("server: 'https://a:hunter2@192.0.2.1:6443'", "1.4.0")] {
                let usable = usable(server, &user, version).unwrap();
                assert_eq!(usable.server, "https://192.0.2.1:6443");
                assert!(matches!(usable.login, Login::Certificate { .. }));
            }
        }
    }

    #[test]
    fn a_token_needs_a_driver_from_1_3_0_on() {
        let token = usable(SERVER, "token: hunter2", "1.3.0").unwrap();
        assert_eq!(token.login, Login::Token(Secret::new("hunter2".into())));
        let fault = usable(SERVER, "token: hunter2", "1.2.1").unwrap_err();
        assert!(fault.contains("needs a client certificate and key; use"), "{fault}");
        assert!(!fault.contains("hunter2"));
        let fault = usable("server: 'https://hunter2@192.0.2.1'", "token: t", "1.3.0").unwrap_err();
        assert!(fault.contains("credentials in its server's address") && !fault.contains("hunter2"), "{fault}");
    }

    #[test]
    fn each_user_that_no_driver_can_use_is_refused_with_its_reason() {
        let certificate = format!("client-certificate-data: {}", data("client.crt"));
        let key = format!("client-key-data: {}", data("client-sec1.key"));
        for (user, words) in [
            (EXEC, "an exec plugin, which the driver cannot run"),
            ("auth-provider: {name: gcp}", "auth-provider, which helm refuses"),
            ("username: a, password: b", "a user name and password"),
            ("tokenFile: /pki/client.crt", "tokenFile, which the driver ignores"),
            (&certificate, "a client certificate without its key"),
            (&format!("{certificate}, token: t"), "a client certificate without its key"),
            (&key, "a client key without its certificate"),
            ("token: ''", "authenticates with nothing"),
            ("token: REDACTED", "kubectl has left it out"),
            ("client-certificate: /absent, client-key: /k", "that user magnum cannot read"),
            ("client-certificate: rel, client-key: /k", "a relative path"),
            ("client-certificate-data: '!', client-key-data: ''", "not base64"),
        ] {
            let fault = usable(SERVER, user, "1.4.0").unwrap_err();
            assert!(fault.contains(words), "{user}: {fault}");
        }
    }

    #[test]
    fn a_server_at_a_loopback_address_is_noted_and_no_other() {
        for (host, expected) in [
            ("127.0.0.1", true),
            ("127.9.0.1", true),
            ("0.0.0.0", true),
            ("[::1]", true),
            ("[::]", true),
            ("[::ffff:127.0.0.1]", true),
            ("localhost", true),
            ("LOCALHOST.", true),
            ("kind.localhost", true),
            ("ip6-localhost", true),
            ("128.0.0.1", false),
            ("[::2]", false),
            ("[::ffff:192.0.2.1]", false),
            ("localhost.example", false),
            ("notlocalhost", false),
        ] {
            let usable = usable(&format!("server: 'https://{host}:6443'"), &by_certificate(), "1.1.0").unwrap();
            assert_eq!((usable.leads_here(), !usable.notes.is_empty()), (expected, expected), "{host}");
        }
    }

    #[test]
    fn what_the_driver_ignores_is_noted() {
        let ignored = "insecure-skip-tls-verify: true, proxy-url: 'http://p', tls-server-name: x";
        let usable_with = |more: &str| {
            let cluster = format!("{SERVER}, {more}");
            usable(&cluster, &by_certificate(), "1.1.0").unwrap()
        };
        assert_eq!(
            usable_with(ignored).notes,
            ["the driver ignores insecure-skip-tls-verify, proxy-url, tls-server-name"]
        );
        let usable = usable_with("certificate-authority: /pki/ca.crt, insecure-skip-tls-verify: false");
        assert!(usable.notes.is_empty() && usable.authority.is_some());
    }
}
