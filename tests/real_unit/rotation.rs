//! The kubeconfig changes while the graft is at work: never torn, never without one that works,
//! never with a restart.

use std::time::{Duration, Instant};

use lab::{ClientCertificate, Issuer, ManagementCluster};
use serde_json::{Value, json};

use crate::support::management::assert_logged;
use crate::support::{CONF, Deployment, Enough, KUBECONFIG, STATE, conf, eventually, soak, timed};
use crate::verify::checks;

const DAY: i64 = 24 * 60 * 60;

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn user_magnum_reads_a_whole_kubeconfig_at_every_moment_of_many_rotations() {
    let it = Deployment::active();
    // As long as those of somebody with many clusters, and different to their ends: what is torn
    // shows.
    let kubeconfigs = [
        it.management.kubeconfig() + &"# one more cluster\n".repeat(3000),
        it.kubeconfig_of(&ClientCertificate::default()) + &"# and yet another\n".repeat(3000),
    ];
    it.rotate(&kubeconfigs[0]);
    let services = it.services();
    let read = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let program = include_str!("read_kubeconfig.py");
            let command = ["sudo", "-u", "magnum", "/usr/bin/python3", "-c", program];
            let input = json!(kubeconfigs).to_string();
            let machine = it.machine();
            machine.run_with_input(&command, Some(input.as_bytes())).unwrap()
        });
        let enough = Enough(it.machine());
        eventually("somebody reads", || it.machine().exists("/tmp/reading").unwrap());
        timed("rotations", || {
            for (number, kubeconfig) in (1..=soak(20, 100)).zip(kubeconfigs.iter().rev().cycle()) {
                let case = format!("rotation {number}");
                it.rotate(kubeconfig);
                it.assert_status("active", &["Driver 1.1.0 grafted"], &case);
                it.assert_in_place(kubeconfig, &case);
            }
        });
        drop(enough);
        reader.join().unwrap()
    });
    eprintln!("{}", read.stdout.trim());
    assert!(read.ok(), "{}", read.stderr);
    let read: Value = serde_json::from_str(&read.stdout).unwrap();
    assert_eq!(read["faults"], json!({}), "{read}");
    let group: u32 = it.shell("id -g magnum").trim().parse().unwrap();
    let access = read["access"].as_object().unwrap();
    let accesses: Vec<&String> = access.keys().collect();
    assert_eq!(accesses, [&format!("(0, {group}, '0o640')")]);
    for which in [0, 1] {
        let count = read["seen"][which].as_u64().unwrap();
        assert!(count > 100, "too few reads: {read}");
    }
    let slow = read["slow"].as_u64().unwrap();
    assert!(slow > 2, "too few slow reads: {read}");
    assert_eq!(it.services(), services, "nothing was restarted");
    assert_eq!(it.litter(), "");
}

/// A kubeconfig that must not take the place of one that works, and what is said of it.
struct Refusal {
    case: &'static str,
    kubeconfig: String,
    /// The status.
    summary: &'static str,
    /// Words of the log.
    words: &'static [&'static str],
}

