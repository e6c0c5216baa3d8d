//! Which settings a reconcile goes by, and what its steps do with what others have put in the graft's places.

use std::cell::RefCell;
use std::path::Path;
use std::time::Instant;

use super::hook::wanted_mode;
use super::*;
use crate::conf::CONF;
use crate::guard;
use crate::juju::settings::{Given, RawConfig, RestartMode};
use crate::magnum::CONF_DIRECTORY;
use crate::system::ManagedFile;
use crate::system::testing::Scratch;

fn pinned(version: &str) -> Settings {
    let config = serde_json::json!({"driver-pin": format!("magnum-capi-helm=={version}")});
    let config: RawConfig = serde_json::from_value(config).unwrap();
    config.validated(Given::default()).unwrap()
}

/// Returns which version is chosen, which were tried, and how many problems that gave, if only `possible` can be met.
fn chosen(
    asked: Result<Settings, Problem>,
    last_good: Option<Settings>,
    possible: &str,
) -> (Option<String>, Vec<String>, usize) {
    let tried = RefCell::new(Vec::new());
    let mut problems = Vec::new();
    let prepare = |settings: Settings| {
        let version = settings.driver.pin.version().to_string();
        tried.borrow_mut().push(version.clone());
        let problem = Problem::waiting(format!("{version} cannot be met"), "");
        anyhow::ensure!(version == possible, problem);
        Ok(version)
    };
    let version = choose(asked, last_good, prepare, &mut problems).unwrap();
    (version, tried.into_inner(), problems.len())
}

#[test]
fn the_last_good_settings_are_upheld_if_those_asked_for_cannot_be_met() {
    let invalid = || Err(Problem::blocked("No pin", ""));
    let s = |version: &str| version.to_owned();
    for (asked, last_good, possible, expected) in [
        (Ok(pinned("2")), Some(pinned("1")), "2", (Some(s("2")), vec![s("2")], 0)),
        (Ok(pinned("2")), Some(pinned("1")), "1", (Some(s("1")), vec![s("2"), s("1")], 1)),
        (invalid(), Some(pinned("1")), "1", (Some(s("1")), vec![s("1")], 1)),
        (invalid(), None, "1", (None, vec![], 1)),
        (Ok(pinned("2")), None, "1", (None, vec![s("2")], 1)),
        // The same is not tried twice.
        (Ok(pinned("2")), Some(pinned("2")), "1", (None, vec![s("2")], 1)),
    ] {
        assert_eq!(chosen(asked, last_good, possible), expected);
    }
}

/// Applies steps as on a unit on which the charm has written nothing before.
fn apply(system: &System, steps: &[Step]) -> Result<()> {
    let mut backups = Backups::default();
    let backups = &mut backups;
    Apply::new(system, backups, false).all(steps)
}

fn write(path: &str) -> Step {
    Step::Write { file: ManagedFile::public(path, "ours"), why: "missing".to_owned() }
}

#[test]
fn whatever_stands_in_place_of_a_file_or_directory_of_the_graft_gives_way() {
    let scratch = Scratch::new();
    let (root, system) = (&scratch.root, scratch.system(|_| None));
    root.make_state_directory().unwrap();
    for path in [CONF, kubeconfig::PATH] {
        scratch.put(path, "");
        scratch.for_each_shape(path, |shape| {
            let found = root.inspect(Path::new(path)).unwrap();
            assert!(ManagedFile::public(path, "ours").drift(&found).is_some(), "{shape}");
            apply(&system, &[write(path)]).unwrap();
            assert_eq!(scratch.text(path).as_deref(), Some("ours"), "{shape}");
        });
    }
    scratch.for_each_shape(CONF_DIRECTORY, |shape| {
        apply(&system, &[Step::MakeDirectory(CONF_DIRECTORY.into()), write(CONF)]).unwrap();
        assert_eq!(scratch.text(CONF).as_deref(), Some("ours"), "{shape}");
    });
    // The deep trees, which no temporary directory removes.
    root.remove(Path::new("/etc")).unwrap();
}

