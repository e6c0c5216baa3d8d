//! The outcome of a run: the results of the action, and one sentence.

use anyhow::Result;

use super::api::CloudSession;
use super::cleaner;
use super::failure::{Failure, Stage};
use super::resource::{CloudResource, ResourceKind};
use crate::juju::{Context, tools};
use crate::system::System;

#[derive(Debug, Default)]
pub struct SmoketestOutcome {
    /// What went wrong first.
    pub failure: Option<Failure>,
    /// What is left of this run and of earlier ones.
    pub left: Vec<CloudResource>,
    /// Whether the cleaner is removing it.
    pub is_left_to_cleaner: bool,
}

impl SmoketestOutcome {
    /// Logs the end of the run and sets the results of the action. Returns one sentence if the run did not pass.
    ///
    /// # Errors
    /// If a hook tool fails.
    pub fn finish(self, system: &System, session: CloudSession, context: &Context) -> Result<Option<String>> {
        let CloudSession { mut progress, created, .. } = session;
        let link = self.failure.as_ref().and_then(|failure| failure.link);
        let (outcome, stage) = match &self.failure {
            None => ("passed", Stage::Done),
            Some(failure) if link.is_some() => ("failed", failure.stage),
            Some(failure) => ("interrupted", failure.stage),
        };
        let chain = link.map(|link| link.to_string()).unwrap_or_default();
        let remedy = link.map(|link| context.with_names(link.remedy())).unwrap_or_default();
        let listed = self.left.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let leftovers = self.leftovers(&listed);

        let end = self.failure.as_ref().map_or_else(|| outcome.to_owned(), ToString::to_string);
        progress.log(&end);
        let mut sentence = end;
        if link.is_some() {
            progress.log(format!("link at fault: {chain}; {remedy}"));
            sentence += &format!("; link {chain}: {remedy}");
        }
        progress.log(&leftovers);

        let name = |kind| {
            let found = created.iter().find(|resource| resource.kind == kind);
            found.map(|resource| resource.name.clone()).unwrap_or_default()
        };
        let results = [
            ("outcome", outcome.to_owned()),
            ("stage", stage.to_string()),
            ("chain", chain),
            ("remedy", remedy),
            ("template", name(ResourceKind::Template)),
            ("cluster", name(ResourceKind::Cluster)),
            ("left", listed),
            ("seconds", progress.seconds().to_string()),
            ("report", progress.text()),
        ];
        tools::action_set(system, &results)?;
        Ok(self.failure.map(|_| format!("{sentence}; {leftovers}")))
    }

    /// Says what is left and who removes it.
    fn leftovers(&self, listed: &str) -> String {
        if self.left.is_empty() {
            return "nothing is left".to_owned();
        }
        let how = if self.is_left_to_cleaner {
            let unit = cleaner::UNIT;
            format!("the unit's service {unit} is removing it: journalctl -u {unit}")
        } else {
            let commands: Vec<_> = self.left.iter().map(CloudResource::delete_command).collect();
            format!("the next smoketest tries again, or run: {}", commands.join("; "))
        };
        format!("left: {listed}; {how}")
    }
}
