//! A grafted unit with the kubeconfigs on it, and the three that are asked about each: the driver's own client code,
//! the helm that the driver runs, and the charm's own program, which asks both.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use super::Case;
use super::material::Materials;
use crate::support::management::leak;
use crate::support::{Deployment, VERSIONS, pin};

/// As the services run: their user, their directory, nothing of root's environment.
const AS_MAGNUM: &str = "cd /var/lib/magnum; setpriv --reuid=magnum --regid=magnum --init-groups \
     env -i HOME=/var/lib/magnum USER=magnum PATH=/usr/local/bin:/usr/bin:/bin";
const DISPATCH: &str = "/opt/lab/dispatch";
/// Name of a file → exit code, stdout, stderr.
type Runs = BTreeMap<String, (i32, String, String)>;

/// What somebody says of one kubeconfig: nothing when it can be used.
pub type Refusal = Option<String>;

/// What the charm says of one kubeconfig.
pub struct Verdict {
    /// Why it is not usable, or good no more.
    pub refusal: Refusal,
    /// The status and the evidence of each check.
    pub checks: BTreeMap<String, (String, String)>,
}

pub struct TestUnit {
    /// The graft is whole, and the management cluster answers.
    it: Deployment,
    materials: Materials,
}

impl TestUnit {
    pub fn new() -> Self {
        let it = Deployment::grafted();
        let machine = it.machine();
        let materials = Materials::make(machine, &it.management);
        for (path, content) in [
            ("/opt/lab/each.py", include_bytes!("each.py").as_slice()),
            ("/opt/lab/driver.py", include_bytes!("driver.py")),
            (DISPATCH, &program()),
        ] {
            machine.push(path, content, 0o755).unwrap();
        }
        // The lab's package index has the drivers; the certificate of the cluster's server has ::1, and not
        // the second address.
        machine
            .shell(&format!(
                "cd /srv/index/simple/magnum-capi-helm
                 for version in {}; do
                     python3 -m zipfile -e magnum_capi_helm-$version-*.whl /opt/lab/drivers/$version
                 done
                 ip address replace 198.51.100.2/32 dev lo
                 systemd-run --quiet --unit=ipv6 --socket-property=ListenStream=[::1]:6443 \
                     --socket-property=BindIPv6Only=ipv6-only \
                     /lib/systemd/systemd-socket-proxyd 127.0.0.1:6443",
                VERSIONS.join(" ")
            ))
            .unwrap();
        Self { it, materials }
    }

    /// Puts the kubeconfigs into a directory, each under its number.
    pub fn lay_out(&self, directory: &str, cases: &[Case]) {
        for (number, case) in cases.iter().enumerate() {
            let content = self.materials.fill(&case.text);
            let path = format!("{directory}/{}", file(number));
            self.it.machine().push(&path, &content, 0o644).unwrap();
        }
    }

    /// What the driver's own client code makes of each.
    pub fn driver(&self, version: &str, directory: &str) -> BTreeMap<String, Refusal> {
        let asked = self.shell(&format!("{AS_MAGNUM} python3 /opt/lab/driver.py {version} {directory}"));
        let said: BTreeMap<String, String> = serde_json::from_str(&asked).unwrap();
        let refusal = |said: String| (said != "200").then_some(said);
        said.into_iter().map(|(file, said)| (file, refusal(said))).collect()
    }

    /// What helm makes of each.
    pub fn helm(&self, directory: &str) -> BTreeMap<String, Refusal> {
        let runs = self.each(&format!(
            "{AS_MAGNUM} python3 /opt/lab/each.py {directory} all \
             helm list --namespace=default --kubeconfig FILE"
        ));
        let refusal = |(code, _, said): (i32, String, String)| (code != 0).then_some(said);
        runs.into_iter().map(|(file, run)| (file, refusal(run))).collect()
    }

    /// What the charm says of these files where this driver is installed; `how` are further arguments.
    pub fn charm(&self, version: &str, directory: &str, files: &[String], how: &str) -> BTreeMap<String, Verdict> {
        self.it.set(&[("driver-pin", &pin(version))]);
        self.it.hook("config-changed");
        self.it.assert_status("active", &[&format!("Driver {version} grafted")], version);
        let runs = self.each(&format!(
            "python3 /opt/lab/each.py {directory} {} {DISPATCH} preflight --kubeconfig FILE \
             --driver-pin magnum-capi-helm=={version} --format json {how}",
            files.join(",")
        ));
        let verdict = |(file, (code, stdout, stderr)): (String, (i32, String, String))| {
            let said: serde_json::Value =
                serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{file}: exit {code}, {stdout}{stderr}"));
            let failures = said["failures"].as_array().unwrap();
            assert_eq!(code, i32::from(!failures.is_empty()), "{stdout}");
            if let Some(what) = leak(&self.it.management, &(stdout + &stderr)) {
                panic!("what preflight says of {file} holds {what}");
            }
            let text = |check: &serde_json::Value, field: &str| check[field].as_str().unwrap().to_owned();
            let checks = said["checks"].as_array().unwrap().iter();
            let checks: BTreeMap<_, _> =
                checks.map(|check| (text(check, "id"), (text(check, "status"), text(check, "evidence")))).collect();
            let fault = |id| match &checks[id] {
                (status, evidence) if status == "fail" => Some(evidence.clone()),
                _ => None,
            };
            let (_, evidence) = &checks["kubeconfig-usable"];
            assert!(!evidence.contains("not asked"), "{file}: {evidence}");
            let refusal = fault("kubeconfig-usable").or_else(|| fault("kubeconfig-expiry"));
            (file, Verdict { refusal, checks })
        };
        runs.into_iter().map(verdict).collect()
    }

    /// The unit's own authorities vouch for the management cluster from now on.
    pub fn trust_the_cluster(&self) {
        let path = "/usr/local/share/ca-certificates/management.crt";
        let authority = self.it.management.ca_pem().as_bytes();
        self.it.machine().push(path, authority, 0o644).unwrap();
        self.shell("update-ca-certificates 2>&1");
    }

    fn each(&self, script: &str) -> Runs {
        serde_json::from_str(&self.shell(script)).unwrap()
    }

    fn shell(&self, script: &str) -> String {
        self.it.shell(script)
    }
}

/// The name of a case's file.
pub fn file(number: usize) -> String {
    format!("{number:03}")
}

/// The program in the packed charm.
fn program() -> Vec<u8> {
    let charm = std::env::var("LAB_CHARM").expect("these tests are run by `cargo xtask test`");
    let charm = Cursor::new(std::fs::read(charm).unwrap());
    let mut program = Vec::new();
    let mut archive = zip::ZipArchive::new(charm).unwrap();
    let mut file = archive.by_name("dispatch").unwrap();
    file.read_to_end(&mut program).unwrap();
    program
}
