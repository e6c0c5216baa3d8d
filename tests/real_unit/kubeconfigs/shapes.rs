//! Kubeconfigs as their tools write them, but for the material ([`super::material`] puts it in), and edits of the
//! plainest of them.

use super::{Case, table};

/// kubeadm's `/etc/kubernetes/admin.conf`. Cluster API, `kind` and `talosctl` write the same with other names: it is
/// what client-go writes.
pub const KUBEADM: &str = "\
apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: $(ca.crt)
    server: https://198.51.100.1:6443
  name: kubernetes
contexts:
- context:
    cluster: kubernetes
    user: kubernetes-admin
  name: kubernetes-admin@kubernetes
current-context: kubernetes-admin@kubernetes
kind: Config
preferences: {}
users:
- name: kubernetes-admin
  user:
    client-certificate-data: $(admin.crt)
    client-key-data: $(admin.key)
";

const MINIKUBE: &str = "\
apiVersion: v1
clusters:
- cluster:
    certificate-authority: $(/ca.crt)
    extensions:
    - extension:
        last-update: Tue, 04 Feb 2025 10:12:44 UTC
        provider: minikube.sigs.k8s.io
        version: v1.35.0
      name: cluster_info
    server: https://198.51.100.1:6443
  name: minikube
contexts:
- context:
    cluster: minikube
    extensions:
    - extension:
        last-update: Tue, 04 Feb 2025 10:12:44 UTC
        provider: minikube.sigs.k8s.io
        version: v1.35.0
      name: context_info
    namespace: default
    user: minikube
  name: minikube
current-context: minikube
kind: Config
preferences: {}
users:
- name: minikube
  user:
    client-certificate: $(/rsa.crt)
    client-key: $(/rsa.key)
";

const RANCHER: &str = "\
apiVersion: v1
kind: Config
clusters:
- name: \"mgmt\"
  cluster:
    server: \"https://localhost:6443/k8s/clusters/c-m-x7\"
    certificate-authority-data: \"$(ca.crt)\"

users:
- name: \"mgmt\"
  user:
    token: \"$(=token)\"


contexts:
- name: \"mgmt\"
  context:
    user: \"mgmt\"
    cluster: \"mgmt\"

current-context: \"mgmt\"
";

/// `kubectl config view --raw --output=json`.
pub const JSON: &str = "\
{
    \"kind\": \"Config\",
    \"apiVersion\": \"v1\",
    \"preferences\": {},
    \"clusters\": [
        {
            \"name\": \"kubernetes\",
            \"cluster\": {
                \"server\": \"https://198.51.100.1:6443\",
                \"certificate-authority-data\": \"$(ca.crt)\"
            }
        }
    ],
    \"users\": [
        {
            \"name\": \"kubernetes-admin\",
            \"user\": {
                \"client-certificate-data\": \"$(admin.crt)\",
                \"client-key-data\": \"$(admin.key)\"
            }
        }
    ],
    \"contexts\": [
        {
            \"name\": \"kubernetes-admin@kubernetes\",
            \"context\": {
                \"cluster\": \"kubernetes\",
                \"user\": \"kubernetes-admin\"
            }
        }
    ],
    \"current-context\": \"kubernetes-admin@kubernetes\"
}
";

/// The parts of `admin.conf` as they stand there.
pub const CONTEXT: &str = "\
- context:
    cluster: kubernetes
    user: kubernetes-admin
  name: kubernetes-admin@kubernetes
";
pub const CLUSTER: &str = "\
- cluster:
    certificate-authority-data: $(ca.crt)
    server: https://198.51.100.1:6443
  name: kubernetes
";
pub const USER: &str = "\
- name: kubernetes-admin
  user:
    client-certificate-data: $(admin.crt)
    client-key-data: $(admin.key)
";

/// The cluster of a service account that an operator made for Magnum, as scripts write it.
const SERVICE_ACCOUNT: &str = "\
apiVersion: v1
kind: Config
current-context: default
contexts: [{name: default, context: {cluster: mgmt, user: magnum, namespace: magnum}}]
clusters: [{name: mgmt, cluster: {server: 'https://198.51.100.1:6443', certificate-authority-data: $(ca.crt)}}]
users: [{name: magnum, user: {token: $(=jwt)}}]
";

