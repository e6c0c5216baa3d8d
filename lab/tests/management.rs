//! The stand-in for the management cluster, asked by curl, by real helm, and by the real driver.

#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use lab::{
    Behaviour, ClientCertificate, Credential, Issuer, Machine, ManagementCluster, Mode, Release, Rule, ensure_root,
    service_account_token,
};
use serde_json::{Value, json};

const CURL: &str = "curl --silent --cacert /tmp/ca.crt --max-time 10 --write-out '\n%{http_code}'";
const WHO: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
const MAY: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
const SECRETS: &str = "/api/v1/namespaces/default/secrets";

struct Lab {
    machine: Machine,
    cluster: ManagementCluster,
}

impl Lab {
    fn start() -> Self {
        let root = ensure_root(Release::Caracal, &mut |line| eprintln!("{line}")).unwrap();
        let machine = Machine::boot(&root, "magnum-0").unwrap();
        let start = Instant::now();
        let cluster = ManagementCluster::start(&machine).unwrap();
        println!("credentials and start: {:?}", start.elapsed());
        machine.push("/tmp/ca.crt", cluster.ca_pem().as_bytes(), 0o644).unwrap();
        let lab = Self { machine, cluster };
        lab.give(lab.cluster.admin());
        lab
    }

    /// The next questions `as_certificate` are put with this one.
    fn give(&self, credential: &Credential) {
        let files = [("/tmp/client.crt", &credential.certificate_pem), ("/tmp/client.key", &credential.key_pem)];
        for (path, pem) in files {
            self.machine.push(path, pem.as_bytes(), 0o600).unwrap();
        }
    }

    fn certificate(&self, wanted: &ClientCertificate) {
        let made = self.cluster.credential(&self.machine, wanted).unwrap();
        self.give(&made);
    }

    /// curl's exit code, the HTTP status, and the answer.
    fn curl(&self, how: &str, path: &str, posted: Option<&Value>) -> (i32, u16, Value) {
        let post =
            posted.map_or(String::new(), |value| format!("--header 'Content-Type: application/json' --data '{value}'"));
        let command = format!("{CURL} {how} {post} https://127.0.0.1:6443{path}");
        let output = self.machine.run(&["sh", "-c", &command]).unwrap();
        let (body, status) = output.stdout.rsplit_once('\n').unwrap();
        let body = serde_json::from_str(body).unwrap_or_else(|_| body.into());
        (output.code.unwrap(), status.parse().unwrap(), body)
    }

    fn ask(&self, path: &str, posted: Option<&Value>) -> (u16, Value) {
        let (_, status, body) = self.curl(AS_CERTIFICATE, path, posted);
        (status, body)
    }

    fn may(&self, verb: &str, group: &str, resource: &str, namespace: &str) -> bool {
        let attributes = json!({"verb": verb, "group": group, "resource": resource, "namespace": namespace});
        let review = json!({"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1",
            "spec": {"resourceAttributes": attributes}});
        let (status, body) = self.ask(MAY, Some(&review));
        assert_eq!(status, 201, "{body}");
        body["status"]["allowed"].as_bool().unwrap()
    }

    fn helm(&self, line: &str) -> lab::Output {
        let command = format!("helm {line} --kubeconfig /run/kubeconfig");
        let run = ["sudo", "-u", "magnum", "sh", "-c", &command];
        self.machine.run(&run).unwrap()
    }
}

const AS_CERTIFICATE: &str = "--cert /tmp/client.crt --key /tmp/client.key";
const ANONYMOUS: &str = "";

fn who() -> Value {
    json!({"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"})
}

