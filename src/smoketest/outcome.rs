//! The outcome of a run: the results of the action, and one sentence.

use super::cleaner;
use super::failure::{Link, SmoketestFailure, Stage};
use super::resource::{CloudResource, ResourceKind};
use crate::juju::Context;

/// Who removes what is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CleanupOwner {
    Nobody,
    Cleaner,
}

#[derive(Debug)]
pub struct SmoketestOutcome {
    /// What went wrong first.
    pub failure: Option<SmoketestFailure>,
    pub created: Vec<CloudResource>,
    /// What is left of this run and of earlier ones.
    pub left: Vec<CloudResource>,
    pub owner: CleanupOwner,
    pub seconds: u64,
    /// The progress log.
    pub report: String,
}

impl SmoketestOutcome {
    /// Returns the results of the action, by name.
    pub fn results(&self, context: &Context) -> Vec<(&'static str, String)> {
        let created = |kind: ResourceKind| {
            let found = self.created.iter().find(|resource| resource.kind == kind);
            found
                .map(|resource| resource.name.clone())
                .unwrap_or_default()
        };
        let outcome = match (&self.failure, self.link()) {
            (None, _) => "passed",
            (Some(_), Some(_)) => "failed",
            (Some(_), None) => "interrupted",
        };
        let remedy = self.link().map_or("", Link::remedy);
        vec![
            ("outcome", outcome.to_owned()),
            (
                "stage",
                self.failure
                    .as_ref()
                    .map_or(Stage::Done, |failure| failure.stage)
                    .to_string(),
            ),
            (
                "chain",
                self.link().map(|link| link.to_string()).unwrap_or_default(),
            ),
            ("remedy", context.with_names(remedy)),
            ("template", created(ResourceKind::Template)),
            ("cluster", created(ResourceKind::Cluster)),
            ("left", self.listed()),
            ("seconds", self.seconds.to_string()),
            ("report", self.report.clone()),
        ]
    }

    /// Returns one sentence if the run did not pass.
    pub fn sentence(&self, context: &Context) -> Option<String> {
        let failure = self.failure.as_ref()?;
        let remedy = self
            .link()
            .map(|link| format!("; link {link}: {}", context.with_names(link.remedy())));
        Some(format!(
            "{failure}{}; {}",
            remedy.unwrap_or_default(),
            self.leftovers()
        ))
    }

    /// Says what is left and who removes it.
    pub fn leftovers(&self) -> String {
        if self.left.is_empty() {
            return "nothing is left".to_owned();
        }
        let how = match self.owner {
            CleanupOwner::Cleaner => {
                let unit = cleaner::UNIT;
                format!("the unit's service {unit} is removing it: journalctl -u {unit}")
            }
            CleanupOwner::Nobody => {
                let commands: Vec<String> = self
                    .left
                    .iter()
                    .map(CloudResource::delete_command)
                    .collect();
                format!(
                    "the next smoketest tries again, or run: {}",
                    commands.join("; ")
                )
            }
        };
        format!("left: {}; {how}", self.listed())
    }

    fn link(&self) -> Option<Link> {
        self.failure.as_ref().and_then(|failure| failure.link)
    }

    fn listed(&self) -> String {
        let all: Vec<String> = self.left.iter().map(ToString::to_string).collect();
        all.join(", ")
    }
}
