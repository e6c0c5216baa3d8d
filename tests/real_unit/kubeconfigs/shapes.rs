//! What kubeadm, k3s, Cluster API and their kin write, byte for byte but for the material: `{NAME}` stands for a
//! file of the material in base64, `{=NAME}` for its text.

/// `/etc/kubernetes/admin.conf`. Cluster API's secret `NAME-kubeconfig` and `clusterctl get kubeconfig` have the same
/// shape with other names: all three come from client-go's writer.
pub const KUBEADM: &str = "\
apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: {ca.crt}
    server: https://127.0.0.1:6443
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
    client-certificate-data: {rsa.crt}
    client-key-data: {rsa.key}
";

/// `/etc/rancher/k3s/k3s.yaml`: everything is called `default`, the key is an elliptic curve's, and the CA of the
/// clients follows the certificate.
pub fn k3s() -> String {
    KUBEADM
        .replace("kubernetes-admin@kubernetes", "default")
        .replace("kubernetes-admin", "default")
        .replace("kubernetes", "default")
        .replace("{rsa.crt}", "{k3s.crt}")
        .replace("{rsa.key}", "{ec.key}")
}

/// Cluster API's secret `mgmt-kubeconfig`.
pub fn cluster_api() -> String {
    KUBEADM
        .replace("kubernetes-admin@kubernetes", "mgmt-admin@mgmt")
        .replace("kubernetes-admin", "mgmt-admin")
        .replace("kubernetes", "mgmt")
}

/// minikube: paths, and extensions that nobody else reads.
pub fn minikube() -> String {
    "\
apiVersion: v1
clusters:
- cluster:
    certificate-authority: {dir}/ca.crt
    extensions:
    - extension:
        last-update: Tue, 04 Feb 2025 10:12:44 UTC
        provider: minikube.sigs.k8s.io
        version: v1.35.0
      name: cluster_info
    server: https://127.0.0.1:6443
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
    client-certificate: {dir}/rsa.crt
    client-key: {dir}/rsa.key
"
    .to_owned()
}

/// Rancher's download: a token, and a server with a path.
pub fn rancher() -> String {
    "\
apiVersion: v1
kind: Config
clusters:
- name: \"mgmt\"
  cluster:
    server: \"https://localhost:6443/k8s/clusters/c-m-x7\"
    certificate-authority-data: \"{ca.crt}\"

users:
- name: \"mgmt\"
  user:
    token: \"{=opaque}\"


contexts:
- name: \"mgmt\"
  context:
    user: \"mgmt\"
    cluster: \"mgmt\"

current-context: \"mgmt\"
"
    .to_owned()
}

/// What `kubectl config view --raw --output=json` prints.
pub fn json() -> String {
    "\
{
    \"kind\": \"Config\",
    \"apiVersion\": \"v1\",
    \"preferences\": {},
    \"clusters\": [
        {
            \"name\": \"kubernetes\",
            \"cluster\": {
                \"server\": \"https://127.0.0.1:6443\",
                \"certificate-authority-data\": \"{ca.crt}\"
            }
        }
    ],
    \"users\": [
        {
            \"name\": \"kubernetes-admin\",
            \"user\": {
                \"client-certificate-data\": \"{rsa.crt}\",
                \"client-key-data\": \"{rsa.key}\"
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
"
    .to_owned()
}

/// The context of `admin.conf`, as it stands there.
pub const CONTEXT: &str = "\
- context:
    cluster: kubernetes
    user: kubernetes-admin
  name: kubernetes-admin@kubernetes
";

/// The user of `admin.conf`, as it stands there.
pub const USER: &str = "\
- name: kubernetes-admin
  user:
    client-certificate-data: {rsa.crt}
    client-key-data: {rsa.key}
";

/// The cluster of `admin.conf`, as it stands there.
pub const CLUSTER: &str = "\
- cluster:
    certificate-authority-data: {ca.crt}
    server: https://127.0.0.1:6443
  name: kubernetes
";

/// `admin.conf` with another thing in one place, which must be there.
#[track_caller]
pub fn with(found: &str, replacement: &str) -> String {
    assert!(KUBEADM.contains(found), "no {found:?} in admin.conf");
    KUBEADM.replace(found, replacement)
}

/// `admin.conf` whose user has these fields and no others, `\n` between them.
pub fn user(fields: &str) -> String {
    with(
        "    client-certificate-data: {rsa.crt}\n    client-key-data: {rsa.key}\n",
        &lines(fields),
    )
}

/// The same with a certificate and its key.
pub fn pair(name: &str) -> String {
    user(&format!(
        "client-certificate-data: {{{name}.crt}}\nclient-key-data: {{{name}.key}}"
    ))
}

/// `admin.conf` whose cluster has these fields and no others.
pub fn cluster(fields: &str) -> String {
    with(
        "    certificate-authority-data: {ca.crt}\n    server: https://127.0.0.1:6443\n",
        &lines(fields),
    )
}

/// `admin.conf` with this server.
pub fn server(address: &str) -> String {
    with("https://127.0.0.1:6443", address)
}

/// `admin.conf` with this authority.
pub fn authority(field: &str) -> String {
    with("certificate-authority-data: {ca.crt}", field)
}

fn lines(fields: &str) -> String {
    fields
        .lines()
        .map(|field| format!("    {field}\n"))
        .collect()
}
