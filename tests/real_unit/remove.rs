//! The charm goes, and the unit is as it was before the charm came.

use std::time::Duration;

use lab::ActionRun;

use crate::support::{
    API, CONDUCTOR, CONF, CONF_DIRECTORY, Deployment, HOOKS, KUBECONFIG, Moment, SITE, STATE, assert_same, dist_info,
    moments, soak,
};

/// What the running services themselves write below Magnum's home: their database, and stevedore's cache
/// of entry points.
const WRITTEN_BY_MAGNUM: [&str; 2] = ["/var/lib/magnum/magnum.sqlite*", "/var/lib/magnum/.cache/python-entrypoints"];

/// All that a removal must bring back. The files are those of /etc, /usr/local and /var/lib, but
/// for what the running services write and the agent's.
struct Unit {
    files: lab::Snapshot,
    magnum_home: lab::Snapshot,
    packages: String,
    command_lines: Vec<Vec<String>>,
    enabled: String,
}

impl Unit {
    fn look(it: &Deployment) -> Self {
        Self {
            files: it.files(),
            magnum_home: it.machine().snapshot(&["/var/lib/magnum"], &WRITTEN_BY_MAGNUM).unwrap(),
            packages: it.packages(),
            command_lines: [API, CONDUCTOR].map(|name| it.command_line(name)).into(),
            enabled: it.shell(&format!(
                "systemctl show {API} {CONDUCTOR} --property=UnitFileState,DropInPaths,ExecStart,NeedDaemonReload |
                 sed 's/ ; start_time=.*//'"
            )),
        }
    }

