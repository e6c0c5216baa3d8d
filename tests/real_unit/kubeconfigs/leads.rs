//! From current-context over context to cluster and user, and the entries beside them.

use super::shapes::{CLUSTER, CONTEXT, USER, and, named, with};
use super::{Case, table};

const CURRENT: &str = "current-context: kubernetes-admin@kubernetes\n";

/// `admin.conf` with another current-context.
fn current(value: &str) -> String {
    with(CURRENT, &format!("current-context: {value}\n"))
}

/// All three names are this.
fn all(name: &str) -> String {
    named(name, name, name)
}

table! {
    // What leads nowhere.
    Nobody "no current-context" => with(CURRENT, "");
    Nobody "a null current-context" => current("");
    Nobody "a current-context of another name" => current("other");
    Nobody "a current-context with a blank behind it" => current("\"kubernetes-admin@kubernetes \"");
    Nobody "a context without cluster" => with("    cluster: kubernetes\n", "");
    Nobody "a context without user" => with("    user: kubernetes-admin\n", "");
    Nobody "a context of a cluster that is not there" => with("    cluster: kubernetes\n", "    cluster: gone\n");
    Nobody "a context of a user who is not there" => with("    user: kubernetes-admin\n", "    user: gone\n");
    Nobody "a user that is null" => with(USER, "- user:\n  name: kubernetes-admin\n");
    Nobody "no contexts" => with(CONTEXT, "").replace("contexts:\n", "");
    Nobody "clusters that are null" => with(CLUSTER, "");
    Nobody "users that are a mapping" => with(USER, "  kubernetes-admin: {}\n");

    // Entries that nobody is led to: helm reads them all.
    Nobody "the same user twice" => and(USER, USER);
    Nobody "another user twice" => and(USER, "- {name: x, user: {}}\n- {name: x, user: {}}\n");
    Nobody "another user without a name" => and(USER, "- user: {}\n");
    Nobody "another user whose key is no base64" => and(USER, "- {name: x, user: {client-key-data: '***'}}\n");
    Nobody "another user whose token is a number" => and(USER, "- {name: x, user: {token: 12}}\n");
    Nobody "another cluster insecure in quotes" => and(CLUSTER, "- {name: x, cluster: {insecure-skip-tls-verify: 'true'}}\n");
    Every  "another user whose key is no PEM" => and(USER, "- {name: x, user: {client-key-data: eA==}}\n");
    Every  "another context that leads nowhere" => and(CONTEXT, "- {name: x, context: {cluster: gone, user: gone}}\n");

    Every  "another user with a null name" => and(USER, "- {name: , user: {}}\n");
    Nobody "another user with a null name and one with an empty one" => and(USER, "- {name: , user: {}}\n- {name: '', user: {}}\n");

    // Names, which YAML takes for something else.
    Every  "names in quotes, with blanks and colons" => all("\"a: b # c\"");
    Nobody "a number for a name" => all("12");
    Every  "a number in quotes for a name" => all("\"12\"");
    Nobody "an octal number for a name" => all("017");
    Nobody "a number with a zero before it for a name" => all("0123456789");
    Nobody "a float for a name" => all("1.30");
    Nobody "a commit for a name that is a number to some" => all("12e4");
    Every  "an address for a name" => all("192.0.2.7");
    Every  "a version for a name" => all("1.31.9");
    Nobody "yes for a name" => all("yes");
    Every  "names that are empty" => all("\"\"");
    Every  "names that are null" => all("").replace("current-context: \n", "current-context:\n");
    Nobody "an empty name, and null where it is meant" => named("\"\"", "\"\"", "\"\"").replace("current-context: \"\"", "current-context:");
    Every  "a date for a name" => all("2024-01-01");
    Every  "a namespace in the context" => with("    cluster: kubernetes\n", "    cluster: kubernetes\n    namespace: magnum\n");
}
