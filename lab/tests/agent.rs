//! The agent, on a real machine, with a charm that is a shell script.

#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lab::{ActionStatus, Application, Fault, Machine, Release, Unit, ensure_root};
use serde_json::json;
use zip::write::SimpleFileOptions;

/// What the charm does is in its files `script-NAME`, by the hook's or action's name.
const DISPATCH: &str = r#"#!/bin/sh
name=${JUJU_DISPATCH_PATH#*/}
[ -f "script-$name" ] || exit 0
. "./script-$name"
"#;

const METADATA: &str = "name: probe
subordinate: true
requires: {magnum: {interface: juju-info, scope: container}}
resources: {helm: {type: file, filename: helm.bin}}
";

const CONFIG: &str = "options:
  pin: {type: string, default: a==1}
  url: {type: string}
  drivers: {type: boolean, default: true}
  kubeconfig: {type: secret}
";

const ACTIONS: &str = "verify:
  params: {deep: {type: boolean, default: false}, word: {type: string}}
  additionalProperties: false
";

/// Pack a charm with these scripts.
fn pack(directory: &Path, scripts: &[(&str, &str)]) -> PathBuf {
    let path = directory.join(format!("probe-{}.charm", scripts.len()));
    let mut archive = zip::ZipWriter::new(File::create(&path).unwrap());
    let mut add = |name: &str, text: &str, mode| {
        archive.start_file(name, SimpleFileOptions::default().unix_permissions(mode)).unwrap();
        archive.write_all(text.as_bytes()).unwrap();
    };
    add("metadata.yaml", METADATA, 0o644);
    add("manifest.yaml", "bases: []", 0o644);
    add("config.yaml", CONFIG, 0o644);
    add("actions.yaml", ACTIONS, 0o644);
    add("dispatch", DISPATCH, 0o755);
    for (name, text) in scripts {
        add(&format!("script-{name}"), text, 0o644);
    }
    archive.add_symlink("hooks/install", "../dispatch", SimpleFileOptions::default()).unwrap();
    archive.finish().unwrap();
    path
}

struct Probe {
    application: Application,
    unit: Unit,
    directory: tempfile::TempDir,
}

fn probe(scripts: &[(&str, &str)]) -> Probe {
    let root = ensure_root(Release::Caracal, &mut |line| eprintln!("{line}")).unwrap();
    let machine = Machine::boot(&root, "magnum-0").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let charm = pack(directory.path(), scripts);
    let tool = Path::new(env!("CARGO_BIN_EXE_juju-tool"));
    let mut application = Application::new(&charm, tool, "probe").unwrap();
    let unit = application.add_unit(machine, "magnum/0").unwrap();
    Probe { application, unit, directory }
}

#[test]
#[ignore = "needs root and the lab: cargo xtask test"]
fn hooks_run_in_jujus_order_and_environment() {
    let Probe { unit, .. } = probe(&[
        ("install", "env | sort; pwd; stat -c '%N %a' hooks/install dispatch"),
        ("magnum-relation-created", "env | grep JUJU_RE | sort; relation-ids magnum; relation-list"),
        ("magnum-relation-joined", "env | grep JUJU_RE | sort; relation-list; relation-get private-address"),
        ("start", "relation-ids magnum --format json"),
    ]);
    let runs = unit.deploy().unwrap();
    let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "install",
            "magnum-relation-created",
            "leader-elected",
            "config-changed",
            "start",
            "magnum-relation-joined",
            "magnum-relation-changed"
        ]
    );
    println!("{}", runs[0].describe());
    let install = &runs[0].stdout;
    for line in [
        "JUJU_DISPATCH_PATH=hooks/install",
        "JUJU_HOOK_NAME=install",
        "JUJU_PRINCIPAL_UNIT=magnum/0",
        "JUJU_UNIT_NAME=probe/0",
        "PWD=/var/lib/juju/agents/unit-probe-0/charm",
        "/var/lib/juju/agents/unit-probe-0/charm",
        "'hooks/install' -> '../dispatch' 777",
        "'dispatch' 755",
    ] {
        assert!(install.lines().any(|there| there == line), "no {line} in\n{install}");
    }
    assert!(install.contains("PATH=/var/lib/juju/tools/unit-probe-0:/usr/local/sbin:"), "{install}");
    for name in ["HOME=", "USER=", "PIP_", "CARGO", "JUJU_RELATION"] {
        assert!(!install.lines().any(|line| line.starts_with(name)), "{name} in\n{install}");
    }
    let created =
        "JUJU_RELATION=magnum\nJUJU_RELATION_ID=magnum:3\nJUJU_REMOTE_APP=magnum\nJUJU_REMOTE_UNIT=\nmagnum:3\n";
    assert_eq!(runs[1].stdout, created);
    assert_eq!(runs[4].stdout, "[\"magnum:3\"]\n");
    assert!(runs[5].stdout.ends_with("JUJU_REMOTE_UNIT=magnum/0\nmagnum/0\n10.0.0.10\n"), "{}", runs[5].stdout);
    // The tool itself costs a hook little. On a busy machine any single call may wait.
    let fastest = runs.iter().flat_map(|run| &run.tools).map(|call| call.elapsed).min().unwrap();
    assert!(fastest < Duration::from_millis(50), "{fastest:?}");
    let runs = unit.remove().unwrap();
    assert!(runs.iter().all(lab::HookRun::ok));
    assert!(!unit.machine().exists("/var/lib/juju/agents/unit-probe-0").unwrap());
}

