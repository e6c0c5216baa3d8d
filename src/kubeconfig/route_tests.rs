//! Tests of what counts as a detour, and of what the programs say of it.

use super::super::testing::{fixture, gid, python, usable};
use super::*;
use crate::check::{self, Status};
use crate::magnum::EnvironmentSource;
use crate::system::systemd::Unit;
use crate::system::testing::{Scratch, command_line};
use crate::system::{Account, Command, Host, Output};

const PROXY: &str = "https_proxy=http://u:hunter2@proxy:3128";

/// A unit on which driver and helm say this.
struct Programs {
    driver: &'static str,
    helm: (i32, &'static str),
}

impl Host for Programs {
    fn run(&self, command: &Command) -> Result<Output> {
        let line = command_line(command);
        assert!(!line.contains("hunter2") && !format!("{command:?}").contains("hunter2"), "{command:?}");
        if line == "systemctl show-environment" {
            return Ok(Output { code: Some(0), ..Output::default() });
        }
        assert_eq!(command.user, Some("magnum"));
        let given = command.secret_env.iter().any(|(_, value)| value.expose().to_string_lossy().contains("hunter2"));
        assert!(given && !line.contains("--kube-apiserver"), "{line}");
        let (code, stdout) = match line.contains("reach") {
            true => (0, self.driver.into()),
            false => (self.helm.0, Vec::new()),
        };
        Ok(Output { code: Some(code), stdout, stderr: self.helm.1.to_owned(), ..Output::default() })
    }

