//! A table of kubeconfigs, good ones as their tools write them and every fault, each with the drivers that can use it:
//! held against what the driver's own code and helm make of the very same file.

mod cases;
mod shapes;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use lab::{Machine, Release, ensure_root};

use crate::support::VERSIONS;
use cases::cases;

const DIRECTORY: &str = "/etc/magnum/table";
const MATERIAL: &str = "/etc/magnum/material";
/// As the services run: their user, their directory, nothing of root's environment.
const AS_MAGNUM: &str = "cd /var/lib/magnum; setpriv --reuid=magnum --regid=magnum --init-groups env -i HOME=/var/lib/magnum \
     USER=magnum PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What somebody said of each case, by the name of its file.
type Said = BTreeMap<String, String>;

/// Puts the material in: `{NAME}` in base64, `{NAME/HOW}` in base64 of another make, `{=NAME}` as it is.
fn filled(text: &str, material: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        out.extend(&rest.as_bytes()[..at]);
        rest = &rest[at..];
        let end = rest.find('}').map_or(rest.len(), |end| end + 1);
        let word = &rest[1..end.max(2) - 1];
        match piece(word, material) {
            Some(bytes) => out.extend(bytes),
            None => {
                out.push(b'{');
                rest = &rest[1..];
                continue;
            }
        }
        rest = &rest[end..];
    }
    out.extend(rest.as_bytes());
    out
}

fn piece(word: &str, material: &BTreeMap<String, Vec<u8>>) -> Option<Vec<u8>> {
    if word == "dir" {
        return Some(MATERIAL.into());
    }
    if word == "utf-16" {
        let text = filled(shapes::KUBEADM, material);
        let text = String::from_utf8(text).unwrap();
        let units = std::iter::once(0xfeff).chain(text.encode_utf16());
        return Some(units.flat_map(u16::to_le_bytes).collect());
    }
    if let Some(byte) = word.strip_prefix("byte:") {
        return Some(vec![u8::from_str_radix(byte, 16).unwrap()]);
    }
    if word == "=admin.conf/base64" {
        return Some(STANDARD.encode(filled(shapes::KUBEADM, material)).into());
    }
    if let Some(name) = word.strip_prefix('=') {
        let text = String::from_utf8(material.get(name)?.clone()).unwrap();
        return Some(text.replace('\n', "\n      ").trim_end().into());
    }
    let (name, how) = word.split_once('/').unwrap_or((word, ""));
    let content = material.get(name)?;
    let plain = STANDARD.encode(content);
    let lines = |between: &str| {
        let lines: Vec<_> = plain
            .as_bytes()
            .chunks(76)
            .map(String::from_utf8_lossy)
            .collect();
        lines.join(between)
    };
    Some(
        match how {
            "" => plain,
            "76" => lines("\n      "),
            "crlf" => lines("\\r\\n"),
            "bare" => STANDARD_NO_PAD.encode(padded(content)),
            "more" => STANDARD.encode(padded(content)) + "eHg=",
            "twice" => STANDARD.encode(plain),
            _ => panic!("{word}"),
        }
        .into(),
    )
}

/// The same PEM, of a length whose base64 ends in padding.
fn padded(content: &[u8]) -> Vec<u8> {
    let mut content = content.to_vec();
    while content.len().is_multiple_of(3) {
        content.push(b'\n');
    }
    content
}

struct Scene {
    machine: Machine,
    material: BTreeMap<String, Vec<u8>>,
}

