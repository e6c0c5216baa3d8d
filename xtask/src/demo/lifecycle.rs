//! The chapters without a fault: deploy, grant, change the pin, verify, remove.

use anyhow::{Context, Result, ensure};
use lab::ActionStatus;
use serde_json::{Value, json};

use super::observed::{self, Drivers};
use super::stage::Stage;
use crate::lab::APPLICATION;
use crate::screen;

/// The driver's entry point.
const DRIVER: &str = "k8s_capi_helm_v1";
pub const KUBECONFIG: &str = "/etc/magnum/kubeconfig";
pub const CONF: &str = "/etc/magnum/magnum.conf.d/99-capi.conf";
/// The arguments that both services should run with (the runbook's section 8).
const ARGUMENTS: &str = "--config-file=/etc/magnum/magnum.conf --config-dir=/etc/magnum/magnum.conf.d";

pub fn deploy(stage: &mut Stage) -> Result<()> {
    screen::chapter("Deploy");
    screen::say("The charm is a subordinate: it has a unit on each unit of magnum once the two are related.");
    let before = stage.processes()?;
    screen::command(&format!("juju deploy ./{}", stage.charm));
    screen::command(&format!("juju integrate {APPLICATION} magnum"));
    for run in stage.unit.deploy()? {
        run.expect_ok()?;
    }
    stage.claim_status("the status names what is missing", "blocked", "kubeconfig")?;
    let version = "from importlib.metadata import version; print(version('magnum-capi-helm'))";
    let found = stage.machine().run(&["python3", "-c", version])?;
    stage.claim(
        "the driver is downloaded and installed already",
        found.stdout.trim() == "1.1.0",
        found.stdout + &found.stderr,
    )?;
    let enabled = stage.machine().exists(CONF)?;
    stage.claim("no configuration is written before everything is at hand", !enabled, format!("{CONF} exists"))?;
    stage.claim_no_restart(before)
}

pub fn grant(stage: &mut Stage) -> Result<()> {
    screen::chapter("Grant the kubeconfig");
    screen::command("juju add-secret capi-mgmt kubeconfig#file=capi-mgmt-cluster.kubeconfig");
    let kubeconfig = stage.cluster.kubeconfig();
    let secret = stage.application.add_secret("capi-mgmt", &[("kubeconfig", &kubeconfig)])?;
    screen::output(secret.as_ref());
    screen::command(&format!("juju grant-secret capi-mgmt {APPLICATION}"));
    stage.application.grant(&secret)?;
    stage.configure("kubeconfig", secret.as_ref())?;
    stage.secret = Some(secret);

    screen::say(
        "A hook that restarts a service waits until it has stayed up for 5 s and the API answers, because a service in \
         a crash loop looks active most of the time. The services now:",
    );
    stage.show_processes()?;
    stage.claim_status("the unit is active", "active", "1.1.0")?;
    let access = stage.machine().shell(&format!("stat --format='%U:%G %a' {KUBECONFIG}"))?;
    let same = stage.machine().read_text(KUBECONFIG)? == kubeconfig;
    stage.claim(
        "the kubeconfig is the granted one, and only root and group magnum can read it",
        same && access.trim() == "root:magnum 640",
        format!("the same bytes: {same}, {}", access.trim()),
    )?;
    claim_command_lines(stage)?;
    claim_driver(stage, "1.1.0")?;
    let before = stage.processes()?;
    let run = stage.hook("update-status")?;
    stage.claim(
        &format!("the next hook finds nothing to do, and takes {} ms", run.wall.as_millis()),
        run.log.is_empty(),
        run.describe(),
    )?;
    stage.claim_no_restart(before)
}

