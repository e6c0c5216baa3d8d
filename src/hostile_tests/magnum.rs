//! What user magnum puts into its own directories: names, metadata and copies of the driver where Python looks first,
//! fragments, and anything in place of the charm's own files. Taken in as by a hook, `verify` and `capture-state`.

use std::path::Path;

use anyhow::{Result, anyhow, bail};
use serde_json::json;

use super::{Kind, Shape, Unit, refused};
use crate::capture::{self, Inputs};
use crate::check;
use crate::conf::CONF;
use crate::conf::checks::ConfSubject;
use crate::driver;
use crate::driver::tests::python;
use crate::kubeconfig;
use crate::magnum::{
    CONF_DIRECTORY, Configuration, Installation, MAGNUM_CONF, MAGNUM_DIRECTORY, Python, PythonAnswers, Service,
};
use crate::system::testing::Scratch;
use crate::system::{Access, Backups, Entry, ManagedFile};

pub const KIND: Kind = Kind { name: "user magnum's directories", shapes, take_in };

/// The first of Python's directories is user magnum's.
const SITE: &str = "/var/lib/magnum/site";
const MIB: usize = 1 << 20;
/// What all fragments may have, less what the others have.
const MOST: usize = 8 * MIB - 1000;

fn take_in(unit: &Unit) -> Result<()> {
    let root = &unit.root;
    let Python { version, site, path, .. } = python();
    let answer = json!({"version": version, "site": site, "path": path}).to_string();
    let system = unit.system(move |_| Some(answer.clone()));
    let installation = Installation::inspect(&system)?;
    let observed = driver::inspect_if_changed(root, &installation.python)?;
    let mut backups = Backups::load(root)?;
    observed.shadows.iter().try_for_each(|path| backups.set_aside(root, path))?;
    for path in root.temporaries(Path::new(MAGNUM_DIRECTORY))? {
        root.remove(&path)?;
    }
    for path in [kubeconfig::PATH, CONF].map(Path::new) {
        root.inspect(path)?;
        backups.back_up(root, path)?;
        if root.is_directory(path)? {
            root.remove(path)?;
        }
        root.write(path, b"ours", Access::PUBLIC)?;
    }
    Configuration::read(root)?;
    let (wanted, python) = (ManagedFile::public(CONF, "ours"), PythonAnswers(Err(anyhow!("nobody asks it"))));
    let found = Entry::Absent;
    let subject = ConfSubject {
        root,
        wanted: Ok(&wanted),
        found: &found,
        closed: None,
        drop_in_directories: Vec::new(),
        python: &python,
        environments: &[],
    };
    let checked = check::run(&ConfSubject::CHECKS[1..2], &subject);
    capture::capture(&system, Inputs { versions: String::new(), plan: Ok(String::new()), verify: Ok(String::new()) })?;
    if let Some(problem) = observed.problem().or(installation.unknown_drivers) {
        bail!(problem);
    }
    match checked.iter().find(|result| result.status != check::Status::Pass) {
        Some(result) => Err(refused(&result.evidence)),
        None => Ok(()),
    }
}

/// A unit with Magnum, and what user magnum does there.
fn unit(name: &'static str, plant: impl Fn(&Scratch) + Send + Sync + 'static) -> Shape {
    Shape::tree(name, move |scratch| {
        scratch.root.make_state_directory().unwrap();
        for program in Service::ALL.map(Service::program) {
            scratch.put(program, "#!/usr/bin/python3\n");
        }
        scratch.put("/usr/bin/python3", "");
        scratch.put(MAGNUM_CONF, "[api]\nport = 9511\n");
        scratch.put(format!("{CONF_DIRECTORY}/50-x.conf"), "");
        scratch.put("/usr/lib/python3/dist-packages/magnum-18.0.0.dist-info/entry_points.txt", "");
        scratch.put(format!("{SITE}/x"), "");
        let others = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(scratch.path(SITE), others).unwrap();
        plant(scratch);
    })
}

/// So many names of a file, by a pattern for their paths in which `#` stands for the number.
fn files(name: &'static str, pattern: String, count: usize, content: &'static str) -> Shape {
    unit(name, move |scratch| {
        let path = |index: usize| scratch.path(pattern.replace('#', &index.to_string()));
        scratch.put(pattern.replace('#', "0"), content);
        for index in 1..count {
            let parent = path(index).parent().unwrap().to_owned();
            if !parent.exists() {
                std::fs::create_dir_all(parent).unwrap();
            }
            std::fs::hard_link(path(0), path(index)).unwrap();
        }
    })
}