fn refusals(it: &Deployment) -> Vec<Refusal> {
    let good = it.management.kubeconfig();
    let of = |wanted| it.kubeconfig_of(&wanted);
    let wanted = ClientCertificate::default;
    let stranger = of(ClientCertificate { issuer: Issuer::Stranger, ..wanted() });
    let other_cluster = ManagementCluster::fresh(it.machine()).unwrap().kubeconfig();
    let over = of(ClientCertificate { not_after: -60, ..wanted() });
    let tomorrows = of(ClientCertificate { not_before: DAY, ..wanted() });
    let own = it.management.admin();
    let other = it.management.credential(it.machine(), &wanted()).unwrap();
    let mixed = it
        .management
        .kubeconfig_for(&lab::Credential { certificate_pem: own.certificate_pem.clone(), key_pem: other.key_pem });
    let refusal = |case, kubeconfig: String, summary, words| Refusal { case, kubeconfig, summary, words };
    const STAYS: &str = "Granted kubeconfig does not work; the earlier one stays";
    const UNUSABLE: &str = "Kubeconfig is not usable";
    vec![
        refusal("unknown to the cluster", stranger, STAYS, &["HTTP 401"]),
        refusal("of another cluster", other_cluster, STAYS, &["invalid peer certificate"]),
        refusal(
            "where nobody listens",
            good.replace(":6443", ":6444"),
            STAYS,
            &["https://198.51.100.1:6444", "refused"],
        ),
        refusal("already over", over, UNUSABLE, &["has expired", "certificate"]),
        refusal("not good yet", tomorrows, UNUSABLE, &["not valid yet", "certificate"]),
        refusal("with another's key", mixed, UNUSABLE, &["does not belong"]),
        refusal("cut off", good[..good.len() / 2].into(), UNUSABLE, &[]),
        refusal("no YAML", good.replace("users:", "users: {"), UNUSABLE, &["not YAML"]),
        refusal("empty", "\n".into(), UNUSABLE, &["no mapping"]),
        refusal("http", good.replace("https:", "http:"), UNUSABLE, &["not an https"]),
        refusal("with a token for an old driver", it.kubeconfig_with_token(), UNUSABLE, &["token", "1.3.0"]),
        refusal("that only the driver refuses", good.clone() + "x: !vault y\n", UNUSABLE, &["refused by the driver"]),
        refusal(
            "that only helm refuses",
            good.clone() + "- name: x\n  user: {client-key-data: '***'}\n",
            UNUSABLE,
            &["refused by helm (illegal base64 data)"],
        ),
    ]
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn one_that_does_not_work_never_takes_the_place_of_one_that_does() {
    let it = Deployment::active();
    let services = it.services();
    let good = [it.management.kubeconfig(), it.kubeconfig_of(&ClientCertificate::default())];
    let untouched = |it: &Deployment| it.shell(&format!("stat -c '%i %z' {KUBECONFIG}"));
    for (number, refusal) in refusals(&it).into_iter().enumerate() {
        let case = refusal.case;
        let [old, new] = [number, number + 1].map(|number| &good[number % 2]);
        let before = untouched(&it);
        let run = it.rotate(&refusal.kubeconfig);
        let summary = [refusal.summary];
        it.assert_status("blocked", &summary, case);
        assert_logged(&run, &[&["update-secret"], refusal.words].concat(), case);
        it.assert_in_place(old, case);
        let run = it.hook("update-status");
        it.assert_status("blocked", &summary, case);
        assert_eq!(run.log, [], "{case}: it is not logged twice");
        assert_eq!(untouched(&it), before, "{case}: not even written again");

        it.rotate(new);
        it.assert_status("active", &["Driver 1.1.0 grafted"], case);
        it.assert_in_place(new, &format!("a good one after one {case}"));
    }
    assert_eq!(it.services(), services, "nothing was restarted");
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn the_last_one_that_worked_comes_back_when_the_cluster_knows_only_that() {
    let it = Deployment::active();
    let services = it.services();
    let old = it.management.kubeconfig();
    let new = it.kubeconfig_of(&ClientCertificate { issuer: Issuer::Stranger, ..ClientCertificate::default() });
    it.management.stop(it.machine()).unwrap();
    let run = it.rotate(&new);
    let case = "neither is answered";
    it.assert_status("waiting", &["does not answer (Connection refused"], case);
    assert_logged(&run, &["https://198.51.100.1:6443"], case);
    it.assert_in_place(&new, case);
    it.hook("update-status");
    it.assert_in_place(&new, "still neither is answered");
    let private = it.shell(&format!(
        "stat -c '%U:%G %a' {STATE}; find {STATE} -perm /077 -not -type l; find {STATE} -not -user root"
    ));
    let kept = it.shell(&format!("grep -rlF {} {STATE}", it.key()));
    assert!(!kept.is_empty(), "the last one that worked is kept");
    assert!(private.starts_with("root:root 700\n"), "{private}");

    it.management.serve(it.machine()).unwrap();
    let run = it.hook("update-status");
    let case = "only the earlier one is known";
    it.assert_status("blocked", &["the earlier one stays"], case);
    assert_logged(&run, &["HTTP 401"], case);
    it.assert_in_place(&old, case);
    // It is right that it stays, and no hook would do anything about it.
    let found = checks(&it.action("verify"));
    let file = &found["kubeconfig-file"];
    assert!(!file["remedy"].as_str().unwrap().contains("any hook"), "{file}");
    // One that is no good hides nothing of what stands.
    it.rotate("nonsense");
    let found = checks(&it.action("verify"));
    for id in ["kubeconfig-usable", "management-identity", "conf-file", "driver-version"] {
        assert_eq!(found[id]["status"], "pass", "{}", found[id]);
    }
    assert_eq!(it.services(), services, "nothing was restarted");
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn the_last_one_that_worked_comes_back_also_when_nothing_is_granted_any_more() {
    let it = Deployment::active();
    let new = it.kubeconfig_of(&ClientCertificate { issuer: Issuer::Stranger, ..ClientCertificate::default() });
    it.management.stop(it.machine()).unwrap();
    it.rotate(&new);
    it.assert_in_place(&new, "neither is answered");
    it.application.revoke(&it.secret).unwrap();
    it.management.serve(it.machine()).unwrap();
    it.hook("update-status");
    it.assert_status("blocked", &["not granted"], "revoked");
    it.assert_in_place(&it.management.kubeconfig(), "revoked");
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn what_fires_no_hook_is_found_and_a_revoked_grant_changes_nothing() {
    let it = Deployment::deployed();
    let [first, second, third] = [
        it.management.kubeconfig(),
        it.kubeconfig_of(&ClientCertificate::default()),
        it.kubeconfig_of(&ClientCertificate::default()),
    ];
    it.set(&[("kubeconfig", it.secret.as_ref())]);
    let run = it.hook("config-changed");
    let command = format!("juju grant-secret {} magnum-capi-helm", it.secret);
    let not_granted = ["kubeconfig not granted", "juju grant-secret"];
    it.assert_status("blocked", &not_granted, "not granted");
    assert_logged(&run, &[&command], "not granted");
    it.application.grant(&it.secret).unwrap();
    it.hook("update-status");
    it.assert_status("active", &["grafted"], "granted without a hook");
    it.assert_in_place(&first, "granted without a hook");
    let services = it.services();

    it.update_secret(&[("kubeconfig", &second)]);
    it.hook("update-status");
    it.assert_status("active", &["grafted"], "updated without a hook");
    it.assert_in_place(&second, "updated without a hook");

    let graft = it.graft();
    it.application.revoke(&it.secret).unwrap();
    for hook in ["update-status", "config-changed", "secret-changed"] {
        let run = it.hook(hook);
        it.assert_status("blocked", &not_granted, "revoked");
        assert_eq!(run.log_text().contains(&command), hook == "update-status", "it is logged once");
        let diff = graft.diff_exact(&it.graft());
        assert!(diff.is_empty(), "revoked, then {hook}: {diff}");
    }
    it.application.grant(&it.secret).unwrap();
    it.hook("update-status");
    it.assert_status("active", &["grafted"], "granted again");

    let attach = |content: Option<&str>| {
        let content = content.map(|content| content.as_bytes().to_vec());
        it.application.attach_resource("kubeconfig", content).unwrap();
        it.upgrade();
    };
    attach(Some(&third));
    it.assert_status("active", &["grafted"], "a resource beside the secret");
    it.assert_in_place(&second, "the secret wins over the resource");
    it.application.reset_config("kubeconfig").unwrap();
    it.hook("config-changed");
    it.assert_status("active", &["grafted"], "the resource alone");
    it.assert_in_place(&third, "the resource alone");
    attach(Some(&first));
    it.assert_in_place(&first, "another resource");
    it.set(&[("kubeconfig", it.secret.as_ref())]);
    it.hook("config-changed");
    it.assert_in_place(&second, "the secret wins again");
    assert_eq!(it.services(), services, "nothing was restarted");
}

/// What `verify` says of the expiry.
fn expiry(it: &Deployment) -> (String, String) {
    let checks = checks(&it.action("verify"));
    let check = &checks["kubeconfig-expiry"];
    let text = |key: &str| check[key].as_str().unwrap().to_owned();
    (text("status"), text("evidence"))
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn an_end_that_comes_near_is_told_in_time_and_one_that_has_come_blocks() {
    let it = Deployment::active();
    let services = it.services();
    let of = |not_after| ClientCertificate { not_after, ..ClientCertificate::default() };
    let run = it.rotate(&it.kubeconfig_of(&of(12 * DAY + 3600)));
    it.assert_status("active", &["Driver 1.1.0 grafted; ", "expires in 12 days"], "twelve days left");
    assert_logged(&run, &["update-secret"], "twelve days left");
    let (status, evidence) = expiry(&it);
    assert_eq!(status, "warn", "{evidence}");
    assert!(evidence.contains("12 days left"), "{evidence}");

    it.set(&[("expiry-warning-days", "10")]);
    it.hook("config-changed");
    assert_eq!(it.unit.status().1, "Driver 1.1.0 grafted", "silenced");
    assert_eq!(expiry(&it).0, "pass");

    // Long enough for a rotation on this machine, as it is now.
    let began = Instant::now();
    it.rotate(&it.kubeconfig_of(&of(9 * DAY)));
    let lives = 10 + 10 * began.elapsed().as_secs();
    let made = Instant::now();
    let short = it.kubeconfig_of(&of(lives.cast_signed()));
    it.rotate(&short);
    it.assert_status("active", &["expires in 0 days"], "some seconds left");
    it.assert_in_place(&short, "some seconds left");
    std::thread::sleep(Duration::from_secs(lives + 2).saturating_sub(made.elapsed()));
    it.shell(&format!("echo '# mine' >>{CONF}"));
    let run = it.hook("update-status");
    it.assert_status("blocked", &["has expired"], "over");
    assert_logged(&run, &["update-secret"], "over");
    it.assert_in_place(&short, "there is no better one");
    let found = it.machine().read_text(CONF).unwrap();
    assert_eq!(found, conf(""), "drift is repaired all the same");
    let (status, evidence) = expiry(&it);
    assert_eq!(status, "fail", "{evidence}");
    assert!(evidence.contains("expired"), "{evidence}");

    it.rotate(&it.management.kubeconfig());
    it.assert_status("active", &["Driver 1.1.0 grafted"], "a new one");
    assert_eq!(it.services(), services, "nothing was restarted");
}
