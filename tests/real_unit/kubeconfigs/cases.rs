//! The table: every case with the drivers that can use it.

use super::shapes::{
    CLUSTER, CONTEXT, KUBEADM, USER, authority, cluster, cluster_api, json, k3s, minikube, pair,
    rancher, server, user, with,
};

/// Which drivers can use a kubeconfig.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Every,
    /// From 1.3.0 on.
    Tokens,
    None,
}

impl By {
    /// Whether this version of the driver is among them.
    pub fn serves(self, version: &str) -> bool {
        match self {
            Self::Every => true,
            Self::Tokens => !["1.1.0", "1.2.1"].contains(&version),
            Self::None => false,
        }
    }
}

/// One kubeconfig.
pub struct Case {
    pub name: &'static str,
    /// With `{NAME}` for the material.
    pub text: String,
    pub usable: By,
    /// The same when the unit's own store trusts the management cluster's CA.
    pub trusting: By,
    /// What can be said of it without asking the management cluster.
    pub offline: By,
}

/// Certificate and key of `admin.conf`, to be followed by something else.
const PAIR: &str = "client-certificate-data: {rsa.crt}\nclient-key-data: {rsa.key}";

pub fn cases() -> Vec<Case> {
    let both = [
        good(),
        keys(),
        users(),
        exec(),
        contexts(),
        servers(),
        authorities(),
        material(),
        text(),
        yaml(),
    ];
    let case = |name, usable, offline, text| {
        let trusting = if TRUSTING.contains(&name) {
            By::Every
        } else {
            usable
        };
        Case {
            name,
            text,
            usable,
            trusting,
            offline,
        }
    };
    let seen = both
        .into_iter()
        .flatten()
        .map(|(name, usable, text)| case(name, usable, usable, text));
    let unseen = online()
        .into_iter()
        .map(|(name, usable, offline, text)| case(name, usable, offline, text));
    seen.chain(unseen).collect()
}

/// What works on a unit whose own store trusts the management cluster's CA, and nowhere else.
const TRUSTING: [&str; 4] = [
    "insecure without CA",
    "no CA, and the unit does not trust it",
    "CA path empty next to data",
    "CA path null next to data",
];

