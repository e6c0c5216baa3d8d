//! Config, state, status and relations.

use serde_json::json;

use super::bench;

#[test]
fn config_get_shows_typed_values_and_leaves_out_the_unset() {
    let mut bench = bench();
    bench.prints("config-get --format=json", "{\"drivers\":true,\"pin\":\"a==1\",\"wait\":3}\n");
    bench.prints("config-get -a --format json", "{\"drivers\":true,\"pin\":\"a==1\",\"url\":null,\"wait\":3}\n");
    bench.prints("config-get", "drivers: true\npin: a==1\nwait: 3\n");
    bench.prints("config-get drivers", "True\n");
    bench.prints("config-get wait --format yaml", "3\n");
    bench.prints("config-get url", "");
    bench.prints("config-get nope --format json", "null\n");
    bench.model.config.insert("url".into(), json!("http://x"));
    bench.prints("config-get url", "http://x\n");
    bench.fails("config-get -a pin", 2, "cannot use argument --all together with key \"pin\"");
    bench.fails("config-get pin url", 2, "unrecognized args: [\"url\"]");
    bench.fails("config-get --format=xml", 2, "invalid value \"xml\" for option --format: unknown format \"xml\"");
}

#[test]
fn tools_without_output_options_refuse_them() {
    let mut bench = bench();
    for line in ["resource-get helm", "status-set active", "action-fail x"] {
        bench.fails(&format!("{line} --format json"), 2, "option provided but not defined: --format");
    }
    assert!(bench.model.units["probe/0"].history.is_empty());
    bench.fails("status-set active -not-an-option", 2, "option provided but not defined: -n");
    bench.prints("status-set -- active -a-message", "");
    assert_eq!(bench.model.units["probe/0"].status, ("active".into(), "-a-message".into()));
}

#[test]
fn statuses_are_set_at_once() {
    let mut bench = bench();
    bench.prints("status-get", "waiting\n");
    bench.prints("status-set blocked do_this", "");
    bench.prints(
        "status-get --include-data --format json",
        "{\"message\":\"do this\",\"status\":\"blocked\",\"status-data\":{}}\n",
    );
    let states = "[maintenance blocked waiting active]";
    bench.fails("status-set error x", 2, &format!("invalid status \"error\", expected one of {states}"));
    bench.fails("status-set", 2, "invalid args, require <status> [message]");
    bench.prints("application-version-set 1.1.0", "");
    assert_eq!(bench.model.units["probe/0"].version, "1.1.0");
    bench.prints("is-leader", "True\n");
    bench.prints("status-set --application active fine", "");
    assert_eq!(bench.model.application_status.1, "fine");
    bench.model.leader = None;
    bench.prints("is-leader --format json", "false\n");
    assert_eq!(bench.call("status-set --application active").0, 1);
}

#[test]
fn relations_are_seen_from_a_subordinate() {
    let mut bench = bench();
    bench.prints("relation-ids magnum", "magnum:3\n");
    bench.prints("relation-ids other --format json", "[]\n");
    bench.prints("relation-list -r magnum:3 --format json", "[\"magnum/0\"]\n");
    bench.prints("relation-list -r 3 --app", "magnum\n");
    bench.prints("relation-get -r magnum:3 private-address magnum/0", "10.0.0.10\n");
    bench.fails("relation-ids", 2, "no endpoint name specified");
    bench.fails("relation-list", 2, "no relation id specified");
    bench.fails("relation-list -r magnum:9", 2, "invalid value \"magnum:9\" for option -r: relation not found");
    bench.fails("relation-list -r x", 2, "invalid value \"x\" for option -r: invalid relation id");
    bench.fails("relation-get -r 3 a", 2, "no unit or application specified");
    bench.fails("relation-get -r 3 a other/0", 1, "permission denied");

    let mut bench = bench.in_relation(Some("magnum/0"));
    bench.prints("relation-ids", "magnum:3\n");
    bench.prints("relation-get", "private-address: 10.0.0.10\n");
    bench.prints("relation-set k=v private-address=", "");
    bench.prints("relation-get - probe/0 --format json", "{\"k\":\"v\"}\n");
    bench.prints("relation-set --app a=1", "");
    assert!(bench.model.application_settings.is_empty());
    std::mem::take(&mut bench.context).flush(&mut bench.model).unwrap();
    assert_eq!(bench.model.application_settings["a"], "1");
    assert_eq!(bench.model.units["probe/0"].relation.clone().unwrap().settings["k"], "v");
}

#[test]
fn a_relation_not_yet_created_is_not_seen() {
    let mut bench = bench();
    bench.model.units.get_mut("probe/0").unwrap().relation.as_mut().unwrap().entered = false;
    bench.prints("relation-ids magnum", "");
}

#[test]
fn only_the_leader_writes_for_the_application() {
    let mut bench = bench().in_relation(None);
    bench.prints("relation-set --app a=1", "");
    bench.model.leader = Some("probe/1".into());
    bench.fails("relation-set --app a=1", 1, "cannot write relation settings");
    // What it wrote while it was the leader comes too late.
    let flushed = std::mem::take(&mut bench.context).flush(&mut bench.model);
    assert!(flushed.is_err() && bench.model.application_settings.is_empty());
}
