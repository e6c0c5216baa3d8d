//! Switches that the proof cannot judge, with which a service does not stay: they are undone, and not tried again.

use std::time::{Duration, Instant};

use lab::Machine;

use crate::support::{API, CONDUCTOR, CONF, DROP_INS, Deployment, assert_same, eventually, moments, soak};

/// A port on which something listens already, which only the conductor itself finds out.
const TAKEN: &str = "/etc/magnum/taken.conf";
const DEFAULTS: &str = "/etc/default/magnum-conductor";
const REFUSED: &str = "What is asked for is refused: magnum-conductor did not start";
/// After a poisoned change the services run what they ran before within this time.
const BACK_WITHIN: Duration = Duration::from_secs(60);

/// Has the conductor read a configuration with which it ends.
pub fn poison(machine: &Machine) {
    // Not the API's own port, or the API would fail too.
    let script = format!(
        "port=$(ss -Hltn | awk '{{ print $4 }}' | sed 's/.*://' | grep -vx 9501 | head -n 1); test \"$port\"
         printf '[DEFAULT]\\nbackdoor_port = %s\\n' \"$port\" >{TAKEN}
         echo 'DAEMON_ARGS=--config-file={TAKEN}' >{DEFAULTS}"
    );
    machine.shell(&script).unwrap();
}

pub fn cure(machine: &Machine) {
    machine.shell(&format!("rm {TAKEN} {DEFAULTS}")).unwrap();
}

/// What runs, without the numbers of the processes.
pub fn command_lines(machine: &Machine) -> String {
    let script = format!(
        "for pid in $(systemctl show --property=MainPID --value {API} {CONDUCTOR}); do
             [ $pid = 0 ] || tr '\\0' ' ' </proc/$pid/cmdline; echo
         done"
    );
    machine.shell(&script).unwrap()
}

#[track_caller]
fn assert_runs_as_before(it: &Deployment, before: &str, case: &str) {
    // Where the start script runs, it becomes the daemon.
    eventually(case, || command_lines(it.machine()) == before);
    it.machine().wait_for_magnum().unwrap();
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn a_switch_with_which_a_service_does_not_stay_is_undone_and_tried_again_only_when_its_input_changes() {
    let it = Deployment::active();
    let (graft, ran) = (it.graft(), command_lines(it.machine()));
    poison(it.machine());
    let began = Instant::now();
    it.hook("config-changed");
    let took = began.elapsed();
    println!("undone within {:.1} s", took.as_secs_f64());
    assert!(took < BACK_WITHIN, "{took:?}");
    it.assert_status("blocked", &[REFUSED, "Address already in use"], "the switch");
    assert_runs_as_before(&it, &ran, "the switch");
    assert_same(&graft.diff(&it.graft()), "the switch");

    let services = it.services();
    for hook in ["update-status", "config-changed"].repeat(5) {
        it.hook(hook);
        it.assert_status("blocked", &[REFUSED], "once only");
        assert_eq!(it.services(), services, "once only");
    }
    // An operator asks for the same again.
    it.action("restart");
    it.assert_status("blocked", &[REFUSED], "restart");
    assert_ne!(it.services(), services, "it was tried");
    assert_runs_as_before(&it, &ran, "restart");
    // The input changes.
    it.shell(&format!("echo '[DEFAULT]' >{TAKEN}"));
    it.hook("update-status");
    it.assert_status("active", &["Driver 1.1.0 grafted"], "another input");
    assert!(it.command_line(CONDUCTOR).contains(&format!("--config-file={TAKEN}")));
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn a_first_graft_with_which_a_service_does_not_stay_is_taken_off_again() {
    let it = Deployment::bare();
    let drop_in = "/etc/systemd/system/magnum-conductor.service.d/10-site.conf";
    // What a site has that keeps the conductor from starting with the graft, and not without.
    it.shell(&format!(
        "mkdir -p $(dirname {drop_in}); printf '[Service]\\nExecStartPre=test ! -e {}\\n' >{drop_in}
         systemctl daemon-reload",
        DROP_INS[1]
    ));
    let (files, ran) = (it.files(), command_lines(it.machine()));
    it.grant();
    for _ in 0..3 {
        it.hook("config-changed");
        it.assert_status("blocked", &[REFUSED], "the first graft");
        assert_runs_as_before(&it, &ran, "the first graft");
        assert!(!it.machine().exists(CONF).unwrap());
    }
    it.shell(&format!("mv {drop_in} /root/; systemctl daemon-reload"));
    // Nothing that the charm looks at has changed.
    it.action("restart");
    it.assert_whole("1.1.0", "without what kept it from starting");
    it.shell(&format!("mv /root/10-site.conf {drop_in}; systemctl daemon-reload"));
    it.remove();
    assert_same(&files.diff(&it.files()), "removed");
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn a_switch_killed_at_any_moment_of_it_and_of_its_undoing_is_finished_by_the_next_hook() {
    let it = Deployment::active();
    let (graft, ran) = (it.graft(), command_lines(it.machine()));
    let mut killed = 0;
    for (round, moment) in moments(soak(6, 200), Duration::from_secs(25)).enumerate() {
        poison(it.machine());
        it.shell(&format!("echo '# {round}' >>{TAKEN}"));
        killed += u32::from(it.kill_hook("config-changed", &moment));
        it.hook("update-status");
        let case = format!("killed at {moment:?}");
        it.assert_status("blocked", &[REFUSED], &case);
        assert_runs_as_before(&it, &ran, &case);
        assert_same(&graft.diff(&it.graft()), &case);
    }
    println!("{killed} hooks killed");
    assert!(killed > 0);
}
