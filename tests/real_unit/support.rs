//! A unit with the charm on it, in one call, and the questions that the tests put to it.
//!
//! Whatever a hook or an action says, by any way, is held against the secrets of the test: no test
//! can pass while one of them shows.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use lab::{
    ActionRun, Application, Diff, Exec, HookRun, Machine, ManagementCluster, RESTLESS, Release,
    SecretUri, Snapshot, Unit, ensure_root,
};
use serde_json::json;

use crate::management::{self, TOKEN, leak};
use crate::presence::Presence;

pub const API: &str = "magnum-api";
pub const CONDUCTOR: &str = "magnum-conductor";
pub const KUBECONFIG: &str = "/etc/magnum/kubeconfig";
pub const CONF_DIRECTORY: &str = "/etc/magnum/magnum.conf.d";
pub const CONF: &str = "/etc/magnum/magnum.conf.d/99-capi.conf";
pub const DROP_INS: [&str; 2] = [
    "/etc/systemd/system/magnum-api.service.d/override.conf",
    "/etc/systemd/system/magnum-conductor.service.d/override.conf",
];
/// Where pip on Debian 12 installs to.
pub const SITE: &str = "/usr/local/lib/python3.11/dist-packages";
/// What the charm remembers.
pub const STATE: &str = "/var/lib/magnum-capi-helm";
/// The versions in the lab's package index, the charm's default first.
pub const VERSIONS: [&str; 4] = ["1.1.0", "1.2.1", "1.3.0", "1.4.0"];

/// Every hook in which the charm stays, and some that only other Jujus know.
pub const HOOKS: [&str; 18] = [
    "install",
    "config-changed",
    "start",
    "update-status",
    "upgrade-charm",
    "leader-elected",
    "leader-settings-changed",
    "pre-series-upgrade",
    "post-series-upgrade",
    "secret-changed",
    "secret-remove",
    "secret-expired",
    "magnum-relation-created",
    "magnum-relation-joined",
    "magnum-relation-changed",
    "magnum-relation-departed",
    "cluster-relation-created",
    "cluster-relation-changed",
];

/// The header of every file the charm writes.
const HEADER: &str =
    "# Written by the magnum-capi-helm charm, which puts back what is changed here.\n";

/// One unit of the charm on a machine of its own.
pub struct Deployment {
    pub application: Application,
    pub unit: Unit,
    /// It answers from the start.
    pub management: ManagementCluster,
    /// The secret with the kubeconfig.
    pub secret: SecretUri,
    _presence: Presence,
}

/// Both services: main process and restarts by systemd, as systemd counts them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Services {
    pub api: (u32, u32),
    pub conductor: (u32, u32),
}

impl Deployment {
    /// Magnum runs as its packages set it up; no hook has run.
    pub fn bare() -> Self {
        Self::bare_on(Release::Caracal)
    }

    /// The same on a unit of another release.
    pub fn bare_on(release: Release) -> Self {
        Self::bare_with(release, Presence::among())
    }

    fn bare_with(release: Release, presence: Presence) -> Self {
        let root = ensure_root(release, &mut |line| eprintln!("{line}")).unwrap();
        let machine = Machine::boot(&root, "magnum-0").unwrap();
        let management = management::start(&machine);
        machine.wait_for_magnum().unwrap();
        let mut application = application();
        // Nearly every test is about what a hook does: nothing else is to do it before.
        application.set_config(&[("guard", "false")]).unwrap();
        let unit = application.add_unit(machine, "magnum/0").unwrap();
        let secret = application
            .add_secret("capi-mgmt", &[("kubeconfig", &management.kubeconfig())])
            .unwrap();
        Self {
            application,
            unit,
            management,
            secret,
            _presence: presence,
        }
    }

    /// `juju deploy` and `juju relate`: blocked for want of a kubeconfig.
    pub fn deployed() -> Self {
        let deployment = Self::bare();
        deployment.deploy();
        deployment
    }

    /// The kubeconfig is granted, and the graft is whole.
    pub fn active() -> Self {
        Self::bare().grafted()
    }

    /// The same, and no other test runs meanwhile.
    pub fn active_alone() -> Self {
        Self::bare_with(Release::Caracal, Presence::alone()).grafted()
    }

    fn grafted(self) -> Self {
        let deployment = self;
        deployment.deploy();
        deployment.grant();
        deployment.hook("config-changed");
        deployment.assert_status("active", &["driver 1.1.0 grafted"], "after the grant");
        deployment
    }

