//! State of other revisions of the charm: a refresh and a rollback find what the other has written.

use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::juju::settings::{Given, RawConfig};
use crate::system::testing::Scratch;
use crate::system::{Secret, state_path};

/// As the revision before wrote them.
const SETTINGS: &str = include_str!("../../tests/fixtures/state/settings.json");
const LEDGER: &str = include_str!("../../tests/fixtures/state/ledger.json");

/// What [`SETTINGS`] holds.
fn settings() -> Settings {
    let config = json!({
        "driver-pin": "magnum-capi-helm==1.1.0", "index-url": "https://mirror.example/simple",
        "helm-url": "https://mirror.example/helm.tar.gz", "helm-sha256": "ab".repeat(32), "helm-chart-version": "0.10.1",
        "capi-helm-options": "namespace_prefix = x", "log-to": "file", "restart-mode": "manual", "guard": true,
        "disable-other-drivers": true, "expiry-warning-days": 9,
    });
    let config: RawConfig = serde_json::from_value(config).unwrap();
    let settings = config.validated(Given::default()).unwrap();
    Settings { kubeconfig: Some(Secret::new("apiVersion: v1".to_owned())), ..settings }
}

fn ledger(system: &System) -> Vec<(&'static str, Original)> {
    let entries = Backups::load(&system.root).unwrap().entries();
    let named = |name: &'static str| {
        let original = entries.iter().find(|(path, _)| path == Path::new(name)).unwrap();
        (name, original.1.clone())
    };
    ["/etc/magnum/magnum.conf.d/99-capi.conf", "/etc/magnum/magnum.conf.d", "/etc/magnum/kubeconfig"].map(named).into()
}

/// Puts a field that nobody knows into every object.
fn of_the_future(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(of_the_future);
            // Of an enum's object, the one key is the variant.
            if fields.keys().all(|key| key.starts_with(char::is_lowercase)) {
                fields.insert("of_the_future".into(), json!({"x": [1]}));
            }
        }
        Value::Array(values) => values.iter_mut().for_each(of_the_future),
        _ => {}
    }
}

#[test]
fn settings_and_originals_of_the_revision_before_and_of_a_later_one_are_read() {
    let scratch = Scratch::new();
    let system = scratch.system(|_| None);
    let mut later: Value = serde_json::from_str(SETTINGS).unwrap();
    of_the_future(&mut later);
    let mut later_ledger: Value = serde_json::from_str(LEDGER).unwrap();
    later_ledger["/etc/new"] = json!({"of-the-future": {"mode": 448}});
    let before = (SETTINGS.to_owned(), LEDGER.to_owned());
    let now = serde_json::to_string(&Wanted { settings: settings(), defaults: None }).unwrap();
    for (text, originals) in
        [before.clone(), (later.to_string(), later_ledger.to_string()), (now.clone(), before.1.clone())]
    {
        scratch.put(state_path(LAST_GOOD), &text);
        scratch.put(state_path("ledger.json"), originals);
        assert_eq!(last_good(&system).unwrap().unwrap().settings, settings(), "{text}");
        let kept = Original::BackedUp("%2Fetc%2Fmagnum%2Fkubeconfig".into());
        assert_eq!(
            ledger(&system).into_iter().map(|(_, original)| original).collect::<Vec<_>>(),
            [Original::Absent, Original::NoDirectory, kept]
        );
    }
    // A rollback: the revision before finds every field that it wrote, with the same meaning.
    let (now, before): (Value, Value) = (serde_json::from_str(&now).unwrap(), serde_json::from_str(&before.0).unwrap());
    for (field, value) in before.as_object().unwrap() {
        assert_eq!(&now[field], value, "{field}");
    }
}

#[test]
fn an_original_that_only_a_later_revision_knows_is_carried_on_and_named_when_it_is_to_be_restored() {
    let scratch = Scratch::new();
    let (root, path) = (&scratch.root, Path::new("/etc/new"));
    scratch.put(state_path("ledger.json"), r#"{"/etc/new": {"of-the-future": 1}}"#);
    let mut backups = Backups::load(root).unwrap();
    backups.back_up(root, Path::new("/etc/other")).unwrap();
    let text = scratch.text(state_path("ledger.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["/etc/new"], json!({"of-the-future": 1}));
    let error = Backups::load(root).unwrap().restore(root, path).unwrap_err().to_string();
    assert!(error.contains("what stood at /etc/new; refresh to the one that ran here before"), "{error}");
    assert!(scratch.text(state_path("ledger.json")).unwrap().contains("/etc/new"));
}

#[test]
fn settings_that_cannot_be_read_are_named_with_a_remedy() {
    let scratch = Scratch::new();
    scratch.put(state_path(LAST_GOOD), r#"{"driver": "of another kind"}"#);
    let error = format!("{:#}", last_good(&scratch.system(|_| None)).unwrap_err());
    assert!(error.contains("settings.json is damaged (line 1,"), "{error}");
    assert!(error.ends_with("; remove it and run any hook"), "{error}");
}
