//! The complete action against a Keystone and a Magnum that are played on a loopback port.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::fake_cloud::{FakeCloud, PASSWORD, TOKEN};
use super::*;
use crate::system::testing::Scratch;
use crate::system::{Command, state_path};

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
        let found = (
            self.result("outcome"),
            self.result("stage"),
            self.result("chain"),
        );
        assert_eq!(found, ("failed", stage, link), "{}", self.result("report"));
        let message = self.message.as_deref().unwrap();
        for text in [message, self.result("report")] {
            assert!(
                text.contains(words) && text.contains(self.result("remedy")),
                "no {words}: {text}"
            );
        }
    }

    #[track_caller]
    fn assert_passed(&self) {
        assert_eq!(self.message, None);
        let found = ["outcome", "stage", "chain", "remedy", "left"].map(|key| self.result(key));
        assert_eq!(
            found,
            ["passed", "done", "", "", ""],
            "{}",
            self.result("report")
        );
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
        Self {
            scratch,
            cloud,
            secret: secret.into(),
            signals: Signals::default(),
            cleaner: || Some(String::new()),
        }
    }

    /// Runs the action with these parameters, beside those that it needs.
    fn run(&self, parameters: &str) -> Finished {
        let mut given = json!({"image": "noble", "keypair": "key", "external-network": "ext", "master-flavor": "m",
            "flavor": "f", "labels": "a=b", "network-driver": "calico", "master-count": 3, "node-count": 1,
            "timeout": 60, "credentials": "secret:1", "endpoint": "public"});
        for (key, value) in serde_json::from_str::<Value>(parameters)
            .unwrap()
            .as_object()
            .unwrap()
        {
            given[key] = value.clone();
        }
        let commands = Arc::new(Mutex::new(Vec::new()));
        let (ran, secret, cleaner) = (
            commands.clone(),
            json!(self.secret).to_string(),
            self.cleaner,
        );
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
        let message =
            run_until(&system, &context, &self.signals, Duration::from_millis(1)).unwrap();
        let commands = commands.lock().unwrap().clone();
        let set = commands
            .iter()
            .find(|command| command.program == "action-set");
        let pairs = set
            .into_iter()
            .flat_map(|command| &command.args[1..])
            .map(|arg| arg.to_str().unwrap());
        let results: BTreeMap<String, String> = pairs
            .filter_map(|arg| arg.split_once('='))
            .map(|(key, value)| (key.into(), value.into()))
            .collect();
        let shown = format!("{message:?}{results:?}");
        assert!(
            !shown.contains(PASSWORD) && !shown.contains(TOKEN) && !shown.contains("a:b@"),
            "{shown}"
        );
        Finished {
            message,
            results,
            commands,
        }
    }

    fn unfinished(&self) -> usize {
        let state: Value =
            serde_json::from_str(&self.scratch.text(state_path("smoketest.json")).unwrap())
                .unwrap();
        state["unfinished"].as_array().unwrap().len()
    }
}

#[test]
fn a_template_is_created_shown_and_deleted() {
    let unit = Unit::new();
    let run = unit.run("{}");
    run.assert_passed();
    assert!(
        run.result("template")
            .starts_with("magnum-capi-helm-smoketest-")
    );
    assert_eq!(run.result("cluster"), "");
    for words in [
        "as smoker@tenants in project smoke@tenants",
        "coe kubernetes",
        "ubuntu",
        "is gone",
        "nothing is left",
    ] {
        assert!(
            run.result("report").contains(words),
            "no {words}: {}",
            run.result("report")
        );
    }
    let logged = run
        .commands
        .iter()
        .filter(|command| command.program == "action-log");
    assert_eq!(logged.count(), run.result("report").lines().count());
    assert_eq!((unit.cloud.names(), unit.unfinished()), (vec![], 0));
}

#[test]
fn the_cleaner_gets_the_account_through_a_pipe_alone() {
    let unit = Unit::new();
    let run = unit.run("{}");
    let started = run
        .commands
        .iter()
        .find(|command| command.program == "systemd-run")
        .unwrap();
    assert!(String::from_utf8_lossy(&started.stdin).contains(PASSWORD));
    for command in &run.commands {
        assert!(!format!("{:?}{:?}", command.args, command.env).contains(PASSWORD));
    }
    assert!(
        !unit
            .scratch
            .text(state_path("smoketest.json"))
            .unwrap()
            .contains(PASSWORD)
    );
}