impl Scene {
    fn new() -> Self {
        let root = ensure_root(Release::Caracal, &mut |line| eprintln!("{line}")).unwrap();
        let machine = Machine::boot(&root, "magnum-0").unwrap();
        for (name, content) in [
            ("materials.py", include_str!("materials.py")),
            ("api.py", include_str!("api.py")),
            ("driver.py", include_str!("driver.py")),
            ("helm.py", include_str!("helm.py")),
        ] {
            machine
                .push(&format!("/opt/lab/{name}"), content.as_bytes(), 0o644)
                .unwrap();
        }
        let plugin = b"#!/bin/sh\necho '{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\",\"status\":{\"token\":\"kubeconfig-user-x7:9f86d081884c7d659a2feaa0c55ad015\"}}'\n";
        machine.push("/opt/lab/plugin", plugin, 0o755).unwrap();
        let made = machine
            .shell(&format!(
                "install -d -o root -g magnum -m 0750 {DIRECTORY} {MATERIAL}
                 python3 /opt/lab/materials.py {MATERIAL}
                 chgrp magnum {MATERIAL}/*; chmod 0640 {MATERIAL}/*
                 cd {MATERIAL}; for kind in crt key; do install -m 0600 rsa.$kind private.$kind; done
                 systemd-run --quiet --unit=management --working-directory={MATERIAL} python3 /opt/lab/api.py
                 cd /srv/index/simple/magnum-capi-helm
                 for version in {}; do
                     python3 -m zipfile -e magnum_capi_helm-$version-*.whl /opt/lab/drivers/$version
                 done
                 timeout 20 sh -c 'until ss -ltn | grep -q :3128; do sleep 0.1; done'",
                VERSIONS.join(" ")
            ))
            .unwrap();
        let made: BTreeMap<String, String> = serde_json::from_str(&made).unwrap();
        let material = made
            .into_iter()
            .map(|(name, text)| (name, STANDARD.decode(text).unwrap()))
            .collect();
        Self { machine, material }
    }

    /// Asks a program of the unit as user magnum.
    fn ask(&self, program: &str) -> Said {
        serde_json::from_str(
            &self
                .machine
                .shell(&format!("{AS_MAGNUM} {program}"))
                .unwrap(),
        )
        .unwrap()
    }
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn the_verdict_on_a_kubeconfig_is_what_driver_and_helm_make_of_it() {
    let scene = Scene::new();
    let cases = cases();
    let file = |number: usize| format!("{number:03}");
    let archive = tempfile::tempdir().unwrap();
    for (number, case) in cases.iter().enumerate() {
        std::fs::write(
            archive.path().join(file(number)),
            filled(&case.text, &scene.material),
        )
        .unwrap();
    }
    let tar = std::process::Command::new("tar")
        .arg("-C")
        .arg(archive.path())
        .args(["-cf", "-", "."])
        .output()
        .unwrap();
    scene
        .machine
        .push("/root/table.tar", &tar.stdout, 0o600)
        .unwrap();
    scene.machine.shell(&format!("tar -xf /root/table.tar --no-same-owner -C {DIRECTORY}; chown -R root:magnum {DIRECTORY}; chmod 0640 {DIRECTORY}/*; chmod 0750 {DIRECTORY}")).unwrap();

    let mut wrong = Vec::new();
    for trusting in [false, true] {
        if trusting {
            scene
                .machine
                .shell(&format!(
                    "cp {MATERIAL}/ca.crt /usr/local/share/ca-certificates/management.crt
                     update-ca-certificates 2>&1"
                ))
                .unwrap();
        }
        let helm = scene.ask(&format!("python3 /opt/lab/helm.py {DIRECTORY}"));
        let drivers = VERSIONS
            .map(|version| scene.ask(&format!("python3 /opt/lab/driver.py {version} {DIRECTORY}")));
        println!("\n#### trusted by the unit: {trusting}");
        for (number, case) in cases.iter().enumerate() {
            let name = file(number);
            let expected = if trusting { case.trusting } else { case.usable };
            println!("{name} {expected:?}/{:?} {}", case.offline, case.name);
            println!("        helm: {}", helm[&name]);
            for (version, said) in VERSIONS.iter().zip(&drivers) {
                println!("        {version}: {}", said[&name]);
                let usable = said[&name] == "200" && helm[&name] == "200";
                if usable != expected.serves(version) {
                    wrong.push(format!(
                        "{}, {version}: expected {expected:?}, usable: {usable}",
                        case.name
                    ));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} disagreements:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