#[test]
#[ignore = "needs root and the lab: cargo xtask test"]
fn what_a_failing_hook_buffered_is_dropped_and_the_hook_is_retried() {
    let Probe { unit, .. } = probe(&[
        ("install", "status-set maintenance working; [ -e /tmp/mended ] || exit 3"),
        ("magnum-relation-created", "relation-set k=v"),
        ("magnum-relation-changed", "relation-set k=w; kill -9 $$"),
    ]);
    let runs = unit.deploy().unwrap();
    assert_eq!((runs.len(), runs[0].exit), (1, Some(3)));
    assert_eq!(unit.status(), ("maintenance".into(), "working".into()), "status-set acts at once");
    assert_eq!(unit.agent_error().unwrap(), "hook failed: \"install\"");

    unit.machine().push("/tmp/mended", b"", 0o644).unwrap();
    let runs = unit.retry().unwrap();
    assert_eq!(runs.len(), 7);
    assert_eq!(unit.relation_settings()["k"], "v", "the killed hook's settings are dropped");
    assert_eq!((runs[6].exit, runs[6].signal), (None, Some(9)));
    assert_eq!(unit.agent_error().unwrap(), "hook failed: \"magnum-relation-changed\"");
}

#[test]
#[ignore = "needs root and the lab: cargo xtask test"]
fn secrets_resources_and_config_reach_the_charm() {
    let Probe { application, unit, directory } = probe(&[
        ("config-changed", "config-get --format json; config-get pin; secret-get $(config-get kubeconfig) kubeconfig"),
        ("secret-changed", "echo $JUJU_SECRET_ID; secret-get $JUJU_SECRET_ID kubeconfig --refresh --format json"),
        ("update-status", "p=$(resource-get helm) && cat $p"),
    ]);
    let secret = application.add_secret("capi", &[("kubeconfig", "one\ntwo")]).unwrap();
    assert!(application.set_config(&[("kubeconfig", secret.as_ref())]).unwrap());
    assert!(!application.set_config(&[("drivers", "true")]).unwrap(), "no change, no hook");
    let run = unit.hook("config-changed").unwrap();
    assert_eq!((run.exit, run.stderr.as_str()), (Some(1), "ERROR permission denied\n"));
    application.grant(&secret).unwrap();
    let run = unit.hook("config-changed").unwrap().expect_ok().unwrap();
    let json = format!("{{\"drivers\":true,\"kubeconfig\":\"{secret}\",\"pin\":\"a==1\"}}\na==1\n");
    assert_eq!(run.stdout, format!("{json}|-\n  one\n  two\n"));
    let changed = application.update_secret(&secret, &[("kubeconfig", "three")]).unwrap();
    assert_eq!(changed.into_iter().collect::<Vec<_>>(), ["probe/0"]);
    let run = unit.secret_changed(&secret).unwrap();
    assert_eq!(run.stdout, format!("{secret}\n\"three\"\n"));

    application.attach_resource("helm", Some(b"binary".to_vec())).unwrap();
    assert_eq!(unit.hook("update-status").unwrap().stdout, "binary");
    let file = unit.machine().metadata("/var/lib/juju/agents/unit-probe-0/resources/helm/helm.bin").unwrap().unwrap();
    assert_eq!(file.st_mode & 0o777, 0o600);

    let charm = pack(directory.path(), &[("upgrade-charm", "ls")]);
    application.refresh(&charm).unwrap();
    unit.machine().push(&format!("{}/made-by-charm", unit.charm_directory()), b"", 0o644).unwrap();
    let runs = unit.upgrade().unwrap();
    assert_eq!(
        runs[0].stdout,
        "actions.yaml\nconfig.yaml\ndispatch\nhooks\nmade-by-charm\nmanifest.yaml\nmetadata.yaml\nscript-upgrade-charm\n"
    );
}

