//! Clusters: through Magnum's conductor, the driver and the real helm as far as the management cluster's API.

use lab::Controllers;
use serde_json::json;

use super::{Scene, assert_failed, assert_passed};
use crate::support::pin;

const VERSIONS_TRIED: [&str; 3] = ["1.2.1", "1.3.0", "1.4.0"];

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

    // It takes longer than a token lasts, which is renewed and no failure.
    scene.it.shell(
        "printf '[token]\\nexpiration = 12\\n' >>/etc/keystone/keystone.conf; systemctl restart keystone",
    );
    scene.settled();
    scene.controllers(Controllers::Idle);
    let run = scene.run(&json!({"create-cluster": true, "timeout": 20}));
    assert_failed(
        &run,
        "cluster-wait",
        "cluster-api",
        "still CREATE_IN_PROGRESS after 20 s",
    );
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn a_cluster_is_made_with_the_newest_driver_too() {
    let scene = Scene::start();
    scene.controllers(Controllers::Finish);
    for version in VERSIONS_TRIED {
        scene.it.set(&[("driver-pin", &pin(version))]);
        scene.it.hook("config-changed");
        scene.it.assert_status("active", &[version], "another pin");
        scene.it.machine().wait_for_magnum().unwrap();
        let run = scene.run(&json!({"create-cluster": true, "timeout": 240}));
        assert_passed(&run);
        assert!(run.results["report"].contains("CREATE_COMPLETE"));
    }
}
