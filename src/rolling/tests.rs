//! Proven without a machine, in a small [`world`] of units, and case by case.

mod world;

use self::world::{Service, Unit, World};
use super::*;

#[test]
fn never_two_at_once_and_never_wedged_whatever_happens_in_whatever_order() {
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
fn events_alone_bring_each_unit_its_turn_also_the_leader() {
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
            world.unit(&name).service = Service::Old;
            world.hook(&name);
            while world.round(false) {}
            world.assert_done(u64::from(count));
        }
    }
}

#[test]
fn a_unit_that_stays_ill_stops_the_roll_until_it_is_well() {
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
        let Some(unit) = world.units.get(&broken) else {
            continue;
        };
        assert!(unit.service == Service::New, "{seed}: it has had its turn");
        let old = |unit: &Unit| unit.service == Service::Old;
        if world.units.values().any(old) {
            let stopped = world.ruling.stopped.clone().unwrap();
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

fn word(ticket: u64, wants: bool, ill: Option<&str>) -> Word {
    Word {
        principal: "m/1".into(),
        ticket,
        wants,
        ill: ill.map(str::to_owned),
        heard: None,
    }
}

fn grant(unit: &str, ticket: u64) -> Grant {
    Grant {
        unit: unit.into(),
        ticket,
        principal: "m/1".into(),
        since: 0,
        to_leader: false,
    }
}

fn ruled(words: &[(&str, Word)], turn: Option<Grant>, now: i64) -> Ruling {
    let words = words.iter().map(|(n, w)| ((*n).to_owned(), w.clone()));
    let old = Ruling {
        turn,
        stopped: None,
    };
    let gone = |_: &Grant| Ok::<_, ()>(true);
    old.next("c/0", &words.collect(), gone, now).unwrap()
}

#[test]
fn an_ill_unit_that_wants_no_turn_blocks_the_others() {
    let wants = ("c/1", word(1, true, None));
    let with = |ill| ("c/2", word(0, false, ill));
    let well = ruled(&[wants.clone(), with(None)], None, 0);
    assert_eq!(well.turn, Some(grant("c/1", 1)));
    let ill = ruled(&[wants, with(Some("x"))], None, 0);
    assert_eq!((ill.turn, ill.stopped.unwrap().unit), (None, "c/2".into()));
}

#[test]
fn an_ill_unit_that_a_restart_may_mend_comes_first_and_the_leader_last() {
    let wants = |unit, ill| (unit, word(1, true, ill));
    let words = [wants("c/0", None), wants("c/10", None), wants("c/9", None)];
    assert_eq!(ruled(&words, None, 0).turn.unwrap().unit, "c/9");
    let mut words = words.to_vec();
    words.push(wants("c/11", Some("x")));
    assert_eq!(ruled(&words, None, 0).turn.unwrap().unit, "c/11");
}

#[test]
fn a_holder_that_says_nothing_for_long_is_named_and_one_that_is_gone_holds_nothing() {
    let holder = ("c/1", word(1, true, None));
    let waits = ("c/2", word(1, true, None));
    let words = [holder, waits];
    let turn = Some(grant("c/1", 1));
    assert_eq!(ruled(&words, turn.clone(), SILENT_AFTER).stopped, None);
    let late = ruled(&words, turn.clone(), SILENT_AFTER + 1);
    assert_eq!(late.stopped.unwrap().unit, "c/1");
    assert_eq!(ruled(&words[1..], turn, 0).turn.unwrap().unit, "c/2");
}

#[test]
fn a_word_older_than_the_grant_gives_no_turn_away() {
    let stale = ("c/1", word(4, false, None));
    let waits = ("c/2", word(1, true, None));
    let kept = ruled(&[stale, waits], Some(grant("c/1", 5)), 0);
    assert_eq!(kept.turn.unwrap().unit, "c/1");
}
