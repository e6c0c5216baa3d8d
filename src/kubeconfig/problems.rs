//! What the unit's status says of the selected kubeconfig and its management cluster.

use anyhow::Result;
use jiff::Timestamp;

use super::checks::CHECKS;
use super::compatibility::Stack;
use super::memory::{Memory, Passed};
use super::programs::ProgramsToAsk;
use super::report::{KubeconfigReport, ManagementReport};
use super::validity::{Age, age};
use super::{ApiError, Route, Selection};
use crate::check::{self, CheckResult, Status};
use crate::juju::settings::Settings;
use crate::problem::Problem;
use crate::step::Thoroughness;
use crate::system::{Root, System, sha256};

/// How long a management cluster on which everything passed is not asked everything again.
const PASSED_FOR: i64 = 24 * 60 * 60;
const UNFIT: &str = "Management cluster does not fit driver or chart";
const REMEDY: &str = "run: juju update-secret SECRET kubeconfig#file=FILE";

/// Returns what is wrong with the selected kubeconfig: its age, driver or helm that refuse it, and a management cluster
/// that does not answer, does not allow everything, or does not fit.
///
/// # Errors
/// If the memory cannot be written.
pub fn problems(
    system: &System,
    memory: &mut Memory,
    selection: &Selection,
    settings: &Settings,
    stack: &Stack,
    ask: &ProgramsToAsk<'_>,
) -> Result<Vec<Problem>> {
    let mut problems: Vec<Problem> = selection.problem.iter().cloned().collect();
    let (content, pin) = (&selection.content, &settings.driver.pin);
    // When it was selected, the driver may not have been installed yet.
    if let Some(refusal) = memory.refusal(system, content, pin, ask, Thoroughness::Full)? {
        problems.push(Problem::blocked("Kubeconfig is not usable", format!("it {refusal}; {REMEDY}")));
    }
    let age = age(&selection.usable.validity, Timestamp::now());
    problems.extend(of_age(&age, settings.expiry_warning_days));
    match &selection.identity {
        // Its age explains the rejection.
        Err(ApiError::Rejected(_)) if !matches!(age, Age::Valid(_)) => {}
        Err(error @ (ApiError::Unreachable(_) | ApiError::Unexpected(_))) => {
            // The charm goes directly; driver and helm go as the services' environment says.
            let what = format!("environment {:?} {:?}", ask.driver, ask.helm);
            problems.extend(ask_daily(&system.root, memory, selection, &what, || {
                let route = Route::inspect(system, &selection.usable, content, ask);
                let leads_there = route.is_ok_and(|route| route.leads_there());
                if leads_there { Vec::new() } else { of_cluster(selection, Err(error.clone())) }
            })?);
        }
        Ok(_) | Err(ApiError::Forbidden(_)) => {
            let ask = || of_cluster(selection, ManagementReport::ask(&system.root, &selection.usable, stack));
            problems.extend(ask_daily(&system.root, memory, selection, &format!("{stack:?}"), ask)?);
        }
        Err(error) => problems.extend(of_cluster(selection, Err(error.clone()))),
    }
    Ok(problems)
}

fn of_age(age: &Age, warning_days: u16) -> Option<Problem> {
    match age {
        Age::Expired(ends) => Some(Problem::blocked("Kubeconfig has expired", format!("{ends}; {REMEDY}"))),
        Age::NotYetValid(begins) => Some(Problem::waiting("Kubeconfig is not valid yet", begins)),
        Age::Valid(Some((ends, days))) if *days < i64::from(warning_days) => {
            Some(Problem::notice(format!("Kubeconfig expires in {days} days"), format!("{ends}; {REMEDY}")))
        }
        Age::Valid(_) => None,
    }
}

/// Asks, unless everything passed within a day with the same kubeconfig and what is `beside` it: each of many hooks on
/// each of many units would be too often.
fn ask_daily(
    root: &Root,
    memory: &mut Memory,
    selection: &Selection,
    beside: &str,
    ask: impl FnOnce() -> Vec<Problem>,
) -> Result<Vec<Problem>> {
    let kubeconfig = sha256(selection.content.expose().as_bytes());
    let what = sha256(format!("{kubeconfig} {beside}").as_bytes());
    let now = Timestamp::now().as_second();
    let is_recent = |passed: &Passed| passed.what == what && (0..PASSED_FOR).contains(&(now - passed.at));
    if memory.passed.as_ref().is_some_and(is_recent) {
        return Ok(Vec::new());
    }
    let problems = ask();
    let passed = problems.is_empty().then_some(Passed { what, at: now });
    if memory.passed != passed {
        memory.passed = passed;
        memory.keep(root);
    }
    Ok(problems)
}

