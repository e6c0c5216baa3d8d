//! Who asks: an account from a Juju secret, or Magnum's own.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context as _, Result};

use crate::ground;
use crate::juju::tools::SecretOf;
use crate::juju::{Context, tools};
use crate::problem::Problem;
use crate::unit::files;

/// A text that never shows: a password, a token.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(String);

impl Hidden {
    /// Hides `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for whoever must send it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// An account of Keystone's, with its project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Keystone's address, ending in `/v3`.
    pub auth_url: String,
    /// The account's name.
    pub username: String,
    /// Its password.
    pub password: Hidden,
    /// The project that template and cluster belong to.
    pub project_name: String,
    /// The account's domain.
    pub user_domain_name: String,
    /// The project's domain.
    pub project_domain_name: String,
    /// The region whose Magnum is meant, when there are several.
    pub region: Option<String>,
    /// An authority to trust besides the unit's own, PEM.
    pub authority: Option<String>,
}

impl Credentials {
    /// Those in the Juju secret `id`, or else the services' own.
    ///
    /// # Errors
    /// A [`Problem`] when they lack something or cannot be had.
    pub fn obtain(id: Option<&str>, context: &Context) -> Result<Self> {
        match id {
            Some(id) => {
                let secret = tools::secret_get(
                    SecretOf::Parameter("credentials"),
                    id,
                    context.application(),
                )?;
                Ok(Self::of_secret(&secret)?)
            }
            None => Self::of_services(),
        }
    }

    /// The account in a secret's content.
    ///
    /// # Errors
    /// A [`Problem`] that names what is missing.
    pub fn of_secret(secret: &BTreeMap<String, String>) -> Result<Self, Problem> {
        let given = |key: &str| secret.get(key).filter(|value| !value.is_empty()).cloned();
        let needed = |key: &str| {
            given(key).ok_or_else(|| {
                Problem::blocked(format!(
                    "the secret of the parameter credentials has no {key}; it needs auth-url, username, \
                     password, project-name, user-domain-name and project-domain-name, and may have \
                     region and cacert"
                ))
            })
        };
        Ok(Self {
            auth_url: version_3(&needed("auth-url")?),
            username: needed("username")?,
            password: Hidden::new(needed("password")?),
            project_name: needed("project-name")?,
            user_domain_name: needed("user-domain-name")?,
            project_domain_name: needed("project-domain-name")?,
            region: given("region"),
            authority: given("cacert"),
        })
    }

    /// The content of a secret that would hold it. Not for anybody to see.
    pub fn as_secret(&self) -> BTreeMap<String, String> {
        let all = [
            ("auth-url", Some(self.auth_url.as_str())),
            ("username", Some(&self.username)),
            ("password", Some(self.password.reveal())),
            ("project-name", Some(&self.project_name)),
            ("user-domain-name", Some(&self.user_domain_name)),
            ("project-domain-name", Some(&self.project_domain_name)),
            ("region", self.region.as_deref()),
            ("cacert", self.authority.as_deref()),
        ];
        let given = all
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?)));
        given
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    }

    /// Magnum's own account, as its configuration has it.
    fn of_services() -> Result<Self> {
        let configuration = ground::configuration()?;
        let option = |key: &str| {
            let sections = ["keystone_auth", "keystone_authtoken"];
            let found = sections
                .into_iter()
                .find_map(|section| configuration.value(section, key));
            found.map(str::to_owned)
        };
        let needed = |key: &str| {
            option(key).ok_or_else(|| {
                Problem::blocked(format!(
                    "magnum.conf has no {key} in [keystone_auth] or [keystone_authtoken]; run: juju \
                     relate magnum keystone, or give the parameter credentials"
                ))
            })
        };
        let authority = match option("cafile") {
            Some(path) => {
                let read = files::read(path.as_ref());
                let bytes = read.with_context(|| format!("cafile of magnum.conf is {path}"))?;
                Some(String::from_utf8_lossy(&bytes).into_owned())
            }
            None => None,
        };
        Ok(Self {
            auth_url: version_3(&needed("auth_url")?),
            username: needed("username")?,
            password: Hidden::new(needed("password")?),
            project_name: needed("project_name")?,
            user_domain_name: needed("user_domain_name")?,
            project_domain_name: needed("project_domain_name")?,
            region: option("region_name"),
            authority,
        })
    }

    /// The account and its project, as people say it.
    pub fn who(&self) -> String {
        format!(
            "{}@{} in project {}@{}",
            self.username, self.user_domain_name, self.project_name, self.project_domain_name
        )
    }
}

/// Keystone's address with its version, which many write without.
fn version_3(address: &str) -> String {
    let address = address.trim_end_matches('/');
    if address.ends_with("/v3") {
        address.to_owned()
    } else {
        format!("{}/v3", address.trim_end_matches("/v2.0"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> BTreeMap<String, String> {
        [
            "auth-url",
            "username",
            "password",
            "project-name",
            "user-domain-name",
            "project-domain-name",
        ]
        .map(|key| (key.to_owned(), format!("the-{key}")))
        .into()
    }

    #[test]
    fn a_secret_that_lacks_something_is_refused_by_name_and_none_shows_its_password() {
        let whole = Credentials::of_secret(&secret()).unwrap();
        assert!(!format!("{whole:?}").contains("the-password"));
        for key in secret().keys() {
            let mut partial = secret();
            partial.remove(key);
            let told = Credentials::of_secret(&partial).unwrap_err().to_string();
            assert!(told.contains(&format!("has no {key};")), "{told}");
            assert!(!told.contains("the-password"));
        }
    }

    #[test]
    fn an_account_is_handed_on_whole() {
        let mut all = secret();
        all.insert("auth-url".into(), "https://k/v3".into());
        all.insert("region".into(), "the-region".into());
        all.insert("cacert".into(), "the-cacert".into());
        assert_eq!(Credentials::of_secret(&all).unwrap().as_secret(), all);
    }

    #[test]
    fn keystones_address_ends_in_its_version() {
        for given in [
            "http://k:5000",
            "http://k:5000/",
            "http://k:5000/v3/",
            "http://k:5000/v2.0",
        ] {
            assert_eq!(version_3(given), "http://k:5000/v3");
        }
    }
}
