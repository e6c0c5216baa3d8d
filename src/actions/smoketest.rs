//! The action `smoketest`: a template, and on demand a cluster, through Magnum's own API.

use anyhow::Result;

use crate::juju::{Context, tools};
use crate::problem::{Problem, told};
use crate::smoketest::{self, Parameters};

/// Runs it and sets the results; `Some` says in one sentence what failed.
pub fn run(context: &Context) -> Result<Option<String>> {
    let given = tools::action_get()?;
    let outcome = Parameters::read(&given)
        .map_err(anyhow::Error::from)
        .and_then(|wanted| smoketest::run(&wanted, context));
    match told(outcome)? {
        Ok(outcome) => {
            tools::action_set(&outcome.results())?;
            Ok(outcome.sentence())
        }
        Err(problem) => Ok(Some(Problem::to_string(&problem))),
    }
}
