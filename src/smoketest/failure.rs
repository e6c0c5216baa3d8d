//! What ends a run early: the stage, the message of Keystone, Magnum or the conductor as it is, and the link of the
//! chain it points to.
//!
//! A link is chosen by structure: the stage, the HTTP status, and for a failed cluster how the exception's text begins
//! or which of a few words it has. The message is what counts; the link only says where to read on.

use strum::{Display, EnumIter};
use thiserror::Error;

use crate::escape;
use crate::system::http;

/// The longest message that is shown, in characters.
const MESSAGE_LIMIT: usize = 2000;

/// The remedy of each link, a line each.
const REMEDIES: &str = include_str!("remedies.txt");

/// A stage of a run, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display)]
#[strum(serialize_all = "kebab-case")]
pub enum Stage {
    Token,
    Catalog,
    Leftovers,
    TemplateCreate,
    TemplateShow,
    ClusterCreate,
    ClusterWait,
    ClusterDelete,
    TemplateDelete,
    Done,
}

/// A link of the chain that a cluster hangs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumIter)]
#[strum(serialize_all = "kebab-case")]
pub enum Link {
    /// Keystone and its catalog.
    Keystone,
    /// The account, and what it may do.
    Credentials,
    MagnumApi,
    /// A parameter that Magnum does not take, or a limit of the project.
    Request,
    /// The conductor and RabbitMQ.
    Conductor,
    /// The trustee domain, and what Keystone lets be created for a cluster.
    Trust,
    Certificates,
    /// The kubeconfig, the API behind it and the controllers of Cluster API.
    ManagementCluster,
    /// helm and the chart.
    Helm,
    /// Another service of OpenStack.
    Cloud,
}

/// Words in the exception of a failed cluster (Magnum 18.0.0, the driver 1.1.0 to 1.4.0, keystoneauth1, helm 3.17.3),
/// the more telling first.
const SIGNS: [(&str, Link); 10] = [
    ("Failed to create trustee", Link::Trust),
    ("identity:create_", Link::Trust),
    ("Failed to create certificates", Link::Certificates),
    ("Unable to establish connection", Link::Cloud),
    (" (HTTP ", Link::Cloud),
    ("/etc/magnum/kubeconfig", Link::ManagementCluster),
    ("cluster unreachable", Link::ManagementCluster),
    (" is forbidden: ", Link::ManagementCluster),
    // `requests`, which only the driver's client of the management cluster uses directly.
    (" url: ", Link::ManagementCluster),
    ("'helm'", Link::Helm),
];

impl Link {
    /// Returns what to do, first what to read. `UNIT` stands for the unit's name.
    pub fn remedy(self) -> &'static str {
        let start = format!("{self}: ");
        let remedy = REMEDIES.lines().find_map(|line| line.strip_prefix(&start));
        remedy.unwrap_or_default()
    }

    fn of_refusal(stage: Stage, status: u16, message: &str) -> Self {
        match (stage, status) {
            (Stage::Token, 401 | 403) => Self::Credentials,
            (Stage::Token, _) => Self::Keystone,
            // oslo.messaging's MessagingTimeout, which Magnum's API hands on.
            _ if message.contains("Timed out waiting for a reply") => Self::Conductor,
            // Magnum's API asks Keystone as the trustee domain's administrator.
            (_, 403) if message.contains("Keystone client authentication failed") => Self::Trust,
            (_, 403) if !message.contains("limit exceeded") => Self::Credentials,
            // 401: Keystone has just given the token, so it is Magnum that cannot have it checked.
            (Stage::TemplateCreate | Stage::ClusterCreate, 400 | 402..500) => Self::Request,
            _ => Self::MagnumApi,
        }
    }

    /// The link that a failed cluster's reason points to; `None` if there is no reason.
    fn of_reason(reason: &str) -> Option<Self> {
        // oslo.concurrency puts the command line, which names the kubeconfig, before what helm said.
        let of_helm = reason.split_once("Command: helm ");
        let stderr = of_helm.and_then(|(_, rest)| rest.rsplit_once("Stderr: "));
        let text = stderr.map_or(reason, |(_, stderr)| stderr);
        let is_request = text.starts_with("Image ") || text.starts_with("Flavor ");
        let sign = SIGNS.iter().find(|(words, _)| text.contains(words));
        match sign {
            _ if is_request => Some(Self::Request),
            Some((_, link)) => Some(*link),
            None if of_helm.is_some() => Some(Self::Helm),
            None => (!reason.is_empty()).then_some(Self::Conductor),
        }
    }
}

/// What ended a run early.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{stage}: {message}")]
pub struct Failure {
    pub stage: Stage,
    /// The HTTP status; 0 if there was no answer, or it is about a cluster's state.
    pub status: u16,
    message: String,
    /// `None` if somebody stopped the run.
    pub link: Option<Link>,
}

impl Failure {
    pub fn new(stage: Stage, link: Link, message: &str) -> Self {
        let (message, link) = (quote(message.trim_end_matches(": ")), Some(link));
        Self { link, message, ..Self::stopped(stage) }
    }

    pub fn no_answer(stage: Stage, is_hanging: bool, reason: &str) -> Self {
        let link = match stage {
            Stage::Token => Link::Keystone,
            // Magnum's API waits for RabbitMQ as long as it takes (seen).
            _ if is_hanging => Link::Conductor,
            _ => Link::MagnumApi,
        };
        Self::new(stage, link, &format!("no answer from {reason}"))
    }

    pub fn refused(stage: Stage, status: u16, message: &str) -> Self {
        let link = Link::of_refusal(stage, status, message);
        Self { status, ..Self::new(stage, link, &format!("HTTP {status}: {message}")) }
    }

