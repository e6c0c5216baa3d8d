//! Clusters: through Magnum's conductor, the driver and the real helm as far as the management cluster's API.

use lab::Controllers;
use serde_json::json;

use super::{Scene, assert_failed, assert_passed};
use crate::support::pin;

/// Keystone gets other keys, with which it reads no token that it gave before.
const END_TOKENS: &str = "cd /etc/keystone/fernet-keys; rm ./*
    runuser -u keystone -- keystone-manage fernet_setup --keystone-user keystone --keystone-group keystone
    systemctl restart keystone";

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn a_cluster_is_made_through_helm_and_deleted() {
    let scene = Scene::start();
    scene.controllers(Controllers::Finish);
    let run = scene.run(&json!({"create-cluster": true, "timeout": 240}));
    assert_passed(&run);
    assert_eq!(run.results["cluster"], run.results["template"]);
    for word in ["CREATE_IN_PROGRESS", "CREATE_COMPLETE", "cluster magnum-capi-helm-smoketest-"] {
        assert!(run.results["report"].contains(word), "no {word}: {}", run.results["report"]);
    }
    let made = scene.it.management.requests(scene.it.machine()).unwrap();
    let release = made
        .iter()
        .any(|request| request.method == "POST" && request.path.contains("/secrets") && request.status == Some(201));
    assert!(release, "helm has kept its release: {made:?}");
    let cluster = made.iter().any(|request| request.method == "DELETE" && request.path.contains("/clusters/"));
    assert!(cluster, "helm has removed the Cluster: {made:?}");

    scene.controllers(Controllers::FailAddons);
    let run = scene.run(&json!({"create-cluster": true, "timeout": 240}));
    assert_failed(&run, "cluster-wait", "management-cluster", "CREATE_FAILED");

    // While it waits all tokens come to their end, which is no failure.
    scene.controllers(Controllers::Idle);
    let mut ended = false;
    let change = json!({"create-cluster": true, "timeout": 60});
    let run = scene.run_signalled(&change, &[], |scene| {
        let begun = || scene.sql("select name from nodegroup where stack_id is not null");
        if !ended && !begun().is_empty() {
            scene.it.shell(END_TOKENS);
            ended = true;
        }
        false
    });
    assert!(ended);
    assert_failed(&run, "cluster-wait", "management-cluster", "still CREATE_IN_PROGRESS after 60 s");
    assert_eq!(scene.left(), "");
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn a_cluster_is_made_with_the_newest_driver_too() {
    let scene = Scene::start();
    scene.controllers(Controllers::Finish);
    scene.it.set(&[("driver-pin", &pin("1.4.0"))]);
    scene.it.hook("config-changed");
    scene.it.assert_status("active", &["Driver 1.4.0 grafted"], "another pin");
    scene.settled();
    let run = scene.run(&json!({"create-cluster": true, "timeout": 240}));
    assert_passed(&run);
    assert!(run.results["report"].contains("CREATE_COMPLETE"));
}
