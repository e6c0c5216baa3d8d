//! What only the management cluster can tell: the file is in order, and does not work.

use super::shapes::{authority, pair, server, server_and, user, with};
use super::{By, Case};

/// A kubeconfig that looks usable, and the check that says it is not.
pub struct Unseen {
    pub case: Case,
    pub check: &'static str,
    pub status: &'static str,
}

impl Unseen {
    /// One that fails until the unit's own authorities vouch for the server.
    pub fn until_trusted(case: Case) -> Self {
        let (check, status) = UNREACHED;
        let case = Case { usable: By::Nobody, ..case };
        Self { case, check, status }
    }
}

/// Verified, and not known there.
const UNKNOWN: (&str, &str) = ("management-identity", "fail");
/// Not reached, or not verified. That may be the network's fault, so it is a warning.
const UNREACHED: (&str, &str) = ("management-api", "warn");
/// The charm asks as the driver does. What helm alone goes by is only named.
const NAMED: (&str, &str) = ("kubeconfig-usable", "warn");

pub fn unseen() -> Vec<Unseen> {
    use By::{Every, Tokens};
    let unseen = |(check, status), looks, name, text: String| Unseen {
        case: Case { charm: looks, ..Case::new(name, By::Nobody, &text) },
        check,
        status,
    };
    let elsewhere = |fields| server_and(fields).replace("198.51.100.1", "198.51.100.2");
    vec![
        unseen(UNKNOWN, Every, "a certificate of another cluster", pair("stranger")),
        unseen(
            UNKNOWN,
            Every,
            "a certificate without its intermediate",
            pair("chain").replace("$(chain.crt)", "$(chain.crt|first)"),
        ),
        unseen(UNKNOWN, Every, "a certificate for servers", pair("of-a-server")),
        unseen(UNKNOWN, Tokens, "a token that nobody knows", user("token: x")),
        unseen(UNKNOWN, Tokens, "a token with a blank before it", user("token: \" $(=token)\"")),
        unseen(UNKNOWN, Tokens, "a token with Bearer before it", user("token: Bearer $(=token)")),
        unseen(UNKNOWN, Tokens, "a token beyond Latin-1", user("token: \"токен\"")),
        unseen(UNKNOWN, Tokens, "a token that nobody knows, and a tokenFile", user("token: x\ntokenFile: $(/token)")),
        unseen(
            UNREACHED,
            Every,
            "the CA of another cluster",
            authority("certificate-authority-data: $(stranger-ca.crt)"),
        ),
        unseen(
            UNREACHED,
            Every,
            "the server's certificate for its CA",
            authority("certificate-authority-data: $(server.crt)"),
        ),
        unseen(UNREACHED, Every, "a server of another name", elsewhere("x: y")),
        unseen(
            UNREACHED,
            Every,
            "a server of another name, and its tls-server-name",
            elsewhere("tls-server-name: localhost"),
        ),
        unseen(UNREACHED, Every, "a server where nobody listens", server("https://198.51.100.1:6999")),
        unseen(UNREACHED, Every, "a server whose name is not known", server("https://nowhere.invalid:6443")),
        unseen(NAMED, Every, "a tls-server-name that is wrong", server_and("tls-server-name: other")),
        unseen(NAMED, Tokens, "a token, and a tokenFile with another", user("token: $(=token)\ntokenFile: $(/no.pem)")),
        unseen(NAMED, Every, "a proxy that is dead", server_and("proxy-url: http://127.0.0.1:9")),
    ]
}

/// What works where the unit's own authorities vouch for the server, and nowhere else.
pub fn trusting() -> Vec<Case> {
    let without = || with("    certificate-authority-data: $(ca.crt)\n", "");
    let insecure = "    insecure-skip-tls-verify: true\n    server";
    vec![
        Case::new("no CA", By::Every, without()),
        Case::new("insecure", By::Every, without().replace("    server", insecure)),
    ]
}
