//! The rest of a cloud round a [`crate::Release::Cloud`] machine: a stand-in for Glance, Nova, Neutron and Cinder, as
//! far as Magnum and the driver ask them, and faults before Magnum's real API. Keystone, Magnum and RabbitMQ are
//! never played.
//!
//! In the catalog, Magnum's public endpoint is its API itself; its internal one leads through the stand-in,
//! where a test can put answers in the API's place. Keystone is reached through it too, over TLS.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde::Serialize;
use serde_json::json;

use crate::Machine;

const DIRECTORY: &str = "/run/cloud";
const SERVICE: &str = "cloud";
const START_LIMIT: Duration = Duration::from_secs(30);
/// Keystone and RabbitMQ need some seconds more than Magnum does, and their machine may be a slow one.
const SERVICES_LIMIT: Duration = Duration::from_secs(120);

/// An answer in the place of a service's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HttpFault {
    pub method: String,
    /// A regular expression that is to be found in the path, such as `^/magnum/v1/clusters/`.
    pub path: String,
    pub status: u16,
    /// Its body; where it leads to, when that is what the status says.
    pub body: String,
    /// How often; always when negative.
    pub times: i32,
}

impl HttpFault {
    /// Always this answer.
    #[must_use]
    pub fn always(method: &str, path: &str, status: u16, body: &str) -> Self {
        Self { method: method.into(), path: path.into(), status, body: body.into(), times: -1 }
    }
}

/// Where Keystone answers over TLS.
pub const SECURE_KEYSTONE: &str = "https://localhost:8443/keystone/v3";
/// An authority, and a certificate of it for localhost.
const CERTIFICATES: &str = "cd /run/cloud
    set -- openssl req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -days 2
    \"$@\" -subj /CN=lab-authority -keyout authority.key -out authority.pem
    \"$@\" -subj /CN=localhost -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE \
        -CA authority.pem -CAkey authority.key -keyout tls.key -out tls.pem";

/// The stand-in on a machine.
#[derive(Debug)]
pub struct Cloud;

impl Cloud {
    /// The stand-in answers, and so do Keystone and, with a token, Magnum's API.
    pub fn start(machine: &Machine) -> Result<Self> {
        let file = |name: &str| format!("{DIRECTORY}/{name}");
        let program = include_str!("cloud/server.py");
        machine.push(&file("server.py"), program.as_bytes(), 0o644)?;
        Self.faults(machine, &[])?;
        machine.shell(CERTIFICATES)?;
        machine.shell(&format!(
            "systemd-run --quiet --collect --unit={SERVICE} /usr/bin/python3 -B -E -s {DIRECTORY}/server.py"
        ))?;
        wait(START_LIMIT, "the stand-in for the cloud", || machine.exists(&file("ready")))?;
        wait(SERVICES_LIMIT, "Keystone", || {
            Ok(machine.run(&["curl", "-sf", "-m5", "http://localhost:5000/v3"])?.ok())
        })?;
        wait(SERVICES_LIMIT, "RabbitMQ", || {
            let ready = "systemctl is-active --quiet rabbitmq-server";
            Ok(machine.run(&["sh", "-c", ready])?.ok())
        })?;
        Ok(Self)
    }

    /// Who vouches for [`SECURE_KEYSTONE`], PEM.
    pub fn authority(&self, machine: &Machine) -> Result<String> {
        machine.read_text(&format!("{DIRECTORY}/authority.pem"))
    }

    /// These answers from now on, in place of the services' own.
    pub fn faults(&self, machine: &Machine, faults: &[HttpFault]) -> Result<()> {
        let told = json!({ "faults": faults }).to_string();
        machine.push(&format!("{DIRECTORY}/behaviour.json"), told.as_bytes(), 0o644)
    }
}

fn wait(limit: Duration, what: &str, mut is_there: impl FnMut() -> Result<bool>) -> Result<()> {
    let end = Instant::now() + limit;
    while Instant::now() < end {
        if is_there()? {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    bail!("{what} does not come up within {} s", limit.as_secs())
}
