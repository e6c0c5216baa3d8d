//! The outcome of a run: the results of the action, and one sentence.

use super::cleaner;
use super::failure::{Failure, Link, Stage};
use super::progress::Progress;
use super::resource::{CloudResource, ResourceKind};
use crate::juju::Context;

/// Who removes what is left.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum CleanupOwner {
    #[default]
    Nobody,
    Cleaner,
}

#[derive(Debug, Default)]
pub struct SmoketestOutcome {
    /// What went wrong first.
    pub failure: Option<Failure>,
    pub created: Vec<CloudResource>,
    /// What is left of this run and of earlier ones.
    pub left: Vec<CloudResource>,
    pub owner: CleanupOwner,
    seconds: u64,
    /// The progress log.
    report: String,
}

impl SmoketestOutcome {
    /// Logs the end of the run, and takes the log for the report.
    pub fn finish(&mut self, mut progress: Progress, context: &Context) {
        match &self.failure {
            None => progress.log("passed"),
            Some(failure) => progress.log(failure),
        }
        if let Some((link, remedy)) = self.link(context) {
            progress.log(format!("link at fault: {link}; {remedy}"));
        }
        progress.log(self.leftovers());
        self.seconds = progress.seconds();
        self.report = progress.text();
    }

    /// Returns the results of the action, by name.
    pub fn results(&self, context: &Context) -> Vec<(&'static str, String)> {
        let created = |kind: ResourceKind| {
            let found = self.created.iter().find(|resource| resource.kind == kind);
            found.map(|resource| resource.name.clone()).unwrap_or_default()
        };
        let link = self.link(context);
        let outcome = match (&self.failure, &link) {
            (None, _) => "passed",
            (Some(_), Some(_)) => "failed",
            (Some(_), None) => "interrupted",
        };
        let stage = self.failure.as_ref().map_or(Stage::Done, |failure| failure.stage);
        let (chain, remedy) = link.map(|(link, remedy)| (link.to_string(), remedy)).unwrap_or_default();
        vec![
            ("outcome", outcome.to_owned()),
            ("stage", stage.to_string()),
            ("chain", chain),
            ("remedy", remedy),
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
        let link = self.link(context).map(|(link, remedy)| format!("; link {link}: {remedy}"));
        Some(format!("{failure}{}; {}", link.unwrap_or_default(), self.leftovers()))
    }

    /// Says what is left and who removes it.
    fn leftovers(&self) -> String {
        if self.left.is_empty() {
            return "nothing is left".to_owned();
        }
        let how = match self.owner {
            CleanupOwner::Cleaner => {
                let unit = cleaner::UNIT;
                format!("the unit's service {unit} is removing it: journalctl -u {unit}")
            }
            CleanupOwner::Nobody => {
                let commands: Vec<_> = self.left.iter().map(CloudResource::delete_command).collect();
                format!("the next smoketest tries again, or run: {}", commands.join("; "))
            }
        };
        format!("left: {}; {how}", self.listed())
    }

    /// The link at fault and its remedy.
    fn link(&self, context: &Context) -> Option<(Link, String)> {
        let link = self.failure.as_ref()?.link?;
        Some((link, context.with_names(link.remedy())))
    }

    fn listed(&self) -> String {
        let all: Vec<String> = self.left.iter().map(ToString::to_string).collect();
        all.join(", ")
    }
}
