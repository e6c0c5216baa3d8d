//! What can go wrong on the way: drift, a damaged driver, a bad pin; and the question whether all is well.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use lab::{ActionStatus, ClientCertificate, Issuer};
use serde_json::{Value, json};

use super::stage::Stage;
use super::story::{claim_command_lines, claim_magnum};
use crate::lab::APPLICATION;

/// Somebody removes one file and edits another, and no hook comes by.
pub fn guarded(stage: &mut Stage) -> Result<()> {
    const DROP_IN: &str = "/etc/systemd/system/magnum-conductor.service.d/override.conf";
    const CONF: &str = "/etc/magnum/magnum.conf.d/99-capi.conf";
    let screen = stage.screen();
    screen.chapter("The guard");
    screen.say("Somebody removes one file of the graft and edits another. No hook comes by:");
    let good = stage.processes()?;
    let look = |stage: &Stage| -> Result<Vec<u8>> {
        let read = |path| stage.machine().read(path);
        Ok([read(DROP_IN).unwrap_or_default(), read(CONF)?].concat())
    };
    let whole = look(stage)?;
    for (what, harm) in [
        ("the removed drop-in", format!("rm {DROP_IN}")),
        (
            "the edited file",
            format!("sed -i 's/^kubeconfig_file/#&/' {CONF}"),
        ),
    ] {
        stage.on_the_unit(&harm)?;
        let began = Instant::now();
        while look(stage)? != whole && began.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let took = began.elapsed();
        screen.say(&format!("{what} is back after {:.2} s", took.as_secs_f64()));
        stage.claim(
            &format!("{what} is back within a second"),
            took < Duration::from_secs(1),
            format!("{took:?}"),
        )?;
    }
    screen.pause();
    let now = stage.processes()?;
    stage.claim(
        "both services ran on: neither has read the wrong files",
        now == good,
        format!("{good:?} before, {now:?} after"),
    )
}

/// The same without the guard, and one of the two services is restarted on top.
pub fn drift(stage: &mut Stage) -> Result<()> {
    let screen = stage.screen();
    screen.chapter("Drift");
    screen.say(
        "Without the guard the next hook does it, also when a service was restarted meanwhile:",
    );
    stage.configure("guard", "false")?;
    let good = stage.processes()?;
    let directory = "/etc/systemd/system/magnum-conductor.service.d";
    stage.on_the_unit(&format!("rm {directory}/override.conf"))?;
    stage.on_the_unit("sed -i 's/^kubeconfig_file/#&/' /etc/magnum/magnum.conf.d/99-capi.conf")?;
    stage.on_the_unit("systemctl daemon-reload")?;
    stage.on_the_unit("systemctl restart magnum-conductor")?;
    screen.pause();
    let bad = stage.processes()?;
    stage.show_processes()?;
    screen.pause();
    stage.hook("update-status")?;
    screen.pause();
    let mended = stage.processes()?;
    stage.claim_status("the next update-status has repaired it", "active", &[])?;
    claim_command_lines(stage)?;
    stage.claim(
        "magnum-conductor restarted: it had started without the graft",
        mended.conductor != bad.conductor && bad.conductor != good.conductor,
        format!("{bad:?} before the hook, {mended:?} after"),
    )?;
    stage.claim(
        "magnum-api did not: it never read the edited file",
        mended.api == good.api,
        format!("{good:?} before, {mended:?} after"),
    )
}

/// Somebody debugs in the driver's own files.
pub fn damaged_driver(stage: &mut Stage) -> Result<()> {
    let screen = stage.screen();
    screen.chapter("A damaged driver");
    screen.say("Somebody debugs in the driver's own files, and forgets:");
    let before = stage.processes()?;
    let driver = stage.machine().shell(
        "python3 -c 'import importlib.metadata as m; \
         print(m.distribution(\"magnum-capi-helm\").locate_file(\"magnum_capi_helm/driver.py\"))'",
    )?;
    stage.on_the_unit(&format!("echo 'raise SystemExit' >>{}", driver.trim()))?;
    screen.pause();
    stage.hook("update-status")?;
    screen.pause();
    let after = stage.processes()?;
    stage.claim_status("the pinned wheel is installed anew", "active", &["1.2.1"])?;
    claim_magnum(stage, "1.2.1")?;
    stage.claim(
        "both services restarted: either could have loaded the damaged file",
        before.api != after.api && before.conductor != after.conductor,
        format!("{before:?} before, {after:?} after"),
    )?;
    screen.pause();
    screen.say("The guard is needed again:");
    stage.configure("guard", "true")
}

