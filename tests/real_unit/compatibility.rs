//! What the kubeconfig's user may do in the management cluster, what is served there, and how often it
//! is asked for that.

use lab::{Behaviour, ClientCertificate, HookRun, Rule};

use crate::online::{assert_verdict, preflight, verify};
use crate::support::management::assert_logged;
use crate::support::{Deployment, pin, soak};

const WHO: &str = "POST /apis/authentication.k8s.io/v1/selfsubjectreviews";
const MAY: &str = "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
const CORE: &str = "cluster.x-k8s.io";
const CONTROL_PLANE: &str = "controlplane.cluster.x-k8s.io";
const BOOTSTRAP: &str = "bootstrap.cluster.x-k8s.io";
const OPENSTACK: &str = "infrastructure.cluster.x-k8s.io";
const ADDONS: &str = "addons.stackhpc.com";

/// What the driver's `kubernetes.py` and helm with the chart do: verb, API group, resource.
const DEEDS: [[&str; 3]; 31] = [
    ["create", "", "namespaces"],
    ["patch", "", "namespaces"],
    ["get", "", "secrets"],
    ["list", "", "secrets"],
    ["create", "", "secrets"],
    ["update", "", "secrets"],
    ["patch", "", "secrets"],
    ["delete", "", "secrets"],
    ["deletecollection", "", "secrets"],
    ["get", CORE, "clusters"],
    ["create", CORE, "clusters"],
    ["patch", CORE, "clusters"],
    ["delete", CORE, "clusters"],
    ["list", CORE, "machines"],
    ["get", CORE, "machinedeployments"],
    ["create", CORE, "machinedeployments"],
    ["patch", CORE, "machinedeployments"],
    ["create", CORE, "machinehealthchecks"],
    ["get", CONTROL_PLANE, "kubeadmcontrolplanes"],
    ["create", CONTROL_PLANE, "kubeadmcontrolplanes"],
    ["patch", CONTROL_PLANE, "kubeadmcontrolplanes"],
    ["create", BOOTSTRAP, "kubeadmconfigtemplates"],
    ["get", OPENSTACK, "openstackclusters"],
    ["create", OPENSTACK, "openstackclusters"],
    ["patch", OPENSTACK, "openstackclusters"],
    ["create", OPENSTACK, "openstackmachinetemplates"],
    ["list", ADDONS, "helmreleases"],
    ["create", ADDONS, "helmreleases"],
    ["patch", ADDONS, "helmreleases"],
    ["list", ADDONS, "manifests"],
    ["create", ADDONS, "manifests"],
];

fn shown([verb, group, resource]: &[&str; 3]) -> String {
    let dot = if group.is_empty() { "" } else { "." };
    format!("{verb} {resource}{dot}{group}")
}

