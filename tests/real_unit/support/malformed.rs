//! What may be granted by mistake, with the key or the token in places where they do not belong.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lab::Credential;

use crate::support::Deployment;
use crate::support::management::TOKEN;

/// Each with what is wrong with it; none may be used by a driver before 1.3.0.
pub fn malformed(it: &Deployment, used: &Credential, other: &Credential) -> Vec<(&'static str, String)> {
    let (good, key) = (it.management.kubeconfig_for(used), used.key_data());
    let token = it.kubeconfig_with_token();
    let user = |user: &str| it.management.with_user(user);
    let (start, end) = good.split_at(good.find(&key).unwrap());
    let pem = used.key_pem.replace('\n', "\n      ");
    let swapped = Credential { certificate_pem: used.key_pem.clone(), key_pem: used.certificate_pem.clone() };
    let mixed = Credential { certificate_pem: used.certificate_pem.clone(), key_pem: other.key_pem.clone() };
    vec![
        ("cut off within the key", format!("{start}{}", &key[..300])),
        ("no YAML behind the key", format!("{good}\n- {{")),
        ("a tab before the key", format!("{}\t{end}", start.trim_end())),
        ("a user's name twice", format!("{good}- name: admin\n  user:\n    client-key-data: {key}\n")),
        ("a key with a letter too many", format!("{start}!{end}")),
        ("a key with a control character", format!("{start}\u{1}{end}")),
        ("a key in PEM", user(&format!("client-key-data: |\n      {pem}"))),
        ("a key as an alias", user(&format!("client-key-data: *{key}"))),
        ("a key as a tag", user(&format!("client-key-data: !{key} x"))),
        ("a key as a field", user(&format!("{key}: client-key-data"))),
        ("a key in a list", user(&format!("client-key-data: [{key}]"))),
        ("a key as a path", user(&format!("client-certificate: a\n    client-key: {key}"))),
        ("a key as the user", user(&key)),
        ("a key merged", user(&format!("<<: {key}"))),
        ("a key as the context", good.replace("current-context: ", &format!("current-context: {key} "))),
        ("a key as the version", good.replace("apiVersion: v1", &format!("apiVersion: {key}"))),
        ("a key as the server", good.replace("https://198.51.100.1:6443", &key)),
        ("key and certificate swapped", it.management.kubeconfig_for(&swapped)),
        ("another's key", it.management.kubeconfig_for(&mixed)),
        ("a key alone", key.clone()),
        ("all of it in base64", STANDARD.encode(&good)),
        ("a token over http", token.replace("https:", "http:")),
        ("a token for an old driver", token.clone()),
        ("a token in quotes with its line break", user(&format!("token: \"{TOKEN}\\n\""))),
        ("a token beside a user name", user(&format!("token: {TOKEN}\n    username: a"))),
        ("a token as a password", user(&format!("username: a\n    password: {TOKEN}"))),
        ("a token as a path", user(&format!("tokenFile: {TOKEN}"))),
        ("a token in the address", token.replace("//198", &format!("//admin:{TOKEN}@198"))),
        ("a token behind the address", token.replace(":6443", &format!(":6443/?token={TOKEN}"))),
        ("a token in a plugin", user(&format!("exec: {{command: {TOKEN}}}"))),
    ]
}
