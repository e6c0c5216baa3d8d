//! Grafted units that tests hand on to one another: a unit takes longer to boot and to graft than most
//! tests do. Whoever gets one finds it as the first one did, or it is thrown away.

use std::ops::Deref;
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, ensure};
use lab::{Behaviour, Snapshot};

use super::Deployment;

/// Those that no test has at the moment.
static IDLE: Mutex<Vec<Whole>> = Mutex::new(Vec::new());

/// A unit with a whole graft, and all that must be so again when it is handed on.
struct Whole {
    unit: Deployment,
    files: Snapshot,
    running: String,
}

/// A unit with a whole graft, for the time of a test.
pub struct Shared(Option<Whole>);

impl Deployment {
    /// The kubeconfig is granted, and the graft is whole. Others have had this unit before.
    pub fn active() -> Shared {
        let idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let whole = idle.unwrap_or_else(|| {
            let unit = Self::grafted();
            Whole {
                files: unit.files(),
                running: running(&unit).unwrap(),
                unit,
            }
        });
        Shared(Some(whole))
    }
}

impl Deref for Shared {
    type Target = Deployment;

    fn deref(&self) -> &Deployment {
        let whole = self.0.as_ref();
        &whole.expect("it is given back when it is dropped").unit
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let Some(whole) = self.0.take() else { return };
        if std::thread::panicking() {
            return;
        }
        match whole.put_right() {
            Ok(()) => IDLE
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(whole),
            Err(error) => eprintln!("this unit is not handed on: {error:#}"),
        }
    }
}

impl Whole {
    /// Takes back what a test has set, and makes sure that nothing else is left of it.
    fn put_right(&self) -> Result<()> {
        let it = &self.unit;
        let (application, machine) = (&it.application, it.machine());
        machine.shell(
            "rm -rf /root/* /run/enough /run/looked /tmp/reading
             journalctl --quiet --rotate; journalctl --quiet --vacuum-time=1s",
        )?;
        for option in options()? {
            application.reset_config(&option)?;
        }
        application.set_config(&[("guard", "false"), ("kubeconfig", it.secret.as_ref())])?;
        for resource in ["driver-wheel", "helm", "helm-chart", "kubeconfig"] {
            application.attach_resource(resource, None)?;
        }
        application.update_secret(&it.secret, &[("kubeconfig", &it.management.kubeconfig())])?;
        application.grant(&it.secret)?;
        it.management.behave(machine, Behaviour::default())?;
        it.unit.hook("config-changed")?.expect_ok()?;
        let run = it.unit.hook("update-status")?.expect_ok()?;
        ensure!(run.log.is_empty(), "{}", run.log_text());
        let status = it.unit.status();
        ensure!(
            status == ("active".to_owned(), "driver 1.1.0 grafted".to_owned()),
            "{status:?}"
        );
        let diff = self.files.diff(&it.files());
        ensure!(diff.is_empty(), "{diff}");
        let running = running(it)?;
        ensure!(running == self.running, "{running}");
        Ok(())
    }
}

/// The names of the charm's options.
fn options() -> Result<Vec<String>> {
    let config: serde_json::Value = serde_yaml::from_str(include_str!("../../../config.yaml"))?;
    let options = config["options"].as_object().into_iter().flatten();
    Ok(options.map(|(name, _)| name.clone()).collect())
}

/// The services that run.
fn running(it: &Deployment) -> Result<String> {
    it.machine().shell(
        "systemctl list-units --plain --no-legend --type=service --state=active,failed | awk '{print $1, $3}'",
    )
}