#[test]
fn a_cluster_is_created_watched_and_deleted_also_while_requests_fail_for_a_moment() {
    let unit = Unit::new();
    unit.cloud.state().statuses = [("CREATE_IN_PROGRESS", ""), ("CREATE_COMPLETE", "")].into();
    unit.cloud.state().deletion = [("DELETE_IN_PROGRESS", "")].into();
    for request in [
        "GET /magnum/v1/clusters/",
        "DELETE /magnum/v1/clusters/",
        "DELETE /magnum/v1/clustertemplates/",
    ] {
        unit.cloud.faults(request, 503, "<html>", 2);
    }
    // A token that has expired is renewed.
    unit.cloud
        .faults("GET /magnum/v1/clustertemplates/", 401, "", 1);
    let run = unit.run(CLUSTER);
    run.assert_passed();
    assert_eq!(run.result("cluster"), run.result("template"));
    for words in [
        "CREATE_IN_PROGRESS",
        "CREATE_COMPLETE",
        "DELETE_IN_PROGRESS",
        "HTTP 503: <html>; trying again",
    ] {
        assert!(
            run.result("report").contains(words),
            "no {words}: {}",
            run.result("report")
        );
    }
    assert_eq!(unit.cloud.names(), [""; 0]);
}

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
        (
            "POST /magnum/v1/clustert",
            403,
            body("Policy"),
            "template-create",
            "credentials",
            "HTTP 403: Policy",
        ),
        (
            "POST /magnum/v1/clustert",
            503,
            "<h1>".into(),
            "template-create",
            "magnum-api",
            "HTTP 503: <h1>",
        ),
        (
            "POST /magnum/v1/clusters",
            404,
            body("no keypair"),
            "cluster-create",
            "request",
            "no keypair",
        ),
        (
            "GET /magnum/v1/clustertemplates/",
            404,
            body("x"),
            "template-show",
            "magnum-api",
            "HTTP 404",
        ),
        (
            "GET /magnum/",
            401,
            body(TOKEN),
            "leftovers",
            "magnum-api",
            "HTTP 401: ***",
        ),
        (
            "GET /magnum/",
            301,
            "http://u:p@other/".into(),
            "leftovers",
            "magnum-api",
            "it redirects to http://other/",
        ),
        (
            "GET /magnum/",
            200,
            " ".repeat((8 << 20) + 1),
            "leftovers",
            "magnum-api",
            "more than 8 MiB",
        ),
        (
            "POST /v3/",
            500,
            PASSWORD.into(),
            "token",
            "keystone",
            "HTTP 500: ***",
        ),
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
    unit.run(r#"{"endpoint": "admin"}"#).assert_failed(
        "catalogue",
        "keystone",
        "only: public in R",
    );
    unit.secret.insert("password", "wrong".into());
    unit.run("{}").assert_failed(
        "token",
        "credentials",
        "HTTP 401: The request requires authentication.",
    );
    unit.secret.insert("auth-url", "http://127.0.0.1:1".into());
    unit.run("{}").assert_failed(
        "token",
        "keystone",
        "no answer from http://127.0.0.1:1/v3/auth/tokens",
    );
}

