//! The certificate authority that vouches for the server.

use super::shapes::authority;
use super::{Case, table};

/// As `certificate-authority-data`.
fn data(value: &str) -> String {
    authority(&format!("certificate-authority-data: {value}"))
}

/// As `certificate-authority`.
fn path(value: &str) -> String {
    authority(&format!("certificate-authority: {value}"))
}

table! {
    Every  "a CA among others" => data("$(stranger-ca.crt+ca.crt)");
    Every  "a CA beside itself before it was renewed" => data("$(ca.crt+ca-over.crt)");
    Every  "a CA with text around it" => data("$(ca.crt|commented)");
    Every  "a CA with line ends of Windows" => data("$(ca.crt|crlf)");
    Every  "a CA's path" => path("$(/ca.crt)");
    Nobody "a CA that is over" => data("$(ca-over.crt)");
    Nobody "a CA that is no base64" => data("\"*** no base64 ***\"");
    Nobody "a CA that kubectl has left out" => data("DATA+OMITTED");
    Nobody "a CA that is DER" => data("$(ca.crt|der)");
    Nobody "a CA in PEM and not in base64" => data("|\n      $(=ca.crt|block)");
    Nobody "a CA that is cut off" => data("$(ca.crt|cut)");
    Nobody "a CA and rubbish behind it" => data("$(ca.crt+rubbish.crt)");
    Nobody "a CA that is a key" => data("$(admin.key)");
    Nobody "a CA that YAML decodes" => data("!!binary $(ca.crt)");
    Nobody "an empty CA" => data("\"\"");
    Nobody "a CA that is null" => data("");
    Nobody "a CA's path to nothing" => path("/etc/magnum/pki/absent.crt");
    Nobody "a CA's path that magnum cannot read" => path("/etc/magnum/pki/private");
    Nobody "a CA's relative path" => path("../pki/ca.crt");
    Nobody "a CA and its path" => path("$(/ca.crt)\n    certificate-authority-data: $(ca.crt)");
    Nobody "a CA and an empty path" => path("\"\"\n    certificate-authority-data: $(ca.crt)");
    Every  "a CA's path and an empty CA" => path("$(/ca.crt)\n    certificate-authority-data: \"\"");
}
