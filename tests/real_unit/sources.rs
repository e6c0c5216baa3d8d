//! Where the driver comes from: indexes that work and that do not, credentials, wheels that are
//! given; and that neither pip nor apt has a part in it.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::management::PASSWORD;
use crate::support::mirror::{self, START_INDEX, USER, assert_driver, index, remade, sha256, wheel};
use crate::support::{Deployment, Enough, assert_same, eventually, pin};

/// One download that comes to nothing.
struct Fault {
    case: &'static str,
    index: String,
    sha256: Option<String>,
    status: &'static str,
    words: &'static [&'static str],
    limit: Duration,
}

fn fault(case: &'static str, index: String, status: &'static str, words: &'static [&'static str]) -> Fault {
    Fault { case, index, sha256: None, status, words, limit: Duration::from_secs(60) }
}

/// What an index can do wrong.
fn faults() -> Vec<Fault> {
    let of = |way, status, words| fault(way, index(way), status, words);
    vec![
        of("404", "blocked", &["index-url", "404"]),
        of("403", "blocked", &["index-url", "403"]),
        of("500", "waiting", &["Cannot fetch the driver", "http://127.0.0.1:8091/500/simple/", "500"]),
        of("503", "waiting", &["503"]),
        of("garbage", "blocked", &["index-url", "package index"]),
        of("noise", "blocked", &["index-url", "package index"]),
        of("lies", "blocked", &["index-url", "another sha256 than"]),
        of("half", "waiting", &["Cannot fetch the driver", "ended early"]),
        of("cut", "blocked", &["not the published one", "index-url"]),
        of("auth", "blocked", &["401", "index-credentials"]),
        fault("nobody listens", "http://127.0.0.1:9/simple/".into(), "waiting", &["Connection refused"]),
        fault("no such host", "https://mirror.invalid/simple/".into(), "waiting", &["name resolution"]),
        fault("plain http", "http://mirror.invalid/simple/".into(), "blocked", &["index-url", "https"]),
        of("never", "waiting", &["no answer in time"]),
        Fault {
            sha256: Some("0".repeat(64)),
            ..fault("another checksum", index("plain"), "blocked", &["driver-sha256"])
        },
    ]
}

/// Wheels that arrive whole and must not be installed here.
fn unfit(it: &Deployment) -> Vec<Fault> {
    let made = |case, edit, words| {
        let (index, sha256) = remade(it, case, "1.2.1", edit);
        Fault { sha256: Some(sha256), ..fault(case, index, "blocked", words) }
    };
    let edit = ("METADATA", "Requires-Dist: magnum\n", "Requires-Dist: magnum>=1\n");
    vec![
        Fault {
            sha256: None,
            ..made("another-build", edit, &["not the published one", "index-url", "driver-sha256="])
        },
        made(
            "needs-more",
            ("METADATA", "Requires-Dist: magnum\n", "Requires-Dist: magnum\nRequires-Dist: not-there>=3\n"),
            &["driver-pin magnum-capi-helm==1.2.1 needs not-there>=3 (not installed)"],
        ),
        made(
            "needs-newer",
            ("METADATA", "Requires-Dist: magnum\n", "Requires-Dist: magnum>=99\n"),
            &["needs magnum>=99 (found 18.0.0)"],
        ),
        made(
            "newer-python",
            ("METADATA", "Requires-Python: >=3.", "Requires-Python: >=3.99,>=3."),
            &["needs Python", ">=3.99"],
        ),
        made(
            "raises",
            ("magnum_capi_helm/driver.py", "import ", "raise RuntimeError('no luck today')\nimport "),
            &["does not load next to this unit's Magnum", "no luck today"],
        ),
        made(
            "no-entry-point",
            ("entry_points.txt", "k8s_capi_helm_v1", "k8s_capi_helm_v9"),
            &["does not load", "k8s_capi_helm_v1"],
        ),
        made("other-version", ("METADATA", "\nVersion: 1.2.1", "\nVersion: 1.2.2"), &["1.2.1"]),
    ]
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn an_index_at_fault_is_named_in_bounded_time_and_the_old_driver_runs_on() {
    let it = Deployment::active();
    mirror::serve(&it);
    assert_eq!(it.shell("ls /sys/class/net"), "lo\n", "no other network");
    let (graft, files, services) = (it.graft(), it.files(), it.services());
    let mut failures = Vec::new();
    for fault in faults().into_iter().chain(unfit(&it)) {
        let case = fault.case;
        let mut options = vec![("driver-pin", pin("1.2.1")), ("index-url", fault.index)];
        options.extend(fault.sha256.map(|sha| ("driver-sha256", sha)));
        let options: Vec<(&str, &str)> = options.iter().map(|(k, v)| (*k, v.as_str())).collect();
        it.set(&options);
        let run = it.hook("config-changed");
        eprintln!("{case}: {:.1} s", run.wall.as_secs_f64());
        let (status, said) = (it.unit.status().0, it.said());
        let named = fault.words.iter().all(|word| said.contains(word));
        if status != fault.status || !named || run.wall > fault.limit {
            failures.push(format!(
                "{case}: {status} after {:?}: {said}; wanted {} {:?} within {:?}",
                run.wall, fault.status, fault.words, fault.limit
            ));
        }
        assert_same(&graft.diff_exact(&it.graft()), case);
        assert_same(&files.diff(&it.files()), case);
        assert_eq!(it.services(), services, "{case}: processes");
        assert_eq!(it.litter(), "", "{case}: litter");
        it.application.reset_config("driver-sha256").unwrap();
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));

    // The very same changes from indexes that work: PEP 503, PEP 691, and down again.
    for (version, way) in [("1.2.1", "plain"), ("1.4.0", "json"), ("1.1.0", "plain")] {
        it.set(&[
            ("driver-pin", &pin(version)),
            ("index-url", &index(way)),
            ("driver-sha256", &sha256(&wheel(&it, version))),
        ]);
        let run = it.hook("config-changed");
        eprintln!("{version} from {way}: {:.1} s", run.wall.as_secs_f64());
        it.assert_whole(version, way);
        assert_driver(&it, version, way);
    }
}

