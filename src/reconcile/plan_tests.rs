//! The plan, proven without a machine: steps are applied to a model of the unit.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use super::*;
use crate::graft::defaults::Defaults;
use crate::graft::driver::{Driver, Installed, Knowledge};
use crate::graft::files::directories;
use crate::graft::{Facts, Service};
use crate::ground::Ground;
use crate::settings::{ChartSource, DriverSource, HelmSource, LogTo, RestartMode, Settings};
use crate::unit::files::{Access, File};
use crate::unit::process::Process;
use crate::unit::python::Python;
use crate::unit::systemd::Unit;

pub fn settings(options: &str) -> Settings {
    let kubeconfig = "current-context: a\n\
        contexts: [{name: a, context: {cluster: c, user: u}}]\n\
        clusters: [{name: c, cluster: {server: 'https://192.0.2.1'}}]\n\
        users: [{name: u, user: {client-certificate: /c, client-key: /k}}]\n";
    Settings {
        driver: DriverSource {
            pin: "magnum-capi-helm==1.1.0".parse().unwrap(),
            sha256: None,
            index: None,
            wheel: None,
        },
        helm: HelmSource::Found,
        chart: ChartSource::default(),
        kubeconfig: Some(kubeconfig.parse().unwrap()),
        expiry_warning_days: 30,
        disable_other_drivers: true,
        capi_helm_options: options.parse().unwrap(),
        log_to: LogTo::Journal,
        guard: true,
        restart_mode: RestartMode::Rolling,
    }
}

pub fn ground() -> Ground {
    Ground {
        python: Python {
            executable: "/usr/bin/python3".into(),
            version: "3.11.2".into(),
            site: "/usr/local/lib/python3.11/dist-packages".into(),
            path: vec![],
        },
        magnum: "18.0.0".into(),
        magnum_gid: 64,
        other_drivers: vec!["k8s_fedora_coreos_v1".into()],
        before_site: vec![],
        defaults: Service::ALL
            .map(|service| (service, Defaults::default()))
            .into(),
        charm: "/charm/dispatch".into(),
    }
}

pub fn facts() -> Facts {
    let options = ["kubeconfig_file", "helm_chart_name", "namespace_prefix"];
    Facts {
        driver: Knowledge::example("magnum-capi-helm==1.1.0", "build", &options),
        helm: None,
        chart: None,
    }
}

pub fn desired(settings: &Settings) -> Desired {
    Desired::new(settings, &ground(), &facts()).unwrap()
}

/// A unit with Magnum, helm, and nothing of ours; a tick of its clock is a second.
#[derive(Clone)]
struct Model {
    seen: Observed,
    clock: u32,
}

fn at(tick: u32) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(tick.into())
}

impl Model {
    fn fresh() -> Self {
        let service = |service: Service| Seen {
            service,
            unit: Unit {
                load_state: "loaded".into(),
                unit_file_state: "enabled".into(),
                active_state: "active".into(),
                exec_start: vec![format!("/etc/init.d/{} systemd-start", service.name())],
                ..Unit::default()
            },
            process: Some(process(service.program(), 1)),
            read: None,
        };
        Self {
            seen: Observed {
                driver: Installed::default(),
                shadows: vec![],
                helm: Some(helm::Found {
                    path: "/usr/bin/helm".into(),
                    known: None,
                }),
                chart: Entry::Absent,
                kubeconfig: Entry::Absent,
                conf: Entry::Absent,
                drop_ins: vec![Entry::Absent; 2],
                missing_directories: directories().collect(),
                litter: vec![],
                services: Service::ALL.map(service).to_vec(),
                guard: guard::Seen {
                    files: vec![Entry::Absent; 3],
                    units: vec![Unit::default(); 3],
                },
                written: vec![],
            },
            clock: 1,
        }
    }

    fn grafted(desired: &Desired) -> Self {
        let mut model = Self::fresh();
        model.converge(desired);
        model
    }

