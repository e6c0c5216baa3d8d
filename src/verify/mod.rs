//! `verify`: is the graft in place and working, and if not, what is to be done?
//!
//! Everything is looked at once, into an `Inspection`, and Python is started once. The parts' own checks are run on
//! it, in the order in which a broken link breaks the next.

mod inspection;

use anyhow::Result;

use crate::chart::ChartSubject;
use crate::check::{Check, Finding, Outcome, Report, run};
use crate::conf::checks::ConfSubject;
use crate::driver::DriverSubject;
use crate::guard::checks::GuardSubject;
use crate::helm::HelmSubject;
use crate::juju::Context;
use crate::kubeconfig::{self, KubeconfigSubject};
use crate::magnum::checks::MagnumSubject;
use crate::reconcile::no_kubeconfig;
use crate::services::checks::ServicesSubject;
use crate::system::System;
use inspection::Inspection;

impl Inspection<'_> {
    const CHECKS: [Check<Self>; 1] =
        [Check::new("settings", "Are the options and the kubeconfig's source valid?", settings)];
}

/// Runs every check.
///
/// # Errors
/// If the unit has no Magnum, or a hook tool fails.
pub fn verify(system: &System, context: &Context) -> Result<Report> {
    let inspection = Inspection::new(system, context)?;
    let mut results = [
        run(&Inspection::CHECKS, &inspection),
        run(&DriverSubject::CHECKS, &inspection.driver()),
        run(&HelmSubject::CHECKS, &inspection.helm()),
        run(&ChartSubject::CHECKS, &inspection.chart()),
        run(&KubeconfigSubject::CHECKS, &inspection.kubeconfig()),
        run(kubeconfig::checks::CHECKS, &inspection.kubeconfig_report),
        run(kubeconfig::ROUTE_CHECKS, &inspection.kubeconfig_report),
        run(&ConfSubject::CHECKS, &inspection.conf(&inspection.environments())),
        run(&ServicesSubject::CHECKS, &inspection.services()),
        run(&GuardSubject::CHECKS, &inspection.guard()),
        run(&MagnumSubject::CHECKS, &inspection.magnum()?),
    ]
    .concat();
    for result in &mut results {
        result.evidence = context.with_names(&result.evidence);
        result.remedy = context.with_names(&result.remedy);
    }
    Ok(Report(results))
}

fn settings(inspection: &Inspection<'_>) -> Outcome {
    let problems: Vec<String> = inspection.hook.problems.iter().map(ToString::to_string).collect();
    if !problems.is_empty() {
        let remedy = "set the option, or update the secret, as the evidence says";
        return Err(Finding::fail(problems.join("; "), remedy));
    }
    let settings = inspection
        .hook
        .chosen
        .as_ref()
        .map(|chosen| &chosen.wanted.settings)
        .filter(|settings| settings.kubeconfig.is_some());
    let settings = settings.ok_or_else(|| {
        let problem = no_kubeconfig();
        Finding::fail(problem.summary, problem.detail)
    })?;
    Ok(format!("{}, {} further options", settings.driver.pin, settings.capi_helm_options.iter().count()))
}
