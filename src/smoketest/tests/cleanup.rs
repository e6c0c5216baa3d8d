//! What is left, and who removes it: the run, the next one, or the cleaner.

use super::*;

#[test]
fn what_cannot_be_deleted_is_named_and_the_next_run_removes_it() {
    let unit = Unit::new();
    unit.cloud.state().deletion = [("DELETE_FAILED", "no helm: 'helm'")].into();
    let run = unit.run(CLUSTER);
    run.assert_failed("cluster-delete", "helm", "DELETE_FAILED: no helm");
    let (name, left) = (run.result("template").to_owned(), run.result("left"));
    assert!(left.starts_with(&format!("cluster {name} (1d-")) && left.contains(&format!(", template {name} (1d-")));
    let message = run.message.as_deref().unwrap();
    let expected = format!("left: {left}; the next smoketest tries again, or run: openstack coe cluster delete 1d-");
    assert!(message.contains(&expected), "{message}");
    assert!(message.contains("; openstack coe cluster template delete 1d-"), "{message}");
    assert_eq!(unit.cloud.names().len(), 2);

    let run = unit.run("{}");
    run.assert_passed();
    for kind in ["cluster", "template"] {
        let words = format!("{kind} {name} (");
        assert!(run.result("report").contains(&words), "{}", run.result("report"));
    }
    assert_eq!((unit.cloud.names(), unit.unfinished()), (vec![], 0));
}

#[test]
fn what_may_be_left_where_this_account_does_not_see_it_is_named() {
    let unit = Unit::new();
    unit.cloud.state().deletion = [("DELETE_FAILED", "")].into();
    unit.run(CLUSTER);
    unit.cloud.state().existing.clear();
    unit.cloud.state().project = "elsewhere".into();
    let run = unit.run("{}");
    run.assert_passed();
    assert!(run.result("report").contains("may still exist in a project that this account does not see"));
    assert_eq!(unit.unfinished(), 1);
}

/// Sends the signal once a cluster is watched, and again once its deletion is requested if `twice`.
fn interrupt(unit: &Unit, twice: bool) {
    unit.cloud.state().statuses = [("CREATE_IN_PROGRESS", "")].into();
    let signals = unit.signals.clone();
    let mut is_watched = false;
    unit.cloud.state().observer = Some(Box::new(move |request| {
        let is_next = request.starts_with("GET /magnum/v1/clusters/") && !is_watched;
        if is_next || twice && request.starts_with("DELETE /magnum/v1/clusters/") {
            is_watched = true;
            signals.count();
        }
    }));
}

#[test]
fn a_run_that_is_told_to_stop_cleans_up() {
    let unit = Unit::new();
    interrupt(&unit, false);
    let run = unit.run(CLUSTER);
    let found = ["outcome", "stage", "chain", "remedy", "left"].map(|key| run.result(key));
    assert_eq!(found, ["interrupted", "cluster-wait", "", "", ""], "{}", run.result("report"));
    assert_eq!(run.message.as_deref(), Some("cluster-wait: told to stop; nothing is left"));
    assert_eq!((unit.cloud.names(), unit.unfinished()), (vec![], 0));
}

