//! The key and the token stand in two places of a unit, and show nowhere else, whatever goes wrong.

use std::cell::RefCell;

use lab::{ClientCertificate, Credential, Fault, HookRun, KeyKind, Machine};
use serde_json::{Value, json};

use crate::support::malformed::malformed;
use crate::support::management::TOKEN;
use crate::support::scanner::{Scanner, sample_processes};
use crate::support::{Deployment, Enough, KUBECONFIG, STATE, pin, soak, timed};

const BOTH: [&str; 2] = ["verify", "plan"];
/// With the archive that people carry away.
const ALL: [&str; 3] = ["verify", "plan", "capture-state"];

/// A unit, and everything that was said about it.
struct Heard {
    it: Deployment,
    said: RefCell<String>,
}

impl Heard {
    fn note(&self, text: &str) {
        self.said.borrow_mut().push_str(text);
    }

    fn hook(&self, name: &str) -> HookRun {
        let run = self.it.failing_hook(name);
        self.note(&run.describe());
        run
    }

    fn rotate(&self, kubeconfig: &str) {
        self.it.update_secret(&[("kubeconfig", kubeconfig)]);
        let run = self.hook("secret-changed");
        assert_eq!(run.exit, Some(0), "{}", run.describe());
    }

    fn actions(&self, names: &[&str]) {
        for name in names {
            let action = self.it.action(name);
            self.note(&format!("{action:?}"));
            if let Some(archive) = action.results.get("path") {
                self.note(&self.it.shell(&format!("tar -xzOf {archive}")));
            }
        }
    }

    fn preflight(&self, kubeconfig: &str, format: &str) {
        let it = &self.it;
        let path = "/root/given.kubeconfig";
        it.machine().push(path, kubeconfig.as_bytes(), 0o600).unwrap();
        let program = format!("{}/dispatch", it.unit.charm_directory());
        let options = ["--kubeconfig", path, "--conf", path, "--format", format];
        let command: Vec<&str> = [program.as_str(), "preflight"].into_iter().chain(options).collect();
        let run = it.machine().run(&command).unwrap();
        assert!(matches!(run.code, Some(0 | 1)), "{}", run.stderr);
        self.note(&run.stdout);
        self.note(&run.stderr);
        it.machine().remove(path).unwrap();
    }
}

/// A process with a secret in its command line and its environment.
const PLANT: &str = r"
import os, shutil, sys
shutil.copy('/usr/bin/tail', '/run/planted')
secret = sys.stdin.read()
os.execve('/run/planted', ['tail', '--pid', str(os.getppid()), '-f', '/dev/null', secret], {'LEAK': secret})
";

fn run_with_secret(machine: &Machine, secret: &str) {
    let command = ["timeout", "3", "/usr/bin/python3", "-c", PLANT];
    let run = machine.run_with_input(&command, Some(secret.as_bytes()));
    assert_eq!(run.unwrap().code, Some(124));
}

