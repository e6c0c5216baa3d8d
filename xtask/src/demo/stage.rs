//! What the story plays on: a unit that is booted and remembered as it is before the charm comes, and the way in
//! which each scene does something and looks at what came of it.

use std::fmt::Display;

use anyhow::{Context, Result, bail};
use lab::{
    Application, ClientCertificate, HookRun, Machine, ManagementCluster, SecretUri, Snapshot, Unit,
};

use super::look::{self, Magnum, Processes};
use crate::lab::{Lab, PRINCIPAL};
use crate::screen::Screen;

/// What an operator wrote with `systemctl edit` long before the charm came: it stands where the charm must write.
const OPERATORS: &str = "/etc/systemd/system/magnum-conductor.service.d/override.conf";
const OPERATORS_TEXT: &str = "[Service]\nLimitNOFILE=65536\n";

/// The unit before the charm came.
#[derive(Debug)]
pub struct Before {
    /// Its disk.
    pub disk: Snapshot,
    /// The drivers that Magnum enables.
    pub magnum: Magnum,
    /// The command lines of the services.
    pub command_lines: [String; 2],
}

/// A unit in the middle of the story.
pub struct Stage {
    screen: Screen,
    claims: usize,
    /// The application, as an operator at the juju command line has it.
    pub application: Application,
    /// The charm's unit.
    pub unit: Unit,
    /// The unit before the charm came.
    pub before: Before,
    /// The management cluster.
    pub cluster: ManagementCluster,
    /// The secret with the kubeconfig, once it is added.
    pub secret: Option<SecretUri>,
    /// The name of the charm's file.
    pub charm: String,
}

impl Stage {
    /// Boots a unit and shows it as it is without the charm.
    ///
    /// # Errors
    ///
    /// When it does not boot or cannot be looked at.
    pub fn set(lab: &Lab, screen: Screen) -> Result<Self> {
        screen.chapter("A unit of Magnum, before the charm");
        screen.say("Booting magnum-0, and remembering its whole disk for the comparison at the end: some seconds.");
        let machine = lab.boot()?;
        machine.push(OPERATORS, OPERATORS_TEXT.as_bytes(), 0o644)?;
        machine.shell("systemctl daemon-reload")?;
        let cluster = ManagementCluster::start(&machine)?;
        let before = Before::of(&machine)?;
        screen.say(
            "magnum-0 is a container with systemd as PID 1 and Magnum 18.0.0 of OpenStack 2024.1, cut off from every \
             network. There is no Juju: the lab's agent plays its part, with hooks in Juju's order, hook tools, \
             secrets and statuses. There is no management cluster: a stand-in on the unit answers as a Kubernetes API \
             server does, and makes no clusters.",
        );
        screen.say(&format!(
            "Magnum enables {}: clusters are made through Heat. An operator has raised a limit of magnum-conductor \
             in {OPERATORS}, where the charm must write too. The processes:",
            before.magnum.enabled.join(", "),
        ));
        say_processes(screen, &machine)?;
        let charm = lab.charm().file_name().context("the charm has no name")?;
        let mut application = lab.application()?;
        application.on_event(screen.follow());
        Ok(Self {
            screen,
            claims: 0,
            unit: application.add_unit(machine, PRINCIPAL)?,
            application,
            before,
            cluster,
            secret: None,
            charm: charm.to_string_lossy().into_owned(),
        })
    }

    /// Where it is told.
    pub fn screen(&self) -> Screen {
        self.screen
    }

    /// The machine, to look at.
    pub fn machine(&self) -> &Machine {
        self.unit.machine()
    }

    /// How much was claimed so far and found to be so.
    pub fn claims(&self) -> usize {
        self.claims
    }

    /// Says that something is so, after a look whether it is.
    ///
    /// # Errors
    ///
    /// As [`Screen::claim`].
    pub fn claim(&mut self, what: &str, holds: bool, seen: impl Display) -> Result<()> {
        self.screen.claim(what, holds, seen)?;
        self.claims += 1;
        Ok(())
    }

    /// Does what somebody types on the unit, as root.
    ///
    /// # Errors
    ///
    /// When it fails.
    pub fn on_the_unit(&self, line: &str) -> Result<()> {
        self.screen.command_on("magnum-0", line);
        self.machine().shell(line).map(drop)
    }

    /// Sets an option, and runs the hook that Juju runs when that changes something.
    ///
    /// # Errors
    ///
    /// When Juju refuses it, or the hook fails.
    pub fn configure(&mut self, option: &str, value: &str) -> Result<()> {
        let quote = if value.contains('>') { "'" } else { "" };
        self.screen.command(&format!(
            "juju config magnum-capi-helm {quote}{option}={value}{quote}"
        ));
        self.screen.pause();
        if !self.application.set_config(&[(option, value)])? {
            bail!("{option} was {value} before");
        }
        self.hook("config-changed").map(drop)
    }

    /// Grants a kubeconfig of another client certificate, and runs the hook that Juju then runs.
    ///
    /// # Errors
    ///
    /// When there is no secret yet, or the hook fails.
    pub fn update_kubeconfig(&mut self, wanted: &ClientCertificate, file: &str) -> Result<()> {
        let secret = self.secret.clone().context("no secret was added")?;
        let credential = self.cluster.credential(self.machine(), wanted)?;
        let kubeconfig = self.cluster.kubeconfig_for(&credential);
        self.screen.command(&format!(
            "juju update-secret capi-mgmt kubeconfig#file={file}"
        ));
        self.screen.pause();
        self.application
            .update_secret(&secret, &[("kubeconfig", &kubeconfig)])?;
        self.unit.secret_changed(&secret)?.expect_ok()?;
        self.screen.pause();
        Ok(())
    }

    /// The kubeconfig on the unit.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn kubeconfig_in_place(&self) -> Result<Vec<u8>> {
        self.machine().read("/etc/magnum/kubeconfig")
    }

    /// Runs a hook, which must end well.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub fn hook(&self, name: &str) -> Result<HookRun> {
        self.unit.hook(name)?.expect_ok()
    }

    /// The processes of the services, now.
    ///
    /// # Errors
    ///
    /// When systemd cannot be asked.
    pub fn processes(&self) -> Result<Processes> {
        Processes::of(self.machine())
    }

    /// Shows their command lines.
    ///
    /// # Errors
    ///
    /// When one of them is gone.
    pub fn show_processes(&self) -> Result<()> {
        say_processes(self.screen, self.machine())
    }

    /// Claims what Juju now shows as the unit's status.
    ///
    /// # Errors
    ///
    /// When it is another one.
    pub fn claim_status(&mut self, what: &str, kind: &str, words: &[&str]) -> Result<()> {
        let (seen, message) = self.unit.status();
        let holds = seen == kind && words.iter().all(|word| message.contains(word));
        self.claim(what, holds, format!("{seen}: {message}"))
    }
}

impl Before {
    fn of(machine: &Machine) -> Result<Self> {
        let (disk, magnum) = look::disk_and_magnum(machine)?;
        Ok(Self {
            disk,
            magnum,
            command_lines: Processes::of(machine)?.command_lines(machine)?,
        })
    }
}

fn say_processes(screen: Screen, machine: &Machine) -> Result<()> {
    let processes = Processes::of(machine)?;
    let [api, conductor] = processes.command_lines(machine)?;
    screen.output(&format!(
        "magnum-api        {:>5}  {api}\nmagnum-conductor  {:>5}  {conductor}",
        processes.api, processes.conductor
    ));
    Ok(())
}