#[test]
#[ignore = "needs root and the lab: cargo xtask test"]
fn whoever_is_known_is_told_so_and_nobody_else() {
    let lab = Lab::start();
    let (status, body) = lab.ask(WHO, Some(&who()));
    assert_eq!(status, 201, "{body}");
    let user = &body["status"]["userInfo"];
    assert_eq!(user["username"], "kubernetes-admin");
    let groups = json!(["kubeadm:cluster-admins", "system:authenticated"]);
    assert_eq!(user["groups"], groups);

    for (path, status) in [("/version", 200), ("/healthz", 200), ("/apis", 403)] {
        assert_eq!(lab.curl(ANONYMOUS, path, None).1, status, "{path}");
    }
    let (_, status, body) = lab.curl(ANONYMOUS, WHO, Some(&who()));
    assert_eq!((status, &body["reason"]), (403, &json!("Forbidden")));
    let message = body["message"].as_str().unwrap();
    assert!(
        message.starts_with(
            "selfsubjectreviews.authentication.k8s.io is forbidden: User \"system:anonymous\" cannot create"
        ),
        "{message}"
    );

    let account = "system:serviceaccount:magnum:capi";
    let [lives, ended] = [600, -1].map(|ends| service_account_token(account, ends));
    for token in [&lives, &ended] {
        lab.cluster.accept_token(&lab.machine, token, account, &["system:serviceaccounts"]).unwrap();
    }
    for (case, token, status) in
        [("a token", &lives, 201), ("a token that ended", &ended, 401), ("an unknown token", &"x.y.z".to_owned(), 401)]
    {
        let how = format!("--header 'Authorization: Bearer {token}'");
        let (_, found, body) = lab.curl(&how, WHO, Some(&who()));
        assert_eq!(found, status, "{case}: {body}");
        match status {
            201 => assert_eq!(body["status"]["userInfo"]["username"], account, "{case}"),
            _ => assert_eq!(body["message"], "Unauthorized", "{case}"),
        }
    }

    let wanted = ClientCertificate::default;
    let cases = [
        ("of an intermediate", 201, ClientCertificate { issuer: Issuer::Intermediate, ..wanted() }),
        ("of a stranger", 401, ClientCertificate { issuer: Issuer::Stranger, ..wanted() }),
        ("that is over", 401, ClientCertificate { not_after: -60, ..wanted() }),
        ("of tomorrow", 401, ClientCertificate { not_before: 86400, ..wanted() }),
    ];
    for (case, status, wanted) in cases {
        lab.certificate(&wanted);
        let (found, body) = lab.ask(WHO, Some(&who()));
        assert_eq!(found, status, "a certificate {case}: {body}");
    }
    let refused = lab.cluster.requests(&lab.machine).unwrap();
    let last = refused.last().unwrap();
    assert_eq!((last.method.as_str(), last.path.as_str()), ("POST", WHO));
    assert_eq!((last.user.as_deref(), last.status), (None, Some(401)));
    lab.cluster.forget_requests(&lab.machine).unwrap();
    assert_eq!(lab.cluster.requests(&lab.machine).unwrap(), []);
}

#[test]
#[ignore = "needs root and the lab: cargo xtask test"]
fn rules_say_who_may_do_what() {
    let lab = Lab::start();
    assert!(lab.may("*", "*", "*", ""));
    let rules = vec![
        Rule { namespace: Some("magnum-1".into()), ..Rule::new(&[""], &["secrets"], &["*"]) },
        Rule::new(&["cluster.x-k8s.io"], &["*"], &["get", "list"]),
        Rule { subject: "system:serviceaccounts".into(), ..Rule::cluster_admin() },
    ];
    let behaviour = Behaviour::default().allowing(rules);
    lab.cluster.behave(&lab.machine, behaviour).unwrap();
    for (verb, group, resource, namespace, allowed) in [
        ("*", "*", "*", "", false),
        ("create", "", "secrets", "magnum-1", true),
        ("create", "", "secrets", "magnum-2", false),
        ("create", "", "secrets", "", false),
        ("list", "cluster.x-k8s.io", "machines", "magnum-2", true),
        ("patch", "cluster.x-k8s.io", "machines", "magnum-2", false),
        ("*", "cluster.x-k8s.io", "machines", "", false),
    ] {
        let found = lab.may(verb, group, resource, namespace);
        assert_eq!(found, allowed, "{verb} {group} {resource} {namespace}");
    }
    let (status, body) = lab.ask(SECRETS, None);
    let message = "secrets is forbidden: User \"kubernetes-admin\" cannot list resource \"secrets\" in API group \
         \"\" in the namespace \"default\"";
    assert_eq!((status, body["message"].as_str()), (403, Some(message)));
    lab.certificate(&ClientCertificate { groups: vec!["system:masters".into()], ..ClientCertificate::default() });
    assert!(lab.may("*", "*", "*", ""), "no rule binds system:masters");
}