pub fn change_the_pin(stage: &mut Stage) -> Result<()> {
    screen::chapter("Change the pin");
    screen::say("The driver is exactly the pinned version, whatever the index has.");
    let before = stage.processes()?;
    let inode = |stage: &Stage| -> Result<u64> {
        let found = stage.machine().metadata(KUBECONFIG)?;
        Ok(found.context("the kubeconfig is missing")?.st_ino)
    };
    let kubeconfig = inode(stage)?;
    stage.configure("driver-pin", "magnum-capi-helm==1.2.1")?;
    stage.claim_status("the unit is active with the new driver", "active", "1.2.1")?;
    claim_driver(stage, "1.2.1")?;
    stage.claim_restart("they had loaded the old driver", before)?;
    let same = inode(stage)? == kubeconfig;
    stage.claim("the kubeconfig, which did not change, was not written", same, "another inode")
}

pub fn verify(stage: &mut Stage) -> Result<()> {
    screen::chapter("Verify");
    screen::say("The action checks every part of the graft, and changes nothing:");
    screen::command(&format!("juju run {APPLICATION}/0 verify"));
    let action = stage.unit.action("verify", &json!({}))?;
    let result = |name: &str| action.results.get(name).cloned().unwrap_or_default();
    screen::output(&result("report"));
    let checks: Vec<Value> = serde_json::from_str(&result("checks")).context("the result `checks`")?;
    let ids = |status: &str| -> Vec<&str> {
        let found = checks.iter().filter(|check| check["status"] == status);
        found.filter_map(|check| check["id"].as_str()).collect()
    };
    let (passed, skipped, warned) = (ids("pass"), ids("skip"), ids("warn"));
    // The unit has no network, so it cannot reach the chart's repository, and no Keystone.
    let expected = warned.iter().all(|id| ["chain-chart-repository", "chain-trust"].contains(id));
    stage.claim(
        &format!(
            "{} checks pass, none fails, {} do not apply (of a unit without a network: {})",
            passed.len(),
            skipped.len(),
            warned.join(", ")
        ),
        action.status == ActionStatus::Completed && !passed.is_empty() && expected && result("failures").is_empty(),
        format!("{} {} {warned:?}", action.message, result("failures")),
    )
}

pub fn remove(stage: &mut Stage) -> Result<()> {
    screen::chapter("Remove");
    screen::say("Removing the charm restores the unit to its previous state.");
    screen::command(&format!("juju remove-application {APPLICATION}"));
    for run in stage.unit.remove()? {
        run.expect_ok()?;
    }
    stage.machine().wait_for_magnum()?;
    stage.show_processes()?;
    let command_lines = stage.processes()?.command_lines(stage.machine())?;
    stage.claim(
        "both services run with their original command lines",
        command_lines == stage.original.command_lines,
        command_lines.join("\n"),
    )?;
    let (disk, drivers) = observed::disk_and_drivers(stage.machine())?;
    stage.claim(
        &format!("Magnum enables {} again", drivers.enabled.join(", ")),
        drivers == stage.original.drivers,
        format!("{drivers:?}"),
    )?;
    let differences = stage.original.disk.diff(&disk);
    stage.claim(
        &format!(
            "the disk has its original content: of {} files, directories and links, compared by type, mode, owner and \
             every byte, {} differ; the operator's override.conf is back (not compared: {})",
            disk.entries.len(),
            differences.paths().len(),
            observed::NOT_COMPARED.join(", ")
        ),
        differences.is_empty(),
        &differences,
    )
}

/// Claims that both services run with the arguments of the runbook.
pub fn claim_command_lines(stage: &mut Stage) -> Result<()> {
    let lines = stage.processes()?.command_lines(stage.machine())?;
    stage.claim(
        "both services run with the explicit --config-dir",
        lines.iter().all(|line| line.ends_with(ARGUMENTS)),
        lines.join("\n"),
    )
}

/// Claims that Magnum itself loads the driver of this version, and no other.
pub fn claim_driver(stage: &mut Stage, version: &str) -> Result<()> {
    let drivers = Drivers::of(stage.machine())?;
    ensure!(!drivers.enabled.is_empty(), "Magnum enables no driver");
    stage.claim(
        &format!("Magnum's own loader, run as user magnum, enables only {DRIVER} of magnum-capi-helm {version}"),
        drivers.enabled == [DRIVER] && drivers.version.as_deref() == Some(version),
        format!("{drivers:?}"),
    )
}
