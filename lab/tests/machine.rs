//! Machines: how fast they are, and that nothing of them stays, however their owner ends.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lab::{Machine, RESTLESS, Release, Root, ensure_root};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

fn root() -> Root {
    ensure_root(Release::Caracal, &mut |line| eprintln!("{line}")).unwrap()
}

#[test]
#[ignore = "needs root and the lab: cargo xtask test"]
fn a_machine_boots_and_resets_in_seconds() {
    let root = root();
    let start = Instant::now();
    let machine = Machine::boot(&root, "magnum-0").unwrap();
    let boot = start.elapsed();
    machine.wait_for_magnum().unwrap();
    let magnum = start.elapsed();
    machine.shell("echo changed >/etc/magnum/magnum.conf").unwrap();
    let start = Instant::now();
    drop(machine);
    let stop = start.elapsed();
    let machine = Machine::boot(&root, "magnum-0").unwrap();
    let reset = start.elapsed();
    assert!(machine.read_text("/etc/magnum/magnum.conf").unwrap().contains("port = 9501"));
    println!("boot {boot:?}, Magnum answers after {magnum:?}, stop {stop:?}, stop and boot anew {reset:?}");
    // Generous, for a busy machine.
    assert!(boot < Duration::from_secs(30) && reset < Duration::from_secs(30));
}

#[test]
#[ignore = "needs root and the lab: cargo xtask test"]
fn a_machine_is_a_unit_as_it_was_deployed() {
    let machine = Machine::boot(&root(), "magnum-0").unwrap();
    machine.wait_for_magnum().unwrap();
    assert_eq!(machine.shell("hostname; hostname -f").unwrap(), "magnum-0\nmagnum-0\n");
    assert_eq!(machine.shell("stat -c '%U:%G %a' /etc/magnum/magnum.conf").unwrap(), "root:magnum 640\n");
    assert!(!machine.exists("/etc/magnum/magnum.conf.d").unwrap());
    assert_eq!(
        machine.shell("stat -c '%U:%G %a' /usr/local/bin/helm; helm version --short").unwrap().lines().count(),
        2
    );
    assert!(machine.shell("pip3 show magnum").unwrap().contains("Version: 18.0.0"));
    let conductor = machine.cmdline(machine.pid_of("magnum-conductor").unwrap()).unwrap();
    assert!(conductor.iter().any(|word| word.starts_with("--log-file=")), "started by Debian's wrapper: {conductor:?}");
    // The index has what the charm installs; nothing else is reachable.
    machine.shell("pip3 download --quiet --no-deps --dest /tmp/w magnum-capi-helm==1.2.1").unwrap();
    assert!(machine.shell("pip3 download --quiet --no-deps --dest /tmp/w magnum-capi-helm==9.9.9").is_err());
    assert_eq!(machine.shell("ls /sys/class/net").unwrap(), "lo\n");
    assert_eq!(machine.shell("env | sort | cut -d= -f1").unwrap(), "HOME\nLANG\nPATH\nPWD\n");
    for of_the_host in ["/etc/resolv.conf", "/tmp/host-ca.pem"] {
        assert!(!machine.exists(of_the_host).unwrap(), "{of_the_host}");
    }
}

