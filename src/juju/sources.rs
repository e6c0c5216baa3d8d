//! What the operator asks for, from Juju: options, secrets and resources.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use tracing::warn;

use super::Context;
use super::settings::{Credentials, Given, KUBECONFIG, RawConfig, Settings, Sha256};
use super::tools::{self, SecretContent};
use crate::problem::{Problem, or_problem};
use crate::system::{Entry, Secret, System, sha256};

const CREDENTIALS: &str = "index-credentials";
const DRIVER_WHEEL: &str = "driver-wheel";
/// The resources, by their names in `metadata.yaml`.
const RESOURCES: [&str; 4] = [DRIVER_WHEEL, "helm", "helm-chart", KUBECONFIG];
/// The state file of the resources' paths, as Juju last gave them.
const REMEMBERED: &str = "resources.json";

type Resources = BTreeMap<String, PathBuf>;

/// Whether to ask Juju for each resource. A new resource comes with `upgrade-charm`, so the many `update-status` hooks
/// need not ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    Juju,
    /// Use what is remembered, and write nothing.
    Remembered,
}

/// What the operator asks for; each half is a problem if it is not valid.
#[derive(Debug, Clone)]
pub struct Request {
    /// Options and resources; the kubeconfig is still to be selected.
    pub settings: Result<Settings, Problem>,
    /// The granted kubeconfig, not looked into yet; `None` if there is none.
    pub kubeconfig: Result<Option<GrantedKubeconfig>, Problem>,
}

/// A kubeconfig as granted, and what to do when it is not valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantedKubeconfig {
    pub content: Secret<String>,
    /// The command that replaces it.
    pub remedy: String,
}

/// Reads what the operator asks for.
///
/// # Errors
/// If a hook tool fails.
pub fn request(system: &System, context: &Context, ask: Ask) -> Result<Request> {
    let config = tools::config_get(system).context("reading the configuration")?;
    let reader = Reader { system, application: context.application(), resources: resources(system, ask)?, config };
    let given = or_problem(reader.given())?;
    Ok(Request {
        settings: given.and_then(|given| reader.config.validated(given)),
        kubeconfig: or_problem(reader.kubeconfig())?,
    })
}

struct Reader<'a> {
    system: &'a System,
    application: &'a str,
    config: RawConfig,
    resources: Resources,
}

impl Reader<'_> {
    fn given(&self) -> Result<Given> {
        let resource = |name| self.resources.get(name).cloned();
        let checksum = |bytes: Vec<u8>| sha256(&bytes).parse::<Sha256>();
        let found = self.content(DRIVER_WHEEL)?.map(checksum).transpose()?;
        Ok(Given {
            credentials: self.credentials()?,
            driver_wheel: resource(DRIVER_WHEEL).zip(found),
            helm: resource("helm"),
            helm_chart: resource("helm-chart"),
        })
    }

    /// Returns the content of a resource; `None` if it is not attached.
    fn content(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let Some(path) = self.resources.get(name) else { return Ok(None) };
        let Entry::File(file) = self.system.root.inspect(path)? else {
            let summary = format!("Resource {name} is not a file of at most 8 MiB");
            return Err(Problem::blocked(summary, self.attach(name)).into());
        };
        Ok(Some(file.bytes))
    }

    /// Returns the remedy for a resource.
    fn attach(&self, name: &str) -> String {
        format!("run: juju attach-resource {} {name}=FILE", self.application)
    }

    /// Returns the secret that an option names: its id and its content.
    fn secret(&self, option: &str) -> Result<Option<(&str, SecretContent)>> {
        let Some(id) = self.config.text(option) else { return Ok(None) };
        let again = format!("run: juju config {}", self.application);
        Ok(Some((id, tools::secret_get(self.system, option, id, self.application, &again)?)))
    }

    fn credentials(&self) -> Result<Option<Credentials>> {
        let Some((id, mut content)) = self.secret(CREDENTIALS)? else { return Ok(None) };
        let mut value = |key: &str| {
            let remedy = format!("run: juju update-secret {id} username=NAME password#file=FILE");
            let missing = || Problem::option(CREDENTIALS, format!("{id} has no key `{key}`"), remedy);
            content.remove(key).ok_or_else(missing)
        };
        Ok(Some(Credentials { username: value("username")?.into_inner(), password: value("password")? }))
    }

    /// From the secret if the option is set, else from the resource.
    fn kubeconfig(&self) -> Result<Option<GrantedKubeconfig>> {
        if let Some((id, mut secret)) = self.secret(KUBECONFIG)? {
            let remedy = format!("run: juju update-secret {id} {KUBECONFIG}#file=FILE");
            let content = secret.remove(KUBECONFIG).ok_or_else(|| {
                Problem::option(KUBECONFIG, format!("{id} has no key `{KUBECONFIG}`"), remedy.clone())
            })?;
            return Ok(Some(GrantedKubeconfig { content, remedy }));
        }
        let Some(bytes) = self.content(KUBECONFIG)? else { return Ok(None) };
        let remedy = self.attach(KUBECONFIG);
        let not_text = || Problem::blocked("Resource kubeconfig is not text", remedy.clone());
        let content = String::from_utf8(bytes).map_err(|_| not_text())?;
        Ok(Some(GrantedKubeconfig { content: Secret::new(content), remedy }))
    }
}

