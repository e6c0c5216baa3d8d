//! A run that does not come to its end: told to stop, or killed.

use lab::{ActionStatus, Controllers, Signal};
use serde_json::json;

use super::{PREFIX, Scene, assert_passed};

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn a_run_that_is_told_to_stop_cleans_up_and_after_a_killed_one_the_next_does() {
    let scene = Scene::start();
    scene.controllers(Controllers::Idle);
    let change = json!({"create-cluster": true, "timeout": 240});
    let waiting = |scene: &Scene| scene.left().contains(&format!("cluster {PREFIX}"));

    let run = scene.run_signalled(&change, Signal::SIGTERM, waiting);
    assert_eq!(run.status, ActionStatus::Failed);
    assert_eq!(
        run.results["outcome"], "interrupted",
        "{}",
        run.results["report"]
    );
    assert_eq!(
        (
            run.results["chain"].as_str(),
            run.results["remedy"].as_str()
        ),
        ("", "")
    );
    assert!(run.message.contains("told to stop"), "{}", run.message);
    assert_eq!(scene.left(), "", "{}", run.results["report"]);

    let run = scene.run_signalled(&change, Signal::SIGKILL, waiting);
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
    let run = scene
        .it
        .unit
        .action("smoketest", &super::runbook())
        .unwrap();
    scene.heard(&run);
    assert_passed(&run);
    for kind in ["clusters", "clustertemplates"] {
        let line = format!("removed {name}, left in {kind} by an earlier run");
        assert!(
            run.results["report"].contains(&line),
            "{}",
            run.results["report"]
        );
    }
    assert_eq!(
        scene.left(),
        format!("cluster_template {PREFIX}00000000-1\n")
    );
}
