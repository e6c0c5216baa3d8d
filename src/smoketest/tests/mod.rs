//! The complete action against a Keystone and a Magnum that are played on a loopback port.

mod cleanup;
mod fake_cloud;
mod refusals;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::*;
use crate::system::testing::Scratch;
use crate::system::{Command, state_path};
use fake_cloud::{FakeCloud, PASSWORD, TOKEN};

const CLUSTER: &str = r#"{"create-cluster": true}"#;

/// A unit whose account is one of the cloud's.
struct Unit {
    scratch: Scratch,
    cloud: FakeCloud,
    secret: BTreeMap<&'static str, String>,
    signals: Signals,
    /// How `systemd-run` goes.
    cleaner: fn() -> Option<String>,
}

struct Finished {
    message: Option<String>,
    results: BTreeMap<String, String>,
    commands: Vec<Command>,
}

impl Finished {
    fn result(&self, key: &str) -> &str {
        &self.results[key]
    }

    /// It failed at this stage for this link, and message and report say this.
    #[track_caller]
    fn assert_failed(&self, stage: &str, link: &str, words: &str) {
        let found = (self.result("outcome"), self.result("stage"), self.result("chain"));
        assert_eq!(found, ("failed", stage, link), "{}", self.result("report"));
        let message = self.message.as_deref().unwrap();
        for text in [message, self.result("report")] {
            assert!(text.contains(words) && text.contains(self.result("remedy")), "no {words}: {text}");
        }
    }

    #[track_caller]
    fn assert_passed(&self) {
        assert_eq!(self.message, None);
        let found = ["outcome", "stage", "chain", "remedy", "left"].map(|key| self.result(key));
        assert_eq!(found, ["passed", "done", "", "", ""], "{}", self.result("report"));
    }
}

impl Unit {
    fn new() -> Self {
        let cloud = FakeCloud::start();
        let secret = [
            ("auth-url", cloud.address.replace("http://", "http://a:b@")),
            ("username", "smoker".to_owned()),
            ("password", PASSWORD.to_owned()),
            ("project-name", "smoke".to_owned()),
            ("user-domain-name", "tenants".to_owned()),
            ("project-domain-name", "tenants".to_owned()),
        ];
        let scratch = Scratch::new();
        scratch.root.make_state_directory().unwrap();
        Self { scratch, cloud, secret: secret.into(), signals: Signals::default(), cleaner: || Some(String::new()) }
    }

    /// Runs the action with these parameters, beside those that it needs.
    fn run(&self, parameters: &str) -> Finished {
        let mut given = json!({"image": "noble", "keypair": "key", "external-network": "ext", "master-flavor": "m",
            "flavor": "f", "labels": "a=b", "network-driver": "calico", "create-cluster": false, "master-count": 3, "node-count": 1,
            "timeout": 60, "credentials": "secret:1", "endpoint": "public"});
        for (key, value) in serde_json::from_str::<Value>(parameters).unwrap().as_object().unwrap() {
            given[key] = value.clone();
        }
        let commands = Arc::new(Mutex::new(Vec::new()));
        let (ran, secret, cleaner) = (commands.clone(), json!(self.secret).to_string(), self.cleaner);
        let system = self.scratch.system(move |command| {
            ran.lock().unwrap().push(command.clone());
            match command.program.to_str() {
                Some("action-get") => Some(given.to_string()),
                Some("secret-get") => Some(secret.clone()),
                Some("systemd-run") => cleaner(),
                _ => Some(String::new()),
            }
        });
        let context = Context {
            unit: "magnum-capi-helm/0".into(),
            principal: "magnum/0".into(),
            departing: None,
            proxy: Vec::new(),
            charm: String::new(),
        };
        let message = run_until(&system, &context, self.signals.clone(), Duration::from_millis(1)).unwrap();
        let has_begun = |commands: &[Command]| {
            let mut all = commands.iter().filter(|command| command.program == "action-set");
            all.any(|set| set.args.iter().any(|arg| arg.to_str().unwrap().starts_with("template=magnum-capi-helm-")))
        };
        let is_started = |commands: &[Command]| commands.iter().any(|command| command.program == "systemd-run");
        let began = Instant::now();
        // The thread that starts the cleaner may come to it only now.
        while began.elapsed() < Duration::from_secs(10) {
            let commands = commands.lock().unwrap();
            if is_started(&commands) || !has_begun(&commands) {
                break;
            }
            drop(commands);
            std::thread::sleep(Duration::from_millis(1));
        }
        let commands = commands.lock().unwrap().clone();
        let set = commands.iter().find(|command| command.program == "action-set");
        let pairs = set.into_iter().flat_map(|command| &command.args[1..]).map(|arg| arg.to_str().unwrap());
        let results: BTreeMap<String, String> =
            pairs.filter_map(|arg| arg.split_once('=')).map(|(key, value)| (key.into(), value.into())).collect();
        let shown = format!("{message:?}{results:?}");
        assert!(!shown.contains(PASSWORD) && !shown.contains(TOKEN) && !shown.contains("a:b@"), "{shown}");
        Finished { message, results, commands }
    }

