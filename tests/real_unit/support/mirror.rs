//! A package index that goes wrong on demand, wheels that are made for the purpose, and questions
//! about the driver that are answered without the charm.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lab::Machine;
use sha2::{Digest, Sha256};

use crate::support::management::PASSWORD;
use crate::support::{API, CONDUCTOR, Deployment, SITE};

/// Starts the lab's package index, and waits until it listens.
pub const START_INDEX: &str = "systemctl start lab-index; until ss -ltn | grep -q 127.0.0.1:8090; do sleep 0.05; done";

/// The user whom the mirror knows, with the password of the tests.
pub const USER: &str = "reader";

/// Serves on the unit's loopback, below the name of what goes wrong.
pub fn serve(it: &Deployment) {
    let program = "/opt/lab/mirror.py";
    it.machine().push(program, include_bytes!("mirror.py"), 0o644).unwrap();
    let known = sha256(format!("{USER}:{PASSWORD}").as_bytes());
    it.shell(&format!(
        "systemd-run --quiet --unit=mirror python3 {program} {known}
         until ss -ltn | grep -q 127.0.0.1:8091; do sleep 0.05; done"
    ));
}

/// The index that goes wrong in this way.
pub fn index(way: &str) -> String {
    format!("http://127.0.0.1:8091/{way}/simple/")
}

/// Makes a wheel from the real one of `version`, with `old` replaced by `new` in one of its files,
/// and gives the index that serves it, and its sha256.
pub fn remade(it: &Deployment, name: &str, version: &str, edit: (&str, &str, &str)) -> (String, String) {
    let program = "/opt/lab/remake_wheel.py";
    it.machine().push(program, include_bytes!("remake_wheel.py"), 0o644).unwrap();
    let (source, file) = (wheel_path(version), wheel_name(version));
    let target = format!("/srv/made/{name}/{file}");
    let (member, old, new) = edit;
    let made = it.machine().run(&["python3", program, &source, &target, member, old, new]);
    let made = made.unwrap();
    assert!(made.ok(), "{name}: {}", made.stderr);
    (index(&format!("made/{name}")), sha256(&it.machine().read(&target).unwrap()))
}

/// The real wheel of `version`.
pub fn wheel(it: &Deployment, version: &str) -> Vec<u8> {
    it.machine().read(&wheel_path(version)).unwrap()
}

fn wheel_path(version: &str) -> String {
    format!("/srv/index/simple/magnum-capi-helm/{}", wheel_name(version))
}

fn wheel_name(version: &str) -> String {
    format!("magnum_capi_helm-{version}-py3-none-any.whl")
}

pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// The versions of the driver in `site`, and what is not as its RECORD says.
pub fn installed(machine: &Machine, site: &str) -> (Vec<String>, Vec<String>) {
    let found = machine
        .shell(&format!(
            "cd {site} 2>/dev/null || exit 0; ls -d magnum_capi_helm-*.dist-info 2>/dev/null || :; \
             find magnum_capi_helm -type f ! -path '*/__pycache__/*' 2>/dev/null || :"
        ))
        .unwrap();
    let (infos, files): (Vec<&str>, Vec<&str>) = found.lines().partition(|line| line.ends_with(".dist-info"));
    let mut wrong = Vec::new();
    let mut recorded = Vec::new();
    for info in &infos {
        let record = machine.read_text(&format!("{site}/{info}/RECORD"));
        for row in record.unwrap_or_default().lines() {
            let mut fields = row.rsplitn(3, ',').skip(1);
            let (Some(hash), Some(path)) = (fields.next(), fields.next()) else {
                wrong.push(format!("{info}/RECORD: {row}"));
                continue;
            };
            recorded.push(path.to_owned());
            if hash.is_empty() {
                continue;
            }
            let content = machine.read(&format!("{site}/{path}"));
            let found = content.map(|bytes| URL_SAFE_NO_PAD.encode(Sha256::digest(bytes)));
            if found.ok().as_deref() != hash.strip_prefix("sha256=") {
                wrong.push(path.to_owned());
            }
        }
    }
    let unknown = files.into_iter().filter(|file| !recorded.iter().any(|path| path == file));
    wrong.extend(unknown.map(|file| format!("{file} is in no RECORD")));
    let versions = infos.iter().filter_map(|info| {
        let rest = info.strip_prefix("magnum_capi_helm-")?;
        rest.strip_suffix(".dist-info")
    });
    (versions.map(str::to_owned).collect(), wrong)
}

/// What Python finds as user magnum, with the services' own way to a driver: its version.
pub fn loaded(machine: &Machine) -> Result<String, String> {
    let program = "import importlib.metadata as m, sys; sys.path[:] = [p for p in sys.path if p]; \
        d = m.distribution('magnum-capi-helm'); \
        [e] = [e for e in d.entry_points if e.group == 'magnum.drivers']; \
        e.load()().provides; print(d.version)";
    let asked = machine.run(&["sudo", "-u", "magnum", "/usr/bin/python3", "-c", program]).unwrap();
    match asked.ok() {
        true => Ok(asked.stdout.trim().to_owned()),
        false => Err(asked.stderr),
    }
}

/// Exactly `version` is installed, whole, and loads as user magnum; nothing is left lying about.
#[track_caller]
pub fn assert_driver(it: &Deployment, version: &str, case: &str) {
    let (versions, wrong) = installed(it.machine(), SITE);
    assert_eq!(versions, [version], "{case}: dist-info");
    assert_eq!(wrong, [""; 0], "{case}: against RECORD");
    assert_eq!(loaded(it.machine()), Ok(version.to_owned()), "{case}");
    assert_eq!(it.litter(), "", "{case}: litter");
}

/// The principal pauses Magnum: nothing restarts, and hooks take only their own time.
pub fn pause(it: &Deployment) {
    it.shell(&format!("systemctl disable --quiet --now {API} {CONDUCTOR}; systemctl mask --quiet {API} {CONDUCTOR}"));
}
