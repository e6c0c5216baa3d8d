//! The straight way: deploy, grant, change the pin, and at the end remove.

use anyhow::{Context, Result, ensure};

use super::look::{self, Magnum};
use super::stage::Stage;

/// The driver's entry point.
const DRIVER: &str = "k8s_capi_helm_v1";
const KUBECONFIG: &str = "/etc/magnum/kubeconfig";
const CONF: &str = "/etc/magnum/magnum.conf.d/99-capi.conf";
const DROP_INS: [&str; 2] = [
    "/etc/systemd/system/magnum-api.service.d/override.conf",
    "/etc/systemd/system/magnum-conductor.service.d/override.conf",
];
/// What both services are to run with (the runbook's section 8).
const ARGUMENTS: &str =
    "--config-file=/etc/magnum/magnum.conf --config-dir=/etc/magnum/magnum.conf.d";

/// Deploy, and find out what is missing.
pub fn deploy(stage: &mut Stage) -> Result<()> {
    let screen = stage.screen();
    screen.chapter("Deploy");
    screen.say("The charm is a subordinate: it gets a unit beside each unit of magnum once the two are related.");
    let before = stage.processes()?;
    screen.command(&format!("juju deploy ./{}", stage.charm));
    screen.command("juju relate magnum-capi-helm magnum");
    screen.pause();
    for run in stage.unit.deploy()? {
        run.expect_ok()?;
    }
    screen.pause();
    stage.claim_status(
        "the status says what is missing and which commands to type",
        "blocked",
        &["juju add-secret", "juju grant-secret", "juju config"],
    )?;
    let version = "from importlib.metadata import version; print(version('magnum-capi-helm'))";
    let found = stage.machine().run(&["python3", "-c", version])?;
    stage.claim(
        "the driver is fetched and in place already",
        found.stdout.trim() == "1.1.0",
        found.stdout + &found.stderr,
    )?;
    let (switched_on, after) = (stage.machine().exists(CONF)?, stage.processes()?);
    stage.claim(
        "nothing is switched on before everything is there: no configuration, the same processes",
        !switched_on && before == after,
        format!("{CONF} there: {switched_on}; {before:?} before, {after:?} after"),
    )
}

/// Grant the kubeconfig, and see the graft.
pub fn grant(stage: &mut Stage) -> Result<()> {
    let screen = stage.screen();
    screen.chapter("Grant the kubeconfig");
    screen.command("juju add-secret capi-mgmt kubeconfig#file=capi-mgmt-cluster.kubeconfig");
    let kubeconfig = stage.cluster.kubeconfig();
    let content = [("kubeconfig", kubeconfig.as_str())];
    let secret = stage.application.add_secret("capi-mgmt", &content)?;
    screen.output(secret.as_ref());
    screen.command("juju grant-secret capi-mgmt magnum-capi-helm");
    stage.application.grant(&secret)?;
    stage.configure("kubeconfig", secret.as_ref())?;
    stage.secret = Some(secret);

    screen.pause();
    screen.say(
        "A hook that restarts a service waits until it has stayed up for 5 s and the API answers: a service in a \
         crash loop looks active most of the time. What is on the unit now:",
    );
    let paths = [KUBECONFIG, CONF, DROP_INS[0], DROP_INS[1]];
    screen.output(&look::files(stage.machine(), &paths)?);
    screen.pause();
    stage.show_processes()?;
    screen.pause();

    stage.claim_status("the unit is active", "active", &["1.1.0"])?;
    let machine = stage.machine();
    let access = machine.shell(&format!("stat --format='%U:%G %a' {KUBECONFIG}"))?;
    let granted = machine.read_text(KUBECONFIG)? == kubeconfig;
    stage.claim(
        "the kubeconfig is the granted one, and only root and group magnum can read it",
        granted && access.trim() == "root:magnum 640",
        format!("the same bytes: {granted}, {}", access.trim()),
    )?;
    claim_command_lines(stage)?;
    claim_magnum(stage, "1.1.0")?;
    let before = stage.processes()?;
    screen.pause();
    let run = stage.hook("update-status")?;
    let after = stage.processes()?;
    screen.pause();
    stage.claim(
        &format!(
            "the next hook finds nothing to do, and takes {} ms",
            run.wall.as_millis()
        ),
        before == after && run.log.is_empty(),
        run.describe(),
    )
}

