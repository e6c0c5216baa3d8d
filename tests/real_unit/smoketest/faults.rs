//! Every link of the chain broken for real, or by an answer in its place, and the failure placed on it.

use lab::{Behaviour, Controllers, HttpFault, Mode};
use serde_json::json;

use super::{Scene, assert_failed, assert_passed};
use crate::support::{KUBECONFIG, eventually, soak, timed};

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
        ("GET", "^/magnum/", 401, refused, "leftovers", "magnum-api", "HTTP 401"),
        ("POST", "^/magnum/v1/clustertemplates$", 503, HAPROXY, "template-create", "magnum-api", "HTTP 503"),
        ("POST", "^/magnum/v1/clustertemplates$", 403, "denied", "template-create", "credentials", "HTTP 403"),
        ("GET", "^/magnum/v1/clustertemplates/", 404, "no", "template-show", "magnum-api", "HTTP 404"),
        ("GET", "^/network/", 200, &twice.to_string(), "template-create", "request", "HTTP 409"),
        ("GET", "^/image/", 503, HAPROXY, "template-create", "request", "Cluster type (vm, Unset"),
    ] {
        let fault = HttpFault::always(method, path, status, body);
        scene.cloud.faults(machine, &[fault]).unwrap();
        let run = scene.run(&json!({"endpoint": "internal"}));
        assert_failed(&run, stage, link, word);
    }
    // What passes by itself is no failure.
    let passing = |method: &str, path: &str| HttpFault { times: 2, ..HttpFault::always(method, path, 503, HAPROXY) };
    let faults = [
        passing("GET", "^/magnum/v1/clusters/"),
        passing("DELETE", "^/magnum/v1/clusters/"),
        passing("DELETE", "^/magnum/v1/clustertemplates/"),
    ];
    scene.cloud.faults(machine, &faults).unwrap();
    let change = json!({"endpoint": "internal", "create-cluster": true, "timeout": 240});
    assert_passed(&scene.run(&change));

    scene.it.shell("systemctl stop keystone");
    assert_failed(&scene.run(&json!({})), "token", "keystone", "no answer from http://localhost:5000/v3");
}

/// What breaks and what mends it, the stage that fails, its link, and a word of the message.
type Case = (&'static str, (String, String), &'static str, &'static str, &'static str);

/// By a file that the conductor reads last.
fn conf(text: &str) -> (String, String) {
    let file = "/etc/magnum/magnum.conf.d/zz-lab.conf";
    let restart = "systemctl restart magnum-api magnum-conductor";
    (format!("printf '{text}\\n' >{file}; {restart}"), format!("rm {file}; {restart}"))
}

/// By Keystone, which lets nobody do this.
fn policy(rule: &str) -> (String, String) {
    let file = "/etc/keystone/policy.yaml";
    let restart = "systemctl restart keystone";
    (format!("printf '\"{rule}\": \"!\"\\n' >{file}; {restart}"), format!("rm {file}; {restart}"))
}

fn away(path: &str) -> (String, String) {
    (format!("mv {path} /root/away"), format!("mv /root/away {path}"))
}