#[test]
#[ignore = "needs root and the lab: cargo xtask test"]
fn discovery_says_what_is_served_and_what_is_preferred() {
    let lab = Lab::start();
    let group = "infrastructure.cluster.x-k8s.io";
    let versions = |lab: &Lab| {
        let (status, body) = lab.ask("/apis", None);
        assert_eq!(status, 200);
        let groups = body["groups"].as_array().unwrap();
        let found = groups.iter().find(|found| found["name"] == group);
        found.map(|found| {
            let versions = found["versions"].as_array().unwrap().iter();
            let versions: Vec<String> =
                versions.map(|version| version["version"].as_str().unwrap().to_owned()).collect();
            assert_eq!(found["preferredVersion"]["version"], versions[0]);
            versions.join(" ")
        })
    };
    assert_eq!(versions(&lab).as_deref(), Some("v1beta1 v1alpha7 v1alpha6"));
    let path = format!("/apis/{group}/v1alpha6/namespaces/default/openstackclusters");
    assert_eq!(lab.ask(&path, None).0, 200);
    let behaviour = Behaviour::default().serving(group, &["v1alpha7", "v1beta1"]);
    lab.cluster.behave(&lab.machine, behaviour).unwrap();
    assert_eq!(versions(&lab).as_deref(), Some("v1beta1 v1alpha7"));
    let (status, body) = lab.ask(&path, None);
    assert_eq!((status, body), (404, json!("404 page not found\n")));
    let behaviour = Behaviour::default().serving(group, &[]);
    lab.cluster.behave(&lab.machine, behaviour).unwrap();
    assert_eq!(versions(&lab), None);
    let (status, body) = lab.ask("/apis/cluster.x-k8s.io/v1beta1", None);
    assert_eq!((status, &body["kind"]), (200, &json!("APIResourceList")), "{body}");
}

