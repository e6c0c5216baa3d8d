//! The unit of the demo, and how each chapter acts on it and checks the result.

use std::fmt::Display;

use anyhow::{Context, Result, bail};
use lab::{Application, ClientCertificate, HookRun, Machine, ManagementCluster, SecretUri, Snapshot, Unit};

use super::observed::{self, Drivers, Processes};
use crate::lab::{Lab, PRINCIPAL};
use crate::screen;

/// Written with `systemctl edit` by an operator before the charm is deployed, at a path that the charm must write.
const OPERATORS: &str = "/etc/systemd/system/magnum-conductor.service.d/override.conf";

/// The unit before the charm.
pub struct Original {
    pub disk: Snapshot,
    pub drivers: Drivers,
    pub command_lines: [String; 2],
}

pub struct Stage {
    /// How many claims were checked.
    pub claims: usize,
    pub application: Application,
    pub unit: Unit,
    pub cluster: ManagementCluster,
    /// The secret with the kubeconfig, once it is added.
    pub secret: Option<SecretUri>,
    /// The file name of the charm.
    pub charm: String,
    pub original: Original,
}

impl Stage {
    /// Boots a unit and shows it without the charm.
    pub fn set(lab: &Lab) -> Result<Self> {
        screen::chapter("A unit of Magnum before the charm");
        screen::say("Booting magnum-0 and recording its disk for the comparison at the end.");
        let machine = lab.boot("magnum-0")?;
        machine.push(OPERATORS, b"[Service]\nLimitNOFILE=65536\n", 0o644)?;
        machine.shell("systemctl daemon-reload")?;
        let cluster = ManagementCluster::start(&machine)?;
        let (disk, drivers) = observed::disk_and_drivers(&machine)?;
        let original = Original { disk, drivers, command_lines: Processes::of(&machine)?.command_lines(&machine)? };
        screen::say(
            "magnum-0 is a container with systemd as PID 1 and Magnum 18.0.0 of OpenStack 2024.1, without a network. \
             The lab's agent takes Juju's place, with hooks in Juju's order, hook tools, secrets and statuses. A \
             stand-in on the unit answers as the management cluster's API server does, and makes no clusters.",
        );
        screen::say(&format!(
            "Magnum enables {}: clusters are made through Heat. An operator has raised a limit of magnum-conductor in \
             {OPERATORS}, which the charm must write too. The processes:",
            original.drivers.enabled.join(", "),
        ));
        let charm = lab.charm.file_name().context("the charm has no file name")?;
        let mut application = lab.application(&lab.charm)?;
        application.on_event(screen::follow());
        let stage = Self {
            claims: 0,
            unit: application.add_unit(machine, PRINCIPAL)?,
            application,
            cluster,
            secret: None,
            charm: charm.to_string_lossy().into_owned(),
            original,
        };
        stage.show_processes()?;
        Ok(stage)
    }

    pub fn machine(&self) -> &Machine {
        self.unit.machine()
    }

    /// Prints a claim and whether it holds; one that does not is an error.
    pub fn claim(&mut self, what: &str, holds: bool, found: impl Display) -> Result<()> {
        screen::claim(what, holds, found)?;
        self.claims += 1;
        Ok(())
    }

    /// Claims what Juju shows as the unit's status.
    pub fn claim_status(&mut self, what: &str, kind: &str, word: &str) -> Result<()> {
        let (found, message) = self.unit.status();
        let holds = found == kind && message.contains(word);
        self.claim(what, holds, format!("{found}: {message}"))
    }

    /// Claims that both services run on.
    pub fn claim_no_restart(&mut self, before: Processes) -> Result<()> {
        let after = self.processes()?;
        self.claim("no service restarted", before == after, format!("{before:?} before, {after:?} after"))
    }

    /// Claims that both services restarted.
    pub fn claim_restart(&mut self, why: &str, before: Processes) -> Result<()> {
        let after = self.processes()?;
        self.claim(
            &format!("both services restarted: {why}"),
            before.api != after.api && before.conductor != after.conductor,
            format!("{before:?} before, {after:?} after"),
        )
    }

    /// Runs what somebody types on the unit as root.
    pub fn on_the_unit(&self, line: &str) -> Result<()> {
        screen::command(&format!("juju exec --unit {PRINCIPAL} -- {line}"));
        self.machine().shell(line).map(drop)
    }

    /// Sets an option and runs the hook that Juju then runs.
    pub fn configure(&mut self, option: &str, value: &str) -> Result<()> {
        let quote = if value.contains('>') { "'" } else { "" };
        screen::command(&format!("juju config magnum-capi-helm {quote}{option}={value}{quote}"));
        if !self.application.set_config(&[(option, value)])? {
            bail!("{option} was {value} before");
        }
        self.hook("config-changed").map(drop)
    }

    /// Updates the secret with a kubeconfig of another client certificate and runs the hook that Juju then runs.
    pub fn update_kubeconfig(&mut self, wanted: &ClientCertificate, file: &str) -> Result<()> {
        let secret = self.secret.clone().context("no secret was added")?;
        let credential = self.cluster.credential(self.machine(), wanted)?;
        let kubeconfig = self.cluster.kubeconfig_for(&credential);
        screen::command(&format!("juju update-secret capi-mgmt kubeconfig#file={file}"));
        self.application.update_secret(&secret, &[("kubeconfig", &kubeconfig)])?;
        self.unit.secret_changed(&secret)?.expect_ok().map(drop)
    }

    /// Runs a hook, which must succeed.
    pub fn hook(&self, name: &str) -> Result<HookRun> {
        self.unit.hook(name)?.expect_ok()
    }

    pub fn processes(&self) -> Result<Processes> {
        Processes::of(self.machine())
    }

    /// Prints the command lines of the services.
    pub fn show_processes(&self) -> Result<()> {
        let processes = self.processes()?;
        let [api, conductor] = processes.command_lines(self.machine())?;
        screen::output(&format!(
            "magnum-api        {:>5}  {api}\nmagnum-conductor  {:>5}  {conductor}",
            processes.api, processes.conductor
        ));
        println!();
        Ok(())
    }
}