/// A cluster fails at each of them, and the message says which it is. Of those with the same message, by default the
/// first.
fn each_is_placed(scene: &Scene, mut cases: Vec<Case>) {
    let mut seen = Vec::new();
    cases.retain(|(_, _, stage, link, word)| {
        let is_new = !seen.contains(&(*stage, *link, *word));
        seen.push((*stage, *link, *word));
        soak(is_new, true)
    });
    scene.controllers(Controllers::Finish);
    let cluster = json!({"create-cluster": true, "timeout": 120});
    let mut cases = cases.into_iter().peekable();
    while let Some((name, (harm, mend), stage, link, word)) = cases.next() {
        scene.it.shell(&harm);
        scene.settled();
        let given = scene.parameters(&cluster);
        let run = timed(name, || scene.it.unit.action("smoketest", &given).unwrap());
        scene.heard(&run);
        assert_failed(&run, stage, link, word);
        // Without helm or a kubeconfig the driver cannot delete what it has begun.
        let is_deleted = !matches!(name, "helm" | "kubeconfig");
        assert_eq!(scene.left().is_empty(), is_deleted, "{name}: {}", run.results["report"]);
        // What mends it mends the next one too, if that takes its place.
        if cases.peek().is_none_or(|(_, (_, mends_next), ..)| *mends_next != mend) {
            scene.it.shell(&mend);
            scene.settled();
        }
    }
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn a_cluster_that_magnum_may_not_or_cannot_make_is_placed_on_its_configuration() {
    let none = "[trust]\\ntrustee_domain_id =\\ntrustee_domain_admin_id =\\ntrustee_domain_admin_password =";
    let refused = "Keystone client authentication failed";
    each_is_placed(
        &Scene::start(),
        vec![
            ("trustee-domain", conf(none), "leftovers", "trust", refused),
            ("trustee", conf("[trust]\\ntrustee_domain_admin_password = other"), "leftovers", "trust", refused),
            (
                "certificates",
                conf("[certificates]\\ncert_manager_type = barbican"),
                "cluster-wait",
                "certificates",
                "create certificates",
            ),
            ("quota", conf("[quotas]\\nmax_clusters_per_project = 0"), "cluster-create", "request", "HTTP 403"),
        ],
    );
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn a_cluster_that_keystone_forbids_is_placed_on_what_is_forbidden() {
    let trust = "trustee or trust";
    each_is_placed(
        &Scene::start(),
        vec![
            ("trustee-user", policy("identity:create_user"), "cluster-wait", "trust", trust),
            ("trust", policy("identity:create_trust"), "cluster-wait", "trust", trust),
            (
                "application-credential",
                policy("identity:create_application_credential"),
                "cluster-wait",
                "trust",
                "identity:create_application_credential",
            ),
        ],
    );
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn a_cluster_that_lacks_what_the_driver_needs_is_placed_and_removed_when_it_is_back() {
    let scene = Scene::start();
    each_is_placed(
        &scene,
        vec![
            ("chart", away("/usr/local/share/magnum-capi-helm/chart.tgz"), "cluster-wait", "helm", "chart.tgz"),
            ("kubeconfig", away(KUBECONFIG), "cluster-wait", "management-cluster", KUBECONFIG),
            ("helm", away("/usr/local/bin/helm"), "cluster-wait", "helm", "'helm'"),
        ],
    );
    let run = scene.run(&json!({}));
    assert_passed(&run);
    assert!(run.results["report"].contains("is left from an earlier run"));
}

/// Parameters of a cluster.
fn cluster(change: serde_json::Value) -> serde_json::Value {
    super::with(json!({"create-cluster": true, "timeout": 120}), &change)
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn what_a_cluster_is_made_of_are_links_too() {
    let scene = Scene::start();
    scene.controllers(Controllers::Finish);
    for (change, stage, word) in [
        (json!({"image": "no-version"}), "cluster-wait", "kube_version"),
        (json!({"flavor": "tiny"}), "cluster-wait", "tiny"),
        (json!({"keypair": "nope"}), "cluster-create", "keypair nope"),
    ] {
        assert_failed(&scene.run(&cluster(change)), stage, "request", word);
    }
    let fault = HttpFault::always("GET", "^/volume/", 503, HAPROXY);
    scene.cloud.faults(scene.it.machine(), &[fault]).unwrap();
    assert_failed(&scene.run(&cluster(json!({}))), "cluster-wait", "cloud", "503");
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn who_makes_a_cluster_is_a_link_too() {
    let scene = Scene::start();
    scene.controllers(Controllers::Finish);
    let (it, machine) = (&scene.it, scene.it.machine());
    it.shell(
        "printf '[DEFAULT]\\nrpc_response_timeout = 5\\n' >/etc/magnum/magnum.conf.d/zz-lab.conf
         systemctl restart magnum-api",
    );
    scene.settled();
    it.shell("systemctl stop magnum-conductor");
    let run = scene.run(&json!({}));
    assert_failed(&run, "leftovers", "conductor", "Timed out");
    it.shell("systemctl start magnum-conductor");
    it.shell("systemctl stop rabbitmq-server");
    let run = scene.run(&json!({}));
    assert_failed(&run, "leftovers", "conductor", "no answer in time");
    it.shell("systemctl start rabbitmq-server");
    // Until then nobody would ever answer what the API asks: the queue went with the broker.
    let consumers = "rabbitmqctl --quiet list_consumers | grep magnum-conductor || :";
    eventually("the conductor is back at its queue", || !it.shell(consumers).is_empty());
    it.shell("rm /etc/magnum/magnum.conf.d/zz-lab.conf; systemctl restart magnum-api");
    scene.settled();

    // What the driver has begun it cannot delete without the management cluster: the next run does.
    let begun = |word: &str| {
        let run = it.unit.action("smoketest", &scene.parameters(&cluster(json!({})))).unwrap();
        scene.heard(&run);
        assert_failed(&run, "cluster-wait", "management-cluster", word);
        let left = &run.results["left"];
        let (cluster, template) = left.split_once(", ").unwrap();
        assert!(cluster.starts_with("cluster ") && template.starts_with("template "));
        let id = cluster.split(['(', ')']).nth(1).unwrap();
        for word in [format!("left: {left}"), format!("openstack coe cluster delete {id}")] {
            assert!(run.message.contains(&word), "no {word}: {}", run.message);
        }
    };
    let refuses = Behaviour::of(Mode::AnswersWith(403));
    it.management.behave(machine, refuses).unwrap();
    begun("403 Client Error");
    it.management.stop(machine).unwrap();
    begun("6443");
    scene.controllers(Controllers::Finish);
    it.management.serve(machine).unwrap();
    let run = scene.run(&json!({}));
    assert_passed(&run);
    let removed = run.results["report"].matches("is left from an earlier run").count();
    // Two clusters, each with its template.
    assert_eq!(removed, 4, "{}", run.results["report"]);
}
