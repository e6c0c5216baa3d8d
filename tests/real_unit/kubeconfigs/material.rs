//! Certificates, keys and tokens for the kubeconfigs of the table, and the ways in which they are spoilt.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use lab::{ClientCertificate, Digest, Issuer, KeyKind, Machine, ManagementCluster, Purpose, service_account_token};

use crate::support::management::TOKEN;

/// Where each of them is a file as well: `$(/NAME)`.
pub const PKI: &str = "/etc/magnum/pki";
const DAY: i64 = 24 * 60 * 60;
/// The user of the tokens.
const ACCOUNT: &str = "system:serviceaccount:magnum:capi";

/// By name: `NAME.crt`, `NAME.key`, tokens and odds and ends.
pub struct Materials(BTreeMap<String, Vec<u8>>);

impl Materials {
    pub fn make(machine: &Machine, cluster: &ManagementCluster) -> Self {
        let mut all = Self(BTreeMap::new());
        let but = |change: fn(&mut ClientCertificate)| {
            let mut wanted = ClientCertificate::default();
            change(&mut wanted);
            wanted
        };
        for (name, wanted) in [
            ("rsa", but(|it| it.key = KeyKind::RsaPkcs1)),
            ("rsa8", but(|it| it.key = KeyKind::RsaPkcs8)),
            ("p256", but(|it| it.key = KeyKind::EcP256Pkcs8)),
            ("p384", but(|it| it.key = KeyKind::EcP384)),
            ("p521", but(|it| it.key = KeyKind::EcP521)),
            ("ed25519", but(|it| it.key = KeyKind::Ed25519)),
            ("rsa1024", but(|it| it.key = KeyKind::Rsa1024)),
            ("secp256k1", but(|it| it.key = KeyKind::Secp256k1)),
            ("sha1", but(|it| it.digest = Digest::Sha1)),
            ("expired", but(|it| it.not_after = -60)),
            ("future", but(|it| it.not_before = 60 * 60)),
            ("of-a-server", but(|it| it.purpose = Purpose::Servers)),
            ("of-no-purpose", but(|it| it.purpose = Purpose::Unsaid)),
            ("chain", but(|it| it.issuer = Issuer::Intermediate)),
            ("chain-over", but(|it| it.issuer = Issuer::FormerIntermediate)),
            (
                "locked",
                but(|it| {
                    it.key = KeyKind::EcP256Pkcs8;
                    it.password = Some("secret".into());
                }),
            ),
            ("locked-old", but(|it| it.password = Some("secret".into()))),
        ] {
            let made = cluster.credential(machine, &wanted).unwrap();
            all.add(&format!("{name}.crt"), made.certificate_pem);
            all.add(&format!("{name}.key"), made.key_pem);
        }
        all.add("admin.crt", &*cluster.admin().certificate_pem);
        all.add("admin.key", &*cluster.admin().key_pem);
        let stranger = ManagementCluster::fresh(machine).unwrap();
        all.add("stranger.crt", &*stranger.admin().certificate_pem);
        all.add("stranger.key", &*stranger.admin().key_pem);
        all.add("stranger-ca.crt", stranger.ca_pem());
        all.add("ca.crt", cluster.ca_pem());
        all.add("ca-over.crt", cluster.former_ca_pem(machine).unwrap());
        let server = machine.read("/run/management-cluster/server.crt");
        all.add("server.crt", server.unwrap());
        all.add("token", TOKEN);
        for (name, ends) in [("jwt", 90 * DAY), ("jwt-over", -60)] {
            all.add(name, service_account_token(ACCOUNT, ends));
        }
        for name in ["jwt", "jwt-over"] {
            let token = String::from_utf8(all.0[name].clone()).unwrap();
            cluster.accept_token(machine, &token, ACCOUNT, &[]).unwrap();
        }
        all.add("no.pem", "this is no PEM\n");
        all.add("rubbish.crt", block("CERTIFICATE", "AAAA"));
        all.add("rubbish.key", block("PRIVATE KEY", "AAAA"));
        // As `openssl ecparam -genkey` writes it before the key.
        all.add("parameters.key", block("EC PARAMETERS", "BggqhkjOPQMBBw=="));
        for (name, content) in &all.0 {
            machine.push(&format!("{PKI}/{name}"), content, 0o644).unwrap();
        }
        machine.push(&format!("{PKI}/private"), b"only root reads it", 0o600).unwrap();
        all
    }

