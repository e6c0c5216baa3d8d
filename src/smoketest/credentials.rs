//! The account that a run asks with: from a Juju secret, or Magnum's own.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Error, Result};
use serde::{Deserialize, Serialize};

use crate::juju::Context;
use crate::juju::tools;
use crate::magnum::{Configuration, read_as_magnum};
use crate::problem::Problem;
use crate::system::{Secret, System};

const SECRET_REMEDY: &str = "it needs auth-url, username, password, project-name, user-domain-name \
    and project-domain-name, and may have region and cacert";
const MAGNUM_REMEDY: &str = "neither [keystone_auth] nor [keystone_authtoken] has it; run: juju \
    relate magnum keystone, or give the parameter credentials";
/// The secret's keys, and Magnum's options for the same.
const OPTIONS: [(&str, &str); 8] = [
    ("auth-url", "auth_url"),
    ("username", "username"),
    ("password", "password"),
    ("project-name", "project_name"),
    ("user-domain-name", "user_domain_name"),
    ("project-domain-name", "project_domain_name"),
    ("region", "region_name"),
    ("cacert", "cafile"),
];

/// An account of Keystone's, with its project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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
    pub cacert: Option<String>,
}

impl KeystoneAccount {
    /// Reads the account from the Juju secret `id`, or from Magnum's configuration if that is empty.
    ///
    /// # Errors
    /// A [`Problem`] if something is missing or not granted.
    pub fn obtain(system: &System, id: &str, context: &Context) -> Result<Self> {
        if id.is_empty() {
            return Self::of_magnum(system);
        }
        let secret = tools::secret_get(system, "credentials", id, context.application(), "run the action with")?;
        Self::parse(secret, "Incomplete secret of credentials", SECRET_REMEDY)
    }

    fn of_magnum(system: &System) -> Result<Self> {
        let configuration = Configuration::read(&system.root)?;
        let mut values = BTreeMap::new();
        for (key, option) in OPTIONS {
            let value = |section| configuration.value(section, option);
            let value = value("keystone_auth").or_else(|| value("keystone_authtoken"));
            values.extend(value.map(|value| (key.to_owned(), Secret::new(value.to_owned()))));
        }
        if let Some(path) = values.get("cacert").map(|path| path.expose().clone()) {
            let read = read_as_magnum(system, Path::new(&path)).map_err(Error::msg);
            let bytes = read.with_context(|| format!("cafile of magnum.conf is {path}"))?;
            let pem = Secret::new(String::from_utf8_lossy(&bytes).into_owned());
            values.insert("cacert".to_owned(), pem);
        }
        Self::parse(values, "Incomplete Keystone account in magnum.conf", MAGNUM_REMEDY)
    }

    /// Builds an account from the values of the secret's keys. All are texts, so an error can only be a key that is
    /// missing, and quotes no value.
    fn parse(mut values: BTreeMap<String, Secret<String>>, summary: &str, remedy: &str) -> Result<Self> {
        values.retain(|_, value| !value.expose().is_empty());
        let parsed = serde_json::to_value(values).and_then(serde_json::from_value::<Self>);
        let incomplete = |error| Problem::blocked(summary, format!("{error}; {remedy}"));
        let mut account = parsed.map_err(incomplete)?;
        account.auth_url = version_3(&account.auth_url);
        Ok(account)
    }

    /// Returns the account and its project, for people.
    pub fn name(&self) -> String {
        let (user, user_domain) = (&self.username, &self.user_domain_name);
        let (project, project_domain) = (&self.project_name, &self.project_domain_name);
        format!("{user}@{user_domain} in project {project}@{project_domain}")
    }
}

/// Adds the version to Keystone's address, which many write without.
fn version_3(address: &str) -> String {
    let address = address.trim_end_matches('/').trim_end_matches("/v3").trim_end_matches("/v2.0");
    format!("{address}/v3")
}

#[cfg(test)]
mod tests {
    use crate::system::testing::{Scratch, command_line};

    use super::*;

    const KEYS: [&str; 6] =
        ["auth-url", "username", "password", "project-name", "user-domain-name", "project-domain-name"];

    fn secret() -> BTreeMap<String, Secret<String>> {
        KEYS.map(|key| (key.to_owned(), Secret::new(format!("the-{key}")))).into()
    }

    fn of_secret(secret: BTreeMap<String, Secret<String>>) -> Result<KeystoneAccount> {
        KeystoneAccount::parse(secret, "Incomplete", SECRET_REMEDY)
    }

    #[test]
    fn a_secret_that_lacks_something_is_refused_by_name_and_none_shows_its_password() {
        let complete = of_secret(secret()).unwrap();
        assert!(!format!("{complete:?}").contains("the-password"));
        assert_eq!(complete.region, None);
        for key in KEYS {
            for other in [None, Some(Secret::default())] {
                let mut partial = secret();
                partial.remove(key);
                partial.extend(other.map(|value| (key.to_owned(), value)));
                let error = of_secret(partial).unwrap_err().to_string();
                assert!(error.contains(&format!("missing field `{key}`")), "{error}");
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
        let system =
            scratch.system(|command| (command_line(command) == "cat -- /etc/ca.pem").then(|| "PEM".to_owned()));
        let account = KeystoneAccount::of_magnum(&system).unwrap();
        assert_eq!(account.name(), "other@d in project services@d");
        assert_eq!((account.region.as_deref(), account.cacert.as_deref()), (Some("R"), Some("PEM")));
        scratch.put("/etc/magnum/magnum.conf", "[keystone_auth]\nauth_url = http://k:5000\n");
        let error = KeystoneAccount::of_magnum(&system).unwrap_err().to_string();
        assert!(error.contains("missing field `username`"), "{error}");
    }

    #[test]
    fn keystones_address_ends_in_its_version() {
        for given in ["http://k:5000", "http://k:5000/", "http://k:5000/v3/", "http://k:5000/v2.0"] {
            assert_eq!(version_3(given), "http://k:5000/v3");
        }
    }
}
