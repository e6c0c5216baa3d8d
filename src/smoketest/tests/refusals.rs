//! Runs that Keystone, Magnum or the conductor end.

use serde_json::json;

use super::fake_cloud::{PASSWORD, TOKEN};
use super::*;

#[test]
fn a_refusal_is_shown_with_its_link_and_nothing_is_left() {
    let body = |detail: &str| json!({"errors": [{"detail": detail}]}).to_string();
    for (request, status, body, stage, link, words) in [
        (
            "POST /magnum/v1/clustert",
            400,
            body("Unable to find\nflavor x."),
            "template-create",
            "request",
            "find\\nflavor x.",
        ),
        ("POST /magnum/v1/clustert", 403, body("Policy"), "template-create", "credentials", "HTTP 403: Policy"),
        ("POST /magnum/v1/clustert", 503, "<h1>".into(), "template-create", "magnum-api", "HTTP 503: <h1>"),
        ("POST /magnum/v1/clusters", 404, body("no keypair"), "cluster-create", "request", "no keypair"),
        ("GET /magnum/v1/clustertemplates/", 404, body("x"), "template-show", "magnum-api", "HTTP 404"),
        ("GET /magnum/", 401, body(TOKEN), "leftovers", "magnum-api", "HTTP 401: ***"),
        ("GET /magnum/", 301, "http://u:p@other/".into(), "leftovers", "magnum-api", "it redirects to http://other/"),
        ("GET /magnum/", 200, " ".repeat((2 << 20) + 1), "leftovers", "magnum-api", "more than 2097152 bytes"),
        ("GET /magnum/", 200, format!("[{}0]", "0,".repeat(50_000)), "leftovers", "magnum-api", "or 50000 values"),
        ("GET /magnum/", 200, "<h1>".into(), "leftovers", "magnum-api", "HTTP 200: the answer cannot be read as JSON"),
        ("GET /magnum/", 200, "{}".into(), "leftovers", "magnum-api", "clusters are not in the answer"),
        (
            "GET /magnum/",
            200,
            r#"{"clusters": [], "next": "http://here"}"#.into(),
            "leftovers",
            "magnum-api",
            "clusters have more than 100 pages of 100",
        ),
        ("POST /v3/", 500, PASSWORD.into(), "token", "keystone", "HTTP 500: ***"),
    ] {
        let unit = Unit::new();
        unit.cloud.fault(request, status, body);
        unit.run(CLUSTER).assert_failed(stage, link, words);
        assert_eq!(unit.cloud.names(), [""; 0], "{request}");
    }
}

#[test]
fn an_account_that_keystone_refuses_and_an_endpoint_that_is_not_there_are_named() {
    let mut unit = Unit::new();
    unit.run(r#"{"endpoint": "admin"}"#).assert_failed("catalog", "keystone", "only: public in R");
    unit.secret.insert("password", "wrong".into());
    unit.run("{}").assert_failed("token", "credentials", "HTTP 401: The request requires authentication.");
    unit.secret.insert("auth-url", "http://127.0.0.1:1".into());
    unit.run("{}").assert_failed("token", "keystone", "no answer from http://127.0.0.1:1/v3/auth/tokens");
}

#[test]
fn what_is_wrong_before_anything_is_sent_is_no_outcome() {
    let mut unit = Unit::new();
    unit.secret.insert("cacert", "no certificate".into());
    for (parameters, words) in [("{}", "holds no PEM certificates"), (r#"{"image": " "}"#, "image is empty")] {
        let run = unit.run(parameters);
        assert!(run.message.as_deref().unwrap().contains(words), "{:?}", run.message);
        assert!(run.results.is_empty());
    }
    let _lock = runs::lock(&unit.scratch.root).unwrap();
    assert!(unit.run("{}").message.unwrap().contains("at work"));
    assert_eq!(unit.cloud.state().requests.len(), 0);
}

#[test]
fn a_failed_cluster_shows_magnums_reason_as_it_is() {
    let unit = Unit::new();
    let reason = "Unable to establish connection to https://u:p4ss@cinder/:\nrefused";
    unit.cloud.state().statuses = [("CREATE_IN_PROGRESS", ""), ("CREATE_FAILED", reason)].into();
    let run = unit.run(CLUSTER);
    run.assert_failed(
        "cluster-wait",
        "cloud",
        "CREATE_FAILED: Unable to establish connection to https://cinder/:\\nrefused",
    );
    assert_eq!((run.result("left"), unit.cloud.names()), ("", vec![]));
}

#[test]
fn a_cluster_that_is_not_complete_in_time_is_the_management_clusters_or_the_conductors() {
    let unit = Unit::new();
    unit.cloud.state().statuses = [("CREATE_IN_PROGRESS", "")].into();
    let parameters = r#"{"create-cluster": true, "timeout": 1}"#;
    let words = "still CREATE_IN_PROGRESS after 1 s";
    unit.run(parameters).assert_failed("cluster-wait", "management-cluster", words);
    let unit = Unit::new();
    unit.cloud.fault("GET /magnum/v1/clusters/", 404, "");
    unit.run(parameters).assert_failed("cluster-wait", "conductor", "no conductor has taken it up");
    let unit = Unit::new();
    unit.cloud.faults("GET /magnum/v1/clusters/", 500, "Timed out waiting for a reply", 16);
    unit.run(parameters).assert_failed("cluster-wait", "conductor", "HTTP 500");
}
