//! Grafted units that tests hand on to one another.

use std::ops::Deref;

use anyhow::{Result, ensure};
use lab::{Behaviour, RESTLESS, Snapshot};

use super::Deployment;
use super::graft::{INDEX, SITE, VERSIONS, dist_info};
use super::pool::{Lent, Pool, Reusable};

static UNITS: Pool<Whole> = Pool::new();

/// A unit with a whole graft, and all that must be so again when it is handed on.
pub struct Whole {
    unit: Deployment,
    files: Snapshot,
    running: String,
}

/// A unit with a whole graft, for the time of a test.
pub type Shared = Lent<Whole>;

impl Deployment {
    /// The kubeconfig is granted, and the graft is whole. Others have had this unit before.
    pub fn active() -> Shared {
        UNITS.take(|| {
            let unit = Self::grafted();
            Whole { files: changeable(&unit).unwrap(), running: unit.running(), unit }
        })
    }

    /// The services that are active or have failed.
    pub fn running(&self) -> String {
        self.shell(
            "systemctl list-units --plain --no-legend --type=service --state=active,failed |
             awk '{print $1, $3}'",
        )
    }

    /// Options, secret and management cluster as they are at first, and none of these resources.
    ///
    /// # Errors
    /// When the unit is not active then, or a second hook finds something to do.
    pub fn put_back(&self, resources: &[&str]) -> Result<()> {
        let application = &self.application;
        for option in options()? {
            application.reset_config(&option)?;
        }
        application.set_config(&[("guard", "false"), ("index-url", INDEX), ("kubeconfig", self.secret.as_ref())])?;
        for resource in resources {
            application.attach_resource(resource, None)?;
        }
        let kubeconfig = self.management.kubeconfig();
        application.update_secret(&self.secret, &[("kubeconfig", &kubeconfig)])?;
        application.grant(&self.secret)?;
        self.management.behave(self.machine(), Behaviour::default())?;
        self.unit.hook("config-changed")?.expect_ok()?;
        let run = self.unit.hook("update-status")?.expect_ok()?;
        let (kind, message) = self.unit.status();
        ensure!(kind == "active" && message == "Driver 1.1.0 grafted", "{kind}: {message}");
        ensure!(run.log.is_empty(), "{}", run.log_text());
        // What a test has pushed, and what it may look for in the journal.
        self.machine().shell(
            "rm -rf /root/* /run/enough /run/looked /tmp/reading
             journalctl --quiet --rotate; journalctl --quiet --vacuum-time=1s",
        )?;
        Ok(())
    }
}

impl Deref for Whole {
    type Target = Deployment;

    fn deref(&self) -> &Deployment {
        &self.unit
    }
}

impl Reusable for Whole {
    fn put_right(&self) -> Result<()> {
        self.put_back(&["driver-wheel", "helm", "helm-chart", "kubeconfig"])?;
        let diff = self.files.diff(&changeable(self)?);
        ensure!(diff.is_empty(), "{diff}");
        let running = self.running();
        ensure!(running == self.running, "{running}");
        Ok(())
    }
}

/// What tests change. Everything that a charm could change, [`Deployment::files`], takes half a second to read.
fn changeable(it: &Deployment) -> Result<Snapshot> {
    let driver = format!("{SITE}/magnum_capi_helm");
    let mut roots = vec!["/etc", "/usr/local/bin", "/usr/local/share", &driver];
    let infos = VERSIONS.map(dist_info);
    roots.extend(infos.iter().map(String::as_str));
    it.machine().snapshot(&roots, &RESTLESS)
}

/// The names of the charm's options.
fn options() -> Result<Vec<String>> {
    let config: serde_json::Value = serde_yaml::from_str(include_str!("../../../config.yaml"))?;
    let options = config["options"].as_object().into_iter().flatten();
    Ok(options.map(|(name, _)| name.clone()).collect())
}