#[test]
fn what_is_wrong_before_anything_is_sent_is_no_outcome() {
    let mut unit = Unit::new();
    unit.secret.insert("cacert", "no certificate".into());
    for (parameters, words) in [
        ("{}", "holds no PEM certificates"),
        (r#"{"image": " "}"#, "image is empty"),
    ] {
        let run = unit.run(parameters);
        assert!(
            run.message.as_deref().unwrap().contains(words),
            "{:?}",
            run.message
        );
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
    unit.run(parameters)
        .assert_failed("cluster-wait", "management-cluster", words);
    let unit = Unit::new();
    unit.cloud.fault("GET /magnum/v1/clusters/", 404, "");
    unit.run(parameters)
        .assert_failed("cluster-wait", "conductor", "no conductor has taken it up");
    let unit = Unit::new();
    unit.cloud.faults(
        "GET /magnum/v1/clusters/",
        500,
        "Timed out waiting for a reply",
        6,
    );
    unit.run(parameters)
        .assert_failed("cluster-wait", "conductor", "HTTP 500");
}

#[test]
fn what_cannot_be_deleted_is_named_and_the_next_run_removes_it() {
    let unit = Unit::new();
    unit.cloud.state().deletion = [("DELETE_FAILED", "no helm: 'helm'")].into();
    let run = unit.run(CLUSTER);
    run.assert_failed("cluster-delete", "helm", "DELETE_FAILED: no helm");
    let (name, left) = (run.result("template").to_owned(), run.result("left"));
    assert!(
        left.starts_with(&format!("cluster {name} (id-"))
            && left.contains(&format!(", template {name} (id-"))
    );
    let message = run.message.as_deref().unwrap();
    let expected = format!(
        "left: {left}; the next smoketest tries again, or run: openstack coe cluster delete id-"
    );
    assert!(message.contains(&expected), "{message}");
    assert!(
        message.contains("; openstack coe cluster template delete id-"),
        "{message}"
    );
    assert_eq!(unit.cloud.names().len(), 2);

    let run = unit.run("{}");
    run.assert_passed();
    for kind in ["cluster", "template"] {
        let words = format!("{kind} {name} (");
        assert!(
            run.result("report").contains(&words),
            "{}",
            run.result("report")
        );
    }
    assert_eq!((unit.cloud.names(), unit.unfinished()), (vec![], 0));
}

#[test]
fn what_may_be_left_where_this_account_does_not_see_it_is_named() {
    let unit = Unit::new();
    unit.cloud.state().deletion = [("DELETE_FAILED", "")].into();
    unit.run(CLUSTER);
    unit.cloud.state().existing.clear();
    unit.cloud.state().project = "elsewhere".into();
    let run = unit.run("{}");
    run.assert_passed();
    assert!(
        run.result("report")
            .contains("may still exist in a project that this account does not see")
    );
    assert_eq!(unit.unfinished(), 1);
}

/// Sends the signal once a cluster is watched, and again once its deletion is requested if `twice`.
fn interrupt(unit: &Unit, twice: bool) {
    unit.cloud.state().statuses = [("CREATE_IN_PROGRESS", "")].into();
    let signals = unit.signals.clone();
    let mut is_watched = false;
    unit.cloud.state().observer = Some(Box::new(move |request| {
        let is_next = request.starts_with("GET /magnum/v1/clusters/") && !is_watched;
        if is_next || twice && request.starts_with("DELETE /magnum/v1/clusters/") {
            is_watched = true;
            signals.count();
        }
    }));
}

#[test]
fn a_run_that_is_told_to_stop_cleans_up() {
    let unit = Unit::new();
    interrupt(&unit, false);
    let run = unit.run(CLUSTER);
    let found = ["outcome", "stage", "chain", "remedy", "left"].map(|key| run.result(key));
    assert_eq!(
        found,
        ["interrupted", "cluster-wait", "", "", ""],
        "{}",
        run.result("report")
    );
    assert_eq!(
        run.message.as_deref(),
        Some("cluster-wait: told to stop; nothing is left")
    );
    assert_eq!((unit.cloud.names(), unit.unfinished()), (vec![], 0));
}

#[test]
fn a_run_that_is_told_twice_leaves_the_rest_to_its_cleaner() {
    let mut unit = Unit::new();
    unit.cleaner = || {
        std::thread::sleep(Duration::from_secs(60));
        None
    };
    interrupt(&unit, true);
    unit.cloud.state().deletion = [("DELETE_IN_PROGRESS", ""); 1000].into();
    let run = unit.run(CLUSTER);
    assert_eq!(run.result("outcome"), "interrupted");
    assert!(
        run.result("report")
            .contains("stays: cluster-delete: told to stop"),
        "{}",
        run.result("report")
    );
    let words = "the unit's service magnum-capi-helm-smoketest is removing it: journalctl -u magnum-capi-helm-smoketest";
    assert!(
        run.message.as_deref().unwrap().contains(words),
        "{:?}",
        run.message
    );
    assert_eq!((unit.cloud.names().len(), unit.unfinished()), (2, 1));

    // What that does: it reads the account from the pipe, and the run's lock is free.
    unit.cloud.state().deletion.clear();
    unit.cloud.faults("GET /magnum/v1/clusters", 503, "", 2);
    let handover = run
        .commands
        .iter()
        .find(|command| command.program == "systemd-run")
        .unwrap()
        .stdin
        .clone();
    let log = clean(&unit, &handover).unwrap();
    for words in [
        "without removing what it created",
        "HTTP 503: ; trying again",
        "is gone",
        "nothing is left",
    ] {
        assert!(log.contains(words), "no {words}: {log}");
    }
    assert_eq!((unit.cloud.names(), unit.unfinished()), (vec![], 0));
    assert_eq!(
        clean(&unit, &handover).unwrap(),
        "",
        "the run has ended in order"
    );
}

/// Runs the cleaner, and returns its log.
fn clean(unit: &Unit, handover: &[u8]) -> Result<String> {
    let mut progress = Progress::new(Signals::default(), Duration::from_millis(1), |_| Ok(()));
    let pauses = Pauses {
        retry: Duration::from_millis(1),
        accepted: Duration::from_millis(1),
    };
    let system = unit.scratch.system(|_| None);
    cleaner::clean(&system, handover, pauses, &mut progress)?;
    Ok(progress.text())
}

#[test]
fn the_cleaner_says_what_it_cannot_remove_and_reads_nothing_else() {
    let unit = Unit::new();
    let handover = unit
        .run("{}")
        .commands
        .into_iter()
        .find(|command| command.program == "systemd-run")
        .unwrap()
        .stdin;
    let error = clean(&unit, b"{\"hunter2\"").unwrap_err().to_string();
    assert_eq!(error, "only the action smoketest uses this command");

    let mut runs = Runs::load(&unit.scratch.root).unwrap();
    let handover: Value = serde_json::from_slice(&handover).unwrap();
    let handover = json!({"account": handover["account"], "endpoint": "public", "run": runs.name});
    runs.begin("here", "smoker").unwrap();
    unit.cloud
        .state()
        .existing
        .push(super::fake_cloud::Existing {
            collection: "clustertemplates".into(),
            id: "1".into(),
            name: runs.name,
        });
    unit.cloud.fault("DELETE", 409, "in use");
    let error = clean(&unit, handover.to_string().as_bytes())
        .unwrap_err()
        .to_string();
    assert_eq!(error, "template-delete: HTTP 409: in use");
}

#[test]
fn a_run_without_a_cleaner_says_so_and_goes_on() {
    let mut unit = Unit::new();
    unit.cleaner = || None;
    let run = unit.run("{}");
    run.assert_passed();
    assert!(
        run.result("report")
            .contains("there was no cleaner: systemd-run --quiet failed")
    );
}