    pub fn machine(&self) -> &Machine {
        self.unit.machine()
    }

    /// The key in the kubeconfig, as it stands there.
    pub fn key(&self) -> String {
        self.management.admin().key_data()
    }

    pub fn kubeconfig_with_token(&self) -> String {
        self.management.kubeconfig_with_token(TOKEN)
    }

    pub fn shell(&self, script: &str) -> String {
        self.machine().shell(script).unwrap()
    }

    /// `juju config`.
    pub fn set(&self, options: &[(&str, &str)]) {
        self.application.set_config(options).unwrap();
    }

    /// `juju grant-secret` and `juju config kubeconfig=…`.
    pub fn grant(&self) {
        self.application.grant(&self.secret).unwrap();
        self.set(&[("kubeconfig", self.secret.as_ref())]);
    }

    /// `juju update-secret`, without its hook.
    pub fn update_secret(&self, content: &[(&str, &str)]) {
        self.application
            .update_secret(&self.secret, content)
            .unwrap();
    }

    /// Everything Juju runs on a new unit.
    pub fn deploy(&self) -> Vec<HookRun> {
        self.all_well(self.unit.deploy().unwrap())
    }

    /// Everything Juju runs when the application goes.
    pub fn remove(&self) -> Vec<HookRun> {
        self.all_well(self.unit.remove().unwrap())
    }

    /// `juju refresh`, or `juju attach-resource`: new files, and then their hooks.
    pub fn upgrade(&self) -> Vec<HookRun> {
        self.all_well(self.unit.upgrade().unwrap())
    }

    /// A hook that must end well.
    #[track_caller]
    pub fn hook(&self, name: &str) -> HookRun {
        let run = self.failing_hook(name);
        assert_eq!(run.exit, Some(0), "{}", run.describe());
        run
    }

    /// A hook, however it ends.
    pub fn failing_hook(&self, name: &str) -> HookRun {
        let run = match name {
            "secret-changed" => self.unit.secret_changed(&self.secret),
            _ => self.unit.hook(name),
        };
        self.heard(run.unwrap())
    }

    /// A hook that must end well, and the programs it started.
    pub fn hook_traced(&self, name: &str) -> (HookRun, Vec<Exec>) {
        let (run, execs) = self.unit.hook_traced(name).unwrap();
        assert_eq!(run.exit, Some(0), "{}", run.describe());
        for exec in &execs {
            assert_silent(&self.management, &exec.argv.join(" "), "a command line");
        }
        (self.heard(run), execs)
    }

    /// An action, however it ends.
    pub fn action(&self, name: &str) -> ActionRun {
        let action = self.unit.action(name, &json!({})).unwrap();
        self.heard(action.run.clone());
        let said = format!("{:?} {} {:?}", action.results, action.message, action.log);
        assert_silent(&self.management, &said, name);
        action
    }

    /// Holds what a run said against the secrets.
    pub fn heard(&self, run: HookRun) -> HookRun {
        let status = self.unit.status();
        eprintln!(
            "{} -> {}: {}\n{}",
            run.name,
            status.0,
            status.1,
            run.log_text()
        );
        assert_silent(&self.management, &run.describe(), &run.name);
        let history = self.unit.status_history();
        assert_silent(
            &self.management,
            &format!("{history:?}"),
            "the status history",
        );
        run
    }

    fn all_well(&self, runs: Vec<HookRun>) -> Vec<HookRun> {
        let runs: Vec<HookRun> = runs.into_iter().map(|run| self.heard(run)).collect();
        for run in &runs {
            assert_eq!(run.exit, Some(0), "{}", run.describe());
        }
        assert_eq!(self.unit.agent_error(), None);
        runs
    }

    /// The unit's status is `kind` and its message has all these words.
    #[track_caller]
    pub fn assert_status(&self, kind: &str, words: &[&str], case: &str) {
        let (found, message) = self.unit.status();
        if found != kind {
            panic!(
                "{case}: {found} instead of {kind}, and the status says {message:?}\n{}",
                self.why()
            );
        }
        for word in words {
            assert!(
                message.contains(word),
                "{case}: no {word:?} in the status {message:?}"
            );
        }
    }