fn resources(system: &System, ask: Ask) -> Result<Resources> {
    let root = &system.root;
    let known = root.load_or::<Resources>(REMEMBERED, "it is made anew once Juju serves every resource");
    let is_there = |path: &PathBuf| root.is_file(path).is_ok_and(|is| is);
    // A charm refresh may have moved them; then Juju is asked after all.
    if let (Ask::Remembered, Ok(Some(known))) = (ask, &known)
        && known.values().all(is_there)
    {
        return Ok(known.clone());
    }
    let mut found = Resources::new();
    for name in RESOURCES {
        let path = tools::resource_get(system, name).or_else(|why| {
            warn!("Juju does not serve the resource {name}; the last known file is used: {why:#}");
            match &known {
                Ok(known) => {
                    Ok(known.as_ref().and_then(|known| known.get(name)).filter(|path| is_there(path)).cloned())
                }
                // One that was attached is not taken for detached.
                Err(error) => bail!("{error:#}"),
            }
        })?;
        found.extend(path.map(|path| (name.to_owned(), path)));
    }
    if ask == Ask::Juju && !known.is_ok_and(|known| known.as_ref() == Some(&found)) {
        root.keep(REMEMBERED, &found);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use crate::system::state_path;
    use crate::system::testing::{Scratch, command_line};

    use super::*;

    fn context() -> Context {
        Context {
            unit: "magnum-capi-helm/0".into(),
            principal: "magnum/0".into(),
            departing: None,
            proxy: vec![],
            charm: "0".into(),
        }
    }

    fn asked(scratch: &Scratch, config: &'static str, secret: Option<&'static str>) -> Request {
        scratch.root.make_state_directory().unwrap();
        let system = scratch.system(move |command| {
            let line = command_line(command);
            match line.split(' ').next()? {
                "config-get" => Some(config.to_owned()),
                "secret-get" => secret.map(str::to_owned),
                _ => None,
            }
        });
        request(&system, &context(), Ask::Juju).unwrap()
    }

    #[test]
    fn options_and_the_granted_kubeconfig_are_read() {
        let config = r#"{"driver-pin": "magnum-capi-helm==1.1.0", "kubeconfig": "secret:a"}"#;
        let request = asked(&Scratch::new(), config, Some(r#"{"kubeconfig": "hunter2"}"#));
        assert!(request.settings.is_ok());
        let granted = request.kubeconfig.unwrap().unwrap();
        assert_eq!(granted.content.expose(), "hunter2");
        assert_eq!(granted.remedy, "run: juju update-secret secret:a kubeconfig#file=FILE");
    }

    #[test]
    fn a_secret_without_its_key_is_a_problem_of_that_half_alone() {
        let config = r#"{"driver-pin": "magnum-capi-helm==1.1.0", "kubeconfig": "secret:a"}"#;
        let request = asked(&Scratch::new(), config, Some(r#"{"config": "hunter2"}"#));
        assert!(request.settings.is_ok());
        let problem = request.kubeconfig.unwrap_err().to_string();
        assert!(problem.contains("has no key `kubeconfig`") && !problem.contains("hunter2"), "{problem}");
    }

    #[test]
    fn a_resource_that_is_too_large_is_a_problem_of_its_half_alone() {
        for name in ["driver-wheel", KUBECONFIG] {
            let scratch = Scratch::new();
            scratch.root.make_state_directory().unwrap();
            scratch.put("/var/lib/juju/large", "");
            let large = std::fs::File::options().write(true).open(scratch.path("/var/lib/juju/large")).unwrap();
            large.set_len(9 << 20).unwrap();
            scratch.root.save(REMEMBERED, &BTreeMap::from([(name, "/var/lib/juju/large")])).unwrap();
            let request = asked(&scratch, r#"{"driver-pin": "magnum-capi-helm==1.1.0"}"#, None);
            let halves = [request.settings.err(), request.kubeconfig.err()];
            let found: Vec<String> = halves.into_iter().flatten().map(|problem| problem.to_string()).collect();
            let remedy = format!("run: juju attach-resource magnum-capi-helm {name}=FILE");
            assert_eq!(found, [format!("Resource {name} is not a file of at most 8 MiB: {remedy}")]);
        }
    }

    #[test]
    fn a_resource_that_juju_does_not_serve_for_once_is_taken_to_be_as_it_was() {
        let scratch = Scratch::new();
        scratch.root.make_state_directory().unwrap();
        scratch.put("/var/lib/juju/kubeconfig", "granted");
        let remembered = BTreeMap::from([(KUBECONFIG, "/var/lib/juju/kubeconfig")]);
        scratch.root.save(REMEMBERED, &remembered).unwrap();
        let config = r#"{"driver-pin": "magnum-capi-helm==1.1.0"}"#;
        let request = asked(&scratch, config, None);
        assert_eq!(request.kubeconfig.unwrap().unwrap().content.expose(), "granted");
    }

    #[test]
    fn a_damaged_memory_is_made_anew_if_juju_serves_every_resource_and_else_takes_none_for_detached() {
        let scratch = Scratch::new();
        scratch.root.make_state_directory().unwrap();
        // An empty file stands for a resource that is not attached.
        RESOURCES.iter().for_each(|name| scratch.put(format!("/var/lib/juju/{name}"), ""));
        scratch.put("/var/lib/juju/kubeconfig", "granted");
        scratch.put(state_path(REMEMBERED), "{");
        let asked = |unserved: &'static str| {
            let system = scratch.system(move |command| match command_line(command).split_once(' ')? {
                ("config-get", _) => Some(r#"{"driver-pin": "magnum-capi-helm==1.1.0"}"#.to_owned()),
                (_, name) if name != unserved => Some(format!("/var/lib/juju/{name}")),
                _ => None,
            });
            request(&system, &context(), Ask::Juju).map(|request| request.kubeconfig.unwrap().unwrap())
        };
        let error = asked("helm").unwrap_err().to_string();
        assert!(error.contains("resources.json is damaged"), "{error}");
        assert_eq!(asked("").unwrap().content.expose(), "granted");
        assert_eq!(asked(KUBECONFIG).unwrap().content.expose(), "granted");
    }
}
