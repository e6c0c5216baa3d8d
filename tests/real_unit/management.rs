//! The management cluster of the tests: a kubeconfig with real certificates, and a server that asks
//! for the client's.

use lab::Machine;

/// A password that the tests put into addresses.
pub const PASSWORD: &str = "hunter2-Xq7";
/// A bearer token, as long as a service account's.
pub const TOKEN: &str =
    "eyJhbGciOiJSUzI1NiIsImtpZCI6Ilg3In0.dGhpcy1pcy1hLXRlc3QtdG9rZW4.c2lnbmF0dXJl";

const DIRECTORY: &str = "/opt/lab/management";
/// A CA, and a certificate of it for the server and for the client.
const MAKE_CERTIFICATES: &str = r#"
mkdir -p -m 0700 /opt/lab/management; cd /opt/lab/management
key() { openssl ecparam -genkey -name prime256v1 -noout | openssl pkcs8 -topk8 -nocrypt -out "$1.key"; }
key ca; openssl req -x509 -new -key ca.key -subj /CN=management-ca -days 30 -out ca.crt
for name in server client; do
    key $name
    printf 'subjectAltName=IP:127.0.0.1\n' >$name.ext
    openssl req -new -key $name.key -subj "/O=system:masters/CN=$name" |
        openssl x509 -req -CA ca.crt -CAkey ca.key -CAcreateserial -extfile $name.ext -days 30 -out $name.crt 2>/dev/null
done
for file in ca.crt client.crt client.key; do base64 -w0 $file; echo; done
"#;

/// The credentials for a management cluster.
#[derive(Debug, Clone)]
pub struct Management {
    authority: String,
    certificate: String,
    key: String,
}

impl Management {
    pub fn new(machine: &Machine) -> Self {
        let made = machine.shell(MAKE_CERTIFICATES).unwrap();
        let mut lines = made.lines().map(str::to_owned);
        let mut next = || lines.next().unwrap();
        Self {
            authority: next(),
            certificate: next(),
            key: next(),
        }
    }

    /// The client's private key, as it stands in the kubeconfig.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What an operator grants.
    pub fn kubeconfig(&self) -> String {
        self.with_user(&format!(
            "client-certificate-data: {}\n    client-key-data: {}",
            self.certificate, self.key
        ))
    }

    /// A kubeconfig that only drivers from 1.3.0 on can use.
    pub fn kubeconfig_with_token(&self) -> String {
        self.with_user(&format!("token: {TOKEN}"))
    }

    pub fn with_user(&self, user: &str) -> String {
        let authority = &self.authority;
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: admin@management\n\
             contexts:\n- name: admin@management\n  context:\n    cluster: management\n    user: admin\n\
             clusters:\n- name: management\n  cluster:\n    server: https://127.0.0.1:6443\n    \
             certificate-authority-data: {authority}\n\
             users:\n- name: admin\n  user:\n    {user}\n"
        )
    }

    /// The management cluster answers from now on, to whoever has a certificate of its CA.
    pub fn serve(&self, machine: &Machine) {
        let program = format!("{DIRECTORY}/serve.py");
        machine
            .push(&program, include_bytes!("management_api.py"), 0o644)
            .unwrap();
        machine
            .shell(&format!(
                "systemd-run --quiet --unit=management-api --working-directory={DIRECTORY} \
                 python3 {program}
                 until ss -ltn | grep -q 127.0.0.1:6443; do sleep 0.05; done"
            ))
            .unwrap();
    }
}

/// What of a secret shows in `text`, if anything does.
pub fn leak(management: &Management, text: &str) -> Option<String> {
    // Any 48 consecutive characters of the key hold a whole one of these pieces.
    let pieces = management.key.as_bytes().chunks_exact(24);
    let header = management.key.len().min(36);
    let key = pieces
        .map(|piece| String::from_utf8_lossy(piece).into_owned())
        .skip(header / 24)
        .map(|piece| (piece, "a part of the client key"));
    let token = TOKEN.split('.').map(|part| (part.to_owned(), "the token"));
    let password = std::iter::once((PASSWORD.to_owned(), "the password of an address"));
    key.chain(token)
        .chain(password)
        .find(|(piece, _)| text.contains(piece))
        .map(|(_, what)| what.to_owned())
}