#[test]
fn a_run_that_is_told_twice_leaves_the_rest_to_its_cleaner() {
    let mut unit = Unit::new();
    unit.cleaner = || {
        std::thread::sleep(Duration::from_secs(60));
        None
    };
    interrupt(&unit, true);
    unit.cloud.state().deletion = [("DELETE_IN_PROGRESS", ""); 1000].into();
    let run = unit.run(CLUSTER);
    assert_eq!(run.result("outcome"), "interrupted");
    assert!(run.result("report").contains("stays: cluster-delete: told to stop"), "{}", run.result("report"));
    let words =
        "the unit's service magnum-capi-helm-smoketest is removing it: journalctl -u magnum-capi-helm-smoketest";
    assert!(run.message.as_deref().unwrap().contains(words), "{:?}", run.message);
    assert_eq!((unit.cloud.names().len(), unit.unfinished()), (2, 1));

    // What that does: it reads the account from the pipe, and the run's lock is free.
    unit.cloud.state().deletion.clear();
    unit.cloud.faults("GET /magnum/v1/clusters", 503, "<h1>", 2);
    let handover = run.commands.iter().find(|command| command.program == "systemd-run").unwrap().stdin.clone();
    let log = clean(&unit, &handover).unwrap();
    for words in ["without removing what it created", "HTTP 503: <h1>; trying again", "is gone", "nothing is left"] {
        assert!(log.contains(words), "no {words}: {log}");
    }
    assert_eq!((unit.cloud.names(), unit.unfinished()), (vec![], 0));
    assert_eq!(clean(&unit, &handover).unwrap(), "", "the run has ended in order");
}

/// Runs the cleaner, and returns its log.
fn clean(unit: &Unit, handover: &[u8]) -> Result<String> {
    let (sender, log) = std::sync::mpsc::channel();
    let progress =
        Progress::new(Signals::default(), Duration::from_millis(1), move |line| Ok(sender.send(line.to_owned())?));
    let pause = Duration::from_millis(1);
    let system = unit.scratch.system(|_| None);
    cleaner::clean(&system, handover, progress, pause)?;
    Ok(log.iter().collect::<Vec<String>>().join("\n"))
}

#[test]
fn the_cleaner_says_what_it_cannot_remove_and_reads_nothing_else() {
    let unit = Unit::new();
    let handover = unit.run("{}").commands.into_iter().find(|command| command.program == "systemd-run").unwrap().stdin;
    let error = clean(&unit, b"{\"hunter2\"").unwrap_err().to_string();
    assert_eq!(error, "only the action smoketest uses this command");
    let error = format!("{:#}", clean(&unit, &vec![b' '; (1 << 20) + 1]).unwrap_err());
    assert_eq!(error, "reading what the smoketest hands over: it has more than 1048576 bytes");

    let mut runs = Runs::load(&unit.scratch.root).unwrap();
    let handover: Value = serde_json::from_slice(&handover).unwrap();
    let handover = json!({"account": handover["account"], "endpoint": "public", "run": runs.name});
    runs.begin("here", "smoker").unwrap();
    unit.cloud.state().existing.push(fake_cloud::Existing {
        collection: "clustertemplates".into(),
        id: "1".into(),
        name: runs.name,
    });
    unit.cloud.fault("DELETE", 409, "in use");
    let error = clean(&unit, handover.to_string().as_bytes()).unwrap_err().to_string();
    assert_eq!(error, "template-delete: HTTP 409: in use");
}

#[test]
fn a_run_without_a_cleaner_says_so_and_goes_on() {
    let mut unit = Unit::new();
    unit.cleaner = || None;
    let run = unit.run("{}");
    run.assert_passed();
    assert!(run.result("report").contains("there was no cleaner: systemd-run --quiet failed"));
}

#[test]
fn leftovers_are_found_in_a_long_list_and_not_forgotten_while_it_cannot_be_read() {
    let unit = Unit::new();
    let other = |index: usize| fake_cloud::Existing {
        collection: "clusters".into(),
        id: format!("other-{index}"),
        name: "production".into(),
    };
    unit.cloud.state().existing = (0..250).map(other).collect();
    unit.cloud.state().deletion = [("DELETE_FAILED", "")].into();
    unit.run(CLUSTER);
    unit.cloud.faults("GET /magnum/v1/clusters?", 200, "<h1>", 1);
    unit.run("{}").assert_failed("leftovers", "magnum-api", "HTTP 200");
    assert_eq!((unit.cloud.names().len(), unit.unfinished()), (252, 1));
    unit.run("{}").assert_passed();
    assert_eq!((unit.cloud.names().len(), unit.unfinished()), (250, 0));
}