/// `admin.conf` with something else in one place, which must be there.
#[track_caller]
pub fn with(found: &str, replacement: &str) -> String {
    assert!(KUBEADM.contains(found), "no {found:?} in admin.conf");
    KUBEADM.replace(found, replacement)
}

/// `admin.conf` and something more behind one of its parts.
pub fn and(part: &str, more: &str) -> String {
    with(part, &format!("{part}{more}"))
}

/// `admin.conf` whose user has these fields and no others, one in a line.
pub fn user(fields: &str) -> String {
    let found = "    client-certificate-data: $(admin.crt)\n    client-key-data: $(admin.key)\n";
    with(found, &lines(fields))
}

/// `admin.conf` whose user has these fields beside certificate and key.
pub fn certificate_and(fields: &str) -> String {
    and("    client-key-data: $(admin.key)\n", &lines(fields))
}

/// `admin.conf` with another certificate and its key.
pub fn pair(name: &str) -> String {
    with("(admin.", &format!("({name}."))
}

/// `admin.conf` with another field for the client's certificate.
pub fn certificate(field: &str) -> String {
    with("client-certificate-data: $(admin.crt)", field)
}

/// `admin.conf` with another field for the client's key.
pub fn key(field: &str) -> String {
    with("client-key-data: $(admin.key)", field)
}

/// `admin.conf` with another field for the certificate authority.
pub fn authority(field: &str) -> String {
    with("certificate-authority-data: $(ca.crt)", field)
}

/// `admin.conf` with another server.
pub fn server(address: &str) -> String {
    with("https://198.51.100.1:6443", address)
}

/// `admin.conf` with more fields beside its server.
pub fn server_and(fields: &str) -> String {
    and("    server: https://198.51.100.1:6443\n", &lines(fields))
}

fn lines(fields: &str) -> String {
    fields.lines().map(|field| format!("    {field}\n")).collect()
}

/// `admin.conf` with other names.
pub fn named(context: &str, cluster: &str, user: &str) -> String {
    with("kubernetes-admin@kubernetes", "CONTEXT")
        .replace("kubernetes-admin", user)
        .replace("kubernetes", cluster)
        .replace("CONTEXT", context)
}

/// k3s's `k3s.yaml`: everything has one name, and the clients' CA follows the certificate.
fn k3s() -> String {
    named("default", "default", "default").replace("$(admin.crt)", "$(admin.crt+ca.crt)")
}

/// `KUBECONFIG=a:b kubectl config view --flatten`: clusters of a cloud beside the one that is meant.
fn merged() -> String {
    let context = "- context:\n    cluster: eks\n    user: eks\n  name: eks\n";
    let cluster = "- cluster:\n    server: https://x.eks.amazonaws.com\n  name: eks\n";
    let user = "- name: eks\n  user:\n    exec:\n      apiVersion: client.authentication.k8s.io/v1beta1\n      \
                args:\n      - eks\n      command: aws\n      env: null\n      interactiveMode: IfAvailable\n      \
                provideClusterInfo: false\n";
    with(CONTEXT, &format!("{context}{CONTEXT}"))
        .replace(CLUSTER, &format!("{cluster}{CLUSTER}"))
        .replace(USER, &format!("{user}{USER}"))
}

table! {
    Every  "kubeadm's admin.conf" => KUBEADM;
    Every  "Cluster API's secret" => named("mgmt-admin@mgmt", "mgmt", "mgmt-admin");
    Every  "k3s's k3s.yaml" => k3s();
    Every  "minikube's, with paths" => MINIKUBE;
    Tokens "Rancher's, with a token and a path" => RANCHER;
    Tokens "a service account's" => SERVICE_ACCOUNT;
    Every  "kubectl's, merged of several" => merged();
    Every  "kubectl's, as JSON" => JSON;
    Every  "JSON on one line" => JSON.replace("\n", "").replace("  ", "");
    Every  "neither kind nor apiVersion" => with("apiVersion: v1\n", "").replace("kind: Config\n", "");
    Every  "fields that nobody knows" => with("preferences: {}", "colour: blue").replace("client-key-data", "x: 1\n    client-key-data");
}