fn rule([verb, group, resource]: &[&str; 3]) -> Rule {
    Rule::new(&[group], &[resource], &[verb])
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn every_permission_that_is_denied_is_named_and_no_other() {
    let it = Deployment::active();
    let kubeconfig = it.management.kubeconfig();
    let allow = |rules: Vec<Rule>| it.behave(Behaviour::default().allowing(rules));
    allow(DEEDS.iter().map(rule).collect());
    let (found, _) = preflight(&it, &kubeconfig, &[]);
    assert_verdict(&found, "management-permissions", "pass", &[], "all of them");
    for denied in DEEDS.iter().step_by(soak(3, 1)) {
        let others = DEEDS.iter().filter(|deed| *deed != denied);
        allow(others.map(rule).collect());
        let (found, _) = preflight(&it, &kubeconfig, &[]);
        let words = format!("does not let the kubeconfig's user {}", shown(denied));
        assert_verdict(&found, "management-permissions", "fail", &[&words], &words);
        let (_, evidence) = &found["management-permissions"];
        assert!(evidence.ends_with(&words), "no other: {evidence}");
    }

    // The whole list is asked again when kubeconfig, driver or chart change.
    allow(Vec::new());
    let other = it.kubeconfig_of(&ClientCertificate::default());
    let run = it.rotate(&other);
    let all: Vec<String> = DEEDS.iter().map(shown).collect();
    it.assert_status("blocked", &["lacks permissions"], "nothing is allowed");
    assert_logged(&run, &["does not let", &all.join(", "), "every namespace"], "nothing is allowed");
    let verified = verify(&it);
    assert_verdict(&verified, "management-permissions", "fail", &[&all[21]], "");
    assert_verdict(&verified, "management-identity", "pass", &[], "known");
    allow(vec![Rule::cluster_admin()]);
    it.hook("update-status");
    it.assert_status("active", &["Driver 1.1.0 grafted"], "a role is bound");
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn what_is_served_must_fit_driver_and_chart() {
    let it = Deployment::active();
    let serve = |group: &str, versions: &[&str]| {
        it.behave(Behaviour::default().serving(group, versions));
        // Each case is a change of the chart: only then is everything asked again within a day.
        it.hook("config-changed")
    };
    let assert_blocked = |run: &HookRun, words: &[&str], case: &str| {
        it.assert_status("blocked", &["does not fit driver or chart"], case);
        assert_logged(run, words, case);
    };
    let capi = |status: &str, words: &[&str], case: &str| {
        assert_verdict(&verify(&it), "management-capi", status, words, case);
    };
    for (number, group) in [
        "cluster.x-k8s.io",
        "controlplane.cluster.x-k8s.io",
        "bootstrap.cluster.x-k8s.io",
        OPENSTACK,
        "addons.stackhpc.com",
    ]
    .into_iter()
    .enumerate()
    {
        it.set(&[("helm-chart-version", &format!("0.10.{number}"))]);
        assert_blocked(&serve(group, &[]), &["serves no ", group], group);
        capi("fail", &["serves no ", group], group);
    }
    let words = ["creates cluster.x-k8s.io/v1beta1", "serves v1beta2"];
    assert_blocked(&serve("cluster.x-k8s.io", &["v1beta2"]), &words, "only the newest core");

    it.application.reset_config("helm-chart-version").unwrap();
    let words =
        ["chart 0.4.0 creates infrastructure.cluster.x-k8s.io/v1alpha7", "serves v1beta1", "set helm-chart-version"];
    let run = serve(OPENSTACK, &["v1beta1"]);
    assert_blocked(&run, &words, "the default chart");
    assert_logged(&run, &["v1alpha6", "UNHEALTHY", "driver-pin"], "the default chart");
    capi("fail", &words[..2], "the default chart");
    it.set(&[("helm-chart-version", "0.25.1")]);
    it.hook("config-changed");
    it.assert_status("active", &["Driver 1.1.0 grafted; ", "does not fit"], "a chart that fits");
    capi("warn", &["reads ", "UNHEALTHY"], "a chart that fits");
    it.set(&[("driver-pin", &pin("1.4.0"))]);
    it.hook("config-changed");
    assert_eq!(it.unit.status().1, "Driver 1.4.0 grafted");
    capi("pass", &[], "all of it fits");
    it.set(&[("helm-chart-version", "0.10.1")]);
    assert_blocked(&it.hook("config-changed"), &["chart 0.10.1 creates"], "an old chart");
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn a_converged_hook_puts_one_question_and_a_change_all_of_them() {
    let it = Deployment::active();
    let asked = |hook: &str| -> Vec<String> {
        it.management.forget_requests(it.machine()).unwrap();
        it.hook(hook);
        it.assert_status("active", &["grafted"], hook);
        let requests = it.management.requests(it.machine()).unwrap();
        let shown = requests.iter();
        shown.map(|request| format!("{} {}", request.method, request.path)).collect()
    };
    let assert_all = |asked: &[String], case: &str| {
        for question in [WHO, MAY, "GET /apis"] {
            assert!(asked.iter().any(|asked| asked == question), "{case}: {asked:?}");
        }
    };
    for hook in ["update-status", "update-status", "config-changed", "start"] {
        assert_eq!(asked(hook), [WHO], "{hook}");
    }
    for (option, value) in [("driver-pin", pin("1.2.1")), ("helm-chart-version", "0.10.1".into())] {
        it.set(&[(option, &value)]);
        assert_all(&asked("config-changed"), option);
        assert_eq!(asked("update-status"), [WHO], "after {option}");
    }
    it.update_secret(&[("kubeconfig", &it.kubeconfig_of(&ClientCertificate::default()))]);
    assert_all(&asked("secret-changed"), "another kubeconfig");
    assert_eq!(asked("update-status"), [WHO], "after another kubeconfig");
    // What only looks unhealthy is looked after in every hook.
    it.behave(Behaviour::default().serving(OPENSTACK, &["v1beta1", "v1alpha7"]));
    it.set(&[("driver-pin", &pin("1.1.0"))]);
    for hook in ["config-changed", "update-status"] {
        assert_all(&asked(hook), "something is wrong");
        it.assert_status("active", &["does not fit"], hook);
    }
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn what_is_asked_for_is_enough_for_helm() {
    let it = Deployment::active();
    let machine = it.machine();
    let chart = b"apiVersion: v2\nname: empty\nversion: 0.1.0\n";
    machine.push("/run/chart/Chart.yaml", chart, 0o644).unwrap();
    it.behave(Behaviour::default().allowing(DEEDS.iter().map(rule).collect()));
    for command in ["install a /run/chart", "upgrade a /run/chart", "uninstall a"] {
        let command = format!("helm {command} --kubeconfig /etc/magnum/kubeconfig");
        let run = machine.run(&["sh", "-c", &command]).unwrap();
        assert!(run.ok(), "{command}: {}", run.stderr);
    }
}

#[test]
#[ignore = "needs root and a packed charm: cargo xtask test"]
fn a_cluster_that_falls_silent_within_a_hook_has_not_said_that_it_fits() {
    let it = Deployment::active();
    let machine = it.machine();
    it.set(&[("driver-pin", &pin("1.2.1"))]);
    it.management.forget_requests(machine).unwrap();
    let mut stopped = false;
    let run = it.unit.kill_hook_when("config-changed", |_| {
        if !stopped && !it.management.requests(machine).unwrap().is_empty() {
            it.management.stop(machine).unwrap();
            stopped = true;
        }
        false
    });
    it.heard(run.unwrap());
    it.assert_status("waiting", &["does not answer"], "it has gone");
    it.management.serve(machine).unwrap();
    it.management.forget_requests(machine).unwrap();
    it.hook("update-status");
    let asked = it.management.requests(machine).unwrap();
    assert!(asked.iter().any(|asked| asked.path == "/apis"), "{asked:?}");
}
