//! The action `plan`: what the next hook would do. Changes nothing.

use anyhow::Result;
use diffy::DiffOptions;
use serde_json::{Value, json};

use super::lines;
use crate::escape;
use crate::juju::{Context, tools};
use crate::reconcile::dry_run;
use crate::step::Step;
use crate::system::{Access, Entry, Root, System};

/// The largest file that is compared with what replaces it, in bytes.
const DIFF_LIMIT: usize = 16 << 10;

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
            ("steps", escape::json(Value::Array(as_json.collect()))),
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
    // Comparing takes a time that grows with the square of what differs.
    if old.len() > DIFF_LIMIT {
        return format!("({} bytes stand there: not shown)\n", old.len());
    }
    let path = file.path.display().to_string();
    let mut options = DiffOptions::new();
    options.set_original_filename(path.clone()).set_modified_filename(path);
    options.create_patch(&old, new).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::ManagedFile;
    use crate::system::testing::Scratch;

    #[test]
    fn a_file_is_compared_unless_that_would_take_minutes() {
        let scratch = Scratch::new();
        let diff_with = |old: &str, new: &str| {
            scratch.put("/etc/x", old);
            diff(&scratch.root, &Step::Write { file: ManagedFile::public("/etc/x", new), why: String::new() })
        };
        assert!(diff_with("old\n", "new\n").contains("-old\n+new\n"));
        let lines = |first: usize| (first..first + 100_000).map(|line| format!("{line}\n")).collect::<String>();
        assert_eq!(diff_with(&lines(0), &lines(100_000)), "(588890 bytes stand there: not shown)\n");
    }
}
