//! The action `smoketest` against a real Keystone and Magnum, with real RabbitMQ between API and conductor and
//! the real helm; the management cluster, Glance, Nova, Neutron and Cinder are stand-ins.

mod cluster;
mod faults;
mod interrupted;
mod leaks;
mod template;

use std::time::Duration;

use anyhow::{Result, ensure};
use lab::{ActionRun, ActionStatus, Behaviour, Cloud, Controllers, Mode, Release, SecretUri, Signal};
use serde_json::{Value, json};

use crate::support::{Deployment, Lent, Pool, Reusable, STATE, assert_silent, eventually};

/// The passwords of the accounts that ask: none may show.
const PASSWORDS: [&str; 4] =
    ["lab-smoker-password", "lab-onlooker-password", "lab-magnum-password", "lab-trustee-password"];
/// The systemd unit of the cleaner.
const CLEANER: &str = "magnum-capi-helm-smoketest";
/// What every name that the action makes begins with.
const PREFIX: &str = "magnum-capi-helm-smoketest-";
/// As an operator asks Magnum, with the token of the tenant's account.
const TOKEN: &str = r#"T=$(curl -si localhost:5000/v3/auth/tokens -H 'content-type: application/json' -d '{"auth":
{"identity":{"methods":["password"],"password":{"user":{"name":"smoker","domain":{"name":"tenants"},
"password":"lab-smoker-password"}}},"scope":{"project":{"name":"smoke","domain":{"name":"tenants"}}}}}' |
tr -d '\r' | sed -n 's/^X-Subject-Token: //p')"#;

/// What a cloud spends most of a test's time on. Magnum asks the driver for news of its clusters every 10 s; and
/// Keystone looks every role of a token up anew, half a second of CPU time for each request, unless it may cache.
const IN_A_HURRY: &str = r"
    sed -i 's/spacing=10,/spacing=2,/' /usr/local/lib/python3.11/dist-packages/magnum/service/periodic.py
    sed -i '/^\[cache\]/,/^$/ s/^enabled = False/enabled = True\nbackend = dogpile.cache.memory/' /etc/keystone/keystone.conf
    systemctl restart keystone";

/// A unit with the graft in a cloud.
struct Scene {
    it: Deployment,
    cloud: Cloud,
    account: SecretUri,
    /// The services that run at first.
    running: String,
}

/// What the runbook's example names, and the account of a tenant.
fn runbook() -> Value {
    json!({"image": "noble-amd64", "keypair": "capi-workload-key", "external-network": "ext_net",
        "master-flavor": "capi-mgmt-node", "flavor": "capi-mgmt-node",
        "labels": "kube_tag=v1.31.4,boot_volume_size=20,boot_volume_type=standard,octavia_provider=ovn"})
}

