//! One question to the management cluster, with the driver's own eyes: the same server, the same
//! certificate authority, the same client certificate, from this unit.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::kubeconfig::{Credentials, Material, Target};
use crate::http;
use crate::unit::files;

/// From the first packet to the last byte of the answer.
const LIMIT: Duration = Duration::from_secs(5);

/// What came of asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It answered, and serves this Kubernetes version.
    Version(String),
    /// It answered with another HTTP status.
    Status(u16),
    /// It did not answer; why.
    Unreachable(String),
}

/// Asks the server for its version.
///
/// # Errors
/// When the question cannot even be put: a certificate or key that does not decode or parse.
pub fn ask_version(target: &Target) -> Result<Answer> {
    let mut client = http::direct().timeout(LIMIT);
    if let Some(authority) = &target.authority {
        let pem = pem(authority).context("the certificate authority")?;
        let roots = reqwest::Certificate::from_pem_bundle(&pem)
            .ok()
            .context("the certificate authority does not parse as PEM")?;
        client = client.tls_certs_only(roots);
    }
    let mut token = None;
    match &target.credentials {
        Credentials::Certificate { certificate, key } => {
            let mut both = pem(certificate).context("the client certificate")?;
            both.push(b'\n');
            both.extend(pem(key).context("the client key")?);
            let identity = reqwest::Identity::from_pem(&both)
                .ok()
                .context("the client certificate and key do not parse as PEM")?;
            client = client.identity(identity);
        }
        Credentials::Token(Material::Inline(text)) => token = Some(text.clone()),
        Credentials::Token(Material::File(path)) => {
            token = files::read_text(Path::new(path))?.map(|text| text.trim().to_owned());
        }
        Credentials::None(_) => {}
    }
    let client = client
        .build()
        .ok()
        .context("the client certificate and key do not fit together")?;
    let mut request = client.get(format!("{}/version", target.server));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    match request.send() {
        Err(error) => Ok(Answer::Unreachable(http::reason(&error))),
        Ok(response) if !response.status().is_success() => {
            Ok(Answer::Status(response.status().as_u16()))
        }
        Ok(response) => {
            let body: serde_json::Value = response.json().unwrap_or_default();
            let version = body["gitVersion"].as_str().unwrap_or("of no known version");
            Ok(Answer::Version(version.to_owned()))
        }
    }
}

fn pem(material: &Material) -> Result<Vec<u8>> {
    match material {
        Material::File(path) => files::read(Path::new(path)),
        // The decoder's own message would quote a byte of the key.
        Material::Inline(data) => STANDARD
            .decode(data.split_whitespace().collect::<String>())
            .ok()
            .context("it is not base64"),
    }
}
