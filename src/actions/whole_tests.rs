//! The life of the charm on a unit, with a directory for its root and a function for its programs: hooks, the guard, the
//! actions but smoketest, and removal.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nix::time::{ClockId, clock_gettime};
use serde_json::json;

use super::run;
use crate::driver::tests::{SITE, wheel};
use crate::escape::ARGUMENT_BYTES;
use crate::juju::Context;
use crate::kubeconfig::testing::{cluster, fixture, kubeconfig};
use crate::magnum::Service;
use crate::reconcile;
use crate::services::drop_in_path;
use crate::system::testing::{Scratch, command_line};
use crate::system::{Account, Command, Host, Output, Root, STATE_DIRECTORY, System, state_path};

const CONF: &str = "/etc/magnum/magnum.conf.d/99-capi.conf";
const KUBECONFIG: &str = "/etc/magnum/kubeconfig";

/// What the programs of the unit know.
struct Machine {
    root: Root,
    kubeconfig: String,
    is_watching: bool,
    /// The number of the services' starts.
    starts: i32,
    ran: Vec<String>,
}

#[derive(Clone)]
struct Played(Arc<Mutex<Machine>>);

impl Host for Played {
    fn run(&self, command: &Command) -> Result<Output> {
        let mut machine = self.0.lock().unwrap();
        anyhow::ensure!(command.args.iter().all(|arg| arg.len() <= ARGUMENT_BYTES), "Argument list too long");
        let line = command_line(command);
        machine.ran.push(line.clone());
        let (code, stdout, stderr) = machine.play(&line);
        Ok(Output { name: command.name(), code: Some(code), stdout: stdout.into_bytes(), stderr, signal: None })
    }

    fn account(&self, _: &str) -> Result<Option<Account>> {
        // The owner of the directory, whoever runs the test.
        Ok(Some(Account { uid: 0, gid: 0, home: "/var/lib/magnum".into() }))
    }
}

impl Machine {
    fn play(&mut self, line: &str) -> (i32, String, String) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let name = words[0].rsplit('/').next().unwrap();
        let printed = match (name, words.get(1).copied().unwrap_or_default()) {
            ("config-get", _) => {
                json!({"driver-pin": "magnum-capi-helm==1.1.0", "kubeconfig": "secret:x", "guard": true}).to_string()
            }
            ("secret-get", _) => json!({"kubeconfig": self.kubeconfig}).to_string(),
            ("resource-get", "driver-wheel") => "/resources/driver.whl".to_owned(),
            ("resource-get", _) => return (1, String::new(), "ERROR resource not found".to_owned()),
            ("goal-state", _) => json!({"relations": {"magnum": {"magnum/0": {"status": "active"}}}}).to_string(),
            ("relation-ids", _) => "[]".to_owned(),
            ("systemctl", "show") => {
                let units = line.split_once(" -- ").unwrap().1;
                units.split(' ').map(|unit| self.show(unit)).collect()
            }
            ("systemctl", "restart") => {
                self.start();
                String::new()
            }
            ("systemctl", _) => {
                let switched = words.iter().find(|word| ["enable", "disable"].contains(word));
                self.is_watching = switched.map_or(self.is_watching, |switched| *switched == "enable");
                String::new()
            }
            ("helm", "version") => "v3.17.3+ge4da497".to_owned(),
            ("helm", "list") => {
                let said = "Error: Kubernetes cluster unreachable: Get \"https://127.0.0.1:1/version\": refused";
                return (1, String::new(), said.to_owned());
            }
            ("python3", _) => self.answer(line),
            _ => String::new(),
        };
        (0, printed, String::new())
    }

    fn answer(&self, line: &str) -> String {
        let options = ["kubeconfig_file", "helm_chart_repo", "helm_chart_name"];
        let question = line.split(" - ").nth(1).and_then(|rest| rest.split(' ').next());
        match question {
            Some("where") => {
                json!({"version": "3.11.2", "site": SITE, "path": [SITE, "/usr/lib/python3/dist-packages"]})
            }
            Some("driver") => json!({"version": "1.1.0", "missing": [], "options": options}),
            Some("client") => json!({"version": "1.1.0", "client": {"answer": true}}),
            Some("verify") => json!({
                "loads": {"answer": {
                    "version": "1.1.0", "class": "magnum_capi_helm.driver.Driver", "missing": [],
                    "file": format!("{SITE}/magnum_capi_helm/driver.py"), "provides": ["(vm, ubuntu, kubernetes)"],
                }},
                "conductor": {"configuration": {"answer": true}, "effective": {"answer": {
                    "capi_helm.kubeconfig_file": {"value": KUBECONFIG, "from": CONF},
                    "drivers.disabled_drivers": {"value": ["heat"], "from": CONF},
                }}},
                "enabled": {"answer": {"k8s_capi_helm_v1": ["(vm, ubuntu, kubernetes)"]}},
                "kubeconfig": {"answer": 5000},
                "trust": {"answer": "accepted"},
            }),
            Some("proof") => json!(null),
            Some("inventory") => json!({"configuration": ["a = b"], "drivers": ["x = y"], "distributions": ["z==1 /"]}),
            _ => json!([]),
        }
        .to_string()
    }

    /// Starts both services: another process each, with the command line of the drop-in.
    fn start(&mut self) {
        // A tick of the clock is ten milliseconds.
        std::thread::sleep(Duration::from_millis(40));
        self.starts += 1;
        let up = Duration::from(clock_gettime(ClockId::CLOCK_BOOTTIME).unwrap());
        for service in Service::ALL {
            let directory = format!("/proc/{}", self.pid(service));
            self.root.make_directories(Path::new(&directory)).unwrap();
            let command_line = format!("/usr/bin/python3 {}", self.exec_start(service)).replace(' ', "\0");
            let stat = format!("1 (magnum) S{} {} 0", " 0".repeat(18), up.as_millis() / 10);
            for (name, content) in [("cmdline", command_line), ("stat", stat)] {
                let path = Path::new(&directory).join(name);
                self.root.write(&path, content.as_bytes(), crate::system::Access::PUBLIC).unwrap();
            }
        }
    }

    fn pid(&self, service: Service) -> i32 {
        self.starts * 10 + i32::from(service == Service::Api)
    }

    fn exec_start(&self, service: Service) -> String {
        let drop_in = self.root.read_text(Path::new(drop_in_path(service))).unwrap().unwrap_or_default();
        let line = drop_in.lines().filter_map(|line| line.strip_prefix("ExecStart=")).next_back();
        line.map_or_else(|| service.program().to_owned(), str::to_owned)
    }

    fn show(&self, unit: &str) -> String {
        let service = Service::ALL.into_iter().find(|service| service.unit() == unit);
        let Some(service) = service else {
            let state = if self.is_watching { "active" } else { "inactive" };
            return format!("Id={unit}\nLoadState=loaded\nActiveState={state}\nUnitFileState=enabled\n\n");
        };
        let drop_in = Path::new(drop_in_path(service));
        let drop_in = if self.root.is_file(drop_in).unwrap() { drop_in.to_str().unwrap() } else { "" };
        format!(
            "Id={unit}\nLoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\nMainPID={}\n\
             ExecStart={{ path=x ; argv[]={} ; ignore_errors=no }}\nDropInPaths={drop_in}\n\n",
            self.pid(service),
            self.exec_start(service)
        )
    }
}

