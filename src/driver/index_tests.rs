//! Tests against a small server on the loopback interface, one for each way in which a download fails.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use crate::juju::settings::Address;
use crate::problem::Kind;
use crate::system::proxy_tests::{CREDENTIALS, ForwardProxy, trusting};
use crate::system::testing::Scratch;

use super::super::tests::pin;
use super::*;

const WHEEL: &str = "magnum_capi_helm-1.1.0-py3-none-any.whl";

/// A server that answers each path as told, and the heads of the requests that it got.
struct Server {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn new(answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let got = requests.clone();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let lines = BufReader::new(&stream).lines().map_while(Result::ok);
                let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
                let path = head.first().and_then(|line| line.split(' ').nth(1)).unwrap_or_default().to_owned();
                got.lock().unwrap().push(head.join("\n"));
                let answer = answer(&path);
                if answer.is_empty() {
                    // It never answers, and holds the connection.
                    std::thread::sleep(Duration::from_secs(3));
                }
                stream.write_all(&answer).ok();
            }
        });
        Self { port, requests }
    }

    fn url(&self) -> String {
        format!("http://me:hunter2@127.0.0.1:{}/simple", self.port)
    }

    fn fetch(&self) -> Result<Vec<u8>> {
        fetch_from(&self.url(), Limits::USUAL)
    }
}

fn fetch_from(url: &str, limits: Limits) -> Result<Vec<u8>> {
    let index = Some(Address::new("index-url", url).unwrap());
    let source = DriverSource { pin: pin(), sha256: None, index, wheel: None };
    fetch(&Scratch::new().root, &source, "3.11.2", &[], limits)
}

fn answer(status: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

fn redirect(to: &str) -> Vec<u8> {
    format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").into_bytes()
}

fn html(link: &str) -> Vec<u8> {
    answer("200 OK", "text/html", format!("<!DOCTYPE html><a {link}>x</a>").as_bytes())
}

/// Serves the page, and the wheel at any other path.
fn serving(page: Vec<u8>, wheel: Vec<u8>) -> Server {
    Server::new(move |path| if path == "/simple/magnum-capi-helm/" { page.clone() } else { wheel.clone() })
}

fn wheel() -> Vec<u8> {
    answer("200 OK", "application/octet-stream", b"the wheel")
}

fn problem(result: Result<Vec<u8>>) -> Problem {
    let problem: Problem = result.unwrap_err().downcast().unwrap();
    assert!(problem.summary.chars().count() <= 80, "{problem}");
    assert!(!problem.to_string().contains("hunter2"), "{problem}");
    problem
}

#[test]
fn a_wheel_is_fetched_with_credentials_from_an_index_in_json_and_in_html() {
    let json = format!(
        r#"{{"files": [{{"filename": "{WHEEL}", "url": "../../files/{WHEEL}", "hashes": {{"sha256": "{}"}},
            "requires-python": ">=3.8", "yanked": true}}]}}"#,
        sha256(b"the wheel").to_uppercase()
    );
    let json = answer("200 OK", "application/vnd.pypi.simple.v1+json", json.as_bytes());
    for page in [json, html(&format!("href='/files/{WHEEL}#sha256={}'", sha256(b"the wheel")))] {
        let server = serving(page, wheel());
        assert_eq!(server.fetch().unwrap(), b"the wheel");
        let requests = server.requests.lock().unwrap();
        let [page, file] = &requests[..] else { panic!("{requests:?}") };
        assert!(page.contains("application/vnd.pypi.simple.v1+json, "), "{page}");
        assert!(file.starts_with(&format!("GET /files/{WHEEL} ")), "{file}");
        // "me:hunter2"
        assert!(requests.iter().all(|head| head.contains("Basic bWU6aHVudGVyMg==")), "{requests:?}");
    }
}

#[test]
fn a_relative_address_is_one_from_the_page_to_which_the_index_redirects() {
    let server = Server::new(|path| match path {
        "/simple/magnum-capi-helm/" => redirect("/new/magnum-capi-helm/"),
        "/new/magnum-capi-helm/" => html(&format!("href={WHEEL}")),
        _ => answer("200 OK", "x", path.as_bytes()),
    });
    assert_eq!(server.fetch().unwrap(), format!("/new/magnum-capi-helm/{WHEEL}").as_bytes());
}

