//! The charm's client for Python package indexes: finds the pinned wheel and fetches it into memory.
//!
//! It speaks https, or http with this machine alone: a mirror on plain http cannot be trusted, and the checksum that
//! it announces with the wheel neither. Credentials of `index-url` go to its own host only, and never into a message.

use std::io::Read as _;
use std::time::{Duration, Instant};

use anyhow::Result;
use pep440_rs::{Version, VersionSpecifiers};
use reqwest::StatusCode;
use reqwest::blocking::{Client, Response};
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::redirect::Policy;
use tracing::warn;
use url::{Host, Url};

use super::page::{self, IndexFile};
use crate::juju::settings::{DISTRIBUTION, DriverSource, without_credentials};
use crate::problem::Problem;
use crate::system::{Root, http, sha256};

const PYPI: &str = "https://pypi.org/simple/";
const ACCEPTED: &str = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01";
/// The most bytes of a page or a wheel; the driver's wheel has 50 kB.
const SIZE_LIMIT: u64 = 8 << 20;
const MOST_REDIRECTS: usize = 10;

/// How long the index may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Until the head of an answer, and then between any two bytes.
    pub silence: Duration,
    pub total: Duration,
}

impl Limits {
    pub const USUAL: Self = Self {
        silence: Duration::from_secs(30),
        total: Duration::from_secs(180),
    };
}

/// Fetches the pinned wheel for a Python of this version.
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
    let page = match &source.index {
        Some(index) => index.url().clone(),
        None => Url::parse(PYPI)?,
    };
    let index = Index::new(root, page, proxy, limits)?;
    let answer = index.get(&index.page)?;
    let content_type = answer
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let (content_type, address) = (
        content_type.unwrap_or_default().to_owned(),
        answer.url().clone(),
    );
    let files = page::files(&content_type, &index.body(answer)?).ok_or_else(|| {
        let wrong = format!(
            "{} is not a page of one; set it like https://HOST/simple/",
            index.shown
        );
        Problem::blocked(
            "Option index-url does not point to a Python package index",
            format!("index-url: {wrong}"),
        )
    })?;
    let wheel = files
        .iter()
        .rfind(|file| file.is_wheel_of(source.pin.version()))
        .ok_or_else(|| {
            let missing = format!(
                "driver-pin {} is not in the package index {}",
                source.pin, index.shown
            );
            let remedy = "choose a version that is, or set index-url to an index that has it";
            Problem::blocked(
                "Pinned driver version is not in the package index",
                format!("{missing}; {remedy}"),
            )
        })?;
    check_python(source, wheel, python)?;
    if let Some(reason) = wheel.yanked() {
        warn!(
            "{} is withdrawn (yanked) by its publisher: {reason}",
            source.pin
        );
    }
    index.wheel(wheel, &address)
}

struct Index {
    client: Client,
    /// The address of the driver's page, with credentials.
    page: Url,
    /// The same for messages.
    shown: String,
    limits: Limits,
    began: Instant,
}

impl Index {
    fn new(root: &Root, mut page: Url, proxy: &[(String, String)], limits: Limits) -> Result<Self> {
        if page.scheme() != "https" && !is_loopback(&page) {
            let host = page.host_str().unwrap_or_default();
            let refusal = format!(
                "index-url: the charm does not trust {host} over plain http; use an https address"
            );
            return Err(Problem::blocked(
                "Option index-url is on plain http: set an https address",
                refusal,
            )
            .into());
        }
        page.set_path(&format!(
            "{}/{DISTRIBUTION}/",
            page.path().trim_end_matches('/')
        ));
        let shown = without_credentials(page.as_str());
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
        let client = http::proxied(limits.silence, proxy)
            .and_then(|builder| {
                Ok(http::trusting_unit(builder, root)?
                    .redirect(policy)
                    .build()?)
            })
            .map_err(|error| cannot_fetch(&shown, &format!("{error:#}")))?;
        Ok(Self {
            client,
            page,
            shown,
            limits,
            began: Instant::now(),
        })
    }

