//! Three units of the charm on three machines, as one application.

use std::time::Duration;

use lab::{Application, HookRun, Machine, ManagementCluster, Release, SecretUri, Unit, ensure_root};

use crate::support::management;
use crate::support::{API, CONDUCTOR, INDEX, application, assert_silent};

/// A roll through three units takes about half a minute, and much longer on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(900);

pub struct Cluster {
    pub application: Application,
    pub units: Vec<Unit>,
    management: ManagementCluster,
    secret: SecretUri,
}

impl Cluster {
    /// Three machines with Magnum, and the charm unpacked on each; no hook has run.
    pub fn bare() -> Self {
        let root = ensure_root(Release::Caracal, &mut |line| eprintln!("{line}")).unwrap();
        let names = ["magnum-0", "magnum-1", "magnum-2"];
        let machines: Vec<Machine> = std::thread::scope(|scope| {
            let booting = names.map(|name| scope.spawn(|| Machine::boot(&root, name).unwrap()));
            booting.map(|machine| machine.join().unwrap()).into()
        });
        let management = management::start(&machines[0]);
        for machine in &machines[1..] {
            management.serve(machine).unwrap();
        }
        for machine in &machines {
            machine.wait_for_magnum().unwrap();
        }
        let mut application = application();
        let numbered = machines.into_iter().enumerate();
        let units = numbered.map(|(number, machine)| {
            let principal = format!("magnum/{number}");
            application.add_unit(machine, &principal).unwrap()
        });
        let units = units.collect();
        application.set_config(&[("index-url", INDEX)]).unwrap();
        let secret = application.add_secret("capi-mgmt", &[("kubeconfig", &management.kubeconfig())]).unwrap();
        Self { application, units, management, secret }
    }

    /// All units are grafted, and know each other; nothing but their hooks does anything.
    pub fn active() -> Self {
        let cluster = Self::bare();
        cluster.set(&[("guard", "false")]);
        cluster.install();
        cluster
    }

    /// The charm comes to all units at the same time, with all it needs.
    pub fn install(&self) {
        self.application.grant(&self.secret).unwrap();
        self.set(&[("kubeconfig", self.secret.as_ref())]);
        std::thread::scope(|scope| {
            for unit in &self.units {
                scope.spawn(|| self.heard(unit.deploy().unwrap()));
            }
        });
        self.run(None);
        self.assert_active();
    }

    pub fn set(&self, options: &[(&str, &str)]) {
        self.application.set_config(options).unwrap();
    }

    /// All agents run until none has anything to do, first of all this hook.
    pub fn run(&self, hook: Option<&str>) -> Vec<Vec<HookRun>> {
        self.run_only(&[0, 1, 2], hook)
    }

    /// The agents of these units run; those of the others hang.
    pub fn run_only(&self, which: &[usize], hook: Option<&str>) -> Vec<Vec<HookRun>> {
        let units: Vec<&Unit> = which.iter().map(|at| &self.units[*at]).collect();
        let runs = Unit::run_together(&units, hook, LIMIT).unwrap();
        runs.into_iter().map(|runs| self.heard(runs)).collect()
    }

    /// A hook on one unit.
    pub fn hook(&self, at: usize, name: &str) -> HookRun {
        let run = self.units[at].hook(name).unwrap();
        self.heard(vec![run]).remove(0)
    }

    fn heard(&self, runs: Vec<HookRun>) -> Vec<HookRun> {
        for run in &runs {
            assert!(run.ok(), "{}", run.describe());
            assert_silent(&self.management, &run.describe(), &run.name);
        }
        runs
    }

    #[track_caller]
    pub fn assert_active(&self) {
        for unit in &self.units {
            let (kind, message) = unit.status();
            assert_eq!(kind, "active", "{}: {message}", unit.name());
        }
    }

    /// How often systemd was told to start each service of a unit, since the machine has booted.
    pub fn starts(&self, at: usize) -> [usize; 2] {
        [API, CONDUCTOR].map(|service| {
            let told = self.units[at]
                .machine()
                .shell(&format!("journalctl --quiet --output=cat -u {service} | grep -c '^Started {service}' || true"));
            told.unwrap().trim().parse().unwrap()
        })
    }

    /// The main processes of a unit's services.
    pub fn processes(&self, at: usize) -> [u32; 2] {
        [API, CONDUCTOR].map(|service| self.units[at].machine().pid_of(service).unwrap())
    }
}
