//! A stand-in for the Cluster API management cluster: an API server on the machine's loopback that keeps a real
//! one's semantics as far as the charm, the driver and helm ask it. It makes no clusters.
//!
//! TLS, client certificates of a CA of its own, bearer tokens, RBAC, discovery, questions about oneself, and
//! objects. A client certificate that is no good passes the handshake and gets 401, as with a real server. Two
//! things are not as there: only HTTP/1.1 is spoken, and whoever watches sees the end at once.
//!
//! Everything of it lies below `/run`, and is gone after a reboot of the machine until it is started again.

mod behaviour;
mod credential;
mod kubeconfig;

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;

pub use behaviour::{Behaviour, Controllers, Mode, Request, Rule};
pub use credential::{ClientCertificate, Credential, Digest, Issuer, KeyKind, Purpose, service_account_token};

use crate::Machine;
use crate::host::lock;
use behaviour::Token;
use credential::{DAY, Order};

const DIRECTORY: &str = "/run/management-cluster";
const SERVICE: &str = "management-cluster";
/// Where it answers, besides the loopback addresses: an address of each machine that is served. A kubeconfig that names
/// a loopback address is one that was copied from a node.
const ADDRESS: &str = "198.51.100.1";
const SERVER: &str = "https://198.51.100.1:6443";
/// The unit's own Python, without what a user or the environment adds, and leaving no compiled files.
const PYTHON: [&str; 4] = ["/usr/bin/python3", "-B", "-E", "-s"];
/// The names in the server's certificate, beside its addresses. The last is for whoever puts it into `/etc/hosts`.
const SERVER_NAMES: [&str; 3] = ["localhost", "kubernetes", "capi.example.test"];
/// It takes a third of a second to start; a slow machine may take longer.
const START_LIMIT: Duration = Duration::from_secs(30);

