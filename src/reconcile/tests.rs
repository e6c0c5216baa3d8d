//! Which settings a reconcile goes by.

use std::cell::RefCell;

use super::hook::wanted_mode;
use super::*;
use crate::juju::settings::{Given, RawConfig, RestartMode};
use crate::system::testing::Scratch;

fn pinned(version: &str) -> Settings {
    let config = serde_json::json!({"driver-pin": format!("magnum-capi-helm=={version}")});
    let config: RawConfig = serde_json::from_value(config).unwrap();
    config.validated(Given::default()).unwrap()
}

/// Returns which version is chosen, which were tried, and how many problems that gave, if only `possible` can be met.
fn chosen(
    asked: Result<Settings, Problem>,
    last_good: Option<Settings>,
    possible: &str,
) -> (Option<String>, Vec<String>, usize) {
    let tried = RefCell::new(Vec::new());
    let mut problems = Vec::new();
    let prepare = |settings: Settings| {
        let version = settings.driver.pin.version().to_string();
        tried.borrow_mut().push(version.clone());
        let problem = Problem::waiting(format!("{version} cannot be met"), "");
        anyhow::ensure!(version == possible, problem);
        Ok(version)
    };
    let version = choose(asked, last_good, prepare, &mut problems).unwrap();
    (version, tried.into_inner(), problems.len())
}

#[test]
fn the_last_good_settings_are_upheld_if_those_asked_for_cannot_be_met() {
    let invalid = || Err(Problem::blocked("No pin", ""));
    let s = |version: &str| version.to_owned();
    for (asked, last_good, possible, expected) in [
        (Ok(pinned("2")), Some(pinned("1")), "2", (Some(s("2")), vec![s("2")], 0)),
        (Ok(pinned("2")), Some(pinned("1")), "1", (Some(s("1")), vec![s("2"), s("1")], 1)),
        (invalid(), Some(pinned("1")), "1", (Some(s("1")), vec![s("1")], 1)),
        (invalid(), None, "1", (None, vec![], 1)),
        (Ok(pinned("2")), None, "1", (None, vec![s("2")], 1)),
        // The same is not tried twice.
        (Ok(pinned("2")), Some(pinned("2")), "1", (None, vec![s("2")], 1)),
    ] {
        assert_eq!(chosen(asked, last_good, possible), expected);
    }
}

#[test]
fn an_invalid_option_does_not_change_the_restart_mode() {
    let scratch = Scratch::new();
    let system = scratch.system(|_| None);
    let mode = |settings| wanted_mode(&system, &Request { settings, kubeconfig: Ok(None) }).unwrap();
    let invalid = || Err(Problem::blocked("No pin", ""));
    assert_eq!(mode(invalid()), RestartMode::Rolling);
    let manual = Settings { restart_mode: RestartMode::Manual, ..pinned("1") };
    system.root.make_state_directory().unwrap();
    system.root.save(LAST_GOOD, &manual).unwrap();
    assert_eq!(mode(invalid()), RestartMode::Manual);
    assert_eq!(mode(Ok(pinned("2"))), RestartMode::Rolling);
}
