//! What kept a run from going well, and how it is told.

use std::fmt;

use super::api::Silence;
use super::chain::{self, Link};
use super::stage::Stage;
use crate::settings::without_credentials;

/// The most of a message that is told: proxies answer with whole pages.
pub const MESSAGE_LIMIT: usize = 600;

/// What kept a run from going well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Where it happened.
    pub stage: Stage,
    /// The HTTP status; 0 when there was no answer, or it is about a cluster.
    pub status: u16,
    message: String,
    /// The link at fault; none when somebody wanted the run to stop.
    pub link: Option<Link>,
}

impl Failure {
    /// No answer.
    pub fn silent(stage: Stage, address: &str, silence: &Silence) -> Self {
        let link = match stage {
            Stage::Token => Link::Keystone,
            // Magnum's API waits for RabbitMQ as long as it takes (seen).
            _ if silence.is_hanging => Link::Conductor,
            _ => Link::MagnumApi,
        };
        let address = without_credentials(address);
        let message = format!("no answer from {address}: {}", silence.reason);
        Self::at(stage, link, message)
    }

    /// An answer that is no success.
    pub fn refused(stage: Stage, status: u16, said: &str) -> Self {
        Self {
            status,
            ..Self::at(
                stage,
                chain::place(stage, status, said),
                format!("HTTP {status}: {said}"),
            )
        }
    }

    /// A cluster that fails, and what the conductor's log has of it.
    pub fn of_cluster(stage: Stage, what: &str, reason: &str, causes: &str) -> Self {
        let link = chain::place(stage, 0, &format!("{reason}\n{causes}"));
        let message = format!("{what}: {}", one_line(&of_helm(reason)));
        Self::at(stage, link, message.trim_end_matches(": ").to_owned())
    }

    /// Somebody wanted the run to stop.
    pub fn interrupted(stage: Stage) -> Self {
        Self {
            stage,
            status: 0,
            message: "told to stop".to_owned(),
            link: None,
        }
    }

    /// Something else, about this link.
    pub fn at(stage: Stage, link: Link, message: String) -> Self {
        Self {
            stage,
            status: 0,
            message,
            link: Some(link),
        }
    }

    /// Whether another try may go well.
    pub fn passes(&self) -> bool {
        matches!(self.status, 0 | 500..)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.stage.id(), self.message)
    }
}

impl std::error::Error for Failure {}

/// Of a helm that failed, as oslo.concurrency tells it, what helm itself said: before that stands a
/// command line that fills a screen.
fn of_helm(reason: &str) -> String {
    let (Some((_, command)), Some((_, said))) = (
        reason.split_once("Command: helm "),
        reason.rsplit_once("Stderr: "),
    ) else {
        return reason.to_owned();
    };
    let verb = command.split_whitespace().next().unwrap_or_default();
    let said = said.trim().trim_matches(['\'', '"']).replace("\\n", " ");
    format!("helm {verb} failed: {said}")
}

/// A message in one line, of a length that people read.
pub fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(MESSAGE_LIMIT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_failed_helm_its_own_words_are_told() {
        let reason = "Unexpected error while running command.\nCommand: helm upgrade x /usr/local/share/\
                      magnum-capi-helm/chart.tgz --kubeconfig /etc/magnum/kubeconfig\nExit code: 1\nStdout: ''\n\
                      Stderr: 'Error: path \"/usr/local/share/magnum-capi-helm/chart.tgz\" not found\\n'";
        let told = Failure::of_cluster(Stage::ClusterWait, "CREATE_FAILED", reason, "").to_string();
        let expected = "cluster-wait: CREATE_FAILED: helm upgrade failed: Error: path \
                        \"/usr/local/share/magnum-capi-helm/chart.tgz\" not found";
        assert_eq!(told, expected);
    }

    #[test]
    fn an_account_in_an_address_is_not_told() {
        let silence = Silence {
            reason: "no".into(),
            is_hanging: false,
        };
        let told = Failure::silent(Stage::Token, "https://u:p4ss@k:5000/v3", &silence).to_string();
        assert_eq!(told, "token: no answer from https://k:5000/v3: no");
    }

    #[test]
    fn a_message_is_short_and_in_one_line() {
        assert_eq!(one_line(" a\n\tb  c "), "a b c");
        assert_eq!(one_line(&"x".repeat(5000)).len(), MESSAGE_LIMIT);
    }
}