/// The content of a secret with an account of the tenant's.
fn account(user: &str) -> Vec<(String, String)> {
    [
        ("auth-url", "http://localhost:5000/v3"),
        ("username", user),
        ("password", &format!("lab-{user}-password")),
        ("project-name", "smoke"),
        ("user-domain-name", "tenants"),
        ("project-domain-name", "tenants"),
        ("region", "RegionOne"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

/// These parameters, with some others or in place of them.
fn with(mut given: Value, change: &Value) -> Value {
    for (key, value) in change.as_object().unwrap() {
        given[key] = value.clone();
    }
    given
}

static SCENES: Pool<Scene> = Pool::new();

impl Scene {
    /// The graft is whole, with a chart that makes what the driver looks at. Others have been here before.
    fn start() -> Lent<Self> {
        SCENES.take(Self::own)
    }

    /// The same, and nobody else comes here.
    fn own() -> Self {
        let it = Deployment::bare_on(Release::Cloud);
        it.shell(IN_A_HURRY);
        let cloud = Cloud::start(it.machine()).unwrap();
        it.application.attach_resource("helm-chart", Some(chart(&it))).unwrap();
        it.deploy();
        it.grant();
        it.hook("config-changed");
        it.assert_status("active", &["Driver 1.1.0 grafted"], "in a cloud");
        let content = account("smoker");
        let content: Vec<(&str, &str)> = content.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let account = it.application.add_secret("tenant", &content).unwrap();
        it.application.grant(&account).unwrap();
        it.machine().wait_for_magnum().unwrap();
        Self { running: it.running(), it, cloud, account }
    }

    /// The account's secret holds this from now on.
    fn account_is(&self, content: &[(String, String)]) {
        let content: Vec<(&str, &str)> = content.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        self.it.application.update_secret(&self.account, &content).unwrap();
    }

    /// The runbook's parameters with a change, as the tenant.
    fn parameters(&self, change: &Value) -> Value {
        let mine = json!({"credentials": self.account.as_ref()});
        with(with(runbook(), &mine), change)
    }

    /// `juju run magnum-capi-helm/0 smoketest …`; nothing secret shows, and nothing is left.
    #[track_caller]
    fn run(&self, change: &Value) -> ActionRun {
        let run = self.it.unit.action("smoketest", &self.parameters(change)).unwrap();
        self.heard(&run);
        assert_eq!(self.left(), "", "{change}: {}", run.results["report"]);
        run
    }

    /// The same, and the action gets these signals, one each time that `condition` holds.
    fn run_signalled(&self, change: &Value, signals: &[Signal], mut condition: impl FnMut(&Self) -> bool) -> ActionRun {
        let given = self.parameters(change);
        let looked = |_: &_| {
            // Each look starts a program: none of the moments is that short.
            std::thread::sleep(Duration::from_millis(100));
            condition(self)
        };
        let run = self.it.unit.action_signalled("smoketest", &given, signals, looked).unwrap();
        self.heard(&run);
        run
    }

    /// Holds what an action said, and what is remembered of it, against the secrets.
    fn heard(&self, run: &ActionRun) {
        eprintln!("{:?}: {}\n{}", run.status, run.message, run.log.join("\n"));
        if run.status == ActionStatus::Failed {
            eprintln!("{}", self.it.why());
        }
        let said = format!("{run:?}");
        assert_silent(&self.it.management, &said, "smoketest");
        let kept = self.it.shell(&format!("grep -ra '' {STATE} || true"));
        assert!(kept.contains("settings.json"), "{kept}");
        for password in PASSWORDS {
            assert!(!said.contains(password), "the action tells a password");
            assert!(!kept.contains(password), "{password} is kept");
        }
    }

    /// Waits until the cleaner has done its work and is gone.
    fn cleaned(&self) {
        let is_there = ["systemctl", "is-active", "--quiet", CLEANER];
        eventually("the cleaner is gone", || !self.it.machine().run(&is_there).unwrap().ok());
    }

    /// The words of all cleaners.
    fn cleaners_words(&self) -> String {
        self.it.shell(&format!("journalctl --sync; journalctl --quiet --no-pager --output=cat -u {CLEANER}"))
    }

    /// Templates and clusters that Magnum has, of anybody, a line each.
    fn left(&self) -> String {
        let table = |table: &str| format!("select '{table} ' || name from {table}");
        self.sql(&[table("cluster"), table("cluster_template")].join(" union all "))
    }

    /// What Magnum's database answers, a line for each row.
    fn sql(&self, query: &str) -> String {
        let program = "import sqlite3, sys\n\
             for row in sqlite3.connect('/var/lib/magnum/magnum.sqlite').execute(sys.argv[1]): print(*row)";
        let asked = ["/usr/bin/python3", "-c", program, query];
        let answer = self.it.machine().run(&asked).unwrap();
        assert!(answer.ok(), "{}", answer.stderr);
        answer.stdout
    }

    /// What was restarted answers again.
    fn settled(&self) {
        self.it.machine().wait_for_magnum().unwrap();
        self.it.shell("for n in $(seq 100); do curl -sf localhost:5000/v3 >/dev/null && exit; sleep 0.1; done; exit 1");
    }

    /// What the management cluster makes of clusters from now on.
    fn controllers(&self, controllers: Controllers) {
        let behaviour = Behaviour::of(Mode::Answers).with(controllers);
        self.it.management.behave(self.it.machine(), behaviour).unwrap();
    }
}

impl Reusable for Scene {
    fn put_right(&self) -> Result<()> {
        self.cloud.faults(self.it.machine(), &[])?;
        self.account_is(&account("smoker"));
        self.it.application.grant(&self.account)?;
        self.it.put_back(&[])?;
        let (left, running) = (self.left(), self.it.running());
        ensure!(left.is_empty() && running == self.running, "{left}{running}");
        Ok(())
    }
}

/// It failed, at this stage, for this link, and the message says these words and the remedy.
#[track_caller]
fn assert_failed(run: &ActionRun, stage: &str, link: &str, word: &str) {
    let told = |key: &str| run.results[key].as_str();
    assert_eq!(run.status, ActionStatus::Failed, "{}", told("report"));
    let found = (told("stage"), told("outcome"), told("chain"));
    assert_eq!(found, (stage, "failed", link), "{}", told("report"));
    assert!(run.message.contains(word), "no {word:?} in {}", run.message);
    assert!(!told("remedy").is_empty() && run.message.contains(told("remedy")));
    assert!(told("report").contains(word), "{}", told("report"));
}

#[track_caller]
fn assert_passed(run: &ActionRun) {
    let told = |key: &str| run.results[key].as_str();
    assert_eq!(run.status, ActionStatus::Completed, "{}\n{}", run.message, told("report"));
    let found = (told("stage"), told("outcome"), told("chain"), told("remedy"));
    assert_eq!(found, ("done", "passed", "", ""), "{}", told("report"));
    assert!(told("template").starts_with(PREFIX));
}

/// A packaged chart with just the objects that the driver reads the state of a cluster from.
fn chart(it: &Deployment) -> Vec<u8> {
    it.machine().push("/root/openstack-cluster/Chart.yaml", include_bytes!("Chart.yaml"), 0o644).unwrap();
    it.machine().push("/root/openstack-cluster/templates/cluster.yaml", include_bytes!("cluster.yaml"), 0o644).unwrap();
    it.shell("cd /root; helm package openstack-cluster >/dev/null");
    it.machine().read("/root/openstack-cluster-0.4.0.tgz").unwrap()
}