    fn add(&mut self, name: &str, content: impl Into<Vec<u8>>) {
        self.0.insert(name.to_owned(), content.into());
    }

    /// Puts the materials in: `$(NAME)` in base64, `$(=NAME)` as it is, `$(/NAME)` as a path. `NAME+NAME` is one
    /// after the other, and `NAME|EDIT` what [`edited`] makes of it; `$(x:E9)` is one byte.
    pub fn fill(&self, text: &str) -> Vec<u8> {
        let mut parts = text.split("$(");
        let mut filled = parts.next().unwrap_or_default().as_bytes().to_vec();
        for part in parts {
            let (word, rest) = part.split_once(')').unwrap();
            filled.extend(self.word(word));
            filled.extend(rest.as_bytes());
        }
        filled
    }

    fn word(&self, word: &str) -> Vec<u8> {
        if let Some(byte) = word.strip_prefix("x:") {
            return vec![u8::from_str_radix(byte, 16).unwrap()];
        }
        if let Some(name) = word.strip_prefix('/') {
            self.named(name);
            return format!("{PKI}/{name}").into();
        }
        let (plain, word) = match word.strip_prefix('=') {
            Some(word) => (true, word),
            None => (false, word),
        };
        let (names, edit) = word.split_once('|').unwrap_or((word, "none"));
        let content: Vec<&[u8]> = names.split('+').map(|name| self.named(name)).collect();
        let content = edited(content.concat(), edit);
        if plain { content } else { STANDARD.encode(content).into() }
    }

    fn named(&self, name: &str) -> &[u8] {
        self.0.get(name).unwrap_or_else(|| panic!("no material {name}"))
    }
}

/// What careless hands and other programs make of PEM.
fn edited(content: Vec<u8>, edit: &str) -> Vec<u8> {
    let text = || String::from_utf8(content.clone()).unwrap();
    let pem = match edit {
        "none" => return content,
        "crlf" => text().replace('\n', "\r\n"),
        "cut" => text()[..content.len() - 60].to_owned(),
        "one-line" => text().replace('\n', ""),
        "commented" => format!("Bag Attributes\n    friendlyName: x\nsubject=CN = x\n{}\n", text()),
        // Without those that lead to the CA.
        "first" => text().split_inclusive("-----END CERTIFICATE-----\n").take(1).collect(),
        // To stand in a block of YAML.
        "block" => text().trim_end().replace('\n', "\n      "),
        // base64 as the name says.
        "bare" => STANDARD_NO_PAD.encode(padded(&content)),
        "more" => STANDARD.encode(padded(&content)) + "eHg=",
        "lines" => {
            let whole = STANDARD.encode(&content);
            let lines = whole.as_bytes().chunks(64).map(String::from_utf8_lossy);
            lines.collect::<Vec<_>>().join("\n      ")
        }
        "der" => {
            let text = text();
            let body = text.lines().filter(|line| !line.starts_with('-'));
            return STANDARD.decode(body.collect::<String>()).unwrap();
        }
        _ => panic!("no edit {edit}"),
    };
    pem.into()
}

/// The same PEM, of a length whose base64 ends in padding.
fn padded(content: &[u8]) -> Vec<u8> {
    let mut content = content.to_vec();
    while content.len().is_multiple_of(3) {
        content.push(b'\n');
    }
    content
}

fn block(label: &str, body: &str) -> String {
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}
