//! Certificates and keys, as a cluster's own tools and its operators make them.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{DIRECTORY, PYTHON};
use crate::Machine;

/// Seconds of a day.
pub(super) const DAY: i64 = 24 * 60 * 60;

/// The kind of a private key, and how it is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum KeyKind {
    /// RSA of 2048 bits, `BEGIN PRIVATE KEY`. RSA keys take a third of a second to make.
    RsaPkcs8,
    /// RSA of 2048 bits, `BEGIN RSA PRIVATE KEY`: what kubeadm writes.
    RsaPkcs1,
    EcP256Pkcs8,
    /// P-256, `BEGIN EC PRIVATE KEY`: what kubeadm writes with `encryptionAlgorithm: ECDSA-P256`.
    EcP256Sec1,
    EcP384,
    EcP521,
    Ed25519,
    /// RSA of 1024 bits, which OpenSSL no longer takes.
    Rsa1024,
    /// secp256k1, which TLS does not know.
    Secp256k1,
}

/// What a client certificate says it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Clients,
    /// Servers: no API server takes it from a client.
    Servers,
    /// Nothing is said, which means anything.
    Unsaid,
}

/// What a certificate is signed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Digest {
    Sha256,
    /// SHA-1, which OpenSSL no longer takes.
    Sha1,
}

/// Who signs a client certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Issuer {
    Cluster,
    /// An intermediate of the cluster's CA, which goes along behind the certificate.
    Intermediate,
    /// The same, whose own certificate is over.
    FormerIntermediate,
    Stranger,
}

/// The client certificate that is wanted.
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    /// The user's name (CN).
    pub user: String,
    /// The user's groups (O).
    pub groups: Vec<String>,
    pub key: KeyKind,
    pub password: Option<String>,
    /// Seconds from now; negative is in the past.
    pub not_before: i64,
    /// Seconds from now; negative is in the past.
    pub not_after: i64,
    pub issuer: Issuer,
    pub purpose: Purpose,
    pub digest: Digest,
}

impl Default for ClientCertificate {
    /// The administrator's, as of kubeadm from 1.29 on: not in `system:masters`, whom no rule binds.
    fn default() -> Self {
        Self {
            user: "kubernetes-admin".into(),
            groups: vec!["kubeadm:cluster-admins".into()],
            key: KeyKind::EcP256Sec1,
            password: None,
            not_before: -DAY,
            not_after: 365 * DAY,
            issuer: Issuer::Cluster,
            purpose: Purpose::Clients,
            digest: Digest::Sha256,
        }
    }
}

/// A certificate and its key, PEM. Never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// The certificate, and behind it those that lead to the CA.
    pub certificate_pem: String,
    pub key_pem: String,
}

impl Credential {
    #[must_use]
    pub fn certificate_data(&self) -> String {
        STANDARD.encode(&self.certificate_pem)
    }

    #[must_use]
    pub fn key_data(&self) -> String {
        STANDARD.encode(&self.key_pem)
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(…)")
    }
}

/// The token of a service account, a JWT that ends so many seconds from now. Nobody checks its signature: the
/// server knows it as a text.
#[must_use]
pub fn service_account_token(account: &str, ends: i64) -> String {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs().cast_signed());
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(json!({"alg": "RS256", "kid": "stand-in"}));
    let claims = part(json!({
        "iss": "https://kubernetes.default.svc.cluster.local",
        "aud": ["https://kubernetes.default.svc.cluster.local"],
        "sub": account,
        "iat": now + ends.min(0) - 60,
        "exp": now + ends,
    }));
    let signature = URL_SAFE_NO_PAD.encode(format!("the stand-in's signature of {account} {ends}"));
    format!("{header}.{claims}.{signature}")
}

/// What `credentials.py` is asked for, in its words.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Order {
    pub name: String,
    pub usage: &'static str,
    pub key: KeyKind,
    /// The name of an earlier one whose key this one has.
    pub key_of: Option<&'static str>,
    pub digest: Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<&'static str>,
    pub groups: Vec<String>,
    pub password: Option<String>,
    pub not_before: i64,
    pub not_after: i64,
    pub dns: Vec<String>,
    pub addresses: Vec<String>,
}

impl Order {
    pub(super) fn new(name: &str, usage: &'static str, issuer: Option<&'static str>) -> Self {
        Self {
            name: name.into(),
            usage,
            key: KeyKind::EcP256Pkcs8,
            key_of: None,
            digest: Digest::Sha256,
            issuer,
            groups: Vec::new(),
            password: None,
            not_before: -2 * DAY,
            not_after: 3650 * DAY,
            dns: Vec::new(),
            addresses: Vec::new(),
        }
    }

    pub(super) fn client(wanted: &ClientCertificate, issuer: &'static str) -> Self {
        let usage = match wanted.purpose {
            Purpose::Clients => "client",
            Purpose::Servers => "server",
            Purpose::Unsaid => "unsaid",
        };
        Self {
            name: wanted.user.clone(),
            key: wanted.key,
            groups: wanted.groups.clone(),
            password: wanted.password.clone(),
            not_before: wanted.not_before,
            not_after: wanted.not_after,
            digest: wanted.digest,
            ..Self::new("", usage, Some(issuer))
        }
    }
}

/// Has these made inside the machine, in this order; earlier ones may sign later ones.
pub(super) fn make(
    machine: &Machine,
    issuers: &BTreeMap<&str, &Credential>,
    orders: &[Order],
) -> Result<Vec<Credential>> {
    let program = format!("{DIRECTORY}/credentials.py");
    machine.push(&program, include_bytes!("credentials.py"), 0o644)?;
    let request = json!({"issuers": issuers, "orders": orders}).to_string();
    let mut command = PYTHON.to_vec();
    command.push(&program);
    let made = machine.run_with_input(&command, Some(request.as_bytes()))?;
    ensure!(made.ok(), "making certificates: {}", made.stderr);
    let made: Vec<Credential> =
        serde_json::from_str(&made.stdout).ok().context("credentials.py printed something else")?;
    ensure!(made.len() == orders.len(), "not one for each order");
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_when_it_ends() {
        let token = service_account_token("system:serviceaccount:magnum:capi", 600);
        let parts: Vec<&str> = token.split('.').collect();
        assert_eq!(parts.len(), 3);
        let claims = URL_SAFE_NO_PAD.decode(parts[1]).unwrap();
        let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!(claims["sub"], "system:serviceaccount:magnum:capi");
        let lives = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
        assert_eq!(lives, 660);
    }

    #[test]
    fn a_credential_never_shows() {
        let secret = Credential { certificate_pem: "C".into(), key_pem: "HIDDEN".into() };
        assert!(!format!("{secret:?}").contains("HIDDEN"));
    }
}