type Rows = Vec<(&'static str, By, String)>;

fn good() -> Rows {
    use By::{Every, Tokens};
    vec![
        ("kubeadm admin.conf", Every, KUBEADM.to_owned()),
        ("k3s.yaml", Every, k3s()),
        ("Cluster API secret", Every, cluster_api()),
        ("minikube, paths", Every, minikube()),
        ("rancher, token and path prefix", Tokens, rancher()),
        ("JSON", Every, json()),
        (
            "no kind, no apiVersion",
            Every,
            with("apiVersion: v1\n", "").replace("kind: Config\n", ""),
        ),
        (
            "a namespace in the context",
            Every,
            with(
                "    cluster: kubernetes\n",
                "    cluster: kubernetes\n    namespace: magnum\n",
            ),
        ),
        (
            "unknown fields",
            Every,
            with("preferences: {}", "preferences: {}\ncolour: blue")
                .replace("client-key-data", "shape: round\n    client-key-data"),
        ),
        (
            "unicode names",
            Every,
            with("kubernetes-admin", "адмін-ü-\u{1f512}"),
        ),
        (
            "names with spaces and colons",
            Every,
            with("kubernetes-admin", "\"a: b # c\"")
                .replace("\"a: b # c\"@kubernetes", "\"a: b # c\""),
        ),
        (
            "another context is broken",
            Every,
            with(
                CONTEXT,
                &format!(
                    "{CONTEXT}- context:\n    cluster: gone\n    user: nobody\n  name: other\n"
                ),
            ),
        ),
        (
            "another context comes first",
            Every,
            with(
                CONTEXT,
                &format!(
                    "- context:\n    cluster: gone\n    user: nobody\n  name: other\n{CONTEXT}"
                ),
            ),
        ),
        (
            "an unrelated exec user",
            Every,
            with(
                USER,
                &format!(
                    "{USER}- name: other\n  user:\n    exec:\n      apiVersion: client.authentication.k8s.io/v1beta1\n      command: aws\n"
                ),
            ),
        ),
        (
            "an unrelated user with a token",
            Every,
            with(
                USER,
                &format!("{USER}- name: other\n  user:\n    token: x\n"),
            ),
        ),
        (
            "an unrelated empty user",
            Every,
            with(USER, &format!("{USER}- name: other\n  user: {{}}\n")),
        ),
        (
            "an unrelated null user",
            Every,
            with(USER, &format!("{USER}- name: other\n  user:\n")),
        ),
        (
            "bundle of two CAs",
            Every,
            authority("certificate-authority-data: {bundle.crt}"),
        ),
        (
            "bundle with an expired CA",
            Every,
            authority("certificate-authority-data: {bundle-expired.crt}"),
        ),
        (
            "CA with text around",
            Every,
            authority("certificate-authority-data: {ca-with-text.crt}"),
        ),
        (
            "CA with CRLF",
            Every,
            authority("certificate-authority-data: {ca-crlf.crt}"),
        ),
        (
            "CA as a path, the rest data",
            Every,
            authority("certificate-authority: {dir}/ca.crt"),
        ),
        (
            "CA as a path to a bundle",
            Every,
            authority("certificate-authority: {dir}/bundle.crt"),
        ),
        (
            "certificate and key in one file",
            Every,
            user("client-certificate: {dir}/rsa-both.pem\nclient-key: {dir}/rsa-both.pem"),
        ),
    ]
}

fn keys() -> Rows {
    use By::{Every, None};
    vec![
        (
            "RSA PKCS#8",
            Every,
            user("client-certificate-data: {rsa.crt}\nclient-key-data: {rsa8.key}"),
        ),
        ("RSA 3072", Every, pair("rsa3072")),
        ("EC SEC1", Every, pair("ec")),
        (
            "EC SEC1 after its parameters",
            Every,
            user("client-certificate-data: {ec.crt}\nclient-key-data: {ec-parameters.key}"),
        ),
        ("EC PKCS#8 P-384", Every, pair("p384")),
        ("EC SEC1 P-521", Every, pair("p521")),
        ("EC PKCS#8 P-521", Every, pair("p521-8")),
        ("Ed25519", Every, pair("ed25519")),
        ("secp256k1", None, pair("k256")),
        ("RSA 1024", None, pair("rsa1024")),
        ("signed with SHA-1", None, pair("sha1")),
        (
            "certificate after blank lines",
            Every,
            user("client-certificate-data: {rsa-blank.crt}\nclient-key-data: {rsa.key}"),
        ),
        (
            "certificate without a newline",
            Every,
            user("client-certificate-data: {rsa-no-newline.crt}\nclient-key-data: {rsa.key}"),
        ),
        (
            "certificate with blanks at the line ends",
            Every,
            user("client-certificate-data: {rsa-spaces.crt}\nclient-key-data: {rsa.key}"),
        ),
        ("certificate with its intermediate", Every, pair("chain")),
        (
            "intermediate before the certificate",
            None,
            user("client-certificate-data: {chain-wrong.crt}\nclient-key-data: {chain.key}"),
        ),
        (
            "chain whose second part is rubbish",
            None,
            user("client-certificate-data: {chain-rubbish.crt}\nclient-key-data: {rsa.key}"),
        ),
        (
            "certificate and key with CRLF",
            Every,
            user("client-certificate-data: {rsa-crlf.crt}\nclient-key-data: {rsa-crlf.key}"),
        ),
        (
            "certificate with text around",
            Every,
            user("client-certificate-data: {rsa-text.crt}\nclient-key-data: {rsa.key}"),
        ),
        (
            "key after certificate in the key",
            Every,
            user("client-certificate-data: {rsa.crt}\nclient-key-data: {rsa-both.pem}"),
        ),
        (
            "certificate after key in the certificate",
            Every,
            user("client-certificate-data: {rsa-both-key-first.pem}\nclient-key-data: {rsa.key}"),
        ),
    ]
}

fn users() -> Rows {
    use By::{Every, None, Tokens};
    vec![
        (
            "certificate and token",
            Every,
            user(&format!("{PAIR}\ntoken: {{=opaque}}")),
        ),
        (
            "certificate and empty token",
            Every,
            user(&format!("{PAIR}\ntoken: \"\"")),
        ),
        (
            "certificate and tokenFile",
            Every,
            user(&format!("{PAIR}\ntokenFile: {{dir}}/opaque")),
        ),
        (
            "certificate and absent tokenFile",
            None,
            user(&format!("{PAIR}\ntokenFile: {{dir}}/absent")),
        ),
        ("token only", Tokens, user("token: {=opaque}")),
        ("JWT", Tokens, user("token: {=jwt}")),
        ("JWT without exp", Tokens, user("token: {=jwt-forever}")),
        ("JWT expired", None, user("token: {=jwt-expired}")),
        (
            "token and key without certificate",
            Tokens,
            user("token: {=opaque}\nclient-key-data: {rsa.key}"),
        ),
        (
            "token and certificate without key",
            None,
            user("token: {=opaque}\nclient-certificate-data: {rsa.crt}"),
        ),
        (
            "certificate without key",
            None,
            user("client-certificate-data: {rsa.crt}"),
        ),
        (
            "key without certificate",
            None,
            user("client-key-data: {rsa.key}"),
        ),
        ("tokenFile only", None, user("tokenFile: {dir}/opaque")),
        (
            "token and tokenFile",
            Tokens,
            user("token: {=opaque}\ntokenFile: {dir}/opaque"),
        ),
        (
            "token and absent tokenFile",
            Tokens,
            user("token: {=opaque}\ntokenFile: {dir}/absent"),
        ),
        (
            "wrong token and good tokenFile",
            None,
            user("token: wrong\ntokenFile: {dir}/opaque"),
        ),
        (
            "token with a trailing newline",
            None,
            user("token: |\n  {=opaque}"),
        ),
        (
            "token with a trailing space",
            Tokens,
            user("token: \"{=opaque} \""),
        ),
        (
            "token with a leading space",
            None,
            user("token: \" {=opaque}\""),
        ),
        (
            "token with a space inside",
            None,
            user("token: \"two words\""),
        ),
        (
            "token folded over two lines",
            Tokens,
            user("token:\n  {=opaque}\n  more"),
        ),
        ("token that is not ASCII", None, user("token: \"tökén\"")),
        ("token that is not Latin-1", None, user("token: \"токен\"")),
        (
            "token with Bearer before it",
            None,
            user("token: Bearer {=opaque}"),
        ),
        (
            "token and another word",
            Tokens,
            user("token: \"{=opaque} more\""),
        ),
        (
            "token, server with a user",
            None,
            user("token: {=opaque}").replace("https://", "https://u:p@"),
        ),
        ("empty token", None, user("token: \"\"")),
        ("null token", None, user("token:")),
        ("token that is a number", None, user("token: 1234567")),
        (
            "token that is a float to some",
            None,
            user("token: 123456e7"),
        ),
        ("token that is a list", None, user("token: [x]")),
        ("token REDACTED", None, user("token: REDACTED")),
        (
            "username and password",
            None,
            user("username: admin\npassword: secret"),
        ),
        (
            "certificate and username and password",
            Every,
            user(&format!("{PAIR}\nusername: admin\npassword: secret")),
        ),
        (
            "token and username and password",
            None,
            user("token: {=opaque}\nusername: admin\npassword: secret"),
        ),
        (
            "certificate, token and username",
            None,
            user(&format!(
                "{PAIR}\ntoken: {{=opaque}}\nusername: admin\npassword: secret"
            )),
        ),
        (
            "certificate and impersonation",
            Every,
            user(&format!("{PAIR}\nas: somebody")),
        ),
        ("auth-provider", None, user("auth-provider:\n  name: gcp")),
        (
            "certificate and auth-provider",
            None,
            user(&format!("{PAIR}\nauth-provider:\n  name: gcp")),
        ),
        (
            "certificate and auth-provider oidc",
            None,
            user(&format!(
                "{PAIR}\nauth-provider:\n  name: oidc\n  config:\n    client-id: x\n    idp-issuer-url: https://127.0.0.1:6443"
            )),
        ),
        (
            "empty user",
            None,
            with(USER, "- name: kubernetes-admin\n  user: {}\n"),
        ),
        (
            "null user",
            None,
            with(USER, "- name: kubernetes-admin\n  user:\n"),
        ),
        (
            "user that is a string",
            None,
            with(USER, "- name: kubernetes-admin\n  user: admin\n"),
        ),
        (
            "user entry without user",
            None,
            with(USER, "- name: kubernetes-admin\n"),
        ),
        (
            "no such user",
            None,
            with("- name: kubernetes-admin\n", "- name: somebody\n"),
        ),
        (
            "users: null",
            None,
            with(USER, "").replace("users:\n", "users: null\n"),
        ),
        (
            "users: []",
            None,
            with(USER, "").replace("users:\n", "users: []\n"),
        ),
        ("no users", None, with(USER, "").replace("users:\n", "")),
        (
            "users is a mapping",
            None,
            with(USER, "  kubernetes-admin: {}\n"),
        ),
    ]
}

fn exec() -> Rows {
    use By::None;
    let plugin = |command: &str| {
        format!(
            "exec:\n  apiVersion: client.authentication.k8s.io/v1\n  command: {command}\n  interactiveMode: Never"
        )
    };
    vec![
        (
            "certificate and exec that fails",
            By::Every,
            user(&format!("{PAIR}\n{}", plugin("/bin/false"))),
        ),
        ("exec only", None, user(&plugin("/opt/lab/plugin"))),
        ("exec only, no such program", None, user(&plugin("aws"))),
        (
            "certificate and exec, no such program",
            By::Every,
            user(&format!("{PAIR}\n{}", plugin("aws"))),
        ),
        (
            "certificate and exec without interactiveMode",
            None,
            user(&format!(
                "{PAIR}\nexec:\n  apiVersion: client.authentication.k8s.io/v1\n  command: /opt/lab/plugin"
            )),
        ),
        (
            "certificate and exec without apiVersion",
            None,
            user(&format!("{PAIR}\nexec:\n  command: /opt/lab/plugin")),
        ),
        (
            "certificate and exec without command",
            None,
            user(&format!(
                "{PAIR}\nexec:\n  apiVersion: client.authentication.k8s.io/v1beta1"
            )),
        ),
        (
            "certificate and exec null",
            By::Every,
            user(&format!("{PAIR}\nexec:")),
        ),
        (
            "certificate and exec empty",
            None,
            user(&format!("{PAIR}\nexec: {{}}")),
        ),
    ]
}

fn contexts() -> Rows {
    use By::{Every, None};
    const CURRENT: &str = "current-context: kubernetes-admin@kubernetes\n";
    vec![
        ("no current-context", None, with(CURRENT, "")),
        (
            "empty current-context",
            None,
            with(CURRENT, "current-context: \"\"\n"),
        ),
        (
            "null current-context",
            None,
            with(CURRENT, "current-context:\n"),
        ),
        (
            "current-context of no context",
            None,
            with(CURRENT, "current-context: other\n"),
        ),
        (
            "current-context with a trailing space",
            None,
            with(
                CURRENT,
                "current-context: \"kubernetes-admin@kubernetes \"\n",
            ),
        ),
        (
            "current-context in other case",
            None,
            with(CURRENT, "current-context: Kubernetes-admin@kubernetes\n"),
        ),
        (
            "current-context is a list",
            None,
            with(CURRENT, "current-context: [kubernetes-admin@kubernetes]\n"),
        ),
        (
            "context without cluster",
            None,
            with("    cluster: kubernetes\n", ""),
        ),
        (
            "context without user",
            None,
            with("    user: kubernetes-admin\n", ""),
        ),
        (
            "context with an empty user",
            None,
            with("    user: kubernetes-admin\n", "    user: \"\"\n"),
        ),
        (
            "context with an empty cluster",
            None,
            with("    cluster: kubernetes\n", "    cluster: \"\"\n"),
        ),
        (
            "context with an empty user, which there is",
            Every,
            with("    user: kubernetes-admin\n", "    user: \"\"\n")
                .replace("- name: kubernetes-admin\n", "- name: \"\"\n"),
        ),
        (
            "context of a missing cluster",
            None,
            with("    cluster: kubernetes\n", "    cluster: gone\n"),
        ),
        (
            "context of a missing user",
            None,
            with("    user: kubernetes-admin\n", "    user: nobody\n"),
        ),
        (
            "context null",
            None,
            with(CONTEXT, "- context:\n  name: kubernetes-admin@kubernetes\n"),
        ),
        (
            "context entry without context",
            None,
            with(CONTEXT, "- name: kubernetes-admin@kubernetes\n"),
        ),
        (
            "contexts: null",
            None,
            with(CONTEXT, "").replace("contexts:\n", "contexts: null\n"),
        ),
        (
            "no contexts",
            None,
            with(CONTEXT, "").replace("contexts:\n", ""),
        ),
        (
            "clusters: null",
            None,
            with(CLUSTER, "").replace("clusters:\n", "clusters: null\n"),
        ),
        (
            "no clusters",
            None,
            with(CLUSTER, "").replace("clusters:\n", ""),
        ),
        (
            "cluster null",
            None,
            with(CLUSTER, "- cluster:\n  name: kubernetes\n"),
        ),
        (
            "the same user twice",
            None,
            with(USER, &format!("{USER}{USER}")),
        ),
        (
            "the same cluster twice",
            None,
            with(CLUSTER, &format!("{CLUSTER}{CLUSTER}")),
        ),
        (
            "the same context twice",
            None,
            with(CONTEXT, &format!("{CONTEXT}{CONTEXT}")),
        ),
        (
            "an unrelated user twice",
            None,
            with(
                USER,
                &format!("{USER}- name: x\n  user: {{}}\n- name: x\n  user: {{}}\n"),
            ),
        ),
        (
            "an unrelated user without a name",
            None,
            with(USER, &format!("{USER}- user: {{}}\n")),
        ),
        (
            "an unrelated cluster without a name",
            None,
            with(
                CLUSTER,
                &format!("{CLUSTER}- cluster:\n    server: https://127.0.0.1:6443\n"),
            ),
        ),
        (
            "an unrelated context without a name",
            None,
            with(
                CONTEXT,
                &format!("{CONTEXT}- context:\n    cluster: x\n    user: y\n"),
            ),
        ),
        (
            "an unrelated user with an empty name",
            Every,
            with(USER, &format!("{USER}- name: \"\"\n  user: {{}}\n")),
        ),
        (
            "an unrelated user with a null name",
            Every,
            with(USER, &format!("{USER}- name:\n  user: {{}}\n")),
        ),
        (
            "an unrelated user entry that is null",
            None,
            with(USER, &format!("{USER}-\n")),
        ),
        (
            "an unrelated user entry that is a string",
            None,
            with(USER, &format!("{USER}- other\n")),
        ),
        (
            "an unrelated context without context",
            Every,
            with(CONTEXT, &format!("{CONTEXT}- name: other\n")),
        ),
        (
            "an unrelated user whose data is not base64",
            None,
            with(
                USER,
                &format!("{USER}- name: other\n  user:\n    client-key-data: \"***\"\n"),
            ),
        ),
        (
            "an unrelated user whose data is base64 of nothing",
            Every,
            with(
                USER,
                &format!("{USER}- name: other\n  user:\n    client-key-data: eA==\n"),
            ),
        ),
        (
            "an unrelated cluster whose data is not base64",
            None,
            with(
                CLUSTER,
                &format!(
                    "{CLUSTER}- cluster:\n    server: https://x\n    certificate-authority-data: \"***\"\n  name: other\n"
                ),
            ),
        ),
        (
            "an unrelated user whose token is a number",
            None,
            with(
                USER,
                &format!("{USER}- name: other\n  user:\n    token: 12\n"),
            ),
        ),
        (
            "an unrelated cluster without server",
            Every,
            with(
                CLUSTER,
                &format!("{CLUSTER}- cluster: {{}}\n  name: other\n"),
            ),
        ),
        (
            "name is a number everywhere",
            None,
            with("kubernetes-admin@kubernetes", "12").replace("kubernetes-admin", "13"),
        ),
        (
            "name is a number, quoted elsewhere",
            None,
            with("name: kubernetes-admin@kubernetes", "name: 12")
                .replace("kubernetes-admin@kubernetes", "\"12\""),
        ),
        (
            "name is a quoted number",
            Every,
            with("kubernetes-admin@kubernetes", "\"12\"").replace("kubernetes-admin", "!!str 13"),
        ),
        (
            "name is a date",
            Every,
            with("kubernetes-admin", "2024-01-01").replace("2024-01-01@kubernetes", "x"),
        ),
        (
            "name is a date, quoted elsewhere",
            None,
            with("name: kubernetes-admin@kubernetes", "name: 2024-01-01")
                .replace("kubernetes-admin@kubernetes", "\"2024-01-01\""),
        ),
        (
            "name is 12:30, quoted elsewhere",
            None,
            with("name: kubernetes-admin@kubernetes", "name: 12:30")
                .replace("kubernetes-admin@kubernetes", "\"12:30\""),
        ),
        (
            "name is ~, empty elsewhere",
            None,
            with("name: kubernetes-admin@kubernetes", "name: ~")
                .replace("kubernetes-admin@kubernetes", "\"\""),
        ),
        (
            "user is ~, empty elsewhere",
            None,
            with("    user: kubernetes-admin\n", "    user: ~\n")
                .replace("- name: kubernetes-admin\n", "- name: \"\"\n"),
        ),
        (
            "user is ~ everywhere",
            Every,
            with("    user: kubernetes-admin\n", "    user: ~\n")
                .replace("- name: kubernetes-admin\n", "- name: ~\n"),
        ),
        (
            "cluster is empty everywhere",
            Every,
            with("    cluster: kubernetes\n", "    cluster: \"\"\n")
                .replace("  name: kubernetes\n", "  name: \"\"\n"),
        ),
        (
            "context is empty everywhere",
            Every,
            with("kubernetes-admin@kubernetes", "\"\""),
        ),
        (
            "name is =, quoted elsewhere",
            None,
            with("name: kubernetes-admin@kubernetes", "name: =")
                .replace("kubernetes-admin@kubernetes", "\"=\""),
        ),
        (
            "name is 0o17, quoted elsewhere",
            None,
            with("name: kubernetes-admin@kubernetes", "name: 0o17")
                .replace("kubernetes-admin@kubernetes", "\"0o17\""),
        ),
        (
            "name is 089, quoted elsewhere",
            None,
            with("name: kubernetes-admin@kubernetes", "name: 089")
                .replace("kubernetes-admin@kubernetes", "\"089\""),
        ),
        (
            "name is N, quoted elsewhere",
            None,
            with("name: kubernetes-admin@kubernetes", "name: N")
                .replace("kubernetes-admin@kubernetes", "\"N\""),
        ),
        (
            "name is 1e3, quoted elsewhere",
            None,
            with("name: kubernetes-admin@kubernetes", "name: 1e3")
                .replace("kubernetes-admin@kubernetes", "\"1e3\""),
        ),
        (
            "name is a SHA like 12e45678",
            Every,
            with("kubernetes-admin@kubernetes", "12e45678"),
        ),
        (
            "name is 0x1G",
            Every,
            with("kubernetes-admin@kubernetes", "0x1G"),
        ),
        (
            "name is 1__0",
            None,
            with("kubernetes-admin@kubernetes", "1__0"),
        ),
        (
            "name is -",
            None,
            with("name: kubernetes-admin@kubernetes", "name: \"-\"")
                .replace("kubernetes-admin@kubernetes", "-"),
        ),
        (
            "name is NaN",
            Every,
            with("kubernetes-admin@kubernetes", "NaN"),
        ),
        (
            "name is .nan",
            None,
            with("kubernetes-admin@kubernetes", ".nan"),
        ),
        (
            "name is None",
            Every,
            with("kubernetes-admin@kubernetes", "None"),
        ),
        (
            "name is an IP address",
            Every,
            with("kubernetes-admin@kubernetes", "192.0.2.7"),
        ),
        (
            "name is a time stamp",
            Every,
            with("kubernetes-admin@kubernetes", "2024-01-01T10:11:12Z"),
        ),
        (
            "name is 1:2:3.5",
            Every,
            with("kubernetes-admin@kubernetes", "1:2:3.5"),
        ),
        (
            "name is a number in quotes with tag !",
            Every,
            with("kubernetes-admin@kubernetes", "! 12"),
        ),
        (
            "user name is -1",
            None,
            with("kubernetes-admin", "-1").replace("-1@kubernetes", "x"),
        ),
        (
            "name is yes",
            None,
            with("kubernetes-admin@kubernetes", "yes"),
        ),
        ("name is y", None, with("kubernetes-admin@kubernetes", "y")),
        (
            "name is true",
            None,
            with("kubernetes-admin@kubernetes", "true"),
        ),
        (
            "name is off",
            None,
            with("kubernetes-admin@kubernetes", "off"),
        ),
        (
            "name is 1_000",
            None,
            with("kubernetes-admin@kubernetes", "1_000"),
        ),
        (
            "name is 1e3",
            None,
            with("kubernetes-admin@kubernetes", "1e3"),
        ),
        (
            "name is 0x1F",
            None,
            with("kubernetes-admin@kubernetes", "0x1F"),
        ),
        (
            "name is 0o17",
            None,
            with("kubernetes-admin@kubernetes", "0o17"),
        ),
        (
            "name is 017",
            None,
            with("kubernetes-admin@kubernetes", "017"),
        ),
        (
            "name is 089",
            None,
            with("kubernetes-admin@kubernetes", "089"),
        ),
        (
            "name is 0b11",
            None,
            with("kubernetes-admin@kubernetes", "0b11"),
        ),
        (
            "name is 12:30",
            Every,
            with("kubernetes-admin@kubernetes", "12:30"),
        ),
        (
            "name is 1.5",
            None,
            with("kubernetes-admin@kubernetes", "1.5"),
        ),
        (
            "name is .inf",
            None,
            with("kubernetes-admin@kubernetes", ".inf"),
        ),
        ("name is ~", Every, with("kubernetes-admin@kubernetes", "~")),
        (
            "name is 1.2.3",
            Every,
            with("kubernetes-admin@kubernetes", "1.2.3"),
        ),
        ("name is =", None, with("kubernetes-admin@kubernetes", "=")),
        (
            "name is +1",
            None,
            with("kubernetes-admin@kubernetes", "+1"),
        ),
    ]
}

fn servers() -> Rows {
    use By::{Every, None};
    vec![
        (
            "server with a trailing slash",
            Every,
            server("https://127.0.0.1:6443/"),
        ),
        (
            "server with two trailing slashes",
            Every,
            server("https://127.0.0.1:6443//"),
        ),
        (
            "server with a path prefix",
            Every,
            server("https://127.0.0.1:6443/k8s/clusters/c-m-x7"),
        ),
        (
            "server with a path prefix and slash",
            Every,
            server("https://127.0.0.1:6443/k8s/clusters/c-m-x7/"),
        ),
        ("server by name", Every, server("https://localhost:6443")),
        ("server with IPv6", Every, server("https://[::1]:6443")),
        (
            "server with HTTPS in capitals",
            Every,
            server("HTTPS://127.0.0.1:6443"),
        ),
        (
            "server in quotes",
            Every,
            server("\"https://127.0.0.1:6443\""),
        ),
        (
            "server with a trailing space",
            None,
            server("\"https://127.0.0.1:6443 \""),
        ),
        (
            "server with a leading space",
            None,
            server("\" https://127.0.0.1:6443\""),
        ),
        (
            "server with a trailing newline",
            None,
            server("|\n      https://127.0.0.1:6443"),
        ),
        (
            "server with a query",
            None,
            server("https://127.0.0.1:6443?a=b"),
        ),
        (
            "server with a fragment",
            None,
            server("\"https://127.0.0.1:6443#a\""),
        ),
        (
            "server with a user",
            Every,
            server("https://u:p@127.0.0.1:6443"),
        ),
        ("server without scheme", None, server("127.0.0.1:6443")),
        (
            "server without scheme, by name",
            None,
            server("localhost:6443"),
        ),
        (
            "server with three slashes",
            None,
            server("https:///127.0.0.1:6443"),
        ),
        (
            "server with one slash",
            None,
            server("https:/127.0.0.1:6443"),
        ),
        ("server without host", None, server("https://")),
        (
            "server without host but port",
            None,
            server("https://:6443"),
        ),
        ("server with port 0", None, server("https://127.0.0.1:0")),
        (
            "server with port 65536",
            None,
            server("https://127.0.0.1:65536"),
        ),
        (
            "server with port that is a word",
            None,
            server("https://127.0.0.1:port"),
        ),
        (
            "server with an empty port",
            None,
            server("\"https://127.0.0.1:\""),
        ),
        (
            "server with a space in the host",
            None,
            server("\"https://127.0.0.1 :6443\""),
        ),
        (
            "http server, certificate",
            None,
            server("http://127.0.0.1:6480"),
        ),
        (
            "http server, token",
            None,
            user("token: {=opaque}").replace("https://127.0.0.1:6443", "http://127.0.0.1:6480"),
        ),
        (
            "http server, no CA, token",
            None,
            user("token: {=opaque}")
                .replace("    certificate-authority-data: {ca.crt}\n", "")
                .replace("https://127.0.0.1:6443", "http://127.0.0.1:6480"),
        ),
        ("ftp server", None, server("ftp://127.0.0.1:6443")),
        ("server is a number", None, server("6443")),
        ("server is a list", None, server("[https://127.0.0.1:6443]")),
        ("server is empty", None, server("\"\"")),
        ("server is null", None, server("")),
        (
            "no server",
            None,
            cluster("certificate-authority-data: {ca.crt}"),
        ),
        (
            "insecure without CA",
            None,
            cluster("server: https://127.0.0.1:6443\ninsecure-skip-tls-verify: true"),
        ),
        (
            "insecure with CA",
            None,
            cluster(
                "server: https://127.0.0.1:6443\ncertificate-authority-data: {ca.crt}\ninsecure-skip-tls-verify: true",
            ),
        ),
        (
            "insecure: false",
            Every,
            cluster(
                "server: https://127.0.0.1:6443\ncertificate-authority-data: {ca.crt}\ninsecure-skip-tls-verify: false",
            ),
        ),
        (
            "insecure is a string",
            None,
            cluster(
                "server: https://127.0.0.1:6443\ncertificate-authority-data: {ca.crt}\ninsecure-skip-tls-verify: \"false\"",
            ),
        ),
        (
            "proxy-url of no URL",
            None,
            cluster(
                "server: https://127.0.0.1:6443\ncertificate-authority-data: {ca.crt}\nproxy-url: 127.0.0.1:3128",
            ),
        ),
        (
            "proxy-url empty",
            Every,
            cluster(
                "server: https://127.0.0.1:6443\ncertificate-authority-data: {ca.crt}\nproxy-url: \"\"",
            ),
        ),
        (
            "disable-compression",
            Every,
            cluster(
                "server: https://127.0.0.1:6443\ncertificate-authority-data: {ca.crt}\ndisable-compression: true",
            ),
        ),
    ]
}

fn authorities() -> Rows {
    use By::None;
    vec![
        (
            "CA is not base64",
            None,
            authority("certificate-authority-data: \"*** no base64 ***\""),
        ),
        (
            "CA is base64 of no PEM",
            None,
            authority("certificate-authority-data: {no.pem}"),
        ),
        (
            "CA is DER",
            None,
            authority("certificate-authority-data: {ca.der}"),
        ),
        (
            "CA is cut off",
            None,
            authority("certificate-authority-data: {ca-cut.crt}"),
        ),
        (
            "CA and a cut one after it",
            None,
            authority("certificate-authority-data: {ca-and-cut.crt}"),
        ),
        (
            "CA and rubbish after it",
            None,
            authority("certificate-authority-data: {ca-and-rubbish.crt}"),
        ),
        (
            "CA is a key",
            None,
            authority("certificate-authority-data: {rsa.key}"),
        ),
        (
            "CA is PEM as it stands",
            None,
            authority("certificate-authority-data: |\n      {=ca.crt}"),
        ),
        (
            "CA expired",
            None,
            authority("certificate-authority-data: {ca-expired.crt}"),
        ),
        (
            "CA DATA+OMITTED",
            None,
            authority("certificate-authority-data: DATA+OMITTED"),
        ),
        (
            "CA missing path",
            None,
            authority("certificate-authority: {dir}/absent.crt"),
        ),
        (
            "CA unreadable path",
            None,
            authority("certificate-authority: {dir}/private.crt"),
        ),
        (
            "CA relative path",
            None,
            authority("certificate-authority: ../material/ca.crt"),
        ),
        (
            "CA path of no PEM",
            None,
            authority("certificate-authority: {dir}/no.pem"),
        ),
        (
            "CA path is a directory",
            None,
            authority("certificate-authority: {dir}"),
        ),
        (
            "CA path and data",
            None,
            authority(
                "certificate-authority: {dir}/ca.crt\n    certificate-authority-data: {ca.crt}",
            ),
        ),
        (
            "CA is a number",
            None,
            authority("certificate-authority-data: 1234"),
        ),
        (
            "CA is a list",
            None,
            authority("certificate-authority-data: [x]"),
        ),
        (
            "CA is !!binary",
            None,
            authority("certificate-authority-data: !!binary {ca.crt}"),
        ),
    ]
}

fn material() -> Rows {
    use By::{Every, None};
    let certificate = |field: &str| with("client-certificate-data: {rsa.crt}", field);
    let key = |field: &str| with("client-key-data: {rsa.key}", field);
    vec![
        (
            "certificate and key as paths",
            Every,
            user("client-certificate: {dir}/rsa.crt\nclient-key: {dir}/rsa.key"),
        ),
        (
            "certificate data, key as a path",
            Every,
            key("client-key: {dir}/rsa.key"),
        ),
        (
            "certificate as a path, key data",
            Every,
            certificate("client-certificate: {dir}/rsa.crt"),
        ),
        (
            "certificate missing path",
            None,
            certificate("client-certificate: {dir}/absent.crt"),
        ),
        (
            "certificate unreadable path",
            None,
            certificate("client-certificate: {dir}/private.crt"),
        ),
        (
            "key unreadable path",
            None,
            key("client-key: {dir}/private.key"),
        ),
        (
            "key missing path",
            None,
            key("client-key: {dir}/absent.key"),
        ),
        (
            "certificate relative path",
            None,
            certificate("client-certificate: ../material/rsa.crt"),
        ),
        (
            "key relative path",
            None,
            key("client-key: ../material/rsa.key"),
        ),
        (
            "certificate path and data",
            None,
            certificate(
                "client-certificate: {dir}/rsa.crt\n    client-certificate-data: {rsa.crt}",
            ),
        ),
        (
            "key path and data",
            None,
            key("client-key: {dir}/rsa.key\n    client-key-data: {rsa.key}"),
        ),
        (
            "certificate path empty next to data",
            None,
            certificate("client-certificate: \"\"\n    client-certificate-data: {rsa.crt}"),
        ),
        (
            "certificate path null next to data",
            None,
            certificate("client-certificate:\n    client-certificate-data: {rsa.crt}"),
        ),
        (
            "key path empty next to data",
            None,
            key("client-key: \"\"\n    client-key-data: {rsa.key}"),
        ),
        (
            "key path null next to data",
            None,
            key("client-key:\n    client-key-data: {rsa.key}"),
        ),
        (
            "certificate data empty next to path",
            Every,
            certificate("client-certificate: {dir}/rsa.crt\n    client-certificate-data: \"\""),
        ),
        (
            "certificate data null next to path",
            Every,
            certificate("client-certificate: {dir}/rsa.crt\n    client-certificate-data:"),
        ),
        (
            "certificate data empty",
            None,
            certificate("client-certificate-data: \"\""),
        ),
        (
            "certificate data null",
            None,
            certificate("client-certificate-data:"),
        ),
        ("key data empty", None, key("client-key-data: \"\"")),
        (
            "certificate data empty and a token",
            None,
            certificate("token: {=opaque}\n    client-certificate-data: \"\""),
        ),
        (
            "both data empty and a token",
            None,
            user("token: {=opaque}\nclient-certificate-data: \"\"\nclient-key-data: \"\""),
        ),
        (
            "both paths empty and a token",
            By::Tokens,
            user("token: {=opaque}\nclient-certificate: \"\"\nclient-key: \"\""),
        ),
        (
            "both data null and a token",
            None,
            user("token: {=opaque}\nclient-certificate-data:\nclient-key-data:"),
        ),
        (
            "certificate is not base64",
            None,
            certificate("client-certificate-data: \"*** no base64 ***\""),
        ),
        (
            "certificate DATA+OMITTED",
            None,
            certificate("client-certificate-data: DATA+OMITTED"),
        ),
        (
            "certificate is not PEM",
            None,
            certificate("client-certificate-data: {no.pem}"),
        ),
        (
            "certificate is DER",
            None,
            certificate("client-certificate-data: {rsa.crt.der}"),
        ),
        (
            "certificate is rubbish in PEM",
            None,
            certificate("client-certificate-data: {rubbish.crt}"),
        ),
        (
            "certificate is cut off",
            None,
            certificate("client-certificate-data: {rsa-cut.crt}"),
        ),
        (
            "certificate is indented PEM",
            None,
            certificate("client-certificate-data: {rsa-indented.crt}"),
        ),
        (
            "certificate is PEM on one line",
            None,
            certificate("client-certificate-data: {rsa-one-line.crt}"),
        ),
        (
            "certificate is PEM as it stands",
            None,
            certificate("client-certificate-data: |\n      {=rsa.crt}"),
        ),
        (
            "certificate is a path in data",
            None,
            certificate("client-certificate-data: {dir}/rsa.crt"),
        ),
        (
            "certificate is the key",
            None,
            certificate("client-certificate-data: {rsa.key}"),
        ),
        (
            "certificate and key are swapped",
            None,
            user("client-certificate-data: {rsa.key}\nclient-key-data: {rsa.crt}"),
        ),
        ("certificate expired", None, pair("expired")),
        ("certificate not yet valid", None, pair("future")),
        ("certificate is for servers", None, pair("for-servers")),
        ("certificate says no use", Every, pair("for-nothing")),
        ("intermediate expired", None, pair("chain-dead")),
        (
            "key is not base64",
            None,
            key("client-key-data: \"*** no base64 ***\""),
        ),
        ("key is not PEM", None, key("client-key-data: {no.pem}")),
        ("key is DER", None, key("client-key-data: {rsa.key.der}")),
        (
            "key is rubbish in PEM",
            None,
            key("client-key-data: {rubbish.key}"),
        ),
        (
            "key is cut off",
            None,
            key("client-key-data: {rsa-cut.key}"),
        ),
        (
            "key is a public one",
            None,
            key("client-key-data: {public.key}"),
        ),
        (
            "key is encrypted",
            None,
            key("client-key-data: {locked.key}"),
        ),
        (
            "key is encrypted the old way",
            None,
            key("client-key-data: {locked-old.key}"),
        ),
        (
            "key of another certificate",
            None,
            key("client-key-data: {rsa3072.key}"),
        ),
        (
            "key of another kind",
            None,
            key("client-key-data: {ec.key}"),
        ),
        (
            "base64 with line breaks",
            Every,
            key("client-key-data: |\n      {rsa.key/76}"),
        ),
        (
            "base64 folded, which makes spaces",
            None,
            key("client-key-data: >\n      {rsa.key/76}"),
        ),
        (
            "base64 on plain lines, which makes spaces",
            None,
            key("client-key-data:\n      {rsa.key/76}"),
        ),
        (
            "base64 with CRLF inside",
            Every,
            key("client-key-data: \"{rsa.key/crlf}\""),
        ),
        (
            "base64 with a trailing newline",
            Every,
            key("client-key-data: |\n      {rsa.key}"),
        ),
        (
            "base64 with a tab inside",
            None,
            key("client-key-data: \"\\t{rsa.key}\""),
        ),
        (
            "base64 with invalid characters",
            None,
            key("client-key-data: \"!{rsa.key}\""),
        ),
        (
            "base64 without padding",
            None,
            key("client-key-data: {rsa.key/bare}"),
        ),
        (
            "base64 with more after the padding",
            None,
            user("client-certificate-data: {rsa.crt/more}\nclient-key-data: {rsa.key}"),
        ),
        (
            "base64 twice",
            None,
            key("client-key-data: {rsa.key/twice}"),
        ),
        (
            "certificate data is a number",
            None,
            certificate("client-certificate-data: 1234"),
        ),
        (
            "certificate data is a list",
            None,
            certificate("client-certificate-data: [x]"),
        ),
        (
            "key is !!binary",
            None,
            key("client-key-data: !!binary {rsa.key}"),
        ),
    ]
}

fn text() -> Rows {
    use By::{Every, None};
    vec![
        ("empty file", None, String::new()),
        ("one newline", None, "\n".into()),
        ("only a comment", None, "# nothing\n".into()),
        ("a list at the top", None, "- a\n- b\n".into()),
        ("a string", None, "/root/.kube/config\n".into()),
        ("its own base64", None, "{=admin.conf/base64}\n".into()),
        ("an empty mapping", None, "{}\n".into()),
        ("kind Secret around it", None, "apiVersion: v1\nkind: Secret\nmetadata:\n  name: mgmt-kubeconfig\ndata:\n  value: {=admin.conf/base64}\n".into()),
        ("wrong kind", None, with("kind: Config", "kind: Secret")),
        ("kind in lower case", None, with("kind: Config", "kind: config")),
        ("kind empty", Every, with("kind: Config", "kind: \"\"")),
        ("kind is a number", None, with("kind: Config", "kind: 1")),
        ("no kind", Every, with("kind: Config\n", "")),
        ("no apiVersion", Every, with("apiVersion: v1\n", "")),
        ("apiVersion v2", None, with("apiVersion: v1", "apiVersion: v2")),
        ("apiVersion is a number", None, with("apiVersion: v1", "apiVersion: 1")),
        ("two documents", None, format!("{KUBEADM}---\n{KUBEADM}")),
        ("a second empty document", None, format!("{KUBEADM}---\n")),
        ("starts with ---", Every, format!("---\n{KUBEADM}")),
        ("ends with ...", Every, format!("{KUBEADM}...\n")),
        ("text after ...", None, format!("{KUBEADM}...\nmore\n")),
        ("empty document first", None, format!("---\n---\n{KUBEADM}")),
        ("a comment before ---", Every, format!("# made by x\n---\n{KUBEADM}")),
        ("no newline at the end", Every, KUBEADM.trim_end().to_owned()),
        ("CRLF", Every, KUBEADM.replace('\n', "\r\n")),
        ("only CR", Every, KUBEADM.replace('\n', "\r")),
        ("a BOM", Every, format!("\u{feff}{KUBEADM}")),
        ("a tab for indentation", None, with("    server", "\tserver")),
        ("a tab after a colon", None, with("server: ", "server:\t")),
        ("a tab at a line's end", None, with("preferences: {}", "preferences: {}\t")),
        ("a tab after the server", None, with("server: https://127.0.0.1:6443", "server: https://127.0.0.1:6443\t")),
("a tab before a comment", None, with("preferences: {}", "preferences: {}\t# none")),
("a line of only a tab", None, with("preferences: {}\n", "preferences: {}\n\t\n")),
("a line of a tab and a comment", None, with("preferences: {}\n", "preferences: {}\n\t# none\n")),
("a tab after the last line", None, format!("{KUBEADM}\t\n")),
("a tab inside a flow mapping", None, with("preferences: {}", "preferences: {\t}")),
("a tab in a comment", Every, with("preferences: {}", "#\tnone")),
("a tab in quotes", Every, with("preferences: {}", "x: \"a\tb\"")),
("blanks at the lines' ends", Every, KUBEADM.replace('\n', "  \n")),
("a tab after base64", None, with("{rsa.key}", "{rsa.key}\t")),
        ("a line of blanks and a tab", None, with("preferences: {}\n", "preferences: {}\n \t\n")),
        ("a Latin-1 byte in a name", None, with("kubernetes-admin", "{byte:e9}")),
        ("a Latin-1 byte in a comment", None, with("preferences: {}", "# caf{byte:e9}")),
        ("a Latin-1 byte in another user", None, with(USER, &format!("{USER}- name: \"{{byte:e9}}\"\n  user: {{}}\n"))),
        ("a control character in a comment", None, with("preferences: {}", "# \u{7}")),
        ("an escape sequence in a comment", None, with("preferences: {}", "# \u{1b}[1m")),
        ("a NUL at the end", None, format!("{KUBEADM}\0")),
        ("DEL in a comment", None, with("preferences: {}", "# \u{7f}")),
        ("C1 control in a comment", None, with("preferences: {}", "# \u{81}")),
        ("NEL in a comment", Every, with("preferences: {}", "# a\u{85}preferences: {}")),
        ("a non-character in a comment", None, with("preferences: {}", "# \u{fffe}")),
        ("a BOM in the middle", Every, with("preferences: {}", "\u{feff}preferences: {}")),
        ("UTF-16", None, "{utf-16}".into()),
        ("no-break spaces", None, with("    server:", "  \u{a0} server:")),
        ("smart quotes round the server", None, server("\u{201c}https://127.0.0.1:6443\u{201d}")),
        ("JSON with a comma at the end", Every, json().replace("\"kubernetes-admin@kubernetes\"\n}", "\"kubernetes-admin@kubernetes\",\n}")),
        ("JSON with a comment", Every, json().replace("\"preferences\": {},", "\"preferences\": {}, # none")),
        ("JSON with tabs", None, json().replace("    ", "\t")),
        ("JSON on one line", Every, json().replace('\n', "").replace("  ", "")),
        ("JSON with more after it", None, format!("{}{{}}\n", json())),
        ("JSON with a key twice", Every, json().replace("\"preferences\": {},", "\"preferences\": {}, \"preferences\": {},")),
        ("keys in camel case", None, with("current-context", "currentContext")),
        ("keys in capitals", None, with("current-context", "CURRENT-CONTEXT")),
        ("user fields in capitals", None, with("client-key-data", "Client-Key-Data")),
        ("wrong indentation", None, with("    server", "   server")),
        ("indented list", Every, with(CLUSTER, "  - cluster:\n      certificate-authority-data: {ca.crt}\n      server: https://127.0.0.1:6443\n    name: kubernetes\n")),
    ]
}

fn yaml() -> Rows {
    use By::{Every, None};
    vec![
        ("anchors", Every, with("    cluster: kubernetes\n", "    cluster: &name kubernetes\n").replace("users:", "extra: *name\nusers:")),
        ("an alias for the user", Every, with(USER, &format!("{}- name: kubernetes-admin\n  user: *it\n", USER.replace("- name: kubernetes-admin", "- name: other").replace("user:\n", "user: &it\n")))),
        ("merge keys", Every, with(USER, "- name: kubernetes-admin\n  user:\n    <<: *both\n").replace("apiVersion: v1\n", "x-user: &both\n  client-certificate-data: {rsa.crt}\n  client-key-data: {rsa.key}\napiVersion: v1\n")),
        ("merge keys, overridden", Every, with(USER, "- name: kubernetes-admin\n  user:\n    <<: *both\n    client-key-data: {rsa.key}\n").replace("apiVersion: v1\n", "x-user: &both\n  client-certificate-data: {rsa.crt}\n  client-key-data: {ec.key}\napiVersion: v1\n")),
        ("merge of two", Every, with(USER, "- name: kubernetes-admin\n  user:\n    <<: [*a, *b]\n").replace("apiVersion: v1\n", "x-a: &a\n  client-certificate-data: {rsa.crt}\nx-b: &b\n  client-key-data: {rsa.key}\napiVersion: v1\n")),
        ("merge of a string", None, with("    client-key-data", "    <<: x\n    client-key-data")),
        ("an unknown alias", None, with("preferences: {}", "preferences: *nothing")),
        ("an alias bomb elsewhere", None, format!("{KUBEADM}{}", bomb())),
        ("an anchor that holds itself", None, with("preferences: {}", "extra: &a [*a]")),
        ("a key twice at the top, different", Every, format!("current-context: other\n{KUBEADM}")),
        ("a key twice at the top, the last is wrong", None, format!("{KUBEADM}current-context: other\n")),
        ("server twice, the last is right", Every, with("    server:", "    server: https://127.0.0.1:1\n    server:")),
        ("client-key-data twice, the last is right", Every, with("    client-key-data", "    client-key-data: {ec.key}\n    client-key-data")),
        ("client-key-data twice, the last is wrong", None, with("client-key-data: {rsa.key}", "client-key-data: {rsa.key}\n    client-key-data: {ec.key}")),
        ("an unknown tag", None, with("preferences: {}", "extra: !thing {}")),
        ("a Python tag", None, with("preferences: {}", "extra: !!python/name:os.system ''")),
        ("a tag on a string", Every, server("!!str https://127.0.0.1:6443")),
        ("%YAML 1.1", Every, format!("%YAML 1.1\n---\n{KUBEADM}")),
        ("%YAML 1.2", None, format!("%YAML 1.2\n---\n{KUBEADM}")),
        ("%TAG", Every, format!("%TAG !x! tag:example.org,2024:\n---\n{KUBEADM}")),
        ("an explicit key", Every, with("preferences: {}", "? preferences\n: {}")),
        ("a key that is a number", Every, with("preferences: {}", "12: x")),
        ("a key that is a list", None, with("preferences: {}", "? [a]\n: x")),
        ("a key that is null", None, with("preferences: {}", "~: x")),
        ("a date elsewhere", Every, with("preferences: {}", "made: 2024-01-01")),
        ("a bad date elsewhere", None, with("preferences: {}", "made: 2024-13-45")),
        ("a timestamp elsewhere", Every, with("preferences: {}", "made: 2024-01-01T10:11:12Z")),
        ("infinity elsewhere", None, with("preferences: {}", "x: .inf")),
        ("a set elsewhere", Every, with("preferences: {}", "x: !!set {a, b}")),
        ("!!int of a word elsewhere", None, with("preferences: {}", "x: !!int word")),
        ("bad !!binary elsewhere", None, with("preferences: {}", "x: !!binary \"*\"")),
        ("preferences is a list", None, with("preferences: {}", "preferences: []")),
        ("preferences null", Every, with("preferences: {}", "preferences:")),
        ("extensions null", Every, with("preferences: {}", "extensions:")),
        ("extensions is a mapping", None, with("preferences: {}", "extensions: {a: b}")),
        ("flow style", Every, "{apiVersion: v1, kind: Config, current-context: a, contexts: [{name: a, context: {cluster: b, user: c}}], clusters: [{name: b, cluster: {server: 'https://127.0.0.1:6443', certificate-authority-data: {ca.crt}}}], users: [{name: c, user: {client-certificate-data: {rsa.crt}, client-key-data: {rsa.key}}}]}\n".into()),
        ("flow style without space after a comma", Every, with(CONTEXT, "- {context: {cluster: kubernetes,user: kubernetes-admin},name: kubernetes-admin@kubernetes}\n")),
        ("two hundred levels elsewhere", Every, with("preferences: {}", &format!("x: {}{}", "[".repeat(200), "]".repeat(200)))),
        ("twenty thousand levels elsewhere", None, with("preferences: {}", &format!("x: {}{}", "[".repeat(20_000), "]".repeat(20_000)))),
    ]
}

/// Aliases that stand for a thousand million strings.
fn bomb() -> String {
    let mut text = "x0: &x0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..9 {
        let below = vec![format!("*x{}", level - 1); 10].join(", ");
        text += &format!("x{level}: &x{level} [{below}]\n");
    }
    text
}

