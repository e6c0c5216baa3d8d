//! Whether the services are healthy, by what they do: a process that stays, an API that answers.
//!
//! `is-active` is no evidence: a service in a crash loop is active most of the time. A process that has been up for
//! longer than it takes to crash at the start is evidence.

use std::time::{Duration, Instant};

use anyhow::Result;
use reqwest::redirect::Policy;

use super::{ObservedService, ServiceInputs, inspect};
use crate::magnum::{Configuration, Service};
use crate::problem::{Problem, or_problem};
use crate::system::http::{self, HttpClient};
use crate::system::{Process, Root, System, TooMuch, bounds};

/// A daemon of Magnum that cannot run ends within 2.5 s of its start (measured on 2 cores).
pub const STABLE_AFTER: Duration = Duration::from_secs(5);
/// How long a service may take to become stable.
const SETTLE_LIMIT: Duration = Duration::from_secs(60);
/// How long a service must have run after a switch: what its driver starts may end it later.
pub const WATCHED_FOR: Duration = Duration::from_secs(10);
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);
const API_LIMIT: Duration = Duration::from_secs(3);

/// What is wrong with the services, or the problem that keeps the charm from finding out.
pub type Health = Result<Vec<Problem>, Problem>;

/// Waits until both services have run for `stable_after` and the API answers, or something keeps them from it. Services
/// that have been running for long cost one request to the API and nothing else. Returns the services as they were last seen, too.
///
/// # Errors
/// If the services cannot be looked at.
pub fn settle(
    system: &System,
    mut services: Vec<ObservedService>,
    inputs: &ServiceInputs,
    stable_after: Duration,
) -> Result<(Vec<ObservedService>, Health)> {
    let (began, limit) = (Instant::now(), SETTLE_LIMIT.min(bounds::left()));
    loop {
        let wrong = services.iter().filter_map(|service| service.problem(&inputs.command_lines[&service.service]));
        let mut problems: Vec<Problem> = wrong.collect();
        problems.dedup();
        if !problems.is_empty() {
            return Ok((services, Ok(problems)));
        }
        let is_stable = |process: &Process| process.age() >= stable_after;
        let young = services.iter().find(|service| !service.process.as_ref().is_some_and(is_stable));
        let pending = match young {
            Some(young) => Some(young.does_not_stay()),
            None => match api_answer(&system.root) {
                Err(error) if error.is::<TooMuch>() => return Ok((services, or_problem(Err(error))?)),
                answer => or_problem(answer)?.err(),
            },
        };
        if pending.is_none() || began.elapsed() > limit {
            return Ok((services, Ok(pending.into_iter().collect())));
        }
        std::thread::sleep(BETWEEN_LOOKS);
        services = inspect(system)?;
    }
}

/// Asks the API for its root document, at the address in the configuration.
///
/// # Errors
/// A [`Problem`] that says why it did not answer; [`TooMuch`] if there is more configuration than is read.
pub fn api_answer(root: &Root) -> Result<String> {
    let name = Service::Api.name();
    let silent = |what: String| {
        Problem::blocked(
            format!("{name} does not answer: see its journal"),
            format!("{what}; see: journalctl -u {name} -n 50"),
        )
    };
    let cannot = |error: anyhow::Error| silent(format!("{error:#}"));
    let unread = |error: anyhow::Error| if error.is::<TooMuch>() { error } else { cannot(error).into() };
    let url = api_url(&Configuration::read(root).map_err(unread)?);
    // Only whether it answers is asked, of this very machine: its certificate names another.
    let client = http::direct().timeout(API_LIMIT).redirect(Policy::none()).tls_danger_accept_invalid_certs(true);
    let client = HttpClient::new(client).map_err(cannot)?;
    match client.send(client.reqwest.get(&url)).map(|answer| answer.status()) {
        Ok(status) if !status.is_server_error() => Ok(format!("{url} answers {status}")),
        Ok(status) => Err(silent(format!("{url} says {status}")).into()),
        Err(error) => Err(silent(format!("{} at {url}", http::reason(&error))).into()),
    }
}

/// The defaults are Magnum's.
fn api_url(configuration: &Configuration) -> String {
    let value = |key| configuration.value("api", key);
    let is_on = |on: &str| ["true", "1", "on", "yes"].contains(&on.to_lowercase().as_str());
    let scheme = if value("enabled_ssl").is_some_and(is_on) { "https" } else { "http" };
    let host = match value("host").unwrap_or("127.0.0.1") {
        "0.0.0.0" => "127.0.0.1".to_owned(),
        "::" => "[::1]".to_owned(),
        v6 if v6.contains(':') => format!("[{v6}]"),
        name => name.to_owned(),
    };
    format!("{scheme}://{host}:{}/", value("port").unwrap_or("9511"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::magnum::{CONF_DIRECTORY, MAGNUM_CONF};
    use crate::system::testing::Scratch;

    #[test]
    fn the_api_is_asked_where_the_configuration_says() {
        for (api, url) in [
            ("", "http://127.0.0.1:9511/"),
            ("host = 0.0.0.0\nport = 9501\n", "http://127.0.0.1:9501/"),
            ("host = ::\nenabled_ssl = True\n", "https://[::1]:9511/"),
            ("host = 2001:db8::1\n", "http://[2001:db8::1]:9511/"),
            ("host = api.example\nenabled_ssl = false\n", "http://api.example:9511/"),
        ] {
            let scratch = Scratch::new();
            scratch.put(MAGNUM_CONF, format!("[api]\n{api}"));
            let configuration = Configuration::read(&scratch.root).unwrap();
            assert_eq!(api_url(&configuration), url);
        }
    }

    #[test]
    fn an_api_that_does_not_answer_is_named_with_its_address() {
        let scratch = Scratch::new();
        scratch.put(MAGNUM_CONF, "[api]\nport = 1\n");
        let problem: Problem = api_answer(&scratch.root).unwrap_err().downcast().unwrap();
        assert_eq!(problem.summary, "magnum-api does not answer: see its journal");
        assert!(problem.detail.contains("http://127.0.0.1:1/"), "{problem}");
    }

    #[test]
    fn more_configuration_than_is_read_says_nothing_about_the_services() {
        let scratch = Scratch::new();
        let system = scratch.system(|_| None);
        let inputs = ServiceInputs { command_lines: [].into(), fingerprint: String::new(), since: None };
        scratch.put(MAGNUM_CONF, "[api]\nport = 1\n");
        (0..1001).for_each(|index| scratch.put(format!("{CONF_DIRECTORY}/{index}.conf"), ""));
        let unknown = settle(&system, Vec::new(), &inputs, STABLE_AFTER).unwrap().1.unwrap_err();
        assert!(unknown.summary.starts_with("Too much to read: /etc/magnum/magnum.conf.d"), "{unknown}");
    }
}
