//! A hook may be killed at any moment; the next one, whatever its name, finishes what it began. In a soak run each of the
//! charm's hooks finishes something in one of these tests.

use std::time::Duration;

use crate::support::{API, CONDUCTOR, CONF, DROP_INS, Deployment, HOOKS, KUBECONFIG, Moment, moments, pin, soak};

/// The time within which a hook changes things; after that it only watches the services.
const AT_WORK: Duration = Duration::from_millis(1500);

/// The hooks that die before one may finish, and when each does.
fn deaths_in_a_grant() -> Vec<Vec<Moment>> {
    let mut all = vec![
        // Each gets one step further.
        vec![
            Moment::Exists(KUBECONFIG),
            Moment::Exists(CONF),
            Moment::Exists(DROP_INS[0]),
            Moment::Exists(DROP_INS[1]),
        ],
        // All is written, and nobody has been told.
        vec![Moment::Exists(DROP_INS[1])],
        vec![Moment::When("pgrep -f '^/usr/bin/python3 /usr/bin/magnum-conductor --config-file'")],
    ];
    let random: Vec<Moment> = moments(soak(0, 9), AT_WORK).collect();
    all.extend(random.chunks(3).map(<[Moment]>::to_vec));
    all
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn a_first_grant_killed_at_any_moment_is_finished_by_the_next_hook_whatever_its_name() {
    let it = Deployment::bare();
    for (deaths, hook) in deaths_in_a_grant().iter().zip(HOOKS) {
        it.application.revoke(&it.secret).unwrap();
        it.application.reset_config("kubeconfig").unwrap();
        it.hook("install");
        it.assert_status("blocked", &["No kubeconfig"], "before the grant");
        it.grant();
        for moment in deaths {
            it.kill_hook("config-changed", moment);
        }
        it.hook(hook);
        it.assert_whole("1.1.0", &format!("killed at {deaths:?}, finished by {hook}"));
        it.hook("stop");
    }
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn what_is_written_and_not_yet_restarted_is_finished_by_a_hook_of_any_name() {
    let it = Deployment::active();
    // Of all that is written the last, and systemd still has to read it.
    let to_file = Moment::When("grep -l log-file /etc/systemd/system/magnum-conductor.service.d/override.conf");
    let to_journal = Moment::When("grep -L log-file /etc/systemd/system/magnum-conductor.service.d/override.conf");
    let changes = [("file", &to_file), ("journal", &to_journal)];
    for (hook, (log_to, written)) in HOOKS.iter().step_by(soak(4, 1)).zip(changes.iter().cycle()) {
        let case = format!("log-to={log_to}, finished by {hook}");
        it.set(&[("log-to", log_to)]);
        assert!(it.kill_hook("config-changed", written), "{case}: too late");
        it.hook(hook);
        it.assert_status("active", &["Driver 1.1.0 grafted"], &case);
        for service in [API, CONDUCTOR] {
            let words = it.command_line(service);
            let logs_to_file = words.iter().any(|word| word.starts_with("--log-file="));
            assert_eq!(logs_to_file, *log_to == "file", "{case}: {words:?}");
        }
    }
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn an_installation_killed_at_any_moment_is_finished_by_the_next_hook() {
    let it = Deployment::bare();
    let before = it.files();
    let mut all = vec![
        Moment::When("ls -d /usr/local/lib/python3.11/.magnum-capi-helm-*"),
        Moment::When("ls -d /usr/local/lib/python3.11/.magnum-capi-helm-*/magnum_capi_helm"),
        Moment::Exists("/usr/local/lib/python3.11/dist-packages/magnum_capi_helm"),
    ];
    all.extend(moments(soak(1, 9), Duration::from_millis(1800)));
    for (moment, hook) in all.iter().zip(HOOKS.iter().cycle().skip(6)) {
        let case = format!("killed at {moment:?}, finished by {hook}");
        it.kill_hook("install", moment);
        it.hook(hook);
        it.assert_status("blocked", &["No kubeconfig"], &case);
        assert_eq!(it.installed_version(), "1.1.0", "{case}");
        assert_eq!(it.litter(), "", "{case}: litter");
        it.hook("stop");
        let diff = before.diff(&it.files());
        assert!(diff.is_empty(), "{case}, then stop: {diff}");
    }
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn a_change_of_the_pin_killed_at_any_moment_is_finished_by_the_next_hook() {
    let it = Deployment::active();
    let mut all = vec![
        Moment::When("ls -d /usr/local/lib/python3.11/.magnum-capi-helm-*/magnum_capi_helm"),
        Moment::When("grep -l 1.2.1 /usr/local/lib/python3.11/dist-packages/magnum_capi_helm-*/METADATA"),
        Moment::When("test $(systemctl show -p SubState --value magnum-api) != running && echo restarting"),
    ];
    all.extend(moments(soak(0, 9), Duration::from_millis(2500)));
    let mut versions = ["1.2.1", "1.1.0"].iter().cycle();
    let mut hooks = HOOKS.iter().cycle().skip(11);
    for (round, deaths) in all.chunks(3).enumerate() {
        let deaths: Vec<&[Moment]> = match round {
            0 => deaths.chunks(1).collect(),
            _ => vec![deaths],
        };
        for deaths in deaths {
            let (version, hook) = (versions.next().unwrap(), hooks.next().unwrap());
            let before = it.services();
            it.set(&[("driver-pin", &pin(version))]);
            for moment in deaths {
                it.kill_hook("config-changed", moment);
            }
            it.hook(hook);
            let case = format!("to {version}, killed at {deaths:?}, finished by {hook}");
            it.assert_whole(version, &case);
            assert_eq!(it.installed_version(), *version, "{case}");
            let after = it.services();
            assert_ne!(after.api.0, before.api.0, "{case}: {API} has the old driver");
            assert_ne!(after.conductor.0, before.conductor.0, "{case}");
        }
    }
}
