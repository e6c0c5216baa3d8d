//! The plan, proven without a machine.

pub mod model;

use std::path::PathBuf;

use self::model::{Model, at, desired, entry, own, process, restart_of, restarts, settings};
use super::*;
use crate::driver::InstalledDrivers;
use crate::reconcile::observed::directories;
use crate::system::{Access, Entry, Secret};

#[test]
fn after_a_plan_is_applied_the_next_plan_is_empty() {
    let desired = desired(&settings(""));
    let mut model = Model::fresh();
    let steps = model.reconcile(&desired);
    assert_eq!(restarts(&steps), Service::ALL);
    assert_eq!(plan(&desired, &model.observed), []);
}

#[test]
fn the_next_hook_goes_on_after_a_crash_at_any_step() {
    let desired = desired(&settings(""));
    let complete = plan(&desired, &Model::fresh().observed);
    assert!(complete.len() >= 8, "{complete:?}");
    for crash_after in 0..complete.len() {
        let mut model = Model::fresh();
        for step in &complete[..crash_after] {
            model.apply(step);
        }
        model.reconcile(&desired);
        assert_eq!(plan(&desired, &model.observed), [], "after {crash_after} steps");
        for service in &model.observed.services.services {
            assert!(service.is_current(&model.observed.service_inputs(&desired)));
            assert!(service.process.as_ref().unwrap().runs(&own(service.service)));
        }
    }
}

/// Each way in which a part can be found other than it should be.
const DRIFTS: [fn(&mut Observed); 10] = [
    |observed| observed.kubeconfig = Entry::Absent,
    |observed| observed.conf = Entry::Directory,
    |observed| observed.services.drop_ins[0] = Entry::Absent,
    |observed| observed.services.drop_ins[1] = Entry::Other("a symbolic link"),
    |observed| observed.driver.installed = InstalledDrivers::default(),
    |observed| observed.driver.shadows = vec!["/home/magnum/site/magnum_capi_helm".into()],
    |observed| observed.helm = None,
    |observed| observed.temporaries = vec!["/etc/magnum/.magnum-capi-helm-x".into()],
    |observed| {
        observed.missing_directories = directories().collect();
        observed.conf = Entry::Absent;
        observed.services.drop_ins = vec![Entry::Absent; 2];
    },
    |observed| observed.services.services[0].process = Some(process("other", 50)),
];

#[test]
fn every_combination_of_drifts_is_repaired_also_after_a_crash_at_any_step() {
    let mut wanted = desired(&settings(""));
    wanted.helm = Some("given".into());
    let grafted = Model::grafted(&wanted);
    let mut crashes = 0;
    for combination in 0..1_u32 << DRIFTS.len() {
        let mut drifted = grafted.clone();
        drifted.clock = 100;
        for (bit, drift) in DRIFTS.iter().enumerate() {
            if combination >> bit & 1 == 1 {
                drift(&mut drifted.observed);
            }
        }
        let steps = plan(&wanted, &drifted.observed);
        for crash_after in 0..=steps.len() {
            let mut model = drifted.clone();
            for step in &steps[..crash_after] {
                model.apply(step);
            }
            model.reconcile(&wanted);
            assert_eq!(plan(&wanted, &model.observed), [], "{combination:b}, {crash_after} steps");
            crashes += 1;
        }
    }
    assert!(crashes > 1 << DRIFTS.len());
}

#[test]
fn nothing_is_switched_on_without_a_kubeconfig_or_without_helm() {
    let mut unset = settings("");
    unset.kubeconfig = None;
    let steps = plan(&desired(&unset), &Model::fresh().observed);
    assert!(matches!(steps.as_slice(), [Step::Install { .. }]), "{steps:?}");

    let mut model = Model::fresh();
    model.observed.helm = None;
    let steps = plan(&desired(&settings("")), &model.observed);
    assert!(restarts(&steps).is_empty());
    assert!(!steps.iter().any(|step| step.to_string().contains("99-capi")));
}