#[test]
fn a_directory_that_is_made_anew_is_kept_beside_it_where_others_may_have_moved_another_in_its_place() {
    let scratch = Scratch::new();
    let system = scratch.system(|_| None);
    scratch.root.make_state_directory().unwrap();
    scratch.put(CONF, "theirs");
    let closed = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(scratch.path(CONF_DIRECTORY), closed).unwrap();
    scratch.let_others_write("/etc/magnum");
    let mut backups = Backups::default();
    let steps = [Step::MakeDirectory(CONF_DIRECTORY.into()), write(CONF)];
    let mut apply = Apply::new(&system, &mut backups, false);
    apply.all(&steps).unwrap();
    let mode = |path: &Path| std::os::unix::fs::MetadataExt::mode(&scratch.path(path).metadata().unwrap()) & 0o777;
    assert_eq!((scratch.text(CONF).as_deref(), mode(Path::new(CONF_DIRECTORY))), (Some("ours"), 0o755));
    let names = scratch.root.names(Path::new("/etc/magnum")).unwrap();
    let aside = Path::new("/etc/magnum").join(names.iter().find(|name| name.starts_with("set-aside-")).unwrap());
    assert_eq!((scratch.text(aside.join("99-capi.conf")).as_deref(), mode(&aside)), (Some("theirs"), 0o700));
    let directory = backups.entries().into_iter().find(|(path, _)| path == Path::new(CONF_DIRECTORY));
    assert_eq!(directory.unwrap().1, Original::NoDirectory);
}

#[test]
fn a_temporary_file_that_cannot_be_removed_keeps_nothing_else_from_being_done() {
    let scratch = Scratch::new();
    let system = scratch.system(|_| None);
    scratch.root.make_state_directory().unwrap();
    scratch.put("/etc/magnum/.magnum-capi-helm-x", "");
    let backups = &mut Backups::default();
    let late = Apply::new(&system, backups, false);
    late.remove_temporary(Path::new("/etc/magnum/.magnum-capi-helm-x"), Instant::now()).unwrap_err();
    assert!(scratch.text("/etc/magnum/.magnum-capi-helm-x").is_some());
    let temporaries = ["/etc/../x", "/etc/magnum/.magnum-capi-helm-x"].map(|path| Step::RemoveTemporary(path.into()));
    assert!(scratch.root.remove(Path::new("/etc/../x")).is_err());
    apply(&system, &[&temporaries[..], &[Step::MakeDirectory(CONF_DIRECTORY.into()), write(CONF)]].concat()).unwrap();
    assert_eq!(scratch.text(CONF).as_deref(), Some("ours"));
    assert_eq!(scratch.text("/etc/magnum/.magnum-capi-helm-x"), None);
}

#[test]
fn a_step_of_the_guard_that_fails_is_a_notice_and_the_others_are_taken() {
    let scratch = Scratch::new();
    let system = scratch.system(|_| None);
    scratch.root.make_state_directory().unwrap();
    let [watch, other] = [guard::WATCH, "x.service"].map(|unit| write(guard::unit_file(unit).to_str().unwrap()));
    scratch.put(guard::unit_file(guard::WATCH), "");
    let mut backups = Backups::default();
    let mut apply = Apply::new(&system, &mut backups, true);
    // No systemctl works here, and later no unit file can be written.
    apply.all(&[Step::Disable(guard::WATCH)]).unwrap();
    scratch.root.remove(Path::new("/etc/systemd")).unwrap();
    apply.all(&[watch, write("/etc/x")]).unwrap();
    assert_eq!(scratch.text("/etc/x").as_deref(), Some("ours"));
    let kinds: Vec<Kind> = apply.problems.iter().map(|problem| problem.kind).collect();
    assert_eq!(kinds, [Kind::Notice, Kind::Notice]);
    apply.all(&[other]).unwrap_err();
}

#[test]
fn a_restart_that_fails_is_seen_by_who_watches_it_and_a_fault_where_nobody_does() {
    let scratch = Scratch::new();
    scratch.root.make_state_directory().unwrap();
    let (system, mut backups) = (scratch.system(|_| None), Backups::default());
    let steps = [Step::Restart(vec![DueRestart { service: Service::Api, why: String::new() }]), write("/etc/x")];
    Apply::new(&system, &mut backups, true).all(&steps).unwrap_err();
    assert_eq!(scratch.text("/etc/x"), None);
    Apply { is_watched: true, ..Apply::new(&system, &mut backups, true) }.all(&steps).unwrap();
    assert_eq!(scratch.text("/etc/x").as_deref(), Some("ours"));
}

