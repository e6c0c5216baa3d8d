//! A TLS server that asks for client certificates, and everything it can answer: what `verify`, the
//! status and `preflight` make of it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use lab::{Behaviour, ClientCertificate, Issuer, KeyKind, Mode, Request};
use serde_json::Value;

use crate::support::management::{TOKEN, assert_logged};
use crate::support::{CONF, Deployment, STATE, assert_same, pin};
use crate::verify::checks;

/// The longest that a hook may wait for one answer, or all questions together may take: 5 s and 15 s, and
/// what a busy machine adds. Magnum would wait for minutes.
const LIMIT: Duration = Duration::from_secs(120);

/// The checks by their ids: status and evidence.
pub type Verdicts = BTreeMap<String, (String, String)>;

fn verdicts<'a>(checks: impl IntoIterator<Item = &'a Value>) -> Verdicts {
    let text = |check: &Value, key: &str| check[key].as_str().unwrap().to_owned();
    let verdict = |check| (text(check, "id"), (text(check, "status"), text(check, "evidence")));
    checks.into_iter().map(verdict).collect()
}

pub fn verify(it: &Deployment) -> Verdicts {
    verdicts(checks(&it.action("verify")).values())
}

/// `preflight` on the unit, and how long it took.
pub fn preflight(it: &Deployment, kubeconfig: &str, options: &[&str]) -> (Verdicts, Duration) {
    let path = "/root/given.kubeconfig";
    it.machine().push(path, kubeconfig.as_bytes(), 0o600).unwrap();
    let program = format!("{}/dispatch", it.unit.charm_directory());
    let mut command = vec![program.as_str(), "preflight", "--kubeconfig", path];
    command.extend(["--format", "json"].iter().chain(options));
    let began = Instant::now();
    let run = it.machine().run(&command).unwrap();
    let took = began.elapsed();
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    let failed = report["failed"].as_u64().unwrap();
    assert_eq!(run.code, Some(i32::from(failed > 0)), "{}", run.stdout);
    (verdicts(report["checks"].as_array().unwrap()), took)
}

