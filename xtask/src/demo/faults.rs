//! The chapters with a fault: drift with and without the guard, a damaged driver, an invalid pin, a wrong kubeconfig.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use lab::{ClientCertificate, Issuer};

use super::lifecycle::{CONF, KUBECONFIG, claim_command_lines, claim_driver};
use super::stage::Stage;
use crate::screen;

const DROP_IN: &str = "/etc/systemd/system/magnum-conductor.service.d/override.conf";

pub fn guarded_drift(stage: &mut Stage) -> Result<()> {
    screen::chapter("Drift, with the guard");
    screen::say("Somebody removes one file of the graft and edits another, and no hook runs:");
    let before = stage.processes()?;
    for (path, fault) in [(DROP_IN, remove_drop_in()), (CONF, edit_conf())] {
        let good = stage.machine().read(path)?;
        stage.on_the_unit(&fault)?;
        let start = Instant::now();
        let repaired = |stage: &Stage| -> Result<bool> {
            Ok(stage.machine().exists(path)? && stage.machine().read(path)? == good)
        };
        while !repaired(stage)? && start.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let took = start.elapsed();
        stage.claim(
            &format!("{path} is back within a second: after {:.2} s", took.as_secs_f64()),
            took < Duration::from_secs(1),
            format!("{took:?}"),
        )?;
    }
    stage.claim_no_restart(before)
}

pub fn unguarded_drift(stage: &mut Stage) -> Result<()> {
    screen::chapter("Drift, without the guard");
    screen::say("Without the guard the next hook repairs it, even if a service was restarted in the meantime:");
    stage.configure("guard", "false")?;
    let good = stage.processes()?;
    stage.on_the_unit(&remove_drop_in())?;
    stage.on_the_unit(&edit_conf())?;
    stage.on_the_unit("systemctl daemon-reload")?;
    stage.on_the_unit("systemctl restart magnum-conductor")?;
    let bad = stage.processes()?;
    stage.show_processes()?;
    stage.hook("update-status")?;
    let repaired = stage.processes()?;
    stage.claim_status("the next update-status has repaired it", "active", "")?;
    claim_command_lines(stage)?;
    stage.claim(
        "magnum-conductor restarted, because it ran without the graft; magnum-api did not",
        repaired.conductor != bad.conductor && bad.conductor != good.conductor && repaired.api == good.api,
        format!("{good:?} at first, {bad:?} before the hook, {repaired:?} after it"),
    )
}

pub fn damaged_driver(stage: &mut Stage) -> Result<()> {
    screen::chapter("A damaged driver");
    screen::say("Somebody debugs in the driver's own files and leaves a change behind:");
    let before = stage.processes()?;
    let driver = stage.machine().shell(
        "python3 -c 'import importlib.metadata as m; \
         print(m.distribution(\"magnum-capi-helm\").locate_file(\"magnum_capi_helm/driver.py\"))'",
    )?;
    stage.on_the_unit(&format!("echo 'raise SystemExit' >>{}", driver.trim()))?;
    stage.hook("update-status")?;
    stage.claim_status("the pinned wheel is installed again", "active", "1.2.1")?;
    claim_driver(stage, "1.2.1")?;
    stage.claim_restart("either could have loaded the damaged file", before)?;
    screen::say("The guard is enabled again:");
    stage.configure("guard", "true")
}

pub fn invalid_pin(stage: &mut Stage) -> Result<()> {
    screen::chapter("An invalid pin");
    screen::say("An invalid option does not stop the service:");
    let before = stage.processes()?;
    stage.configure("driver-pin", "magnum-capi-helm>=1.3")?;
    stage.claim_status("the status names the option", "blocked", "driver-pin")?;
    let answers = stage.machine().magnum_answers()?;
    stage.claim("Magnum's API answers", answers, "it does not")?;
    claim_driver(stage, "1.2.1")?;
    stage.configure("driver-pin", "magnum-capi-helm==1.2.1")?;
    stage.claim_status("the unit is active again", "active", "1.2.1")?;
    stage.claim_no_restart(before)
}

pub fn rotation(stage: &mut Stage) -> Result<()> {
    screen::chapter("Rotate the kubeconfig");
    screen::say("The management cluster has issued another client certificate, valid for 20 days:");
    let before = stage.processes()?;
    let short = ClientCertificate { not_after: 20 * 24 * 60 * 60 + 60, ..ClientCertificate::default() };
    stage.update_kubeconfig(&short, "new.kubeconfig")?;
    stage.claim_status("it is used, and the status warns that it expires", "active", "20 days")?;
    let used = stage.machine().read(KUBECONFIG).context("the kubeconfig in use")?;
    screen::say("And a kubeconfig of another cluster, by mistake:");
    let stranger = ClientCertificate { issuer: Issuer::Stranger, ..ClientCertificate::default() };
    stage.update_kubeconfig(&stranger, "other.kubeconfig")?;
    stage.claim_status("the status says that the cluster refuses it", "blocked", "kubeconfig")?;
    let same = stage.machine().read(KUBECONFIG)? == used;
    stage.claim("the earlier kubeconfig stays in place", same, "other bytes")?;
    stage.update_kubeconfig(&ClientCertificate::default(), "right.kubeconfig")?;
    stage.claim_status("a valid one is used at once", "active", "")?;
    stage.claim_no_restart(before)
}

fn remove_drop_in() -> String {
    format!("rm {DROP_IN}")
}

fn edit_conf() -> String {
    format!("sed -i 's/^kubeconfig_file/#&/' {CONF}")
}
