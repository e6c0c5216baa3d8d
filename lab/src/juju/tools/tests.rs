//! The hook tools without a machine: what they print, how they exit, what they leave.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::*;
use crate::juju::charm::Charm;
use crate::juju::context::{ActionContext, HookRelation};
use crate::juju::model::{Proxy, Relation, UnitState};
use crate::juju::options::Options;
use crate::juju::secrets::{SecretUri, Secrets};

#[derive(Default)]
struct Disk(BTreeMap<String, Vec<u8>>);

impl UnitFiles for Disk {
    fn write(&mut self, path: &str, content: &[u8]) -> Result<()> {
        self.0.insert(path.into(), content.into());
        Ok(())
    }
}

struct Bench {
    model: Model,
    context: HookContext,
    disk: Disk,
    stdin: Option<Vec<u8>>,
}

fn bench() -> Bench {
    let relation = Relation {
        id: 3,
        endpoint: "magnum".into(),
        entered: true,
        units: BTreeSet::from(["magnum/0".to_owned()]),
        settings: BTreeMap::from([("private-address".to_owned(), "10.0.0.10".to_owned())]),
        remote: BTreeMap::from([("private-address".to_owned(), "10.0.0.10".to_owned())]),
    };
    let unit = UnitState {
        status: ("waiting".into(), "for it".into()),
        state: BTreeMap::from([("old".to_owned(), "1".to_owned())]),
        address: "10.0.0.10".into(),
        principal: "magnum/0".into(),
        relation: Some(relation),
        ..UnitState::default()
    };
    let config = "options:
  pin: {type: string, default: a==1}
  url: {type: string}
  wait: {type: int, default: 3}
  drivers: {type: boolean, default: true}
";
    let model = Model {
        name: "lab".into(),
        uuid: String::new(),
        application: "probe".into(),
        charm: Charm::for_tests(
            Options::parse(config).unwrap(),
            &[("helm", "helm.bin"), ("wheel", "a.whl")],
        ),
        config: BTreeMap::new(),
        secrets: Secrets::default(),
        resources: BTreeMap::from([("helm".to_owned(), Vec::new())]),
        leader: Some("probe/0".into()),
        application_status: ("unknown".into(), String::new()),
        units: BTreeMap::from([("probe/0".to_owned(), unit)]),
        application_settings: BTreeMap::new(),
        leader_settings: BTreeMap::new(),
        proxy: Proxy::default(),
    };
    let context = HookContext {
        id: "c".into(),
        unit: "probe/0".into(),
        hook: "install".into(),
        ..HookContext::default()
    };
    Bench {
        model,
        context,
        disk: Disk::default(),
        stdin: None,
    }
}

impl Bench {
    /// Exit code, standard output and standard error of a command line; `_` in a word is a space.
    fn call(&mut self, line: &str) -> (i32, String, String) {
        let argv = line.split(' ').map(|word| word.replace('_', " ")).collect();
        let request = Request {
            argv,
            directory: "/charm".into(),
            stdin: self.stdin.take(),
            ..Request::default()
        };
        let reply = serve(&request, &mut self.context, &mut self.model, &mut self.disk);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (reply.code, text(reply.stdout), text(reply.stderr))
    }

    fn prints(&mut self, line: &str, expected: &str) {
        assert_eq!(
            self.call(line),
            (0, expected.into(), String::new()),
            "{line}"
        );
    }

    fn fails(&mut self, line: &str, code: i32, complaint: &str) {
        assert_eq!(
            self.call(line),
            (code, String::new(), format!("ERROR {complaint}\n")),
            "{line}"
        );
    }

    fn in_relation(mut self, remote_unit: Option<&str>) -> Self {
        self.context.relation = Some(HookRelation {
            endpoint: "magnum".into(),
            id: 3,
            remote_application: "magnum".into(),
            remote_unit: remote_unit.map(str::to_owned),
            departing_unit: None,
        });
        self
    }

    fn secret(&mut self) -> SecretUri {
        let content = BTreeMap::from([("kubeconfig".to_owned(), "text".to_owned())]);
        self.model.secrets.add("capi", content).unwrap()
    }
}

