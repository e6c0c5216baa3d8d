//! The charm's client for Python package indexes: finds the pinned wheel and fetches it into memory.
//!
//! It speaks https, or http with this machine alone: a mirror on plain http cannot be trusted, and the checksum that
//! it announces with the wheel neither. Credentials of `index-url` go to its own host only, and never into a message.

use std::io::{ErrorKind, Read as _};
use std::time::{Duration, Instant};

use anyhow::Result;
use reqwest::Response;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::redirect::Policy;
use url::Url;

use super::page::{self, IndexFile};
use crate::juju::settings::{DISTRIBUTION, DriverSource, without_credentials};
use crate::problem::Problem;
use crate::system::http::{self, HttpClient};
use crate::system::limits::MOST_BYTES;
use crate::system::{Limited, Root, sha256};

pub const PYPI: &str = "https://pypi.org/simple/";
const ACCEPTED: &str =
    "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01";
const MOST_REDIRECTS: usize = 10;

/// How long the index may take. Whoever waits holds the lock.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Until the head of an answer, and then between any two bytes.
    pub silence: Duration,
    pub total: Duration,
}

impl Limits {
    pub const USUAL: Self = Self { silence: Duration::from_secs(30), total: Duration::from_secs(120) };
}

/// Fetches the pinned wheel for a Python of this version. A wheel that its publisher has withdrawn is fetched too: the
/// pin names it exactly ([PEP 592](https://peps.python.org/pep-0592/)).
///
/// # Errors
/// A [`Problem`] that names what is wrong with the pin, the index or the way to it.
pub fn fetch(
    root: &Root,
    source: &DriverSource,
    python: &str,
    proxy: &[(String, String)],
    limits: Limits,
) -> Result<Vec<u8>> {
    let pin = &source.pin;
    let page = source.index.as_ref().map_or_else(|| Url::parse(PYPI), |index| Ok(index.url().clone()))?;
    let index = Index::new(root, page, proxy, limits)?;
    let answer = index.get(&index.page)?;
    let page = answer.url().clone();
    let kind = answer.headers().get(CONTENT_TYPE).cloned();
    let kind = kind.as_ref().and_then(|kind| kind.to_str().ok());
    let files = page::files(kind.unwrap_or_default(), &index.body(answer)?);
    let Some(files) = files.map_err(|error| index.too_much(&error.to_string()))? else {
        let summary = "Option index-url does not point to a Python package index";
        return Err(index.blocked(summary, "is not a page of one; set it like https://HOST/simple/").into());
    };
    let Some(wheel) = files.iter().rfind(|file| file.is_wheel_of(pin.version())) else {
        let summary = "Pinned driver version is not in the package index";
        let remedy = "set driver-pin to a version that it has, or index-url to another index";
        return Err(index.blocked(summary, &format!("does not have {pin}; {remedy}")).into());
    };
    if let Some(wanted) = wheel.refuses(python) {
        let summary = "Pinned driver does not support this unit's Python";
        let detail = format!("driver-pin {pin} requires Python {wanted}, and this unit has {python}");
        return Err(Problem::blocked(summary, format!("{detail}; choose another version")).into());
    }
    index.wheel(wheel, &page)
}

struct Index {
    client: HttpClient,
    /// The address of the driver's page, with credentials.
    page: Url,
    /// The same for messages.
    shown: String,
    limits: Limits,
    began: Instant,
}

impl Index {
    fn new(root: &Root, mut page: Url, proxy: &[(String, String)], limits: Limits) -> Result<Self> {
        let path = format!("{}/{DISTRIBUTION}/", page.path().trim_end_matches('/'));
        page.set_path(&path);
        let shown = without_credentials(page.as_str());
        if page.scheme() != "https" && !is_loopback(&page) {
            let summary = "Option index-url is on plain http: set an https address";
            let detail = format!("index-url: {shown} cannot be trusted; use an https address");
            return Err(Problem::blocked(summary, detail).into());
        }
        let origin = page.clone();
        let policy = Policy::custom(move |attempt| {
            if attempt.previous().len() > MOST_REDIRECTS {
                attempt.error("it redirects too often")
            } else if is_allowed(attempt.url(), &origin) {
                attempt.follow()
            } else {
                attempt.error("it redirects to plain http")
            }
        });
        let client = http::outside(root, limits.silence, proxy)
            .and_then(|builder| HttpClient::new(builder.redirect(policy)))
            .map_err(|error| cannot_fetch(&shown, &format!("{error:#}")))?;
        let began = Instant::now();
        Ok(Self { client, page, shown, limits, began })
    }

