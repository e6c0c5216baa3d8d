//! A unit with the charm on it, in one call, and the questions that the tests put to it.
//!
//! Whatever a hook or an action says, by any way, is held against the secrets of the test: no test
//! can pass while one of them shows.

mod graft;
pub mod malformed;
pub mod management;
pub mod mirror;
mod moment;
mod pool;
mod questions;
pub mod scanner;
mod shared;

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use lab::{ActionRun, Application, Exec, HookRun, Machine, ManagementCluster, Release, SecretUri, Unit, ensure_root};
use serde_json::json;

pub use graft::*;
use management::TOKEN;
pub use moment::{Enough, Moment, eventually, moments, soak, timed};
pub use pool::{Lent, Pool, Reusable};
pub use questions::{Services, assert_differs, assert_same, assert_silent};
pub use shared::Shared;

/// One unit of the charm on a machine of its own.
pub struct Deployment {
    pub application: Application,
    pub unit: Unit,
    /// It answers from the start.
    pub management: ManagementCluster,
    /// The secret with the kubeconfig.
    pub secret: SecretUri,
    /// Everything that hooks and actions have logged.
    logged: Mutex<String>,
}

impl Deployment {
    /// Magnum runs as its packages set it up; no hook has run.
    pub fn bare() -> Self {
        Self::bare_on(Release::Caracal)
    }

    /// The same on a unit of another release.
    pub fn bare_on(release: Release) -> Self {
        let root = ensure_root(release, &mut |line| eprintln!("{line}")).unwrap();
        let machine = Machine::boot(&root, "magnum-0").unwrap();
        let management = management::start(&machine);
        machine.wait_for_magnum().unwrap();
        let mut application = application();
        // Nearly every test is about what a hook does: nothing else is to do it before.
        application.set_config(&[("guard", "false"), ("index-url", INDEX)]).unwrap();
        let unit = application.add_unit(machine, "magnum/0").unwrap();
        let secret = application.add_secret("capi-mgmt", &[("kubeconfig", &management.kubeconfig())]).unwrap();
        Self { application, unit, management, secret, logged: Mutex::default() }
    }

    /// `juju deploy` and `juju relate`: blocked for want of a kubeconfig.
    pub fn deployed() -> Self {
        let deployment = Self::bare();
        deployment.deploy();
        deployment
    }

    /// The kubeconfig is granted, and the graft is whole. Nobody else gets this unit, as with
    /// [`Deployment::active`].
    pub fn grafted() -> Self {
        let deployment = Self::deployed();
        deployment.grant();
        deployment.hook("config-changed");
        deployment.assert_status("active", &["Driver 1.1.0 grafted"], "after the grant");
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
        self.application.update_secret(&self.secret, content).unwrap();
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
        eprintln!("{} -> {}: {}\n{}", run.name, status.0, status.1, run.log_text());
        assert_silent(&self.management, &run.describe(), &run.name);
        self.logged.lock().unwrap_or_else(PoisonError::into_inner).push_str(&run.log_text());
        let history = self.unit.status_history();
        assert_silent(&self.management, &format!("{history:?}"), "the status history");
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
}

/// `juju deploy` of the packed charm, without a unit.
pub fn application() -> Application {
    let variable = |name: &str| {
        PathBuf::from(
            std::env::var_os(name)
                .unwrap_or_else(|| panic!("{name} is not set: these tests are run by `cargo xtask test`")),
        )
    };
    let (charm, tool) = (variable("LAB_CHARM"), variable("LAB_JUJU_TOOL"));
    Application::new(&charm, &tool, "magnum-capi-helm").unwrap()
}