#[test]
fn an_attached_helm_is_installed_first_and_the_graft_switched_on_with_it() {
    let mut wanted = desired(&settings(""));
    wanted.helm = Some("given".into());
    let mut model = Model::fresh();
    model.observed.helm = None;
    let steps = model.reconcile(&wanted);
    let place = |needle: &str| steps.iter().position(|step| step.to_string().contains(needle));
    assert!(place("install /usr/local/bin/helm: missing") < place("99-capi.conf"));
    assert_eq!(restarts(&steps), Service::ALL);
    assert_eq!(plan(&wanted, &model.observed), []);
}

#[test]
fn a_copy_that_shadows_the_driver_is_set_aside_and_both_services_restart() {
    let wanted = desired(&settings(""));
    let mut model = Model::grafted(&wanted);
    model.clock = 100;
    model.observed.driver.shadows = vec!["/home/magnum/site/magnum_capi_helm".into()];
    let steps = model.reconcile(&wanted);
    assert!(matches!(&steps[0], Step::SetAside { .. }), "{steps:?}");
    assert_eq!(restarts(&steps), Service::ALL);
    assert_eq!(plan(&wanted, &model.observed), []);
}

#[test]
fn what_lies_in_the_site_of_a_python_that_was_replaced_is_removed() {
    let wanted = desired(&settings(""));
    let mut model = Model::grafted(&wanted);
    let old = PathBuf::from("/usr/local/lib/python3.10/dist-packages/magnum_capi_helm");
    model.observed.written.push((old.clone(), Original::Absent));
    assert_eq!(model.reconcile(&wanted), [Step::Restore(old, Original::Absent)]);
    assert_eq!(plan(&wanted, &model.observed), []);
}

#[test]
fn a_graft_that_is_on_is_upheld_when_helm_goes_away() {
    let desired = desired(&settings(""));
    let mut model = Model::grafted(&desired);
    model.observed.helm = None;
    model.observed.conf = Entry::Absent;
    let steps = model.reconcile(&desired);
    assert!(steps.iter().any(|step| step.to_string().contains("99-capi")));
}

#[test]
fn drift_under_a_process_that_has_read_the_right_files_restarts_nothing() {
    let wanted = desired(&settings(""));
    let grafted = Model::grafted(&wanted);
    let drifts: [fn(&mut Observed); 4] = [
        |observed| observed.conf = Entry::Absent,
        |observed| observed.conf = entry(b"edited", Access::PUBLIC, at(90)),
        |observed| observed.kubeconfig = Entry::Directory,
        |observed| observed.services.drop_ins[0] = Entry::Absent,
    ];
    for drift in drifts {
        let mut model = grafted.clone();
        model.clock = 100;
        drift(&mut model.observed);
        let steps = model.reconcile(&wanted);
        assert!(!steps.is_empty());
        assert_eq!(restarts(&steps), [], "{steps:?}");
        assert_eq!(plan(&wanted, &model.observed), []);
    }
}

#[test]
fn a_driver_that_was_put_back_restarts_both_since_magnum_may_have_missed_it() {
    let wanted = desired(&settings(""));
    let mut model = Model::grafted(&wanted);
    model.clock = 100;
    model.observed.driver.installed = InstalledDrivers::default();
    assert_eq!(restarts(&model.reconcile(&wanted)), Service::ALL);
    assert_eq!(plan(&wanted, &model.observed), []);
}

#[test]
fn a_process_started_while_a_file_was_wrong_is_restarted() {
    let wanted = desired(&settings(""));
    let mut model = Model::grafted(&wanted);
    model.clock = 100;
    model.observed.conf = entry(b"edited", Access::PUBLIC, at(100));
    model.apply(&restart_of(Service::Conductor));
    assert_eq!(restarts(&model.reconcile(&wanted)), [Service::Conductor]);
    assert_eq!(plan(&wanted, &model.observed), []);
}

