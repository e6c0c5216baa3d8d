//! A stand-in for the management cluster, inside the unit: a TLS server that asks for a client certificate and
//! answers `/version`, and the kubeconfig that leads to it.
//!
//! It makes the kubeconfig a real one, whose certificates the other side checks. It makes no clusters. Everything
//! of it lies below `/run`.

use anyhow::{Context, Result};
use lab::Machine;

const DIRECTORY: &str = "/run/management-cluster";

/// Starts the stand-in and returns the kubeconfig of its administrator.
///
/// # Errors
///
/// When it does not come up.
pub fn start(machine: &Machine) -> Result<String> {
    for (name, content) in [
        ("api.py", include_str!("cluster/api.py")),
        ("openssl.cnf", include_str!("cluster/openssl.cnf")),
        ("kubeconfig.sh", include_str!("cluster/kubeconfig.sh")),
    ] {
        machine.push(&format!("{DIRECTORY}/{name}"), content.as_bytes(), 0o644)?;
    }
    let kubeconfig = machine.shell(&format!("cd {DIRECTORY}; . ./kubeconfig.sh"))?;
    machine
        .shell(&format!(
            "cd {DIRECTORY}; \
             systemd-run --quiet --unit=management-cluster --working-directory={DIRECTORY} python3 api.py; \
             timeout 20 sh -c 'until curl --silent --output /dev/null --cacert ca.crt --cert client.crt \
             --key client.key https://127.0.0.1:6443/version; do sleep 0.1; done'"
        ))
        .context("the stand-in for the management cluster does not answer")?;
    Ok(kubeconfig)
}
