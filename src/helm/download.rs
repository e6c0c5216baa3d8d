//! The option `helm-url`: what it names is fetched once, and kept: to restore helm takes no network.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;

use super::archive::{self, SIZE_LIMIT, sha256_of};
use crate::juju::settings::{Address, Sha256};
use crate::problem::Problem;
use crate::system::http::{self, HttpClient};
use crate::system::{Access, Limited, Root, STATE_DIRECTORY, state_path};

/// How long the server may send nothing: before its first byte, and between any two.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);
/// How long a download may take. Whoever waits for it holds the lock; helm has 57 MB, its official tarball 17.
const DOWNLOAD_LIMIT: Duration = Duration::from_secs(480);
/// What a run needs after a download: to try helm, put it in place and restart the services.
const LEFT_AFTERWARDS: Duration = Duration::from_secs(60);

/// Returns how long a download may take in a run of which so much is left.
pub fn limit(left: Duration) -> Duration {
    DOWNLOAD_LIMIT.min(left.saturating_sub(LEFT_AFTERWARDS))
}

/// Path of what was fetched.
pub fn path() -> PathBuf {
    state_path("helm-download")
}

/// Fetches what `helm-url` names into a file that only root can read, unless it is there. `limit`
/// is how long that may take.
///
/// # Errors
/// A [`Problem`] if the server does not serve it in time, or something else.
pub fn fetch(
    root: &Root,
    url: &Address,
    sha256: &Sha256,
    proxy: &[(String, String)],
    limit: Duration,
) -> Result<PathBuf> {
    let sha256 = sha256.to_string();
    if sha256_of(root, &path())?.as_ref() == Some(&sha256) {
        return Ok(path());
    }
    let cannot = |why: String| Problem::waiting("Cannot fetch helm-url", format!("helm-url: {why}"));
    let began = Instant::now();
    let ended = |why: String| match began.elapsed() < limit {
        true => cannot(why),
        false => {
            let late = format!("the download is not complete after {} s", limit.as_secs());
            cannot(format!("{late}; every hook tries again, or run: juju attach-resource APPLICATION helm=FILE"))
        }
    };
    let client = http::outside(root, SILENCE_LIMIT, proxy).and_then(HttpClient::new);
    let client = client.map_err(|error| cannot(format!("{error:#}")))?;
    let response = client.send(client.reqwest.get(url.url().clone()).timeout(limit));
    let response = response.map_err(|error| ended(http::reason(&error)))?;
    let status = response.status();
    // A proxy says 407, not the server.
    if status.is_client_error() && status.as_u16() != 407 {
        let wrong = format!("leads nowhere: its server answers {status}");
        return Err(Problem::option("helm-url", wrong, "set it to the URL of a helm").into());
    }
    if !status.is_success() {
        return Err(cannot(format!("its server answers {status}")).into());
    }
    let body = Limited::new(client.body(response), SIZE_LIMIT);
    let failed = |error| ended(format!("the download ended early: {error}"));
    let (file, found) =
        root.temporary_file(Path::new(STATE_DIRECTORY), Access::PRIVATE, |to| archive::copy(body, to, failed))?;
    if found != sha256 {
        let wrong = format!("is not that of what helm-url serves, which is {found}");
        let remedy = "set it to what the publisher announces, or set another helm-url";
        return Err(Problem::option("helm-sha256", wrong, remedy).into());
    }
    file.persist(&path())?;
    Ok(path())
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use crate::problem::Kind;
    use crate::system::proxy_tests::{CREDENTIALS, ForwardProxy, answer, trusting};
    use crate::system::sha256;
    use crate::system::testing::Scratch;

    use super::*;

    const HELM: &str = "\x7fELF 3.9.0";
    /// A length of which the server sends only the beginning, and then nothing.
    const SILENT: usize = 1000;

    /// Serves one answer, and returns its address.
    fn serve(status: &'static str, length: usize, content: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/helm", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n");
            stream.write_all((head + content).as_bytes()).unwrap();
            if length == SILENT {
                std::thread::sleep(Duration::from_secs(30));
            }
        });
        address
    }

    fn scratch() -> Scratch {
        let scratch = Scratch::new();
        scratch.root.make_state_directory().unwrap();
        scratch
    }

    fn fetch_from(scratch: &Scratch, address: &str, limit: Duration) -> Result<PathBuf> {
        let url = Address::new("helm-url", address).unwrap();
        let sha256 = sha256(HELM.as_bytes()).parse().unwrap();
        fetch(&scratch.root, &url, &sha256, &[], limit)
    }

    #[test]
    fn a_download_leaves_the_run_time_to_install_helm() {
        let limits = [u64::MAX, 600, 300, 60, 0].map(|left| limit(Duration::from_secs(left)).as_secs());
        assert_eq!(limits, [480, 480, 240, 0, 0]);
    }

    #[test]
    fn what_is_fetched_is_kept_for_the_next_hook() {
        let scratch = scratch();
        let address = serve("200 OK", HELM.len(), HELM);
        for _ in 0..2 {
            let path = fetch_from(&scratch, &address, DOWNLOAD_LIMIT).unwrap();
            assert_eq!(scratch.text(path).as_deref(), Some(HELM));
        }
    }

    #[test]
    fn what_cannot_be_fetched_or_is_another_file_is_a_problem_and_leaves_nothing() {
        let scratch = scratch();
        let unreachable = "http://127.0.0.1:9/helm".to_owned();
        let short = Duration::from_millis(300);
        for (address, limit, kind, expected) in [
            (serve("404 Not Found", 0, ""), DOWNLOAD_LIMIT, Kind::Blocked, "404"),
            (serve("503 Busy", 0, ""), DOWNLOAD_LIMIT, Kind::Waiting, "503"),
            (serve("200 OK", 100, HELM), DOWNLOAD_LIMIT, Kind::Waiting, "ended early"),
            (serve("200 OK", 5, "other"), DOWNLOAD_LIMIT, Kind::Blocked, "helm-sha256 is not that of"),
            (unreachable, DOWNLOAD_LIMIT, Kind::Waiting, "refused"),
            (serve("200 OK", SILENT, HELM), short, Kind::Waiting, "is not complete after 0 s"),
        ] {
            let began = Instant::now();
            let error = fetch_from(&scratch, &address, limit).unwrap_err();
            assert!(began.elapsed() < Duration::from_secs(10), "{expected}");
            let problem: Problem = error.downcast().unwrap();
            assert_eq!(problem.kind, kind, "{problem}");
            assert!(problem.detail.contains(expected), "{problem}");
        }
        let names = scratch.root.names(Path::new(STATE_DIRECTORY)).unwrap();
        assert!(names.is_empty(), "{names:?}");
    }

    #[test]
    fn helm_comes_through_the_proxy_of_the_model_whose_credentials_show_nowhere() {
        let proxy = ForwardProxy::start(|_| answer(HELM.as_bytes()));
        let fetch_through = |address: &str, settings: &[(String, String)]| {
            let url = Address::new("helm-url", address).unwrap();
            let sha256 = sha256(HELM.as_bytes()).parse().unwrap();
            let scratch = trusting();
            let path = fetch(&scratch.root, &url, &sha256, settings, DOWNLOAD_LIMIT)?;
            anyhow::Ok(scratch.text(path).unwrap())
        };
        for (address, said) in [
            ("https://127.0.0.1:1/helm", "helm-url: tunnel error: proxy authorization required"),
            ("http://mirror.invalid/helm", "helm-url: its server answers 407 Proxy Authentication Required"),
        ] {
            assert_eq!(fetch_through(address, &proxy.settings(CREDENTIALS)).unwrap(), HELM);
            let refused = fetch_through(address, &proxy.settings("me:hunter")).unwrap_err();
            let problem: Problem = refused.downcast().unwrap();
            assert_eq!((problem.kind, problem.detail.as_str()), (Kind::Waiting, said));
        }
    }
}
