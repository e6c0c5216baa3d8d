//! Kubeconfigs: taken in as the resource `kubeconfig`, up to what the driver would use of them.

use std::path::Path;

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::{INPUT, Kind, Shape, Unit, refused};
use crate::driver::tests::pin;
use crate::kubeconfig::testing::{fixture, kubeconfig};
use crate::kubeconfig::{UsableKubeconfig, in_text};

pub const KIND: Kind = Kind { name: "kubeconfig", shapes, take_in };

fn take_in(unit: &Unit) -> Result<()> {
    let text = in_text(unit.root.read(Path::new(INPUT)).map_err(refused)?).map_err(refused)?;
    // A file that it names has as much as a program may print.
    let read = |_: &Path| Ok(fixture("ca.crt").into_iter().cycle().take(8 << 20).collect());
    UsableKubeconfig::new(&text, &pin(), &read).map(drop).map_err(refused)
}

const MOST: usize = 1 << 20;

fn text(name: &'static str, make: impl Fn() -> String + Send + Sync + 'static) -> Shape {
    Shape::file(name, move || make().into_bytes())
}

/// The most that can be read of a kubeconfig which repeats this.
fn repeated(name: &'static str, start: &'static str, part: &'static str) -> Shape {
    few(name, start, part, usize::MAX)
}

fn few(name: &'static str, start: &'static str, part: &'static str, count: usize) -> Shape {
    text(name, move || format!("{start}{}", part.repeat(count.min((MOST - start.len()) / part.len()))))
}

fn good() -> String {
    let data = |name: &str| STANDARD.encode(fixture(name));
    let user = format!("client-certificate-data: {}, client-key-data: {}", data("client.crt"), data("client-sec1.key"));
    kubeconfig(&format!("server: 'https://h:6443', certificate-authority-data: {}", data("ca.crt")), &user)
}

/// A good one with this for its user.
fn user(name: &'static str, make: impl Fn() -> String + Send + Sync + 'static) -> Shape {
    text(name, move || kubeconfig("server: 'https://h:6443'", &make()))
}

/// A token that says this of itself.
fn token(name: &'static str, claims: impl Fn() -> String + Send + Sync + 'static) -> Shape {
    user(name, move || format!("token: a.{}.b", URL_SAFE_NO_PAD.encode(claims())))
}

/// A value in DER.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u32).to_be_bytes();
    match content.len() {
        0..0x80 => [&[tag, length[3]][..], content].concat(),
        0x80..0x1_0000 => [&[tag, 0x82, length[2], length[3]][..], content].concat(),
        _ => [&[tag, 0x83][..], &length[1..], content].concat(),
    }
}

/// The fields of a user with a certificate that has this for its issuer.
fn certificate(issuer: &[u8]) -> String {
    // serial number, algorithm, issuer, validity, subject, key
    let algorithm = [0x30, 0x0a, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
    let time = [&[0x17, 13][..], b"260101000000Z"].concat();
    let inner = [
        &[2, 1, 1][..],
        &algorithm,
        &der(0x30, issuer),
        &der(0x30, &[&time[..], &time].concat()),
        &[0x30, 0],
        &der(0x30, &[&algorithm[..], &[3, 2, 0, 0]].concat()),
    ];
    let whole = der(0x30, &[&der(0x30, &inner.concat())[..], &algorithm, &[3, 2, 0, 0]].concat());
    let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(whole));
    format!("client-certificate-data: {}, client-key-data: {}", STANDARD.encode(pem), STANDARD.encode("no key"))
}

/// An attribute of a name: of common name, with a number for its value.
fn attribute(value: u16) -> Vec<u8> {
    [&[0x30, 9, 6, 3, 0x55, 4, 3, 0x0c, 2][..], &value.to_be_bytes()].concat()
}