/// The certificates of a cluster.
#[derive(Debug, Clone)]
struct Certificates {
    authority: Credential,
    intermediate: Credential,
    former_intermediate: Credential,
    stranger: Credential,
    /// What the server may present: its own, a stranger's, one that is over.
    presented: [(&'static str, Credential); 3],
    admin: Credential,
}

/// The stand-in. It is not tied to a machine: the same cluster can be served on several, as one cluster that
/// several units reach.
#[derive(Debug)]
pub struct ManagementCluster {
    certificates: Certificates,
    behaviour: Mutex<Behaviour>,
    tokens: Mutex<Vec<Token>>,
    issued: Mutex<Vec<Credential>>,
}

impl ManagementCluster {
    /// A cluster that answers, with default behaviour.
    pub fn start(machine: &Machine) -> Result<Self> {
        let cluster = Self::new(machine)?;
        cluster.serve(machine)?;
        Ok(cluster)
    }

    /// The credentials of a cluster, and no server. Clusters of one process share a CA and an administrator, as
    /// making them takes longer than anything else.
    pub fn new(machine: &Machine) -> Result<Self> {
        static SHARED: OnceLock<Mutex<Option<Certificates>>> = OnceLock::new();
        let mut shared = lock(SHARED.get_or_init(Mutex::default));
        if let Some(certificates) = &*shared {
            return Ok(Self::of(certificates.clone()));
        }
        let made = Certificates::make(machine)?;
        *shared = Some(made.clone());
        Ok(Self::of(made))
    }

    /// Like [`ManagementCluster::new`], with a CA and an administrator of its own.
    pub fn fresh(machine: &Machine) -> Result<Self> {
        Ok(Self::of(Certificates::make(machine)?))
    }

    fn of(certificates: Certificates) -> Self {
        Self {
            issued: Mutex::new(vec![certificates.admin.clone()]),
            certificates,
            behaviour: Mutex::default(),
            tokens: Mutex::default(),
        }
    }

    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.certificates.authority.certificate_pem
    }

    #[must_use]
    pub fn admin(&self) -> &Credential {
        &self.certificates.admin
    }

    /// A client certificate, made in the machine: a quarter of a second, and more for RSA.
    pub fn credential(&self, machine: &Machine, wanted: &ClientCertificate) -> Result<Credential> {
        let (name, issuer) = match wanted.issuer {
            Issuer::Cluster => ("ca", &self.certificates.authority),
            Issuer::Intermediate => ("intermediate", &self.certificates.intermediate),
            Issuer::FormerIntermediate => ("intermediate", &self.certificates.former_intermediate),
            Issuer::Stranger => ("stranger", &self.certificates.stranger),
        };
        let issuers = BTreeMap::from([(name, issuer)]);
        let made = credential::make(machine, &issuers, &[Order::client(wanted, name)])?;
        let mut made = made.into_iter().next().context("no certificate was made")?;
        if name == "intermediate" {
            made.certificate_pem += &issuer.certificate_pem;
        }
        lock(&self.issued).push(made.clone());
        Ok(made)
    }

    /// The CA's certificate as it was before it was renewed, PEM: the same name and key, and over.
    pub fn former_ca_pem(&self, machine: &Machine) -> Result<String> {
        let issuers = BTreeMap::from([("ca", &self.certificates.authority)]);
        let order = Order { key_of: Some("ca"), ..over(Order::new("ca", "authority", None)) };
        let made = credential::make(machine, &issuers, &[order])?;
        let former = made.into_iter().next().context("no certificate was made")?;
        Ok(former.certificate_pem)
    }

    /// All client certificates so far, the administrator's first: none of their keys may show anywhere.
    #[must_use]
    pub fn issued(&self) -> Vec<Credential> {
        lock(&self.issued).clone()
    }

    /// The cluster answers from now on. What it kept and how it behaves is as it was when it stopped.
    pub fn serve(&self, machine: &Machine) -> Result<()> {
        let file = |name: &str| format!("{DIRECTORY}/{name}");
        for (name, program) in [
            ("server.py", include_str!("management/server.py")),
            ("answers.py", include_str!("management/answers.py")),
            ("objects.py", include_str!("management/objects.py")),
            ("protobuf.py", include_str!("management/protobuf.py")),
            ("ca.crt", self.ca_pem()),
        ] {
            machine.push(&file(name), program.as_bytes(), 0o644)?;
        }
        for (name, pair) in &self.certificates.presented {
            let certificate = pair.certificate_pem.as_bytes();
            machine.push(&file(&format!("{name}.crt")), certificate, 0o644)?;
            machine.push(&file(&format!("{name}.key")), pair.key_pem.as_bytes(), 0o600)?;
        }
        self.tell(machine)?;
        machine.shell(&format!("ip address replace {ADDRESS}/32 dev lo"))?;
        machine.remove(&file("ready"))?;
        let program = file("server.py");
        let unit = format!("--unit={SERVICE}");
        let mut command = vec!["systemd-run", "--quiet", "--collect", &unit];
        command.extend(PYTHON);
        command.push(&program);
        let started = machine.run(&command)?;
        let end = Instant::now() + START_LIMIT;
        while started.ok() && Instant::now() < end {
            for _ in 0..50 {
                if machine.exists(&file("ready"))? {
                    return Ok(());
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            if !machine.run(&["systemctl", "is-active", "--quiet", SERVICE])?.ok() {
                break;
            }
        }
        let journal = machine.run(&["journalctl", "--quiet", "-o", "cat", "-n20", "-u", SERVICE])?;
        bail!("the stand-in for the management cluster does not come up: {}{}", started.stderr, journal.stdout)
    }

    /// From now on connections are refused.
    pub fn stop(&self, machine: &Machine) -> Result<()> {
        machine.shell(&format!("systemctl stop {SERVICE}")).map(drop)
    }

    /// How the cluster behaves from the next request on.
    pub fn behave(&self, machine: &Machine, behaviour: Behaviour) -> Result<()> {
        *lock(&self.behaviour) = behaviour;
        self.tell(machine)
    }

    /// The cluster knows this bearer token from now on, until its `exp` if it is a JWT.
    pub fn accept_token(&self, machine: &Machine, token: &str, user: &str, groups: &[&str]) -> Result<()> {
        lock(&self.tokens).push(Token {
            token: token.into(),
            user: user.into(),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        });
        self.tell(machine)
    }

    /// Every request since the start or since they were forgotten, in the order of their arrival.
    pub fn requests(&self, machine: &Machine) -> Result<Vec<Request>> {
        let log = format!("{DIRECTORY}/requests");
        if !machine.exists(&log)? {
            return Ok(Vec::new());
        }
        let text = machine.read_text(&log)?;
        let parse = |line| serde_json::from_str(line).context("a line of the request log");
        text.lines().map(parse).collect()
    }

    /// Start the request log anew.
    pub fn forget_requests(&self, machine: &Machine) -> Result<()> {
        machine.remove(&format!("{DIRECTORY}/requests"))
    }

    fn tell(&self, machine: &Machine) -> Result<()> {
        let mut told = serde_json::to_value(&*lock(&self.behaviour))?;
        if let Some(fields) = told.as_object_mut() {
            fields.insert("tokens".into(), json!(&*lock(&self.tokens)));
        }
        let file = format!("{DIRECTORY}/behaviour.json");
        machine.push(&file, told.to_string().as_bytes(), 0o600)
    }
}

impl Certificates {
    fn make(machine: &Machine) -> Result<Self> {
        let server = |name, issuer| Order {
            dns: SERVER_NAMES.map(str::to_owned).into(),
            addresses: ["127.0.0.1", "::1", ADDRESS].map(str::to_owned).into(),
            ..Order::new(name, "server", Some(issuer))
        };
        let orders = [
            Order::new("ca", "authority", None),
            Order::new("intermediate", "authority", Some("ca")),
            over(Order::new("intermediate", "authority", Some("ca"))),
            Order::new("stranger", "authority", None),
            server("kube-apiserver", "ca"),
            server("kube-apiserver-stranger", "stranger"),
            over(server("kube-apiserver-over", "ca")),
            Order::client(&ClientCertificate::default(), "ca"),
        ];
        let made = credential::make(machine, &BTreeMap::new(), &orders)?;
        let made: [Credential; 8] = made.try_into().ok().context("not eight of them")?;
        let [authority, intermediate, former_intermediate, stranger, own, foreign, over, admin] = made;
        Ok(Self {
            authority,
            intermediate,
            former_intermediate,
            stranger,
            presented: [("server", own), ("stranger", foreign), ("expired", over)],
            admin,
        })
    }
}

/// The same, over since yesterday.
fn over(order: Order) -> Order {
    Order { not_before: -3 * DAY, not_after: -DAY, ..order }
}

#[cfg(test)]
impl ManagementCluster {
    /// One whose certificates are none, for what does not look at them.
    fn for_tests() -> Self {
        let nothing = |name: &str| Credential {
            certificate_pem: format!("certificate of {name}"),
            key_pem: format!("key of {name}"),
        };
        Self::of(Certificates {
            authority: nothing("ca"),
            intermediate: nothing("intermediate"),
            former_intermediate: nothing("former intermediate"),
            stranger: nothing("stranger"),
            presented: ["server", "stranger", "expired"].map(|name| (name, nothing(name))),
            admin: nothing("admin"),
        })
    }
}