#[test]
#[ignore = "needs root and the lab: cargo xtask test"]
fn actions_report_as_juju_shows_them() {
    let Probe { unit, .. } = probe(&[(
        "verify",
        "action-log looking; action-set checks.a=pass checks.b=fail; action-get --format json
         case $(action-get word) in fail) action-fail 'b failed';; die) echo dying >&2; exit 7;; esac
         [ -z \"$JUJU_HOOK_NAME\" ] || exit 9",
    )]);
    let run = unit.action("verify", &json!({})).unwrap();
    assert_eq!((run.status, run.message.as_str()), (ActionStatus::Completed, ""));
    assert_eq!(run.log, ["looking"], "{}", run.run.describe());
    assert_eq!(run.results["checks.b"], "fail");
    assert_eq!(run.results["return-code"], "0");
    assert_eq!(run.results["stdout"], "{\"deep\":false}\n");
    let run = unit.action("verify", &json!({"word": "fail", "deep": true})).unwrap();
    assert_eq!((run.status, run.message.as_str()), (ActionStatus::Failed, "b failed"));
    assert_eq!(run.results["checks.a"], "pass", "results survive");
    let run = unit.action("verify", &json!({"word": "die"})).unwrap();
    assert_eq!((run.status, run.message.as_str()), (ActionStatus::Failed, "exit status 7"));
    assert_eq!(run.results["stderr"], "dying\n");
    assert!(unit.action("nope", &json!({})).is_err());
    assert!(unit.action("verify", &json!({"deep": "yes"})).is_err());
    assert!(unit.action("verify", &json!({"depth": 1})).is_err());
}

