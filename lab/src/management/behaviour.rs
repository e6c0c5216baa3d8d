//! How the cluster behaves, which a test may change at any time, and what it was asked.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What becomes of a question to the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    Answers,
    /// Connections are accepted; not even the TLS handshake is answered.
    Silent,
    /// Requests are read, and never answered.
    Stalls,
    /// Connections are accepted, and closed at once.
    Closes,
    /// Every request gets this HTTP status: 401 from a cluster that knows nobody, 500 from a broken one.
    AnswersWith(u16),
    /// The server's certificate is of another cluster's CA.
    PresentsStrangersCertificate,
    /// The server's certificate is over.
    PresentsExpiredCertificate,
}

/// A rule of RBAC, and whom it is bound to. `*` is everything; empty lists are nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// A user's or a group's name.
    pub subject: String,
    /// `""` is the core group.
    pub api_groups: Vec<String>,
    /// Resources, or `resource/subresource`.
    pub resources: Vec<String>,
    pub verbs: Vec<String>,
    /// Only in this namespace, as of a RoleBinding.
    pub namespace: Option<String>,
    /// Paths that are no resources; a trailing `*` is everything below.
    pub non_resource_urls: Vec<String>,
}

impl Rule {
    /// Everything, for everybody who is known.
    #[must_use]
    pub fn cluster_admin() -> Self {
        Self { non_resource_urls: vec!["*".into()], ..Self::new(&["*"], &["*"], &["*"]) }
    }

    /// These verbs on these resources everywhere, for everybody who is known.
    #[must_use]
    pub fn new(api_groups: &[&str], resources: &[&str], verbs: &[&str]) -> Self {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Self {
            subject: "system:authenticated".into(),
            api_groups: owned(api_groups),
            resources: owned(resources),
            verbs: owned(verbs),
            namespace: None,
            non_resource_urls: Vec::new(),
        }
    }
}

/// What the controllers make of the clusters that are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Controllers {
    /// Nothing: there are none.
    #[default]
    Idle,
    /// Every cluster is up, with all its machines and addons.
    Finish,
    /// Every cluster is up, and its addons fail.
    FailAddons,
}

/// How the cluster behaves. The default is one that suits every driver and every chart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Behaviour {
    pub mode: Mode,
    /// The served API groups and their versions, but for the core group.
    pub groups: BTreeMap<String, Vec<String>>,
    /// Who may do what, beside `system:masters`, who may do everything. Nobody needs a rule for discovery and
    /// questions about oneself.
    pub rules: Vec<Rule>,
    pub controllers: Controllers,
}

impl Behaviour {
    #[must_use]
    pub fn of(mode: Mode) -> Self {
        Self { mode, ..Self::default() }
    }

    /// The same, serving these versions of a group; none, and the group is not there.
    #[must_use]
    pub fn serving(mut self, group: &str, versions: &[&str]) -> Self {
        let versions = versions.iter().map(|version| (*version).to_owned());
        self.groups.insert(group.into(), versions.collect());
        self
    }

    #[must_use]
    pub fn with(mut self, controllers: Controllers) -> Self {
        self.controllers = controllers;
        self
    }

    #[must_use]
    pub fn allowing(mut self, rules: Vec<Rule>) -> Self {
        self.rules = rules;
        self
    }
}

impl Default for Behaviour {
    fn default() -> Self {
        let behaviour = Self {
            mode: Mode::Answers,
            groups: BTreeMap::new(),
            rules: vec![Rule::cluster_admin()],
            controllers: Controllers::Idle,
        };
        let groups: [(&str, &[&str]); 19] = [
            ("apiregistration.k8s.io", &["v1"]),
            ("apps", &["v1"]),
            ("events.k8s.io", &["v1"]),
            ("authentication.k8s.io", &["v1"]),
            ("authorization.k8s.io", &["v1"]),
            ("autoscaling", &["v2", "v1"]),
            ("batch", &["v1"]),
            ("networking.k8s.io", &["v1"]),
            ("rbac.authorization.k8s.io", &["v1"]),
            ("storage.k8s.io", &["v1"]),
            ("admissionregistration.k8s.io", &["v1"]),
            ("apiextensions.k8s.io", &["v1"]),
            ("cert-manager.io", &["v1"]),
            ("cluster.x-k8s.io", &["v1beta2", "v1beta1"]),
            ("controlplane.cluster.x-k8s.io", &["v1beta2", "v1beta1"]),
            ("bootstrap.cluster.x-k8s.io", &["v1beta2", "v1beta1"]),
            ("infrastructure.cluster.x-k8s.io", &["v1beta1", "v1alpha7", "v1alpha6"]),
            ("addons.cluster.x-k8s.io", &["v1beta2", "v1beta1"]),
            ("addons.stackhpc.com", &["v1alpha1"]),
        ];
        groups.into_iter().fold(behaviour, |so_far, (group, versions)| so_far.serving(group, versions))
    }
}

/// A bearer token that the cluster knows.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Token {
    pub token: String,
    pub user: String,
    pub groups: Vec<String>,
}

/// A request that reached the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Request {
    pub method: String,
    pub path: String,
    /// Who asked; `None` when the credentials were no good.
    pub user: Option<String>,
    /// The HTTP status of the answer, if there was one.
    pub status: Option<u16>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_told_in_its_own_words() {
        let told = |mode| serde_json::to_string(&mode).unwrap();
        // server.py and these must agree.
        assert_eq!(told(Mode::Answers), r#""answers""#);
        assert_eq!(told(Mode::Silent), r#""silent""#);
        assert_eq!(told(Mode::Stalls), r#""stalls""#);
        assert_eq!(told(Mode::Closes), r#""closes""#);
        assert_eq!(told(Mode::AnswersWith(500)), r#"{"answers-with":500}"#);
        let presents = told(Mode::PresentsStrangersCertificate);
        assert_eq!(presents, r#""presents-strangers-certificate""#);
        let presents = told(Mode::PresentsExpiredCertificate);
        assert_eq!(presents, r#""presents-expired-certificate""#);
        let server = include_str!("server.py");
        for word in ["silent", "stalls", "closes", "answers-with"] {
            assert!(server.contains(&format!("\"{word}\"")), "{word}");
        }
        let told = |controllers| serde_json::to_string(&controllers).unwrap();
        let objects = include_str!("objects.py");
        for controllers in [Controllers::Finish, Controllers::FailAddons] {
            let word = told(controllers);
            assert!(objects.contains(&word), "{word}");
        }
    }
}
