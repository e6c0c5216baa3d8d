//! Requests to the management cluster, with the driver's own eyes: the same server, the same
//! authority, the same client certificate or token, from this unit, and never for long.

use std::error::Error;
use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use reqwest::blocking::{Client, RequestBuilder};
use reqwest::{Certificate, Identity, StatusCode};
use serde_json::Value;
use url::Url;

use super::usable::{Login, Usable};
use crate::http;

/// From the first packet of one question to the last byte of its answer, finding the address
/// included.
const LIMIT: Duration = Duration::from_secs(5);
/// All questions together.
const LIMIT_OF_ALL: Duration = Duration::from_secs(15);

/// Why there is no answer to go by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// Nobody answers, or nobody who can be trusted.
    Unreachable(Silence, String),
    /// It answers, and does not know us or does not let us in; the HTTP status, 401 or 403.
    Rejected(u16),
    /// It answers something that a Kubernetes API does not.
    Odd(String),
    /// It cannot be asked: a key of a kind that the driver can use and the charm cannot.
    Unaskable,
}

/// What kind of silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// Its name leads to no address.
    Dns,
    /// Nobody listens.
    Refused,
    /// No answer in time.
    TimedOut,
    /// TLS fails: most often, its certificate is not to be trusted.
    Tls,
    /// Anything else between here and there.
    Network,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(silence, reason) => {
                let kind = match silence {
                    Silence::Dns => "DNS",
                    Silence::Refused => "refused",
                    Silence::TimedOut => "timed out",
                    Silence::Tls => "TLS",
                    Silence::Network => "network",
                };
                write!(f, "does not answer ({kind}: {reason})")
            }
            Self::Rejected(status) => {
                write!(
                    f,
                    "does not accept the kubeconfig's credentials (HTTP {status})"
                )
            }
            Self::Odd(what) => write!(f, "does not answer as a Kubernetes API ({what})"),
            Self::Unaskable => f.write_str("cannot be asked with this kind of client key"),
        }
    }
}

/// A connection that is kept for some questions.
pub struct Session {
    client: Client,
    server: String,
    token: Option<String>,
    began: Instant,
}

impl Session {
    /// Gets ready to ask; the first question connects.
    ///
    /// # Errors
    /// When its address is not to be found, or the credentials cannot be used here.
    pub fn open(usable: &Usable) -> Result<Self, Trouble> {
        let began = Instant::now();
        let odd = || Trouble::Odd("its address has no host".to_owned());
        let url = Url::parse(&usable.server).map_err(|_| odd())?;
        let host = url.host_str().ok_or_else(odd)?;
        let mut builder = http::direct().timeout(LIMIT);
        // Addresses in brackets or of four numbers need no finding.
        if url.domain().is_some() {
            let port = url.port_or_known_default().unwrap_or(443);
            builder = builder.resolve_to_addrs(host, &resolve(host, port)?);
        }
        if let Some(authority) = &usable.authority {
            let roots = Certificate::from_pem_bundle(authority);
            builder = builder.tls_certs_only(roots.map_err(|_| Trouble::Unaskable)?);
        }
        let mut token = None;
        match &usable.login {
            Login::Token(text) => token = Some(text.clone()),
            Login::Certificate { certificate, key } => {
                let both = [certificate.as_slice(), b"\n", key.as_slice()].concat();
                let identity = Identity::from_pem(&both).map_err(|_| Trouble::Unaskable)?;
                builder = builder.identity(identity);
            }
        }
        Ok(Self {
            client: builder.build().map_err(|_| Trouble::Unaskable)?,
            server: usable.server.clone(),
            token,
            began,
        })
    }

    /// Asks for a document.
    ///
    /// # Errors
    /// When there is none, or no answer.
    pub fn get(&self, path: &str) -> Result<Value, Trouble> {
        self.send(self.client.get(format!("{}{path}", self.server)))
    }

    /// Puts a question as a document.
    ///
    /// # Errors
    /// When there is no answer, or another than a document.
    pub fn post(&self, path: &str, document: &Value) -> Result<Value, Trouble> {
        let request = self.client.post(format!("{}{path}", self.server));
        self.send(request.json(document))
    }

    fn send(&self, request: RequestBuilder) -> Result<Value, Trouble> {
        let left = LIMIT_OF_ALL.saturating_sub(self.began.elapsed());
        let mut request = request.timeout(left.min(LIMIT));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let response = request.send().map_err(|error| unreachable(&error))?;
        match response.status() {
            status if status.is_success() => response
                .json()
                .map_err(|_| Trouble::Odd(format!("HTTP {status} without JSON"))),
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                Err(Trouble::Rejected(status.as_u16()))
            }
            status => Err(Trouble::Odd(format!("HTTP {status}"))),
        }
    }
}

/// The addresses of a host. The system's own resolver knows no time limit: it is left behind when
/// it takes too long.
fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, Trouble> {
    let (answer, answered) = channel();
    let name = host.to_owned();
    std::thread::spawn(move || {
        let found = (name.as_str(), port).to_socket_addrs();
        // Nobody listens any more when it took too long.
        answer.send(found.map(Iterator::collect::<Vec<_>>)).ok();
    });
    let dns = |reason: String| Trouble::Unreachable(Silence::Dns, reason);
    match answered.recv_timeout(LIMIT) {
        Ok(Ok(found)) if !found.is_empty() => Ok(found),
        Ok(Ok(_)) => Err(dns(format!("{host} has no address"))),
        Ok(Err(error)) => Err(dns(format!("{host}: {error}"))),
        Err(_) => Err(dns(format!(
            "no answer about {host} within {} s",
            LIMIT.as_secs()
        ))),
    }
}

fn unreachable(error: &reqwest::Error) -> Trouble {
    let reason = http::reason(error);
    if error.is_timeout() {
        return Trouble::Unreachable(Silence::TimedOut, reason);
    }
    let mut silence = Silence::Network;
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let io = error.downcast_ref::<std::io::Error>();
        if error.is::<rustls::Error>() {
            silence = Silence::Tls;
        } else if io.is_some_and(|io| io.kind() == std::io::ErrorKind::ConnectionRefused) {
            silence = Silence::Refused;
        }
        // The source of one that wraps another is the source of that other.
        let wrapped = io.and_then(std::io::Error::get_ref);
        cause = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    Trouble::Unreachable(silence, reason)
}