    /// What the services last said of themselves, for the message of a failed test.
    pub fn why(&self) -> String {
        self.shell(&format!(
            "journalctl --quiet --no-pager --output=short-precise -u {API} -u {CONDUCTOR} |
             grep -vP 'WARNING| INFO (?!magnum_capi_helm)' | tail -n 60"
        ))
    }

    pub fn services(&self) -> Services {
        let shown = self.shell(&format!(
            "systemctl show --property=MainPID,NRestarts --value {API} {CONDUCTOR}"
        ));
        let numbers: Vec<u32> = shown
            .split_whitespace()
            .map(|n| n.parse().unwrap())
            .collect();
        let [api, api_restarts, conductor, conductor_restarts] = numbers[..] else {
            panic!("systemctl show printed {shown:?}");
        };
        Services {
            api: (api, api_restarts),
            conductor: (conductor, conductor_restarts),
        }
    }

    /// The graft's files, and nothing that others write.
    pub fn graft(&self) -> Snapshot {
        let mut roots = vec![KUBECONFIG.to_owned(), CONF_DIRECTORY.to_owned()];
        roots.extend(DROP_INS.map(|path| path.trim_end_matches("/override.conf").to_owned()));
        roots.push(format!("{SITE}/magnum_capi_helm"));
        roots.extend(VERSIONS.map(dist_info));
        let roots: Vec<&str> = roots.iter().map(String::as_str).collect();
        self.machine().snapshot(&roots, &[]).unwrap()
    }

    /// Everything a charm could change on the unit, but its own state.
    pub fn files(&self) -> Snapshot {
        let mut except = RESTLESS.to_vec();
        except.push(STATE);
        self.machine()
            .snapshot(&["/etc", "/usr/local", "/var/lib"], &except)
            .unwrap()
    }

    /// Temporary files that a hook left behind, anywhere.
    pub fn litter(&self) -> String {
        self.shell(
            "find /etc /usr/local /var /root -name '*.magnum-capi-helm-*' -o -name '*.partial'",
        )
    }

    /// The arguments of a service's main process.
    pub fn command_line(&self, service: &str) -> Vec<String> {
        let pid = self.machine().pid_of(service).unwrap();
        self.machine().cmdline(pid).unwrap()
    }

    /// Installed packages, of dpkg and of Python.
    pub fn packages(&self) -> String {
        self.shell("dpkg-query --show; python3 -m pip list --format=freeze")
    }

    /// Every part of the graft, asked for by the test's own means: files byte for byte, both
    /// processes, the driver's version, no litter.
    #[track_caller]
    pub fn assert_whole(&self, version: &str, case: &str) {
        self.assert_status("active", &[&format!("driver {version} grafted")], case);
        assert_eq!(self.unit.app_version(), version, "{case}: workload version");
        let group: u32 = self.shell("id -g magnum").trim().parse().unwrap();
        let mut files = vec![
            (KUBECONFIG, self.management.kubeconfig(), (0, group, 0o640)),
            (CONF, conf(""), (0, 0, 0o644)),
        ];
        for (path, service) in DROP_INS.into_iter().zip([API, CONDUCTOR]) {
            files.push((path, drop_in(service), (0, 0, 0o644)));
        }
        for (path, content, access) in files {
            let found = self.machine().read_text(path).unwrap();
            assert!(found == content, "{case}: {path} holds\n{found}");
            let meta = self.machine().metadata(path).unwrap().unwrap();
            let found = (meta.st_uid, meta.st_gid, meta.st_mode & 0o7777);
            assert_eq!(found, access, "{case}: owner and mode of {path}");
        }
        for service in [API, CONDUCTOR] {
            let words = self.command_line(service);
            assert_eq!(
                words.join(" "),
                format!("/usr/bin/python3 {}", command_line(service)),
                "{case}"
            );
        }
        let installed = self.shell(&format!("cd {SITE}; ls -d magnum_capi_helm*"));
        let expected = format!("magnum_capi_helm\nmagnum_capi_helm-{version}.dist-info\n");
        assert_eq!(installed, expected, "{case}: installed drivers");
        assert_eq!(self.litter(), "", "{case}: litter");
    }

    /// The driver as pip sees it.
    pub fn pip_version(&self) -> String {
        let shown = self.shell("python3 -m pip show magnum-capi-helm 2>/dev/null || true");
        let version = shown
            .lines()
            .find_map(|line| line.strip_prefix("Version: "));
        version.unwrap_or("none").to_owned()
    }

