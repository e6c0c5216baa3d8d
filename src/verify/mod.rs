//! `verify`: is the graft in place and working, and if not, what is to be done?
//!
//! Everything is looked at once, into an [`Inspection`], and Python is started once. The parts' own checks are run on
//! it, in the order in which a broken link breaks the next.

mod inspection;

use anyhow::Result;

use crate::check::{self, CheckResult, Finding, Outcome, Report};
use crate::juju::Context;
use crate::kubeconfig::KubeconfigSubject;
use crate::magnum;
use crate::problem::Problem;
use crate::system::System;
use crate::{chart, conf, driver, guard, helm, kubeconfig, services};

pub use inspection::Inspection;

/// Runs every check.
///
/// # Errors
/// If the unit has no Magnum, or a hook tool fails.
pub fn verify(system: &System, context: &Context) -> Result<Report> {
    Ok(report(&Inspection::new(system, context)?))
}

/// Runs every check on an inspection.
pub fn report(inspection: &Inspection<'_>) -> Report {
    let question = "Are the options and the kubeconfig's source valid?";
    let mut results = vec![CheckResult::new("settings", question, settings(inspection))];
    results.extend(driver::checks(&inspection.driver()));
    results.extend(helm::run_checks(&inspection.helm()));
    results.extend(chart::run_checks(&inspection.chart()));
    results.extend(check::run(&KubeconfigSubject::CHECKS, &inspection.kubeconfig()));
    results.extend(check::run(&kubeconfig::report::CHECKS, &inspection.kubeconfig_report));
    results.extend(conf::checks::check(&inspection.conf()));
    results.extend(services::checks::check(&inspection.services()));
    results.extend(guard::checks::check(&inspection.guard()));
    results.extend(services::checks::check_logs(&inspection.services()));
    results.extend(check::run(magnum::checks::CHECKS, &inspection.configuration));
    for result in &mut results {
        result.remedy = inspection.context.with_names(&result.remedy);
    }
    Report::new(results)
}

fn settings(inspection: &Inspection<'_>) -> Outcome {
    let expected = &inspection.expected;
    let shown = |problem: &Problem| inspection.context.with_names(&problem.to_string());
    let problems: Vec<String> = expected.problems.iter().map(shown).collect();
    if !problems.is_empty() {
        let remedy = "set the option, or update the secret, as the evidence says";
        return Ok(Err(Finding::fail(problems.join("; "), remedy)));
    }
    let settings = expected.settings.as_ref();
    let Some(settings) = settings.filter(|settings| settings.kubeconfig.is_some()) else {
        return Ok(Err(Finding::fail(
            "no kubeconfig is given",
            "juju add-secret capi-mgmt kubeconfig#file=FILE; juju grant-secret capi-mgmt APPLICATION; \
             juju config APPLICATION kubeconfig=secret:ID",
        )));
    };
    let options = settings.capi_helm_options.iter().count();
    let pin = &settings.driver.pin;
    Ok(Ok(format!("{pin}, {options} further options")))
}
