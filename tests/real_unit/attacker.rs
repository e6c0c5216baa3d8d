//! User magnum as the attacker: it owns `/etc/magnum` and its home, into which root writes and where it looks.

use std::time::Duration;

use crate::support::{CONF, Deployment, STATE, assert_same, eventually, pin, soak};

const HOOKS: [&str; 3] = ["config-changed", "update-status", "upgrade-charm"];

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn whatever_user_magnum_plants_nothing_of_root_changes_no_hook_hangs_and_the_next_one_is_well() {
    let it = Deployment::grafted();
    it.set(&[("guard", "true")]);
    it.hook("config-changed");
    let machine = it.machine();
    let files = || machine.snapshot(&["/etc", "/usr/local", "/usr/lib/python3", "/root"], &["/etc/magnum"]).unwrap();
    let of_principal =
        || it.shell("cd /etc/magnum; sha256sum magnum.conf api-paste.ini policy.json; stat -c '%n %u:%g %a' *.*");
    let before = (files(), of_principal());
    machine.push("/opt/attacker.py", include_bytes!("attacker.py"), 0o644).unwrap();
    let (seconds, seed) = (soak(20, 600), std::process::id());
    eprintln!("seed {seed}");
    it.shell(&format!(
        "systemd-run --quiet --unit=attacker --uid=magnum --gid=magnum --property=LimitCORE=0 \
             /usr/bin/python3 -I /opt/attacker.py {seconds} {seed}
         until test -e /var/lib/magnum/loot; do sleep 0.1; done"
    ));
    // Of these, 60 s are Magnum's own: so long the charm waits for a service that user magnum keeps from starting. Where
    // other tests run, the bound is that of every run.
    let bound = Duration::from_secs(soak(600, 90));
    let (mut worst, mut count, mut failed) = (Duration::ZERO, 0, 0);
    while machine.run(&["systemctl", "is-active", "--quiet", "attacker"]).unwrap().ok() {
        // So that root asks Python anew, installs the driver and writes the configuration.
        it.shell(&format!("rm -f {STATE}/interpreter.json {STATE}/distributions.json"));
        it.set(&[("driver-pin", &pin(["1.1.0", "1.2.1"][count / 2 % 2]))]);
        let run = it.failing_hook(HOOKS[count % HOOKS.len()]);
        // It asks Python as user magnum.
        let verified = it.action("verify").run;
        for run in [&run, &verified] {
            assert!(run.wall < bound, "{}", run.describe());
            worst = worst.max(run.wall);
        }
        (count, failed) = (count + 1, failed + usize::from(!run.ok()));
    }
    let said = it.shell(
        "journalctl --quiet -o cat -u attacker
         journalctl --quiet -o cat -u magnum-capi-helm-guard.service | grep -c Finished || :
         systemctl show --property=Result --value attacker",
    );
    eprintln!("{count} hooks, {failed} failed, the longest took {worst:?}; the attacker and the guard: {said}");
    assert!(said.ends_with("success\n"), "{said}");
    assert_eq!(failed, 0, "of {count} hooks");

    it.set(&[("driver-pin", &pin("1.1.0"))]);
    // It may have kept its own services from starting; one that has failed again and again is watched for a minute.
    eventually("all is well", || {
        it.hook("config-changed");
        it.unit.status().0 == "active"
    });
    for hook in HOOKS {
        it.hook(hook);
        it.assert_status("active", &["Driver 1.1.0 grafted"], "after the attack");
    }
    it.shell("rm -rf /var/lib/magnum/trash /etc/magnum/stash-* /etc/magnum/set-aside-*");
    it.assert_whole("1.1.0", "after the attack");
    assert_same(&before.0.diff(&files()), "what root has");
    assert_eq!(of_principal(), before.1);
    let magnum = it.shell("id -u magnum");
    let ran = it.shell("sort -u /var/lib/magnum/loot");
    assert_eq!(ran, magnum, "who has run the attacker's code");
    it.remove();
    assert!(!machine.exists(CONF).unwrap());
}