    fn account(&self, _: &str) -> Result<Option<Account>> {
        Ok(None)
    }
}

/// The route in this environment.
fn route(variables: &str, programs: Programs) -> Route {
    let scratch = Scratch::new();
    scratch.put("/usr/bin/helm", "");
    scratch.put("/etc/m.conf", format!("[Service]\nEnvironment={variables}\n"));
    let environment = Secret::new(variables.to_owned());
    let unit = Unit { environment, drop_ins: vec!["/etc/m.conf".into()], ..Unit::default() };
    let python = python();
    let ask = ProgramsToAsk {
        python: Some(&python),
        driver: Some(String::new()),
        helm: scratch.root.identity("/usr/bin/helm".as_ref()).unwrap(),
        magnum_gid: gid(&scratch),
        environment: Some(EnvironmentSource { unit: &unit, process: None }),
        is_dry_run: true,
    };
    let system = System::new(scratch.root.clone(), programs);
    let usable = usable("https://mgmt.example:6443");
    Route::inspect(&system, &usable, &Secret::new("content".to_owned()), &ask).unwrap()
}

fn never() -> Programs {
    Programs { driver: "nobody is asked", helm: (9, "") }
}

#[test]
fn healthy_environments_have_no_detours_and_cost_no_question() {
    for variables in [
        "",
        "https_proxy=",
        "http_proxy=http://u:hunter2@proxy:3128",
        "https_proxy=http://u:hunter2@p HTTPS_PROXY=http://p no_proxy=localhost,.example NO_PROXY=mgmt.example",
        "HELM_DRIVER=secret SSL_CERT_FILE=/x OS_DEFAULT__DEBUG=true KUBECONFIG=/x",
    ] {
        let route = route(variables, never());
        assert_eq!(route.detours, [""; 0], "{variables}");
        assert!(!route.leads_there());
    }
}

#[test]
fn an_exception_counts_when_it_does_for_both_python_and_go() {
    for (exceptions, server, expected) in [
        ("*", "https://mgmt.example", true),
        ("a, mgmt.example:6443 ,b", "https://mgmt.example:6443", true),
        ("MGMT.example", "https://mgmt.example", true),
        ("mgmt.example:1", "https://mgmt.example:6443", false),
        ("example", "https://mgmt.example", true),
        ("xample", "https://mgmt.example", false),
        (".mgmt.example", "https://mgmt.example", false),
        (".example", "https://mgmt.example", true),
        ("*.example", "https://mgmt.example", false),
        (",", "https://mgmt.example", false),
        ("192.0.2.7", "https://192.0.2.7:6443", true),
        ("192.0.2.7:6443", "https://192.0.2.7:6443", false),
        ("10.0.0.0/8,192.0.2.0/29", "https://192.0.2.7:6443", true),
        ("192.0.2.0/30,192.0.2.0/0,192.0.2.0/33,192.0.2", "https://192.0.2.7:6443", false),
        ("2001:db8::1", "https://[2001:db8::1]:6443", true),
    ] {
        assert_eq!(excepts(exceptions, &Url::parse(server).unwrap()), expected, "{exceptions} {server}");
    }
    let both = format!("{PROXY} no_proxy=mgmt.example NO_PROXY=other");
    assert_eq!(route(&both, Programs { driver: "{}", helm: (1, "") }).detours.len(), 1);
}

#[test]
fn each_variable_on_the_way_is_named_with_its_place_and_never_its_value() {
    let variables = format!("{PROXY} ALL_PROXY=http://p REQUESTS_CA_BUNDLE=/ca HELM_KUBETOKEN=hunter2 no_proxy=other");
    let route = route(&variables, Programs { driver: "{}", helm: (0, "") });
    let names: Vec<_> = route.detours.iter().map(|detour| detour.split_once(" (/etc/m.conf:2) ").unwrap().0).collect();
    assert_eq!(names, ["ALL_PROXY", "HELM_KUBETOKEN", "REQUESTS_CA_BUNDLE", "https_proxy"]);
    assert!(!format!("{route:?}").contains("hunter2"), "{route:?}");
}

#[test]
fn authorities_of_the_unit_matter_where_the_kubeconfig_has_none() {
    let variables = ["SSL_CERT_DIR=/x", "CURL_CA_BUNDLE=/x"].map(|it| it.as_bytes().to_vec());
    let environment = ServiceEnvironment::new(variables.into_iter()).unwrap();
    let named = |authority| {
        let found = detours(&environment, &UsableKubeconfig { authority, ..usable("https://h") });
        found.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert_eq!(named(None), ["CURL_CA_BUNDLE", "SSL_CERT_DIR"]);
    assert_eq!(named(Some(fixture("ca.crt"))), ["CURL_CA_BUNDLE"]);
}

#[test]
fn what_counts_is_whether_driver_and_helm_arrive() {
    let direct = || Some(Err(ApiError::Unreachable("timed out".into())));
    let answers = || Some(Err(ApiError::Rejected(401)));
    let says = |driver, helm| Programs { driver, helm };
    let forbidden = "Error: secrets is forbidden: User x";
    let untrusted = "Error: Kubernetes cluster unreachable: Get \"https://h\": tls: failed to verify certificate: x509";
    let cases = [
        (
            says(r#"{"answer": 200}"#, (0, "")),
            direct(),
            [Status::Pass, Status::Pass],
            "https_proxy (/etc/m.conf:2) leads",
        ),
        (says(r#"{"answer": 403}"#, (1, forbidden)), answers(), [Status::Pass, Status::Pass], "driver and helm reach"),
        (
            says(r#"{"error": "SSLError"}"#, (1, untrusted)),
            answers(),
            [Status::Pass, Status::Fail],
            "the driver does not reach https://mgmt.example:6443 (SSLError); helm does not reach \
             https://mgmt.example:6443 (tls: failed to verify certificate: x509)",
        ),
        (says(r#"{"answer": 502}"#, (0, "")), direct(), [Status::Warn, Status::Warn], "(HTTP 502)"),
        (says("", (0, "")), direct(), [Status::Warn, Status::Warn], "the driver was not asked (it does not load)"),
    ];
    for (programs, online, expected, evidence) in cases {
        let route = Some(Ok(route(PROXY, programs)));
        let usable = Some(Ok(usable("https://mgmt.example:6443")));
        let report = KubeconfigReport { usable, online, route, ..KubeconfigReport::default() };
        let found = check::run(ROUTE_CHECKS, &report).remove(0);
        let api = check::run(super::super::checks::CHECKS, &report).into_iter().find(|it| it.id == "management-api");
        assert_eq!([api.unwrap().status, found.status], expected, "{found:?}");
        assert!(found.evidence.contains(evidence) && !found.evidence.contains("hunter2"), "{found:?}");
    }
    let nothing = check::run(ROUTE_CHECKS, &KubeconfigReport::default()).remove(0);
    assert_eq!(nothing.status, Status::Skip);
}
