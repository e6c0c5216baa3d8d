//! A hook that finds the graft whole does nothing, and does it cheaply.

use lab::Exec;

use crate::support::{Deployment, HOOKS, STATE, assert_same};

/// Programs by their file names, interpreters of scripts too.
fn programs(execs: &[Exec]) -> Vec<&str> {
    execs.iter().map(|exec| exec.path.rsplit('/').next().unwrap_or_default()).collect()
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn every_hook_run_twice_changes_nothing_the_second_time() {
    let it = Deployment::active();
    for hook in HOOKS {
        it.hook(hook);
        let look = || {
            let state = it.machine().snapshot(&[STATE], &[]).unwrap();
            (it.graft(), state, it.services())
        };
        let (graft, state, services) = look();
        let (run, execs) = it.hook_traced(hook);
        let (graft_after, state_after, services_after) = look();
        let case = format!("{hook} for the second time");
        assert_same(&graft.diff_exact(&graft_after), &case);
        assert_same(&state.diff_exact(&state_after), &case);
        assert_eq!(services, services_after, "{case}");
        for program in programs(&execs) {
            let heavy = program.starts_with("python") || program.starts_with("pip");
            assert!(!heavy, "{case} started {program}");
        }
        let restarts = execs
            .iter()
            .any(|exec| exec.path.ends_with("/systemctl") && exec.argv.get(1).is_none_or(|verb| verb != "show"));
        assert!(!restarts, "{case}: {execs:?}");
        assert_eq!(run.log, [], "{case}: it has nothing to say");
        it.assert_whole("1.1.0", &case);
    }
    // A hook of a Juju that knows more than this charm.
    let (run, execs) = it.hook_traced("collect-metrics");
    assert_eq!(programs(&execs), ["dispatch"], "{}", run.describe());
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn a_converged_update_status_is_cheap() {
    let it = Deployment::active();
    it.set(&[("guard", "true")]);
    it.hook("config-changed");
    let (run, execs) = it.hook_traced("update-status");
    let programs = programs(&execs);
    let systemctls = programs.iter().filter(|name| **name == "systemctl").count();
    assert!(systemctls <= 1, "{programs:?}");
    assert!(run.tools.len() <= 4, "{}", run.describe());
    let tools: Vec<&str> = run.tools.iter().map(|call| call.argv[0].as_str()).collect();
    let own = ["dispatch", "systemctl"];
    let others: Vec<&&str> = programs.iter().filter(|name| !own.contains(name) && !tools.contains(name)).collect();
    assert!(others.is_empty(), "it also started {others:?}");
}