    /// What Magnum itself makes of the conductor's own arguments, asked as user magnum.
    pub fn ask_magnum(&self) -> serde_json::Value {
        let mut command = vec![
            "sudo",
            "-u",
            "magnum",
            "/usr/bin/python3",
            "-c",
            include_str!("ask_magnum.py"),
        ];
        let words = self.command_line(CONDUCTOR);
        command.extend(words.iter().skip(2).map(String::as_str));
        let asked = self.machine().run(&command).unwrap();
        assert!(asked.ok(), "asking Magnum: {}", asked.stderr);
        let answer = asked.stdout.lines().last().unwrap_or_default();
        serde_json::from_str(answer).unwrap()
    }

    /// Runs a hook that is killed at `moment`; whether it really was.
    pub fn kill_hook(&self, name: &str, moment: &Moment) -> bool {
        let run = match moment {
            Moment::After(delay) => self.unit.kill_hook_after(name, *delay),
            Moment::When(script) => {
                let is_it_time = format!("test -n \"$({script})\"");
                self.unit.kill_hook_when(name, |unit| {
                    unit.machine().run(&["sh", "-c", &is_it_time]).unwrap().ok()
                })
            }
            Moment::Exists(path) => self
                .unit
                .kill_hook_when(name, |unit| unit.machine().exists(path).unwrap()),
        };
        self.heard(run.unwrap()).signal == Some(9)
    }
}

/// `juju deploy` of the packed charm, without a unit.
pub fn application() -> Application {
    let variable = |name: &str| {
        PathBuf::from(std::env::var_os(name).unwrap_or_else(|| {
            panic!("{name} is not set: these tests are run by `cargo xtask test`")
        }))
    };
    let (charm, tool) = (variable("LAB_CHARM"), variable("LAB_JUJU_TOOL"));
    Application::new(&charm, &tool, "magnum-capi-helm").unwrap()
}

/// When to kill a hook.
#[derive(Debug, Clone)]
pub enum Moment {
    /// So long after its start.
    After(Duration),
    /// As soon as there is something at this path.
    Exists(&'static str),
    /// As soon as this shell command prints something.
    When(&'static str),
}

/// Moments spread over `range` without a pattern, the same ones in each run of the test.
pub fn moments(count: u32, range: Duration) -> impl Iterator<Item = Moment> {
    // The fractional parts of the multiples of the golden ratio: never close together.
    (1..=count).map(move |n| Moment::After(range.mul_f64(f64::from(n) * 0.618_034 % 1.0)))
}

/// Nothing of a secret shows in `text`.
#[track_caller]
pub fn assert_silent(management: &ManagementCluster, text: &str, place: &str) {
    if let Some(what) = leak(management, text) {
        panic!("{place} holds {what}");
    }
}

/// The differences are these paths and no others.
#[track_caller]
pub fn assert_differs(diff: &Diff, paths: &[&str], case: &str) {
    assert_eq!(diff.paths(), paths, "{case}: {diff}");
}

#[track_caller]
pub fn assert_same(diff: &Diff, case: &str) {
    assert!(diff.is_empty(), "{case}: changed:\n{diff}");
}

/// The command line of the runbook's section 8.
pub fn command_line(service: &str) -> String {
    format!(
        "/usr/bin/{service} --config-file=/etc/magnum/magnum.conf --config-dir={CONF_DIRECTORY}"
    )
}

pub fn drop_in(service: &str) -> String {
    let command_line = command_line(service);
    format!("{HEADER}[Service]\nExecStart=\nExecStart={command_line}\n")
}

/// 99-capi.conf with these further lines.
pub fn conf(options: &str) -> String {
    format!(
        "{HEADER}[DEFAULT]\nenabled_drivers = k8s_capi_helm_v1\n\n\
         [drivers]\ndisabled_drivers = k8s_fedora_coreos_v1\n\n\
         [capi_helm]\nkubeconfig_file = {KUBECONFIG}\n{options}"
    )
}

pub fn dist_info(version: &str) -> String {
    format!("{SITE}/magnum_capi_helm-{version}.dist-info")
}

pub fn pin(version: &str) -> String {
    format!("magnum-capi-helm=={version}")
}

/// Prints how long a part of a test took.
pub fn timed<T>(what: &str, part: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = part();
    eprintln!("{what}: {:.1} s", start.elapsed().as_secs_f64());
    result
}