#[test]
fn config_get_shows_typed_values_and_leaves_out_the_unset() {
    let mut bench = bench();
    bench.prints(
        "config-get --format=json",
        "{\"drivers\":true,\"pin\":\"a==1\",\"wait\":3}\n",
    );
    bench.prints(
        "config-get -a --format json",
        "{\"drivers\":true,\"pin\":\"a==1\",\"url\":null,\"wait\":3}\n",
    );
    bench.prints("config-get", "drivers: true\npin: a==1\nwait: 3\n");
    bench.prints("config-get drivers", "True\n");
    bench.prints("config-get wait --format yaml", "3\n");
    bench.prints("config-get url", "");
    bench.prints("config-get nope --format json", "null\n");
    bench.model.config.insert("url".into(), json!("http://x"));
    bench.prints("config-get url", "http://x\n");
    bench.fails(
        "config-get -a pin",
        2,
        "cannot use argument --all together with key \"pin\"",
    );
    bench.fails("config-get pin url", 2, "unrecognized args: [\"url\"]");
    bench.fails(
        "config-get --format=xml",
        2,
        "invalid value \"xml\" for option --format: unknown format \"xml\"",
    );
}

#[test]
fn tools_without_output_options_refuse_them() {
    let mut bench = bench();
    for line in [
        "resource-get helm",
        "status-set active",
        "state-set a=b",
        "state-delete a",
        "action-fail x",
    ] {
        bench.fails(
            &format!("{line} --format json"),
            2,
            "option provided but not defined: --format",
        );
    }
    assert!(bench.context.state.is_none() && bench.model.units["probe/0"].history.is_empty());
    bench.fails(
        "status-set active -not-an-option",
        2,
        "option provided but not defined: -n",
    );
    bench.prints("status-set -- active -a-message", "");
    assert_eq!(
        bench.model.units["probe/0"].status,
        ("active".into(), "-a-message".into())
    );
}

#[test]
fn statuses_are_set_at_once() {
    let mut bench = bench();
    bench.prints("status-get", "waiting\n");
    bench.prints("status-set blocked do_this", "");
    bench.prints(
        "status-get --include-data --format json",
        "{\"message\":\"do this\",\"status\":\"blocked\",\"status-data\":{}}\n",
    );
    let states = "[maintenance blocked waiting active]";
    bench.fails(
        "status-set error x",
        2,
        &format!("invalid status \"error\", expected one of {states}"),
    );
    bench.fails("status-set", 2, "invalid args, require <status> [message]");
    bench.prints("application-version-set 1.1.0", "");
    assert_eq!(bench.model.units["probe/0"].version, "1.1.0");
    bench.prints("is-leader", "True\n");
    bench.prints("status-set --application active fine", "");
    assert_eq!(bench.model.application_status.1, "fine");
    bench.model.leader = None;
    bench.prints("is-leader --format json", "false\n");
    assert_eq!(bench.call("status-set --application active").0, 1);
}

#[test]
fn state_is_buffered_until_the_hook_has_ended_well() {
    let mut bench = bench();
    bench.prints("state-set new=2 old=3", "");
    bench.prints("state-get --format json", "{\"new\":\"2\",\"old\":\"3\"}\n");
    bench.prints("state-delete old", "");
    bench.prints("state-get old --format json", "\"\"\n");
    bench.fails("state-get --strict old", 1, "\"old\" not found");
    bench.stdin = Some(b"k: v\nnew: below\n".to_vec());
    bench.prints("state-set --file - new=above", "");
    assert_eq!(
        bench.model.units["probe/0"].state,
        BTreeMap::from([("old".to_owned(), "1".to_owned())])
    );
    std::mem::take(&mut bench.context).flush(&mut bench.model);
    let flushed = [("k", "v"), ("new", "above")].map(|(key, value)| (key.into(), value.into()));
    assert_eq!(bench.model.units["probe/0"].state, BTreeMap::from(flushed));

    let mut bench = self::bench();
    bench.prints("state-set a=b=c old=", "");
    std::mem::take(&mut bench.context).flush(&mut bench.model);
    let state = &bench.model.units["probe/0"].state;
    assert_eq!((state["a"].as_str(), state["old"].as_str()), ("b=c", ""));
    bench.fails(
        "state-set novalue",
        2,
        "expected \"key=value\", got \"novalue\"",
    );
    bench.fails("state-set a=1 a=2", 2, "key \"a\" specified more than once");
}

