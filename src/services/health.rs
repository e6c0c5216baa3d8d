//! Whether the services are well, judged by what they do: a process that stays, an API that answers.
//!
//! `is-active` is no evidence: a service in a crash loop is active most of the time. A process that
//! has been up for longer than it takes to crash at the start is.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::graft::Service;
use crate::graft::services::{self, Reads, Seen};
use crate::ground;
use crate::http;
use crate::problem::{Kind, Problem};

/// A daemon of Magnum that cannot run ends within 2.5 s of its start (measured on 2 cores).
pub const STABLE_AFTER: Duration = Duration::from_secs(5);
/// How long a service may take to get there.
const SETTLE_LIMIT: Duration = Duration::from_secs(60);
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);
const API_LIMIT: Duration = Duration::from_secs(3);

/// How the services are, in a word.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Health {
    /// There is nothing to judge yet.
    #[default]
    Unknown,
    /// The API answers, both processes stay.
    Well,
    /// The principal has paused them.
    Paused,
    /// They are not well, and why.
    Ill(String),
}

impl Health {
    /// What [`settled`] found, in a word.
    pub fn of(problems: &[Problem]) -> Self {
        match problems.iter().max_by_key(|problem| problem.kind) {
            None => Self::Well,
            Some(worst) => match worst.kind {
                Kind::Blocked => Self::Ill(worst.to_string()),
                Kind::Maintenance => Self::Paused,
                Kind::Waiting | Kind::Notice => Self::Unknown,
            },
        }
    }
}

/// Looks until both services are stable and the API answers, or something keeps them from it.
/// Services that have long been running cost one request to the API and nothing else.
///
/// # Errors
/// When the services cannot be looked at.
pub fn settled(mut seen: Vec<Seen>, reads: &Reads) -> Result<(Vec<Seen>, Vec<Problem>)> {
    let began = Instant::now();
    loop {
        let late = began.elapsed() > SETTLE_LIMIT;
        let mut problems: Vec<Problem> = Vec::new();
        let mut young = false;
        for service in &seen {
            let wanted = &reads.command_lines[&service.service];
            match (service.problem(wanted), &service.process) {
                (Some(problem), _) => problems.push(problem),
                (None, Some(process)) if process.age() >= STABLE_AFTER => {}
                (None, _) => {
                    young = true;
                    if late {
                        problems.push(service.keeps_failing());
                    }
                }
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
    let configuration = ground::configuration()?;
    let value = |key| configuration.value("api", key);
    let tls = value("enabled_ssl")
        .is_some_and(|on| ["true", "1", "on", "yes"].contains(&on.to_lowercase().as_str()));
    let port = value("port").unwrap_or("9511");
    let host = match value("host").unwrap_or("127.0.0.1") {
        "0.0.0.0" => "127.0.0.1".to_owned(),
        "::" => "[::1]".to_owned(),
        v6 if v6.contains(':') => format!("[{v6}]"),
        name => name.to_owned(),
    };
    let scheme = if tls { "https" } else { "http" };
    Ok(format!("{scheme}://{host}:{port}/"))
}
