//! The action `plan`: what the next hook would do. Changes nothing.

use anyhow::Result;
use diffy::DiffOptions;
use serde_json::{Value, json};

use super::lines;
use crate::juju::{Context, tools};
use crate::reconcile::dry_run;
use crate::step::Step;
use crate::system::{Access, Entry, Root, System};

/// Sets the steps as results, as text for people and as JSON.
pub fn run(system: &System, context: &Context) -> Result<Option<String>> {
    let plan = dry_run(system, context)?;
    let problems: Vec<_> = plan.problems.iter().chain(&plan.pending).collect();
    let diffs = plan.steps.iter().map(|step| diff(&system.root, step));
    let steps: Vec<(String, String)> = plan.steps.iter().map(ToString::to_string).zip(diffs).collect();
    let as_json = steps.iter().map(|(step, diff)| json!({"step": step, "diff": diff}));
    tools::action_set(
        system,
        &[
            ("changes", steps.len().to_string()),
            ("plan", text(&steps)),
            ("steps", Value::Array(as_json.collect()).to_string()),
            ("problems", context.with_names(&lines(&problems))),
            ("kept", plan.originals(&system.root)?.join("\n")),
        ],
    )?;
    Ok(None)
}

/// Returns a numbered line for each step, with its diff below it; empty if there is none.
fn text(steps: &[(String, String)]) -> String {
    let numbered = steps.iter().enumerate();
    numbered.map(|(number, (step, diff))| format!("{}. {step}\n{diff}", number + 1)).collect()
}

/// Returns the change of a file as a unified diff; empty for what is not text, and for secrets.
fn diff(root: &Root, step: &Step) -> String {
    let Step::Write { file, .. } = step else {
        return String::new();
    };
    // The kubeconfig is a secret, the chart an archive.
    let (true, Ok(new)) = (file.access == Access::PUBLIC, std::str::from_utf8(&file.bytes)) else {
        return String::new();
    };
    let old = match root.inspect(&file.path) {
        Ok(Entry::File(found)) => String::from_utf8_lossy(&found.bytes).into_owned(),
        _ => String::new(),
    };
    let path = file.path.display().to_string();
    let mut options = DiffOptions::new();
    options.set_original_filename(path.clone()).set_modified_filename(path);
    options.create_patch(&old, new).to_string()
}
