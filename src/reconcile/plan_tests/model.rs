//! A model of a unit to which steps are applied.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::chart;
use crate::conf::CONF;
use crate::driver::{DriverFacts, InstalledDriver, InstalledDrivers, ObservedDriver};
use crate::guard::{self, ObservedGuard};
use crate::helm::FoundHelm;
use crate::juju::settings::{Given, Pin, RawConfig, Settings};
use crate::kubeconfig;
use crate::magnum::{Installation, Python, Service};
use crate::reconcile::observed::directories;
use crate::reconcile::plan::Remains;
use crate::reconcile::{Desired, Facts, Observed, plan};
use crate::services::{ObservedService, ObservedServices, drop_in_path};
use crate::step::{Artifact, DueRestart, Step};
use crate::system::systemd::Unit;
use crate::system::{Access, Entry, Original, Process, RegularFile, Secret};

pub fn settings(options: &str) -> Settings {
    let config = serde_json::json!({"driver-pin": "magnum-capi-helm==1.1.0", "capi-helm-options": options});
    let config: RawConfig = serde_json::from_value(config).unwrap();
    Settings { kubeconfig: Some(Secret::new("a kubeconfig".to_owned())), ..config.validated(Given::default()).unwrap() }
}

pub fn installation() -> Installation {
    Installation {
        python: Python {
            executable: "/usr/bin/python3".into(),
            version: "3.11.2".into(),
            site: "/usr/local/lib/python3.11/dist-packages".into(),
            path: vec![],
        },
        version: "18.0.0".into(),
        magnum_gid: 64,
        other_drivers: vec!["k8s_fedora_coreos_v1".into()],
        unknown_drivers: None,
        before_site: vec![],
        defaults: Default::default(),
    }
}

pub fn facts() -> Facts {
    let options = ["kubeconfig_file", "helm_chart_name", "namespace_prefix"];
    Facts { driver: DriverFacts::example("magnum-capi-helm==1.1.0", "build", &options), helm: None, chart: None }
}

pub fn desired(settings: &Settings) -> Desired {
    Desired::new(settings, &installation(), &facts()).unwrap()
}

/// A unit with Magnum, helm, and nothing of ours; a tick of its clock is a second.
#[derive(Clone)]
pub struct Model {
    pub observed: Observed,
    pub clock: u32,
}

pub fn at(tick: u32) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(tick.into())
}

impl Model {
    pub fn fresh() -> Self {
        let service = |service: Service| ObservedService {
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
            observed: Observed {
                driver: ObservedDriver {
                    installed: InstalledDrivers::default(),
                    shadows: vec![],
                    site_is_missing: false,
                },
                helm: Some(FoundHelm { path: "/usr/bin/helm".into(), known: None }),
                chart: Entry::Absent,
                kubeconfig: Entry::Absent,
                conf: Entry::Absent,
                services: ObservedServices {
                    services: Service::ALL.map(service).to_vec(),
                    drop_ins: vec![Entry::Absent; 2],
                },
                guard: ObservedGuard { files: vec![Entry::Absent; 3], units: vec![Unit::default(); 3] },
                missing_directories: directories().collect(),
                closed: None,
                temporaries: vec![],
                written: vec![],
            },
            clock: 1,
        }
    }

    pub fn grafted(desired: &Desired) -> Self {
        let mut model = Self::fresh();
        model.reconcile(desired);
        model
    }

