//! Addresses that may hold a password, and the credentials that are joined to them.

use std::fmt;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::problem::Problem;

/// A http or https address. It may hold a password, so it is only shown without one.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address(Url);

/// A user name and password, from a Juju secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user name.
    pub username: String,
    /// The password or token.
    pub password: String,
}

impl Address {
    /// Checks the value of `option`.
    ///
    /// # Errors
    /// When it is no http or https address. The value, which may hold a password, is not shown.
    pub fn new(option: &str, value: &str) -> Result<Self, Problem> {
        let usable = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
        let plain = !value.contains(char::is_whitespace);
        Url::parse(value)
            .ok()
            .filter(|url| plain && usable(url))
            .map(Self)
            .ok_or_else(|| {
                Problem::blocked(format!(
                    "{option} is not a http or https address (its value is not shown); \
                 set it like https://HOST/PATH"
                ))
            })
    }

    /// Joins credentials to the value of `option`.
    ///
    /// # Errors
    /// When it has credentials of its own.
    pub fn with(mut self, option: &str, credentials: &Credentials) -> Result<Self, Problem> {
        let bare = self.0.username().is_empty() && self.0.password().is_none();
        let joined = bare
            && self.0.set_username(&credentials.username).is_ok()
            && self.0.set_password(Some(&credentials.password)).is_ok();
        joined.then_some(self).ok_or_else(|| {
            Problem::blocked(format!(
                "{option} holds credentials, and index-credentials is set too; keep one"
            ))
        })
    }

    /// The address with whatever it holds, for what fetches from it alone.
    pub fn expose(&self) -> &str {
        self.0.as_str()
    }

    /// The address without credentials, for people.
    pub fn shown(&self) -> String {
        bare(self.0.clone())
    }
}

/// An address for people: without credentials, and without its query, which may hold a token.
pub fn without_credentials(address: &str) -> String {
    match Url::parse(address) {
        Ok(url) => bare(url),
        Err(_) => "an address that is none".to_owned(),
    }
}

fn bare(mut url: Url) -> String {
    // Both fail only for addresses that can hold no credentials in the first place.
    url.set_username("").ok();
    url.set_password(None).ok();
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({})", self.shown())
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_joined_escaped_and_never_shown() {
        let credentials = Credentials {
            username: "me".into(),
            password: "hunter2/@:".into(),
        };
        let index = Address::new("index-url", "https://mirror.example/simple/").unwrap();
        let index = index.with("index-url", &credentials).unwrap();
        assert_eq!(
            index.expose(),
            "https://me:hunter2%2F%40%3A@mirror.example/simple/"
        );
        assert_eq!(index.shown(), "https://mirror.example/simple/");
        let signed = without_credentials("https://token@mirror.example/helm?signature=hunter2#x");
        assert_eq!(signed, "https://mirror.example/helm");
        assert!(!format!("{index:?} {credentials:?}").contains("hunter2"));
        let message = index
            .with("index-url", &credentials)
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("keep one") && !message.contains("hunter2"),
            "{message}"
        );
    }
}