    fn wheel(&self, wheel: &IndexFile, page: &Url) -> Result<Vec<u8>> {
        let name = &wheel.filename;
        let address = page.join(&wheel.url).ok();
        let Some(address) = address.filter(|address| is_allowed(address, &self.page)) else {
            let detail = format!("names no https address for {name}; set another index");
            return Err(self.blocked("Package index serves the driver over plain http", &detail).into());
        };
        let bytes = self.body(self.get(&address)?)?;
        let announced = wheel.hashes.get("sha256");
        if announced.is_some_and(|announced| !announced.eq_ignore_ascii_case(&sha256(&bytes))) {
            let detail = format!("serves {name} with another sha256 than it announces; check the index");
            return Err(self.blocked("Package index serves a wheel with a wrong checksum", &detail).into());
        }
        Ok(bytes)
    }

    fn get(&self, address: &Url) -> Result<Response, Problem> {
        let mut address = address.clone();
        if address.origin() == self.page.origin() {
            // Neither fails for an address with a host.
            address.set_username(self.page.username()).ok();
            address.set_password(self.page.password()).ok();
        }
        let request = self.client.reqwest.get(address).header(ACCEPT, ACCEPTED);
        let answer = self.client.send(request).map_err(|error| {
            let reason = http::reason(&error);
            if !error.is_redirect() {
                return cannot_fetch(&self.shown, &reason);
            }
            let detail = format!("is not the index itself ({reason}); set the https address of the index");
            self.blocked("Package index redirects to an address that is not allowed", &detail)
        })?;
        let status = answer.status();
        let said = format!("says {status} for {}", without_credentials(answer.url().as_str()));
        let (summary, remedy) = match status.as_u16() {
            200..=299 => return Ok(answer),
            401 | 403 => (
                "Package index refuses access: check index-credentials",
                "set index-credentials to a secret with a username and password that it knows",
            ),
            // A proxy that refuses, a timeout, too many requests, an error of the server: not the index's fault, or they pass.
            ..=399 | 407 | 408 | 429 | 500.. => return Err(cannot_fetch(&self.shown, &said)),
            _ => (
                "Package index does not have the driver: check index-url",
                "set an index that has magnum-capi-helm, like https://HOST/simple/",
            ),
        };
        Err(self.blocked(summary, &format!("{said}; {remedy}")))
    }

    fn body(&self, answer: Response) -> Result<Vec<u8>, Problem> {
        let mut bytes = Vec::new();
        let body = self.client.body(answer);
        let read = Limited::new(body, MOST_BYTES as u64).until(self.began + self.limits.total).read_to_end(&mut bytes);
        let Err(error) = read else { return Ok(bytes) };
        Err(match error.kind() {
            ErrorKind::FileTooLarge => self.too_much("sends more than 2 MiB"),
            ErrorKind::TimedOut => {
                let limit = self.limits.total.as_secs();
                cannot_fetch(&self.shown, &format!("the download is not complete after {limit} s"))
            }
            _ => cannot_fetch(&self.shown, "the download ended early"),
        })
    }

    fn too_much(&self, what: &str) -> Problem {
        self.blocked("Package index sends too much", &format!("{what}; set another index"))
    }

    fn blocked(&self, summary: &str, detail: &str) -> Problem {
        Problem::blocked(summary, format!("index-url: {} {detail}", self.shown))
    }
}

/// The problem of a driver that cannot be fetched now.
pub fn cannot_fetch(index: &str, reason: &str) -> Problem {
    Problem::waiting("Cannot fetch the driver", format!("{index}: {reason}; every hook tries again"))
}

/// Returns the index's address for messages.
pub fn shown(source: &DriverSource) -> String {
    source.index.as_ref().map_or_else(|| PYPI.to_owned(), ToString::to_string)
}

/// Whether the charm may ask this address: https, or the index's own host and port.
fn is_allowed(address: &Url, index: &Url) -> bool {
    address.scheme() == "https" || address.origin() == index.origin()
}

fn is_loopback(url: &Url) -> bool {
    matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
