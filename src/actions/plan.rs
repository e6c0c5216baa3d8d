//! The action `plan`: what the next hook would do. Changes nothing.

use anyhow::Result;
use serde_json::json;
use similar::TextDiff;

use crate::converge::{self, Rehearsal};
use crate::graft::{Observed, Step};
use crate::hook::roll::Roll;
use crate::hook::sources::{self, Ask};
use crate::juju::{Context, tools};
use crate::unit::files::Entry;

/// Sets the steps as results, as text for people and as JSON.
pub fn run(context: &Context) -> Result<Option<String>> {
    let wanted = sources::wanted(context, Ask::Remembered)?;
    let roll = Roll::of(&wanted, context);
    let Rehearsal {
        steps,
        seen,
        problems,
        kept,
    } = converge::rehearse(wanted, &|due| roll.turn(due))?;
    let steps: Vec<(String, String)> = steps
        .iter()
        .map(|step| (step.to_string(), diff(step, seen.as_ref())))
        .collect();
    let problems: Vec<String> = problems
        .iter()
        .map(|problem| context.typed(&problem.to_string()))
        .collect();
    tools::action_set(&[
        ("changes", steps.len().to_string()),
        ("plan", text(&steps)),
        (
            "steps",
            json!(
                steps
                    .iter()
                    .map(|(step, diff)| json!({"step": step, "diff": diff}))
                    .collect::<Vec<_>>()
            )
            .to_string(),
        ),
        ("problems", problems.join("\n")),
        ("kept", kept.join("\n")),
    ])?;
    Ok(None)
}

/// A numbered line for each step, with its diff below it; empty when there is none.
fn text(steps: &[(String, String)]) -> String {
    let numbered = steps.iter().enumerate();
    numbered
        .map(|(number, (step, diff))| format!("{}. {step}\n{diff}", number + 1))
        .collect()
}

/// How a step changes a file, as a unified diff; empty for what is no text, and for secrets.
fn diff(step: &Step, seen: Option<&Observed>) -> String {
    let (Step::Write { file, .. }, Some(seen)) = (step, seen) else {
        return String::new();
    };
    let path = file.path.to_string_lossy();
    // The kubeconfig is a secret, the chart an archive.
    let (true, Ok(new)) = (file.is_public(), std::str::from_utf8(&file.bytes)) else {
        return String::new();
    };
    let old = match seen.at(&file.path) {
        Some(Entry::File(found)) => String::from_utf8_lossy(&found.bytes).into_owned(),
        _ => String::new(),
    };
    let diff = TextDiff::from_lines(old.as_str(), new);
    diff.unified_diff().header(&path, &path).to_string()
}
