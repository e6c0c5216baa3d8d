//! Requests to the management cluster as the driver makes them: with the same server, authority, and client certificate
//! or token, from this unit. Each is limited in time and size, and none follows a redirect.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use reqwest::redirect::Policy;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{AlertDescription, CertificateError, ClientConfig, Error as TlsError, OtherError};
use serde_json::Value;
use thiserror::Error;

use super::usable::{Login, UsableKubeconfig};
use super::verifier::{ServerVerifier, UnsupportedCertificate};
use crate::system::http::{self, HttpClient};
use crate::system::{Root, Secret, limits};

/// For one request: from looking up the address to the last byte of the answer.
const LIMIT: Duration = Duration::from_secs(5);
/// For all requests of a session together.
const LIMIT_OF_ALL: Duration = Duration::from_secs(15);

/// The name of a user whose credentials did not arrive, as behind a proxy that ends TLS.
const ANONYMOUS: &str = r#"\"system:anonymous\""#;

/// Why a request has no answer that can be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ApiError {
    /// Nobody answers, or nobody who can be trusted.
    #[error("does not answer ({0})")]
    Unreachable(String),
    /// The HTTP status, 401 or 403: it does not know the user, or does not let it do anything.
    #[error("does not accept the kubeconfig's credentials (HTTP {0})")]
    Rejected(u16),
    /// It answers something that a Kubernetes API does not.
    #[error("does not answer as a Kubernetes API ({0})")]
    Unexpected(String),
    /// What RBAC does not let the user do, such as `get /apis`. It knows the user.
    #[error("does not let the kubeconfig's user {0}")]
    Forbidden(String),
    /// The charm cannot use credentials of this kind, and the driver may.
    #[error("cannot be asked by the charm with credentials of this kind")]
    Unsupported,
    /// Why the charm's TLS has no connection, and that of the driver and helm may have one.
    #[error("cannot be asked by the charm, whose TLS does not take it: {0}; that of the driver and helm may")]
    UnsupportedServer(String),
}

impl ApiError {
    /// Whether it says nothing against the kubeconfig: the management cluster accepts the user, or the charm cannot ask.
    pub fn is_inconclusive(&self) -> bool {
        matches!(self, Self::Forbidden(_) | Self::Unsupported | Self::UnsupportedServer(_))
    }
}

/// A connection for a few requests.
pub struct Session {
    client: HttpClient,
    server: String,
    token: Option<Secret<String>>,
    began: Instant,
}

impl Session {
    /// Prepares the requests; the first one connects. A kubeconfig without an authority trusts those of the unit.
    ///
    /// # Errors
    /// If the charm cannot use the credentials.
    pub fn open(root: &Root, usable: &UsableKubeconfig) -> Result<Self, ApiError> {
        let authorities = match &usable.authority {
            Some(authority) => certificates(authority)?,
            None => {
                let own = http::authorities(root).map_err(|error| ApiError::Unreachable(format!("{error:#}")))?;
                own.unwrap_or_default()
            }
        };
        if authorities.is_empty() {
            return Err(ApiError::Unreachable("neither the kubeconfig nor this machine names an authority".to_owned()));
        }
        let verifier = ServerVerifier::new(authorities).ok_or(ApiError::Unsupported)?;
        let tls =
            ClientConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions();
        let tls = tls.map_err(|_| ApiError::Unsupported)?;
        let tls = tls.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
        let (mut tls, token) = match &usable.login {
            Login::Token(token) => (tls.with_no_client_auth(), Some(token.clone())),
            Login::Certificate { certificate, key } => {
                let key = PrivateKeyDer::from_pem_slice(key.expose()).map_err(|_| ApiError::Unsupported)?;
                let tls = tls.with_client_auth_cert(certificates(certificate)?, key);
                (tls.map_err(|_| ApiError::Unsupported)?, None)
            }
        };
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let builder = http::direct().redirect(Policy::none()).tls_backend_preconfigured(tls);
        Ok(Self {
            client: HttpClient::new(builder).map_err(|_| ApiError::Unsupported)?,
            server: usable.server.clone(),
            token,
            began: Instant::now(),
        })
    }

    /// Posts the document, or else gets what is at the path.
    ///
    /// # Errors
    /// If there is no answer, or it is not JSON.
    pub async fn request(&self, path: &str, document: Option<&Value>) -> Result<Value, ApiError> {
        let (client, address) = (&self.client.reqwest, format!("{}{path}", self.server));
        let request = match document {
            Some(document) => client.post(address).json(document),
            None => client.get(address),
        };
        let left = LIMIT_OF_ALL.saturating_sub(self.began.elapsed());
        let mut request = request.timeout(left.min(LIMIT));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose());
        }
        let response = request.send().await.map_err(|error| unreachable(&error))?;
        match response.status() {
            status if status.is_success() => {
                let unexpected = |error: std::io::Error| ApiError::Unexpected(error.to_string());
                let body = http::read(response, limits::MOST_BYTES).await.map_err(unexpected)?;
                let no_json =
                    |error: serde_json::Error| ApiError::Unexpected(format!("HTTP {status} without JSON: {error}"));
                limits::json(&body).map_err(no_json)
            }
            StatusCode::UNAUTHORIZED => Err(ApiError::Rejected(401)),
            StatusCode::FORBIDDEN => {
                // Kubernetes names the user to whom it forbids something.
                let body = http::read(response, limits::MOST_BYTES).await.unwrap_or_default();
                match String::from_utf8_lossy(&body).contains(ANONYMOUS) {
                    true => Err(ApiError::Rejected(403)),
                    false => Err(ApiError::Forbidden(rule(path, document))),
                }
            }
            status => Err(ApiError::Unexpected(format!("HTTP {status}"))),
        }
    }

    /// Waits for requests.
    pub fn wait<T>(&self, requests: impl Future<Output = T>) -> T {
        self.client.wait(requests)
    }
}

