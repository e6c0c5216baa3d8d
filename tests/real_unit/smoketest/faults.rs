//! Every link of the chain broken for real, or by an answer in its place, and the failure placed on it.

use lab::{Behaviour, Controllers, HttpFault, Mode};
use serde_json::json;

use super::{Scene, assert_failed, assert_passed};
use crate::support::timed;

const HAPROXY: &str = "<html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this \
                       request.\n</body></html>";

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn what_stands_in_the_place_of_an_answer_is_placed() {
    let scene = Scene::start();
    scene.controllers(Controllers::Finish);
    let machine = scene.it.machine();
    let twice = json!({"networks": [
        {"id": "1", "name": "ext_net", "router:external": true},
        {"id": "2", "name": "ext_net", "router:external": true}]});
    let refused = r#"{"error": {"code": 401, "title": "Unauthorized", "message": "The request you have made requires authentication."}}"#;
    for (method, path, status, body, stage, link, word) in [
        (
            "GET",
            "^/magnum/",
            401,
            refused,
            "leftovers",
            "magnum-api",
            "HTTP 401",
        ),
        (
            "POST",
            "^/magnum/v1/clustertemplates$",
            503,
            HAPROXY,
            "template-create",
            "magnum-api",
            "HTTP 503",
        ),
        (
            "POST",
            "^/magnum/v1/clustertemplates$",
            403,
            "denied",
            "template-create",
            "policy",
            "HTTP 403",
        ),
        (
            "GET",
            "^/magnum/v1/clustertemplates/",
            404,
            "no",
            "template-show",
            "magnum-api",
            "HTTP 404",
        ),
        (
            "GET",
            "^/network/",
            200,
            &twice.to_string(),
            "template-create",
            "external-network",
            "HTTP 409",
        ),
        (
            "GET",
            "^/image/",
            503,
            HAPROXY,
            "template-create",
            "cloud",
            "503",
        ),
    ] {
        let fault = HttpFault::always(method, path, status, body);
        scene.cloud.faults(machine, &[fault]).unwrap();
        let run = scene.run(&json!({"endpoint": "internal"}));
        assert_failed(&run, stage, link, word);
    }
    // What passes by itself is no failure.
    let passing = |method: &str, path: &str| HttpFault {
        times: 2,
        ..HttpFault::always(method, path, 503, HAPROXY)
    };
    let faults = [
        passing("GET", "^/magnum/v1/clusters/"),
        passing("DELETE", "^/magnum/v1/clusters/"),
        passing("DELETE", "^/magnum/v1/clustertemplates/"),
    ];
    scene.cloud.faults(machine, &faults).unwrap();
    let change = json!({"endpoint": "internal", "create-cluster": true, "timeout": 240});
    assert_passed(&scene.run(&change));

    scene.it.shell("systemctl stop keystone");
    assert_failed(
        &scene.run(&json!({})),
        "token",
        "keystone",
        "no answer from http://localhost:5000/v3",
    );
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn a_cluster_that_fails_is_placed_on_the_link_that_is_broken() {
    let scene = Scene::start();
    scene.controllers(Controllers::Finish);
    let (it, machine) = (&scene.it, scene.it.machine());
    let policy = |rule: &str| {
        format!(
            "printf '\"{rule}\": \"!\"\\n' >/etc/keystone/policy.yaml; systemctl restart keystone"
        )
    };
    let conf = |text: &str| {
        format!(
            "printf '{text}\\n' >/etc/magnum/magnum.conf.d/zz-lab.conf; systemctl restart magnum-api magnum-conductor"
        )
    };
    let no_policy = "rm /etc/keystone/policy.yaml; systemctl restart keystone".to_owned();
    let no_conf =
        "rm /etc/magnum/magnum.conf.d/zz-lab.conf; systemctl restart magnum-api magnum-conductor"
            .to_owned();
    let cases: [(&str, String, String, &str, &str); 10] = [
        (
            "trustee-domain",
            conf("[trust]\\ntrustee_domain_admin_password = other"),
            no_conf.clone(),
            "cluster-wait",
            "trustee or trust",
        ),
        (
            "certificates",
            conf("[certificates]\\ncert_manager_type = barbican"),
            no_conf.clone(),
            "cluster-wait",
            "create certificates",
        ),
        (
            "quota",
            conf("[quotas]\\nmax_clusters_per_project = 0"),
            no_conf.clone(),
            "cluster-create",
            "HTTP 403",
        ),
        (
            "conductor",
            conf("[DEFAULT]\\nrpc_response_timeout = 5") + "; systemctl stop magnum-conductor",
            no_conf,
            "template-create",
            "Timed out",
        ),
        (
            "trustee-user",
            policy("identity:create_user"),
            no_policy.clone(),
            "cluster-wait",
            "trustee or trust",
        ),
        (
            "trust",
            policy("identity:create_trust"),
            no_policy.clone(),
            "cluster-wait",
            "trustee or trust",
        ),
        (
            "application-credential",
            policy("identity:create_application_credential"),
            no_policy,
            "cluster-wait",
            "application_credential",
        ),
        (
            "helm",
            "mv /usr/local/bin/helm /root".into(),
            "mv /root/helm /usr/local/bin".into(),
            "cluster-wait",
            "helm",
        ),
        (
            "chart",
            "mv /usr/local/share/magnum-capi-helm/chart.tgz /root".into(),
            "mv /root/chart.tgz /usr/local/share/magnum-capi-helm".into(),
            "cluster-wait",
            "chart",
        ),
        (
            "kubeconfig",
            "mv /etc/magnum/kubeconfig /root".into(),
            "mv /root/kubeconfig /etc/magnum".into(),
            "cluster-wait",
            "kubeconfig",
        ),
    ];
    let cluster = json!({"create-cluster": true, "timeout": 120});
    let settled = || {
        machine.wait_for_magnum().unwrap();
        it.shell("for n in $(seq 100); do curl -sf localhost:5000/v3 >/dev/null && break; sleep 0.1; done");
    };
    for (link, harm, mend, stage, word) in cases {
        it.shell(&harm);
        if link != "conductor" {
            settled();
        }
        let run = timed(link, || {
            scene
                .it
                .unit
                .action("smoketest", &scene.parameters(&cluster))
                .unwrap()
        });
        scene.heard(&run);
        assert_failed(&run, stage, link, word);
        it.shell(&mend);
        settled();
    }
    for (change, link, word) in [
        (json!({"image": "no-version"}), "image", "kube_version"),
        (json!({"flavor": "tiny"}), "flavor", "tiny"),
        (json!({"keypair": "nope"}), "keypair", "keypair nope"),
    ] {
        let stage = if link == "keypair" {
            "cluster-create"
        } else {
            "cluster-wait"
        };
        assert_failed(
            &scene.run(&super::with(cluster.clone(), &change)),
            stage,
            link,
            word,
        );
    }
    let fault = HttpFault::always("GET", "^/volume/", 503, HAPROXY);
    scene.cloud.faults(machine, &[fault]).unwrap();
    assert_failed(&scene.run(&cluster), "cluster-wait", "cloud", "503");
    scene.cloud.faults(machine, &[]).unwrap();

    let nobody = Behaviour::of(Mode::Answers).allowing(Vec::new());
    it.management.behave(machine, nobody).unwrap();
    let given = scene.parameters(&cluster);
    let run = it.unit.action("smoketest", &given).unwrap();
    eprintln!("{run:?}");
}
