//! What is measured by the clock. `cargo xtask test` runs this module alone, one test at a time, since
//! other units on the same machine would be measured too.

use std::time::{Duration, Instant};

use crate::mirror::{self, assert_driver};
use crate::support::Deployment;

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn a_first_install_takes_less_than_a_second_more_than_pip_alone() {
    let it = Deployment::bare();
    mirror::pause(&it);
    let median = |mut times: Vec<Duration>| {
        times.sort();
        times[times.len() / 2]
    };
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    // In turn, so that whatever else the machine does hits both alike.
    for _ in 0..5 {
        let began = Instant::now();
        it.shell("PIP_BREAK_SYSTEM_PACKAGES=1 python3 -m pip install --quiet --no-deps --no-cache-dir --disable-pip-version-check --root-user-action=ignore magnum-capi-helm==1.1.0");
        bare.push(began.elapsed());
        it.shell("PIP_BREAK_SYSTEM_PACKAGES=1 python3 -m pip uninstall --quiet --yes --root-user-action=ignore magnum-capi-helm");
        let run = it.hook("install");
        assert_driver(&it, "1.1.0", "installed");
        let tools: Duration = run.tools.iter().map(|call| call.elapsed).sum();
        ours.push(run.wall - tools);
        it.hook("stop");
        assert_eq!(it.pip_version(), "none");
    }
    let (bare, ours) = (median(bare), median(ours));
    eprintln!("a bare pip install: {bare:?}; a first install: {ours:?}");
    assert!(
        ours < bare + Duration::from_secs(1),
        "{ours:?} against {bare:?}"
    );
}
