//! The relation between units: whose databag is whose, which hook is due, what a unit reads of others.

use super::*;
use crate::juju::peers::{Due, Peer, Peers};

/// Three units, all in the relation, of which none has been told of another.
fn three() -> Bench {
    let mut bench = bench();
    bench.model.peers = Some(Peers::new("cluster".into()));
    for number in 0..3 {
        let unit = format!("probe/{number}");
        let state = bench.model.units.entry(unit).or_default();
        state.principal = format!("magnum/{number}");
        state.peer = Peer::new(BTreeMap::new());
        state.peer.entered = true;
    }
    bench
}

impl Bench {
    /// The next hook begins on `unit`; what it was about is done when it ends.
    fn begin(&mut self, unit: &str) -> Option<Due> {
        let due = self.model.peer_hook_due(unit)?;
        let hook = format!("cluster-relation-{}", due.event());
        self.context = HookContext { unit: unit.into(), peer: Some(due.clone()), ..HookContext::default() };
        let entered = self.model.enter_peers(unit, &hook, Some(&due)).unwrap();
        self.context.relation = entered;
        Some(due)
    }

    fn end(&mut self) {
        let context = std::mem::take(&mut self.context);
        let (unit, due) = (context.unit.clone(), context.peer.clone());
        context.flush(&mut self.model).unwrap();
        if let Some(due) = due {
            self.model.peer_hook_done(&unit, &due);
        }
    }

    /// Runs every hook that is due on `unit`, and says what each was about.
    fn all(&mut self, unit: &str) -> Vec<Due> {
        let mut seen = Vec::new();
        while let Some(due) = self.begin(unit) {
            self.end();
            seen.push(due);
        }
        seen
    }

    fn on(&mut self, unit: &str) {
        self.context = HookContext { unit: unit.into(), ..HookContext::default() };
    }
}

#[test]
fn units_join_one_another_and_each_is_told_of_what_another_writes() {
    let mut bench = three();
    let of = |number: u32| format!("probe/{number}");
    assert_eq!(
        bench.all("probe/0"),
        [Due::Joined(of(1)), Due::Changed(of(1), 0), Due::Joined(of(2)), Due::Changed(of(2), 0)]
    );
    bench.on("probe/1");
    bench.prints("relation-ids cluster --format json", "[\"cluster:1\"]\n");
    bench.prints("relation-list -r cluster:1 --format json", "[]\n");
    bench.prints("relation-set -r cluster:1 k=v", "");
    bench.prints("relation-get -r cluster:1 --format json -- k probe/1", "\"v\"\n");
    assert_eq!(bench.all("probe/0"), []);
    bench.on("probe/1");
    bench.prints("relation-set -r cluster:1 k=v", "");
    bench.end();
    assert_eq!(bench.all("probe/0"), [Due::Changed(of(1), 1)]);
    bench.on("probe/0");
    bench.prints("relation-get -r cluster:1 --format json k probe/1", "\"v\"\n");
    bench.prints("relation-list -r 1 --format json", "[\"probe/1\",\"probe/2\"]\n");
    bench.prints("relation-get -r cluster:1 --format json k probe/2", "null\n");
    // Writing the same is no news.
    bench.on("probe/1");
    bench.prints("relation-set -r cluster:1 k=v", "");
    bench.end();
    assert_eq!(bench.all("probe/0"), []);
}

#[test]
fn what_a_unit_has_read_of_another_stays_until_it_is_told_of_a_change() {
    let mut bench = three();
    bench.all("probe/0");
    bench.on("probe/0");
    bench.prints("relation-get -r cluster:1 --format json k probe/1", "null\n");
    bench.on("probe/1");
    bench.prints("relation-set -r cluster:1 k=v", "");
    bench.end();
    bench.on("probe/0");
    bench.prints("relation-get -r cluster:1 --format json k probe/1", "null\n");
    bench.begin("probe/0").unwrap();
    bench.prints("relation-get -r cluster:1 --format json k probe/1", "\"v\"\n");
}

#[test]
fn what_is_written_while_a_hook_runs_is_told_by_the_next() {
    let mut bench = three();
    bench.all("probe/0");
    for (value, version) in [("a", 1), ("b", 2)] {
        bench.on("probe/1");
        bench.prints(&format!("relation-set -r cluster:1 k={value}"), "");
        bench.end();
        if version == 1 {
            let due = bench.begin("probe/0");
            assert_eq!(due, Some(Due::Changed("probe/1".into(), 1)));
            let running = std::mem::take(&mut bench.context);
            bench.on("probe/1");
            bench.prints("relation-set -r cluster:1 k=between", "");
            bench.end();
            bench.context = running;
            bench.end();
        }
        let due = Due::Changed("probe/1".into(), version + 1);
        assert_eq!(bench.all("probe/0"), [due]);
    }
}

#[test]
fn the_leader_writes_for_all_and_all_others_are_told() {
    let mut bench = three();
    for unit in ["probe/0", "probe/1", "probe/2"] {
        bench.all(unit);
    }
    bench.on("probe/1");
    bench.fails("relation-set -r cluster:1 --app k=v", 1, "cannot write relation settings");
    bench.on("probe/0");
    bench.prints("relation-set -r cluster:1 --app k=v", "");
    bench.end();
    assert_eq!(bench.all("probe/0"), []);
    assert_eq!(bench.begin("probe/1"), Some(Due::Application(1)));
    bench.prints("relation-get -r cluster:1 --format json --app k probe", "\"v\"\n");
    assert_eq!(bench.context.relation.as_ref().unwrap().remote_unit, None);
    bench.end();
    assert!(bench.model.application_settings.is_empty(), "the other relation's");
}

#[test]
fn a_unit_that_goes_departs_and_sees_all_others_depart() {
    let mut bench = three();
    for unit in ["probe/0", "probe/1"] {
        bench.all(unit);
    }
    let departing = |bench: &Bench| bench.context.relation.clone().unwrap().departing_unit;
    bench.model.units.get_mut("probe/1").unwrap().dying = true;
    assert_eq!(bench.begin("probe/1"), Some(Due::Departed("probe/0".into())));
    assert_eq!(departing(&bench).as_deref(), Some("probe/1"));
    bench.end();
    bench.all("probe/1");
    assert_eq!(bench.all("probe/0"), []);
    bench.on("probe/0");
    let dying = "\"magnum/1\":{\"since\":\"2026-01-01 00:00:00Z\",\"status\":\"dying\"}";
    let (_, printed, _) = bench.call("goal-state --format json");
    assert!(printed.contains(dying), "{printed}");
    bench.model.forget("probe/1");
    assert_eq!(bench.begin("probe/0"), Some(Due::Departed("probe/1".into())));
    assert_eq!(departing(&bench).as_deref(), Some("probe/1"));
    bench.prints("relation-list -r 1 --format json", "[\"probe/2\"]\n");
    let (_, printed, _) = bench.call("goal-state --format json");
    assert!(printed.contains("magnum/2") && !printed.contains("magnum/1"), "{printed}");
}