/// So many files that have a size and take no place on the disk.
fn sparse_files(name: &'static str, pattern: String, count: usize, length: usize) -> Shape {
    unit(name, move |scratch| {
        for index in 0..count {
            let path = pattern.replace('#', &index.to_string());
            scratch.put(&path, "");
            let file = std::fs::File::options().write(true).open(scratch.path(&path)).unwrap();
            file.set_len(length as u64).unwrap();
        }
    })
}

fn fragment(name: &'static str, make: impl Fn() -> Vec<u8> + Send + Sync + 'static) -> Shape {
    unit(name, move |scratch| scratch.put(format!("{CONF_DIRECTORY}/x.conf"), make()))
}

fn entry_points(name: &'static str, make: impl Fn() -> String + Send + Sync + 'static) -> Shape {
    unit(name, move |scratch| {
        scratch.put(format!("{SITE}/x-1.dist-info/entry_points.txt"), format!("[magnum.drivers]\n{}", make()));
    })
}

/// Something in place of one of the charm's files.
fn instead(name: &'static str, path: &'static str, put: impl Fn(&Path) + Send + Sync + 'static) -> Shape {
    unit(name, move |scratch| put(&scratch.path(path)))
}

fn shapes() -> Vec<Shape> {
    let driver = "[magnum.drivers]\nx = a:b\n";
    let metadata = format!("{SITE}/x#-1.dist-info/entry_points.txt");
    let fragments = format!("{CONF_DIRECTORY}/#.conf");
    vec![
        unit("good", |_| ()),
        files("good, 300 distributions", metadata.clone(), 300, driver),
        files("good, 100 fragments", fragments.clone(), 100, "[x]\ny = z\n"),
        files("21,000 names where Python looks", format!("{SITE}/#"), 21_000, ""),
        files("21,000 names in /etc/magnum", format!("{MAGNUM_DIRECTORY}/#"), 21_000, ""),
        files("21,000 names in conf.d", format!("{CONF_DIRECTORY}/#"), 21_000, ""),
        files("2000 fragments", fragments.clone(), 2000, "[x]\ny = z\n"),
        sparse_files("130 fragments of 8 MiB", fragments, 130, 8 * MIB),
        fragment("a fragment of line breaks", || vec![b'\n'; MOST]),
        fragment("a fragment of assignments", || b"a=\n".repeat(MOST / 3)),
        fragment("a fragment of sections", || b"[a]\n".repeat(MOST / 4)),
        fragment("a fragment that is no text", || vec![0xff; MOST]),
        fragment("a fragment of lines that are no text", || b"\xff\n".repeat(MOST / 2)),
        fragment("a fragment of secrets", || b"password = hunter2\n".repeat(50_000)),
        files("6000 distributions", metadata.clone(), 6000, driver),
        sparse_files("130 distributions of 8 MiB", metadata.clone(), 130, 8 * MIB),
        sparse_files("a distribution of 1 TiB", metadata, 1, 1 << 40),
        entry_points("250,000 drivers", || (0..250_000).map(|index| format!("{index}=\n")).collect()),
        entry_points("one driver 600,000 times", || "x=\n".repeat(600_000)),
        entry_points("a driver with a name of 2 MB", || "x".repeat(2_000_000) + "=\n"),
        entry_points("drivers with odd names", || "\u{1b}\u{444}=\n".repeat(400_000)),
        entry_points("entry points of 8 MB", || "x=\n".repeat(2_600_000)),
        unit("3000 distributions that are links", |scratch| {
            for index in 0..3000 {
                scratch.link(format!("{SITE}/x{index}-1.dist-info"), "/dev/zero");
            }
        }),
        files("3000 copies of the driver", format!("{SITE}/{}-#", driver::PACKAGE), 3000, ""),
        sparse_files("copies of 1 TiB", format!("{SITE}/{}-#/x", driver::PACKAGE), 3, 1 << 40),
        files("a copy of 12,000 files", format!("{SITE}/{}/#", driver::PACKAGE), 12_000, ""),
        files("a copy with a long name", format!("{SITE}/{}-{}", driver::PACKAGE, "x".repeat(238)), 1, ""),
        files("3000 temporary files", format!("{MAGNUM_DIRECTORY}/.magnum-capi-helm-#"), 3000, ""),
        instead("the kubeconfig leads to /dev/zero", kubeconfig::PATH, |path| {
            std::os::unix::fs::symlink("/dev/zero", path).unwrap();
        }),
        instead("the kubeconfig is 300 directories deep", kubeconfig::PATH, |path| {
            std::fs::create_dir_all(path.join("d/".repeat(300))).unwrap();
        }),
        sparse_files("the kubeconfig has 1 TiB", kubeconfig::PATH.to_owned(), 1, 1 << 40),
        sparse_files("the charm's fragment has 80 MiB", CONF.to_owned(), 1, 80 * MIB),
    ]
}
