//! The driver's wheel, downloaded by pip: it knows indexes, proxies, certificates and checksums.
//!
//! pip only downloads: nothing of the wheel runs, and nothing outside `destination` changes. What
//! it is to fetch stands in a file that only root can read, since an index's address may hold a
//! password and arguments and environment can be read by others.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::problem::Problem;
use crate::settings::{Address, DriverSource};
use crate::unit::python::Python;
use crate::unit::{apt, command, files, state};

/// One fetch of one small wheel, through a slow proxy.
const LIMIT: Duration = Duration::from_secs(180);
/// How long pip waits for a byte from the index, in seconds; it tries twice.
const INDEX_LIMIT: &str = "15";
/// The unit's own certificate authorities, which an operator extends for an internal mirror.
const CA_BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Downloads the pinned wheel into `destination`, installing pip through apt when there is none.
///
/// # Errors
/// A [`Problem`] that names what is wrong with the pin or the index.
pub fn download(
    source: &DriverSource,
    python: &Python,
    proxy: &[(String, String)],
    destination: &Path,
) -> Result<()> {
    let requirements = state::path("requirements.txt");
    files::write(
        &requirements,
        requirements_of(source).as_bytes(),
        files::Access::PRIVATE,
    )?;
    let run = || {
        let mut pip = command::run_tied(&python.executable.to_string_lossy(), LIMIT)
            // Verbose, since only then pip says why an index gave nothing.
            .args([
                "-m",
                "pip",
                "download",
                "-vv",
                "--no-input",
                "--no-cache-dir",
            ])
            .args(["--disable-pip-version-check", "--progress-bar", "off"])
            .args(["--timeout", INDEX_LIMIT, "--retries", "1"])
            .args(["--no-deps", "--only-binary", ":all:"])
            .args([Path::new("--dest"), destination])
            .args([Path::new("--requirement"), &requirements])
            // Older pips know neither the flag nor the rule (PEP 668); all honour or ignore this.
            .env("PIP_BREAK_SYSTEM_PACKAGES", "1");
        if Path::new(CA_BUNDLE).is_file() {
            pip = pip.env("PIP_CERT", CA_BUNDLE);
        }
        for (name, value) in proxy {
            pip = pip.env(name, value);
        }
        pip.output()
    };
    let mut ended = run();
    if matches!(&ended, Ok(output) if output.stderr.contains(NO_PIP)) {
        apt::install("python3-pip", proxy)?;
        ended = run();
    }
    files::remove(&requirements)?;
    let ended = ended.map_err(|error| cannot_fetch(source, &format!("{error:#}")))?;
    if ended.code == Some(0) {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ended.stdout);
    Err(why(source, &format!("{said}\n{}", ended.stderr)).into())
}

const NO_PIP: &str = "No module named pip";
const PIP_DIED: &str = "ERROR: Exception:";

/// pip's [requirements file](https://pip.pypa.io/en/stable/reference/requirements-file-format/).
fn requirements_of(source: &DriverSource) -> String {
    let index = source.index.as_ref().map(Address::expose);
    let index = index
        .map(|url| format!("--index-url {url}\n"))
        .unwrap_or_default();
    let hash = source.sha256.as_ref();
    let hash = hash
        .map(|sha| format!(" --hash=sha256:{sha}"))
        .unwrap_or_default();
    format!("{index}{}{hash}\n", source.pin)
}

/// What pip's failure means for the operator. The texts are pip's own, of 22.0 to 25.
fn why(source: &DriverSource, said: &str) -> Problem {
    let pin = &source.pin;
    let line = |text: &str| said.lines().find(|line| line.contains(text));
    if line("DO NOT MATCH THE HASHES").is_some() {
        // pips before 25 take a download that was cut off for the whole one.
        return Problem::blocked(match source.sha256 {
            Some(_) => format!(
                "driver-sha256: the wheel of {pin} has another sha256, or arrived cut off; check \
                 the index, or set driver-sha256 to what `sha256sum` prints for a wheel you trust"
            ),
            None => format!(
                "index-url: the wheel of {pin} has another sha256 than the index announces, or \
                 arrived cut off; check the index"
            ),
        });
    }
    if let Some(host) = line("is not a trusted or secure host").and_then(|line| {
        line.split_whitespace()
            .skip_while(|word| *word != "at")
            .nth(1)
    }) {
        return Problem::blocked(format!(
            "index-url: pip does not trust {host} over plain http; use an https address"
        ));
    }
    if let Some(requires) = line("different Python").or_else(|| line("different python")) {
        let wanted = requires.split(['(', '\'']).find(|part| part.contains('='));
        return Problem::blocked(format!(
            "driver-pin {pin} does not support this unit's Python: it requires Python {}; choose \
             another version",
            wanted.unwrap_or("of another version").trim()
        ));
    }
    match line("Could not fetch URL").map(reason) {
        Some(reason) if reason.starts_with("401") || reason.starts_with("403") => {
            Problem::blocked(format!(
                "index-url: the package index says {reason}; set index-credentials to a secret \
                 with a username and password that it knows"
            ))
        }
        Some(reason) if reason.contains("Client Error") => Problem::blocked(format!(
            "index-url: the package index says {reason} for magnum-capi-helm; set index-url to an \
             index that has it"
        )),
        Some(reason) => cannot_fetch(source, &reason),
        None if line("Skipping page").is_some() => Problem::blocked(
            "index-url: what answers there is no package index; set it like https://HOST/simple/",
        ),
        None if line("No matching distribution found").is_some() => Problem::blocked(format!(
            "driver-pin {pin} is not in the package index; choose a version that is, or set \
             index-url to an index that has it"
        )),
        None if line("is invalid").is_some() => {
            cannot_fetch(source, "the wheel arrived cut off or damaged")
        }
        None => {
            // pip itself may die, of a page that is none for one; its traceback ends with why.
            let mut traceback = said.lines().skip_while(|line| *line != PIP_DIED).skip(2);
            let died = traceback.find(|line| !line.starts_with(' '));
            let mut lines = said.lines().rev();
            let last = died.or_else(|| lines.find(|line| line.starts_with("ERROR:")));
            cannot_fetch(source, last.unwrap_or("pip gave no reason"))
        }
    }
}