/// A new input that is no good takes nothing down.
pub fn bad_pin(stage: &mut Stage) -> Result<()> {
    let screen = stage.screen();
    screen.chapter("A bad pin");
    screen.say("An input that is no good takes nothing down:");
    let before = stage.processes()?;
    stage.configure("driver-pin", "magnum-capi-helm>=1.3")?;
    screen.pause();
    let after = stage.processes()?;
    stage.claim_status(
        "the status names the option, its value and the remedy",
        "blocked",
        &["driver-pin", "magnum-capi-helm>=1.3", "set it like"],
    )?;
    let answers = stage.machine().magnum_answers()?;
    stage.claim(
        "the graft goes on: the same processes, and the API answers",
        before == after && answers,
        format!("{before:?} before, {after:?} after, the API answers: {answers}"),
    )?;
    claim_magnum(stage, "1.2.1")?;
    screen.pause();
    stage.configure("driver-pin", "magnum-capi-helm==1.2.1")?;
    screen.pause();
    let after = stage.processes()?;
    stage.claim_status("the unit is active again", "active", &["1.2.1"])?;
    stage.claim(
        "and nothing had to restart",
        before == after,
        format!("{before:?} before, {after:?} after"),
    )
}

/// The kubeconfig is replaced by one that works, and then by one that does not.
pub fn rotate(stage: &mut Stage) -> Result<()> {
    let screen = stage.screen();
    screen.chapter("Rotate the kubeconfig");
    screen.say("The management cluster has issued another client certificate, good for 20 days:");
    let before = stage.processes()?;
    let new = ClientCertificate {
        not_after: 20 * 24 * 60 * 60 + 60,
        ..ClientCertificate::default()
    };
    stage.update_kubeconfig(&new, "new.kubeconfig")?;
    let granted = stage.kubeconfig_in_place()?;
    stage.claim_status(
        "it is in place, and the status says in time that it will end",
        "active",
        &["expires in 20 days"],
    )?;
    screen.say("And one of another cluster, by mistake:");
    let stranger = ClientCertificate {
        issuer: Issuer::Stranger,
        ..ClientCertificate::default()
    };
    stage.update_kubeconfig(&stranger, "other.kubeconfig")?;
    stage.claim_status(
        "the management cluster does not accept it: the earlier one stays, and the status says so",
        "blocked",
        &["stays in place", "juju update-secret"],
    )?;
    let kept = stage.kubeconfig_in_place()? == granted;
    stage.claim(
        "not a byte of the one in place has changed",
        kept,
        "other bytes",
    )?;
    stage.update_kubeconfig(&ClientCertificate::default(), "right.kubeconfig")?;
    stage.claim_status("the right one is in place at once", "active", &["grafted"])?;
    let after = stage.processes()?;
    stage.claim(
        "and nothing had to restart",
        before == after,
        format!("{before:?} before, {after:?} after"),
    )
}

/// Is the graft whole? One question for the operator, twenty for the charm.
pub fn verify(stage: &mut Stage) -> Result<()> {
    let screen = stage.screen();
    screen.chapter("Verify");
    screen
        .say("Is the graft whole? The action asks whatever the runbook asks, and changes nothing:");
    screen.command(&format!("juju run {APPLICATION}/0 verify"));
    screen.pause();
    let action = stage.unit.action("verify", &json!({}))?;
    let result = |name: &str| action.results.get(name).cloned().unwrap_or_default();
    screen.pause();
    screen.report(&result("report"));
    screen.pause();
    let checks: Vec<Value> =
        serde_json::from_str(&result("checks")).context("the checks that verify lists")?;
    let field = |check: &Value, name: &str| check[name].as_str().unwrap_or_default().to_owned();
    let with = |status: &str| -> Vec<String> {
        let found = checks
            .iter()
            .filter(|check| field(check, "status") == status);
        found
            .map(|check| format!("{} ({})", field(check, "id"), field(check, "evidence")))
            .collect()
    };
    let (passed, skipped, warned) = (with("pass"), with("skip"), with("warn"));
    let besides: Vec<String> = skipped.iter().chain(&warned).cloned().collect();
    // The unit is cut off from every network, so it cannot reach the chart's repository.
    let expected = warned
        .iter()
        .all(|check| check.starts_with("chain-chart-repository (not the graft, but"));
    stage.claim(
        &format!(
            "{} checks, {} of them pass, and none fails; the others: {}",
            checks.len(),
            passed.len(),
            besides.join(", ")
        ),
        action.status == ActionStatus::Completed
            && expected
            && passed.len() + besides.len() == checks.len(),
        format!("{} {}", action.message, result("failures")),
    )
}