    fn apply(&mut self, step: &Step) {
        self.clock += 1;
        let now = at(self.clock);
        match step {
            Step::RemoveLitter(path) => self.seen.litter.retain(|litter| litter != path),
            Step::MakeDirectory(path) => self.seen.missing_directories.retain(|dir| dir != path),
            Step::SetAside(path) => self.seen.shadows.retain(|shadow| shadow != path),
            Step::InstallHelm { .. } => self.seen.helm = Some(helm::Found::example("given")),
            Step::InstallDriver { pin, .. } => self.seen.driver = installed(pin, now),
            Step::Write { file, .. } => {
                let parent = file.path.parent().unwrap();
                assert!(
                    !self
                        .seen
                        .missing_directories
                        .iter()
                        .any(|dir| dir == parent),
                    "{} is written before its directory is made",
                    file.path.display()
                );
                self.put(&file.path, entry(&file.bytes, file.access, now));
                self.unknown_to_systemd(&file.path);
                if !self.seen.written.iter().any(|(path, _)| *path == file.path) {
                    self.seen.written.push((file.path.clone(), Before::Absent));
                }
            }
            Step::Restore(path, _) => {
                self.put(path, Entry::Absent);
                self.unknown_to_systemd(path);
                self.seen.written.retain(|(written, _)| written != path);
            }
            Step::ReloadSystemd => {
                for (service, drop_in) in self.seen.services.iter_mut().zip(&self.seen.drop_ins) {
                    service.unit.need_daemon_reload = false;
                    let command_line = match drop_in {
                        Entry::File(file) => String::from_utf8_lossy(&file.bytes)
                            .lines()
                            .rev()
                            .find_map(|line| line.strip_prefix("ExecStart="))
                            .map(str::to_owned),
                        _ => None,
                    };
                    let ours = command_line.is_some();
                    let known = ours.then(|| service.service.drop_in().into());
                    service.unit.drop_ins = known.into_iter().collect();
                    service.unit.exec_start = vec![command_line.unwrap_or_else(|| {
                        format!("/etc/init.d/{} systemd-start", service.service.name())
                    })];
                }
                let guard = &mut self.seen.guard;
                for (unit, file) in guard.units.iter_mut().zip(&guard.files) {
                    unit.need_daemon_reload = false;
                    unit.load_state = match file {
                        Entry::File(_) => "loaded".into(),
                        _ => "not-found".into(),
                    };
                }
            }
            Step::StartGuard => {
                let watch = &mut self.seen.guard.units[0];
                assert!(
                    watch.exists(),
                    "the guard is started before systemd knows it"
                );
                watch.active_state = "active".into();
                watch.unit_file_state = "enabled".into();
            }
            Step::StopGuard => {
                let watch = &mut self.seen.guard.units[0];
                watch.active_state = "inactive".into();
                watch.unit_file_state = "disabled".into();
            }
            Step::Restart(services) => {
                for (service, _) in services {
                    let at = Service::ALL
                        .iter()
                        .position(|known| known == service)
                        .unwrap();
                    let seen = &mut self.seen.services[at];
                    seen.process = Some(process(&seen.unit.exec_start[0], self.clock));
                    seen.read = None;
                    seen.unit.active_state = "active".into();
                }
            }
        }
    }

    fn remains(&self) -> Remains {
        Remains {
            written: self.seen.written.clone(),
            litter: vec![],
            services: self.seen.services.clone(),
        }
    }

    /// As a hook does: plan, apply, look again, record.
    fn converge(&mut self, desired: &Desired) -> Vec<Step> {
        let steps = plan(desired, &self.seen);
        for step in &steps {
            self.apply(step);
        }
        self.record(desired);
        steps
    }

    fn record(&mut self, desired: &Desired) {
        let reads = self.seen.reads(desired);
        for service in &mut self.seen.services {
            if service.is_current(&reads) {
                service.read = Some(reads.fingerprint.clone());
            }
        }
    }

    /// systemd notices that a file it has read is another, but no first drop-in, in a directory that
    /// is new to it.
    fn unknown_to_systemd(&mut self, path: &Path) {
        for service in &mut self.seen.services {
            service.unit.need_daemon_reload |= service.unit.drop_ins.iter().any(|own| own == path);
        }
        let guard = guard::UNITS.iter().zip(&mut self.seen.guard.units);
        for (_, unit) in guard.filter(|(name, _)| guard::unit_file(name) == path) {
            unit.need_daemon_reload |= unit.exists();
        }
    }

    fn put(&mut self, path: &Path, what: Entry) {
        let guard = guard::UNITS.iter().zip(&mut self.seen.guard.files);
        for (_, file) in guard.filter(|(name, _)| guard::unit_file(name) == path) {
            *file = what.clone();
        }
        match path.to_str().unwrap() {
            crate::graft::files::KUBECONFIG => self.seen.kubeconfig = what,
            crate::graft::chart::PATH => self.seen.chart = what,
            crate::graft::files::CONF => self.seen.conf = what,
            path => {
                for (service, drop_in) in Service::ALL.iter().zip(&mut self.seen.drop_ins) {
                    if path == service.drop_in() {
                        *drop_in = what.clone();
                    }
                }
            }
        }
    }
}

