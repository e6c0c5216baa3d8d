//! What the management cluster says: who the user is there, what it may do, and which APIs are served.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};

use super::client::{ApiError, Session};
use super::printable;

/// API groups and all versions of each that are served, not only the preferred ones.
pub type Served = BTreeMap<String, Vec<String>>;

/// A verb on a resource of an API group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccessRule {
    pub verb: &'static str,
    pub group: &'static str,
    pub resource: &'static str,
}

/// As in `create clusters.cluster.x-k8s.io`.
impl fmt::Display for AccessRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dot = if self.group.is_empty() { "" } else { "." };
        write!(f, "{} {}{dot}{}", self.verb, self.resource, self.group)
    }
}

const fn rule(verb: &'static str, group: &'static str, resource: &'static str) -> AccessRule {
    AccessRule { verb, group, resource }
}

const CORE: &str = "cluster.x-k8s.io";
const CONTROL_PLANE: &str = "controlplane.cluster.x-k8s.io";
const BOOTSTRAP: &str = "bootstrap.cluster.x-k8s.io";
const OPENSTACK: &str = "infrastructure.cluster.x-k8s.io";
const ADDONS: &str = "addons.stackhpc.com";

/// How many rules are asked about at once.
const AT_ONCE: usize = 4;
/// What the driver's client (`kubernetes.py`) needs, and helm for its releases and the chart `openstack-cluster`: on
/// every resource the verbs without which a cluster cannot be created, read, changed or removed.
const NEEDED: [AccessRule; 31] = [
    rule("create", "", "namespaces"),
    rule("patch", "", "namespaces"),
    rule("get", "", "secrets"),
    rule("list", "", "secrets"),
    rule("create", "", "secrets"),
    rule("update", "", "secrets"),
    rule("patch", "", "secrets"),
    rule("delete", "", "secrets"),
    rule("deletecollection", "", "secrets"),
    rule("get", CORE, "clusters"),
    rule("create", CORE, "clusters"),
    rule("patch", CORE, "clusters"),
    rule("delete", CORE, "clusters"),
    rule("list", CORE, "machines"),
    rule("get", CORE, "machinedeployments"),
    rule("create", CORE, "machinedeployments"),
    rule("patch", CORE, "machinedeployments"),
    rule("create", CORE, "machinehealthchecks"),
    rule("get", CONTROL_PLANE, "kubeadmcontrolplanes"),
    rule("create", CONTROL_PLANE, "kubeadmcontrolplanes"),
    rule("patch", CONTROL_PLANE, "kubeadmcontrolplanes"),
    rule("create", BOOTSTRAP, "kubeadmconfigtemplates"),
    rule("get", OPENSTACK, "openstackclusters"),
    rule("create", OPENSTACK, "openstackclusters"),
    rule("patch", OPENSTACK, "openstackclusters"),
    rule("create", OPENSTACK, "openstackmachinetemplates"),
    rule("list", ADDONS, "helmreleases"),
    rule("create", ADDONS, "helmreleases"),
    rule("patch", ADDONS, "helmreleases"),
    rule("list", ADDONS, "manifests"),
    rule("create", ADDONS, "manifests"),
];

impl Session {
    /// Returns the user's name there: one request, which only a known user may make.
    ///
    /// # Errors
    /// If it does not know the user, or does not answer.
    pub fn whoami(&self) -> Result<String, ApiError> {
        let review = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"
        });
        match self.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", &review) {
            Ok(answer) => {
                let name = answer["status"]["userInfo"]["username"].as_str();
                name.map(printable).ok_or_else(|| ApiError::Unexpected("a review without a user".to_owned()))
            }
            // Kubernetes before 1.28 has no such review; a user it knows may make this one.
            Err(ApiError::Unexpected(_)) => {
                self.may(rule("get", "", "namespaces")).map(|_| "a user it knows".to_owned())
            }
            Err(error) => Err(error),
        }
    }

    /// Returns what the driver and helm need there and the user may not do.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn denied(&self) -> Result<Vec<AccessRule>, ApiError> {
        if self.may(rule("*", "*", "*"))? {
            return Ok(Vec::new());
        }
        // One after the other they would take too long over a slow link.
        std::thread::scope(|scope| {
            let share = NEEDED.len().div_ceil(AT_ONCE);
            let asked: Vec<_> = NEEDED.chunks(share).map(|rules| scope.spawn(|| self.denied_of(rules))).collect();
            let mut denied = Vec::new();
            for answer in asked {
                let panicked = |_| Err(ApiError::Unexpected("asking it failed".to_owned()));
                denied.extend(answer.join().unwrap_or_else(panicked)?);
            }
            Ok(denied)
        })
    }

    fn denied_of(&self, rules: &[AccessRule]) -> Result<Vec<AccessRule>, ApiError> {
        let mut denied = Vec::new();
        for &rule in rules {
            if !self.may(rule)? {
                denied.push(rule);
            }
        }
        Ok(denied)
    }

    /// Returns the API groups that it serves.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn served(&self) -> Result<Served, ApiError> {
        let answer = self.get("/apis")?;
        let text = |value: &Value| printable(value.as_str().unwrap_or_default());
        let groups = answer["groups"].as_array().into_iter().flatten();
        Ok(groups
            .map(|group| {
                let versions = group["versions"].as_array().into_iter().flatten();
                let versions = versions.map(|version| text(&version["version"])).collect();
                (text(&group["name"]), versions)
            })
            .collect())
    }

    /// Asks about every namespace: Magnum makes one for each project.
    fn may(&self, rule: AccessRule) -> Result<bool, ApiError> {
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {"verb": rule.verb, "group": rule.group, "resource": rule.resource}}
        });
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let answer = self.post(path, &review)?;
        answer["status"]["allowed"]
            .as_bool()
            .ok_or_else(|| ApiError::Unexpected("a review without a verdict".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{cluster, serve};
    use super::*;

    #[test]
    fn what_the_user_may_not_do_is_named() {
        let denied = |usable: &super::super::UsableKubeconfig| {
            let denied = Session::open(usable).unwrap().denied().unwrap();
            denied.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(denied(&cluster("v1beta1", |rule| rule == "* *")), [""; 0]);
        let allows = |rule: &str| !["* *", "create clusters", "delete secrets"].contains(&rule);
        assert_eq!(denied(&cluster("v1beta1", allows)), ["delete secrets", "create clusters.cluster.x-k8s.io"]);
    }

    #[test]
    fn an_old_kubernetes_without_the_review_is_asked_what_a_known_user_may() {
        let old = serve(|_, path, _| match path.ends_with("selfsubjectreviews") {
            true => ("404 Not Found", String::new()),
            false => ("200 OK", r#"{"status": {"allowed": false}}"#.to_owned()),
        });
        assert_eq!(Session::open(&old).unwrap().whoami().unwrap(), "a user it knows");
        let strange = serve(|_, _, _| ("200 OK", "{}".to_owned()));
        assert!(Session::open(&strange).unwrap().whoami().is_err());
    }

    #[test]
    fn what_a_cluster_says_is_escaped_and_cut() {
        let name = format!("a\u{1b}[31m{}", "x".repeat(300));
        let review = json!({"status": {"userInfo": {"username": name}}}).to_string();
        let hostile = serve(move |_, _, _| ("200 OK", review.clone()));
        let shown = Session::open(&hostile).unwrap().whoami().unwrap();
        assert!(shown.starts_with("a\\u{1b}[31mx") && shown.ends_with("x…"), "{shown}");
        assert!(shown.chars().count() < 210);
    }
}