/// Turns the findings of the checks of the management cluster into problems.
fn of_cluster(selection: &Selection, online: Result<ManagementReport, ApiError>) -> Vec<Problem> {
    let report = KubeconfigReport {
        usable: Some(Ok(selection.usable.clone())),
        online: Some(online),
        ..KubeconfigReport::default()
    };
    let problem = |result: CheckResult| {
        let detail = format!("{}; {}", result.evidence, result.remedy);
        Some(match (result.id, result.status) {
            ("management-api", Status::Fail) => Problem::blocked("Kubeconfig leads to this unit itself", detail),
            ("management-api", Status::Warn) => Problem::waiting("Management cluster does not answer", detail),
            ("management-identity", Status::Fail) => {
                Problem::blocked("Management cluster rejects the kubeconfig", detail)
            }
            ("management-permissions", Status::Fail) => Problem::blocked("Kubeconfig's user lacks permissions", detail),
            ("management-capi", Status::Fail) => Problem::blocked(UNFIT, detail),
            ("management-capi", Status::Warn) => Problem::notice(UNFIT, detail),
            _ => return None,
        })
    };
    check::run(CHECKS, &report).into_iter().filter_map(problem).collect()
}

#[cfg(test)]
mod tests {
    use super::super::UsableKubeconfig;
    use super::super::testing::{cluster, gid, python, scratch, serve, usable};
    use super::super::validity::Validity;
    use super::*;
    use crate::escape::STATUS_LENGTH;
    use crate::magnum::EnvironmentSource;
    use crate::problem::Kind;
    use crate::system::Secret;
    use crate::system::systemd::Unit;
    use crate::system::testing::{Scratch, command_line};

    const DAY: i64 = 24 * 60 * 60;

    fn of(usable: UsableKubeconfig, identity: Result<&str, ApiError>) -> Selection {
        let content = Secret::new(usable.server.clone());
        Selection { content, usable, identity: identity.map(str::to_owned), problem: None }
    }

    fn found(scratch: &Scratch, selection: &Selection) -> Vec<(Kind, String)> {
        found_with(scratch, selection, &scratch.system(|_| None), None)
    }

    fn found_with(
        scratch: &Scratch,
        selection: &Selection,
        system: &System,
        environment: Option<EnvironmentSource<'_>>,
    ) -> Vec<(Kind, String)> {
        let config = serde_json::json!({"driver-pin": "magnum-capi-helm==1.4.0"});
        let config: crate::juju::settings::RawConfig = serde_json::from_value(config).unwrap();
        let settings = config.validated(Default::default()).unwrap();
        let stack = Stack::new(&settings, Some("0.25.1"));
        let magnum_gid = gid(scratch);
        let (python, helm) = (python(), scratch.root.identity("/usr/bin/helm".as_ref()).unwrap());
        let driver = environment.map(|_| "record".to_owned());
        let ask = ProgramsToAsk { magnum_gid, python: Some(&python), driver, helm, environment, is_dry_run: false };
        let mut memory = Memory::load(&scratch.root);
        let problems = problems(system, &mut memory, selection, &settings, &stack, &ask).unwrap();
        assert!(problems.iter().all(|problem| problem.summary.chars().count() <= STATUS_LENGTH));
        problems.into_iter().map(|problem| (problem.kind, problem.summary)).collect()
    }