#[test]
fn relations_are_seen_from_a_subordinate() {
    let mut bench = bench();
    bench.prints("relation-ids magnum", "magnum:3\n");
    bench.prints("relation-ids other --format json", "[]\n");
    bench.prints(
        "relation-list -r magnum:3 --format json",
        "[\"magnum/0\"]\n",
    );
    bench.prints("relation-list -r 3 --app", "magnum\n");
    bench.prints(
        "relation-get -r magnum:3 private-address magnum/0",
        "10.0.0.10\n",
    );
    bench.fails("relation-ids", 2, "no endpoint name specified");
    bench.fails("relation-list", 2, "no relation id specified");
    bench.fails(
        "relation-list -r magnum:9",
        2,
        "invalid value \"magnum:9\" for option -r: relation not found",
    );
    bench.fails(
        "relation-list -r x",
        2,
        "invalid value \"x\" for option -r: invalid relation id",
    );
    bench.fails("relation-get -r 3 a", 2, "no unit or application specified");
    bench.fails("relation-get -r 3 a other/0", 1, "permission denied");

    let mut bench = bench.in_relation(Some("magnum/0"));
    bench.prints("relation-ids", "magnum:3\n");
    bench.prints("relation-get", "private-address: 10.0.0.10\n");
    bench.prints("relation-set k=v private-address=", "");
    bench.prints("relation-get - probe/0 --format json", "{\"k\":\"v\"}\n");
    bench.prints("relation-set --app --file - a=1", "");
    assert!(bench.model.application_settings.is_empty());
    std::mem::take(&mut bench.context).flush(&mut bench.model);
    assert_eq!(bench.model.application_settings["a"], "1");
    assert_eq!(
        bench.model.units["probe/0"]
            .relation
            .clone()
            .unwrap()
            .settings["k"],
        "v"
    );
}

#[test]
fn a_relation_not_yet_created_is_not_seen() {
    let mut bench = bench();
    bench
        .model
        .units
        .get_mut("probe/0")
        .unwrap()
        .relation
        .as_mut()
        .unwrap()
        .entered = false;
    bench.prints("relation-ids magnum", "");
}

#[test]
fn only_the_leader_writes_for_the_application() {
    let mut bench = bench().in_relation(None);
    bench.prints("relation-set --app a=1", "");
    bench.prints("leader-set epoch=7", "");
    bench.model.leader = Some("probe/1".into());
    bench.fails(
        "relation-set --app a=1",
        1,
        "cannot write relation settings",
    );
    bench.prints("leader-get epoch", "7\n");
    assert_eq!(bench.call("leader-set epoch=8").0, 1);
    std::mem::take(&mut bench.context).flush(&mut bench.model);
    assert_eq!(bench.model.application_settings["a"], "1");
}

#[test]
fn secrets_come_as_json_or_yaml_and_fail_in_jujus_words() {
    let mut bench = bench();
    let uri = bench.secret();
    bench.fails(&format!("secret-get {uri}"), 1, "permission denied");
    bench.model.secrets.set_granted(&uri, true).unwrap();
    bench.prints(&format!("secret-get {uri}"), "kubeconfig: text\n");
    bench.prints(
        &format!("secret-get {uri} --format json"),
        "{\"kubeconfig\":\"text\"}\n",
    );
    bench.prints(
        &format!("secret-get {uri} kubeconfig --format=json"),
        "\"text\"\n",
    );
    bench.prints(&format!("secret-get {uri} kubeconfig#base64"), "dGV4dA==\n");
    bench.prints(
        &format!("secret-get {uri} --label mine"),
        "kubeconfig: text\n",
    );
    bench.prints("secret-get --label mine", "kubeconfig: text\n");
}

#[test]
fn bad_calls_of_secret_get_are_told_apart() {
    let mut bench = bench();
    let uri = bench.secret();
    bench.model.secrets.set_granted(&uri, true).unwrap();
    bench.fails(
        &format!("secret-get {uri} nope"),
        1,
        "secret key value \"nope\" not found",
    );
    bench.fails(
        "secret-get secret:9m4e2mr0ui3e8a215n4g",
        1,
        "secret \"9m4e2mr0ui3e8a215n4g\" not found",
    );
    bench.fails("secret-get capi", 2, "secret URI \"capi\" not valid");
    bench.fails("secret-get", 2, "require either a secret URI or label");
    bench.fails(
        &format!("secret-get {uri} --peek --refresh"),
        2,
        "specify one of --peek or --refresh but not both",
    );
    let smart = "invalid value \"smart\" for option --format: unknown format \"smart\"";
    bench.fails(&format!("secret-get {uri} --format smart"), 2, smart);
    bench.fails(
        &format!("secret-info-get {uri}"),
        1,
        &format!("secret \"{}\" not found", uri.id()),
    );
}