#[test]
fn a_changed_kubeconfig_restarts_nothing_and_a_changed_option_restarts_both() {
    let mut model = Model::grafted(&desired(&settings("")));
    let mut rotated = settings("");
    rotated.kubeconfig = Some(Secret::new("another kubeconfig".to_owned()));
    let steps = model.reconcile(&desired(&rotated));
    assert_eq!((steps.len(), restarts(&steps)), (1, vec![]));

    let mut changed = rotated;
    changed.capi_helm_options = "namespace_prefix = x".parse().unwrap();
    assert_eq!(restarts(&model.reconcile(&desired(&changed))), Service::ALL);
}

#[test]
fn a_paused_service_is_never_restarted_and_resuming_finishes_the_graft() {
    let wanted = desired(&settings(""));
    let mut model = Model::fresh();
    for service in &mut model.observed.services.services {
        service.unit.unit_file_state = "masked".into();
        service.process = None;
    }
    assert_eq!(restarts(&model.reconcile(&wanted)), []);
    for service in &mut model.observed.services.services {
        service.unit.unit_file_state = "enabled".into();
        service.process = Some(process("the-old-command-line", 200));
    }
    assert_eq!(restarts(&plan(&wanted, &model.observed)), Service::ALL);
}

#[test]
fn a_guard_that_an_administrator_has_masked_stays_so() {
    let wanted = desired(&settings(""));
    let mut model = Model::grafted(&wanted);
    model.observed.guard.files[0] = Entry::Absent;
    assert_ne!(plan(&wanted, &model.observed), []);
    model.observed.guard.units[0].unit_file_state = "masked".into();
    assert_eq!(plan(&wanted, &model.observed), []);
}

#[test]
fn a_stopped_service_is_left_and_a_failed_one_is_started() {
    let wanted = desired(&settings(""));
    let mut model = Model::grafted(&wanted);
    model.observed.services.services[0].process = None;
    model.observed.services.services[0].unit.active_state = "inactive".into();
    assert_eq!(plan(&wanted, &model.observed), []);
    model.observed.services.services[0].unit.active_state = "failed".into();
    assert_eq!(restarts(&plan(&wanted, &model.observed)), [Service::Api]);
}

#[test]
fn a_later_drop_in_that_overrides_ours_is_not_fought_with_restarts() {
    let wanted = desired(&settings(""));
    let mut model = Model::grafted(&wanted);
    model.observed.services.services[1].unit.exec_start = vec!["/usr/bin/other".into()];
    model.observed.services.services[1].process = Some(process("/usr/bin/other", 300));
    assert_eq!(plan(&wanted, &model.observed), []);
    let problem = model.observed.services.services[1].problem(&own(Service::Conductor)).unwrap().to_string();
    assert!(problem.contains("overrides magnum-conductor's ExecStart"), "{problem}");
}

#[test]
fn removal_takes_everything_away_and_restarts_what_ran_with_it() {
    let wanted = desired(&settings(""));
    let grafted = Model::grafted(&wanted);
    let complete = plan_removal(&grafted.remains());
    let place = |needle: &str| {
        let found = complete.iter().position(|step| step.to_string().contains(needle));
        found.unwrap_or_else(|| panic!("no step {needle}: {complete:?}"))
    };
    assert!(place("magnum-conductor.service.d") < place("reload"));
    assert!(place("reload") < place("99-capi.conf"));
    assert!(place("99-capi.conf") < place("restart"));
    for crash_after in 0..=complete.len() {
        let mut model = grafted.clone();
        for step in &complete[..crash_after] {
            model.apply(step);
        }
        for step in plan_removal(&model.remains()) {
            model.apply(&step);
        }
        assert_eq!(model.observed.written, []);
        for service in &model.observed.services.services {
            let process = service.process.as_ref().unwrap();
            assert!(!process.runs(&own(service.service)), "after {crash_after} steps");
        }
        assert_eq!(plan_removal(&model.remains()), []);
    }
}
