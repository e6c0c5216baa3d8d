//! What the management cluster itself says: who we are there, what we may do, what it serves.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::client::{Session, Trouble};

/// API groups and all versions of each that are served, not only the preferred ones.
pub type Served = BTreeMap<String, Vec<String>>;

/// A verb on a resource of an API group.
pub type Deed = (&'static str, &'static str, &'static str);

const CORE: &str = "cluster.x-k8s.io";
const CONTROL_PLANE: &str = "controlplane.cluster.x-k8s.io";
const BOOTSTRAP: &str = "bootstrap.cluster.x-k8s.io";
const OPENSTACK: &str = "infrastructure.cluster.x-k8s.io";
const ADDONS: &str = "addons.stackhpc.com";

/// So many of the deeds are asked about at once.
const AT_ONCE: usize = 4;
/// What the driver's client (`kubernetes.py`) does, and what helm does with its releases and with the
/// chart `openstack-cluster`: on every resource the verbs without which a cluster is not made, looked
/// at, changed or removed.
const DEEDS: [Deed; 31] = [
    ("create", "", "namespaces"),
    ("patch", "", "namespaces"),
    ("get", "", "secrets"),
    ("list", "", "secrets"),
    ("create", "", "secrets"),
    ("update", "", "secrets"),
    ("patch", "", "secrets"),
    ("delete", "", "secrets"),
    ("deletecollection", "", "secrets"),
    ("get", CORE, "clusters"),
    ("create", CORE, "clusters"),
    ("patch", CORE, "clusters"),
    ("delete", CORE, "clusters"),
    ("list", CORE, "machines"),
    ("get", CORE, "machinedeployments"),
    ("create", CORE, "machinedeployments"),
    ("patch", CORE, "machinedeployments"),
    ("create", CORE, "machinehealthchecks"),
    ("get", CONTROL_PLANE, "kubeadmcontrolplanes"),
    ("create", CONTROL_PLANE, "kubeadmcontrolplanes"),
    ("patch", CONTROL_PLANE, "kubeadmcontrolplanes"),
    ("create", BOOTSTRAP, "kubeadmconfigtemplates"),
    ("get", OPENSTACK, "openstackclusters"),
    ("create", OPENSTACK, "openstackclusters"),
    ("patch", OPENSTACK, "openstackclusters"),
    ("create", OPENSTACK, "openstackmachinetemplates"),
    ("list", ADDONS, "helmreleases"),
    ("create", ADDONS, "helmreleases"),
    ("patch", ADDONS, "helmreleases"),
    ("list", ADDONS, "manifests"),
    ("create", ADDONS, "manifests"),
];

impl Session {
    /// Who the credentials are there: one question, which only a user it knows may put.
    ///
    /// # Errors
    /// When it does not know us, or does not answer.
    pub fn whoami(&self) -> Result<String, Trouble> {
        let review = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"
        });
        match self.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", &review) {
            Ok(answer) => {
                let name = answer["status"]["userInfo"]["username"].as_str();
                name.map(str::to_owned)
                    .ok_or_else(|| Trouble::Odd("a review without a user".to_owned()))
            }
            // Kubernetes before 1.28 has no such review; a user it knows may put this one.
            Err(Trouble::Odd(_)) => self
                .may(("get", "", "namespaces"))
                .map(|_| "a user it knows".to_owned()),
            Err(trouble) => Err(trouble),
        }
    }

    /// What of all that the driver and helm do there is denied to us.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn denied(&self) -> Result<Vec<Deed>, Trouble> {
        if self.may(("*", "*", "*"))? {
            return Ok(Vec::new());
        }
        // One after the other they would take longer than all questions may, over a slow link.
        std::thread::scope(|scope| {
            let share = DEEDS.len().div_ceil(AT_ONCE);
            let asked: Vec<_> = DEEDS
                .chunks(share)
                .map(|deeds| scope.spawn(|| self.denied_of(deeds)))
                .collect();
            let mut denied = Vec::new();
            for answer in asked {
                let panicked = |_| Err(Trouble::Odd("asking it failed".to_owned()));
                denied.extend(answer.join().unwrap_or_else(panicked)?);
            }
            Ok(denied)
        })
    }

    fn denied_of(&self, deeds: &[Deed]) -> Result<Vec<Deed>, Trouble> {
        let mut denied = Vec::new();
        for &deed in deeds {
            if !self.may(deed)? {
                denied.push(deed);
            }
        }
        Ok(denied)
    }

    /// What it serves.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn served(&self) -> Result<Served, Trouble> {
        let answer = self.get("/apis")?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let groups = answer["groups"].as_array().into_iter().flatten();
        Ok(groups
            .map(|group| {
                let versions = group["versions"].as_array().into_iter().flatten();
                let versions = versions.map(|version| text(&version["version"])).collect();
                (text(&group["name"]), versions)
            })
            .collect())
    }

    /// In any namespace: Magnum makes one for each project.
    fn may(&self, (verb, group, resource): Deed) -> Result<bool, Trouble> {
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {"verb": verb, "group": group, "resource": resource}}
        });
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let answer = self.post(path, &review)?;
        answer["status"]["allowed"]
            .as_bool()
            .ok_or_else(|| Trouble::Odd("a review without a verdict".to_owned()))
    }
}

/// A deed for people: `create clusters.cluster.x-k8s.io`.
pub fn shown((verb, group, resource): &Deed) -> String {
    match *group {
        "" => format!("{verb} {resource}"),
        group => format!("{verb} {resource}.{group}"),
    }
}
