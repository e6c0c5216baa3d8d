//! No false alarm: on whole units of Magnum 15, 18 and 20, whichever way they log, `verify` finds nothing, again and
//! again.

use lab::Release;

use crate::faults::{chart_of_its_own, findings};
use crate::support::{API, CONDUCTOR, CONF_DIRECTORY, Deployment, soak};

fn nothing_is_found_on(release: Release) {
    let it = Deployment::bare_on(release);
    it.set(&[("guard", "true")]);
    it.deploy();
    it.grant();
    it.hook("config-changed");
    chart_of_its_own(&it);
    let look = |case: &str| {
        for run in 1..=soak(1, 10) {
            let found = findings(&it);
            assert!(found.is_empty(), "{release:?}, {case}, run {run}: {found:#?}");
        }
    };
    let restarted = |case: &str| {
        it.shell(&format!("systemctl restart {API} {CONDUCTOR}"));
        it.machine().wait_for_magnum().unwrap();
        it.hook("update-status");
        look(case);
    };
    look("as it is");
    if soak(false, true) {
        restarted("after a restart");
    }
    it.shell(&format!("printf '[DEFAULT]\\nlog_dir = /var/log/magnum\\n' >{CONF_DIRECTORY}/10-log.conf"));
    for _ in 0..soak(1, 2) {
        restarted("with a log file");
    }
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn nothing_is_found_on_a_whole_unit_of_magnum_15() {
    nothing_is_found_on(Release::Bookworm);
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn nothing_is_found_on_a_whole_unit_of_magnum_18() {
    nothing_is_found_on(Release::Caracal);
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn nothing_is_found_on_a_whole_unit_of_magnum_20() {
    nothing_is_found_on(Release::Trixie);
}
