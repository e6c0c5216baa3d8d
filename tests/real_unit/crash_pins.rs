//! Hooks killed in the middle of a change of the pin, two hundred in a soak run: the next hook makes the driver
//! whole again, whatever it is called.
//!
//! Magnum is paused, so that each round costs what the change costs and no restart. From an index a
//! hook spends its time in pip; with a wheel that is given nearly all of it goes into putting the
//! driver in place, so most rounds go that way.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use crate::mirror::{self, assert_driver, installed, wheel};
use crate::support::{Deployment, HOOKS, SITE, pin, soak};

/// Numbers without a pattern (xorshift64), another row in each run.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos();
        let seed = u64::try_from(now).unwrap() | 1;
        eprintln!("seed {seed}");
        Self(seed)
    }

    /// From 0 to 1.
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        f64::from(u32::try_from(self.0 >> 32).unwrap()) / f64::from(u32::MAX)
    }
}

/// What a killed hook left, in words.
fn state(it: &Deployment, old: &str, new: &str) -> &'static str {
    let (versions, wrong) = installed(it.machine(), SITE);
    let versions: Vec<&str> = versions.iter().map(String::as_str).collect();
    match (
        versions.as_slice(),
        wrong.is_empty(),
        it.litter().is_empty(),
    ) {
        ([one], true, true) if *one == old => "old, nothing lying about",
        ([one], true, false) if *one == old => "old, the new one staged",
        ([one], true, true) if *one == new => "new, nothing lying about",
        ([one], true, false) if *one == new => "new, something lying about",
        _ => "neither whole",
    }
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn of_many_pin_changes_killed_at_a_random_moment_none_leaves_a_driver_that_does_not_load() {
    let (from_index, kills) = (soak(6, 50), soak(24, 200));
    let it = Deployment::bare();
    mirror::pause(&it);
    it.grant();
    it.deploy();
    let mut random = Random::new();
    let mut versions = ["1.2.1", "1.1.0"].iter().cycle().copied();
    let mut old = "1.1.0";
    // Juju is asked for resources in every hook but these; a new one never comes with them.
    let is_asked = |hook: &&&str| {
        !["update-status", "leader-elected"].contains(*hook) && !hook.starts_with("cluster-")
    };
    let others = HOOKS.iter().filter(is_asked);
    let (mut any, mut others) = (HOOKS.iter().cycle(), others.cycle());
    let began = Instant::now();
    let (mut killed, mut ended) = (0, 0);
    let mut states: BTreeMap<&str, usize> = BTreeMap::new();
    let mut full = Duration::ZERO;
    for round in 0.. {
        if killed == kills {
            break;
        }
        let from_wheel = killed >= from_index;
        let new = versions.next().unwrap();
        if from_wheel {
            let content = wheel(&it, new);
            it.application
                .attach_resource("driver-wheel", Some(content))
                .unwrap();
        }
        it.set(&[("driver-pin", &pin(new))]);
        if round == 0 || (from_wheel && full > Duration::from_millis(500)) {
            // How long such a change takes, once what Python says of both versions is known.
            for version in [old, new, old, new] {
                if from_wheel {
                    it.application
                        .attach_resource("driver-wheel", Some(wheel(&it, version)))
                        .unwrap();
                }
                it.set(&[("driver-pin", &pin(version))]);
                full = it.hook("config-changed").wall;
                assert_driver(&it, version, "undisturbed");
            }
            eprintln!("undisturbed, from a wheel {from_wheel}: {full:?}");
            old = new;
            continue;
        }
        let after = full.mul_f64(random.next());
        let run = it.unit.kill_hook_after("config-changed", after).unwrap();
        if run.signal != Some(9) {
            // It was faster than those before it.
            full = full.min(run.wall);
            ended += 1;
        } else {
            killed += 1;
            if killed % 25 == 0 {
                eprintln!(
                    "{killed} killed after {:.0} s",
                    began.elapsed().as_secs_f64()
                );
            }
            *states.entry(state(&it, old, new)).or_default() += 1;
        }
        let hook = if from_wheel {
            others.next()
        } else {
            any.next()
        };
        let hook = hook.unwrap();
        it.hook(hook);
        let case = format!("{old} to {new}, killed after {after:?}, then {hook}");
        it.assert_status("maintenance", &["paused"], &case);
        assert_driver(&it, new, &case);
        old = new;
    }
    eprintln!(
        "{killed} killed in {:.0} s ({ended} were faster), all mended; as they were found: {states:?}",
        began.elapsed().as_secs_f64()
    );
    // What is lying there is also what the services run.
    it.shell("systemctl unmask --quiet magnum-api magnum-conductor; systemctl enable --quiet --now magnum-api magnum-conductor");
    it.hook("update-status");
    it.assert_whole(old, "resumed");
}
