//! Every parser of what others make, as targets for a fuzzer: each with what must hold for any input, besides that the
//! parser ends.
//!
//! `cargo xtask fuzz` runs them on inputs that libFuzzer makes, the test below on those in `fuzz/corpus`. They are
//! compiled for tests and with the feature `fuzzing`, and are not in the charm.

#![allow(clippy::expect_used, reason = "it fails on a finding")]

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::io::{Write as _, sink};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::Url;

use crate::capture::redact::redact;
use crate::check;
use crate::conf::{self, ConfInputs};
use crate::driver::{DriverSubject, PACKAGE, facts, installed::Comparison, page, wheel::members};
use crate::escape::{self, STATUS_LENGTH};
use crate::juju::settings::{Address, Credentials, DriverSource, Given, Pin, RawConfig, Settings};
use crate::juju::tools::SecretContent;
use crate::kubeconfig::programs::DriverAnswer;
use crate::kubeconfig::validity::{Validity, age};
use crate::kubeconfig::{self, UsableKubeconfig, access, certificate, compatibility::Stack};
use crate::magnum::oslo::{Assignment, assignments};
use crate::magnum::{Answers, PythonAnswers, Service, StartDefaults, StartRefusal, entry_points, exception, python};
use crate::problem::Problem;
use crate::rolling::{LeaderDecision, Situation, UnitState};
use crate::services::logs::written_by;
use crate::smoketest::api::{magnum_in, message};
use crate::smoketest::failure::{Failure, Stage};
use crate::smoketest::removal;
use crate::smoketest::resource::ResourceKind;
use crate::system::{Secret, limits, systemd};
use crate::{chart, helm};

/// A target's name, which is also that of its folder in `fuzz/corpus`, and its function.
pub type FuzzTarget = (&'static str, fn(&[u8]));

pub const TARGETS: [FuzzTarget; 23] = [
    ("address", address),
    ("certificate", certificates),
    ("chart", charts),
    ("cloud", cloud),
    ("cluster", cluster),
    ("conf", conf_files),
    ("config", config),
    ("defaults", defaults),
    ("escape", shown),
    ("helm", helms),
    ("json", typed),
    ("kubeconfig", kubeconfigs),
    ("log", log),
    ("options", options),
    ("page-html", |input| index_page("text/html", input)),
    ("page-json", |input| index_page("application/vnd.pypi.simple.v1+json", input)),
    ("peers", peers),
    ("pin", pins),
    ("record", record),
    ("redact", redacted),
    ("systemd", units),
    ("token", token),
    ("wheel", wheel),
];

/// A word that no output may hold.
const SECRET: &str = "hunter2hunter2";

fn text(input: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(input)
}

/// Parses JSON as whatever takes it in does.
fn parsed<T: DeserializeOwned>(input: &[u8]) -> Option<T> {
    limits::json(input).ok()
}

fn pin() -> Pin {
    "magnum-capi-helm==1.4.0".parse().expect("a pin")
}

/// Packs an archive, so that what is in it can be changed and not only its compressed bytes.
fn gzipped(input: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::none());
    packed.write_all(input).expect("memory takes it");
    packed.finish().expect("memory takes it")
}

#[track_caller]
fn assert_one_line(text: &str) {
    assert!(!text.contains(char::is_control), "{text:?}");
}

#[track_caller]
fn assert_problem(problem: &Problem) {
    assert_status(&problem.summary);
}

/// Asserts that a text can be a status.
#[track_caller]
fn assert_status(text: &str) {
    let status = escape::status(text);
    assert_one_line(&status);
    assert!(status.chars().count() <= STATUS_LENGTH, "{status:?}");
}

/// Asserts that a path is plainly one of the driver's own.
#[track_caller]
fn assert_own_path(path: &str) {
    assert!(path.starts_with(PACKAGE), "{path:?}");
    assert!(path.split('/').all(|part| !matches!(part, "" | "." | "..")), "{path:?}");
}