    pub fn apply(&mut self, step: &Step) {
        self.clock += 1;
        let now = at(self.clock);
        match step {
            Step::RemoveTemporary(path) => self.observed.temporaries.retain(|temporaries| temporaries != path),
            Step::MakeDirectory(path) => {
                self.observed.missing_directories.retain(|directory| directory != path);
            }
            Step::SetAside { path, .. } => self.observed.driver.shadows.retain(|shadow| shadow != path),
            Step::Install { artifact: Artifact::Helm, .. } => {
                self.observed.helm = Some(FoundHelm::example("given"));
            }
            Step::Install { what, .. } => {
                self.observed.driver.installed = installed(&what.parse().unwrap(), now);
            }
            Step::Write { file, .. } => {
                let parent = file.path.parent().unwrap();
                let mut missing = self.observed.missing_directories.iter();
                assert!(
                    !missing.any(|directory| directory == parent),
                    "{} is written before its directory is made",
                    file.path.display()
                );
                self.put(&file.path, entry(&file.bytes, file.access, now));
                self.unknown_to_systemd(&file.path);
                if !self.observed.written.iter().any(|(path, _)| *path == file.path) {
                    self.observed.written.push((file.path.clone(), Original::Absent));
                }
            }
            Step::Restore(path, _) => {
                self.put(path, Entry::Absent);
                self.unknown_to_systemd(path);
                self.observed.written.retain(|(written, _)| written != path);
            }
            Step::ReloadSystemd => {
                let services = &mut self.observed.services;
                for (service, drop_in) in services.services.iter_mut().zip(&services.drop_ins) {
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
                    let known = ours.then(|| drop_in_path(service.service).into());
                    service.unit.drop_ins = known.into_iter().collect();
                    service.unit.exec_start = vec![
                        command_line.unwrap_or_else(|| format!("/etc/init.d/{} systemd-start", service.service.name())),
                    ];
                }
                let guard = &mut self.observed.guard;
                for (unit, file) in guard.units.iter_mut().zip(&guard.files) {
                    unit.need_daemon_reload = false;
                    unit.load_state = match file {
                        Entry::File(_) => "loaded".into(),
                        _ => "not-found".into(),
                    };
                }
            }
            Step::Enable(_) => {
                let watch = &mut self.observed.guard.units[0];
                assert!(watch.exists(), "the guard is started before systemd knows it");
                watch.active_state = "active".into();
                watch.unit_file_state = "enabled".into();
            }
            Step::Disable(_) => {
                let watch = &mut self.observed.guard.units[0];
                watch.active_state = "inactive".into();
                watch.unit_file_state = "disabled".into();
            }
            Step::Restart(due) => {
                for due in due {
                    let at = Service::ALL.iter().position(|known| *known == due.service).unwrap();
                    let observed = &mut self.observed.services.services[at];
                    observed.process = Some(process(&observed.unit.exec_start[0], self.clock));
                    observed.read = None;
                    observed.unit.active_state = "active".into();
                }
            }
        }
    }

    pub fn remains(&self) -> Remains {
        Remains {
            written: self.observed.written.clone(),
            temporaries: vec![],
            services: self.observed.services.services.clone(),
        }
    }

    /// As a hook does: plan, apply, look again, record.
    pub fn reconcile(&mut self, desired: &Desired) -> Vec<Step> {
        let steps = plan(desired, &self.observed);
        for step in &steps {
            self.apply(step);
        }
        self.record(desired);
        steps
    }

    fn record(&mut self, desired: &Desired) {
        let inputs = self.observed.service_inputs(desired);
        for service in &mut self.observed.services.services {
            if service.is_current(&inputs) {
                service.read = Some(inputs.fingerprint.clone());
            }
        }
    }

    /// systemd notices that a file it has read is another, but no first drop-in, in a directory that
    /// is new to it.
    fn unknown_to_systemd(&mut self, path: &Path) {
        for service in &mut self.observed.services.services {
            service.unit.need_daemon_reload |= service.unit.drop_ins.iter().any(|own| own == path);
        }
        let guard = guard::UNITS.iter().zip(&mut self.observed.guard.units);
        for (_, unit) in guard.filter(|(name, _)| guard::unit_file(name) == path) {
            unit.need_daemon_reload |= unit.exists();
        }
    }

    fn put(&mut self, path: &Path, what: Entry) {
        let guard = guard::UNITS.iter().zip(&mut self.observed.guard.files);
        for (_, file) in guard.filter(|(name, _)| guard::unit_file(name) == path) {
            *file = what.clone();
        }
        match path.to_str().unwrap() {
            kubeconfig::PATH => self.observed.kubeconfig = what,
            chart::PATH => self.observed.chart = what,
            CONF => self.observed.conf = what,
            path => {
                for (service, drop_in) in Service::ALL.into_iter().zip(&mut self.observed.services.drop_ins) {
                    if path == drop_in_path(service) {
                        *drop_in = what.clone();
                    }
                }
            }
        }
    }
}

/// Its command line by default.
pub fn own(service: Service) -> String {
    desired(&settings("")).services.command_lines[&service].clone()
}

pub fn process(command_line: &str, tick: u32) -> Process {
    Process {
        pid: i32::try_from(tick).unwrap(),
        start_ticks: tick.into(),
        started: at(tick),
        cmdline: command_line.split(' ').map(str::to_owned).collect(),
    }
}

fn installed(pin: &Pin, changed: SystemTime) -> InstalledDrivers {
    InstalledDrivers(vec![InstalledDriver {
        dist_info: format!("/site/magnum_capi_helm-{}.dist-info", pin.version()).into(),
        record_sha256: "build".into(),
        changed,
        written: changed,
        directories: BTreeSet::new(),
        damage: vec![],
    }])
}

pub fn entry(bytes: &[u8], access: Access, changed: SystemTime) -> Entry {
    Entry::File(RegularFile { bytes: bytes.into(), access, changed, written: changed })
}

pub fn restarts(steps: &[Step]) -> Vec<Service> {
    steps
        .iter()
        .flat_map(|step| match step {
            Step::Restart(due) => due.iter().map(|due| due.service).collect(),
            _ => vec![],
        })
        .collect()
}

pub fn restart_of(service: Service) -> Step {
    Step::Restart(vec![DueRestart { service, why: String::new() }])
}
