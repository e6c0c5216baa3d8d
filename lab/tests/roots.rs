//! The other roots: Debian's own Magnum, older and newer than the runbook's. Each takes a minute or two
//! to build the first time.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lab::{Cloud, Machine, Release, ensure_root};

fn boots_with(release: Release, magnum: &str, python: &str) {
    let root = ensure_root(release, &mut |line| eprintln!("{line}")).unwrap();
    let machine = Machine::boot(&root, "magnum-0").unwrap();
    machine.wait_for_magnum().unwrap();
    let version = machine.shell("python3 -c 'import importlib.metadata as m; print(m.version(\"magnum\"))'").unwrap();
    assert!(version.starts_with(magnum), "{version}");
    assert!(machine.shell("python3 --version").unwrap().contains(python));
    assert!(!machine.exists("/etc/magnum/magnum.conf.d").unwrap());
    assert_eq!(machine.shell("stat -fc %T /sys/fs/cgroup").unwrap(), "cgroup2fs\n");
    machine.shell("pip3 download --quiet --no-deps --dest /tmp/w magnum-capi-helm==1.1.0").unwrap();
    machine.shell("helm version --short && /opt/lab/kubectl version --client").unwrap();
}

#[test]
#[ignore = "needs root and the lab: cargo xtask test"]
fn bookworm_boots_with_magnum_15() {
    boots_with(Release::Bookworm, "15.", "3.11");
}

#[test]
#[ignore = "needs root and the lab: cargo xtask test"]
fn trixie_boots_with_magnum_20() {
    boots_with(Release::Trixie, "20.", "3.13");
}

#[test]
#[ignore = "needs root and the lab: cargo xtask test"]
fn a_cloud_answers_with_keystone_and_rabbitmq() {
    let root = ensure_root(Release::Cloud, &mut |line| eprintln!("{line}")).unwrap();
    let machine = Machine::boot(&root, "magnum-0").unwrap();
    machine.wait_for_magnum().unwrap();
    Cloud::start(&machine).unwrap();
}

/// Not a test: the process that the next test kills while it builds.
#[test]
#[ignore = "started by the other test"]
fn victim() {
    if std::env::var_os("LAB_VICTIM").is_some() {
        ensure_root(Release::Bookworm, &mut |line| println!("{line}")).unwrap();
    }
}

#[test]
#[ignore = "needs root and the lab: cargo xtask test"]
fn a_killed_build_leaves_no_process_and_no_mount() {
    ensure_root(Release::Caracal, &mut |line| eprintln!("{line}")).unwrap();
    let cache = tempfile::tempdir().unwrap();
    let name = cache.path().file_name().unwrap().to_str().unwrap().to_owned();
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["victim", "--exact", "--ignored", "--nocapture"])
        .env("LAB_VICTIM", "yes")
        .env("LAB_CACHE", cache.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("so far")), "mmdebstrap has been at work for ten seconds");
    victim.kill().unwrap();
    victim.wait().unwrap();
    let start = Instant::now();
    loop {
        let alive = fs::read_dir("/proc").unwrap().filter_map(|entry| {
            let process = entry.unwrap().path();
            let command = fs::read_to_string(process.join("cmdline")).unwrap_or_default();
            command.contains(&name).then(|| format!("{} {command}", process.display()))
        });
        let left: Vec<String> = alive.collect();
        if left.is_empty() {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{left:#?}");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(!fs::read_to_string("/proc/mounts").unwrap().contains(&name));
}