    #[track_caller]
    fn assert_is_back(&self, it: &Deployment, case: &str) {
        let now = Self::look(it);
        assert_same(&self.files.diff(&now.files), case);
        assert_same(&self.magnum_home.diff(&now.magnum_home), case);
        assert_eq!(self.packages, now.packages, "{case}: packages");
        assert_eq!(self.command_lines, now.command_lines, "{case}");
        assert_eq!(self.enabled, now.enabled, "{case}: what systemd knows");
        assert!(!it.machine().exists(STATE).unwrap(), "{case}: {STATE}");
        assert_eq!(it.litter(), "", "{case}: litter");
    }
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn removal_leaves_the_unit_as_it_was() {
    let it = Deployment::bare();
    it.set(&[("guard", "true")]);
    let before = Unit::look(&it);
    it.deploy();
    it.grant();
    it.hook("config-changed");
    it.assert_whole("1.1.0", "before the removal");
    // As a hook that was just killed leaves it.
    it.shell("mkdir /run/.magnum-capi-helm-left; touch /run/.magnum-capi-helm-left/kubeconfig");
    it.remove();
    assert_eq!(it.shell("find /run -maxdepth 1 -name '.magnum-capi-helm-*'"), "", "a copy of a kubeconfig");
    before.assert_is_back(&it, "removed");
    it.machine().wait_for_magnum().unwrap();
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn what_an_operator_had_there_is_put_back() {
    let it = Deployment::bare();
    let drop_in = format!("/etc/systemd/system/{API}.service.d/override.conf");
    it.shell(&format!(
        "mkdir -m 0750 {CONF_DIRECTORY}; chown root:magnum {CONF_DIRECTORY}
         printf '[DEFAULT]\\n# an operator\\ndebug = True\\n' >{CONF}; chmod 0640 {CONF}; chgrp magnum {CONF}
         printf '[capi_helm]\\nnamespace_prefix = mine\\n' >{CONF_DIRECTORY}/50-mine.conf
         printf 'a kubeconfig of the operator\\n' >{KUBECONFIG}; chmod 0600 {KUBECONFIG}; chown magnum:nogroup {KUBECONFIG}
         mkdir {directory}; printf '[Service]\\nEnvironment=OPERATOR=1\\n' >{drop_in}
         chmod 0600 {drop_in}; chown nobody:nogroup {drop_in}; ln -s override.conf {directory}/link.conf
         PIP_BREAK_SYSTEM_PACKAGES=1 python3 -m pip install -q --no-deps --root-user-action=ignore magnum-capi-helm==1.2.1
         touch -d '2024-05-06 07:08:09' {CONF} {KUBECONFIG} {drop_in} {driver}
         systemctl daemon-reload; systemctl restart {API} {CONDUCTOR}",
        directory = drop_in.trim_end_matches("/override.conf"),
        driver = dist_info("1.2.1"),
    ));
    it.machine().wait_for_magnum().unwrap();
    let theirs = [CONF, KUBECONFIG, &drop_in, &dist_info("1.2.1")]
        .map(|path| it.shell(&format!("stat -c '%n %U:%G %a %y' {path}")));
    let before = Unit::look(&it);

    it.deploy();
    it.grant();
    let mut named = vec![
        format!("{}: a directory of root:root, mode 0755; backed up", dist_info("1.2.1")),
        format!("{SITE}/magnum_capi_helm: a directory of root:root, mode 0755; backed up"),
        format!("{KUBECONFIG}: a file of magnum:nogroup, mode 0600; will be backed up"),
        format!("{CONF}: a file of root:magnum, mode 0640; will be backed up"),
        format!("{drop_in}: a file of nobody:nogroup, mode 0600; will be backed up"),
    ];
    let plan = it.action("plan");
    assert_eq!(kept(&plan), sorted(&named), "before they are written");
    it.hook("config-changed");
    it.assert_status("active", &["Driver 1.1.0 grafted"], "over the operator's own");
    for line in &mut named {
        *line = line.replace("will be backed up", "backed up");
    }
    assert_eq!(kept(&it.action("plan")), sorted(&named), "once they are");
    assert_eq!(it.installed_version(), "1.1.0");
    it.remove();
    before.assert_is_back(&it, "removed");
    let now = [CONF, KUBECONFIG, &drop_in, &dist_info("1.2.1")]
        .map(|path| it.shell(&format!("stat -c '%n %U:%G %a %y' {path}")));
    assert_eq!(theirs, now, "owners, modes and times");
    it.machine().wait_for_magnum().unwrap();
}

/// What `plan` says is or will be kept.
fn kept(plan: &ActionRun) -> Vec<String> {
    let lines: Vec<String> = plan.results["kept"].lines().map(str::to_owned).collect();
    sorted(&lines)
}

fn sorted(lines: &[String]) -> Vec<String> {
    let mut lines = lines.to_vec();
    lines.sort();
    lines
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn clusters_that_lose_their_driver_are_named_before() {
    let it = Deployment::grafted();
    it.machine().push("/root/clusters.py", include_bytes!("clusters.py"), 0o644).unwrap();
    // SQLite takes one writer at a time.
    let printed = it.shell(&format!(
        "systemctl stop {API} {CONDUCTOR}; cp /root/clusters.py /tmp/
         sudo -u magnum python3 /tmp/clusters.py one:ubuntu two:flatcar heat:fedora-coreos
         systemctl start {API} {CONDUCTOR}"
    ));
    it.machine().wait_for_magnum().unwrap();
    let uuids: Vec<&str> = printed.split_whitespace().collect();
    let log = it.hook("stop").log_text();
    let named = format!(": one ({}), two ({})", uuids[0], uuids[1]);
    assert!(log.contains("2 clusters made through Cluster API lose their driver"), "{log}");
    assert!(log.contains(&named), "{log}");
    assert!(!log.contains("heat"), "{log}");
    let log = it.hook("remove").log_text();
    assert!(!log.contains("clusters"), "once is enough: {log}");
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn after_many_hooks_and_actions_in_any_order_the_unit_is_as_it_was() {
    let it = Deployment::bare();
    it.set(&[("guard", "true")]);
    let before = Unit::look(&it);
    it.deploy();
    let hooks: Vec<&str> = HOOKS.into_iter().filter(|hook| *hook != "secret-changed").collect();
    let options = [
        ("capi-helm-options", "namespace_prefix = other"),
        ("capi-helm-options", ""),
        ("driver-pin", "magnum-capi-helm==1.2.1"),
        ("driver-pin", "magnum-capi-helm==1.1.0"),
        ("driver-pin", "magnum-capi-helm==9.9"),
        ("disable-other-drivers", "false"),
        ("guard", "false"),
        ("guard", "true"),
        ("log-to", "file"),
        ("log-to", "journal"),
        ("restart-mode", "immediate"),
    ];
    let mut random = fastrand::Rng::with_seed(2024);
    let mut any = |below: usize| random.usize(..below);
    let actions = ["plan", "verify", "restart", "capture-state"];
    let (mut run, runs) = (0, soak(12, 100));
    while run < runs {
        if run == runs / 4 {
            it.grant();
        }
        match any(10) {
            1 | 2 => it.set(&[options[any(options.len())]]),
            other => {
                match other {
                    0 => drop(it.action(actions[any(actions.len())])),
                    _ => drop(it.hook(hooks[any(hooks.len())])),
                }
                run += 1;
            }
        }
    }
    it.set(&[("driver-pin", "magnum-capi-helm==1.1.0")]);
    it.hook("config-changed");
    it.assert_status("active", &["Driver 1.1.0 grafted"], "in the end");
    it.remove();
    before.assert_is_back(&it, "removed");
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn departure_hooks_work_in_any_order_and_are_finished_when_one_is_killed() {
    let it = Deployment::grafted();
    it.hook("stop");
    let before = Unit::look(&it);
    let died = |moment: Moment| ("stop", Some(moment));
    let mut cases = vec![
        vec![("remove", None), ("stop", None), ("stop", None)],
        vec![
            died(Moment::When("test ! -e /etc/systemd/system/magnum-conductor.service.d/override.conf && echo gone")),
            died(Moment::When("test ! -e /etc/magnum/magnum.conf.d/99-capi.conf && echo gone")),
            ("remove", None),
        ],
    ];
    let random: Vec<_> = moments(soak(0, 9), Duration::from_millis(700)).map(died).collect();
    cases.extend(random.chunks(3).map(|deaths| [deaths, &[("stop", None)]].concat()));
    // Last, since the relation can only go once.
    cases.push(vec![("magnum-relation-broken", None), ("remove", None)]);
    for case in cases {
        it.hook("install");
        it.assert_status("active", &["Driver 1.1.0 grafted"], "grafted anew");
        for (hook, moment) in &case {
            match moment {
                Some(moment) => drop(it.kill_hook(hook, moment)),
                None => drop(it.hook(hook)),
            }
        }
        before.assert_is_back(&it, &format!("{case:?}"));
    }
    // An operator moved the directory elsewhere: the charm follows no link, and changes nothing until it is back.
    it.hook("install");
    it.shell(&format!("mv {CONF_DIRECTORY} /root/moved; ln -s /root/moved {CONF_DIRECTORY}"));
    let services = it.services();
    let run = it.failing_hook("stop");
    assert_eq!(run.exit, Some(1), "{}", run.describe());
    assert!(run.log_text().contains(&format!("{CONF_DIRECTORY} is a symbolic link")), "{}", run.describe());
    assert_eq!(it.services(), services, "nothing was restarted");
    it.shell(&format!("rm {CONF_DIRECTORY}; mv /root/moved {CONF_DIRECTORY}"));
    it.hook("stop");
    before.assert_is_back(&it, "removed once the directory is back");
    // And with nothing left to do.
    let services = it.services();
    it.hook("stop");
    assert_eq!(it.services(), services, "a second departure restarts nothing");
}
