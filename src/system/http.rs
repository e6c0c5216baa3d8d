//! HTTP clients: with a time limit, TLS by rustls, and the proxies that are given or none.

use std::sync::Once;
use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::blocking::{Client, ClientBuilder};
use reqwest::{NoProxy, Proxy};

/// A client that goes through no proxy: for this machine and the management cluster.
pub fn direct() -> ClientBuilder {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // Fails only when one is installed already, which serves as well.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
    });
    Client::builder().no_proxy()
}

/// A client for the world outside, through the model's proxies, trusting the unit's authorities.
/// `limit` is for the answer's head, and then for each read of its body.
///
/// # Errors
/// When a proxy's address is none.
pub fn client(limit: Duration, proxy: &[(String, String)]) -> Result<Client> {
    let value = |name: &str| {
        let found = proxy.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    };
    let except = value("no_proxy").and_then(NoProxy::from_string);
    let mut builder = direct()
        .timeout(limit)
        .connect_timeout(Duration::from_secs(15));
    if let Some(address) = value("http_proxy") {
        let proxy = Proxy::http(address)
            .ok()
            .context("the model's http proxy is no address")?;
        builder = builder.proxy(proxy.no_proxy(except.clone()));
    }
    if let Some(address) = value("https_proxy") {
        let proxy = Proxy::https(address)
            .ok()
            .context("the model's https proxy is no address")?;
        builder = builder.proxy(proxy.no_proxy(except));
    }
    builder.build().context("making a HTTP client")
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
    use super::*;

    #[test]
    fn credentials_are_taken_out_of_every_url_and_nothing_else_is() {
        let text = "a@b: Get \"https://me:p@ss@mirror/x\": amqp://token@rabbit, http://plain/a@b 'ftp://u@h'";
        let redacted = "a@b: Get \"https://mirror/x\": amqp://rabbit, http://plain/a@b 'ftp://h'";
        assert_eq!(redact_urls(text), redacted);
    }
}
