//! What the management cluster says: who the user is there, what it may do, and which APIs are served.

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde_json::{Value, json};

use super::client::{ApiError, Session};

/// API groups and all versions of each that are served, not only the preferred ones.
pub type Served = BTreeMap<String, Vec<String>>;

pub const CORE: &str = "cluster.x-k8s.io";
pub const CONTROL_PLANE: &str = "controlplane.cluster.x-k8s.io";
pub const BOOTSTRAP: &str = "bootstrap.cluster.x-k8s.io";
pub const OPENSTACK: &str = "infrastructure.cluster.x-k8s.io";
pub const ADDONS: &str = "addons.stackhpc.com";

/// What it takes to ask about a user's rights, and tells a known user from others.
const REVIEW: &str = "create selfsubjectaccessreviews.authorization.k8s.io";
/// How many rules are asked about at once.
const AT_ONCE: usize = 4;
type Verbs = &'static [&'static str];
/// What the driver's client (`kubernetes.py`) needs, and helm for its releases and the chart `openstack-cluster`: on
/// every resource the verbs without which a cluster cannot be created, read, changed or removed.
const NEEDED: [(&str, &str, Verbs); 12] = [
    ("", "namespaces", &["create", "patch"]),
    ("", "secrets", &["get", "list", "create", "update", "patch", "delete", "deletecollection"]),
    (CORE, "clusters", &["get", "create", "patch", "delete"]),
    (CORE, "machines", &["list"]),
    (CORE, "machinedeployments", &["get", "create", "patch"]),
    (CORE, "machinehealthchecks", &["create"]),
    (CONTROL_PLANE, "kubeadmcontrolplanes", &["get", "create", "patch"]),
    (BOOTSTRAP, "kubeadmconfigtemplates", &["create"]),
    (OPENSTACK, "openstackclusters", &["get", "create", "patch"]),
    (OPENSTACK, "openstackmachinetemplates", &["create"]),
    (ADDONS, "helmreleases", &["list", "create", "patch"]),
    (ADDONS, "manifests", &["list", "create"]),
];

impl Session {
    /// Returns the user's name there: one request, which only a known user may make.
    ///
    /// # Errors
    /// If it does not know the user, does not answer, or does not let the user ask.
    pub async fn whoami(&self) -> Result<String, ApiError> {
        let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
        match self.request("/apis/authentication.k8s.io/v1/selfsubjectreviews", Some(&review)).await {
            Ok(answer) => {
                let name = answer["status"]["userInfo"]["username"].as_str();
                name.map(str::to_owned).ok_or_else(|| ApiError::Unexpected("a review without a user".to_owned()))
            }
            // Kubernetes before 1.28 has no such review; a user it knows may make another one.
            Err(ApiError::Unexpected(_) | ApiError::Forbidden(_)) => match self.may("get", "", "namespaces").await {
                Err(ApiError::Unexpected(_) | ApiError::Forbidden(_)) => Err(self.refuses_reviews().await),
                answer => answer.map(|_| "a user it knows".to_owned()),
            },
            Err(error) => Err(error),
        }
    }

    /// Returns what it means that all reviews are refused.
    async fn refuses_reviews(&self) -> ApiError {
        match self.served().await {
            // RBAC, or a gateway, refuses them alone.
            Ok(served) if !served.is_empty() => ApiError::Forbidden(REVIEW.to_owned()),
            Ok(_) => ApiError::Unexpected("it serves no API groups".to_owned()),
            // The user may not do anything.
            Err(ApiError::Forbidden(_)) => ApiError::Rejected(403),
            Err(error) => error,
        }
    }

    /// Returns what the driver and helm need there and the user may not do, such as `create clusters.cluster.x-k8s.io`.
    ///
    /// # Errors
    /// If it does not answer, or refuses to say.
    pub async fn denied(&self) -> Result<Vec<String>, ApiError> {
        if self.may("*", "*", "*").await? {
            return Ok(Vec::new());
        }
        let of_resource =
            |(group, resource, verbs): (_, _, Verbs)| verbs.iter().map(move |verb| (*verb, group, resource));
        let asked = NEEDED.into_iter().flat_map(of_resource).map(|(verb, group, resource)| async move {
            let rule = format!("{verb} {resource}.{group}").trim_end_matches('.').to_owned();
            Ok((rule, self.may(verb, group, resource).await?))
        });
        // One after the other they would take too long over a slow link.
        let answers: Vec<_> = stream::iter(asked).buffered(AT_ONCE).try_collect().await?;
        Ok(answers.into_iter().filter(|(_, may)| !may).map(|(rule, _)| rule).collect())
    }