#[test]
#[ignore = "needs root and the lab: cargo xtask test"]
fn a_machine_is_a_user_namespace_as_lxd_makes_it() {
    let machine = Machine::boot(&root(), "magnum-0").unwrap();
    for map in ["/proc/self/uid_map", "/proc/self/gid_map", "/proc/1/uid_map"] {
        let shown = machine.shell(&format!("cat {map}")).unwrap();
        let words: Vec<&str> = shown.split_whitespace().collect();
        assert_eq!(words, ["0", "524288", "65536"], "{map}");
    }
    assert_eq!(machine.shell("id -u; id -g").unwrap(), "0\n0\n");
    for refused in [
        "mknod /root/disk b 7 0",
        "mount -t ext4 /dev/vda /mnt",
        "echo 1 >/proc/sys/kernel/sysrq",
        "date -s 2020-01-01",
        "dmesg --clear",
        FANOTIFY,
    ] {
        let run = machine.run(&["sh", "-c", refused]).unwrap();
        assert!(!run.ok(), "{refused} is allowed");
    }
    // Root's rights inside are as they should be: other users' files, other owners, programs with setuid.
    machine
        .shell(
            "chown magnum:magnum /etc/hostname; echo x >/var/lib/magnum/x; mount -t tmpfs none /mnt
             [ \"$(setpriv --reuid=magnum --clear-groups sudo -l 2>&1 | grep -c 'effective uid is not 0')\" = 0 ]",
        )
        .unwrap();
    let strangers = "find / -xdev ! -path /proc ! -path /sys ! -path /dev '(' -uid 65534 -o -gid 65534 ')'";
    assert_eq!(machine.shell(strangers).unwrap(), "", "of an owner from outside");
}

/// Marks a whole mount, which only the host's root may: fanotify_init, fanotify_mark with FAN_MARK_MOUNT.
const FANOTIFY: &str = "python3 -c '
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
group = libc.fanotify_init(0, os.O_RDONLY)
sys.exit(group < 0 or libc.fanotify_mark(group, 0x11, ctypes.c_uint64(2), -100, b\"/etc\") < 0)
'";

#[test]
#[ignore = "needs root and the lab: cargo xtask test"]
fn files_are_reached_as_inside() {
    let machine = Machine::boot(&root(), "magnum-0").unwrap();
    machine.push("/tmp/a/b/c", b"hello", 0o640).unwrap();
    assert_eq!(machine.shell("stat -c '%a %U %s' /tmp/a/b/c; stat -c %a /tmp/a").unwrap(), "640 root 5\n755\n");
    let found = machine.metadata("/tmp/a/b/c").unwrap().unwrap();
    assert_eq!((found.st_uid, found.st_gid, found.st_mode & 0o7777), (0, 0, 0o640));
    let conf = "/etc/magnum/magnum.conf";
    let look = || machine.shell(&format!("stat -c '%i %U:%G %a' {conf}")).unwrap();
    let before = look();
    let content = machine.read(conf).unwrap();
    machine.push(conf, &content, 0o640).unwrap();
    assert_eq!(look(), before, "overwritten in place");
    machine.shell("ln -s /etc/hostname /tmp/link; ln -s /nowhere /tmp/dangling").unwrap();
    assert_eq!(machine.read_text("/tmp/link").unwrap(), "magnum-0\n", "not the host's");
    assert!(!machine.exists("/tmp/dangling").unwrap());
    machine.remove("/tmp/link").unwrap();
    machine.remove("/tmp/link").unwrap();
    assert!(machine.exists("/etc/hostname").unwrap());
    let output = machine.run_with_input(&["sh", "-c", "cat; exit 3"], Some(b"in")).unwrap();
    assert_eq!((output.code, output.stdout.as_str()), (Some(3), "in"));
}

#[test]
#[ignore = "needs root and the lab: cargo xtask test"]
fn a_reboot_keeps_the_disk_and_nothing_else() {
    let machine = Machine::boot(&root(), "magnum-0").unwrap();
    machine.wait_for_magnum().unwrap();
    machine.shell("touch /tmp/lost /root/kept; sleep 3000 >/dev/null 2>&1 &").unwrap();
    machine.reboot().unwrap();
    assert!(!machine.exists("/tmp/lost").unwrap() && machine.exists("/root/kept").unwrap());
    assert!(machine.shell("pgrep -f 'sleep 3000$'").is_err());
    machine.wait_for_magnum().unwrap();
}

#[test]
#[ignore = "needs root and the lab: cargo xtask test"]
fn nothing_changes_while_nobody_does_anything() {
    let machine = Machine::boot(&root(), "magnum-0").unwrap();
    machine.wait_for_magnum().unwrap();
    let look = || machine.snapshot(&["/etc", "/usr/local", "/var/lib", "/opt"], &RESTLESS).unwrap();
    let start = Instant::now();
    let before = look();
    println!("a snapshot of {} entries takes {:?}", before.entries.len(), start.elapsed());
    std::thread::sleep(Duration::from_secs(3));
    machine
        .shell("systemctl daemon-reload; systemctl restart magnum-api magnum-conductor; python3 -c 'import magnum'")
        .unwrap();
    machine.wait_for_magnum().unwrap();
    let after = look();
    assert!(before.diff_exact(&after).is_empty(), "{}", before.diff_exact(&after));
    machine.shell("cp -p /etc/magnum/magnum.conf /etc/x; mv /etc/x /etc/magnum/magnum.conf").unwrap();
    assert!(before.diff(&look()).is_empty());
    assert!(before.diff_exact(&look()).paths().contains(&"/etc/magnum/magnum.conf"));
    machine.shell("chmod 600 /etc/magnum/magnum.conf; ln -s x /etc/y").unwrap();
    let told = before.diff(&look()).to_string();
    assert_eq!(told, "/etc/magnum/magnum.conf: mode 0640 -> 0600\n/etc/y: added: link to x\n");
}

/// Not a test: the process that the next tests kill. It boots two machines and says so.
#[test]
#[ignore = "started by the other tests"]
fn victim() {
    let Ok(how) = std::env::var("LAB_VICTIM") else {
        return;
    };
    let root = root();
    println!("booting");
    let _one = Machine::boot(&root, "victim-0").unwrap();
    let _two = Machine::boot(&root, "victim-1").unwrap();
    println!("booted");
    if how == "panic" {
        panic!("as asked");
    }
    std::thread::sleep(Duration::from_secs(60));
}

/// Whether a process, by its directory in `/proc`, runs. The dead that nobody has buried yet are the
/// business of this host's init.
fn is_alive(process: &Path) -> bool {
    let status = fs::read_to_string(process.join("status")).unwrap_or_default();
    !status.is_empty() && !status.contains("State:\tZ")
}

/// The directories and cgroups of the machines whose name has `name` in it.
fn directories_of(name: &str) -> Vec<String> {
    ["/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/run/magnum-capi-helm-lab"]
        .iter()
        .filter_map(|directory| fs::read_dir(directory).ok())
        .flatten()
        .map(|entry| entry.unwrap().path().display().to_string())
        .filter(|path| path.contains(name))
        .collect()
}

/// All there is of machines of victims: mounts, cgroups, processes, directories.
fn traces() -> BTreeSet<String> {
    let mut traces = BTreeSet::new();
    for line in fs::read_to_string("/proc/mounts").unwrap().lines().filter(|line| line.contains("magnum-lab")) {
        traces.insert(format!("mount {line}"));
    }
    traces.extend(directories_of("victim"));
    for entry in fs::read_dir("/proc").unwrap() {
        let process = entry.unwrap().path();
        if !is_alive(&process) {
            continue;
        }
        let command = fs::read_to_string(process.join("cmdline")).unwrap_or_default();
        let cgroups = fs::read_to_string(process.join("cgroup")).unwrap_or_default();
        if command.contains("victim-") || cgroups.contains("victim") {
            traces.insert(format!("{} {}", process.display(), command.replace('\0', " ")));
        }
    }
    traces
}

/// Start a victim, wait for it to say `until`, wait a little longer, and end it by `end`.
fn end_victim(how: &str, until: &str, longer: Duration, end: impl Fn(Pid)) {
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["victim", "--exact", "--ignored", "--nocapture"])
        .env("LAB_VICTIM", how)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().ends_with(until)), "the victim did not say {until}");
    std::thread::sleep(longer);
    end(Pid::from_raw(victim.id().cast_signed()));
    victim.wait().unwrap();
    let start = Instant::now();
    while !traces().is_empty() {
        assert!(start.elapsed() < Duration::from_secs(60), "{how}, {until} + {longer:?}: {:#?}", traces());
        std::thread::sleep(Duration::from_millis(10));
    }
    println!("{how}, {until} + {longer:?}: nothing left after {:?}", start.elapsed());
}

