//! Downloads through the model's proxies: a forward proxy on the loopback interface that wants credentials, and answers
//! for every server itself. For that it ends TLS, with a certificate for 127.0.0.1 of an authority of its own.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::{ServerConnection, StreamOwned};

use super::http::{AUTHORITIES, HttpClient, outside, reason};
use super::testing::Scratch;
use crate::kubeconfig::testing::{fixture, server_config};

/// `me:hunter@2`, as an address holds it and as a header does.
pub const CREDENTIALS: &str = "me:hunter%402";
const HEADER: &str = "proxy-authorization: basic bWU6aHVudGVyQDI=";

pub struct ForwardProxy {
    pub port: u16,
    /// The heads of the requests that it got, those within TLS too.
    pub heads: Arc<Mutex<Vec<String>>>,
}

impl ForwardProxy {
    /// Starts a proxy that answers each path so, once it has been given the credentials.
    pub fn start(answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Self { port: listener.local_addr().unwrap().port(), heads: Arc::default() };
        let heads = proxy.heads.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // A client that does not trust it hangs up.
                serve(stream, &heads, &answer).ok();
            }
        });
        proxy
    }

    /// Returns the settings of a model that has it, with these credentials.
    pub fn settings(&self, credentials: &str) -> Vec<(String, String)> {
        let address = format!("http://{credentials}@127.0.0.1:{}", self.port);
        ["http_proxy", "https_proxy"].map(|name| (name.to_owned(), address.clone())).to_vec()
    }
}

fn serve(stream: TcpStream, heads: &Mutex<Vec<String>>, answer: &dyn Fn(&str) -> Vec<u8>) -> std::io::Result<()> {
    let (mut stream, head) = head(stream, heads)?;
    if !head.to_lowercase().contains(&HEADER.to_lowercase()) {
        return stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
    }
    if !head.starts_with("CONNECT ") {
        return stream.write_all(&answer(&path(&head)));
    }
    stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    let tls = StreamOwned::new(ServerConnection::new(server_config()).unwrap(), stream);
    let (mut tls, head) = self::head(tls, heads)?;
    assert!(!head.to_lowercase().contains("proxy-authorization"), "{head}");
    tls.write_all(&answer(&path(&head)))?;
    tls.conn.send_close_notify();
    tls.flush()
}

fn head<S: Read>(stream: S, heads: &Mutex<Vec<String>>) -> std::io::Result<(S, String)> {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head)? > 0 {}
    heads.lock().unwrap().push(head.clone());
    Ok((stream.into_inner(), head))
}

/// The path within `GET http://host/path HTTP/1.1`, or `GET /path HTTP/1.1`.
fn path(head: &str) -> String {
    let target = head.split(' ').nth(1).unwrap_or_default();
    let after = target.split_once("://").map_or(target, |(_, rest)| rest);
    after.find('/').map_or("/", |slash| &after[slash..]).to_owned()
}

pub fn answer(body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// A unit whose bundle has the proxy's authority.
pub fn trusting() -> Scratch {
    let scratch = Scratch::new();
    scratch.root.make_state_directory().unwrap();
    scratch.put(AUTHORITIES, fixture("server-ca.crt"));
    scratch
}

/// Fetches from a unit: the body, or the status or reason.
fn fetch(scratch: &Scratch, address: &str, proxy: &[(String, String)]) -> Result<Vec<u8>, String> {
    let client = HttpClient::new(outside(&scratch.root, Duration::from_secs(10), proxy).unwrap()).unwrap();
    let answered = client.send(client.reqwest.get(address)).map_err(|error| reason(&error))?;
    let status = answered.status();
    let mut body = Vec::new();
    client.body(answered).read_to_end(&mut body).unwrap();
    if status.is_success() { Ok(body) } else { Err(status.to_string()) }
}

#[test]
fn a_request_goes_through_the_proxy_with_its_credentials_and_tls_may_end_there_if_the_unit_trusts_it() {
    let proxy = ForwardProxy::start(|path| answer(path.as_bytes()));
    let settings = proxy.settings(CREDENTIALS);
    assert_eq!(fetch(&trusting(), "http://server.invalid/x", &settings).unwrap(), b"/x");
    assert_eq!(fetch(&trusting(), "https://127.0.0.1:1/y", &settings).unwrap(), b"/y");
    let heads = proxy.heads.lock().unwrap();
    let firsts: Vec<_> = heads.iter().map(|head| head.lines().next().unwrap()).collect();
    assert_eq!(firsts, ["GET http://server.invalid/x HTTP/1.1", "CONNECT 127.0.0.1:1 HTTP/1.1", "GET /y HTTP/1.1"]);
}

#[test]
fn an_exception_of_the_model_goes_directly() {
    let proxy = ForwardProxy::start(|_| answer(b""));
    for (exceptions, requests) in [("127.0.0.0/8,localhost", 0), ("other.example", 1)] {
        let mut settings = proxy.settings(CREDENTIALS);
        settings.push(("no_proxy".to_owned(), exceptions.to_owned()));
        assert_eq!(fetch(&trusting(), "http://127.0.0.1:1/", &settings).is_ok(), requests == 1, "{exceptions}");
        assert_eq!(proxy.heads.lock().unwrap().len(), requests);
    }
}

#[test]
fn each_way_in_which_a_proxy_fails_is_named_without_its_credentials() {
    let proxy = ForwardProxy::start(|_| answer(b""));
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let stranger = Scratch::new();
    stranger.put(AUTHORITIES, fixture("ca.crt"));
    let gone = ForwardProxy { port: nobody, heads: Arc::default() };
    for (scratch, address, settings, expected) in [
        (&trusting(), "http://h.invalid/", proxy.settings("me:hunter"), "407 Proxy Authentication Required"),
        (&trusting(), "https://127.0.0.1:1/", proxy.settings("me:hunter"), "proxy authorization required"),
        (&trusting(), "http://h.invalid/", gone.settings(CREDENTIALS), "Connection refused"),
        (&trusting(), "https://127.0.0.1:1/", gone.settings(CREDENTIALS), "Connection refused"),
        (&stranger, "https://127.0.0.1:1/", proxy.settings(CREDENTIALS), "invalid peer certificate: "),
    ] {
        let said = fetch(scratch, address, &settings).unwrap_err();
        assert!(said.contains(expected) && !said.contains("hunter"), "{address}: {said}");
    }
    let bad = [("https_proxy".to_owned(), "http://me:hunter2@".to_owned())];
    let said = format!("{:#}", outside(&stranger.root, Duration::from_secs(1), &bad).map(drop).unwrap_err());
    assert_eq!(said, "the proxy https_proxy is not a valid address");
    stranger.root.remove(Path::new(AUTHORITIES)).unwrap();
}
