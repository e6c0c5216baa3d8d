//! A run that does not come to its end: told to stop, once or twice, or killed.

use lab::{ActionRun, ActionStatus, Controllers, HttpFault, Signal};
use serde_json::{Value, json};

use super::{CLEANER, PREFIX, Scene, assert_passed};
use crate::support::{STATE, eventually};

/// With what a cleaner begins its work.
const AT_WORK: &str = "without removing what it created";

/// A cluster that is never complete, asked for through the stand-in, which can put answers in Magnum's place.
fn cluster() -> Value {
    json!({"create-cluster": true, "timeout": 240, "endpoint": "internal"})
}

/// Nobody learns what becomes of a cluster from now on, so its removal seems to take for ever.
fn blind(scene: &Scene) {
    let fault = HttpFault::always("GET", "^/magnum/v1/clusters/", 503, "");
    scene.cloud.faults(scene.it.machine(), &[fault]).unwrap();
}

fn seeing(scene: &Scene) {
    scene.cloud.faults(scene.it.machine(), &[]).unwrap();
}

fn is_waiting(scene: &Scene) -> bool {
    scene.left().contains(&format!("cluster {PREFIX}"))
}

#[track_caller]
fn assert_interrupted(run: &ActionRun) {
    let told = |key: &str| run.results[key].as_str();
    assert_eq!(run.status, ActionStatus::Failed);
    assert_eq!(told("outcome"), "interrupted", "{}", told("report"));
    assert_eq!((told("chain"), told("remedy")), ("", ""));
    assert!(run.message.contains("told to stop"), "{}", run.message);
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn a_run_that_is_told_to_stop_cleans_up_unless_it_is_told_so_twice() {
    let scene = Scene::start();
    scene.controllers(Controllers::Idle);
    let run = scene.run_signalled(&cluster(), &[Signal::SIGINT], |scene| {
        // Meanwhile a hook finds the charm's lock free, and another run not its own.
        let locks = format!("flock --nonblock {STATE}/lock true && ! flock --nonblock {STATE}/smoketest.lock true");
        is_waiting(scene) && scene.it.machine().run(&["sh", "-c", &locks]).unwrap().ok()
    });
    assert_interrupted(&run);
    assert_eq!(run.results["left"], "");
    assert!(run.message.ends_with("; nothing is left"));
    assert_eq!(scene.left(), "", "{}", run.results["report"]);

    let mut told = false;
    let twice = [Signal::SIGTERM, Signal::SIGTERM];
    let run = scene.run_signalled(&cluster(), &twice, |scene| {
        if told {
            // What it has been told the first time it does: Magnum has been asked to delete the cluster.
            let states = scene.sql("select status from cluster");
            return !states.contains("CREATE");
        }
        told = is_waiting(scene);
        if told {
            blind(scene);
        }
        told
    });
    assert_interrupted(&run);
    // It has not gone on until it was tired of looking.
    let report = &run.results["report"];
    assert!(report.contains("stays: cluster-delete: told to stop"), "{report}");
    let left = &run.results["left"];
    assert!(left.starts_with(&format!("cluster {PREFIX}")), "{left}");
    assert!(left.contains(&format!(", template {PREFIX}")), "{left}");
    for word in [left.as_str(), "is removing it", CLEANER] {
        assert!(run.message.contains(word), "{}", run.message);
    }
    seeing(&scene);
    scene.cleaned();
    assert_eq!(scene.left(), "", "{}", scene.cleaners_words());
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn what_a_killed_run_leaves_is_removed_by_its_cleaner_or_the_next_run() {
    let scene = Scene::start();
    scene.controllers(Controllers::Idle);
    let run = scene.run_signalled(&cluster(), &[Signal::SIGKILL], |scene| {
        is_waiting(scene) && {
            // Its cleaner is at work until it sees again.
            blind(scene);
            true
        }
    });
    assert_eq!(run.run.signal, Some(9));
    // Who comes now is told to wait.
    eventually("the cleaner is at work", || scene.cleaners_words().contains(AT_WORK));
    let run = scene.it.unit.action("smoketest", &scene.parameters(&json!({}))).unwrap();
    assert!(run.message.contains("at work"), "{}", run.message);
    assert!(run.message.contains(CLEANER), "{}", run.message);
    seeing(&scene);
    scene.cleaned();
    let words = scene.cleaners_words();
    eprintln!("{words}");
    assert_eq!(scene.left(), "", "{words}");
    for word in [AT_WORK, "is gone", "nothing is left"] {
        assert!(words.contains(word), "no {word}: {words}");
    }

    // The machine went down: there is no cleaner either.
    let run = scene.run_signalled(&cluster(), &[Signal::SIGKILL], |scene| {
        is_waiting(scene) && {
            scene.it.shell(&format!("systemctl kill --signal=KILL {CLEANER}"));
            true
        }
    });
    assert_eq!(run.run.signal, Some(9));
    let left = scene.left();
    let name = left.split_whitespace().last().unwrap().to_owned();
    assert_eq!(left, format!("cluster {name}\ncluster_template {name}\n"));

    // Somebody else's is not touched, whatever its name.
    scene.it.shell(&format!(
        "{}; curl -sf localhost:9501/v1/clustertemplates -H \"X-Auth-Token: $T\" -H 'content-type: application/json' \
         -d '{{\"name\": \"{PREFIX}00000000-1\", \"image_id\": \"noble-amd64\", \"coe\": \"kubernetes\", \
         \"external_network_id\": \"ext_net\"}}'",
        super::TOKEN
    ));
    // Magnum's own account sees every project.
    let run = scene.it.unit.action("smoketest", &super::runbook()).unwrap();
    scene.heard(&run);
    assert_passed(&run);
    for kind in ["cluster", "template"] {
        let line = format!("{kind} {name} (");
        assert!(run.results["report"].contains(&line), "{}", run.results["report"]);
    }
    assert_eq!(scene.left(), format!("cluster_template {PREFIX}00000000-1\n"));
}