/// Its command line by default.
fn own(service: Service) -> String {
    service.command_line(LogTo::Journal, &[])
}

fn process(command_line: &str, tick: u32) -> Process {
    Process {
        pid: i32::try_from(tick).unwrap(),
        start_ticks: tick.into(),
        started: at(tick),
        cmdline: command_line.split(' ').map(str::to_owned).collect(),
    }
}

fn installed(pin: &Pin, changed: SystemTime) -> Installed {
    Installed(vec![Driver {
        version: Some(pin.version().clone()),
        dist_info: "/site/magnum_capi_helm-1.1.0.dist-info".into(),
        record_sha256: "build".into(),
        changed,
        written: changed,
        directories: BTreeSet::new(),
        damage: vec![],
    }])
}

fn entry(bytes: &[u8], access: Access, changed: SystemTime) -> Entry {
    Entry::File(File {
        bytes: bytes.into(),
        access,
        changed,
        written: changed,
    })
}

fn restarts(steps: &[Step]) -> Vec<Service> {
    steps
        .iter()
        .flat_map(|step| match step {
            Step::Restart(services) => services.iter().map(|(service, _)| *service).collect(),
            _ => vec![],
        })
        .collect()
}

#[test]
fn after_a_plan_is_applied_the_next_plan_is_empty() {
    let desired = desired(&settings(""));
    let mut model = Model::fresh();
    let steps = model.converge(&desired);
    assert_eq!(restarts(&steps), Service::ALL);
    assert_eq!(plan(&desired, &model.seen), []);
}

#[test]
fn a_crash_after_any_step_is_mended_by_the_next_hook() {
    let desired = desired(&settings(""));
    let whole = plan(&desired, &Model::fresh().seen);
    assert!(whole.len() >= 8, "{whole:?}");
    for crash_after in 0..whole.len() {
        let mut model = Model::fresh();
        for step in &whole[..crash_after] {
            model.apply(step);
        }
        model.converge(&desired);
        assert_eq!(plan(&desired, &model.seen), [], "after {crash_after} steps");
        for service in &model.seen.services {
            assert!(service.is_current(&model.seen.reads(&desired)));
            assert!(
                service
                    .process
                    .as_ref()
                    .unwrap()
                    .runs(&own(service.service))
            );
        }
    }
}

/// Each way in which a part can be found other than it should be.
const DRIFTS: [fn(&mut Observed); 10] = [
    |seen| seen.kubeconfig = Entry::Absent,
    |seen| seen.conf = Entry::Directory,
    |seen| seen.drop_ins[0] = Entry::Absent,
    |seen| seen.drop_ins[1] = Entry::Other("a symbolic link"),
    |seen| seen.driver = Installed::default(),
    |seen| seen.shadows = vec!["/home/magnum/site/magnum_capi_helm".into()],
    |seen| seen.helm = None,
    |seen| seen.litter = vec!["/etc/magnum/.magnum-capi-helm-x".into()],
    |seen| seen.missing_directories = directories().collect(),
    |seen| seen.services[0].process = Some(process("other", 50)),
];

#[test]
fn every_combination_of_drifts_converges_also_after_a_crash_at_any_step() {
    let mut wanted = desired(&settings(""));
    wanted.helm = Some("given".into());
    let grafted = Model::grafted(&wanted);
    let mut crashes = 0;
    for combination in 0..1_u32 << DRIFTS.len() {
        let mut drifted = grafted.clone();
        drifted.clock = 100;
        for (bit, drift) in DRIFTS.iter().enumerate() {
            if combination >> bit & 1 == 1 {
                drift(&mut drifted.seen);
            }
        }
        let steps = plan(&wanted, &drifted.seen);
        for crash_after in 0..=steps.len() {
            let mut model = drifted.clone();
            for step in &steps[..crash_after] {
                model.apply(step);
            }
            model.converge(&wanted);
            assert_eq!(
                plan(&wanted, &model.seen),
                [],
                "{combination:b}, {crash_after} steps"
            );
            crashes += 1;
        }
    }
    assert!(crashes > 1 << DRIFTS.len());
}

#[test]
fn nothing_is_switched_on_without_a_kubeconfig_or_without_helm() {
    let mut unset = settings("");
    unset.kubeconfig = None;
    let steps = plan(&desired(&unset), &Model::fresh().seen);
    assert!(
        matches!(steps.as_slice(), [Step::InstallDriver { .. }]),
        "{steps:?}"
    );

    let mut model = Model::fresh();
    model.seen.helm = None;
    let steps = plan(&desired(&settings("")), &model.seen);
    assert!(restarts(&steps).is_empty());
    assert!(
        !steps
            .iter()
            .any(|step| step.to_string().contains("99-capi"))
    );
}

