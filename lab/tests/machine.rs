//! The lab itself, on real machines.

use lab::*;
use std::time::Instant;

#[test]
#[ignore = "needs root and the lab: cargo xtask test"]
fn a_machine_boots() {
    let start = Instant::now();
    let root = ensure_root(Release::Caracal, &mut |line| eprintln!("{line}")).unwrap();
    eprintln!("root {:?}", start.elapsed());
    let start = Instant::now();
    let machine = Machine::boot(&root, "magnum-0").unwrap();
    eprintln!("boot {:?}", start.elapsed());
    let start2 = Instant::now();
    machine.wait_for_magnum().unwrap();
    eprintln!(
        "magnum {:?}, in all {:?}",
        start2.elapsed(),
        start.elapsed()
    );
    machine.push("/tmp/a/b/c", b"hello", 0o640).unwrap();
    assert_eq!(
        machine
            .shell("stat -c '%a %U %s' /tmp/a/b/c; stat -c %a /tmp/a")
            .unwrap(),
        "640 root 5\n755\n"
    );
    let start = Instant::now();
    machine.reboot().unwrap();
    eprintln!("reboot {:?}", start.elapsed());
    assert!(!machine.exists("/tmp/a").unwrap());
    eprintln!(
        "{:?}",
        machine
            .cmdline(machine.pid_of("magnum-conductor").unwrap())
            .unwrap()
    );
    let start = Instant::now();
    drop(machine);
    eprintln!("drop {:?}", start.elapsed());
}
