//! Secrets, resources, actions, the log, and what all tools have in common.

use std::collections::BTreeMap;

use serde_json::json;

use super::{Bench, bench};
use crate::juju::context::ActionContext;
use crate::juju::tools::parameters;

#[test]
fn secrets_come_as_json_or_yaml_and_fail_in_jujus_words() {
    let mut bench = bench();
    let uri = bench.secret();
    bench.fails(&format!("secret-get {uri}"), 1, "permission denied");
    bench.model.secrets.set_granted(&uri, true).unwrap();
    bench.prints(&format!("secret-get {uri}"), "kubeconfig: text\n");
    bench.prints(&format!("secret-get {uri} --format json"), "{\"kubeconfig\":\"text\"}\n");
    bench.prints(&format!("secret-get {uri} kubeconfig --format=json"), "\"text\"\n");
    bench.prints(&format!("secret-get {uri} kubeconfig#base64"), "dGV4dA==\n");
}

#[test]
fn bad_calls_of_secret_get_are_told_apart() {
    let mut bench = bench();
    let uri = bench.secret();
    bench.model.secrets.set_granted(&uri, true).unwrap();
    bench.fails(&format!("secret-get {uri} nope"), 1, "secret key value \"nope\" not found");
    bench.fails("secret-get secret:9m4e2mr0ui3e8a215n4g", 1, "secret \"9m4e2mr0ui3e8a215n4g\" not found");
    bench.fails("secret-get capi", 2, "secret URI \"capi\" not valid");
    bench.fails("secret-get", 2, "require either a secret URI or label");
    let smart = "invalid value \"smart\" for option --format: unknown format \"smart\"";
    bench.fails(&format!("secret-get {uri} --format smart"), 2, smart);
}

#[test]
fn a_resource_is_a_bare_path_and_an_absent_one_an_error() {
    let mut bench = bench();
    let path = "/var/lib/juju/agents/unit-probe-0/resources/helm/helm.bin";
    bench.prints("resource-get helm", path);
    assert_eq!(bench.disk.0[path], b"", "an empty one is there, and empty");
    let missing =
        |name: &str| format!("could not download resource: HTTP request failed: resource#probe/{name} not found");
    bench.fails("resource-get wheel", 1, &missing("wheel"));
    bench.fails("resource-get nope", 1, &missing("nope"));
    bench.fails("resource-get", 2, "missing required resource name");
}

#[test]
fn action_results_have_legal_keys() {
    let mut bench = bench();
    bench.fails("action-set a=b", 1, "not running an action");
    bench.context.action = Some(ActionContext { parameters: json!({"deep": {"er": [1]}}), ..ActionContext::default() });
    bench.prints("action-set a=1 checks.x-y=2", "");
    bench.prints("action-set checks=3", "");
    let results = |bench: &Bench| bench.context.action.clone().unwrap().results;
    assert_eq!(
        results(&bench),
        BTreeMap::from(["a", "checks"].map(|k| (k.to_owned(), if k == "a" { "1" } else { "3" }.to_owned())))
    );
    for key in ["A", "a-", "-a", "a..b", "a_b", ""] {
        let key = key.replace('_', "%");
        assert_eq!(bench.call(&format!("action-set -- {key}=1")).0, 2, "{key}");
    }
    bench.fails("action-set stdout=1", 2, "cannot set reserved action key \"stdout\"");
    bench.fails("action-set a", 2, "argument \"a\" must be of the form key...=value");
    bench.prints("action-get deep.er --format json", "[1]\n");
    bench.prints("action-get nope.x --format json", "null\n");
    bench.prints("action-fail a_reason", "");
    bench.prints("action-log so far", "");
    let action = bench.context.action.clone().unwrap();
    assert_eq!((action.failed, action.message.as_str(), action.log), (true, "a reason", vec!["so far".to_owned()]));
}

#[test]
fn log_lines_have_levels_and_the_relation() {
    let mut bench = bench();
    bench.prints("juju-log -l ERROR one two", "");
    bench.prints("juju-log --debug x", "");
    bench.prints("juju-log --log-level=loud y", "");
    bench.fails("juju-log", 2, "no message specified");
    let mut bench = bench.in_relation(None);
    bench.prints("juju-log z", "");
    let log: Vec<String> = bench.context.log.iter().map(|(level, text)| format!("{level} {text}")).collect();
    let complaint = "WARNING Specified log level of \"loud\" is not valid";
    assert_eq!(log, ["ERROR one two", "DEBUG x", complaint, "INFO y", "INFO magnum:3: z"]);
}

#[test]
fn action_parameters_are_checked_and_completed() {
    let schema = json!({
        "params": {"deep": {"type": "boolean", "default": false}, "n": {"type": "integer"}, "w": {"enum": ["a"]}},
        "required": ["n"],
        "additionalProperties": false
    });
    assert_eq!(parameters(&schema, &json!({"n": 1})).unwrap(), json!({"n": 1, "deep": false}));
    for bad in [json!({}), json!({"n": "1"}), json!({"n": 1, "x": 1}), json!({"n": 1, "w": "b"}), json!([])] {
        assert!(parameters(&schema, &bad).is_err(), "{bad}");
    }
    assert_eq!(parameters(&json!({}), &json!(null)).unwrap(), json!({}));
}
