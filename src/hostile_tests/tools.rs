//! Answers of Juju's hook tools: every tool prints the same.

use std::os::unix::fs::PermissionsExt as _;

use anyhow::Result;

use super::{INPUT, Kind, Shape, Unit, refused};
use crate::juju::tools;
use crate::system::System;
use crate::system::testing::Scratch;

pub const KIND: Kind = Kind { name: "hook tools", shapes, take_in };

const TOOLS: [&str; 9] = [
    "config-get",
    "action-get",
    "secret-get",
    "resource-get",
    "relation-ids",
    "relation-get",
    "is-leader",
    "goal-state",
    "status-get",
];

/// Asks them all; good if one is understood. Juju itself is at fault if none is.
fn take_in(_: &Unit) -> Result<()> {
    let system = System::local()?;
    let answers = [
        tools::config_get(&system).map(drop),
        tools::action_get(&system).map(drop),
        tools::secret_get(&system, "kubeconfig", "secret:a", "magnum-capi-helm", "run").map(drop),
        tools::resource_get(&system, "helm").map(drop),
        tools::relation_ids(&system, "cluster").map(drop),
        tools::relation_get(&system, "cluster:0", "magnum-capi-helm/0", "key").map(drop),
        tools::is_leader(&system).map(drop),
        tools::goal_units(&system, "magnum").map(drop),
        tools::application_status(&system).map(drop),
    ];
    answers.into_iter().find(Result::is_ok).unwrap_or_else(|| Err(refused("none is understood")))
}

/// What runs for each tool, after which its input can be printed.
fn script(name: &'static str, script: &'static str, make: impl Fn() -> Vec<u8> + Send + Sync + 'static) -> Shape {
    Shape::tree(name, move |scratch: &Scratch| {
        scratch.put(INPUT, make());
        let text = format!("#!/bin/sh\ninput={}\n{script}\n", scratch.path(INPUT).display());
        for tool in TOOLS {
            let path = format!("/bin/{tool}");
            scratch.put(&path, &text);
            std::fs::set_permissions(scratch.path(path), std::fs::Permissions::from_mode(0o755)).unwrap();
        }
    })
}

fn printing(name: &'static str, make: impl Fn() -> Vec<u8> + Send + Sync + 'static) -> Shape {
    script(name, "exec cat $input", make)
}

fn repeated(name: &'static str, start: &'static str, part: &'static str, end: &'static str) -> Shape {
    printing(name, move || format!("{start}{}{end}", part.repeat((8_000_000 - start.len()) / part.len())).into_bytes())
}

fn shapes() -> Vec<Shape> {
    vec![
        printing("good", || b"{}".to_vec()),
        printing("nothing", Vec::new),
        printing("over the size", || vec![b' '; 9 << 20]),
        printing("no text", || vec![0xff; 8_000_000]),
        printing("half a text", || b"{\"a\": \"".to_vec()),
        printing("400,000 keys", || {
            let keys: String = (0..400_000).map(|key| format!("\"{key}\":\"\",")).collect();
            format!("{{{keys}\"a\":\"\"}}").into_bytes()
        }),
        repeated("[", "", "[", ""),
        repeated("{", "", "{\"a\":", ""),
        repeated("values", "[", "0,", "0]"),
        repeated("empty objects", "[", "{},", "0]"),
        repeated("small objects", "[", "{\"\":0},", "0]"),
        repeated("empty lists", "{\"a\":[", "[],", "0]}"),
        repeated("texts", "[", "\"\",", "\"\"]"),
        repeated("a long text", "\"", "x", "\""),
        repeated("escapes", "\"", "\\u0001", "\""),
        repeated("half a pair of surrogates", "\"", "\\ud800", "\""),
        repeated("a number", "", "1", ""),
        repeated("a fraction", "0.", "1", ""),
        repeated("an exponent", "1e", "1", ""),
        repeated("blanks", "", " ", "{}"),
        repeated("line breaks", "", "\n", ""),
        repeated("one key", "{", "\"a\":\"\",", "\"a\":\"\"}"),
        script("without end", "exec cat /dev/zero", Vec::new),
        script("complains for 5 MB", "head -c 5000000 /dev/zero >&2; exit 1", Vec::new),
        script("is killed", "kill -9 $$", Vec::new),
        script("prints after a failure", "cat $input; exit 1", || vec![b'x'; 8_000_000]),
    ]
}