#[track_caller]
fn assert_without_credentials(address: &str) {
    let address = Url::parse(address).expect("an address");
    assert_eq!((address.username(), address.password(), address.query()), ("", None, None));
}

fn source() -> DriverSource {
    DriverSource { pin: pin(), sha256: None, index: None, wheel: Some("/wheel".into()) }
}

fn wheel(input: &[u8]) {
    match members(input, &source()) {
        Ok(members) => {
            members.keys().for_each(|name| {
                assert_own_path(name);
                assert_one_line(name);
            });
            assert!(members.values().map(Vec::len).sum::<usize>() <= 16 << 20);
        }
        Err(problem) => assert_problem(&problem),
    }
}

fn record(input: &[u8]) {
    let mut comparison = Comparison::default();
    comparison.files.insert(format!("{PACKAGE}/driver.py"), Ok("abc".to_owned()));
    comparison.compare("magnum_capi_helm-1.4.0.dist-info", input);
    comparison.directories.iter().for_each(|directory| assert_own_path(directory));
    comparison.damage.iter().for_each(|damage| assert_one_line(damage));
}

fn index_page(content_type: &str, input: &[u8]) {
    for file in page::files(content_type, input).ok().flatten().unwrap_or_default() {
        black_box(file.refuses("3.11.2"));
        if file.is_wheel_of(pin().version()) {
            assert!(file.filename.ends_with("-none-any.whl"), "{file:?}");
        }
    }
}

fn charts(input: &[u8]) {
    let packed = if input.starts_with(&[0x1f, 0x8b]) { input.to_vec() } else { gzipped(input) };
    if let Ok(version) = chart::archive::version(&packed, chart::archive::UNPACKED_LIMIT) {
        assert!(version.chars().all(|c| c.is_ascii_graphic()), "{version:?}");
    }
}

fn helms(input: &[u8]) {
    for given in [input, gzipped(input).as_slice()] {
        let extracted = helm::archive::extract(given, helm::archive::SIZE_LIMIT, helm::archive::URL, &mut sink());
        if let Some(problem) = extracted.err().and_then(|error| error.downcast::<Problem>().ok()) {
            assert_problem(&problem);
        }
    }
}

fn kubeconfigs(input: &[u8]) {
    let Ok(content) = kubeconfig::in_text(input.to_vec()) else { return };
    match UsableKubeconfig::new(&content, &pin(), &|_| Err("there is no file".to_owned())) {
        Ok(usable) => {
            assert_without_credentials(&usable.server);
            black_box(age(&usable.validity, Timestamp::UNIX_EPOCH));
        }
        // Names of fields, and places.
        Err(fault) => assert!(fault.to_string().is_ascii() && fault.to_string().len() < 400, "{fault}"),
    }
}

fn certificates(input: &[u8]) {
    let (begin, end) = ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----");
    let pem = match input.starts_with(b"-") {
        true => input.to_vec(),
        false => format!("{begin}\n{}\n{end}\n", STANDARD.encode(input)).into_bytes(),
    };
    let pair = certificate::pair(&pem, &Secret::new(pem.clone()));
    let pieces = [certificate::authority(&pem), pair.map(|(validity, _)| validity)];
    black_box(age(&pieces.into_iter().flatten().collect::<Vec<_>>(), Timestamp::UNIX_EPOCH));
}

fn token(input: &[u8]) {
    let packed = format!("e30.{}.", URL_SAFE_NO_PAD.encode(input));
    let pieces = [Validity::of_token(&text(input)), Validity::of_token(&packed)];
    black_box(age(&pieces.into_iter().flatten().collect::<Vec<_>>(), Timestamp::UNIX_EPOCH));
}

fn cluster(input: &[u8]) {
    let Some(answer) = parsed::<Value>(input) else { return };
    let served = access::served_in(&answer);
    let own = answer["api_resources"].as_str().map(str::to_owned);
    for api_resources in [None, own] {
        let stack = Stack { driver: pin().version().clone(), chart: None, api_resources };
        black_box(stack.incompatibilities(&served));
    }
}