    /// Returns the API groups that it serves.
    ///
    /// # Errors
    /// If it does not answer, or does not let the user ask.
    pub async fn served(&self) -> Result<Served, ApiError> {
        Ok(served_in(&self.request("/apis", None).await?))
    }

    /// Asks about every namespace: Magnum makes one for each project.
    async fn may(&self, verb: &str, group: &str, resource: &str) -> Result<bool, ApiError> {
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {"verb": verb, "group": group, "resource": resource}}
        });
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let answer = self.request(path, Some(&review)).await?;
        answer["status"]["allowed"]
            .as_bool()
            .ok_or_else(|| ApiError::Unexpected("a review without a verdict".to_owned()))
    }
}

/// Reads the answer about API groups.
pub(crate) fn served_in(answer: &Value) -> Served {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let groups = answer["groups"].as_array().into_iter().flatten();
    let group = |group: &Value| {
        let versions = group["versions"].as_array().into_iter().flatten();
        (text(&group["name"]), versions.map(|version| text(&version["version"])).collect())
    };
    groups.map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::super::UsableKubeconfig;
    use super::super::testing::{cluster, serve};
    use super::*;
    use crate::system::testing::Scratch;

    fn whoami(usable: &UsableKubeconfig) -> Result<String, ApiError> {
        let session = Session::open(&Scratch::new().root, usable)?;
        session.wait(session.whoami())
    }

    #[test]
    fn what_the_user_may_not_do_is_named() {
        let denied = |usable: &UsableKubeconfig| {
            let session = Session::open(&Scratch::new().root, usable).unwrap();
            session.wait(session.denied()).unwrap()
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
        assert_eq!(whoami(&old).unwrap(), "a user it knows");
        let strange = serve(|_, _, _| ("200 OK", "{}".to_owned()));
        assert!(whoami(&strange).is_err());
    }

    #[test]
    fn a_refused_review_is_no_rejection_of_the_user() {
        let forbidden = || Err(ApiError::Forbidden(REVIEW.to_owned()));
        let apis = || ("200 OK", r#"{"groups": [{"name": "apps", "versions": []}]}"#.to_owned());
        for (refusal, others, expected) in [
            ("403 Forbidden", Some(apis()), forbidden()),
            ("405 Method Not Allowed", Some(apis()), forbidden()),
            ("422 Unprocessable Entity", Some(apis()), forbidden()),
            ("500 Internal Server Error", Some(apis()), forbidden()),
            // A web server, which is no Kubernetes API.
            ("404 Not Found", None, Err(ApiError::Unexpected("HTTP 404 Not Found".to_owned()))),
            (
                "403 Forbidden",
                Some(("200 OK", "{}".to_owned())),
                Err(ApiError::Unexpected("it serves no API groups".to_owned())),
            ),
            // Somebody who may not do anything there.
            ("403 Forbidden", None, Err(ApiError::Rejected(403))),
            ("401 Unauthorized", Some(apis()), Err(ApiError::Rejected(401))),
        ] {
            let cluster = serve(move |method, _, _| match (method, &others) {
                ("GET", Some((head, body))) => (*head, body.clone()),
                _ => (refusal, String::new()),
            });
            assert_eq!(whoami(&cluster), expected, "{refusal}");
        }
        // RBAC may allow one review and not the other.
        let one = serve(|_, path, _| match path.ends_with("selfsubjectreviews") {
            true => ("403 Forbidden", String::new()),
            false => ("200 OK", r#"{"status": {"allowed": true}}"#.to_owned()),
        });
        assert_eq!(whoami(&one).unwrap(), "a user it knows");
    }
}
