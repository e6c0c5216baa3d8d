//! Input that is no good: refused by name, with the remedy, and nothing is changed.

use std::collections::BTreeSet;

use lab::{Fault, SecretUri};

use crate::support::management::PASSWORD;
use crate::support::{CONF, Deployment, INDEX, assert_same, conf, soak};

/// One thing an operator can get wrong.
struct Case {
    name: String,
    /// What to do to the model.
    wrong: Wrong,
    /// What the status must say: the option, the value, the remedy.
    words: Vec<&'static str>,
}

enum Wrong {
    Option(&'static str, String),
    /// The content of the secret.
    Content(&'static str, String),
    NotGranted,
    Removed,
    Resource(Vec<u8>),
}

const SET_PIN: &str = "set it like driver-pin=magnum-capi-helm==1.1.0";

/// A pin, and how it is shown.
const PINS: [(&str, &str); 12] = [
    ("", "\"\""),
    ("magnum-capi-helm", "\"magnum-capi-helm\""),
    ("magnum-capi-helm>=1.1.0", "\"magnum-capi-helm>=1.1.0\""),
    ("magnum-capi-helm==1.*", "\"magnum-capi-helm==1.*\""),
    ("magnum-capi-helm==1.1.0,<2", "\"magnum-capi-helm==1.1.0,<2\""),
    ("magnum-capi-helm==1.1.0; touch /root/ran", "; touch /root/ran\""),
    ("magnum-capi-helm==$(touch /root/ran)", "$(touch /root/ran)\""),
    ("magnum-capi-helm==1.1.0 --index-url=http://x", "--index-url=http://x\""),
    ("magnum-capi-helm==1.1.0\nrequests", "1.1.0\\nrequests\""),
    ("requests==2.0.0", "\"requests==2.0.0\""),
    ("https://example.org/magnum_capi_helm-1.1.0-py3-none-any.whl", "\"https://example.org/"),
    ("git+https://example.org/magnum-capi-helm", "\"git+https://example.org/"),
];

/// Options for [capi_helm], and what is said of them.
const OPTIONS: [(&str, &[&str]); 8] = [
    ("namespace_prefix", &["line 1", "\"namespace_prefix\"", "write one a line"]),
    ("[capi_helm]\nnamespace_prefix = x", &["line 1", "\"[capi_helm]\""]),
    ("name-space = x", &["\"name-space\"", "use letters, digits and _"]),
    ("namespace_prefix = a\nnamespace_prefix = b", &["line 2", "namespace_prefix = \"b\"", "keep one"]),
    ("namespace_prefix = \u{201c}magnum\u{201d}", &["line 1, column 20", "\u{201c}", "plain ASCII"]),
    ("namespace_prefix = a\u{7}b", &["namespace_prefix", "control character", "remove it"]),
    ("kubeconfig_file = /tmp/mine", &["kubeconfig_file = \"/tmp/mine\"", "remove it"]),
    ("namspace_prefix = x", &["\"namspace_prefix\"", "magnum-capi-helm==1.1.0", "set one of", "namespace_prefix"]),
];

fn cases(it: &Deployment) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |name: String, wrong, words: &[&'static str]| {
        let words = words.to_vec();
        cases.push(Case { name, wrong, words });
    };
    for (value, shown) in PINS {
        let wrong = Wrong::Option("driver-pin", value.into());
        add(format!("driver-pin {value:?}"), wrong, &["driver-pin", shown, SET_PIN]);
    }
    for (value, words) in OPTIONS {
        let wrong = Wrong::Option("capi-helm-options", value.into());
        let words: Vec<&str> = ["capi-helm-options"].iter().chain(words).copied().collect();
        add(format!("capi-helm-options {value:?}"), wrong, &words);
    }
    let wrong = Wrong::Option("driver-sha256", "12ab".into());
    add("a short sha256".into(), wrong, &["driver-sha256", "\"12ab\"", "sha256sum"]);
    for url in [format!("ftp://user:{PASSWORD}@host/simple"), format!("user:{PASSWORD}@host")] {
        let wrong = Wrong::Option("index-url", url.clone());
        add(format!("index-url {url}"), wrong, &["index-url", "https://HOST/"]);
    }
    let nobodys = "secret:9m4e2mr0ui3e8a215n4g";
    let wrong = Wrong::Option("kubeconfig", nobodys.into());
    add("a secret that nobody made".into(), wrong, &["kubeconfig", nobodys, "does not exist", "juju config"]);
    add("a secret that is not granted".into(), Wrong::NotGranted, &["kubeconfig", "secret:", "juju grant-secret"]);
    add("a removed secret".into(), Wrong::Removed, &["kubeconfig", "secret:", "does not exist", "juju config"]);

    let good = it.management.kubeconfig();
    let exec = it.management.with_user("exec: {command: aws}");
    let contents: [(&str, &str, String, &[&str]); 9] = [
        ("the wrong key", "config", good.clone(), &["has no key `kubeconfig`", "juju update-secret"]),
        ("no YAML", "kubeconfig", format!("{good}\n- {{"), &["is not YAML"]),
        ("other YAML", "kubeconfig", "- a list".into(), &["is not a kubeconfig"]),
        ("a key alone", "kubeconfig", it.key(), &["is not a kubeconfig"]),
        ("no context", "kubeconfig", good.replace("current-context: ", "context-of-yesterday: "), &["current-context"]),
        ("http", "kubeconfig", good.replace("https:", "http:"), &["https"]),
        (
            "a token for an old driver",
            "kubeconfig",
            it.kubeconfig_with_token(),
            &["token", "magnum-capi-helm==1.1.0", "1.3.0"],
        ),
        ("an exec plugin", "kubeconfig", exec, &["exec plugin", "use a kubeconfig that has them"]),
        (
            "a certificate without its key",
            "kubeconfig",
            it.management.with_user("client-certificate-data: Q0VSVA=="),
            &["without its key", "use a kubeconfig that has them"],
        ),
    ];
    for (name, key, content, words) in contents {
        let words: Vec<&str> = ["kubeconfig"].iter().chain(words).copied().collect();
        add(format!("a secret with {name}"), Wrong::Content(key, content), &words);
    }
    add("a binary resource".into(), Wrong::Resource(vec![0xff, 0xfe, 0]), &["kubeconfig", "not text", "attach"]);
    add(
        "a resource that is no kubeconfig".into(),
        Wrong::Resource(b"hello".to_vec()),
        &["kubeconfig", "is not a kubeconfig"],
    );
    cases
}

impl Wrong {
    /// What is wrong, but for its value.
    fn kind(&self) -> &'static str {
        match self {
            Self::Option(name, _) => name,
            Self::Content(..) => "content",
            Self::NotGranted => "not granted",
            Self::Removed => "removed",
            Self::Resource(_) => "resource",
        }
    }