#[test]
fn a_resource_is_a_bare_path_and_an_absent_one_an_error() {
    let mut bench = bench();
    let path = "/var/lib/juju/agents/unit-probe-0/resources/helm/helm.bin";
    bench.prints("resource-get helm", path);
    assert_eq!(bench.disk.0[path], b"", "an empty one is there, and empty");
    let missing = |name: &str| {
        format!("could not download resource: HTTP request failed: resource#probe/{name} not found")
    };
    bench.fails("resource-get wheel", 1, &missing("wheel"));
    bench.fails("resource-get nope", 1, &missing("nope"));
    bench.fails("resource-get", 2, "missing required resource name");
}

#[test]
fn action_results_have_legal_keys() {
    let mut bench = bench();
    bench.fails("action-set a=b", 1, "not running an action");
    bench.context.action = Some(ActionContext {
        parameters: json!({"deep": {"er": [1]}}),
        ..ActionContext::default()
    });
    bench.prints("action-set a=1 checks.x-y=2", "");
    bench.prints("action-set checks=3", "");
    let results = |bench: &Bench| bench.context.action.clone().unwrap().results;
    assert_eq!(
        results(&bench),
        BTreeMap::from(
            ["a", "checks"].map(|k| (k.to_owned(), if k == "a" { "1" } else { "3" }.to_owned()))
        )
    );
    for key in ["A", "a-", "-a", "a..b", "a_b", ""] {
        let key = key.replace('_', "%");
        assert_eq!(bench.call(&format!("action-set -- {key}=1")).0, 2, "{key}");
    }
    bench.fails(
        "action-set stdout=1",
        2,
        "cannot set reserved action key \"stdout\"",
    );
    bench.fails(
        "action-set a",
        2,
        "argument \"a\" must be of the form key...=value",
    );
    bench.prints("action-get deep.er --format json", "[1]\n");
    bench.prints("action-get nope.x --format json", "null\n");
    bench.prints("action-fail a_reason", "");
    bench.prints("action-log so far", "");
    let action = bench.context.action.clone().unwrap();
    assert_eq!(
        (action.failed, action.message.as_str(), action.log),
        (true, "a reason", vec!["so far".to_owned()])
    );
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
    let log: Vec<String> = bench
        .context
        .log
        .iter()
        .map(|(level, text)| format!("{level} {text}"))
        .collect();
    let complaint = "WARNING Specified log level of \"loud\" is not valid";
    assert_eq!(
        log,
        [
            "ERROR one two",
            "DEBUG x",
            complaint,
            "INFO y",
            "INFO magnum:3: z"
        ]
    );
}

#[test]
fn output_goes_to_a_file_when_asked() {
    let mut bench = bench();
    bench.prints("config-get pin -o out", "");
    assert_eq!(bench.disk.0["/charm/out"], b"a==1\n");
    bench.prints("unit-get private-address", "10.0.0.10\n");
    assert_eq!(bench.call("config-get --help").0, 0);
    assert_eq!(bench.call("unheard-of").0, 1);
}

#[test]
fn every_tool_by_name_is_there() {
    assert!(NAMES.iter().all(|name| find(name).is_some()));
}

#[test]
fn action_parameters_are_checked_and_completed() {
    let schema = json!({
        "params": {"deep": {"type": "boolean", "default": false}, "n": {"type": "integer"}, "w": {"enum": ["a"]}},
        "required": ["n"],
        "additionalProperties": false
    });
    assert_eq!(
        parameters(&schema, &json!({"n": 1})).unwrap(),
        json!({"n": 1, "deep": false})
    );
    for bad in [
        json!({}),
        json!({"n": "1"}),
        json!({"n": 1, "x": 1}),
        json!({"n": 1, "w": "b"}),
        json!([]),
    ] {
        assert!(parameters(&schema, &bad).is_err(), "{bad}");
    }
    assert_eq!(parameters(&json!({}), &json!(null)).unwrap(), json!({}));
}
