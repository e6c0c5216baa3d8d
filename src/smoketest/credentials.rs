//! The account that a run asks with: from a Juju secret, or Magnum's own.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::juju::Context;
use crate::juju::tools::{self, SecretOf};
use crate::magnum::Configuration;
use crate::problem::Problem;
use crate::system::{Root, Secret, System};

/// An account of Keystone's, with its project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeystoneAccount {
    /// Keystone's address, which ends in `/v3`. It may hold a password.
    pub auth_url: String,
    pub username: String,
    pub password: Secret<String>,
    /// The project that template and cluster belong to.
    pub project_name: String,
    pub user_domain_name: String,
    pub project_domain_name: String,
    /// The region whose Magnum is meant, if there are several.
    pub region: Option<String>,
    /// An authority to trust besides the unit's own, PEM.
    pub authority: Option<String>,
}

impl KeystoneAccount {
    /// Reads the account from the Juju secret `id`, or else from Magnum's configuration.
    ///
    /// # Errors
    /// A [`Problem`] if something is missing or not granted.
    pub fn obtain(system: &System, id: Option<&str>, context: &Context) -> Result<Self> {
        let Some(id) = id else {
            return Self::of_magnum(&system.root);
        };
        let secret = tools::secret_get(
            system,
            SecretOf::Parameter("credentials"),
            id,
            context.application(),
        )?;
        Self::of_secret(&secret)
    }

    fn of_secret(secret: &BTreeMap<String, Secret<String>>) -> Result<Self> {
        let given = |key: &str| secret.get(key).map(|value| value.expose().clone());
        let mut account = Self::new(given, &|key| {
            Problem::blocked(
                format!("The secret of credentials has no {key}"),
                "it needs auth-url, username, password, project-name, user-domain-name and project-domain-name, and \
                 may have region and cacert",
            )
        })?;
        account.region = given("region").filter(|region| !region.is_empty());
        account.authority = given("cacert").filter(|authority| !authority.is_empty());
        Ok(account)
    }

    fn of_magnum(root: &Root) -> Result<Self> {
        let configuration = Configuration::read(root)?;
        let option = |key: &str| {
            let sections = ["keystone_auth", "keystone_authtoken"].into_iter();
            sections
                .filter_map(|section| configuration.value(section, key))
                .map(str::to_owned)
                .next()
        };
        let mut account = Self::new(|key| option(&key.replace('-', "_")), &|key| {
            let key = key.replace('-', "_");
            Problem::blocked(
                format!("magnum.conf has no {key} in [keystone_auth]"),
                "nor in [keystone_authtoken]; run: juju relate magnum keystone, or give the parameter credentials",
            )
        })?;
        account.region = option("region_name");
        if let Some(path) = option("cafile") {
            let read = root
                .resolve(Path::new(&path))
                .and_then(|path| root.read(&path));
            let bytes = read.with_context(|| format!("cafile of magnum.conf is {path}"))?;
            account.authority = Some(String::from_utf8_lossy(&bytes).into_owned());
        }
        Ok(account)
    }

    /// Builds an account from the values of the secret's keys.
    fn new(
        given: impl Fn(&str) -> Option<String>,
        missing: &dyn Fn(&str) -> Problem,
    ) -> Result<Self> {
        let needed = |key: &str| {
            given(key)
                .filter(|value| !value.is_empty())
                .ok_or_else(|| missing(key))
        };
        Ok(Self {
            auth_url: version_3(&needed("auth-url")?),
            username: needed("username")?,
            password: Secret::new(needed("password")?),
            project_name: needed("project-name")?,
            user_domain_name: needed("user-domain-name")?,
            project_domain_name: needed("project-domain-name")?,
            region: None,
            authority: None,
        })
    }

    /// Returns the account and its project, for people.
    pub fn name(&self) -> String {
        let Self {
            username,
            user_domain_name,
            project_name,
            project_domain_name,
            ..
        } = self;
        format!("{username}@{user_domain_name} in project {project_name}@{project_domain_name}")
    }
}

/// Adds the version to Keystone's address, which many write without.
fn version_3(address: &str) -> String {
    let address = address.trim_end_matches('/');
    let address = address.strip_suffix("/v3").unwrap_or(address);
    format!("{}/v3", address.trim_end_matches("/v2.0"))
}

#[cfg(test)]
mod tests {
    use crate::system::testing::Scratch;

    use super::*;

    const KEYS: [&str; 6] = [
        "auth-url",
        "username",
        "password",
        "project-name",
        "user-domain-name",
        "project-domain-name",
    ];

    fn secret() -> BTreeMap<String, Secret<String>> {
        KEYS.map(|key| (key.to_owned(), Secret::new(format!("the-{key}"))))
            .into()
    }

    #[test]
    fn a_secret_that_lacks_something_is_refused_by_name_and_none_shows_its_password() {
        let complete = KeystoneAccount::of_secret(&secret()).unwrap();
        assert!(!format!("{complete:?}").contains("the-password"));
        assert_eq!(complete.region, None);
        for key in KEYS {
            for other in [None, Some(Secret::default())] {
                let mut partial = secret();
                partial.remove(key);
                partial.extend(other.map(|value| (key.to_owned(), value)));
                let error = KeystoneAccount::of_secret(&partial)
                    .unwrap_err()
                    .to_string();
                assert!(error.contains(&format!("has no {key}:")), "{error}");
                assert!(!error.contains("the-password"));
            }
        }
    }

    #[test]
    fn magnums_own_account_is_in_its_configuration_with_its_region_and_authority() {
        let scratch = Scratch::new();
        scratch.put(
            "/etc/magnum/magnum.conf",
            "[keystone_authtoken]\nauth_url = http://k:5000\nusername = magnum\npassword = p\nproject_name = services\n\
             user_domain_name = d\nproject_domain_name = d\nregion_name = R\ncafile = /etc/ca.pem\n\
             [keystone_auth]\nusername = other\n",
        );
        scratch.put("/etc/real.pem", "PEM");
        scratch.link("/etc/ca.pem", "real.pem");
        let account = KeystoneAccount::of_magnum(&scratch.root).unwrap();
        assert_eq!(account.name(), "other@d in project services@d");
        assert_eq!(
            (account.region.as_deref(), account.authority.as_deref()),
            (Some("R"), Some("PEM"))
        );
        scratch.put(
            "/etc/magnum/magnum.conf",
            "[keystone_auth]\nauth_url = http://k:5000\n",
        );
        let error = KeystoneAccount::of_magnum(&scratch.root)
            .unwrap_err()
            .to_string();
        assert!(error.contains("magnum.conf has no username"), "{error}");
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
