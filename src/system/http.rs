//! HTTP clients: TLS by rustls, and the proxies that are given or none. Each caller sets its time limit.
//!
//! Requests run on the thread that waits for them: reqwest's own blocking client starts a thread for each client, which
//! costs a hook more than its requests.

use std::io::{self, Read};
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

use reqwest::{Certificate, Client, ClientBuilder, NoProxy, Proxy, RequestBuilder, Response};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use tokio::runtime::{Builder, Runtime};

use super::Root;
use super::limits::too_large;

/// The unit's certificate authorities, to which an operator adds that of an internal mirror.
pub(super) const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// The most pieces of a body, besides one for each KiB: small ones take long to read.
const MOST_SMALL_PIECES: usize = 5000;

/// What all clients' requests run on. It is never dropped: looking up an address has no time limit of its own, and a
/// drop would wait for it.
static RUNTIME: LazyLock<io::Result<Runtime>> = LazyLock::new(|| Builder::new_current_thread().enable_all().build());

/// A client whose requests are waited for.
pub struct HttpClient {
    pub reqwest: Client,
    runtime: &'static Runtime,
}

impl HttpClient {
    /// Builds the client.
    ///
    /// # Errors
    /// If its certificates cannot be used, or there is no runtime for it.
    pub fn new(builder: ClientBuilder) -> Result<Self> {
        let runtime = RUNTIME.as_ref().map_err(|error| anyhow!("requests cannot be made: {error}"))?;
        // Between requests nobody hears a server close a connection: an old one is not used again.
        let reqwest = builder.pool_idle_timeout(Duration::from_secs(1)).build()?;
        Ok(Self { reqwest, runtime })
    }

    /// Waits for requests.
    pub fn wait<T>(&self, requests: impl Future<Output = T>) -> T {
        self.runtime.block_on(requests)
    }

    /// Sends a request and waits for the head of the answer.
    ///
    /// # Errors
    /// If there is none.
    pub fn send(&self, request: RequestBuilder) -> reqwest::Result<Response> {
        // Its time limit begins with the call, which must be on the runtime.
        self.wait(async { request.send().await })
    }

    /// Returns a reader of an answer's body.
    pub fn body(&self, answer: Response) -> impl Read {
        Body { client: self, pieces: Pieces::of(answer), piece: Vec::new() }
    }
}

/// Reads the body of an answer, of at most `most` bytes.
///
/// # Errors
/// If it is larger, breaks off or comes in too small pieces.
pub async fn read(answer: Response, most: usize) -> io::Result<Vec<u8>> {
    let (mut pieces, mut body) = (Pieces::of(answer), Vec::new());
    while let Some(piece) = pieces.next().await? {
        body.extend(piece);
        if body.len() > most {
            return Err(too_large(most as u64));
        }
    }
    Ok(body)
}

/// The body of an answer, as it comes.
struct Pieces {
    answer: Response,
    bytes: usize,
    count: usize,
}

impl Pieces {
    fn of(answer: Response) -> Self {
        Self { answer, bytes: 0, count: 0 }
    }

    /// Returns the next piece; `None` at the end.
    async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some(piece) = self.answer.chunk().await.map_err(io::Error::other)? else { return Ok(None) };
        (self.bytes, self.count) = (self.bytes + piece.len(), self.count + 1);
        if self.count > MOST_SMALL_PIECES + self.bytes / 1024 {
            return Err(io::Error::other(format!("it comes in more than {MOST_SMALL_PIECES} small pieces")));
        }
        Ok(Some(piece.into()))
    }
}

struct Body<'a> {
    client: &'a HttpClient,
    pieces: Pieces,
    /// What has come and is not read yet.
    piece: Vec<u8>,
}

impl Read for Body<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.piece.is_empty() {
            self.piece = self.client.wait(self.pieces.next())?.unwrap_or_default();
        }
        let count = self.piece.as_slice().read(buffer)?;
        self.piece.drain(..count);
        Ok(count)
    }
}

/// A client that goes through no proxy: for this machine and the management cluster.
pub fn direct() -> ClientBuilder {
    // Fails only when one is installed already, which serves as well.
    rustls::crypto::ring::default_provider().install_default().ok();
    Client::builder().no_proxy()
}

/// A client for the world outside: through the model's proxies, and trusting the unit's authorities. `limit` is for the
/// answer's head, and then for each read of its body.
///
/// # Errors
/// If a proxy's address is not valid, or the file of the authorities is there but cannot be read.
pub fn outside(root: &Root, limit: Duration, proxy: &[(String, String)]) -> Result<ClientBuilder> {
    let value = |name: &str| proxy.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let except = value("no_proxy").and_then(NoProxy::from_string);
    let mut builder = direct().read_timeout(limit).connect_timeout(Duration::from_secs(15));
    for (name, proxy_for) in [("http_proxy", Proxy::http::<&str> as fn(_) -> _), ("https_proxy", Proxy::https::<&str>)]
    {
        if let Some(address) = value(name) {
            // The cause would show the address, and with it a password.
            let proxy = proxy_for(address).ok().with_context(|| format!("the proxy {name} is not a valid address"))?;
            builder = builder.proxy(proxy.no_proxy(except.clone()));
        }
    }
    let Some(authorities) = authorities(root)? else { return Ok(builder) };
    Ok(builder.tls_certs_only(authorities.iter().filter_map(|der| Certificate::from_der(der).ok())))
}

