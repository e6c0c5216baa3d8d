//! A management cluster for tests: a TLS server on the loopback interface.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::UsableKubeconfig;
use super::usable::Login;
use crate::magnum::Python;
use crate::system::Secret;
use crate::system::testing::Scratch;

pub fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("tests/fixtures/kubeconfig/{name}")).unwrap()
}

/// A unit with the charm's and Magnum's directories.
pub fn scratch() -> Scratch {
    let scratch = Scratch::new();
    scratch.root.make_state_directory().unwrap();
    let directory = std::path::Path::new("/etc/magnum");
    scratch.root.make_directories(directory).unwrap();
    scratch
}

/// A group that the test may give files to.
pub fn gid(scratch: &Scratch) -> u32 {
    let etc = scratch.root.metadata("/etc".as_ref()).unwrap().unwrap();
    scratch.root.access_of(&etc).gid
}

pub fn python() -> Python {
    Python { executable: "/usr/bin/python3".into(), version: "3.11.2".into(), site: "/site".into(), path: vec![] }
}

/// A kubeconfig of this cluster and this user.
pub fn kubeconfig(cluster: &str, user: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: admin@mgmt\n\
         contexts: [{{name: admin@mgmt, context: {{cluster: mgmt, user: admin}}}}]\n\
         clusters: [{{name: mgmt, cluster: {{{cluster}}}}}]\n\
         users: [{{name: admin, user: {{{user}}}}}]\n"
    )
}

/// The configuration of a server that [`usable`] trusts.
pub fn server_config() -> Arc<ServerConfig> {
    let chain = vec![CertificateDer::from_pem_slice(&fixture("server.crt")).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(&fixture("server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    Arc::new(config)
}

/// Serves on a port of its own until the test ends; `answer` gets method, path and body, and returns the status with
/// further header lines and the body.
pub fn serve(answer: impl Fn(&str, &str, &str) -> (&'static str, String) + Send + Sync + 'static) -> UsableKubeconfig {
    serve_with(server_config(), answer)
}

/// Serves with another certificate, perhaps.
pub fn serve_with(
    config: Arc<ServerConfig>,
    answer: impl Fn(&str, &str, &str) -> (&'static str, String) + Send + Sync + 'static,
) -> UsableKubeconfig {
    let answer = Arc::new(answer);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("https://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (config, answer) = (config.clone(), answer.clone());
            std::thread::spawn(move || {
                let tls = ServerConnection::new(config).unwrap();
                let mut stream = BufReader::new(StreamOwned::new(tls, stream.unwrap()));
                let (mut first, mut line, mut length) = (String::new(), String::new(), 0);
                // A client that does not trust the server ends here.
                if stream.read_line(&mut first).is_err() {
                    return;
                }
                while line != "\r\n" {
                    line.clear();
                    stream.read_line(&mut line).unwrap();
                    if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                }
                let mut body = vec![0; length];
                stream.read_exact(&mut body).unwrap();
                let mut words = first.split(' ');
                let (method, path) = (words.next().unwrap(), words.next().unwrap());
                let (head, body) = answer(method, path, &String::from_utf8(body).unwrap());
                let length = body.len();
                let mut stream = stream.into_inner();
                // A client may hang up before it has read everything.
                let head = format!("HTTP/1.1 {head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
                if stream.write_all(head.as_bytes()).is_ok() && stream.write_all(body.as_bytes()).is_ok() {
                    stream.conn.send_close_notify();
                    stream.flush().ok();
                }
            });
        }
    });
    usable(&server)
}

/// What it takes to ask such a server.
pub fn usable(server: &str) -> UsableKubeconfig {
    UsableKubeconfig {
        server: server.to_owned(),
        authority: Some(fixture("server-ca.crt")),
        login: Login::Token(Secret::new("hunter2".to_owned())),
        validity: vec![],
        notes: vec![],
    }
}

/// A management cluster that knows the user, allows what `allows` says, and serves these versions of the provider.
pub fn cluster(openstack: &'static str, allows: impl Fn(&str) -> bool + Send + Sync + 'static) -> UsableKubeconfig {
    serve(move |_, path, body| {
        let body = match path.rsplit('/').next() {
            Some("selfsubjectreviews") => r#"{"status": {"userInfo": {"username": "admin"}}}"#.to_owned(),
            Some("selfsubjectaccessreviews") => {
                let review: serde_json::Value = serde_json::from_str(body).unwrap();
                let asked = &review["spec"]["resourceAttributes"];
                let rule = format!("{} {}", asked["verb"], asked["resource"]).replace('"', "");
                format!(r#"{{"status": {{"allowed": {}}}}}"#, allows(&rule))
            }
            _ => {
                let groups = [
                    ("cluster.x-k8s.io", "v1beta1"),
                    ("controlplane.cluster.x-k8s.io", "v1beta1"),
                    ("bootstrap.cluster.x-k8s.io", "v1beta1"),
                    ("addons.stackhpc.com", "v1alpha1"),
                    ("infrastructure.cluster.x-k8s.io", openstack),
                ];
                let group = |(name, version): (&str, &str)| serde_json::json!({"name": name, "versions": [{"version": version}]});
                serde_json::json!({"groups": groups.map(group)}).to_string()
            }
        };
        ("200 OK", body)
    })
}