/// A check's status, and words of its evidence.
#[track_caller]
pub fn assert_verdict(found: &Verdicts, id: &str, status: &str, words: &[&str], case: &str) {
    let (verdict, evidence) = &found[id];
    let named = words.iter().all(|word| evidence.contains(word));
    assert!(verdict == status && named, "{case}: {id} is {verdict}: {evidence}; wanted {status} {words:?}");
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn preflight_changes_nothing_on_the_unit() {
    let it = Deployment::active();
    let kubeconfig = it.management.kubeconfig();
    let look = || {
        preflight(&it, &kubeconfig, &["--conf", CONF]);
        let state = it.machine().snapshot(&[STATE], &[]).unwrap();
        (it.files(), state, it.services(), it.unit.status_history())
    };
    let (before, after) = (look(), look());
    assert_same(&before.0.diff_exact(&after.0), "preflight");
    assert_same(&before.1.diff_exact(&after.1), "preflight and the state");
    assert_eq!((before.2, before.3), (after.2, after.3));
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn every_kind_of_key_logs_in_and_the_identity_is_named() {
    let it = Deployment::active();
    for (name, key, issuer) in [
        ("ec-pkcs8", KeyKind::EcP256Pkcs8, Issuer::Cluster),
        ("rsa-pkcs1", KeyKind::RsaPkcs1, Issuer::Cluster),
        ("ec-sec1", KeyKind::EcP256Sec1, Issuer::Cluster),
        ("rsa-pkcs8", KeyKind::RsaPkcs8, Issuer::Cluster),
        ("ec-p384", KeyKind::EcP384, Issuer::Cluster),
        ("ed25519", KeyKind::Ed25519, Issuer::Cluster),
        ("intermediate", KeyKind::EcP256Sec1, Issuer::Intermediate),
    ] {
        let kubeconfig =
            it.kubeconfig_of(&ClientCertificate { user: name.into(), key, issuer, ..ClientCertificate::default() });
        it.management.forget_requests(it.machine()).unwrap();
        it.rotate(&kubeconfig);
        it.assert_status("active", &["Driver 1.1.0 grafted"], name);
        it.assert_in_place(&kubeconfig, name);
        let asked = it.management.requests(it.machine()).unwrap();
        let all_by = |request: &Request| request.user.as_deref() == Some(name);
        assert!(asked.iter().all(all_by), "{name}: {asked:?}");
        let knows = format!("knows the user as {name}");
        assert_verdict(&verify(&it), "management-identity", "pass", &[&knows], name);
        let (found, _) = preflight(&it, &kubeconfig, &[]);
        for id in ["usable", "expiry"] {
            assert_verdict(&found, &format!("kubeconfig-{id}"), "pass", &[], name);
        }
        for id in ["api", "permissions", "capi"] {
            assert_verdict(&found, &format!("management-{id}"), "pass", &[], name);
        }
        assert_verdict(&found, "management-identity", "pass", &[&knows], name);
    }
}

/// One way in which the management cluster is of no use, and what is made of it.
struct Trouble {
    mode: Mode,
    status: &'static str,
    /// A word of the status.
    kind: &'static str,
    /// Words of the details, in the log and in `verify`.
    words: &'static [&'static str],
    /// The status of `management-api` and of `management-identity`.
    checks: [&'static str; 2],
}

const fn trouble(
    mode: Mode,
    status: &'static str,
    kind: &'static str,
    words: &'static [&'static str],
    checks: [&'static str; 2],
) -> Trouble {
    Trouble { mode, status, kind, words, checks }
}

const UNREACHABLE: [&str; 2] = ["warn", "skip"];
const NO_ANSWER: &str = "does not answer";
const REJECTS: &str = "rejects the kubeconfig";
const TROUBLES: [Trouble; 9] = [
    trouble(Mode::Silent, "waiting", "(no answer in time", &["no answer in time"], UNREACHABLE),
    trouble(Mode::Stalls, "waiting", "(no answer in time", &["no answer in time"], UNREACHABLE),
    trouble(Mode::Closes, "waiting", NO_ANSWER, &["does not answer"], UNREACHABLE),
    trouble(Mode::AnswersWith(401), "blocked", REJECTS, &["HTTP 401"], ["pass", "fail"]),
    trouble(Mode::AnswersWith(403), "blocked", REJECTS, &["HTTP 403"], ["pass", "fail"]),
    trouble(Mode::AnswersWith(500), "waiting", NO_ANSWER, &["HTTP 500"], UNREACHABLE),
    trouble(Mode::AnswersWith(503), "waiting", NO_ANSWER, &["HTTP 503"], UNREACHABLE),
    trouble(
        Mode::PresentsStrangersCertificate,
        "waiting",
        "(invalid peer certificate:",
        &["invalid peer certificate"],
        UNREACHABLE,
    ),
    trouble(
        Mode::PresentsExpiredCertificate,
        "waiting",
        "(invalid peer certificate:",
        &["certificate", "expired"],
        UNREACHABLE,
    ),
];

/// The status after a hook, what verify and preflight find, and that none of it takes long.
#[track_caller]
fn assert_told(it: &Deployment, kubeconfig: &str, trouble: &Trouble, logged: bool, case: &str) {
    let hook = it.hook("update-status");
    it.assert_status(trouble.status, &["Management cluster", trouble.kind], case);
    // A rotation before it has logged the same details.
    if !logged {
        let remedy: &[&str] = if trouble.status == "blocked" { &["update-secret"] } else { &[] };
        assert_logged(&hook, &[&["https://"], trouble.words, remedy].concat(), case);
    }
    let began = Instant::now();
    let verified = verify(it);
    let verify_took = began.elapsed();
    let (by_hand, took) = preflight(it, kubeconfig, &[]);
    for found in [&verified, &by_hand] {
        let [api, identity] = trouble.checks;
        assert_verdict(found, "management-api", api, &[], case);
        assert_verdict(found, "management-identity", identity, &[], case);
        let telling = ["management-api", "management-identity"][usize::from(identity == "fail")];
        let (_, evidence) = &found[telling];
        for word in trouble.words {
            assert!(evidence.contains(word), "{case}: {evidence}");
        }
        for id in ["management-permissions", "management-capi"] {
            assert_verdict(found, id, "skip", &[], case);
        }
    }
    eprintln!("{case}: hook {:?}, verify {verify_took:?}, preflight {took:?}", hook.wall);
    assert!(hook.wall < LIMIT, "{case}: {:?}", hook.wall);
    assert!(took < LIMIT && verify_took < LIMIT, "{case}: {took:?}, {verify_took:?}");
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn a_cluster_that_is_of_no_use_is_told_by_kind_in_bounded_time() {
    let it = Deployment::active();
    let (graft, services) = (it.graft(), it.services());
    let kubeconfig = it.management.kubeconfig();
    let mended = |case: &str| {
        it.hook("update-status");
        it.assert_status("active", &["Driver 1.1.0 grafted"], case);
    };
    for trouble in &TROUBLES {
        let case = format!("{:?}", trouble.mode);
        it.behave(Behaviour::of(trouble.mode));
        assert_told(&it, &kubeconfig, trouble, false, &case);
        it.behave(Behaviour::default());
        mended(&case);
    }
    it.management.stop(it.machine()).unwrap();
    let refused = trouble(Mode::Closes, "waiting", "(Connection refused", &["refused"], UNREACHABLE);
    assert_told(&it, &kubeconfig, &refused, false, "nobody listens");

    // It counts when the earlier one is not answered either.
    let nowhere = kubeconfig.replace("198.51.100.1", "management.invalid");
    let rotation = it.rotate(&nowhere);
    assert_logged(&rotation, &["https://management.invalid"], "a name that nobody knows");
    it.assert_in_place(&nowhere, "a name that nobody knows");
    let dns = trouble(
        Mode::Closes,
        "waiting",
        "(failed to lookup",
        &["failed to lookup address", "management.invalid"],
        UNREACHABLE,
    );
    assert_told(&it, &nowhere, &dns, true, "a name that nobody knows");
    it.management.serve(it.machine()).unwrap();
    it.rotate(&kubeconfig);
    mended("served again");
    let diff = graft.diff(&it.graft());
    assert!(diff.is_empty(), "{diff}");
    assert_eq!(it.services(), services, "nothing was restarted");
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn a_token_logs_in_with_a_driver_that_can_use_it() {
    let it = Deployment::active();
    it.set(&[("driver-pin", &pin("1.3.0"))]);
    it.hook("config-changed");
    let account = "system:serviceaccount:magnum:capi";
    let kubeconfig = it.kubeconfig_with_token();
    it.rotate(&kubeconfig);
    it.assert_status("active", &["Driver 1.3.0 grafted"], "a token");
    it.assert_in_place(&kubeconfig, "a token");
    let knows = format!("knows the user as {account}");
    assert_verdict(&verify(&it), "management-identity", "pass", &[&knows], "");

    let with = |token: &str| it.management.kubeconfig_with_token(token);
    let ended = lab::service_account_token(account, -60);
    for (case, token, summary, words) in [
        ("nobody's", "nobody", "Granted kubeconfig does not work; the earlier one stays", "HTTP 401"),
        ("one that is over", &ended, "Kubeconfig is not usable", "has expired: token"),
    ] {
        let run = it.rotate(&with(token));
        it.assert_status("blocked", &[summary], case);
        assert_logged(&run, &[words], case);
        it.assert_in_place(&kubeconfig, case);
    }
    let soon = lab::service_account_token(account, 5 * 24 * 60 * 60 + 60);
    let machine = it.machine();
    it.management.accept_token(machine, &soon, account, &[]).unwrap();
    let run = it.rotate(&with(&soon));
    it.assert_status("active", &["Driver 1.3.0 grafted; ", "expires in 5 days"], "one that ends soon");
    assert_logged(&run, &["token"], "one that ends soon");

    // A driver that cannot use it does not come.
    it.rotate(&with(TOKEN));
    it.set(&[("driver-pin", &pin("1.2.1"))]);
    let run = it.hook("config-changed");
    it.assert_status("blocked", &["Kubeconfig is not usable"], "an older driver");
    assert_logged(&run, &["token", "1.2.1", "1.3.0"], "an older driver");
    assert_eq!(it.installed_version(), "1.3.0");
    it.assert_in_place(&kubeconfig, "an older driver");
}
