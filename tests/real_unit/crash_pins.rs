//! Hooks killed in the middle of a change of the pin, two hundred in a soak run: the next hook makes the driver
//! whole again, whatever it is called.
//!
//! Magnum is paused, so that each round costs what the change costs and no restart. From an index a
//! hook fetches, and asks Python; with a wheel that is given nearly all of it goes into putting the
//! driver in place, so most rounds go that way.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;

use crate::support::mirror::{self, assert_driver, installed, wheel};
use crate::support::{Deployment, HOOKS, SITE, pin, soak};

/// What a killed hook left, in words.
fn state(it: &Deployment, old: &str, new: &str) -> &'static str {
    let (versions, wrong) = installed(it.machine(), SITE);
    let versions: Vec<&str> = versions.iter().map(String::as_str).collect();
    match (versions.as_slice(), wrong.is_empty(), it.litter().is_empty()) {
        ([one], true, true) if *one == old => "old, nothing lying about",
        ([one], true, false) if *one == old => "old, the new one staged",
        ([one], true, true) if *one == new => "new, nothing lying about",
        ([one], true, false) if *one == new => "new, something lying about",
        _ => "neither whole",
    }
}

/// One way in which the driver comes, and what was seen of it.
struct Killing<'a> {
    it: &'a Deployment,
    from_wheel: bool,
    /// The version that is there.
    old: &'static str,
    states: BTreeMap<&'static str, usize>,
}

impl Killing<'_> {
    fn wanted(&self, version: &str) {
        if self.from_wheel {
            let content = wheel(self.it, version);
            let application = &self.it.application;
            application.attach_resource("driver-wheel", Some(content)).unwrap();
        }
        self.it.set(&[("driver-pin", &pin(version))]);
    }

    fn other(&self) -> &'static str {
        if self.old == "1.1.0" { "1.2.1" } else { "1.1.0" }
    }

    /// How long a change takes, once what Python says of both versions is known.
    fn undisturbed(&mut self) -> Duration {
        let mut full = Duration::ZERO;
        for _ in 0..3 {
            let new = self.other();
            self.wanted(new);
            full = self.it.hook("config-changed").wall;
            assert_driver(self.it, new, "undisturbed");
            self.old = new;
        }
        eprintln!("undisturbed, from a wheel {}: {full:?}", self.from_wheel);
        full
    }

    /// Kills so many changes, each finished by the next of these hooks.
    fn kill(&mut self, count: usize, random: &mut Rng, hooks: impl Iterator<Item = &'static str>) {
        let mut full = self.undisturbed();
        let mut killed = 0;
        for hook in hooks {
            if killed == count {
                break;
            }
            let (old, new) = (self.old, self.other());
            self.wanted(new);
            let after = full.mul_f64(random.f64());
            let run = self.it.unit.kill_hook_after("config-changed", after).unwrap();
            if run.signal == Some(9) {
                killed += 1;
                *self.states.entry(state(self.it, old, new)).or_default() += 1;
            } else {
                // It was faster than those before it.
                full = full.min(run.wall);
            }
            self.it.hook(hook);
            let case = format!("{old} to {new}, killed after {after:?}, then {hook}");
            self.it.assert_status("maintenance", &["paused"], &case);
            assert_driver(self.it, new, &case);
            self.old = new;
        }
        eprintln!("{killed} killed, all mended; as they were found: {:?}", self.states);
    }
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn of_many_pin_changes_killed_at_a_random_moment_none_leaves_a_driver_that_does_not_load() {
    let it = Deployment::bare();
    mirror::pause(&it);
    it.grant();
    it.deploy();
    let mut killing = Killing { it: &it, from_wheel: false, old: "1.1.0", states: BTreeMap::new() };
    let mut random = Rng::new();
    eprintln!("seed {}", random.get_seed());
    // Juju is asked for resources in every hook but these; a new one never comes with them.
    let (asked, others): (Vec<&str>, Vec<&str>) = HOOKS
        .into_iter()
        .partition(|hook| !["update-status", "leader-elected"].contains(hook) && !hook.starts_with("cluster-"));
    // So that in a soak run each hook has its turn, those first.
    let all = others.iter().chain(&asked).copied().cycle();
    killing.kill(soak(2, 50), &mut random, all);
    killing.from_wheel = true;
    killing.kill(soak(6, 150), &mut random, asked.iter().copied().cycle());
    // What is lying there is also what the services run.
    it.shell("systemctl unmask --quiet magnum-api magnum-conductor; systemctl enable --quiet --now magnum-api magnum-conductor");
    it.hook("update-status");
    it.assert_whole(killing.old, "resumed");
}