    /// Makes the model so; returns a way to tell that it was.
    fn apply(&self, it: &Deployment, number: usize) {
        let secret = |content: &[(&str, &str)]| -> SecretUri {
            let name = format!("wrong-{number}");
            let secret = it.application.add_secret(&name, content).unwrap();
            it.set(&[("kubeconfig", secret.as_ref())]);
            secret
        };
        let good = it.management.kubeconfig();
        match self {
            Self::Option(name, value) => it.set(&[(name, value)]),
            Self::Content(key, content) => {
                let secret = secret(&[(key, content)]);
                it.application.grant(&secret).unwrap();
            }
            Self::NotGranted => drop(secret(&[("kubeconfig", &good)])),
            Self::Removed => {
                let secret = secret(&[("kubeconfig", &good)]);
                it.application.grant(&secret).unwrap();
                it.application.remove_secret(&secret).unwrap();
            }
            Self::Resource(content) => {
                it.application.reset_config("kubeconfig").unwrap();
                it.application.attach_resource("kubeconfig", Some(content.clone())).unwrap();
            }
        }
    }

    fn undo(&self, it: &Deployment) {
        match self {
            Self::Option(name, _) => it.application.reset_config(name).unwrap(),
            Self::Resource(_) => it.application.attach_resource("kubeconfig", None).unwrap(),
            _ => {}
        }
        it.set(&[("index-url", INDEX), ("kubeconfig", it.secret.as_ref())]);
    }
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn bad_input_is_refused_on_a_fresh_unit_and_changes_nothing() {
    let it = Deployment::bare();
    it.grant();
    let (files, services) = (it.files(), it.services());
    for (number, case) in cases(&it).into_iter().enumerate() {
        case.wrong.apply(&it, number);
        it.hook("config-changed");
        it.assert_status("blocked", &case.words, &case.name);
        assert_eq!(it.litter(), "", "{}: litter", case.name);
        case.wrong.undo(&it);
    }
    assert_same(&files.diff(&it.files()), "all bad input together");
    assert_eq!(it.services(), services);
    it.hook("config-changed");
    it.assert_whole("1.1.0", "good input at last");
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn bad_input_is_refused_on_a_grafted_unit_which_keeps_the_last_good_and_upholds_it() {
    let it = Deployment::active();
    let (graft, services) = (it.graft(), it.services());
    let mut seen = BTreeSet::new();
    for (number, case) in cases(&it).into_iter().enumerate() {
        // By default one of each kind: what is said of the others shows on a fresh unit.
        if !soak(seen.insert(case.wrong.kind()), true) {
            continue;
        }
        case.wrong.apply(&it, number);
        it.hook("config-changed");
        it.assert_status("blocked", &case.words, &case.name);
        assert_same(&graft.diff(&it.graft()), &case.name);

        it.shell(&format!("rm {CONF}"));
        it.hook("update-status");
        let upheld = format!("{}, and then drift", case.name);
        it.assert_status("blocked", &case.words, &upheld);
        let conf_now = it.machine().read_text(CONF).unwrap();
        assert_eq!(conf_now, conf(""), "{upheld}");
        assert_same(&graft.diff(&it.graft()), &upheld);
        case.wrong.undo(&it);
    }
    assert_eq!(it.services(), services, "nothing was restarted");
    it.hook("config-changed");
    it.assert_whole("1.1.0", "good input at last");
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn a_hook_tool_that_is_missing_or_fails_fails_the_hook_with_a_clear_error() {
    let it = Deployment::active();
    let (graft, services) = (it.graft(), it.services());
    let broken = || Fault::Exit { code: 1, stderr: "ERROR cannot reach the controller\n".into() };
    for (tool, hook) in [
        ("config-get", "update-status"),
        ("secret-get", "update-status"),
        ("status-set", "config-changed"),
        ("application-version-set", "config-changed"),
    ] {
        for fault in [Fault::Missing, broken()] {
            let case = format!("{tool} {fault:?}");
            let reason = match fault {
                Fault::Missing => "No such file or directory",
                _ => "cannot reach the controller",
            };
            it.unit.break_tool(tool, fault).unwrap();
            let run = it.failing_hook(hook);
            assert_eq!(run.exit, Some(1), "{case}: {}", run.describe());
            let log = run.log_text();
            assert!(log.starts_with("ERROR "), "{case}: {log}");
            assert!(log.contains(tool) && log.contains(reason), "{case}: {log}");
            let all = run.describe();
            assert!(!all.contains("panicked"), "{case}: {all}");
            it.unit.mend_tool(tool).unwrap();
        }
    }
    // Without juju-log the hook does its work, and Juju keeps what it prints.
    for fault in [Fault::Missing, broken()] {
        let case = format!("juju-log {fault:?}");
        it.unit.break_tool("juju-log", fault).unwrap();
        it.shell(&format!("rm {CONF}"));
        let run = it.hook("update-status");
        assert!(run.stderr.contains(CONF), "{case}: {}", run.describe());
        it.unit.mend_tool("juju-log").unwrap();
    }
    assert_same(&graft.diff(&it.graft()), "broken hook tools");
    it.hook("update-status");
    it.assert_whole("1.1.0", "all tools mended");
    assert_eq!(it.services(), services);
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn a_unit_without_magnum_waits_and_is_grafted_when_magnum_comes() {
    let it = Deployment::bare();
    it.grant();
    let files = it.files();
    let cases = ["/usr/bin/magnum-api", "/usr/bin/magnum-conductor", "/etc/magnum/magnum.conf", "/etc/magnum"];
    for path in cases {
        it.shell(&format!("mv {path} {path}.away"));
        for hook in ["install", "update-status"] {
            it.hook(hook);
            it.assert_status("waiting", &["Magnum is not installed"], path);
        }
        it.shell(&format!("mv {path}.away {path}"));
    }
    assert_same(&files.diff(&it.files()), "waiting for Magnum");
    it.hook("magnum-relation-created");
    it.assert_whole("1.1.0", "Magnum is there");

    // Magnum goes from under the graft, and the charm after it.
    it.shell("systemctl stop magnum-api magnum-conductor; rm -r /etc/magnum /usr/bin/magnum-api");
    it.hook("update-status");
    it.assert_status("waiting", &["Magnum is not installed"], "Magnum purged");
    it.remove();
}
