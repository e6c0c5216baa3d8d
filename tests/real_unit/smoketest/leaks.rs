//! The account that asks shows nowhere and stands nowhere: not its password, not a token of Keystone's.

use lab::{Controllers, Signal};
use serde_json::{Value, json};

use super::{PREFIX, Scene, account};
use crate::support::scanner::{Scanner, sample_processes};
use crate::support::{Enough, timed};

const PASSWORD: &str = "gq7Zr2Vd-wL0sXk5Tn9b-Yh3Jc8Mf1Pa-u6Ee4Ro_iKxQ2zB7vN5m";
/// With what every token begins: a version, and most of the time in which it was made.
const FERNET: &str = "gAAAAA";

/// As people change theirs.
const CHANGE_PASSWORD: &str = r#"
import json, sys, urllib.request
def ask(path, body, headers={}):
    headers = {"Content-Type": "application/json", **headers}
    request = urllib.request.Request(f"http://localhost:5000/v3{path}", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        return answer.headers, answer.read()
old = "lab-smoker-password"
user = {"name": "smoker", "domain": {"name": "tenants"}, "password": old}
headers, body = ask("/auth/tokens", {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}})
user = json.loads(body)["token"]["user"]["id"]
change = {"user": {"original_password": old, "password": sys.stdin.read()}}
ask(f"/users/{user}/password", change, {"X-Auth-Token": headers["X-Subject-Token"]})
"#;

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn no_piece_of_a_password_or_a_token_stands_or_shows_anywhere() {
    let scene = Scene::own();
    scene.controllers(Controllers::Idle);
    let machine = scene.it.machine();
    // Keystone keeps a hash of it.
    machine
        .run_with_input(&["/usr/bin/python3", "-c", CHANGE_PASSWORD], Some(PASSWORD.as_bytes()))
        .map(|run| assert!(run.ok(), "{}", run.stderr))
        .unwrap();
    let scanner = Scanner::new(machine, &[], &[], &[PASSWORD]);
    let mut content = account("smoker");
    content[2].1 = PASSWORD.into();
    let mut wrong = content.clone();
    wrong[3].1 = "nope".into();

    let mut pieces = scanner.pieces().clone();
    pieces.insert(FERNET.into());
    let (sampled, said) = std::thread::scope(|scope| {
        let sampler = scope.spawn(|| sample_processes(machine, &pieces));
        let enough = Enough(machine);
        let mut said = String::new();
        timed("four runs", || {
            scene.account_is(&wrong);
            said += &format!("{:?}", scene.run(&json!({})));
            scene.account_is(&content);
            said += &format!("{:?}", scene.run(&json!({"image": "nope"})));
            said += &format!("{:?}", scene.run(&json!({"endpoint": "internal"})));
            let cluster = json!({"create-cluster": true, "timeout": 240});
            let run = scene.run_signalled(&cluster, &[Signal::SIGKILL], |scene| {
                scene.left().contains(&format!("cluster {PREFIX}"))
            });
            said += &format!("{run:?}");
            scene.cleaned();
        });
        drop(enough);
        (sampler.join().unwrap(), said)
    });
    eprintln!("{}", sampled.stdout.trim());
    assert!(sampled.ok(), "{}", sampled.stderr);
    let sampled: Value = serde_json::from_str(&sampled.stdout).unwrap();
    assert_eq!(sampled["seen"], json!([]), "in a process");
    assert!(sampled["looks"].as_u64().unwrap() > 20, "{sampled}");

    assert!(said.contains("HTTP 401") && said.contains(") is requested"), "{said}");
    let said = said + &scene.cleaners_words();
    assert!(!scanner.shows_in(&said) && !said.contains(FERNET), "{said}");
    assert!(scanner.journal(machine).is_empty(), "in the journal");
    let tokens = format!("journalctl --quiet --no-pager --all | grep -c {FERNET} || true");
    assert_eq!(scene.it.shell(&tokens), "0\n", "tokens in the journal");
    let files = timed("the whole unit", || scanner.files(machine));
    assert!(files.is_empty(), "{files:?}");

    assert_eq!(scene.left(), "", "{}", scene.cleaners_words());

    // No blind look: what is planted is found.
    machine.push("/root/planted", &PASSWORD.as_bytes()[7..33], 0o600).unwrap();
    assert!(scanner.files(machine).contains("/root/planted"));
}