/// Everything that goes right and wrong in the life of a kubeconfig.
fn live(heard: &Heard, second: &Credential) {
    let it = &heard.it;
    let first = it.management.admin().clone();
    let good = [&first, second].map(|credential| it.management.kubeconfig_for(credential));
    for run in it.deploy() {
        heard.note(&run.describe());
    }
    it.grant();
    heard.hook("config-changed");
    it.assert_status("active", &["grafted"], "granted");
    heard.rotate(&good[1]);
    it.assert_in_place(&good[1], "a good one");
    heard.actions(&BOTH);
    for (number, (case, bad)) in malformed(it, second, &first).into_iter().step_by(soak(3, 1)).enumerate() {
        heard.rotate(&bad);
        it.assert_status("blocked", &["kubeconfig"], case);
        it.assert_in_place(&good[1], case);
        heard.preflight(&bad, ["table", "json"][number % 2]);
        if number % 10 == 0 {
            heard.actions(&BOTH);
        }
    }
    heard.rotate(&good[0]);
    it.assert_status("active", &["grafted"], "a good one at last");

    for tool in ["config-get", "secret-get", "status-set"] {
        let complaint = Fault::Exit { code: 1, stderr: "ERROR cannot reach the controller\n".into() };
        for fault in [Fault::Missing, complaint] {
            it.unit.break_tool(tool, fault).unwrap();
            let run = heard.hook("secret-changed");
            assert_eq!(run.exit, Some(1), "{}", run.describe());
            heard.actions(&["plan"]);
            it.unit.mend_tool(tool).unwrap();
        }
    }
    // What the charm remembers is damaged, and the kubeconfig on the unit is.
    for name in ["settings.json", "management.json"] {
        let path = format!("{STATE}/{name}");
        for harm in ["truncate -s -20", "sed -i 's/\"apiVersion/7, \"apiVersion/'"] {
            it.shell(&format!("cp -a {path} /root/undamaged; {harm} {path}"));
            let run = heard.hook("update-status");
            // What only remembers answers is made anew.
            let expected = i32::from(name == "settings.json");
            assert_eq!(run.exit, Some(expected), "{harm} {path}: {}", run.describe());
            heard.actions(&["plan"]);
            it.shell(&format!("mv /root/undamaged {path}"));
        }
    }
    it.shell(&format!("sed -i 's/LS0t/LS0/' {KUBECONFIG}"));
    heard.actions(&ALL);
    heard.hook("update-status");
    it.assert_in_place(&good[0], "put back");

    for version in ["1.2.1", "1.3.0"] {
        it.set(&[("driver-pin", &pin(version))]);
        heard.hook("config-changed");
        it.assert_status("active", &[version], "another pin");
    }
    heard.rotate(&it.kubeconfig_with_token());
    it.assert_status("active", &["1.3.0"], "a token");
    heard.actions(&ALL);
    it.management.stop(it.machine()).unwrap();
    heard.hook("update-status");
    heard.actions(&BOTH);
    it.management.serve(it.machine()).unwrap();
    it.application.revoke(&it.secret).unwrap();
    heard.hook("update-status");
    it.application.grant(&it.secret).unwrap();
    heard.rotate(&good[1]);
    heard.note(&format!("{:?}", it.unit.status_history()));
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn no_piece_of_a_key_or_a_token_stands_or_shows_anywhere_else() {
    let it = Deployment::bare();
    let machine = it.machine();
    let rsa = ClientCertificate { key: KeyKind::RsaPkcs1, ..ClientCertificate::default() };
    let make = |wanted: &ClientCertificate| it.management.credential(machine, wanted).unwrap();
    let (second, like_second) = (make(&rsa), make(&rsa));
    let like_first = make(&ClientCertificate::default());
    let first = it.management.admin().clone();
    let alike = [&like_first, &like_second];
    let scanner = Scanner::new(machine, &[&first, &second], &alike, &[TOKEN]);
    eprintln!("{} pieces", scanner.pieces().len());
    assert!(scanner.pieces().len() > 900);
    let heard = Heard { it, said: RefCell::default() };
    let machine = heard.it.machine();

    let sampled = std::thread::scope(|scope| {
        let sampler = scope.spawn(|| sample_processes(machine, scanner.pieces()));
        let enough = Enough(machine);
        let looked = "until test -e /run/looked; do sleep 0.1; done";
        machine.shell(looked).unwrap();
        run_with_secret(machine, &second.key_data()[501..525]);
        timed("a life of mistakes", || live(&heard, &second));
        drop(enough);
        sampler.join().unwrap()
    });
    eprintln!("{}", sampled.stdout.trim());
    assert!(sampled.ok(), "{}", sampled.stderr);
    let sampled: Value = serde_json::from_str(&sampled.stdout).unwrap();
    // The sampler is no blind one: it has seen the process that was planted, and no other.
    let planted = ["cmdline of planted", "environ of planted"];
    assert_eq!(sampled["seen"], json!(planted));
    assert!(sampled["runs"].as_u64().unwrap() > 10, "{sampled}");
    assert_eq!(sampled["core"], json!(["0 0"]), "core dumps of the charm");

    let said = heard.said.borrow();
    eprintln!("said: {} bytes", said.len());
    assert!(!scanner.shows_in(&said), "the charm said a piece");
    let journal = scanner.journal(machine);
    assert!(journal.is_empty(), "{} lines of the journal", journal.len());
    let files = timed("the whole unit", || scanner.files(machine));
    eprintln!("{files:?}");
    let may = |path: &String| path == KUBECONFIG || path.starts_with(&format!("{STATE}/"));
    let others: Vec<_> = files.iter().filter(|path| !may(path)).collect();
    assert_eq!(others, [""; 0], "files with a piece");
    assert!(files.contains(KUBECONFIG), "{files:?}");
    assert_private(&heard.it);

    // The scanner is no blind one either.
    let key = second.key_data();
    let numbers: Vec<String> = key_bytes(&second).map(|byte| byte.to_string()).collect();
    let lines: Vec<&str> = second.key_pem.lines().collect();
    let planted = [
        ("/tmp/odd", key[777..800].to_owned()),
        ("/root/pem", lines[5][3..26].to_owned()),
        ("/var/log/go", format!("[]byte{{{}}}", numbers[101..116].join(" "))),
        ("/srv/token", TOKEN[40..63].to_owned()),
    ];
    for (path, content) in &planted {
        machine.push(path, content.as_bytes(), 0o600).unwrap();
        assert!(scanner.shows_in(content), "{path}");
    }
    let found = scanner.files(machine);
    for (path, _) in planted {
        assert!(found.contains(path), "{path}: {found:?}");
        machine.remove(path).unwrap();
    }
    machine.run_with_input(&["logger"], Some(&key.as_bytes()[900..923])).unwrap();
    heard.it.shell("journalctl --sync");
    assert_eq!(scanner.journal(machine).len(), 1);
    heard.it.shell("journalctl --rotate --vacuum-size=1; rm -rf /var/log/journal /run/log/journal");

    // When the charm goes, so does every piece.
    heard.it.remove();
    let files = scanner.files(machine);
    assert!(files.is_empty(), "after the charm has left: {files:?}");
}

/// What the charm remembers is root's alone.
fn assert_private(it: &Deployment) {
    let directory = it.shell(&format!("stat -c '%U:%G %a' {STATE}"));
    assert_eq!(directory, "root:root 700\n");
    let open = it.shell(&format!("find {STATE} -type f \\( -perm /077 -o -not -user root \\)"));
    assert_eq!(open, "", "files of the state that others may read");
}

fn key_bytes(credential: &Credential) -> impl Iterator<Item = u8> {
    credential.key_pem.clone().into_bytes().into_iter()
}
