//! The management cluster's answers: everything that is asked about a kubeconfig online.

use std::time::Duration;

use anyhow::Result;

use super::server::{CHUNKED, answer, dripping, head, interim, odd_answers};
use super::{Kind, Shape, Unit, refused};
use crate::driver::tests::pin;
use crate::kubeconfig::ManagementReport;
use crate::kubeconfig::compatibility::Stack;
use crate::kubeconfig::testing::usable;

pub const KIND: Kind = Kind { name: "management cluster", shapes, take_in };

fn take_in(unit: &Unit) -> Result<()> {
    let usable = usable(&format!("https://127.0.0.1:{}", unit.port.unwrap_or_default()));
    let stack = Stack { driver: pin().version().clone(), chart: None, api_resources: None };
    ManagementReport::ask(&unit.root, &usable, &stack).map(drop).map_err(refused)
}

const JSON: &str = "application/json";
/// As long as an answer may be.
const MOST: usize = 2 << 20;

/// What is asked about the user is answered; what is served is this.
fn apis(name: &'static str, make: impl Fn() -> String + Clone + Send + Sync + 'static) -> Shape {
    Shape::served(name, move |path, out| {
        let body = match path.rsplit('/').next() {
            Some("selfsubjectreviews") => r#"{"status": {"userInfo": {"username": "admin"}}}"#.to_owned(),
            Some("selfsubjectaccessreviews") => r#"{"status": {"allowed": true}}"#.to_owned(),
            _ => make(),
        };
        out.write_all(&answer(JSON, body.as_bytes()))
    })
}

/// Every answer is this.
fn all(name: &'static str, make: impl Fn() -> String + Clone + Send + Sync + 'static) -> Shape {
    Shape::served(name, move |_, out| out.write_all(&answer(JSON, make().as_bytes())))
}

fn repeated(name: &'static str, start: &'static str, part: &'static str, end: &'static str) -> Shape {
    all(name, move || format!("{start}{}{end}", part.repeat((MOST - start.len() - end.len()) / part.len())))
}

fn shapes() -> Vec<Shape> {
    let mut shapes = odd_answers(JSON);
    shapes.extend([
        interim(ALL),
        apis("good", || r#"{"groups": []}"#.to_owned()),
        apis("good, 2000 groups", || {
            let group = |index| format!("{{\"name\":\"g{index}\",\"versions\":[{{\"version\":\"v1\"}}]}},");
            format!("{{\"groups\":[{}{{}}]}}", (0..2000).map(group).collect::<String>())
        }),
        apis("30,000 groups", || {
            let group = |index| format!("{{\"name\":\"g{index}\"}},");
            format!("{{\"groups\":[{}{{}}]}}", (0..30_000).map(group).collect::<String>())
        }),
        apis("a version of 2 MB", || {
            let version = "v".repeat(MOST - 1000);
            format!("{{\"groups\":[{{\"name\":\"cluster.x-k8s.io\",\"versions\":[{{\"version\":\"{version}\"}}]}}]}}")
        }),
        apis("12,000 versions", || {
            let versions = "{\"version\":\"\\u001b[31m\"},".repeat(12_000);
            format!("{{\"groups\":[{{\"name\":\"cluster.x-k8s.io\",\"versions\":[{versions}{{}}]}}]}}")
        }),
        all("a user of 2 MB", || {
            format!("{{\"status\":{{\"userInfo\":{{\"username\":\"{}\"}}}}}}", "\\u001b".repeat(MOST / 6 - 100))
        }),
        repeated("[", "", "[", ""),
        repeated("{", "", "{\"a\":", ""),
        repeated("values", "[", "0,", "0]"),
        repeated("small objects", "[", "{\"\":0},", "0]"),
        all("8000 small objects", || format!("[{}0]", "{\"\":0},".repeat(8000))),
        all("49,000 values", || format!("[{}0]", "0,".repeat(49_000))),
        repeated("a number", "", "1", ""),
        repeated("a long text", "\"", "x", "\""),
        repeated("escapes", "\"", "\\u0001", "\""),
        repeated("blanks", "", " ", "{}"),
        repeated("half of it", "{\"groups\":[", "{\"name\":\"\"},", ""),
        Shape::served("a slow head", |_, out| dripping(out, b"HTTP/1.1 200 OK\r\nX: ", b'y')).waiting(ALL),
        Shape::served("a slow body", |_, out| dripping(out, &head(JSON, CHUNKED), b'\n')).waiting(ALL),
        Shape::served("each answer in the last moment", |path, out| {
            std::thread::sleep(Duration::from_millis(4500));
            let body = match path.ends_with("selfsubjectreviews") {
                true => r#"{"status": {"userInfo": {"username": "admin"}}}"#,
                false => r#"{"status": {"allowed": false}}"#,
            };
            out.write_all(&answer(JSON, body.as_bytes()))
        })
        .waiting(ALL),
    ]);
    shapes
}

/// How long the charm waits for all answers together.
const ALL: Duration = Duration::from_secs(15);