    fn wheel(&self, wheel: &IndexFile, page: &Url) -> Result<Vec<u8>> {
        let address = wheel
            .address(page)
            .filter(|address| is_allowed(address, &self.page));
        let address = address.ok_or_else(|| {
            let wrong = format!(
                "{} names no https address for {}",
                self.shown, wheel.filename
            );
            Problem::blocked(
                "Package index serves the driver over plain http",
                format!("index-url: {wrong}; set another index"),
            )
        })?;
        let bytes = self.body(self.get(&address)?)?;
        let announced = wheel.hashes.get("sha256");
        if announced.is_some_and(|announced| !announced.eq_ignore_ascii_case(&sha256(&bytes))) {
            let detail = format!(
                "index-url: {} has another sha256 than {} announces; check the index",
                wheel.filename, self.shown
            );
            return Err(Problem::blocked(
                "Package index serves a wheel with a wrong checksum",
                detail,
            )
            .into());
        }
        Ok(bytes)
    }

    fn get(&self, address: &Url) -> Result<Response> {
        let mut address = address.clone();
        if address.origin() == self.page.origin() {
            // Neither fails for an address with a host.
            address.set_username(self.page.username()).ok();
            address.set_password(self.page.password()).ok();
        }
        let answer = self.client.get(address).header(ACCEPT, ACCEPTED).send().map_err(|error| {
            let reason = http::reason(&error);
            match error.is_redirect() {
                true => Problem::blocked(
                    "Package index redirects to an address that is not allowed",
                    format!("index-url: {}: {reason}; set index-url to the https address of the index", self.shown),
                ),
                false => self.cannot_fetch(&reason),
            }
        })?;
        let status = answer.status();
        let said = format!(
            "index-url: {} says {status} for {}",
            self.shown,
            without_credentials(answer.url().as_str())
        );
        Err(match status {
            _ if status.is_success() => return Ok(answer),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Problem::blocked(
                "Package index refuses access: check index-credentials",
                format!("{said}; set index-credentials to a secret with a username and password that it knows"),
            ),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => self.cannot_fetch(&format!("it says {status}")),
            _ if status.is_client_error() => Problem::blocked(
                "Package index does not have the driver: check index-url",
                format!("{said}; set index-url to an index that has {DISTRIBUTION}, like https://HOST/simple/"),
            ),
            _ => self.cannot_fetch(&format!("it says {status}")),
        }
        .into())
    }

    fn body(&self, mut answer: Response) -> Result<Vec<u8>> {
        let (mut bytes, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
        loop {
            if self.began.elapsed() > self.limits.total {
                let limit = self.limits.total.as_secs();
                return Err(self
                    .cannot_fetch(&format!("the download is not complete after {limit} s"))
                    .into());
            }
            let count = answer
                .read(&mut buffer)
                .map_err(|_| self.cannot_fetch("the download ended early"))?;
            bytes.extend_from_slice(&buffer[..count]);
            if bytes.len() as u64 > SIZE_LIMIT {
                let detail = format!(
                    "index-url: {} sends more than 8 MiB; set another index",
                    self.shown
                );
                return Err(Problem::blocked("Package index sends too much", detail).into());
            }
            if count == 0 {
                return Ok(bytes);
            }
        }
    }

    fn cannot_fetch(&self, reason: &str) -> Problem {
        cannot_fetch(&self.shown, reason)
    }
}

fn cannot_fetch(index: &str, reason: &str) -> Problem {
    Problem::waiting(
        "Cannot fetch the driver",
        format!("{index}: {reason}; every hook tries again"),
    )
}

/// Whether the charm may ask this address: https, or the index's own host and port.
fn is_allowed(address: &Url, index: &Url) -> bool {
    address.scheme() == "https" || address.origin() == index.origin()
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Checks `Requires-Python`, of which an index may announce one that is not valid; pip ignores such a one.
fn check_python(source: &DriverSource, wheel: &IndexFile, python: &str) -> Result<(), Problem> {
    let Some(requires) = &wheel.requires_python else {
        return Ok(());
    };
    let wanted = requires.parse::<VersionSpecifiers>().ok();
    let running = python
        .parse::<Version>()
        .ok()
        .map(|version| Version::new(version.release()));
    match (wanted, running) {
        (Some(wanted), Some(running)) if !wanted.contains(&running) => Err(Problem::blocked(
            "Pinned driver does not support this unit's Python",
            format!(
                "driver-pin {} requires Python {requires}, and this unit has {python}; choose another version",
                source.pin
            ),
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
