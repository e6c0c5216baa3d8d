//! Addresses that may hold a password, and the credentials that are joined to them.

use std::fmt;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::problem::Problem;
use crate::system::{Secret, http};

/// Why an option that ends up in `99-capi.conf` is refused, and what else to do.
pub const PUBLIC: [&str; 2] = [
    "holds credentials, which every user of the unit could read in 99-capi.conf (the value is not shown)",
    "name a mirror that needs none, or attach the chart: juju attach-resource APPLICATION helm-chart=FILE",
];

/// An http or https URL. It may hold a password, so it is only shown without one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address(Secret<Url>);

/// A user name and password (or token), from a Juju secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    pub username: String,
    pub password: Secret<String>,
}

impl Address {
    /// Checks the value of `option`.
    ///
    /// # Errors
    /// If it is not an http or https URL. The value, which may hold a password, is not shown.
    pub fn new(option: &str, value: &str) -> Result<Self, Problem> {
        let usable = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
        let plain = !value.contains(char::is_whitespace);
        let parsed = Url::parse(value).ok().filter(|url| plain && usable(url));
        parsed.map(|url| Self(Secret::new(url))).ok_or_else(|| {
            let wrong = "is not a valid http or https URL (the value is not shown)";
            Problem::option(option, wrong, "set it like https://HOST/PATH")
        })
    }

    /// Adds credentials to the value of `option`.
    ///
    /// # Errors
    /// If it has credentials of its own.
    pub fn with(self, option: &str, credentials: &Credentials) -> Result<Self, Problem> {
        let mut url = self.0.into_inner();
        let has_none = url.username().is_empty() && url.password().is_none();
        let added = has_none
            && url.set_username(&credentials.username).is_ok()
            && url.set_password(Some(credentials.password.expose())).is_ok();
        added.then_some(Self(Secret::new(url))).ok_or_else(|| {
            Problem::option(option, "holds credentials, and index-credentials is set too", "keep one of them")
        })
    }

    /// Returns the address with its credentials, for whoever fetches from it.
    pub fn url(&self) -> &Url {
        self.0.expose()
    }
}

/// Without credentials, and without the query, which may hold a token.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redacted(self.url().clone()))
    }
}

/// Whether a value holds credentials: as a URL, or where a URL in it may hold some.
pub fn holds_credentials(value: &str) -> bool {
    Url::parse(value).map_or_else(
        |_| http::redact_urls(value, "") != value,
        |url| !url.username().is_empty() || url.password().is_some(),
    )
}

/// Returns an address for people: without credentials, and without its query, which may hold a token.
pub fn without_credentials(address: &str) -> String {
    Url::parse(address).map_or_else(|_| "(not a valid URL)".to_owned(), redacted)
}

fn redacted(mut url: Url) -> String {
    // Both fail only for addresses that can hold no credentials in the first place.
    url.set_username("").ok();
    url.set_password(None).ok();
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_joined_escaped_and_never_shown() {
        let credentials = Credentials { username: "me".into(), password: Secret::new("hunter2/@:".into()) };
        let index = Address::new("index-url", "https://mirror.example/simple/").unwrap();
        let index = index.with("index-url", &credentials).unwrap();
        assert_eq!(index.url().as_str(), "https://me:hunter2%2F%40%3A@mirror.example/simple/");
        assert_eq!(index.to_string(), "https://mirror.example/simple/");
        let signed = without_credentials("https://token@mirror.example/helm?signature=hunter2#x");
        assert_eq!(signed, "https://mirror.example/helm");
        assert!(!format!("{index:?} {credentials:?}").contains("hunter2"));
        let message = index.with("index-url", &credentials).unwrap_err().to_string();
        assert!(message.contains("keep one") && !message.contains("hunter2"), "{message}");
    }
}
