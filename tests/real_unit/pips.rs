//! pip: old ones and new ones, and none at all.

use crate::mirror::{self, assert_driver, cached};
use crate::support::{Deployment, pin};
use std::process::Command;

/// Ubuntu 22.04's, Debian 12's, Ubuntu 24.04's and a current one.
const PIPS: [&str; 4] = ["22.0.2", "23.0.1", "24.0", "26.0"];

/// Holds dpkg's lock until it is told to let go.
const HOLD: &str = r#"
import fcntl, os, time
file = open("/var/lib/dpkg/lock-frontend", "w")
fcntl.lockf(file, fcntl.LOCK_EX)
open("/run/held", "w").close()
while not os.path.exists("/run/let-go"):
    time.sleep(0.1)
"#;

/// Downloads the wheels of these pips, once.
fn wheels() -> std::path::PathBuf {
    cached(&format!("pips-{}", PIPS.join("-")), |directory| {
        for version in PIPS {
            let mut pip = Command::new("python3");
            pip.args(["-m", "pip", "download", "--quiet", "--no-deps", "--dest"])
                .arg(directory)
                .arg(format!("pip=={version}"));
            let status = pip.status().unwrap();
            assert!(status.success(), "downloading pip {version}");
        }
    })
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn every_pip_from_22_on_serves_and_a_missing_one_is_installed_and_goes_again() {
    let it = Deployment::bare();
    mirror::pause(&it);
    it.grant();
    let directory = wheels();
    for version in PIPS {
        let name = format!("pip-{version}-py3-none-any.whl");
        let wheel = std::fs::read(directory.join(&name)).unwrap();
        it.machine().push(&format!("/opt/lab/{name}"), &wheel, 0o644).unwrap();
        // Each runs from its wheel to install itself, over whatever pip is there.
        it.shell(&format!(
            "cd /; rm -rf /usr/local/lib/python3.11/dist-packages/pip /usr/local/lib/python3.11/dist-packages/pip-*
             PIP_BREAK_SYSTEM_PACKAGES=1 python3 /opt/lab/{name}/pip install --quiet --no-index --root-user-action=ignore --ignore-installed /opt/lab/{name} 2>/dev/null ||
             python3 /opt/lab/{name}/pip install --quiet --no-index --ignore-installed /opt/lab/{name}"
        ));
        let said = it.shell("python3 -m pip --version");
        assert!(said.starts_with(&format!("pip {version} ")), "{said}");
        it.set(&[("driver-pin", &pin("1.1.0"))]);
        let installed = it.hook("install");
        assert_driver(&it, "1.1.0", version);
        it.set(&[("driver-pin", &pin("1.2.1"))]);
        let changed = it.hook("config-changed");
        it.assert_status("maintenance", &["paused"], version);
        assert_driver(&it, "1.2.1", version);
        eprintln!(
            "pip {version}: install {:.1} s, change {:.1} s",
            installed.wall.as_secs_f64(),
            changed.wall.as_secs_f64()
        );
        it.set(&[("driver-pin", &pin("9.9.9"))]);
        it.hook("config-changed");
        it.assert_status("blocked", &["9.9.9", "not in the package index"], version);
        it.hook("stop");
    }

    // No pip; a package archive of the one that the unit came with; and dpkg is busy.
    it.machine().push("/opt/lab/hold.py", HOLD.as_bytes(), 0o644).unwrap();
    it.shell(
        "rm -rf /usr/local/lib/python3.11/dist-packages/pip* /usr/local/bin/pip*
         dpkg --purge python3-pip >/dev/null 2>&1
         systemd-run --quiet --unit=busy python3 /opt/lab/hold.py
         until test -e /run/held; do sleep 0.1; done",
    );
    let without = it.shell("dpkg-query --show");
    assert!(!without.contains("python3-pip"), "{without}");
    it.set(&[("driver-pin", &pin("1.1.0"))]);
    let mut waits = false;
    let run = it.unit.kill_hook_when("install", |_| {
        let apt = it.machine().run(&["pgrep", "-x", "apt-get"]).unwrap();
        if !waits && apt.ok() {
            it.shell("sleep 1; touch /run/let-go");
            waits = true;
        }
        false
    });
    let run = it.heard(run.unwrap());
    assert!(waits, "it waited for the lock: {}", run.describe());
    it.assert_status("maintenance", &["paused"], "without pip");
    assert!(run.log_text().contains("install the package python3-pip"), "{}", run.log_text());
    assert_driver(&it, "1.1.0", "without pip");
    assert!(it.shell("dpkg-query --show").contains("python3-pip"));
    it.remove();
    assert_eq!(it.shell("dpkg-query --show"), without, "after the removal");
}