/// What nobody can see without asking the management cluster.
fn online() -> Vec<(&'static str, By, By, String)> {
    use By::{Every, None, Tokens};
    let secure = "server: https://127.0.0.1:6443\ncertificate-authority-data: {ca.crt}\n";
    vec![
        ("certificate of a foreign CA", None, Every, pair("foreign")),
        (
            "certificate without its intermediate",
            None,
            Every,
            user("client-certificate-data: {chain-none.crt}\nclient-key-data: {chain.key}"),
        ),
        ("a token nobody knows", None, Tokens, user("token: wrong")),
        (
            "good token and wrong tokenFile",
            None,
            Tokens,
            user("token: {=opaque}\ntokenFile: {dir}/no.pem"),
        ),
        (
            "CA of another cluster",
            None,
            Every,
            authority("certificate-authority-data: {other-ca.crt}"),
        ),
        (
            "CA is the server's certificate",
            None,
            Every,
            authority("certificate-authority-data: {server.crt}"),
        ),
        (
            "no CA, and the unit does not trust it",
            None,
            Every,
            cluster("server: https://127.0.0.1:6443"),
        ),
        (
            "CA data empty",
            None,
            Every,
            authority("certificate-authority-data: \"\""),
        ),
        (
            "CA data null",
            None,
            Every,
            authority("certificate-authority-data:"),
        ),
        (
            "CA path empty next to data",
            None,
            Every,
            authority("certificate-authority: \"\"\n    certificate-authority-data: {ca.crt}"),
        ),
        (
            "CA path null next to data",
            None,
            Every,
            authority("certificate-authority:\n    certificate-authority-data: {ca.crt}"),
        ),
        (
            "server whose certificate has another name",
            None,
            Every,
            server("https://127.0.0.1:6444"),
        ),
        (
            "tls-server-name of another certificate",
            None,
            None,
            cluster(
                &format!("{secure}tls-server-name: management.example").replace("6443", "6444"),
            ),
        ),
        (
            "tls-server-name that is not needed",
            Every,
            Every,
            cluster(&format!("{secure}tls-server-name: management.example")),
        ),
        (
            "tls-server-name that is wrong",
            None,
            Every,
            cluster(&format!("{secure}tls-server-name: other.example")),
        ),
        (
            "tls-server-name empty",
            Every,
            Every,
            cluster(&format!("{secure}tls-server-name: \"\"")),
        ),
        (
            "proxy-url that works",
            Every,
            Every,
            cluster(&format!("{secure}proxy-url: http://127.0.0.1:3128")),
        ),
        (
            "proxy-url that is dead",
            None,
            Every,
            cluster(&format!("{secure}proxy-url: http://127.0.0.1:9")),
        ),
        (
            "nothing listens",
            None,
            Every,
            server("https://127.0.0.1:6999"),
        ),
        (
            "no such name",
            None,
            Every,
            server("https://nowhere.invalid:6443"),
        ),
        (
            "certificate and exec that works",
            Every,
            Every,
            user(&format!(
                "{PAIR}\nexec:\n  apiVersion: client.authentication.k8s.io/v1\n  command: /opt/lab/plugin\n  interactiveMode: Never"
            )),
        ),
        (
            "expired certificate and good token",
            None,
            None,
            user(
                "client-certificate-data: {expired.crt}\nclient-key-data: {expired.key}\ntoken: {=opaque}",
            ),
        ),
        (
            "good certificate and wrong token",
            Every,
            Every,
            user(&format!("{PAIR}\ntoken: wrong")),
        ),
        (
            "good certificate and expired JWT",
            Every,
            Every,
            user(&format!("{PAIR}\ntoken: {{=jwt-expired}}")),
        ),
    ]
}