fn cloud(input: &[u8]) {
    let body = parsed(input).unwrap_or_else(|| Value::from(text(input)));
    let found = magnum_in(&body["token"]["catalog"], "public", Some("RegionOne"));
    for message in [message(&body), found.unwrap_or_else(|others| others)] {
        for failure in [
            Failure::refused(Stage::ClusterCreate, 400, &message),
            Failure::of_cluster(Stage::ClusterWait, "CREATE_FAILED", &message),
        ] {
            let shown = failure.to_string();
            assert_one_line(&shown);
            assert!(shown.chars().count() < 2100, "{shown}");
        }
    }
}

/// Reads the answers of Magnum's Python, of the fetcher, of Juju and of Magnum's API.
fn typed(input: &[u8]) {
    black_box((python::parse::<python::WhereAnswer>(input).ok(), python::parse::<DriverAnswer>(input).ok()));
    if let Ok(answer) = python::parse::<facts::FactsAnswer>(input) {
        match answer.options(&source()) {
            Ok(options) => assert!(options.len() <= 1000 && options.iter().all(|option| option.len() <= 200)),
            Err(problem) => assert_problem(&problem),
        }
    }
    if let Ok(answers) = python::parse::<Answers>(input) {
        let python = PythonAnswers(Ok(answers));
        let subject = DriverSubject { desired: None, observed: &Default::default(), python: &python, only_ours: true };
        assert_eq!(check::run(&DriverSubject::CHECKS, &subject).len(), DriverSubject::CHECKS.len());
    }
    black_box(python::parse::<Option<StartRefusal>>(input).ok());
    if let Some(problem) = parsed::<Problem>(input) {
        assert_problem(&problem);
    }
    black_box((parsed::<SecretContent>(input), parsed::<Vec<String>>(input), parsed::<Option<String>>(input)));
    let page = parsed::<Vec<Value>>(input).unwrap_or_default();
    black_box(removal::with_prefix(ResourceKind::Cluster, &page, "smoketest-"));
}

/// Reads options as `config-get` prints them.
fn config(input: &[u8]) {
    let Some(config) = parsed::<RawConfig>(input) else { return };
    match config.validated(Given::default()) {
        Ok(settings) => assert_eq!(written(&settings), wanted(&settings)),
        Err(problem) => assert_problem(&problem),
    }
}

fn options(input: &[u8]) {
    let set = json!({"driver-pin": pin().to_string(), "capi-helm-options": text(input)});
    config(set.to_string().as_bytes());
}

/// What Magnum is to read in `[capi_helm]`.
fn wanted(settings: &Settings) -> Vec<(String, String)> {
    settings.capi_helm_options.iter().map(|(key, value)| (key.to_owned(), value.replace('$', "$$"))).collect()
}

/// What it reads there of the file that the charm writes, the charm's own left out.
fn written(settings: &Settings) -> Vec<(String, String)> {
    let known: Vec<String> = settings.capi_helm_options.iter().map(|(key, _)| key.to_owned()).collect();
    let inputs =
        ConfInputs { settings, other_drivers: &[], kubeconfig: "/kubeconfig", chart: None, known_options: &known };
    let Ok(file) = conf::conf(&inputs) else { return wanted(settings) };
    let text = String::from_utf8(file.bytes).expect("it is ASCII");
    let own = |found: &Assignment<'_>| known.iter().any(|key| key == found.key);
    let found = assignments(&text).filter(|found| found.section == "capi_helm").filter(own);
    found.map(|found| (found.key.to_owned(), found.value.to_owned())).collect()
}

/// Reads Magnum's configuration, and entry points, which have nearly the same form.
fn conf_files(input: &[u8]) {
    for Assignment { section, key, value } in assignments(&text(input)) {
        assert!(![section, key, value].iter().any(|part| part.contains('\n')));
        assert_eq!(key, key.trim());
    }
    for (group, name) in entry_points(&text(input)) {
        assert!(![group, name].iter().any(|part| part.contains(['\n', '\r']) || part.trim() != *part));
    }
}