    /// A cluster that failed, with Magnum's `status_reason`.
    pub fn of_cluster(stage: Stage, state: &str, reason: &str) -> Self {
        // The driver gives no reason if Cluster API does not finish.
        let link = Link::of_reason(reason).unwrap_or(Link::ManagementCluster);
        Self::new(stage, link, &format!("{state}: {reason}"))
    }

    pub fn stopped(stage: Stage) -> Self {
        Self { stage, status: 0, message: "told to stop".to_owned(), link: None }
    }
}

/// Returns a message of somebody else's as it is, but fit to be shown: without credentials in URLs.
pub fn quote(message: &str) -> String {
    escape::line(&http::redact_urls(message.trim(), ""), MESSAGE_LIMIT)
}

#[cfg(test)]
mod tests {
    use strum::IntoEnumIterator as _;

    use super::*;

    #[test]
    fn a_refusal_is_placed_by_stage_and_status() {
        use Stage::{ClusterCreate, Leftovers, TemplateCreate, TemplateShow, Token};
        let limit = "Resource limit exceeded: You have reached the maximum clusters per project, 0.";
        for (stage, status, message, link) in [
            (Token, 401, "", Link::Credentials),
            (Token, 503, "", Link::Keystone),
            (Leftovers, 401, "", Link::MagnumApi),
            (Leftovers, 403, "reason: Keystone client authentication failed", Link::Trust),
            (Leftovers, 500, "Timed out waiting for a reply to message ID 1", Link::Conductor),
            (TemplateCreate, 400, "Cluster type (vm, Unset, kubernetes) not supported.", Link::Request),
            (TemplateCreate, 401, "", Link::MagnumApi),
            (TemplateCreate, 403, "Policy doesn't allow clustertemplate:create", Link::Credentials),
            (TemplateCreate, 503, "<html>", Link::MagnumApi),
            (TemplateShow, 404, "no", Link::MagnumApi),
            (ClusterCreate, 403, limit, Link::Request),
            (ClusterCreate, 404, "Unable to find keypair nokey.", Link::Request),
        ] {
            assert_eq!(Link::of_refusal(stage, status, message), link, "{stage} {status} {message}");
        }
    }

    fn helm(stderr: &str) -> String {
        format!(
            "Unexpected error while running command.\nCommand: helm upgrade x chart.tgz --kubeconfig \
             /etc/magnum/kubeconfig\nExit code: 1\nStdout: ''\nStderr: 'Error: {stderr}\\n'"
        )
    }

    /// Each text is one that Magnum, the driver or helm really gave.
    #[test]
    fn a_failed_cluster_is_placed_by_the_exception_that_its_reason_quotes() {
        let refused = "You are not authorized to perform the requested action: \
                       identity:create_application_credential. (HTTP 403)";
        let away = "Unable to establish connection to https://localhost:8779/volume: \
                    HTTPSConnectionPool(host='localhost', port=8779): Max retries exceeded with url: /volume";
        let forbidden = "403 Client Error: Forbidden for url: https://10.0.0.1:6443/apis";
        for (reason, link) in [
            ("Failed to create trustee or trust for Cluster: be4af8ac", Link::Trust),
            (refused, Link::Trust),
            ("Failed to create certificates for Cluster: d543f4da", Link::Certificates),
            ("Image 3333 does not have a kube_version property.", Link::Request),
            ("Flavor tiny does not have enough RAM to run Kubernetes.", Link::Request),
            ("[Errno 2] No such file or directory: '/etc/magnum/kubeconfig'", Link::ManagementCluster),
            ("[Errno 2] No such file or directory: 'helm'", Link::Helm),
            ("Service Unavailable (HTTP 503)", Link::Cloud),
            (away, Link::Cloud),
            (forbidden, Link::ManagementCluster),
            (&away[away.find("HTTPS").unwrap()..], Link::ManagementCluster),
            (&helm("Kubernetes cluster unreachable: unknown"), Link::ManagementCluster),
            (&helm("secrets is forbidden: User \"x\" cannot list"), Link::ManagementCluster),
            (&helm("path \"chart.tgz\" not found"), Link::Helm),
            ("KeyError", Link::Conductor),
            ("", Link::ManagementCluster),
        ] {
            let failure = Failure::of_cluster(Stage::ClusterWait, "CREATE_FAILED", reason);
            assert_eq!(failure.link, Some(link), "{reason}");
        }
    }

    #[test]
    fn a_hanging_api_waits_for_its_conductor() {
        for (stage, link) in [(Stage::Leftovers, Link::Conductor), (Stage::Token, Link::Keystone)] {
            assert_eq!(Failure::no_answer(stage, true, "").link, Some(link));
        }
    }

    #[test]
    fn every_link_has_a_remedy_that_says_first_what_to_read() {
        for link in Link::iter() {
            assert!(link.remedy().starts_with("read "), "{link}");
        }
        assert_eq!(REMEDIES.lines().count(), Link::iter().count());
    }

    #[test]
    fn a_message_is_shown_as_it_is_without_credentials_control_characters_or_its_end() {
        let failure = Failure::of_cluster(Stage::ClusterWait, "CREATE_FAILED", &helm("no https://u:p4ss@h/x"));
        let shown = failure.to_string();
        assert!(shown.starts_with("cluster-wait: CREATE_FAILED: Unexpected error while running command.\\nCommand"));
        assert!(shown.contains("no https://h/x") && !shown.contains("p4ss"), "{shown}");
        assert_eq!(quote(" a\u{1b}[31mb\té "), "a\\u001b[31mb\\té");
        assert_eq!(quote(&"é".repeat(5000)).chars().count(), MESSAGE_LIMIT);
        assert_eq!(failure.stage.to_string(), "cluster-wait");
    }
}