#[test]
fn each_failure_of_an_index_has_its_kind_and_its_remedy() {
    let link = format!("href={WHEEL}");
    let mut cut = wheel();
    cut.truncate(cut.len() - 2);
    let status = |status: &str| answer(status, "text/html", b"");
    for (page, file, kind, expected) in [
        (
            html("href=magnum_capi_helm-1.2.0-py3-none-any.whl"),
            wheel(),
            Kind::Blocked,
            "/simple/magnum-capi-helm/ does not have magnum-capi-helm==1.1.0; set driver-pin to",
        ),
        (html(&format!("href={WHEEL}#sha256=abcd")), wheel(), Kind::Blocked, "with another sha256 than it announces"),
        (
            html(&format!("{link} data-requires-python='&gt;=3.99'")),
            wheel(),
            Kind::Blocked,
            "requires Python >=3.99, and this unit has 3.11.2; choose another version",
        ),
        (status("404 Not Found"), wheel(), Kind::Blocked, "says 404 Not Found for http"),
        (html(&link), status("404 Not Found"), Kind::Blocked, "any.whl; set an index that has magnum-capi-helm"),
        (status("401 Unauthorized"), wheel(), Kind::Blocked, "says 401 Unauthorized for"),
        (status("403 Forbidden"), wheel(), Kind::Blocked, "set index-credentials to a secret"),
        (
            answer("200 OK", "text/html", b"<h1>Sign in</h1>"),
            wheel(),
            Kind::Blocked,
            "set it like https://HOST/simple/",
        ),
        (answer("200 OK", "text/html", &[0xff; 4000]), wheel(), Kind::Blocked, "is not a page of one"),
        (answer("200 OK", "image/png", b"<a href=x>"), wheel(), Kind::Blocked, "is not a page of one"),
        (status("500 Internal Server Error"), wheel(), Kind::Waiting, "magnum-capi-helm/; every hook tries again"),
        (status("429 Too Many Requests"), wheel(), Kind::Waiting, "says 429"),
        (html(&link), cut, Kind::Waiting, "the download ended early"),
        (html(&link), answer("200 OK", "x", &vec![0; MOST_BYTES + 1]), Kind::Blocked, "sends more than 2 MiB"),
        (
            html("href=http://mirror.example/magnum_capi_helm-1.1.0-py3-none-any.whl"),
            wheel(),
            Kind::Blocked,
            "names no https address for magnum",
        ),
        (redirect("http://mirror.example/"), wheel(), Kind::Blocked, "it redirects to plain http); set the https"),
        (redirect("/simple/magnum-capi-helm/"), wheel(), Kind::Blocked, "it redirects too often"),
    ] {
        let problem = problem(serving(page, file).fetch());
        assert!(problem.detail.contains(expected), "expected {expected}: {problem}");
        assert_eq!(problem.kind, kind, "{problem}");
    }
}

#[test]
fn an_index_that_cannot_be_reached_is_waited_for() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent = Server::new(|_| Vec::new());
    let short = Limits { silence: Duration::from_millis(100), ..Limits::USUAL };
    let slow = serving(html(&format!("href={WHEEL}")), wheel());
    for (url, limits, expected) in [
        (format!("http://{free}/simple/"), Limits::USUAL, "Connection refused"),
        ("https://no-such-host.invalid/simple/".to_owned(), Limits::USUAL, "no-such-host.invalid"),
        (silent.url(), short, "no answer in time"),
        (slow.url(), Limits { total: Duration::ZERO, ..Limits::USUAL }, "is not complete after 0 s"),
    ] {
        let problem = problem(fetch_from(&url, limits));
        assert!(problem.detail.contains(expected), "{problem}");
        assert_eq!((problem.kind, problem.summary.as_str()), (Kind::Waiting, "Cannot fetch the driver"));
    }
}

#[test]
fn an_index_on_plain_http_is_refused_unless_it_is_this_machine() {
    let problem = problem(fetch_from("http://me:hunter2@mirror.example/simple", Limits::USUAL));
    assert!(
        problem.detail.contains("http://mirror.example/simple/magnum-capi-helm/ cannot be trusted; use an https"),
        "{problem}"
    );
    for (url, expected) in [("http://localhost:1/", true), ("http://[::1]/", true), ("http://10.0.0.1/", false)] {
        assert_eq!(is_loopback(&Url::parse(url).unwrap()), expected, "{url}");
    }
}

#[test]
fn credentials_go_to_the_host_of_the_index_only() {
    let other = serving(Vec::new(), wheel());
    let page = html(&format!("href=http://127.0.0.1:{}/{WHEEL}", other.port));
    problem(serving(page, wheel()).fetch());
    assert!(other.requests.lock().unwrap().is_empty());
}

#[test]
fn the_proxies_of_the_model_are_used_and_a_bad_one_is_named() {
    let proxy =
        ForwardProxy::start(|path| if path.ends_with(".whl") { wheel() } else { html(&format!("href={WHEEL}")) });
    let through = |address: &str, settings: &[(String, String)]| {
        let index = Some(Address::new("index-url", address).unwrap());
        let source = DriverSource { pin: pin(), sha256: None, index, wheel: None };
        fetch(&trusting().root, &source, "3.11.2", settings, Limits::USUAL)
    };
    for address in ["http://localhost:1/simple", "https://127.0.0.1:1/simple"] {
        assert_eq!(through(address, &proxy.settings(CREDENTIALS)).unwrap(), b"the wheel");
        let refused = problem(through(address, &proxy.settings("me:hunter2")));
        assert_eq!((refused.kind, refused.summary.as_str()), (Kind::Waiting, "Cannot fetch the driver"));
        assert!(refused.detail.to_lowercase().contains("proxy auth"), "{refused}");
    }
    let first = proxy.heads.lock().unwrap()[0].clone();
    assert!(first.starts_with("GET http://localhost:1/simple/magnum-capi-helm/"), "{first}");
    let bad = [("http_proxy".to_owned(), "http://".to_owned())];
    assert!(problem(through("http://localhost:1/simple", &bad)).detail.contains("http_proxy is not a valid address"));
}
