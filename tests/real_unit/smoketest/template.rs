//! The template round trip, with either account, and what may be wrong with its parameters.

use lab::{ActionStatus, HttpFault, SECURE_KEYSTONE};
use serde_json::{Value, json};

use super::{Scene, account, assert_failed, assert_passed};
use crate::verify::checks;

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn a_template_goes_round_trip_and_whatever_is_wrong_with_it_is_named() {
    let scene = Scene::start();
    let run = scene.run(&json!({}));
    assert_passed(&run);
    assert_eq!(run.results["cluster"], "");
    for word in ["as smoker@tenants", "coe kubernetes", "ubuntu", "is gone", "nothing is left"] {
        assert!(run.results["report"].contains(word), "no {word}: {}", run.results["report"]);
    }
    assert_eq!(run.log.join("\n"), run.results["report"], "it is told while it happens");

    // Magnum's own account, from magnum.conf, and the way through the internal endpoint.
    assert_passed(&scene.run(&json!({"credentials": "", "endpoint": "internal"})));

    refused(&scene, &json!({"keypair": ""}), &["keypair"]);
    for (change, word) in [
        (json!({"image": "nope"}), "Cluster type (vm, Unset"),
        (json!({"image": "no-distro"}), "Cluster type (vm, None"),
        (json!({"image": "coreos"}), "fedora-coreos"),
        (json!({"external-network": "private"}), "external network private"),
        (json!({"flavor": "nope"}), "flavor nope"),
        (json!({"master-flavor": "nope"}), "flavor nope"),
        (json!({"network-driver": "bogus"}), "bogus"),
    ] {
        assert_failed(&scene.run(&change), "template-create", "request", word);
    }
    assert_failed(&scene.run(&json!({"endpoint": "admin"})), "catalog", "keystone", "public in RegionOne");

    // An account that may look only, one that Keystone does not know, and one that lacks something.
    scene.account_is(&account("onlooker"));
    assert_failed(&scene.run(&json!({})), "template-create", "credentials", "clustertemplate:create");
    for (key, value) in [("password", "wrong"), ("username", "nobody"), ("project-name", "nope")] {
        let mut content = account("smoker");
        content.iter_mut().find(|(name, _)| name == key).unwrap().1 = value.into();
        scene.account_is(&content);
        assert_failed(&scene.run(&json!({})), "token", "credentials", "HTTP 401");
    }
    let mut content = account("smoker");
    content.retain(|(name, _)| name != "project-name");
    scene.account_is(&content);
    refused(&scene, &json!({}), &["Incomplete secret of credentials", "project-name"]);

    scene.account_is(&account("smoker"));
    assert_passed(&scene.run(&json!({})));

    assert_trust(&scene, "pass", "Keystone accepts");
    // Before domain-setup, [trust] names what Keystone does not have.
    let file = "/etc/magnum/magnum.conf.d/zz-lab.conf";
    for (option, secret) in
        [("name", "not-set-up"), ("admin_name", "not-set-up"), ("admin_password", "lab-other-password")]
    {
        scene.it.shell(&format!("printf '[trust]\\ntrustee_domain_{option} = {secret}\\n' >{file}"));
        let said = assert_trust(&scene, "fail", "refuses the trustee domain's administrator: HTTP 401");
        assert!(said["remedy"].as_str().unwrap().contains("domain-setup"), "{said}");
    }
    scene.it.shell(&format!("rm {file}; systemctl stop keystone"));
    assert_trust(&scene, "warn", "Connection refused");
    scene.it.shell("systemctl start keystone");
    scene.settled();
    assert_trust(&scene, "pass", "Keystone accepts");
}

/// What `verify` says of the trustee domain, without its administrator's password.
#[track_caller]
fn assert_trust(scene: &Scene, status: &str, word: &str) -> Value {
    let run = scene.it.unit.action("verify", &json!({})).unwrap();
    scene.heard(&run);
    assert!(!format!("{run:?}").contains("lab-other-password"));
    let said = checks(&run).remove("chain-trust").unwrap();
    let evidence = said["evidence"].as_str().unwrap();
    assert!(said["status"] == status && evidence.contains(word), "{said}");
    said
}

/// Nothing is asked of anybody, and the message says what to do.
#[track_caller]
fn refused(scene: &Scene, change: &Value, words: &[&str]) {
    let given = scene.parameters(change);
    let run = scene.it.unit.action("smoketest", &given).unwrap();
    assert_eq!(run.status, ActionStatus::Failed);
    for word in words {
        assert!(run.message.contains(word), "no {word}: {}", run.message);
    }
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn the_account_says_where_keystone_is_whom_to_trust_and_which_region_is_meant() {
    let scene = Scene::start();
    let authority = scene.cloud.authority(scene.it.machine()).unwrap();
    let with = |others: &[(&str, &str)]| {
        let mut content = account("smoker");
        for (key, value) in others {
            content.retain(|(name, _)| name != key);
            content.push(((*key).into(), (*value).into()));
        }
        content.retain(|(_, value)| !value.is_empty());
        scene.account_is(&content);
    };
    let secure = ("auth-url", SECURE_KEYSTONE);
    with(&[secure, ("cacert", &authority)]);
    let run = scene.run(&json!({}));
    assert_passed(&run);
    assert!(run.results["report"].contains(SECURE_KEYSTONE));

    let foreign = scene.it.management.ca_pem().to_owned();
    for others in [vec![secure], vec![secure, ("cacert", &foreign)]] {
        with(&others);
        let run = scene.run(&json!({}));
        assert_failed(&run, "token", "keystone", "certificate");
        assert!(run.message.contains("cacert"), "{}", run.message);
    }
    with(&[secure, ("cacert", "no certificate")]);
    refused(&scene, &json!({}), &["cacert", "holds no PEM certificates"]);

    with(&[("region", "Nowhere")]);
    let run = scene.run(&json!({}));
    let there = "no public endpoint of container-infra in region Nowhere, only: public in RegionOne";
    assert_failed(&run, "catalog", "keystone", there);
    // An address without a version, and without a region.
    with(&[("auth-url", "http://localhost:5000"), ("region", "")]);
    assert_passed(&scene.run(&json!({})));

    // A token is nothing for whoever is not in the catalog.
    let other = "http://localhost:9501/v1/clusters";
    let moved = HttpFault::always("GET", "^/magnum/v1/clusters\\?", 301, other);
    scene.cloud.faults(scene.it.machine(), &[moved]).unwrap();
    let run = scene.run(&json!({"endpoint": "internal"}));
    let told = format!("HTTP 301: it redirects to {other}");
    assert_failed(&run, "leftovers", "magnum-api", &told);

    scene.it.application.revoke(&scene.account).unwrap();
    let grant = format!("juju grant-secret {} magnum-capi-helm", scene.account.as_ref());
    refused(&scene, &json!({}), &["credentials", "is not granted", &grant]);
    for id in ["secret:cs0000000000000000g0", "nonsense"] {
        let words = ["does not exist; run the action with credentials=secret:ID", id];
        refused(&scene, &json!({"credentials": id}), &words);
    }
}
