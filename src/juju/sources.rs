//! What the operator wants, gathered from Juju: options, secrets, resources.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use tracing::warn;

use crate::converge::Wanted;
use crate::juju::tools::{Resource, SecretOf};
use crate::juju::{Context, tools};
use crate::kube::Kubeconfig;
use crate::problem::{Problem, told};
use crate::settings::{Credentials, Given, KUBECONFIG, RawConfig, Sha256};
use crate::unit::{files, state};

/// The option that holds the secret with the package index's credentials.
const CREDENTIALS: &str = "index-credentials";
/// The resources, by their names in `metadata.yaml`.
const RESOURCES: [&str; 4] = ["driver-wheel", "helm", "helm-chart", KUBECONFIG];
/// Where the resources' files were when they were last asked for.
const REMEMBERED: &str = "resources.json";

/// The files of the resources that were given.
type Resources = BTreeMap<String, PathBuf>;

/// Whether Juju is asked for each resource, or what it said last is enough: a new resource comes
/// with `upgrade-charm`, so the many `update-status` hooks need not ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// Ask Juju, and remember.
    Juju,
    /// Do with what is remembered, and write nothing.
    Remembered,
}

/// What the operator wants: problems where that is not valid.
///
/// # Errors
/// When Juju does not tell.
pub fn wanted(context: &Context, ask: Ask) -> Result<Wanted> {
    let config = tools::config_get().context("reading the configuration")?;
    let application = context.application();
    let resources = resources(ask)?;
    let given = told(given(&config, application, &resources))?;
    Ok(Wanted {
        settings: given.and_then(|given| config.validated(given)),
        kubeconfig: told(kubeconfig(&config, application, &resources))?,
    })
}

fn given(config: &RawConfig, application: &str, resources: &Resources) -> Result<Given> {
    let driver_wheel = match resources.get("driver-wheel") {
        None => None,
        Some(path) => {
            let sha256: Sha256 = files::sha256(&files::read(path)?).parse()?;
            Some((path.clone(), sha256))
        }
    };
    Ok(Given {
        credentials: match config.text(CREDENTIALS) {
            Some(id) => Some(credentials_in(id, application)?),
            None => None,
        },
        driver_wheel,
        helm: resources.get("helm").cloned(),
        helm_chart: resources.get("helm-chart").cloned(),
    })
}

/// The secret first, else the resource.
fn kubeconfig(
    config: &RawConfig,
    application: &str,
    resources: &Resources,
) -> Result<Option<Kubeconfig>> {
    match (config.text(KUBECONFIG), resources.get(KUBECONFIG)) {
        (Some(id), _) => kubeconfig_in(id, application).map(Some),
        (None, Some(path)) => kubeconfig_at(path, application).map(Some),
        (None, None) => Ok(None),
    }
}

fn resources(ask: Ask) -> Result<Resources> {
    let known: Option<Resources> = state::load(REMEMBERED)?;
    if let (Ask::Remembered, Some(known)) = (ask, &known) {
        // A charm refresh may have moved them; then Juju is asked after all.
        if known.values().all(|path| path.is_file()) {
            return Ok(known.clone());
        }
    }
    let mut found = Resources::new();
    for name in RESOURCES {
        let path = match tools::resource_get(name)? {
            Resource::File(path) => Some(path),
            Resource::Absent => None,
            // What was given once is not taken for withdrawn.
            Resource::Unknown(why) => {
                warn!("the resource {name} is taken to be as it was: {why}");
                let before = known.as_ref().and_then(|known| known.get(name));
                before.filter(|path| path.is_file()).cloned()
            }
        };
        found.extend(path.map(|path| (name.to_owned(), path)));
    }
    if ask == Ask::Juju && known.as_ref() != Some(&found) {
        state::save(REMEMBERED, &found)?;
    }
    Ok(found)
}

fn kubeconfig_in(id: &str, application: &str) -> Result<Kubeconfig> {
    let mut content = tools::secret_get(SecretOf::Option("kubeconfig"), id, application)?;
    let remedy = format!("run: juju update-secret {id} {KUBECONFIG}#file=FILE");
    let text = content.remove(KUBECONFIG).ok_or_else(|| {
        Problem::blocked(format!(
            "kubeconfig {id} has no key `{KUBECONFIG}`; {remedy}"
        ))
    })?;
    let parsed = text.parse::<Kubeconfig>();
    Ok(parsed.map_err(|why| Problem::blocked(format!("kubeconfig {id} {why}; {remedy}")))?)
}

fn kubeconfig_at(path: &Path, application: &str) -> Result<Kubeconfig> {
    let parsed = match String::from_utf8(files::read(path)?) {
        Ok(text) => text.parse::<Kubeconfig>().map_err(|why| why.to_string()),
        Err(_) => Err("is not text".to_owned()),
    };
    Ok(parsed.map_err(|why| {
        Problem::blocked(format!(
            "kubeconfig: the resource {why}; run: juju attach-resource {application} \
             {KUBECONFIG}=FILE"
        ))
    })?)
}

fn credentials_in(id: &str, application: &str) -> Result<Credentials> {
    let mut content = tools::secret_get(SecretOf::Option(CREDENTIALS), id, application)?;
    let mut part = |key: &str| {
        content.remove(key).ok_or_else(|| {
            Problem::blocked(format!(
                "{CREDENTIALS} {id} has no key `{key}`; run: juju update-secret {id} \
                 username=NAME password#file=FILE"
            ))
        })
    };
    Ok(Credentials {
        username: part("username")?,
        password: part("password")?,
    })
}