    #[test]
    fn a_management_cluster_on_which_everything_passes_is_not_asked_again_within_a_day() {
        let (scratch, asked) = (scratch(), std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0)));
        let counter = asked.clone();
        let allows = move |_: &str| counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < 100;
        let selection = of(cluster("v1beta1", allows), Ok("admin"));
        for _ in 0..2 {
            assert_eq!(found(&scratch, &selection), []);
            assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 1);
        }
    }

    #[test]
    fn a_cluster_that_driver_and_helm_reach_through_the_services_proxy_is_no_problem_and_asked_about_daily() {
        let scratch = scratch();
        scratch.put("/usr/bin/helm", "");
        let variables = Secret::new("https_proxy=http://u:hunter2@h".to_owned());
        let unit = Unit { environment: variables, ..Unit::default() };
        let environment = Some(EnvironmentSource { unit: &unit, process: None });
        let asked = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let found = |selection: &Selection, status: u16| {
            let counter = asked.clone();
            let system = scratch.system(move |command| {
                let line = command_line(command);
                counter.fetch_add(usize::from(line.contains(" reach ")), std::sync::atomic::Ordering::SeqCst);
                Some(match line.contains(" client ") {
                    true => r#"{"version": "1.4.0", "client": {"answer": true}}"#.to_owned(),
                    false => format!(r#"{{"answer": {status}}}"#),
                })
            });
            found_with(&scratch, selection, &system, environment).len()
        };
        let silent = || Err(ApiError::Unreachable("timed out".into()));
        let selection = of(usable("https://mgmt.invalid"), silent());
        assert_eq!([found(&selection, 502), found(&selection, 200), found(&selection, 502)], [1, 0, 0]);
        assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 2);
        assert_eq!(found(&of(usable("https://other.invalid"), silent()), 502), 1);
    }

    #[test]
    fn what_does_not_pass_there_is_reported_each_time() {
        let scratch = scratch();
        let old = of(cluster("v1alpha7", |rule| !rule.contains('*') && rule != "get secrets"), Ok("admin"));
        let fit = "Management cluster does not fit driver or chart".to_owned();
        for _ in 0..2 {
            assert_eq!(
                found(&scratch, &old),
                [(Kind::Blocked, "Kubeconfig's user lacks permissions".to_owned()), (Kind::Blocked, fit.clone()),]
            );
        }
        let gone = of(serve(|_, _, _| ("503 Unavailable", String::new())), Ok("admin"));
        assert_eq!(found(&scratch, &gone)[0].0, Kind::Waiting);
    }

    #[test]
    fn a_cluster_that_lets_nobody_ask_who_he_is_is_asked_the_rest() {
        let apis = r#"{"groups": [{"name": "apps", "versions": []}]}"#;
        let refusing = serve(move |method, _, _| match method {
            "POST" => ("403 Forbidden", String::new()),
            _ => ("200 OK", apis.to_owned()),
        });
        let selection = of(refusing, Err(ApiError::Forbidden("create x".into())));
        let fit = "Management cluster does not fit driver or chart".to_owned();
        assert_eq!(found(&scratch(), &selection), [(Kind::Blocked, fit)]);
    }

    #[test]
    fn age_and_identity_are_reported() {
        let now = Timestamp::now().as_second();
        let ending = |from: i64, until: i64| {
            let moment = |days: i64| Timestamp::from_second(now + days * DAY + 60).ok();
            let mut usable = usable("https://127.0.0.1:1");
            usable.validity = vec![Validity::new("token", moment(from), moment(until))];
            usable
        };
        let rejected = || Err(ApiError::Rejected(401));
        let silent = || Err(ApiError::Unreachable("refused".into()));
        let untold = Err(ApiError::UnsupportedServer("it has a P-521 key".into()));
        let elsewhere = UsableKubeconfig { server: "https://192.0.2.1:6443".into(), ..ending(-9, 99) };
        let unsupported = || Err(ApiError::Unsupported);
        for (usable, identity, expected) in [
            (ending(-9, 99), unsupported(), vec![]),
            (ending(-9, 9), unsupported(), vec![(Kind::Notice, "Kubeconfig expires in 9 days")]),
            (ending(-9, -1), rejected(), vec![(Kind::Blocked, "Kubeconfig has expired")]),
            (ending(1, 99), unsupported(), vec![(Kind::Waiting, "Kubeconfig is not valid yet")]),
            (ending(-9, 99), rejected(), vec![(Kind::Blocked, "Management cluster rejects the kubeconfig")]),
            (ending(-9, 99), silent(), vec![(Kind::Blocked, "Kubeconfig leads to this unit itself")]),
            (elsewhere, silent(), vec![(Kind::Waiting, "Management cluster does not answer")]),
            (ending(-9, 99), untold, vec![]),
        ] {
            let found = found(&scratch(), &of(usable, identity));
            let found: Vec<(Kind, &str)> = found.iter().map(|(kind, summary)| (*kind, summary.as_str())).collect();
            assert_eq!(found, expected);
        }
    }
}
