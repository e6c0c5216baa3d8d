//! Several units: restarts one at a time, stopped by a unit that stays ill, wedged by nobody's going.

mod cluster;
mod watch;

use std::time::{Duration, Instant};

use lab::{LoadBalancer, Machine, Unit};

use self::cluster::Cluster;
use self::watch::{CLIENTS, PORT, get, watch};
use crate::support::{API, CONF, timed};
use crate::undone;

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn a_changed_option_restarts_one_unit_after_the_other_and_no_request_fails() {
    let it = timed("three machines", Cluster::bare);
    let machines: Vec<&Machine> = it.units.iter().map(Unit::machine).collect();
    // The first restarts are no exception.
    let installed = watch(&machines, || timed("installed", || it.install()));
    eprintln!("{installed}");
    assert_eq!(installed.overlaps(), [""; 0], "two units at once");
    assert_eq!(installed.failures, [""; 0]);
    // Each restart may cut off what its API is answering.
    assert!(installed.cut <= 3 * CLIENTS, "{installed}");

    let before: Vec<[usize; 2]> = (0..3).map(|at| it.starts(at)).collect();
    it.set(&[("capi-helm-options", "namespace_prefix = other")]);
    let seen = watch(&machines, || {
        timed("the roll", || it.run(Some("config-changed")));
        // After it, too, all is well.
        std::thread::sleep(Duration::from_millis(500));
    });
    it.assert_active();
    eprintln!("{seen}");
    for (at, before) in before.iter().enumerate() {
        let after = it.starts(at);
        assert_eq!(after, before.map(|count| count + 1), "restarts of unit {at}");
        // A restart may fall between two questions.
        assert!(seen.gaps[at].len() <= 1, "unit {at}: {:?}", seen.gaps[at]);
        let conf = machines[at].read_text(CONF).unwrap();
        assert!(conf.contains("namespace_prefix = other"), "{conf}");
    }
    assert_eq!(seen.overlaps(), [""; 0], "two units at once");
    assert!(seen.requests > 50, "{} requests", seen.requests);
    assert_eq!(seen.failures, [""; 0]);
    assert!(seen.cut <= 3 * CLIENTS, "{seen}");
    assert_eq!(it.application.status().0, "unknown", "nothing to tell");

    // All is said: nobody asks the others any more.
    for at in 0..3 {
        it.hook(at, "update-status");
        let run = it.hook(at, "update-status");
        assert!(run.tools.len() <= 3, "{}", run.describe());
    }
    the_proxy_asks_another_for_what_a_hanging_unit_has_accepted(&machines);
}

/// A property of the lab's load balancer, on which this test's claims rest.
fn the_proxy_asks_another_for_what_a_hanging_unit_has_accepted(machines: &[&Machine]) {
    let proxy = LoadBalancer::start(machines, PORT, &mut |line| eprintln!("{line}")).unwrap();
    let hang = format!("systemctl kill --signal=STOP {API}");
    machines[0].shell(&hang).unwrap();
    let address = proxy.address();
    let waited: Vec<Duration> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..9)
            .map(|_| {
                scope.spawn(move || {
                    let asked = Instant::now();
                    get(address).map(|()| asked.elapsed())
                })
            })
            .collect();
        let answered = clients.into_iter().map(|client| client.join().unwrap());
        answered.collect::<Result<_, _>>().unwrap()
    });
    let late = waited.iter().any(|wait| *wait > Duration::from_secs(1));
    assert!(late, "the hanging one got none: {waited:?}");
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn a_unit_whose_switch_is_undone_stops_the_others_and_is_named() {
    let it = Cluster::active();
    let broken = it.units[1].machine();
    undone::poison(broken);
    let ran = undone::command_lines(broken);
    let before = [it.processes(0), it.processes(2)];
    it.set(&[("capi-helm-options", "namespace_prefix = other")]);
    // It comes first: the leader hears of its wish before all others'.
    it.hook(1, "config-changed");
    it.run_only(&[0], None);
    timed("until it stops", || it.run(Some("config-changed")));
    for _ in 0..2 {
        for at in [0, 2] {
            it.hook(at, "update-status");
        }
    }
    let (decided, said) = (it.application.peer_settings(), it.units[1].status());
    assert_eq!([it.processes(0), it.processes(2)], before, "they go on: {decided:?} {said:?}");
    let (kind, message) = it.application.status();
    assert_eq!(kind, "blocked", "{message}");
    assert!(message.contains("magnum-capi-helm/1"), "{message}");
    assert!(message.contains("What is asked for is refused"), "{message}");
    assert_eq!(it.units[1].status().0, "blocked");
    assert_eq!(undone::command_lines(broken), ran, "what ran before is put back");
    for at in [0, 2] {
        let (kind, message) = it.units[at].status();
        assert_eq!(kind, "waiting", "{message}");
        assert!(message.contains("magnum-capi-helm/1 is not healthy"), "{message}");
    }

    undone::cure(broken);
    timed("mended", || {
        it.hook(1, "update-status");
        it.run(None);
    });
    it.assert_active();
    let after = [it.processes(0), it.processes(2)];
    assert!(after[0] != before[0] && after[1] != before[1], "{after:?}");
    assert_eq!(it.application.status(), ("active".into(), String::new()));
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn a_unit_that_goes_with_its_turn_and_a_leader_that_goes_wedge_nothing() {
    let it = Cluster::active();
    let before = [it.processes(0), it.processes(2)];
    it.set(&[("capi-helm-options", "namespace_prefix = other")]);
    // The agent of unit 1 asks for its turn, and hangs before it hears that it has it.
    it.hook(1, "config-changed");
    it.run_only(&[0, 2], None);
    it.run_only(&[0, 2], Some("config-changed"));
    assert!(it.application.peer_settings()["rolling-restart"].contains("\"unit\":\"magnum-capi-helm/1\""));
    for at in [0, 2] {
        it.hook(at, "update-status");
        let (kind, message) = it.units[at].status();
        assert_eq!(kind, "waiting", "{message}");
        assert!(message.contains("magnum-capi-helm/1 restarts first"), "{message}");
    }
    assert_eq!([it.processes(0), it.processes(2)], before, "its turn");

    it.application.lose("magnum-capi-helm/1");
    it.application.set_leader("magnum-capi-helm/2").unwrap();
    it.hook(2, "leader-elected");
    it.run_only(&[0, 2], None);
    for at in [0, 2] {
        assert_eq!(it.units[at].status().0, "active", "{:?}", it.units[at].status());
    }
    let after = [it.processes(0), it.processes(2)];
    assert!(after[0] != before[0] && after[1] != before[1], "{after:?}");

    // The leader is removed in order, and the last one is alone.
    let runs = it.units[2].remove().unwrap();
    assert!(runs.iter().all(lab::HookRun::ok));
    assert!(!it.units[2].machine().exists(CONF).unwrap(), "it is as it was");
    it.application.set_leader("magnum-capi-helm/0").unwrap();
    it.run_only(&[0], Some("leader-elected"));
    it.set(&[("capi-helm-options", "namespace_prefix = third")]);
    it.hook(0, "config-changed");
    assert_eq!(it.units[0].status().0, "active", "at once");
    assert!(it.processes(0) != after[0]);
}
