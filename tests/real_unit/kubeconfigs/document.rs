//! Bytes, documents and YAML, as far as hands and tools write them.

use super::shapes::{CONTEXT, JSON, KUBEADM, USER, certificate_and, key, named, server, with};
use super::{Case, table};

/// In place of a part that nobody needs.
fn instead(text: &str) -> String {
    with("preferences: {}", text)
}

/// The user's fields are those of an anchor at the top.
fn merged() -> String {
    let anchor = "x-user: &both\n  client-certificate-data: $(admin.crt)\n  client-key-data: $(admin.key)\n";
    anchor.to_owned() + &with(USER, "- name: kubernetes-admin\n  user:\n    <<: *both\n")
}

fn utf_16() -> String {
    let units = std::iter::once(0xfeff).chain(KUBEADM.encode_utf16());
    units.flat_map(u16::to_le_bytes).map(|byte| format!("$(x:{byte:02x})")).collect()
}

table! {
    // Other files, and what becomes of one on its way.
    Nobody "an empty file" => "";
    Nobody "a path" => "/root/.kube/config\n";
    Nobody "Cluster API's secret around it" => "apiVersion: v1\nkind: Secret\ndata:\n  value: $(admin.crt)\n";
    Nobody "another kind" => with("kind: Config", "kind: Secret");
    Nobody "another apiVersion" => with("apiVersion: v1", "apiVersion: v2");
    Nobody "fields in camel case" => with("current-context", "currentContext");

    // Bytes.
    Every  "line ends of Windows" => KUBEADM.replace('\n', "\r\n");
    Every  "a byte order mark" => format!("\u{feff}{KUBEADM}");
    Nobody "UTF-16, as PowerShell writes it" => utf_16();
    Nobody "Latin-1 in a comment" => instead("# caf$(x:e9)");
    Every  "names beyond ASCII" => named("адмін-ü", "mgmt", "адмін-ü");
    Nobody "a colour of the terminal in a comment" => instead("# \u{1b}[1mbold");
    Nobody "no-break spaces" => with("    server:", "  \u{a0} server:");
    Nobody "typographic quotes" => server("\u{201c}https://198.51.100.1:6443\u{201d}");
    Every  "no newline at the end" => KUBEADM.trim_end();

    // Tabs: PyYAML reads almost none.
    Nobody "a tab for an indent" => with("    server", "\tserver");
    Nobody "a tab after a colon" => with("server: ", "server:\t");
    Nobody "a tab at a line's end" => with("$(admin.key)", "$(admin.key)\t");
    Nobody "a line with a tab and nothing else" => instead("preferences: {}\n\t");
    Nobody "JSON with tabs" => JSON.replace("    ", "\t");
    Every  "a tab in a comment" => instead("#\tnone");
    Every  "a tab in quotes" => instead("x: \"a\tb\"");
    Every  "a tab in quotes, after an apostrophe in a word" => instead("x: don't\ny: \"a\tb\"");

    // Documents.
    Every  "--- at its start" => format!("---\n{KUBEADM}");
    Nobody "two documents" => format!("{KUBEADM}---\n{KUBEADM}");

    // YAML.
    Nobody "a wrong indent" => with("    server", "   server");
    Every  "flow style" => with(CONTEXT, "- {context: {cluster: kubernetes, user: kubernetes-admin}, name: kubernetes-admin@kubernetes}\n");
    Every  "merge keys" => merged();
    Every  "a field twice at the top, the last one right" => format!("current-context: other\n{KUBEADM}");
    Nobody "a field twice at the top, the first one right" => format!("{KUBEADM}current-context: other\n");
    Every  "a list twice" => format!("users: []\n{KUBEADM}");
    Every  "a field of the user twice" => certificate_and("client-key-data: $(admin.key)");
    Every  "a field of the user twice, the last one right" => key("client-key-data: $(stranger.key)\n    client-key-data: $(admin.key)");
    Nobody "a field of the user twice, the first one right" => certificate_and("client-key-data: $(stranger.key)");
    Nobody "a tag of Ansible's, and a field twice" => format!("current-context: other\n{}", instead("x: !vault abc"));
    Nobody "a tag of Ansible's" => instead("x: !vault abc");
}