/// The innermost cause in `Could not fetch URL …: … - skipping`.
fn reason(line: &str) -> String {
    let line = line.trim_end().trim_end_matches(" - skipping");
    if let Some(at) = line.find(" Client Error") {
        let status = line[..at].rsplit(' ').next().unwrap_or_default();
        let text = line[at..].split(" for url").next().unwrap_or_default();
        return format!("{status}{text}");
    }
    let cause = match line.rsplit_once("(Caused by ") {
        Some((_, cause)) => cause.strip_suffix(')').unwrap_or(cause),
        None => line,
    };
    let last = cause.rsplit(": ").next().unwrap_or(cause);
    let last = last.rsplit("Error('").next().unwrap_or(last);
    let last = last.strip_suffix(')').unwrap_or(last);
    last.trim_matches(['\'', '"']).to_owned()
}

fn cannot_fetch(source: &DriverSource, reason: &str) -> Problem {
    let index = source.index.as_ref().map(Address::shown);
    let index = index.map(|url| format!(" from {url}")).unwrap_or_default();
    let reason = without_credentials(reason);
    Problem::waiting(format!("cannot fetch {}{index}: {reason}", source.pin))
}

/// Replaces what stands between `://` and `@` in every address.
fn without_credentials(text: &str) -> String {
    let mut parts = text.split("://");
    let mut clean = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        clean.push_str("://");
        let end = part
            .find(|c: char| c == '/' || c.is_whitespace())
            .unwrap_or(part.len());
        match part[..end].rfind('@') {
            Some(at) => {
                clean.push_str("****");
                clean.push_str(&part[at..]);
            }
            None => clean.push_str(part),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Kind;

    #[test]
    fn credentials_in_an_address_are_not_repeated() {
        let said = "ERROR: https://user:hunter2@host/simple/ and http://token@h:8080 and https://plain/x@y";
        assert_eq!(
            without_credentials(said),
            "ERROR: https://****@host/simple/ and http://****@h:8080 and https://plain/x@y"
        );
    }

    /// What pip 23.0.1 really printed, for each way in which a download fails.
    #[test]
    fn pips_failures_are_told_apart() {
        let source = DriverSource {
            pin: "magnum-capi-helm==1.1.0".parse().unwrap(),
            sha256: None,
            index: None,
            wheel: None,
        };
        macro_rules! said {
            ($name:literal) => {
                include_str!(concat!("../../../tests/fixtures/pip-", $name, ".txt"))
            };
        }
        for (said, kind, expected) in [
            (
                said!("no-such-version"),
                Kind::Blocked,
                "is not in the package index",
            ),
            (said!("hash-mismatch"), Kind::Blocked, "has another sha256"),
            (
                said!("other-python"),
                Kind::Blocked,
                "requires Python >=3.99;",
            ),
            (
                said!("untrusted-host"),
                Kind::Blocked,
                "does not trust no-such-host.invalid over",
            ),
            (
                said!("index-404"),
                Kind::Blocked,
                "says 404 Client Error: Not Found for magnum",
            ),
            (
                said!("index-401"),
                Kind::Blocked,
                "says 401 Client Error: Unauthorized; set index-credentials",
            ),
            (said!("index-garbage"), Kind::Blocked, "is no package index"),
            (
                said!("index-noise"),
                Kind::Waiting,
                "UnicodeDecodeError: 'utf-8' codec can't decode",
            ),
            (
                said!("index-500"),
                Kind::Waiting,
                "cannot fetch magnum-capi-helm==1.1.0: too many 500 error responses",
            ),
            (
                said!("index-truncated"),
                Kind::Waiting,
                "cut off or damaged",
            ),
            (
                said!("index-never"),
                Kind::Waiting,
                ": Read timed out. (read timeout=3.0)",
            ),
            (
                said!("unreachable"),
                Kind::Waiting,
                ": [Errno 111] Connection refused",
            ),
            (
                said!("no-such-host"),
                Kind::Waiting,
                "Temporary failure in name resolution",
            ),
        ] {
            let problem = why(&source, said);
            assert!(problem.to_string().contains(expected), "{problem}");
            assert_eq!(problem.kind, kind, "{problem}");
            assert!(!problem.to_string().contains("hunter2"), "{problem}");
        }
    }
}