    fn unfinished(&self) -> usize {
        let state: Value = serde_json::from_str(&self.scratch.text(state_path("smoketest.json")).unwrap()).unwrap();
        state["unfinished"].as_array().unwrap().len()
    }
}

#[test]
fn a_template_is_created_shown_and_deleted() {
    let unit = Unit::new();
    let run = unit.run("{}");
    run.assert_passed();
    assert!(run.result("template").starts_with("magnum-capi-helm-smoketest-"));
    assert_eq!(run.result("cluster"), "");
    for words in
        ["as smoker@tenants in project smoke@tenants", "coe kubernetes", "ubuntu", "is gone", "nothing is left"]
    {
        assert!(run.result("report").contains(words), "no {words}: {}", run.result("report"));
    }
    let logged = run.commands.iter().filter(|command| command.program == "action-log");
    assert_eq!(logged.count(), run.result("report").lines().count());
    assert_eq!((unit.cloud.names(), unit.unfinished()), (vec![], 0));
}

#[test]
fn the_cleaner_gets_the_account_through_a_pipe_alone() {
    let unit = Unit::new();
    let run = unit.run("{}");
    let started = run.commands.iter().find(|command| command.program == "systemd-run").unwrap();
    assert!(String::from_utf8_lossy(&started.stdin).contains(PASSWORD));
    for command in &run.commands {
        assert!(!format!("{:?}{:?}", command.args, command.env).contains(PASSWORD));
    }
    assert!(!unit.scratch.text(state_path("smoketest.json")).unwrap().contains(PASSWORD));
}

#[test]
fn a_cluster_is_created_watched_and_deleted_also_while_requests_fail_for_a_moment() {
    let unit = Unit::new();
    unit.cloud.state().statuses = [("CREATE_IN_PROGRESS", ""), ("CREATE_COMPLETE", "")].into();
    unit.cloud.state().deletion = [("DELETE_IN_PROGRESS", "")].into();
    for request in ["GET /magnum/v1/clusters/", "DELETE /magnum/v1/clusters/", "DELETE /magnum/v1/clustertemplates/"] {
        unit.cloud.faults(request, 503, "<html>", 2);
    }
    // A token that has expired is renewed.
    unit.cloud.faults("GET /magnum/v1/clustertemplates/", 401, "", 1);
    let run = unit.run(CLUSTER);
    run.assert_passed();
    assert_eq!(run.result("cluster"), run.result("template"));
    for words in ["CREATE_IN_PROGRESS", "CREATE_COMPLETE", "DELETE_IN_PROGRESS", "HTTP 503: <html>; trying again"] {
        assert!(run.result("report").contains(words), "no {words}: {}", run.result("report"));
    }
    assert_eq!(unit.cloud.names(), [""; 0]);
}
