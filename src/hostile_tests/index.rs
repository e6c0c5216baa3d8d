//! Pages of a package index, in HTML and in JSON, and what it serves for a wheel.

use std::time::Duration;

use anyhow::Result;

use super::server::{CHUNKED, answer, dripping, endless, head, interim, odd_answers};
use super::{Kind, Shape, Unit};
use crate::driver::tests::pin;
use crate::driver::{Limits, fetch};
use crate::juju::settings::{Address, DriverSource};

pub const KIND: Kind = Kind { name: "package index", shapes, take_in };

/// Until an index that is slow on purpose is given up.
const SHORT: Limits = Limits { silence: Duration::from_secs(1), total: Duration::from_secs(2) };

fn take_in(unit: &Unit) -> Result<()> {
    let address = format!("http://127.0.0.1:{}/simple", unit.port.unwrap_or_default());
    let index = Some(Address::new("index-url", &address)?);
    let source = DriverSource { pin: pin(), sha256: None, index, wheel: None };
    let limits = if unit.waits { SHORT } else { Limits::USUAL };
    fetch(&unit.root, &source, "3.11.2", &[], limits).map(drop)
}

const HTML: &str = "text/html";
const JSON: &str = "application/vnd.pypi.simple.v1+json";
const WHEEL: &str = "magnum_capi_helm-1.1.0-py3-none-any.whl";
/// As long as a page may be.
const MOST: usize = 2 << 20;

/// A page of this kind, and a wheel.
fn page(name: &'static str, kind: &'static str, make: impl Fn() -> String + Clone + Send + Sync + 'static) -> Shape {
    Shape::served(name, move |path, out| {
        let body = if path.ends_with(".whl") { "the wheel".to_owned() } else { make() };
        out.write_all(&answer(kind, body.as_bytes()))
    })
}

/// The longest page of this kind that repeats this.
fn repeated(name: &'static str, kind: &'static str, start: &'static str, part: &'static str) -> Shape {
    page(name, kind, move || format!("{start}{}", part.repeat((MOST - start.len()) / part.len())))
}

fn few(name: &'static str, kind: &'static str, part: &'static str, count: usize) -> Shape {
    page(name, kind, move || part.repeat(count))
}

/// A page with this one file.
fn file(name: &'static str, make: impl Fn() -> String + Clone + Send + Sync + 'static) -> Shape {
    page(name, JSON, move || format!("{{\"files\":[{{\"filename\":\"{WHEEL}\",\"url\":\"{WHEEL}\"{}}}]}}", make()))
}

/// A good page, and what it serves for the wheel.
fn wheel(
    name: &'static str,
    respond: impl Fn(&mut dyn std::io::Write) -> std::io::Result<()> + Clone + Send + Sync + 'static,
) -> Shape {
    Shape::served(name, move |path, out| match path.ends_with(".whl") {
        true => respond(out),
        false => out.write_all(&answer(HTML, format!("<a href={WHEEL}>").as_bytes())),
    })
}

fn shapes() -> Vec<Shape> {
    let mut shapes = odd_answers(HTML);
    shapes.extend([
        interim(SHORT.total),
        page("good", HTML, || format!("<a href={WHEEL}>")),
        file("good, in JSON", String::new),
        page("a good link after 40,000 tags", HTML, || format!("{}<a href={WHEEL}>", "<a>".repeat(40_000))),
        few("24,000 links", HTML, "<a href=magnum_capi_helm-1.1.1-py3-none-any.whl>x", 24_000),
        few("49,000 tags", HTML, "<b>x", 49_000),
        repeated("tags", HTML, "", "<a>"),
        repeated("ends of tags", HTML, "<a href=x>", "</a>"),
        repeated("ends of other tags", HTML, "<a><b><c>", "</d>"),
        repeated("open tags", HTML, "", "<a href=x "),
        repeated("<", HTML, "", "<"),
        repeated("an open comment", HTML, "<!--", "-- -"),
        repeated("comments", HTML, "", "<!---->"),
        repeated("types of documents", HTML, "", "<!doctype html>"),
        repeated("an attribute", HTML, "<a href=\"", "x"),
        repeated("attributes without values", HTML, "<a ", "b "),
        page("200,000 attributes", HTML, || {
            format!("<a {}>", (0..200_000).map(|index| format!("a{index}=b ")).collect::<String>())
        }),
        page("300,000 checksums of a file", HTML, || {
            let hashes: String = (0..250_000).map(|index| format!("{index}=&")).collect();
            format!("<a href={WHEEL}#{hashes}>")
        }),
        page("escapes", HTML, || format!("<a href='{WHEEL}#{}'>", "&amp;lt;".repeat(200_000))),
        repeated("letters that are no text", "text/html; charset=utf-16", "", "\u{fffd}"),
        page("over the size", HTML, || "<a href=x>".repeat(1_000_000)),
        repeated("[", JSON, "", "["),
        repeated("{", JSON, "", "{\"a\":"),
        repeated("values", JSON, "{\"files\":[], \"x\":[", "0,"),
        repeated("files", JSON, "{\"files\":[", "{\"filename\":\"\",\"url\":\"\"},"),
        page("8000 files", JSON, || {
            format!("{{\"files\":[{}{{}}]}}", "{\"filename\":\"\",\"url\":\"\"},".repeat(8000))
        }),
        file("24,000 checksums in JSON", || {
            format!(",\"hashes\":{{{}\"a\":\"\"}}", (0..24_000).map(|i| format!("\"{i}\":\"\",")).collect::<String>())
        }),
        file("24,000 conditions", || format!(",\"requires-python\":\"{}>=1\"", ">=1,".repeat(24_000))),
        file("a condition of 2 MB", || format!(",\"requires-python\":\">={}1\"", "1.".repeat(MOST / 2 - 1000))),
        page("a version of 2 MB", JSON, || {
            let name = format!("magnum_capi_helm-{}1-py3-none-any.whl", "1.".repeat(MOST / 2 - 1000));
            format!("{{\"files\":[{{\"filename\":\"{name}\",\"url\":\"x\"}}]}}")
        }),
        page("an address of 2 MB", JSON, || {
            format!("{{\"files\":[{{\"filename\":\"{WHEEL}\",\"url\":\"/{}\"}}]}}", "x/../".repeat(MOST / 5 - 100))
        }),
        file("a number of 2 MB", || format!(",\"size\":{}", "1".repeat(MOST - 1000))),
        wheel("a wheel without end", |out| endless(out, &head("x", ""), b"PK\x03\x04")),
        wheel("a wheel in chunks of one byte", |out| endless(out, &head("x", CHUNKED), b"1\r\nP\r\n")),
        wheel("a wheel that is not there", |out| out.write_all(b"HTTP/1.1 404 Not Found\r\n\r\n")),
        wheel("a slow wheel", |out| dripping(out, &head("x", ""), b'P')).waiting(SHORT.total),
        Shape::served("a slow head", |_, out| dripping(out, b"HTTP/1.1 200 OK\r\nX: ", b'y')).waiting(SHORT.total),
        Shape::served("a slow page", |_, out| dripping(out, &head(HTML, ""), b'<')).waiting(SHORT.total),
        Shape::served("no answer", |_, _| {
            std::thread::sleep(Duration::from_secs(5));
            Ok(())
        })
        .waiting(SHORT.total),
    ]);
    shapes
}
