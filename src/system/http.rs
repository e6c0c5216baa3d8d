//! HTTP clients: with a time limit, TLS by rustls, and the proxies that are given or none.

use std::path::Path;
use std::sync::Once;
use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::blocking::{Client, ClientBuilder};
use reqwest::{Certificate, NoProxy, Proxy};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};

use super::Root;

/// The unit's certificate authorities, to which an operator adds that of an internal mirror.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// A client that goes through no proxy: for this machine and the management cluster.
pub fn direct() -> ClientBuilder {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // Fails only when one is installed already, which serves as well.
        rustls::crypto::ring::default_provider().install_default().ok();
    });
    Client::builder().no_proxy()
}

/// A client for the world outside, through the model's proxies.
/// `limit` is for the answer's head, and then for each read of its body.
///
/// # Errors
/// If a proxy's address is not valid.
pub fn client(limit: Duration, proxy: &[(String, String)]) -> Result<Client> {
    proxied(limit, proxy)?.build().context("making a HTTP client")
}

/// As [`client`], to be built by the caller.
///
/// # Errors
/// As [`client`].
pub fn proxied(limit: Duration, proxy: &[(String, String)]) -> Result<ClientBuilder> {
    let value = |name: &str| {
        let found = proxy.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    };
    let except = value("no_proxy").and_then(NoProxy::from_string);
    let mut builder = direct().timeout(limit).connect_timeout(Duration::from_secs(15));
    if let Some(address) = value("http_proxy") {
        let proxy = Proxy::http(address).ok().context("the model's http proxy is not a valid address")?;
        builder = builder.proxy(proxy.no_proxy(except.clone()));
    }
    if let Some(address) = value("https_proxy") {
        let proxy = Proxy::https(address).ok().context("the model's https proxy is not a valid address")?;
        builder = builder.proxy(proxy.no_proxy(except));
    }
    Ok(builder)
}

/// Makes a client trust the unit's authorities, and nobody else.
///
/// # Errors
/// If their file is there but cannot be read.
pub fn trusting_unit(builder: ClientBuilder, root: &Root) -> Result<ClientBuilder> {
    let Some(bundle) = root.read_text(&root.resolve(Path::new(AUTHORITIES))?)? else {
        return Ok(builder);
    };
    // One that rustls cannot use must not cost all the others.
    let usable = CertificateDer::pem_slice_iter(bundle.as_bytes())
        .filter_map(Result::ok)
        .filter(|der| RootCertStore::empty().add(der.clone()).is_ok())
        .filter_map(|der| Certificate::from_der(&der).ok());
    Ok(builder.tls_certs_only(usable))
}

/// Why a request got no answer: the innermost cause, which is what the network or TLS layer said.
/// It holds no address, which could hold a password.
pub fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// Returns a text with the credentials taken out of the URLs in it.
pub fn redact_urls(text: &str) -> String {
    let mut parts = text.split("://");
    let mut redacted = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\'' | '<' | '>'));
        let host = part[..end.unwrap_or(part.len())].rfind('@').map_or(0, |at| at + 1);
        redacted.push_str("://");
        redacted.push_str(&part[host..]);
    }
    redacted
}

#[cfg(test)]
mod tests {
    use crate::system::testing::Scratch;

    use super::*;

    #[test]
    fn credentials_are_taken_out_of_every_url_and_nothing_else_is() {
        let text = "a@b: Get \"https://me:p@ss@mirror/x\": amqp://token@rabbit, http://plain/a@b 'ftp://u@h'";
        let redacted = "a@b: Get \"https://mirror/x\": amqp://rabbit, http://plain/a@b 'ftp://h'";
        assert_eq!(redact_urls(text), redacted);
    }

    #[test]
    fn an_authority_that_rustls_cannot_use_does_not_cost_the_client() {
        let scratch = Scratch::new();
        for bundle in [None, Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")] {
            if let Some(bundle) = bundle {
                scratch.put(AUTHORITIES, bundle);
            }
            let builder = trusting_unit(direct(), &scratch.root).unwrap();
            assert!(builder.build().is_ok());
        }
        scratch.root.remove(Path::new(AUTHORITIES)).unwrap();
        scratch.put(Path::new(AUTHORITIES).join("x"), "");
        assert!(trusting_unit(direct(), &scratch.root).is_err());
    }
}