#[test]
fn a_helm_that_is_given_is_installed_first_and_the_graft_switched_on_with_it() {
    let mut wanted = desired(&settings(""));
    wanted.helm = Some("given".into());
    let mut model = Model::fresh();
    model.seen.helm = None;
    let steps = model.converge(&wanted);
    let place = |needle: &str| {
        steps
            .iter()
            .position(|step| step.to_string().contains(needle))
    };
    assert!(place("install /usr/local/bin/helm: missing") < place("99-capi.conf"));
    assert_eq!(restarts(&steps), Service::ALL);
    assert_eq!(plan(&wanted, &model.seen), []);
}

#[test]
fn a_copy_that_shadows_the_driver_is_set_aside_and_both_services_restart() {
    let wanted = desired(&settings(""));
    let mut model = Model::grafted(&wanted);
    model.clock = 100;
    model.seen.shadows = vec!["/home/magnum/site/magnum_capi_helm".into()];
    let steps = model.converge(&wanted);
    assert!(matches!(&steps[0], Step::SetAside(_)), "{steps:?}");
    assert_eq!(restarts(&steps), Service::ALL);
    assert_eq!(plan(&wanted, &model.seen), []);
}

#[test]
fn what_lies_in_the_site_of_a_python_that_was_replaced_is_removed() {
    let wanted = desired(&settings(""));
    let mut model = Model::grafted(&wanted);
    let old = PathBuf::from("/usr/local/lib/python3.10/dist-packages/magnum_capi_helm");
    model.seen.written.push((old.clone(), Before::Absent));
    assert_eq!(
        model.converge(&wanted),
        [Step::Restore(old, Before::Absent)]
    );
    assert_eq!(plan(&wanted, &model.seen), []);
}

#[test]
fn a_graft_that_is_on_is_upheld_when_helm_goes_away() {
    let desired = desired(&settings(""));
    let mut model = Model::grafted(&desired);
    model.seen.helm = None;
    model.seen.conf = Entry::Absent;
    let steps = model.converge(&desired);
    assert!(
        steps
            .iter()
            .any(|step| step.to_string().contains("99-capi"))
    );
}

#[test]
fn drift_under_a_process_that_has_read_the_right_files_restarts_nothing() {
    let wanted = desired(&settings(""));
    let grafted = Model::grafted(&wanted);
    let drifts: [fn(&mut Observed); 4] = [
        |seen| seen.conf = Entry::Absent,
        |seen| seen.conf = entry(b"edited", Access::PUBLIC, at(90)),
        |seen| seen.kubeconfig = Entry::Directory,
        |seen| seen.drop_ins[0] = Entry::Absent,
    ];
    for drift in drifts {
        let mut model = grafted.clone();
        model.clock = 100;
        drift(&mut model.seen);
        let steps = model.converge(&wanted);
        assert!(!steps.is_empty());
        assert_eq!(restarts(&steps), [], "{steps:?}");
        assert_eq!(plan(&wanted, &model.seen), []);
    }
}

#[test]
fn a_driver_that_was_put_back_restarts_both_since_magnum_may_have_missed_it() {
    let wanted = desired(&settings(""));
    let mut model = Model::grafted(&wanted);
    model.clock = 100;
    model.seen.driver = Installed::default();
    assert_eq!(restarts(&model.converge(&wanted)), Service::ALL);
    assert_eq!(plan(&wanted, &model.seen), []);
}

#[test]
fn a_process_started_while_a_file_was_wrong_is_restarted() {
    let wanted = desired(&settings(""));
    let mut model = Model::grafted(&wanted);
    model.clock = 100;
    model.seen.conf = entry(b"edited", Access::PUBLIC, at(100));
    model.apply(&Step::Restart(vec![(Service::Conductor, String::new())]));
    assert_eq!(restarts(&model.converge(&wanted)), [Service::Conductor]);
    assert_eq!(plan(&wanted, &model.seen), []);
}