/// Returns the unit's certificate authorities that rustls can use; `None` if there is no file of them.
///
/// # Errors
/// If it cannot be read.
pub fn authorities(root: &Root) -> Result<Option<Vec<CertificateDer<'static>>>> {
    let Some(bundle) = root.read_text(&root.resolve(Path::new(AUTHORITIES))?)? else { return Ok(None) };
    // One that rustls cannot use must not cost all the others.
    let usable = CertificateDer::pem_slice_iter(bundle.as_bytes())
        .filter_map(Result::ok)
        .filter(|der| RootCertStore::empty().add(der.clone()).is_ok());
    Ok(Some(usable.collect()))
}

/// Why a request got no answer: the innermost cause, which is what the network or TLS layer said.
/// It holds no address, which could hold a password.
pub fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    anyhow::Chain::new(error).next_back().map(ToString::to_string).unwrap_or_default()
}

/// Returns what rustls said, if that is why a request got no answer.
pub fn tls_error(error: &reqwest::Error) -> Option<&rustls::Error> {
    let mut held = anyhow::Chain::new(error).find_map(|cause| cause.downcast_ref::<io::Error>())?.get_ref()?;
    // An `io::Error` leaves what it holds out of the chain, even if that is another one.
    while let Some(inner) = held.downcast_ref::<io::Error>() {
        held = inner.get_ref()?;
    }
    held.downcast_ref()
}

/// Returns a text with `mark` in place of the credentials in its URLs, and of the `@` behind them. A password may hold
/// what ends an address; whitespace ends it in any case.
pub fn redact_urls(text: &str, mark: &str) -> String {
    let mut redacted = String::with_capacity(text.len());
    for word in text.split_inclusive(char::is_whitespace) {
        let last = word.rfind('@').map_or(0, |at| at + 1);
        let mut from = 0;
        while let Some(scheme) = word[from..last].find("://") {
            let address = from + scheme + 3;
            let user = word[address..last].find(['/', ':']);
            let end = match user {
                // A user's name or a host, and then a password or a port.
                Some(colon) if word[address + colon..].starts_with(':') => last,
                _ => {
                    let place = word[address..address + user.unwrap_or(last - address)].find('@');
                    place.map_or(address, |at| address + at + 1)
                }
            };
            redacted.push_str(&word[from..address]);
            redacted.push_str(if end > address { mark } else { "" });
            from = end;
        }
        redacted.push_str(&word[from..]);
    }
    redacted
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use crate::system::testing::Scratch;

    use super::*;

    #[test]
    fn credentials_are_taken_out_of_every_url_and_nothing_else_is() {
        let text = "a@b: Get \"https://me:p@ss@mirror/x\": amqp://token@rabbit, http://plain/a@b 'ftp://u@h'";
        let redacted = "a@b: Get \"https://mirror/x\": amqp://rabbit, http://plain/a@b 'ftp://h'";
        assert_eq!(redact_urls(text, ""), redacted);
        for (text, redacted) in [
            ("at db://u:p/w#?@h/x?y@z now", "at db://*z now"),
            ("https://h:443/a https://h/a:b@c\n", "https://h:443/a https://h/a:b@c\n"),
            ("://@ ://t@h x://u:p://q@h://x", "://* ://*h x://*h://x"),
            ("", ""),
        ] {
            assert_eq!(redact_urls(text, "*"), redacted);
        }
    }

    #[test]
    fn a_long_text_is_redacted_in_a_time_that_grows_with_its_length() {
        for part in ["://", "a://b:", "a://b/", "://x@y", "x", "@"] {
            let text = part.repeat(200_000) + "@";
            let began = Instant::now();
            assert!(redact_urls(&text, "").len() <= text.len());
            assert!(began.elapsed() < Duration::from_secs(5), "{part}: {:?}", began.elapsed());
        }
    }

    #[test]
    fn an_authority_that_rustls_cannot_use_does_not_cost_the_client() {
        let scratch = Scratch::new();
        for bundle in [None, Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")] {
            if let Some(bundle) = bundle {
                scratch.put(AUTHORITIES, bundle);
            }
            let builder = outside(&scratch.root, Duration::from_secs(1), &[]).unwrap();
            assert!(builder.build().is_ok());
        }
        scratch.root.remove(Path::new(AUTHORITIES)).unwrap();
        scratch.put(Path::new(AUTHORITIES).join("x"), "");
        assert!(outside(&scratch.root, Duration::from_secs(1), &[]).is_err());
    }
}
