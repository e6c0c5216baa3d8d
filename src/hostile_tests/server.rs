//! A server on the loopback interface that answers with whatever bytes a shape has.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::{ServerConnection, StreamOwned};

use crate::kubeconfig::testing::server_config;

/// Writes an answer, head and body, to a request for a path. It may be without end: the client hangs up.
pub type Respond = Box<dyn Fn(&str, &mut dyn Write) -> io::Result<()> + Send + Sync>;

/// Serves on a port of its own until it is dropped.
pub struct Server {
    pub port: u16,
    ends: Arc<AtomicBool>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Release);
        // One more client, so that it looks.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

pub fn start(is_tls: bool, respond: Respond) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = Server { port: listener.local_addr().unwrap().port(), ends: Arc::default() };
    let (respond, config) = (Arc::new(respond), is_tls.then(server_config));
    let ends = server.ends.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok).take_while(|_| !ends.load(Ordering::Acquire)) {
            let (respond, config) = (respond.clone(), config.clone());
            std::thread::spawn(move || {
                // A client that hangs up is no error here.
                drop(match config {
                    None => serve(stream, &respond, |_| Ok(())),
                    Some(config) => {
                        let tls = ServerConnection::new(config).unwrap();
                        serve(StreamOwned::new(tls, stream), &respond, |stream| {
                            stream.conn.send_close_notify();
                            stream.flush()
                        })
                    }
                });
            });
        }
    });
    server
}

fn serve<S: Read + Write>(stream: S, respond: &Respond, close: impl Fn(&mut S) -> io::Result<()>) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let (mut first, mut line, mut length) = (String::new(), String::new(), 0);
    stream.read_line(&mut first)?;
    while line != "\r\n" {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            return Ok(());
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or_default();
        }
    }
    io::copy(&mut stream.by_ref().take(length), &mut io::sink())?;
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let stream = stream.get_mut();
    respond(&path, stream)?;
    close(stream)
}

/// An answer with its length.
pub fn answer(kind: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n", body.len());
    [head.as_bytes(), b"Connection: close\r\n\r\n", body].concat()
}

/// The head of an answer of this kind, with further lines; its body has no length.
pub fn head(kind: &str, more: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{more}Connection: close\r\n\r\n").into_bytes()
}

pub const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

/// Writes the same bytes again and again, until the client hangs up.
pub fn endless(out: &mut dyn Write, start: &[u8], bytes: &[u8]) -> io::Result<()> {
    out.write_all(start)?;
    let bytes = bytes.repeat((1 << 16) / bytes.len());
    loop {
        out.write_all(&bytes)?;
    }
}

/// Writes a byte ten times a second, until the client hangs up.
pub fn dripping(out: &mut dyn Write, start: &[u8], byte: u8) -> io::Result<()> {
    out.write_all(start)?;
    loop {
        out.write_all(&[byte])?;
        out.flush()?;
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}

/// Answers that are not the last one, until the client gives up.
pub fn interim(waits: std::time::Duration) -> super::Shape {
    super::Shape::served("interim answers without end", |_, out| endless(out, b"", b"HTTP/1.1 100 Continue\r\n\r\n"))
        .waiting(waits)
}

/// Answers that cost a client much, whatever it looks for in them; `kind` is the content type that it expects.
pub fn odd_answers(kind: &'static str) -> Vec<super::Shape> {
    use super::Shape;
    vec![
        Shape::served("no answer at all", |_, _| Ok(())),
        Shape::served("an answer that is not HTTP", |_, out| endless(out, b"", b"no HTTP\r\n")),
        Shape::served("a head without end", move |_, out| endless(out, b"HTTP/1.1 200 OK\r\n", b"X: y\r\n")),
        Shape::served("a head of one long line", |_, out| endless(out, b"HTTP/1.1 200 OK\r\nX: ", b"y")),
        Shape::served("a body without end", move |_, out| endless(out, &head(kind, ""), b"[")),
        Shape::served("chunks without end", move |_, out| endless(out, &head(kind, CHUNKED), b"4\r\n[[[[\r\n")),
        Shape::served("chunks of one byte", move |_, out| endless(out, &head(kind, CHUNKED), b"1\r\n[\r\n")),
        Shape::served("chunks with long extensions", move |_, out| {
            let chunk = [b"1;", &vec![b'x'; 4000][..], b"\r\n[\r\n"].concat();
            endless(out, &head(kind, CHUNKED), &chunk)
        }),
        Shape::served("trailers without end", move |_, out| {
            endless(out, &[&head(kind, CHUNKED)[..], b"0\r\n"].concat(), b"X: y\r\n")
        }),
        Shape::served("a length of 2^63", move |_, out| {
            endless(out, &head(kind, "Content-Length: 9223372036854775807\r\n"), b" ")
        }),
        Shape::served("an empty body", move |_, out| out.write_all(&answer(kind, b""))),
        Shape::served("redirects in a circle", |path, out| {
            out.write_all(format!("HTTP/1.1 302 Found\r\nLocation: {path}\r\nContent-Length: 0\r\n\r\n").as_bytes())
        }),
        Shape::served("a redirect of 2 MB", |_, out| {
            let to = format!("HTTP/1.1 302 Found\r\nLocation: /{}\r\n\r\n", "x".repeat(2_000_000));
            out.write_all(to.as_bytes())
        }),
        Shape::served("a redirect to plain http", |_, out| {
            out.write_all(b"HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n")
        }),
        Shape::served("an error without end", |_, out| endless(out, b"HTTP/1.1 500 Error\r\n\r\n", b"x")),
    ]
}