fn units(input: &[u8]) {
    for unit in systemd::parse(&text(input)) {
        assert!(unit.main_pid.is_none_or(|pid| pid > 0));
        assert!(unit.exec_start.iter().all(|line| !line.contains('\n')));
    }
}

/// Reads what a start script prints, in the first line, and a file in `/etc/default`.
fn defaults(input: &[u8]) {
    let text = text(input);
    let (printed, file) = text.split_once('\n').unwrap_or((&text, ""));
    let mut defaults = StartDefaults::default();
    defaults.carry(printed.split_whitespace(), Service::Api);
    defaults.read_lines(Path::new("/etc/default/magnum-api"), file, true);
    for word in defaults.config_files.iter().chain(&defaults.arguments) {
        let is_for_systemd = |c: char| "$%'\"\\".contains(c) || !c.is_ascii_graphic();
        assert!(!word.contains(is_for_systemd), "{word:?}");
    }
}

/// Reads the data bags of the leader and of three units.
fn peers(input: &[u8]) {
    let Some((decision, states)) = parsed::<(LeaderDecision, [UnitState; 3])>(input) else { return };
    let names = ["a/0", "a/1", "a/2"].map(str::to_owned);
    let own = states[0].next("a/0", &decision, Situation { pending: true, unhealthy: None });
    black_box(own.is_granted("a/0", &decision));
    let states: BTreeMap<String, UnitState> = names.into_iter().zip(states).collect();
    let next = decision.next("a/1", &states, |_| false, 1_800_000_000);
    black_box(next.reason_to_wait("a/0"));
}

fn address(input: &[u8]) {
    let Ok(address) = Address::new("index-url", &text(input)) else { return };
    assert_without_credentials(&address.to_string());
    let credentials = Credentials { username: "me".to_owned(), password: Secret::new(SECRET.to_owned()) };
    if let Ok(joined) = address.with("index-url", &credentials) {
        assert_eq!(joined.url().password(), Some(SECRET));
        assert_without_credentials(&joined.to_string());
    }
}

fn pins(input: &[u8]) {
    if let Ok(pin) = text(input).parse::<Pin>() {
        assert_eq!(pin.to_string().parse().as_ref(), Ok(&pin));
        assert!(pin.to_string().bytes().all(|byte| byte.is_ascii_graphic()), "{pin}");
    }
}

/// Redacts a text with secrets in it, some behind it in the same line.
fn redacted(input: &[u8]) {
    let text = text(input);
    if text.contains(SECRET) {
        return;
    }
    let marked = format!(
        "{text}\nadmin_password = {SECRET}\n  token: {SECRET}\n{text}{{\"password\": \"{SECRET}\", \"user\": \"a\"}}\n\
         {text}https://a:{SECRET}@h/x\n{text} Bearer {SECRET}\n{text}"
    );
    let redacted = redact(&marked);
    assert!(!redacted.contains(SECRET), "{redacted}");
}

fn log(input: &[u8]) {
    let text = text(input);
    assert!(written_by(&text, &[57, 58].into()).len() <= text.len());
    assert!(!exception(&anyhow::anyhow!("{text}")).contains('\n'));
}

fn shown(input: &[u8]) {
    assert_status(&text(input));
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    fn names_in(folder: &Path) -> Vec<PathBuf> {
        let mut found: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        found.sort();
        found
    }

    #[test]
    fn every_target_has_a_corpus_and_no_file_of_it_is_a_finding() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
        assert_eq!(names_in(&corpus), TARGETS.map(|(name, _)| corpus.join(name)));
        for (name, target) in TARGETS {
            let files = names_in(&corpus.join(name));
            assert!(!files.is_empty(), "{name}");
            for file in files {
                println!("{}", file.display());
                target(&fs::read(file).unwrap());
            }
        }
    }
}
