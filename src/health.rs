//! Whether the services are well, judged by what they do: a process that stays, an API that answers.
//!
//! `is-active` is no evidence: a service in a crash loop is active most of the time. A process that
//! has been up for longer than it takes to crash at the start is.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::graft::Service;
use crate::graft::files::CONF_DIRECTORY;
use crate::graft::services::{self, Seen};
use crate::ground::MAGNUM_CONF;
use crate::http;
use crate::problem::Problem;
use crate::unit::process::Process;
use crate::unit::{files, oslo};

/// A daemon of Magnum that cannot run ends within 2.5 s of its start (measured on 2 cores).
pub const STABLE_AFTER: Duration = Duration::from_secs(5);
/// How long a service may take to get there.
const SETTLE_LIMIT: Duration = Duration::from_secs(60);
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);
const API_LIMIT: Duration = Duration::from_secs(3);

/// Looks until both services are stable and the API answers, or something keeps them from it.
/// Services that have long been running cost one request to the API and nothing else.
///
/// # Errors
/// When the services cannot be looked at.
pub fn settled(mut seen: Vec<Seen>) -> Result<(Vec<Seen>, Vec<Problem>)> {
    let began = Instant::now();
    loop {
        let late = began.elapsed() > SETTLE_LIMIT;
        let mut problems: Vec<Problem> = Vec::new();
        let mut young = false;
        for service in &seen {
            // One that ended once, and is started again, gets its chance.
            let age = service.process.as_ref().map(Process::age);
            match service.problem() {
                Some(problem) => problems.push(problem),
                None if age.is_none_or(|age| age < STABLE_AFTER) => {
                    young = true;
                    if late {
                        problems.push(service.keeps_failing());
                    }
                }
                None => {}
            }
        }
        problems.dedup();
        if problems.is_empty() {
            match api_answer() {
                Ok(_) if !young => return Ok((seen, problems)),
                Err(problem) if late => return Ok((seen, vec![problem])),
                _ => {}
            }
        } else {
            return Ok((seen, problems));
        }
        std::thread::sleep(BETWEEN_LOOKS);
        seen = services::look()?;
    }
}

/// Asks the API for its root document, at the address the configuration names.
///
/// # Errors
/// Why it did not answer, for the operator.
pub fn api_answer() -> Result<String, Problem> {
    let name = Service::Api.name();
    let not_answering = |what: String| {
        Problem::blocked(format!(
            "{name} does not answer: {what}; see: journalctl -u {name} -n 50"
        ))
    };
    let url = api_url().map_err(|error| not_answering(format!("{error:#}")))?;
    let ask = || {
        // Only whether it answers is asked, of this very machine: its certificate names another.
        let client = http::direct()
            .timeout(API_LIMIT)
            .tls_danger_accept_invalid_certs(true)
            .build()?;
        client.get(&url).send().map(|response| response.status())
    };
    match ask() {
        Ok(status) if !status.is_server_error() => Ok(format!("{url} answers {status}")),
        Ok(status) => Err(not_answering(format!("{url} says {status}"))),
        Err(error) => Err(not_answering(format!("{} at {url}", http::reason(&error)))),
    }
}

/// Where the API listens, from `[api]` of what the services read; the defaults are Magnum's.
fn api_url() -> Result<String> {
    let (mut host, mut port, mut tls) = ("127.0.0.1".to_owned(), "9511".to_owned(), false);
    for path in oslo::files_read(Path::new(MAGNUM_CONF), Path::new(CONF_DIRECTORY))? {
        let text = String::from_utf8_lossy(&files::read(&path)?).into_owned();
        let value = |key| oslo::value(&text, "api", key).map(str::to_owned);
        host = value("host").unwrap_or(host);
        port = value("port").unwrap_or(port);
        tls = value("enabled_ssl").map_or(tls, |on| {
            ["true", "1", "on", "yes"].contains(&on.to_lowercase().as_str())
        });
    }
    let host = match host.as_str() {
        "0.0.0.0" | "" => "127.0.0.1".to_owned(),
        "::" => "[::1]".to_owned(),
        v6 if v6.contains(':') => format!("[{v6}]"),
        _ => host,
    };
    let scheme = if tls { "https" } else { "http" };
    Ok(format!("{scheme}://{host}:{port}/"))
}