/// Reads what other users of the unit can read of every process, over and over; the password comes
/// by standard input.
const WATCH: &str = r"
import os, sys, time
secret, seen, looks = sys.stdin.readline().strip().encode(), set(), 0
while not os.path.exists('/run/enough'):
    looks += 1
    open('/run/looked', 'w').close()
    time.sleep(0.02)
    for pid in filter(str.isdigit, os.listdir('/proc')):
        for name in ('cmdline', 'environ'):
            try:
                content = open('/proc/%s/%s' % (pid, name), 'rb').read()
            except OSError:
                continue
            if secret in content:
                seen.add(name + ' of ' + open('/proc/%s/comm' % pid).read().strip())
print(looks, 'looks', sorted(seen))
";

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn the_credentials_of_an_index_work_and_show_nowhere() {
    let it = Deployment::bare();
    mirror::pause(&it);
    mirror::serve(&it);
    let secret = it.application.add_secret("mirror", &[("username", USER), ("password", PASSWORD)]).unwrap();
    it.application.grant(&secret).unwrap();
    it.grant();
    it.set(&[("index-url", &index("auth")), ("index-credentials", secret.as_ref())]);
    let seen = std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let input = format!("{PASSWORD}\n");
            let watching = ["python3", "-c", WATCH];
            it.machine().run_with_input(&watching, Some(input.as_bytes())).unwrap()
        });
        let enough = Enough(it.machine());
        eventually("somebody looks", || it.machine().exists("/run/looked").unwrap());
        // Every hook and action also holds what it says against the password.
        it.deploy();
        it.set(&[("driver-pin", &pin("1.2.1"))]);
        let run = it.hook("config-changed");
        eprintln!("with credentials: {:.1} s", run.wall.as_secs_f64());
        it.action("verify");
        it.application.update_secret(&secret, &[("username", "nobody"), ("password", PASSWORD)]).unwrap();
        it.set(&[("driver-pin", &pin("1.4.0"))]);
        it.heard(it.unit.secret_changed(&secret).unwrap());
        it.assert_status("blocked", &["401"], "a user whom the mirror does not know");
        drop(enough);
        watch.join().unwrap()
    });
    eprintln!("{}", seen.stdout.trim());
    assert!(seen.ok() && seen.stdout.ends_with(" looks []\n"), "{seen:?}");
    assert_driver(&it, "1.2.1", "with credentials");
    let found = it
        .machine()
        .run_with_input(
            &["sh", "-c", "cat >/run/pattern; grep -rlaF -f /run/pattern /etc /home /opt /root /run /srv /tmp /usr/local /var; rm /run/pattern"],
            Some(PASSWORD.as_bytes()),
        )
        .unwrap();
    let others: Vec<&str> = found
        .stdout
        .lines()
        .filter(|path| *path != "/run/pattern")
        .filter(|path| !path.starts_with("/var/lib/magnum-capi-helm/"))
        .collect();
    assert_eq!(others, [""; 0], "files with the password");
    let state = it.machine().metadata("/var/lib/magnum-capi-helm").unwrap();
    let state = state.unwrap();
    assert_eq!((state.st_uid, state.st_mode & 0o7777), (0, 0o700));
    let record = it.machine().read_text("/var/lib/magnum-capi-helm/record.json");
    assert!(!record.unwrap().contains(PASSWORD));
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn a_wheel_that_is_given_needs_no_index_and_must_be_the_pinned_one() {
    let it = Deployment::bare();
    mirror::pause(&it);
    it.shell("systemctl stop lab-index");
    let attach = |content: Option<Vec<u8>>| {
        it.application.attach_resource("driver-wheel", content).unwrap();
    };
    let [old, new] = ["1.1.0", "1.2.1"].map(|version| wheel(&it, version));
    attach(Some(old.clone()));
    it.grant();
    it.deploy();
    it.assert_status("maintenance", &["paused"], "from the wheel alone");
    assert_driver(&it, "1.1.0", "from the wheel alone");
    let (wrong, of_new) = ("0".repeat(64), sha256(&new));
    let cases: [(&str, Vec<u8>, Option<&str>, &[&str]); 5] = [
        ("another version", new.clone(), None, &["Resource driver-wheel", "1.2.1", "1.1.0"]),
        ("no zip", b"this is no wheel".to_vec(), None, &["Resource driver-wheel", "not a valid wheel"]),
        ("cut off", old[..old.len() / 2].to_vec(), None, &["Resource driver-wheel", "not a valid wheel"]),
        ("another checksum", old.clone(), Some(&wrong), &["driver-sha256", "resource driver-wheel"]),
        ("another wheel's checksum", old.clone(), Some(&of_new), &["driver-sha256"]),
    ];
    let graft = it.graft();
    for (case, content, sum, words) in cases {
        attach(Some(content));
        if let Some(sum) = sum {
            it.set(&[("driver-sha256", sum)]);
        }
        it.upgrade();
        it.assert_status("blocked", words, case);
        assert_same(&graft.diff_exact(&it.graft()), case);
        assert_driver(&it, "1.1.0", case);
        it.application.reset_config("driver-sha256").unwrap();
    }
    attach(Some(new));
    it.set(&[("driver-pin", &pin("1.2.1")), ("driver-sha256", &of_new)]);
    it.upgrade();
    it.assert_status("maintenance", &["paused"], "the right wheel");
    assert_driver(&it, "1.2.1", "the right wheel");
    let record: serde_json::Value = serde_json::from_str(&it.action("verify").results["record"]).unwrap();
    assert_eq!(record["driver"]["source"], json!("resource driver-wheel"));
    // Nothing in it is nothing given: the index is asked, and it does not answer.
    attach(Some(Vec::new()));
    it.set(&[("driver-pin", &pin("1.1.0"))]);
    it.application.reset_config("driver-sha256").unwrap();
    it.upgrade();
    assert_driver(&it, "1.1.0", "0 bytes, and the wheel that was installed before");
    it.set(&[("driver-pin", &pin("1.4.0"))]);
    let began = Instant::now();
    it.upgrade();
    eprintln!("no wheel, no index: {:.1} s", began.elapsed().as_secs_f64());
    it.assert_status("waiting", &["Cannot fetch the driver"], "0 bytes");
    it.shell(START_INDEX);
    it.hook("update-status");
    assert_driver(&it, "1.4.0", "0 bytes, and an index");
}