#[test]
#[ignore = "needs root and the lab: cargo xtask test"]
fn whatever_befalls_a_cluster_can_befall_this_one() {
    let lab = Lab::start();
    let ask = || {
        let (exit, status, _) = lab.curl(AS_CERTIFICATE, "/version", None);
        (exit, status)
    };
    // curl: 28 timed out, 35 and 56 the connection broke, 60 the certificate is no good, 7 refused.
    for (mode, exits, status) in [
        (Mode::Answers, [0, 0], 200),
        (Mode::Silent, [28, 28], 0),
        (Mode::Stalls, [28, 28], 0),
        (Mode::Closes, [35, 56], 0),
        (Mode::AnswersWith(500), [0, 0], 500),
        (Mode::AnswersWith(401), [0, 0], 401),
        (Mode::PresentsStrangersCertificate, [60, 60], 0),
        (Mode::PresentsExpiredCertificate, [60, 60], 0),
        (Mode::Answers, [0, 0], 200),
    ] {
        lab.cluster.behave(&lab.machine, Behaviour::of(mode)).unwrap();
        let (exit, found) = ask();
        assert!(exits.contains(&exit), "{mode:?}: curl says {exit}");
        assert_eq!(found, status, "{mode:?}");
    }
    let secret = json!({"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "kept"}});
    assert_eq!(lab.ask(SECRETS, Some(&secret)).0, 201);
    lab.cluster.stop(&lab.machine).unwrap();
    assert_eq!(ask(), (7, 0));
    let start = Instant::now();
    lab.cluster.serve(&lab.machine).unwrap();
    println!("start: {:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(60));
    assert_eq!(lab.ask(&format!("{SECRETS}/kept"), None).0, 200);
    let (status, body) = lab.ask(SECRETS, Some(&secret));
    assert_eq!((status, &body["reason"]), (409, &json!("AlreadyExists")));
    let (status, body) = lab.ask(&format!("{SECRETS}/none"), None);
    let message = "secrets \"none\" not found";
    assert_eq!((status, &body["message"]), (404, &json!(message)));

    let other = ManagementCluster::fresh(&lab.machine).unwrap();
    assert_ne!(other.ca_pem(), lab.cluster.ca_pem());
    assert_ne!(other.admin(), lab.cluster.admin());
}

#[test]
#[ignore = "needs root and the lab: cargo xtask test"]
fn helm_keeps_its_releases_there() {
    let lab = Lab::start();
    lab.machine.push("/run/kubeconfig", lab.cluster.kubeconfig().as_bytes(), 0o644).unwrap();
    let chart = [
        ("Chart.yaml", "apiVersion: v2\nname: small\nversion: 0.1.0\n"),
        (
            "templates/all.yaml",
            "apiVersion: v1\nkind: Secret\nmetadata: {name: cloud}\nstringData: {a: '{{ .Values.a }}'}\n---\n\
             apiVersion: cluster.x-k8s.io/v1beta1\nkind: Cluster\nmetadata: {name: one}\nspec: {paused: false}\n---\n\
             apiVersion: infrastructure.cluster.x-k8s.io/v1alpha7\nkind: OpenStackCluster\nmetadata: {name: one}\n",
        ),
    ];
    for (name, content) in chart {
        let path = format!("/tmp/small/{name}");
        lab.machine.push(&path, content.as_bytes(), 0o644).unwrap();
    }
    let list = || {
        let run = lab.helm("list --all-namespaces --output json");
        assert!(run.ok(), "{}", run.stderr);
        serde_json::from_str::<Value>(&run.stdout).unwrap()
    };
    assert_eq!(list(), json!([]));
    let namespace = json!({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "magnum-1"}});
    assert_eq!(lab.ask("/api/v1/namespaces", Some(&namespace)).0, 201);
    for revision in ["1", "2"] {
        // As the driver calls it.
        let run = lab.helm(&format!(
            "upgrade one /tmp/small --history-max 10 --install --output json --timeout 5m \
             --set a={revision} --namespace magnum-1"
        ));
        assert!(run.ok(), "{revision}: {}", run.stderr);
        assert_eq!(list()[0]["revision"], revision);
        assert_eq!(list()[0]["status"], "deployed");
    }
    let one = "/namespaces/magnum-1/openstackclusters/one";
    let path = format!("/apis/infrastructure.cluster.x-k8s.io/v1beta1{one}");
    assert_eq!(lab.ask(&path, None).0, 200, "made at another version");
    let run = lab.helm("uninstall one --timeout 5m --namespace magnum-1");
    assert!(run.ok(), "{}", run.stderr);
    assert_eq!(list(), json!([]));

    lab.cluster.behave(&lab.machine, Behaviour::of(Mode::AnswersWith(401))).unwrap();
    let run = lab.helm("list");
    assert!(!run.ok() && run.stderr.contains("asked for the client to provide credentials"), "{}", run.stderr);
    let behaviour = Behaviour::default().allowing(Vec::new());
    lab.cluster.behave(&lab.machine, behaviour).unwrap();
    let run = lab.helm("list");
    assert!(!run.ok() && run.stderr.contains("cannot list resource \"secrets\""), "{}", run.stderr);
}

/// What Magnum does with the driver's client, and what it gets to see.
const DRIVE: &str = r#"
import base64, sys, yaml
from magnum_capi_helm.kubernetes import Client
with open("/run/kubeconfig") as file:
    client = Client(yaml.safe_load(file))
labels = {"capi.stackhpc.com/cluster": "one"}
client.ensure_namespace("magnum-1")
client.ensure_namespace("magnum-1")
secret = {"metadata": {"labels": {"magnum.openstack.org/cluster-uuid": "u"}}, "stringData": {"ca": "CA"}}
client.apply_secret("one-ca", secret, "magnum-1")
kept = client.get("/api/v1/namespaces/magnum-1/secrets/one-ca").json()
assert base64.b64decode(kept["data"]["ca"]) == b"CA", kept
assert client.get_capi_cluster("one", "magnum-1") is None
assert client.get_capi_openstackcluster("one", "magnum-1") is None
assert client.get_machine_deployment("one", "magnum-1") is None
assert client.get_addons_by_label(labels, "magnum-1") == []
assert client.get_all_machines_by_label(labels, "magnum-1") == []
client.delete_all_secrets_by_label("magnum.openstack.org/cluster-uuid", "u", "magnum-1")
assert client.get("/api/v1/namespaces/magnum-1/secrets/one-ca").status_code == 404
print("driven")
"#;

#[test]
#[ignore = "needs root and the lab: cargo xtask test"]
fn every_driver_works_with_it() {
    let lab = Lab::start();
    let kubeconfig = lab.cluster.kubeconfig();
    lab.machine.push("/run/kubeconfig", kubeconfig.as_bytes(), 0o644).unwrap();
    for version in ["1.1.0", "1.2.1", "1.3.0", "1.4.0"] {
        lab.machine
            .shell(&format!(
                "pip3 install --quiet --no-deps --break-system-packages --root-user-action=ignore \
                 magnum-capi-helm=={version}"
            ))
            .unwrap();
        let driven = ["sudo", "-u", "magnum", "python3", "-c", DRIVE];
        let run = lab.machine.run(&driven).unwrap();
        assert_eq!(run.stdout, "driven\n", "{version}: {}", run.stderr);
    }
}