/// A unit with a running Magnum whose API answers, and a management cluster that serves this version of the provider.
fn unit(openstack: &'static str) -> (Scratch, System, Played) {
    let scratch = Scratch::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            BufReader::new(&stream).lines().map_while(Result::ok).find(String::is_empty);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
        }
    });
    for program in ["/usr/bin/magnum-api", "/usr/bin/magnum-conductor"] {
        scratch.put(program, "#!/usr/bin/python3\n");
    }
    scratch.put("/usr/bin/python3", "");
    scratch.put("/etc/magnum/magnum.conf", format!("[api]\nport = {port}\n"));
    scratch.put("/usr/local/bin/helm", "");
    std::fs::set_permissions(scratch.path("/usr/local/bin/helm"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let magnum = "/usr/lib/python3/dist-packages/magnum-18.0.0.dist-info/entry_points.txt";
    scratch.put(magnum, "[magnum.drivers]\nheat = magnum.heat:Driver\n");
    scratch.put("/resources/driver.whl", wheel(&[]));
    let server = cluster(openstack, |_| true).server;
    let [authority, certificate, key] =
        ["server-ca.crt", "client.crt", "client-pkcs8.key"].map(|name| STANDARD.encode(fixture(name)));
    let kubeconfig = kubeconfig(
        &format!("server: {server:?}, certificate-authority-data: {authority}"),
        &format!("client-certificate-data: {certificate}, client-key-data: {key}"),
    );
    let root = scratch.root.clone();
    let machine = Machine { root: root.clone(), kubeconfig, is_watching: false, starts: 0, ran: Vec::new() };
    let played = Played(Arc::new(Mutex::new(machine)));
    played.0.lock().unwrap().start();
    (scratch, System::new(root, played.clone()), played)
}

fn context() -> Context {
    Context {
        unit: "magnum-capi-helm/0".to_owned(),
        principal: "magnum/0".to_owned(),
        departing: None,
        proxy: Vec::new(),
        charm: "0".to_owned(),
    }
}

#[test]
fn the_graft_comes_stays_is_verified_and_goes() {
    let (scratch, system, played) = unit("v1alpha7");
    let context = context();
    let ran = || std::mem::take(&mut played.0.lock().unwrap().ran);
    let last =
        |name: &str, ran: &[String]| ran.iter().rfind(|line| line.starts_with(name)).cloned().unwrap_or_default();

    reconcile::reconcile(&system, "config-changed", &context).unwrap();
    let status = last("status-set", &ran());
    assert!(status.starts_with("status-set -- active Driver 1.1.0 grafted"), "{status}");
    assert!(scratch.text(CONF).unwrap().contains("disabled_drivers = heat"));
    assert!(scratch.text(KUBECONFIG).is_some() && scratch.text(drop_in_path(Service::Api)).is_some());
    assert_eq!(played.0.lock().unwrap().starts, 2, "both services restart once");

    // Nothing is left to do.
    reconcile::reconcile(&system, "update-status", &context).unwrap();
    let programs = ran();
    let names: Vec<&str> = programs.iter().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(names, ["config-get", "secret-get", "systemctl"], "{programs:?}");

    // A hook that has said what it does says how that ended.
    scratch.put(CONF, "other");
    reconcile::reconcile(&system, "update-status", &context).unwrap();
    assert!(last("status-set", &ran()).starts_with("status-set -- active Driver 1.1.0 grafted"));

    // Drift is repaired by the guard, and no service restarts.
    scratch.put(CONF, "other");
    reconcile::repair(&system).unwrap();
    assert!(scratch.text(CONF).unwrap().contains("disabled_drivers = heat"));
    assert_eq!(played.0.lock().unwrap().starts, 2);

    for (action, words) in [
        ("plan", vec!["changes=0"]),
        ("verify", vec!["driver-record", "service-command-line", "management-identity"]),
        ("restart", vec!["restarted=nothing was due"]),
        ("capture-state", vec!["path=/var/lib/magnum-capi-helm/captures/"]),
    ] {
        ran();
        run(&system, action, &context).unwrap();
        let set = last("action-set", &ran());
        for word in words {
            assert!(set.contains(word), "{action}: no {word} in {set}");
        }
    }
    run(&system, "other", &context).unwrap();
    assert!(last("action-fail", &ran()).contains("no action other"));

    reconcile::remove(&system).unwrap();
    for path in [CONF, KUBECONFIG, drop_in_path(Service::Api), "/var/lib/magnum-capi-helm/settings.json"] {
        assert_eq!(scratch.text(path), None, "{path}");
    }
    assert_eq!(played.0.lock().unwrap().starts, 3, "the services go on without the graft");
}

#[test]
fn a_damaged_file_of_answers_fails_no_hook() {
    let (scratch, system, _) = unit("v1alpha7");
    reconcile::reconcile(&system, "config-changed", &context()).unwrap();
    let mut files = system.root.names(Path::new(STATE_DIRECTORY)).unwrap();
    // Backups and the last good settings cannot be made anew.
    files.retain(|name| name.ends_with(".json") && !["ledger.json", "settings.json"].contains(&name.as_str()));
    for name in ["helm.json", "record.json", "resources.json", "running.json"] {
        assert!(files.contains(&name.to_owned()), "{name}: {files:?}");
    }
    for name in files {
        scratch.put(state_path(&name), "{");
        let hook = reconcile::reconcile(&system, "update-status", &context());
        hook.unwrap_or_else(|error| panic!("{name}: {error:#}"));
        for action in ["verify", "capture-state"] {
            run(&system, action, &context()).unwrap();
        }
    }
}

#[test]
fn a_version_of_200_000_letters_on_the_management_cluster_fails_no_hook_and_nothing_leaves_raw() {
    let version = "\u{1b}[2J\u{202e}".to_owned() + &"v".repeat(200_000);
    let (_scratch, system, played) = unit(version.leak());
    for hook in ["config-changed", "update-status"] {
        reconcile::reconcile(&system, hook, &context()).unwrap();
    }
    for action in ["plan", "verify", "capture-state"] {
        run(&system, action, &context()).unwrap();
    }
    let ran = &played.0.lock().unwrap().ran;
    let of = |tool: &str| ran.iter().filter(|line| line.starts_with(tool)).cloned().collect::<Vec<_>>();
    assert_eq!(of("status-set -- blocked Management cluster does not fit driver or chart").len(), 1, "{ran:?}");
    assert_eq!(of("action-set").len(), 3);
    assert!(of("action-fail")[0].contains("management-capi"));
    let is_harmless = |c: char| (!c.is_control() || c == '\n') && c != '\u{202e}';
    assert!(ran.iter().all(|line| line.chars().all(is_harmless)));
}
