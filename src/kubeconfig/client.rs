//! Requests to the management cluster as the driver makes them: with the same server, authority, and client certificate
//! or token, from this unit. Each is limited in time and size, and none follows a redirect.

use std::time::{Duration, Instant};

use reqwest::redirect::Policy;
use reqwest::{Certificate, Identity, StatusCode};
use serde_json::Value;
use thiserror::Error;

use super::usable::{Login, UsableKubeconfig};
use crate::system::http::{self, HttpClient};
use crate::system::{Secret, limits};

/// For one request: from looking up the address to the last byte of the answer.
const LIMIT: Duration = Duration::from_secs(5);
/// For all requests of a session together.
const LIMIT_OF_ALL: Duration = Duration::from_secs(15);

/// Why a request has no answer that can be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ApiError {
    /// Nobody answers, or nobody who can be trusted.
    #[error("does not answer ({0})")]
    Unreachable(String),
    /// The HTTP status, 401 or 403: it does not know the user, or does not let it in.
    #[error("does not accept the kubeconfig's credentials (HTTP {0})")]
    Rejected(u16),
    /// It answers something that a Kubernetes API does not.
    #[error("does not answer as a Kubernetes API ({0})")]
    Unexpected(String),
    /// The charm cannot use credentials of this kind, and the driver may.
    #[error("cannot be asked by the charm with credentials of this kind")]
    Unsupported,
}

/// A connection for a few requests.
pub struct Session {
    client: HttpClient,
    server: String,
    token: Option<Secret<String>>,
    began: Instant,
}

impl Session {
    /// Prepares the requests; the first one connects.
    ///
    /// # Errors
    /// If the charm cannot use the credentials.
    pub fn open(usable: &UsableKubeconfig) -> Result<Self, ApiError> {
        let mut builder = http::direct().redirect(Policy::none());
        if let Some(authority) = &usable.authority {
            let roots = Certificate::from_pem_bundle(authority);
            builder = builder.tls_certs_only(roots.map_err(|_| ApiError::Unsupported)?);
        }
        let token = match &usable.login {
            Login::Token(token) => Some(token.clone()),
            Login::Certificate { certificate, key } => {
                let both = [certificate.as_slice(), b"\n", key.expose()].concat();
                builder = builder.identity(Identity::from_pem(&both).map_err(|_| ApiError::Unsupported)?);
                None
            }
        };
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
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => Err(ApiError::Rejected(status.as_u16())),
            status => Err(ApiError::Unexpected(format!("HTTP {status}"))),
        }
    }

    /// Waits for requests.
    pub fn wait<T>(&self, requests: impl Future<Output = T>) -> T {
        self.client.wait(requests)
    }
}

fn unreachable(error: &reqwest::Error) -> ApiError {
    match error.is_builder() {
        // A token that no header can hold.
        true => ApiError::Unsupported,
        false => ApiError::Unreachable(http::reason(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{fixture, serve, usable};
    use super::*;

    fn error(usable: &UsableKubeconfig) -> ApiError {
        let session = Session::open(usable);
        session.and_then(|session| session.wait(session.request("/apis", None))).unwrap_err()
    }

    #[test]
    fn an_answer_that_is_not_a_kubernetes_apis_is_an_error_of_its_kind() {
        for (head, body, expected) in [
            ("401 Unauthorized", "", ApiError::Rejected(401)),
            ("403 Forbidden", "", ApiError::Rejected(403)),
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
        let mut bad_token = usable("https://127.0.0.1:1");
        bad_token.login = Login::Token(Secret::new("a\nb".into()));
        assert_eq!(error(&bad_token), ApiError::Unsupported);
        let mut p521 = usable("https://127.0.0.1:1");
        p521.login = Login::Certificate { certificate: fixture("p521.crt"), key: Secret::new(fixture("p521.key")) };
        assert_eq!(error(&p521), ApiError::Unsupported);
    }
}
