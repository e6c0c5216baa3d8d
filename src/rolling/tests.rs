//! Proven without a machine, in a small [`world`] of units, and case by case.

mod world;

use self::world::{ServiceState, World, WorldUnit};
use super::*;

#[test]
fn never_two_at_once_and_never_stuck_in_any_order_of_events() {
    for seed in 1..=1000 {
        let mut world = World::new(seed, 2 + u32::try_from(seed % 4).unwrap());
        for _ in 0..800 {
            world.step();
        }
        for _ in 0..30 {
            world.round(true);
        }
        world.assert_done(seed);
    }
}

#[test]
fn events_alone_bring_each_unit_its_grant_also_the_leader() {
    for count in 2..=6 {
        for leader in 0..count {
            let mut world = World::new(1, count);
            world.leader = Some(format!("c/{leader}"));
            // The hook that follows a changed option.
            for name in world.names() {
                world.hook(&name);
            }
            while world.round(false) {}
            world.assert_done(u64::from(count));
            assert!(world.units.values().all(|unit| unit.restarts == 1));
            // And when it is the only one that is to restart.
            let name = world.leader.clone().unwrap();
            world.unit(&name).service = ServiceState::Old;
            world.hook(&name);
            while world.round(false) {}
            world.assert_done(u64::from(count));
        }
    }
}

#[test]
fn a_unit_that_stays_unhealthy_stops_the_restarts_until_it_is_healthy() {
    for seed in 1..=500 {
        let mut world = World::new(seed, 4);
        let broken = world.any();
        world.unit(&broken).breaks = true;
        for _ in 0..300 {
            world.step();
        }
        for _ in 0..30 {
            world.round(true);
        }
        let Some(unit) = world.units.get(&broken) else { continue };
        assert!(unit.service == ServiceState::New, "{seed}: it has had its turn");
        let old = |unit: &WorldUnit| unit.service == ServiceState::Old;
        if world.units.values().any(old) {
            let stopped = world.decision.stopped.clone().unwrap();
            assert_eq!(stopped.unit, broken, "{seed}");
            let before: Vec<u32> = world.units.values().map(|unit| unit.restarts).collect();
            for _ in 0..200 {
                let name = world.any();
                world.hook(&name);
            }
            let after: Vec<u32> = world.units.values().map(|unit| unit.restarts).collect();
            assert_eq!(before, after, "{seed}: nobody else restarts meanwhile");
        }
        world.unit(&broken).breaks = false;
        for _ in 0..30 {
            world.round(true);
        }
        world.assert_done(seed);
    }
}

fn state(ticket: u64, pending: bool, unhealthy: Option<&str>) -> UnitState {
    UnitState { principal: "m/1".into(), ticket, pending, unhealthy: unhealthy.map(str::to_owned), acknowledged: None }
}

fn grant(unit: &str, ticket: u64) -> Grant {
    Grant { unit: unit.into(), ticket, principal: "m/1".into(), since: 0, to_leader: false }
}

fn decided(states: &[(&str, UnitState)], grant: Option<Grant>, now: i64) -> LeaderDecision {
    let states = states.iter().map(|(n, w)| ((*n).to_owned(), w.clone()));
    let old = LeaderDecision { grant, stopped: None };
    old.next("c/0", &states.collect(), |_| true, now)
}

#[test]
fn an_unhealthy_unit_without_a_pending_restart_stops_the_others() {
    let pending = ("c/1", state(1, true, None));
    let with = |unhealthy| ("c/2", state(0, false, unhealthy));
    let well = decided(&[pending.clone(), with(None)], None, 0);
    assert_eq!(well.grant, Some(grant("c/1", 1)));
    let unhealthy = decided(&[pending, with(Some("x"))], None, 0);
    assert_eq!((unhealthy.grant, unhealthy.stopped.unwrap().unit), (None, "c/2".into()));
}

#[test]
fn an_unhealthy_unit_that_a_restart_may_repair_comes_first_and_the_leader_last() {
    let pending = |unit, unhealthy| (unit, state(1, true, unhealthy));
    let states = [pending("c/0", None), pending("c/10", None), pending("c/9", None)];
    assert_eq!(decided(&states, None, 0).grant.unwrap().unit, "c/9");
    let mut states = states.to_vec();
    states.push(pending("c/11", Some("x")));
    assert_eq!(decided(&states, None, 0).grant.unwrap().unit, "c/11");
}

#[test]
fn a_stuck_holder_is_named_and_one_that_is_gone_holds_nothing() {
    let holder = ("c/1", state(1, true, None));
    let waits = ("c/2", state(1, true, None));
    let states = [holder, waits];
    let turn = Some(grant("c/1", 1));
    assert_eq!(decided(&states, turn.clone(), STUCK_AFTER).stopped, None);
    let late = decided(&states, turn.clone(), STUCK_AFTER + 1);
    assert_eq!(late.stopped.unwrap().unit, "c/1");
    assert_eq!(decided(&states[1..], turn, 0).grant.unwrap().unit, "c/2");
}

#[test]
fn a_state_older_than_the_grant_gives_nothing_away() {
    let stale = ("c/1", state(4, false, None));
    let waits = ("c/2", state(1, true, None));
    let kept = decided(&[stale, waits], Some(grant("c/1", 5)), 0);
    assert_eq!(kept.grant.unwrap().unit, "c/1");
}

#[test]
fn numbers_at_their_end_and_a_long_reason_in_a_data_bag_fail_no_hook() {
    let decision = LeaderDecision { grant: Some(grant("c/1", u64::MAX)), stopped: None };
    let request = state(u64::MAX, false, None).next("c/1", &decision, Situation { pending: true, unhealthy: None });
    assert!(request.is_granted("c/1", &decision));
    let old = Grant { since: i64::MIN, ..grant("c/1", u64::MAX) };
    assert!(decided(&[("c/1", request)], Some(old), i64::MAX).stopped.is_some());
    let long = "x".repeat(200_000);
    let states = [("c/1", state(1, true, None)), ("c/2", state(0, false, Some(&long)))];
    assert_eq!(decided(&states, None, 0).stopped.unwrap().why.chars().count(), 80);
}
