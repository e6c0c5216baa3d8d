//! Clusters: through Magnum's conductor, the driver and the real helm as far as the management cluster's API.

use lab::Controllers;
use serde_json::json;

use super::{Scene, assert_failed, assert_passed};

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn a_cluster_is_made_through_helm_and_deleted() {
    let scene = Scene::start();
    scene.controllers(Controllers::Finish);
    let run = scene.run(&json!({"create-cluster": true, "timeout": 240}));
    assert_passed(&run);
    assert_eq!(run.results["cluster"], run.results["template"]);
    for word in [
        "CREATE_IN_PROGRESS",
        "CREATE_COMPLETE",
        "cluster magnum-capi-helm-smoketest-",
    ] {
        assert!(
            run.results["report"].contains(word),
            "no {word}: {}",
            run.results["report"]
        );
    }
    let made = scene.it.management.requests(scene.it.machine()).unwrap();
    let release = made.iter().any(|request| {
        request.method == "POST" && request.path.contains("/secrets") && request.status == Some(201)
    });
    assert!(release, "helm has kept its release: {made:?}");
    let cluster = made
        .iter()
        .any(|request| request.method == "DELETE" && request.path.contains("/clusters/"));
    assert!(cluster, "helm has removed the Cluster: {made:?}");

    scene.controllers(Controllers::FailAddons);
    let run = scene.run(&json!({"create-cluster": true, "timeout": 240}));
    assert_failed(&run, "cluster-wait", "cluster-api", "CREATE_FAILED");

    scene.controllers(Controllers::Idle);
    let run = scene.run(&json!({"create-cluster": true, "timeout": 15}));
    assert_failed(
        &run,
        "cluster-wait",
        "cluster-api",
        "still CREATE_IN_PROGRESS after 15 s",
    );
}
