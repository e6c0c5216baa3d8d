//! The template round trip, with either account, and what may be wrong with its parameters.

use lab::ActionStatus;
use serde_json::{Value, json};

use super::{Scene, account, assert_failed, assert_passed, runbook};

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn a_template_goes_round_trip_and_whatever_is_wrong_with_it_is_named() {
    let scene = Scene::start();
    let run = scene.run(&json!({}));
    assert_passed(&run);
    assert_eq!(run.results["cluster"], "");
    for word in [
        "as smoker@tenants",
        "coe kubernetes",
        "ubuntu",
        "deleted",
        "nothing is left",
    ] {
        assert!(
            run.results["report"].contains(word),
            "no {word}: {}",
            run.results["report"]
        );
    }
    assert_eq!(
        run.log.join("\n"),
        run.results["report"],
        "it is told while it happens"
    );

    // Magnum's own account, from magnum.conf, and the way through the internal endpoint.
    assert_passed(&scene.run(&json!({"credentials": "", "endpoint": "internal"})));

    let cases: [(Value, &str, &str); 9] = [
        (json!({"image": "nope"}), "image", "Cluster type (vm, Unset"),
        (
            json!({"image": "no-distro"}),
            "image",
            "Cluster type (vm, None",
        ),
        (json!({"image": "coreos"}), "driver", "fedora-coreos"),
        (
            json!({"external-network": "private"}),
            "external-network",
            "external network private",
        ),
        (json!({"flavor": "nope"}), "flavor", "flavor nope"),
        (json!({"master-flavor": "nope"}), "flavor", "flavor nope"),
        (json!({"network-driver": "bogus"}), "template", "bogus"),
        (
            json!({"endpoint": "admin"}),
            "catalogue",
            "public in RegionOne",
        ),
        (json!({"keypair": ""}), "", "keypair"),
    ];
    for (change, link, word) in cases {
        if link.is_empty() {
            let given = super::with(runbook(), &change);
            let run = scene.it.unit.action("smoketest", &given).unwrap();
            assert_eq!(run.status, ActionStatus::Failed);
            assert!(run.message.contains(word), "{}", run.message);
            continue;
        }
        let stage = if link == "catalogue" {
            link
        } else {
            "template-create"
        };
        assert_failed(&scene.run(&change), stage, link, word);
    }

    // An account that may look only, one that Keystone does not know, and one that lacks something.
    scene.account_is(&account("onlooker"));
    assert_failed(
        &scene.run(&json!({})),
        "template-create",
        "policy",
        "clustertemplate:create",
    );
    for (key, value) in [
        ("password", "wrong"),
        ("username", "nobody"),
        ("project-name", "nope"),
    ] {
        let mut content = account("smoker");
        content.iter_mut().find(|(name, _)| name == key).unwrap().1 = value.into();
        scene.account_is(&content);
        assert_failed(&scene.run(&json!({})), "token", "credentials", "HTTP 401");
    }
    let mut content = account("smoker");
    content.retain(|(name, _)| name != "project-name");
    scene.account_is(&content);
    let run = scene
        .it
        .unit
        .action("smoketest", &scene.parameters(&json!({})))
        .unwrap();
    assert!(
        run.message.contains("has no project-name"),
        "{}",
        run.message
    );

    scene.account_is(&account("smoker"));
    assert_passed(&scene.run(&json!({})));
}
