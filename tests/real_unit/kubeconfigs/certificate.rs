//! The client's certificate and its key.

use super::shapes::{certificate, certificate_and, key, pair, user};
use super::{Case, table};

/// As `client-certificate-data`.
fn data(value: &str) -> String {
    certificate(&format!("client-certificate-data: {value}"))
}

/// As `client-key-data`.
fn key_data(value: &str) -> String {
    key(&format!("client-key-data: {value}"))
}

/// A certificate in the file's own data, and its key.
fn both(certificate: &str, key: &str) -> String {
    user(&format!("client-certificate-data: $({certificate})\nclient-key-data: $({key})"))
}

table! {
    // Kinds of keys.
    Every  "RSA, PKCS#1" => pair("rsa");
    Every  "RSA, PKCS#8" => pair("rsa8");
    Every  "P-256, PKCS#8" => pair("p256");
    Every  "P-256 after its parameters" => both("admin.crt", "parameters.key+admin.key");
    Every  "P-384" => pair("p384");
    Every  "P-521" => pair("p521");
    Every  "Ed25519" => pair("ed25519");
    Nobody "secp256k1" => pair("secp256k1");
    Nobody "RSA of 1024 bits" => pair("rsa1024");
    Nobody "signed with SHA-1" => pair("sha1");
    Nobody "a key that is encrypted" => pair("locked");
    Nobody "a key that is encrypted the old way" => pair("locked-old");

    // Certificates.
    Nobody "a certificate that is over" => pair("expired");
    Nobody "a certificate that is not good yet" => pair("future");
    Every  "a certificate for whatever" => pair("of-no-purpose");
    Every  "a certificate and its intermediate" => pair("chain");
    Nobody "a certificate and an intermediate that is over" => pair("chain-over");
    Nobody "a certificate and rubbish behind it" => both("admin.crt+rubbish.crt", "admin.key");
    Nobody "a certificate behind its CA" => both("ca.crt+admin.crt", "admin.key");
    Every  "a certificate with text around it" => data("$(admin.crt|commented)");
    Every  "a certificate and a key with line ends of Windows" => both("admin.crt|crlf", "admin.key|crlf");
    Every  "both in each" => both("admin.crt+admin.key", "admin.crt+admin.key");
    Nobody "a certificate that is DER" => data("$(admin.crt|der)");
    Nobody "a certificate that is cut off" => data("$(admin.crt|cut)");
    Nobody "a certificate on one line" => data("$(admin.crt|one-line)");
    Nobody "a certificate in PEM and not in base64" => data("|\n      $(=admin.crt|block)");
    Nobody "a certificate's path for its content" => data("$(/admin.crt)");
    Nobody "a certificate and a key that are swapped" => both("admin.key", "admin.crt");
    Nobody "a certificate that kubectl has left out" => data("DATA+OMITTED");
    Nobody "an empty certificate" => data("\"\"");
    Nobody "a certificate without key" => user("client-certificate-data: $(admin.crt)");

    // Keys.
    Nobody "a key without certificate" => user("client-key-data: $(admin.key)");
    Nobody "the key of another" => both("admin.crt", "p256.key");
    Nobody "a key that kubectl has left out" => key_data("REDACTED");
    Nobody "a key with rubbish in PEM" => key_data("$(rubbish.key)");
    Nobody "a key that is cut off" => key_data("$(rsa.key|cut)").replace("admin.crt", "rsa.crt");

    // base64: helm reads Go's, which skips line ends and nothing else.
    Nobody "no base64" => key_data("\"*** no base64 ***\"");
    Every  "base64 in lines" => key_data("|\n      $(=rsa.key|lines)").replace("admin.crt", "rsa.crt");
    Nobody "base64 in lines that YAML folds" => key_data(">\n      $(=rsa.key|lines)").replace("admin.crt", "rsa.crt");
    Nobody "base64 in lines that YAML joins" => key_data("\n      $(=rsa.key|lines)").replace("admin.crt", "rsa.crt");
    Nobody "base64 without its padding" => key_data("$(=admin.key|bare)");
    Nobody "base64 with more behind its padding" => data("$(=admin.crt|more)");

    // Paths.
    Every  "paths" => user("client-certificate: $(/admin.crt)\nclient-key: $(/admin.key)");
    Every  "a certificate's path and a key" => certificate("client-certificate: $(/admin.crt)");
    Nobody "a certificate's path to nothing" => certificate("client-certificate: /etc/magnum/pki/absent");
    Nobody "a key's path that magnum cannot read" => key("client-key: /etc/magnum/pki/private");
    Nobody "a key's path below a home" => key("client-key: ~/.minikube/client.key");
    Nobody "a certificate and its path" => certificate_and("client-certificate: $(/admin.crt)");
    Nobody "a certificate and an empty path" => certificate_and("client-certificate: \"\"");
    Nobody "a key and a path that is null" => certificate_and("client-key:");
    Every  "a certificate's path and an empty certificate" => certificate("client-certificate: $(/admin.crt)\n    client-certificate-data: \"\"");
}
