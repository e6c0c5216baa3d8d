//! What driver and helm take and the charm refuses, on purpose, each with the reason.

use super::shapes::{KUBEADM, USER, and, certificate_and, named, server, user};
use super::{By, Case};

pub fn cases() -> Vec<Case> {
    let stricter = |name, usable, why, text: String| Case {
        note: Some(why),
        charm: By::Nobody,
        ..Case::new(name, usable, &text)
    };
    let ambiguous = "which of the two is meant is a guess, and another program may guess otherwise";
    vec![
        stricter(
            "a field twice at the top",
            By::Every,
            ambiguous,
            format!("current-context: other\n{KUBEADM}"),
        ),
        stricter(
            "a field of the user twice",
            By::Every,
            ambiguous,
            certificate_and("client-key-data: $(admin.key)"),
        ),
        stricter(
            "a server with a user name and password",
            By::Every,
            "the address is shown to people, and the password with it",
            server("https://u:p@127.0.0.1:6443"),
        ),
        stricter(
            "a token and another word",
            By::Tokens,
            "it works because the API server drops the second word; the token is not what was meant",
            user("token: $(=token) more"),
        ),
        stricter(
            "a token that YAML joins of two lines",
            By::Tokens,
            "the same; most often it is a token that was torn apart",
            user("token:\n  $(=token)\n  more"),
        ),
        stricter(
            "names that are empty",
            By::Every,
            "it works because nothing equals nothing; a template has lost its values",
            named("\"\"", "\"\"", "\"\""),
        ),
        stricter(
            "another user with a null name",
            By::Every,
            "the same",
            and(USER, "- {name: , user: {}}\n"),
        ),
    ]
}