#[test]
#[ignore = "needs root and the lab: cargo xtask test"]
fn nothing_stays_behind_however_the_owner_ends() {
    root();
    let no_time = Duration::ZERO;
    end_victim("panic", "booted", no_time, |_| ());
    end_victim("SIGKILL", "booted", no_time, |victim| kill(victim, Signal::SIGKILL).unwrap());
    end_victim("SIGINT of the group", "booted", no_time, |victim| killpg(victim, Signal::SIGINT).unwrap());
    end_victim("SIGTERM", "booted", no_time, |victim| kill(victim, Signal::SIGTERM).unwrap());
    let moments = [0, 5, 20, 50, 100, 200, 400, 700, 900, 1100];
    let every = if std::env::var_os("LAB_SOAK").is_some() { 1 } else { 2 };
    for milliseconds in moments.into_iter().step_by(every) {
        let delay = Duration::from_millis(milliseconds);
        end_victim("SIGKILL", "booting", delay, |victim| kill(victim, Signal::SIGKILL).unwrap());
    }
}

#[test]
#[ignore = "needs root and the lab: cargo xtask test"]
fn what_a_killed_keeper_leaves_is_swept_by_the_next() {
    let root = root();
    let machine = Machine::boot(&root, "orphan-0").unwrap();
    let keeper = machine.keeper();
    kill(Pid::from_raw(keeper), Signal::SIGKILL).unwrap();
    let start = Instant::now();
    let container = PathBuf::from(format!("/proc/{}", machine.leader()));
    while is_alive(&container) {
        assert!(start.elapsed() < Duration::from_secs(60), "the container outlives its keeper");
        std::thread::sleep(Duration::from_millis(10));
    }
    drop(machine);
    let next = Machine::boot(&root, "orphan-1").unwrap();
    let left = directories_of("orphan-0");
    assert!(left.is_empty(), "{left:?}");
    drop(next);
}

#[test]
#[ignore = "needs root and the lab: cargo xtask test"]
fn no_signal_keeps_a_keeper_from_letting_go() {
    let machine = Machine::boot(&root(), "signalled-0").unwrap();
    let keeper = machine.keeper();
    let children = fs::read_to_string(format!("/proc/{keeper}/task/{keeper}/children")).unwrap();
    let script = Pid::from_raw(children.trim().parse().unwrap());
    let signals = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM, Signal::SIGPIPE];
    std::thread::scope(|scope| {
        // All of them, again and again, until the script is gone.
        let sender = scope.spawn(|| {
            let sent = |signal: &Signal| kill(script, *signal).is_ok();
            (0..).take_while(|_| signals.iter().all(sent)).count()
        });
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(machine.shell("echo alive").unwrap(), "alive\n");
        drop(machine);
        let rounds = sender.join().unwrap();
        assert!(rounds > 100, "{rounds} rounds of signals");
    });
    let left = directories_of("signalled-0");
    assert!(left.is_empty(), "{left:?}");
}