/// Holds dpkg's lock for as long as it runs.
const HOLD: &str = r#"
import fcntl, time
file = open("/var/lib/dpkg/lock-frontend", "w")
fcntl.lockf(file, fcntl.LOCK_EX)
open("/run/held", "w").close()
time.sleep(3600)
"#;

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn a_unit_without_pip_and_with_a_busy_dpkg_gets_its_driver_and_no_package() {
    let it = Deployment::bare();
    mirror::pause(&it);
    it.machine().push("/opt/lab/hold.py", HOLD.as_bytes(), 0o644).unwrap();
    it.shell(
        "dpkg --purge python3-pip >/dev/null 2>&1; rm -rf /usr/local/lib/python3.11/dist-packages/pip*
         systemd-run --quiet --unit=busy python3 /opt/lab/hold.py
         until test -e /run/held; do sleep 0.1; done",
    );
    let packages = it.shell("dpkg-query --show");
    assert!(!packages.contains("python3-pip") && !it.machine().run(&["python3", "-m", "pip"]).unwrap().ok());
    it.grant();
    it.deploy();
    assert_driver(&it, "1.1.0", "installed");
    it.set(&[("driver-pin", &pin("1.2.1"))]);
    let (_, execs) = it.hook_traced("config-changed");
    it.assert_status("maintenance", &["paused"], "changed");
    assert_driver(&it, "1.2.1", "changed");
    for exec in &execs {
        let program = exec.path.rsplit('/').next().unwrap_or_default();
        let installs = program.starts_with("pip") || program.starts_with("apt") || program.starts_with("dpkg");
        assert!(!installs && !exec.argv.contains(&"pip".to_owned()), "{exec:?}");
    }
    it.remove();
    assert_eq!(it.shell("dpkg-query --show"), packages, "after the removal");
}