#[test]
#[ignore = "needs root and the lab: cargo xtask test"]
fn hooks_can_be_traced_broken_and_killed() {
    let Probe { unit, .. } = probe(&[
        ("install", "is-leader; python3 -c 'import subprocess; subprocess.run([\"true\", \"a b\"])'"),
        ("start", "status-set maintenance slow; (sleep 1; touch /run/child-survived) & touch /run/started; sleep 30"),
        ("config-changed", "config-get pin || echo $?"),
    ]);
    let (run, execs) = unit.hook_traced("install").unwrap();
    assert!(run.ok(), "{}", run.describe());
    let programs: Vec<&str> = execs.iter().map(|exec| exec.path.rsplit('/').next().unwrap()).collect();
    assert_eq!(programs, ["dispatch", "is-leader", "python3", "true"]);
    assert_eq!(execs[3].argv, ["true", "a b"]);

    let run = unit.kill_hook_when("start", |unit| unit.machine().exists("/run/started").unwrap()).unwrap();
    assert_eq!((run.exit, run.signal), (None, Some(9)));
    assert!(run.wall < Duration::from_secs(25), "the hook sleeps for 30 s: {:?}", run.wall);
    let run = unit.kill_hook_after("start", Duration::from_millis(300)).unwrap();
    assert!(run.wall >= Duration::from_millis(300) && run.signal == Some(9));
    assert_eq!(unit.status(), ("maintenance".into(), "slow".into()));
    let start = Instant::now();
    while !unit.machine().exists("/run/child-survived").unwrap() {
        assert!(start.elapsed() < Duration::from_secs(60), "only the hook itself is killed");
        std::thread::sleep(Duration::from_millis(50));
    }

    let after = |fault| {
        unit.break_tool("config-get", fault).unwrap();
        let run = unit.hook("config-changed").unwrap();
        (run.stdout, run.stderr)
    };
    assert!(after(Fault::Missing).1.contains("not found"));
    let fault = Fault::Exit { code: 1, stderr: "ERROR boom\n".into() };
    assert_eq!(after(fault), ("1\n".into(), "ERROR boom\n".into()));
    unit.break_tool("config-get", Fault::Hang).unwrap();
    let run = unit.kill_hook_after("config-changed", Duration::from_millis(200)).unwrap();
    assert_eq!(run.signal, Some(9));
    unit.mend_tool("config-get").unwrap();
    assert_eq!(unit.hook("config-changed").unwrap().stdout, "a==1\n");

    // A conductor asked to stop while it is starting takes its full fifteen seconds.
    unit.machine().wait_for_magnum().unwrap();
    let start = Instant::now();
    unit.machine().reboot().unwrap();
    println!("reboot {:?}", start.elapsed());
    assert_eq!(unit.hook("config-changed").unwrap().stdout, "a==1\n", "the agent is there after a reboot");
}

#[test]
#[ignore = "needs root and the lab: cargo xtask test"]
fn three_units_of_one_application_run_side_by_side() {
    let script = "relation-get private-address; is-leader; secret-get $(config-get kubeconfig) kubeconfig
        relation-set --app from=$JUJU_UNIT_NAME 2>/dev/null; status-set active $JUJU_PRINCIPAL_UNIT";
    let Probe { mut application, unit: first, .. } = probe(&[("magnum-relation-joined", script)]);
    let root = ensure_root(Release::Caracal, &mut |_| ()).unwrap();
    let mut units = vec![first];
    for number in [1, 2] {
        let machine = Machine::boot(&root, &format!("magnum-{number}")).unwrap();
        units.push(application.add_unit(machine, &format!("magnum/{number}")).unwrap());
    }
    let secret = application.add_secret("capi", &[("kubeconfig", "x")]).unwrap();
    application.grant(&secret).unwrap();
    application.set_config(&[("kubeconfig", secret.as_ref())]).unwrap();
    let runs: Vec<Vec<lab::HookRun>> = std::thread::scope(|scope| {
        let running: Vec<_> = units.iter().map(|unit| scope.spawn(|| unit.deploy().unwrap())).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for (number, (unit, runs)) in units.iter().zip(&runs).enumerate() {
        let joined = &runs[5];
        assert_eq!(runs[2].name, if number == 0 { "leader-elected" } else { "leader-settings-changed" });
        let leads = if number == 0 { "True" } else { "False" };
        assert_eq!(joined.stdout, format!("10.0.0.{}\n{leads}\nx\n", 10 + number), "{}", joined.describe());
        assert_eq!(unit.status(), ("active".into(), format!("magnum/{number}")));
        assert_eq!(unit.machine().hostname(), format!("magnum-{number}"));
    }
    assert_eq!(application.relation_settings()["from"], "probe/0", "only the leader's");
    assert_eq!(application.update_secret(&secret, &[("kubeconfig", "y")]).unwrap().len(), 3);
    application.set_leader("probe/2").unwrap();
    assert!(units[2].hook("leader-elected").unwrap().ok());
}