/// Another version of the driver.
pub fn change_the_pin(stage: &mut Stage) -> Result<()> {
    let screen = stage.screen();
    screen.chapter("Change the pin");
    screen.say("The driver is exactly the pinned version, whatever the index has.");
    let before = stage.processes()?;
    let inode = |stage: &Stage| -> Result<u64> {
        let found = stage.machine().metadata(KUBECONFIG)?;
        Ok(found.context("the kubeconfig is gone")?.st_ino)
    };
    let kubeconfig = inode(stage)?;
    stage.configure("driver-pin", "magnum-capi-helm==1.2.1")?;
    screen.pause();
    stage.claim_status(
        "the unit is active with the new driver",
        "active",
        &["1.2.1"],
    )?;
    claim_magnum(stage, "1.2.1")?;
    let after = stage.processes()?;
    stage.claim(
        "both services restarted: they had the old driver loaded",
        before.api != after.api && before.conductor != after.conductor,
        format!("{before:?} before, {after:?} after"),
    )?;
    let same = inode(stage)? == kubeconfig;
    stage.claim(
        "what did not have to change was not written: the kubeconfig is the same file",
        same,
        "another inode",
    )
}

/// Take the charm away, and compare.
pub fn remove(stage: &mut Stage) -> Result<()> {
    let screen = stage.screen();
    screen.chapter("Remove");
    screen.say("The guest leaves: what was there before it comes back, what was not goes.");
    screen.command("juju remove-application magnum-capi-helm");
    screen.pause();
    for run in stage.unit.remove()? {
        run.expect_ok()?;
    }
    stage.machine().wait_for_magnum()?;
    screen.pause();
    stage.show_processes()?;
    screen.pause();
    let command_lines = stage.processes()?.command_lines(stage.machine())?;
    stage.claim(
        "both services run with the command lines that they had",
        command_lines == stage.before.command_lines,
        command_lines.join("\n"),
    )?;
    let (disk, magnum) = look::disk_and_magnum(stage.machine())?;
    stage.claim(
        &format!("Magnum enables {} again", magnum.enabled.join(", ")),
        magnum == stage.before.magnum,
        format!("{magnum:?}"),
    )?;
    let differences = stage.before.disk.diff(&disk);
    stage.claim(
        &format!(
            "the disk is as it was: of {} files, directories and links compared by kind, mode, owner and every byte, \
             {} differ; the operator's override.conf is back (not compared: what lies in memory, and what changes by \
             itself, {})",
            disk.entries.len(),
            differences.paths().len(),
            look::NOT_COMPARED.join(", ")
        ),
        differences.is_empty(),
        &differences,
    )
}

/// Claims that both services run what the runbook wants.
pub fn claim_command_lines(stage: &mut Stage) -> Result<()> {
    let lines = stage.processes()?.command_lines(stage.machine())?;
    stage.claim(
        "both services run with the explicit --config-dir",
        lines.iter().all(|line| line.ends_with(ARGUMENTS)),
        lines.join("\n"),
    )
}

/// Claims that Magnum itself would use the driver, and no other.
pub fn claim_magnum(stage: &mut Stage, version: &str) -> Result<()> {
    let magnum = Magnum::of(stage.machine())?;
    ensure!(!magnum.enabled.is_empty(), "Magnum enables no driver");
    stage.claim(
        &format!(
            "Magnum's own loader, asked as user magnum with the conductor's arguments, enables {} of \
             magnum-capi-helm {}, and nothing else",
            magnum.enabled.join(", "),
            magnum.driver.as_deref().unwrap_or("none")
        ),
        magnum.enabled == [DRIVER] && magnum.driver.as_deref() == Some(version),
        format!("{magnum:?}"),
    )
}
