//! Whatever else a user authenticates with: tokens, passwords, programs.

use super::shapes::{certificate_and, pair, user};
use super::{Case, table};

const EXEC: &str = "exec:\n  apiVersion: client.authentication.k8s.io/v1\n  command: aws\n  interactiveMode: Never";

table! {
    // Tokens.
    Tokens "a token" => user("token: $(=token)");
    Tokens "a JWT" => user("token: $(=jwt)");
    Nobody "a JWT that is over" => user("token: $(=jwt-over)");
    Tokens "a token with a blank behind it" => user("token: \"$(=token) \"");
    Tokens "a token and another word" => user("token: $(=token) more");
    Tokens "a token that YAML joins of two lines" => user("token:\n  $(=token)\n  more");
    Nobody "a token with a newline behind it" => user("token: |\n  $(=token)");
    Nobody "an empty token" => user("token: \"\"");
    Nobody "a token that kubectl has left out" => user("token: REDACTED");
    Nobody "a token that is a number" => user("token: 1234567");
    Nobody "a token that is a float to some" => user("token: 123456e7");
    Nobody "a token and a server with a password" => user("token: $(=token)").replace("https://", "https://u:p@");
    Nobody "a token and a server with a user name" => user("token: $(=token)").replace("https://", "https://u@");
    Tokens "a token and a key" => user("token: $(=token)\nclient-key-data: $(admin.key)");
    Nobody "a token and a certificate without key" => user("token: $(=token)\nclient-certificate-data: $(admin.crt)");
    Nobody "a token, and an empty certificate and key" => user("token: $(=token)\nclient-certificate-data: \"\"\nclient-key-data: \"\"");
    Nobody "a tokenFile" => user("tokenFile: $(/token)");
    Tokens "a token and a tokenFile with the same" => user("token: $(=token)\ntokenFile: $(/token)");
    Tokens "a token and a tokenFile that is not there" => user("token: $(=token)\ntokenFile: /etc/magnum/pki/absent");

    // Beside a certificate, which wins.
    Every  "a certificate and a token" => certificate_and("token: $(=token)");
    Every  "a certificate and a token that nobody knows" => certificate_and("token: x");
    Every  "a certificate and a JWT that is over" => certificate_and("token: $(=jwt-over)");
    Nobody "a certificate that is over and a token" => pair("expired").replace("    client-key", "    token: $(=token)\n    client-key");
    Every  "a certificate and a tokenFile" => certificate_and("tokenFile: $(/token)");
    Nobody "a certificate and a tokenFile that is not there" => certificate_and("tokenFile: /etc/magnum/pki/absent");
    Every  "a certificate and impersonation" => certificate_and("as: somebody");

    // Passwords.
    Nobody "a user name and password" => user("username: admin\npassword: secret");
    Every  "a certificate, and a user name and password" => certificate_and("username: admin\npassword: secret");
    Nobody "a token, and a user name and password" => user("token: $(=token)\nusername: admin\npassword: secret");

    // Programs: neither of the two runs one beside a certificate.
    Nobody "an exec plugin" => user(EXEC);
    Every  "a certificate and an exec plugin" => certificate_and(EXEC);
    Nobody "a certificate and an exec plugin without interactiveMode" => certificate_and(&EXEC.replace("\n  interactiveMode: Never", ""));
    Nobody "auth-provider" => user("auth-provider:\n  name: gcp");
    Nobody "a certificate and auth-provider" => certificate_and("auth-provider:\n  name: oidc");
    Nobody "nothing" => user("x: y");
}