fn shapes() -> Vec<Shape> {
    let mut shapes = vec![
        text("good", good),
        text("good, 1 MiB of comments", || format!("{}#{}", good(), "x".repeat(MOST - 10_000))),
        text("good, 1000 users", || {
            let users: String = (0..1000).map(|user| format!("{{name: u{user}, user: {{token: t}}}}, ")).collect();
            good().replace("users: [", &format!("users: [{users}"))
        }),
        text("40,000 users", || {
            let users: String = (0..40_000).map(|user| format!("{{name: u{user}}}, ")).collect();
            good().replace("users: [", &format!("users: [{users}"))
        }),
        Shape::file("over the size", || vec![b' '; 9 << 20]),
        Shape::file("no text", || vec![0xff; MOST]),
        Shape::file("UTF-16", || b"\xff\xfea\0:\0 \0b\0".repeat(100_000)),
        text("a merge of many keys", || {
            let keys: String = (0..2000).map(|key| format!("  k{key}: v\n")).collect();
            format!("apiVersion: v1\nbase: &b\n{keys}all:\n{}", "- {<<: *b}\n".repeat(3000))
        }),
        text("aliases of aliases", || {
            let level = |index| format!("a{index}: &a{index} [*a{}, *a{}]\n", index - 1, index - 1);
            (1..5).fold(format!("a0: &a0 [{}]\n", "x,".repeat(40_000)), |text, index| text + &level(index))
        }),
        text("aliases as keys without a blank", || {
            format!("x: &a [{}]\ny: [{}]\n", "x,".repeat(20_000), "?*a,".repeat(5000))
        }),
        text("four times as many values by aliases", || {
            format!("a: &a [{}]\nb: &b [*a]\nc: [*a, *b]\n", "x,".repeat(6000))
        }),
        text("16,000 keys within brackets", || {
            format!("{{{}}}", (0..16_000).map(|key| format!("k{key}: 1, ")).collect::<String>())
        }),
        text("24,000 keys", || (0..24_000).map(|key| format!("k{key}:\n")).collect()),
        text("a server of 1 MB", || kubeconfig(&format!("server: 'https://{}'", "x".repeat(MOST - 1000)), "token: t")),
        text("a server in many letters", || {
            kubeconfig(&format!("server: 'https://{}'", "\u{444}".repeat(MOST / 2 - 1000)), "token: t")
        }),
        text("another authority of 700 KiB", || {
            let pem: Vec<u8> = fixture("ca.crt").into_iter().cycle().take(700 << 10).collect();
            kubeconfig(
                &format!("server: 'https://h', certificate-authority-data: {}", STANDARD.encode(pem)),
                "token: t",
            )
        }),
        user("files of 8 MiB", || "client-certificate: /a, client-key: /b".to_owned()),
        user("a key of 700 KiB", || {
            let key = STANDARD.encode(format!("-----BEGIN PRIVATE KEY-----\n{}", "A".repeat(700 << 10)));
            let certificate = STANDARD.encode(fixture("client.crt"));
            format!("client-certificate-data: {certificate}, client-key-data: {key}")
        }),
        user("data of blanks", || format!("client-key-data: 'A{}'", " ".repeat(MOST - 1000))),
        user("a certificate with 50,000 names in reverse", || {
            certificate(&der(0x31, &(0..50_000).rev().flat_map(attribute).collect::<Vec<_>>()))
        }),
        user("a certificate with 30,000 sets of names", || {
            certificate(&(0..30_000).flat_map(|value| der(0x31, &attribute(value))).collect::<Vec<_>>())
        }),
        user("a certificate nested deeply", || certificate(&[0x30, 0x80].repeat(250_000))),
        token("a token with 80,000 small objects", || format!("[{}{{}}]", "{\"\":0},".repeat(80_000))),
        token("a token with 12,000 small objects", || format!("{{\"a\":[{}{{}}]}}", "{\"\":0},".repeat(12_000))),
        token("a token nested deeply", || "[".repeat(500_000)),
        token("a token with a number of 600 KB", || format!("{{\"exp\":{}}}", "1".repeat(600_000))),
        token("a token with a time of 1e999", || "{\"exp\":1e308,\"nbf\":-1e308}".to_owned()),
        few("49,000 values", "a: [", "x,", 49_000),
        few("49,000 lines", "a:\n", "- \n", 24_000),
        few("4999 brackets", "a: ", "[", 4999),
        few("4999 closed brackets", "a: [", "[\"]\",", 4990),
        few("eight aliases", "a: &a {b: c}\nd: [", "*a,", 8),
        few("8 directives", "", "%TAG !a! b\n", 8),
    ];
    for (name, start, part) in [
        ("[", "x: ", "["),
        ("{", "x: ", "{"),
        ("closed brackets", "x: ", "[\"]\","),
        ("brackets closed in a comment", "x: ", "[ #]\n"),
        ("- ", "x:\n", "- "),
        ("? ", "x:\n", "? "),
        ("a: ", "", "a: "),
        ("anchors", "a:\n", "- &a b\n"),
        ("anchors in a row", "a: ", "&a "),
        ("aliases", "a: &a\nb: [", "*a,"),
        ("aliases after carriage returns", "a: &a x\nb:\r", "- *a\r"),
        ("tags", "a: ", "!a "),
        ("directives", "", "%TAG !a! b\n"),
        ("tabs", "a:", "\t"),
        ("NULs", "", "\0"),
        ("marks of the byte order", "", "\u{feff}"),
        ("documents", "", "---\n"),
        ("a block", "a: |\n", " x\n"),
        ("a block of one line", "a: |\n ", "x"),
        ("a folded block", "a: >\n", " x\n\n"),
        ("a quoted text", "a: \"", "\\n"),
        ("a quoted text over lines", "a: \"", "\\\n"),
        ("a plain text over lines", "a: b", "\n b"),
        ("a number", "a: ", "1"),
        ("a long key", "", "x"),
        ("blank lines", "", "\n"),
    ] {
        shapes.push(repeated(name, start, part));
    }
    shapes
}