#[test]
fn a_changed_kubeconfig_restarts_nothing_and_a_changed_option_restarts_both() {
    let mut model = Model::grafted(&desired(&settings("")));
    let mut rotated = settings("");
    rotated.kubeconfig = Some(
        String::from_utf8_lossy(settings("").kubeconfig.unwrap().bytes())
            .replace("192.0.2.1", "192.0.2.2")
            .parse()
            .unwrap(),
    );
    let steps = model.converge(&desired(&rotated));
    assert_eq!((steps.len(), restarts(&steps)), (1, vec![]));

    let mut changed = rotated;
    changed.capi_helm_options = "namespace_prefix = x".parse().unwrap();
    assert_eq!(restarts(&model.converge(&desired(&changed))), Service::ALL);
}

#[test]
fn a_paused_service_is_never_restarted_and_resuming_finishes_the_graft() {
    let wanted = desired(&settings(""));
    let mut model = Model::fresh();
    for service in &mut model.seen.services {
        service.unit.unit_file_state = "masked".into();
        service.process = None;
    }
    assert_eq!(restarts(&model.converge(&wanted)), []);
    for service in &mut model.seen.services {
        service.unit.unit_file_state = "enabled".into();
        service.process = Some(process("the-old-command-line", 200));
    }
    assert_eq!(restarts(&plan(&wanted, &model.seen)), Service::ALL);
}

#[test]
fn a_guard_that_an_administrator_has_masked_stays_so() {
    let wanted = desired(&settings(""));
    let mut model = Model::grafted(&wanted);
    model.seen.guard.files[0] = Entry::Absent;
    assert_ne!(plan(&wanted, &model.seen), []);
    model.seen.guard.units[0].unit_file_state = "masked".into();
    assert_eq!(plan(&wanted, &model.seen), []);
}

#[test]
fn a_stopped_service_is_left_alone_and_a_failed_one_is_started() {
    let wanted = desired(&settings(""));
    let mut model = Model::grafted(&wanted);
    model.seen.services[0].process = None;
    model.seen.services[0].unit.active_state = "inactive".into();
    assert_eq!(plan(&wanted, &model.seen), []);
    model.seen.services[0].unit.active_state = "failed".into();
    assert_eq!(restarts(&plan(&wanted, &model.seen)), [Service::Api]);
}

#[test]
fn a_later_drop_in_that_overrides_ours_is_not_fought_with_restarts() {
    let wanted = desired(&settings(""));
    let mut model = Model::grafted(&wanted);
    model.seen.services[1].unit.exec_start = vec!["/usr/bin/other".into()];
    model.seen.services[1].process = Some(process("/usr/bin/other", 300));
    assert_eq!(plan(&wanted, &model.seen), []);
    let problem = model.seen.services[1]
        .problem(&own(Service::Conductor))
        .unwrap()
        .to_string();
    assert!(problem.contains("another command line"), "{problem}");
}

#[test]
fn departing_takes_everything_away_and_restarts_what_ran_with_it() {
    let wanted = desired(&settings(""));
    let grafted = Model::grafted(&wanted);
    let whole = plan_departure(&grafted.remains());
    let place = |needle: &str| {
        let found = whole
            .iter()
            .position(|step| step.to_string().contains(needle));
        found.unwrap_or_else(|| panic!("no step {needle}: {whole:?}"))
    };
    assert!(place("magnum-conductor.service.d") < place("reload"));
    assert!(place("reload") < place("99-capi.conf"));
    assert!(place("99-capi.conf") < place("restart"));
    for crash_after in 0..=whole.len() {
        let mut model = grafted.clone();
        for step in &whole[..crash_after] {
            model.apply(step);
        }
        for step in plan_departure(&model.remains()) {
            model.apply(&step);
        }
        assert_eq!(model.seen.written, []);
        for service in &model.seen.services {
            let process = service.process.as_ref().unwrap();
            assert!(
                !process.runs(&own(service.service)),
                "after {crash_after} steps"
            );
        }
        assert_eq!(plan_departure(&model.remains()), []);
    }
}

#[test]
fn a_service_that_ended_once_may_yet_stay_and_one_that_ends_again_and_again_does_not() {
    let wanted = desired(&settings(""));
    let mut service = Model::grafted(&wanted).seen.services[0].clone();
    service.process = None;
    service.unit.sub_state = "auto-restart".into();
    assert_eq!(service.problem(&own(Service::Api)), None);
    service.unit.restarts = 2;
    let problem = service.problem(&own(Service::Api)).unwrap().to_string();
    assert!(
        problem.contains("does not stay up (2 restarts)"),
        "{problem}"
    );
    service.unit.restarts = 0;
    service.unit.sub_state = "failed".into();
    service.unit.active_state = "failed".into();
    assert!(
        service
            .problem(&own(Service::Api))
            .unwrap()
            .to_string()
            .contains("does not stay up")
    );
}