/// Returns what RBAC calls a request: `create RESOURCE.GROUP`, or `get PATH`.
fn rule(path: &str, document: Option<&Value>) -> String {
    let parts: Vec<&str> = path.split('/').collect();
    match (document, &parts[..]) {
        (Some(_), [_, _, group, _, resource]) => format!("create {resource}.{group}"),
        _ => format!("get {path}"),
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, ApiError> {
    CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|_| ApiError::Unsupported)
}

fn unreachable(error: &reqwest::Error) -> ApiError {
    // A token that no header can hold.
    if error.is_builder() {
        return ApiError::Unsupported;
    }
    let nothing_in_common = "it speaks no TLS that the charm's does";
    match http::tls_error(error) {
        Some(TlsError::InvalidCertificate(CertificateError::Other(OtherError(why))))
            if why.is::<UnsupportedCertificate>() =>
        {
            ApiError::UnsupportedServer(format!("its certificate {why}"))
        }
        Some(TlsError::AlertReceived(AlertDescription::HandshakeFailure)) => {
            ApiError::UnsupportedServer(nothing_in_common.to_owned())
        }
        _ => ApiError::Unreachable(http::reason(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{fixture, serve, usable};
    use super::*;
    use crate::system::testing::Scratch;

    /// As Kubernetes 1.31 answers a client without credentials.
    const FORBIDDEN_TO_NOBODY: &str = r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"forbidden: User \"system:anonymous\" cannot get path \"/apis\"","reason":"Forbidden","details":{},"code":403}"#;

    fn error(usable: &UsableKubeconfig) -> ApiError {
        let session = Session::open(&Scratch::new().root, usable);
        session.and_then(|session| session.wait(session.request("/apis", None))).unwrap_err()
    }

    #[test]
    fn an_answer_that_is_not_a_kubernetes_apis_is_an_error_of_its_kind() {
        for (head, body, expected) in [
            ("401 Unauthorized", "", ApiError::Rejected(401)),
            ("403 Forbidden", "", ApiError::Forbidden("get /apis".into())),
            ("403 Forbidden", FORBIDDEN_TO_NOBODY, ApiError::Rejected(403)),
            ("500 Error", "", ApiError::Unexpected("HTTP 500 Internal Server Error".into())),
            // A redirect is not followed.
            ("302 Found\r\nLocation: https://192.0.2.1/", "", ApiError::Unexpected("HTTP 302 Found".into())),
            (
                "200 OK",
                "<html>",
                ApiError::Unexpected("HTTP 200 OK without JSON: expected value at line 1 column 1".into()),
            ),
        ] {
            assert_eq!(error(&serve(move |_, _, _| (head, body.to_owned()))), expected);
        }
    }

    #[test]
    fn an_answer_over_a_limit_is_refused_with_that_limit() {
        let long = serve(|_, _, _| ("200 OK", format!("\"{}\"", "x".repeat(9 << 20))));
        assert_eq!(error(&long), ApiError::Unexpected("it has more than 2097152 bytes".into()));
        let many = serve(|_, _, _| ("200 OK", format!("[{}0]", "0,".repeat(60_000))));
        let expected = "HTTP 200 OK without JSON: it has more than 2097152 bytes or 50000 values";
        assert_eq!(error(&many), ApiError::Unexpected(expected.into()));
    }

    #[test]
    fn each_way_of_not_answering_is_named() {
        let assert_says = |usable: &UsableKubeconfig, words: &str| {
            let error = error(usable);
            let is_named = matches!(&error, ApiError::Unreachable(reason) if reason.starts_with(words));
            assert!(is_named, "no {words}: {error}");
        };
        let mut untrusted = serve(|_, _, _| ("200 OK", String::new()));
        untrusted.authority = Some(fixture("ca.crt"));
        assert_says(&untrusted, "invalid peer certificate: ");
        assert_says(&usable("https://127.0.0.1:1"), "Connection refused");
        assert_says(&usable("https://no-such-host.invalid"), "failed to lookup address");
        let mut anybodys = usable("https://127.0.0.1:1");
        anybodys.authority = None;
        assert_says(&anybodys, "neither the kubeconfig nor this machine");
        let mut bad_token = usable("https://127.0.0.1:1");
        bad_token.login = Login::Token(Secret::new("a\nb".into()));
        assert_eq!(error(&bad_token), ApiError::Unsupported);
        let mut p521 = usable("https://127.0.0.1:1");
        p521.login = Login::Certificate { certificate: fixture("p521.crt"), key: Secret::new(fixture("p521.key")) };
        assert_eq!(error(&p521), ApiError::Unsupported);
    }
}
