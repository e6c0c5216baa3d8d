//! The operator's options, as `config-get` prints them: up to the check of each against the driver's own.

use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use super::{INPUT, Kind, Shape, Unit, refused};
use crate::juju::settings::Given;
use crate::juju::tools;

pub const KIND: Kind = Kind { name: "options", shapes, take_in };

fn take_in(unit: &Unit) -> Result<()> {
    let printed = String::from_utf8_lossy(&unit.root.read(Path::new(INPUT))?).into_owned();
    // Juju itself is at fault if it prints other JSON than its own.
    let config = tools::config_get(&unit.system(move |_| Some(printed.clone()))).map_err(refused)?;
    let settings = config.validated(Given::default())?;
    let known: Vec<String> = (0..100).map(|index| format!("k{index}")).collect();
    Ok(settings.capi_helm_options.check_known(&settings.driver.pin, &known)?)
}

/// Good options but for this one.
fn option(name: &'static str, option: &'static str, make: impl Fn() -> String + Send + Sync + 'static) -> Shape {
    Shape::file(name, move || {
        let mut all = json!({"driver-pin": "magnum-capi-helm==1.1.0"});
        all[option] = Value::from(make());
        all.to_string().into_bytes()
    })
}

fn list(name: &'static str, make: impl Fn() -> String + Send + Sync + 'static) -> Shape {
    option(name, "capi-helm-options", make)
}

fn shapes() -> Vec<Shape> {
    const MOST: usize = 1 << 20;
    vec![
        list("good", || "k1 = a\nk2 = b\n".to_owned()),
        list("good, 60 KiB", || format!("k1 = {}", "x".repeat(60 << 10))),
        list("good, comments", || "#\n".repeat(30_000)),
        list("100,000 options", || (0..100_000).map(|index| format!("o{index} = x\n")).collect()),
        list("8000 options", || (0..8000).map(|index| format!("{index}=1\n")).collect()),
        list("one option 10,000 times", || "k1=\n".repeat(10_000)),
        list("a value of 1 MB", || format!("k1 = {}", "x".repeat(MOST))),
        list("a key of 60 KB", || format!("{} = x", "k".repeat(60_000))),
        list("lines without =", || "x\n".repeat(30_000)),
        list("only =", || "=".repeat(60_000)),
        list("only #", || "#".repeat(60_000)),
        list("only dollars", || format!("k1 = {}", "$".repeat(60_000))),
        list("only blanks", || " ".repeat(60_000)),
        list("only tabs and breaks", || "\t\r\n".repeat(20_000)),
        list("NULs", || "\0".repeat(60_000)),
        list("no ASCII at the end", || format!("{}\u{444}", "#".repeat(60_000))),
        list("escapes", || "\u{1b}[2J".repeat(15_000)),
        option("a pin of 1 MB", "driver-pin", || format!("magnum-capi-helm=={}", "1.".repeat(MOST / 2) + "1")),
        option("a pin of 4 KB", "driver-pin", || format!("magnum-capi-helm=={}", "1.".repeat(2000) + "1")),
        option("a pin of many digits", "driver-pin", || format!("magnum-capi-helm=={}", "1".repeat(4000))),
        option("an index of 1 MB", "index-url", || format!("https://{}/", "x".repeat(MOST))),
        option("an index of 4 KB in many letters", "index-url", || format!("https://{}/", "\u{444}".repeat(2000))),
        option("an index of slashes", "index-url", || format!("https://h{}", "/..".repeat(1300))),
        option("a repository of 1 MB", "helm-chart-repo", || "x".repeat(MOST)),
        option("a checksum of 1 MB", "driver-sha256", || "a".repeat(MOST)),
        option("a mode of 4 KB", "restart-mode", || "\u{1b}".repeat(600)),
        Shape::file("no JSON", || vec![b'x'; 7 << 20]),
        Shape::file("nested", || vec![b'['; 7 << 20]),
        Shape::file("3,000,000 values", || format!("{{\"a\":[{}0]}}", "0,".repeat(3_000_000)).into_bytes()),
        Shape::file("400,000 options", || {
            let options: String = (0..400_000).map(|index| format!("\"{index}\":{{}},")).collect();
            format!("{{{options}\"a\":0}}").into_bytes()
        }),
    ]
}