#[test]
fn roots_directory_that_others_have_moved_in_the_way_is_kept_with_all_that_is_in_it() {
    let scratch = Scratch::new();
    let system = scratch.system(|_| None);
    scratch.root.make_state_directory().unwrap();
    for (step, place) in
        [(write(kubeconfig::PATH), kubeconfig::PATH), (Step::Restore(CONF.into(), Original::Absent), CONF)]
    {
        let (mut backups, directory) = (Backups::default(), Path::new(place).parent().unwrap());
        backups.back_up(&scratch.root, Path::new(place)).unwrap();
        scratch.put(format!("{place}/50-mine.conf"), "mine");
        scratch.let_others_write(directory.to_str().unwrap());
        Apply::new(&system, &mut backups, false).all(&[step]).unwrap();
        let aside = scratch.root.names(directory).unwrap().into_iter().find(|name| name.starts_with("set-aside-"));
        let kept = directory.join(aside.unwrap_or_default()).join("50-mine.conf");
        assert_eq!(scratch.text(&kept).as_deref(), Some("mine"), "{place}");
    }
}

#[test]
fn what_others_keep_changing_is_a_problem_and_a_full_disk_is_not() {
    let scratch = Scratch::new();
    let system = scratch.system(|_| None);
    scratch.root.make_state_directory().unwrap();
    scratch.put("/etc/magnum/x", "");
    // What a directory is exchanged for between two looks.
    scratch.link(CONF_DIRECTORY, "/nowhere");
    scratch.let_others_write("/etc/magnum");
    let applied = |path| or_problem(apply(&system, &[write(path)]));
    assert_eq!(applied(CONF).unwrap().unwrap_err().summary, format!("Somebody keeps changing {CONF}"));
    assert!(applied("/etc/absent/x").is_err(), "where nobody else can write");
    let full = anyhow::Error::from(std::io::Error::from(std::io::ErrorKind::StorageFull));
    assert!(!scratch.root.is_overtaken(Path::new(kubeconfig::PATH), &full));
}

#[test]
fn nothing_is_put_where_others_can_write_but_into_magnums_configuration() {
    let scratch = Scratch::new();
    let open = |path: &str| {
        std::fs::create_dir_all(scratch.path(path)).unwrap();
        scratch.let_others_write(path);
    };
    let ensure = |steps: &[Step]| or_problem(ensure_parents_are_roots(&scratch.root, steps)).unwrap();
    let unit = write("/etc/systemd/system/x.service");
    let shadow = Step::SetAside { path: "/var/lib/magnum/x/y".into(), why: String::new() };
    open(CONF_DIRECTORY);
    open("/var/lib/magnum/x");
    ensure(&[write(CONF), write(kubeconfig::PATH), shadow, unit.clone()]).unwrap();
    let drop_ins = "/etc/systemd/system/x.service.d";
    scratch.link(drop_ins, "/nowhere");
    let drop_in = write(&format!("{drop_ins}/override.conf"));
    ensure(&[Step::MakeDirectory(drop_ins.into()), drop_in.clone()]).unwrap();
    assert_eq!(ensure(&[drop_in]).unwrap_err().summary, format!("Not root's alone: {drop_ins}"));
    open("/etc/systemd/system");
    let restore = |path: &str| Step::Restore(path.into(), Original::BackedUp("x".into()));
    let removal = Step::Restore("/etc/systemd/system/x.service".into(), Original::Absent);
    ensure(&[restore(CONF), removal]).unwrap();
    for step in [unit, restore("/etc/systemd/system/x.service")] {
        let problem = ensure(&[write(CONF), step]).unwrap_err();
        assert_eq!(problem.summary, "Not root's alone: /etc/systemd/system");
    }
}

#[test]
fn an_invalid_option_does_not_change_the_restart_mode() {
    let scratch = Scratch::new();
    let system = scratch.system(|_| None);
    let mode = |settings| wanted_mode(&system, &Request { settings, kubeconfig: Ok(None) }).unwrap();
    let invalid = || Err(Problem::blocked("No pin", ""));
    assert_eq!(mode(invalid()), RestartMode::Rolling);
    let manual = Settings { restart_mode: RestartMode::Manual, ..pinned("1") };
    system.root.make_state_directory().unwrap();
    system.root.save(LAST_GOOD, &manual).unwrap();
    assert_eq!(mode(invalid()), RestartMode::Manual);
    assert_eq!(mode(Ok(pinned("2"))), RestartMode::Rolling);
}
