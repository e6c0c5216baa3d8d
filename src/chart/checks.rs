//! Checks of the chart: the attached one, as user magnum, and the repository from which the driver fetches another.

use std::path::Path;
use std::time::Duration;

use super::PATH;
use crate::check::{ANY_HOOK, Check, Finding, Outcome};
use crate::juju::settings::without_credentials;
use crate::magnum::{EnvironmentSource, MAGNUM_USER, PythonAnswers};
use crate::system::http::{self, HttpClient};
use crate::system::{Command, Entry, ManagedFile, System};

const HELM_LIMIT: Duration = Duration::from_secs(10);
/// Begins the name of a chart in a registry, for helm and the driver.
const OCI: &str = "oci://";
const REPOSITORY_LIMIT: Duration = Duration::from_secs(5);

/// The chart and what reads it.
pub struct ChartSubject<'a> {
    pub system: &'a System,
    /// The attached chart.
    pub wanted: Option<&'a ManagedFile>,
    pub found: &'a Entry,
    /// The helm that the services find.
    pub helm: Option<&'a Path>,
    pub python: &'a PythonAnswers,
    /// Where the environment of the service that runs helm is found.
    pub environment: Option<EnvironmentSource<'a>>,
}

impl ChartSubject<'_> {
    pub const CHECKS: [Check<Self>; 2] = [
        Check::new("chart", "Is the given chart in place, and can user magnum's helm read it?", chart),
        Check::new("chain-chart-repository", "Can this unit reach the repository of the driver's chart?", repository),
    ];
}

fn chart(subject: &ChartSubject) -> Outcome {
    let Some(wanted) = subject.wanted else {
        return Err(contradiction(subject).unwrap_or_else(|| Finding::skip("no chart is attached as a resource")));
    };
    let Some(helm) = subject.helm else {
        return Err(Finding::skip("there is no helm to read it"));
    };
    if let Some(drift) = wanted.drift(subject.found) {
        return Err(Finding::fail(format!("{PATH}: {drift}"), ANY_HOOK));
    }
    let command = Command::new(helm, HELM_LIMIT).as_user(MAGNUM_USER);
    let output = subject.system.run(&command.args(["show", "chart", PATH]))?;
    if output.code == Some(0) {
        return Ok(format!("helm reads {PATH}"));
    }
    let remedy = "attach a chart that helm can read: juju attach-resource APPLICATION helm-chart=FILE";
    Err(Finding::fail(output.failure(), remedy))
}

fn repository(subject: &ChartSubject) -> Outcome {
    let [repo, name] = source(subject)?;
    let Some(address) = index_of(repo, name) else {
        return Ok(format!("none is needed: the chart is {name}"));
    };
    let environment = subject.environment.map(|source| source.read(subject.system)).transpose()?;
    let proxies = environment.map(|environment| environment.proxies()).unwrap_or_default();
    // As helm, which the driver runs there.
    let client = http::outside(&subject.system.root, REPOSITORY_LIMIT, &proxies)?.timeout(REPOSITORY_LIMIT);
    let client = HttpClient::new(client)?;
    let request = client.reqwest.get(&address);
    let address = without_credentials(&address);
    let why = match client.send(request).map(|answer| answer.status()) {
        // A registry asks for a token first: it is there.
        Ok(status) if status.is_success() || status.as_u16() == 401 => {
            return Ok(format!("{address} answers"));
        }
        Ok(status) => format!("HTTP {status}"),
        Err(error) => http::reason(&error),
    };
    Err(Finding::warn(
        format!("not the graft, but {address} does not serve the chart: {why}"),
        "let this unit reach it, or attach the chart: juju attach-resource APPLICATION helm-chart=FILE, or set \
         helm-chart-repo to a mirror",
    ))
}

/// Returns the effective repository and name of the driver's chart.
fn source<'a>(subject: &ChartSubject<'a>) -> Result<[&'a str; 2], Finding> {
    let effective = subject.python.get_with_driver(|answers| &answers.conductor.effective)?;
    let effective = effective.or(|error| anyhow::anyhow!("Python says {error}").into())?;
    Ok(["helm_chart_repo", "helm_chart_name"].map(|key| {
        let option = effective.get(&format!("capi_helm.{key}"));
        option.and_then(|option| option.value.as_str()).unwrap_or_default()
    }))
}

/// Returns what is wrong with a chart in a registry that helm would look for in a repository: no cluster is created.
fn contradiction(subject: &ChartSubject) -> Option<Finding> {
    // If the options are not known, the check of the configuration says so.
    let [repo, name] = source(subject).ok()?;
    (name.starts_with(OCI) && !repo.is_empty()).then(|| {
        let [name, repo] = [name, repo].map(without_credentials);
        Finding::fail(
            format!("helm_chart_name is {name}, and helm looks for it in helm_chart_repo, {repo}, where it is not"),
            "give the driver no repository: add the line `helm_chart_repo =` to capi-helm-options, and reset \
             helm-chart-repo",
        )
    })
}

/// Returns the address at which a chart repository or registry answers; `None` if the chart is on the unit.
fn index_of(repo: &str, name: &str) -> Option<String> {
    if let Some(rest) = name.strip_prefix(OCI) {
        let registry = rest.split('/').next().unwrap_or_default();
        return Some(format!("https://{registry}/v2/"));
    }
    (!repo.is_empty()).then(|| format!("{}/index.yaml", repo.trim_end_matches('/')))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use serde_json::{Value, json};

    use crate::check::{CheckResult, Status, run};
    use crate::system::Secret;
    use crate::system::proxy_tests::{CREDENTIALS, ForwardProxy, answer, trusting};
    use crate::system::systemd::Unit;
    use crate::system::testing::Scratch;

    use super::*;

    fn answers(options: &[(&str, &str)]) -> PythonAnswers {
        let option = |(name, value): &(&str, &str)| {
            let value = json!({"value": value, "from": null});
            (format!("capi_helm.{name}"), value)
        };
        let effective: Value = options.iter().map(option).collect::<serde_json::Map<_, _>>().into();
        let loads = json!({"version": "", "class": "", "file": "", "missing": [], "provides": []});
        let answers = json!({
            "loads": {"answer": loads},
            "conductor": {"configuration": {"answer": true}, "effective": {"answer": effective}},
            "api": null,
            "enabled": {"error": ""},
            "kubeconfig": {"error": ""},
            "trust": {"error": ""},
        });
        PythonAnswers(Ok(serde_json::from_value(answers).unwrap()))
    }

    fn chart_result(wanted: bool, helm: Option<&Path>, reads: bool) -> CheckResult {
        let scratch = Scratch::new();
        let system = scratch.system(move |_| reads.then(String::new));
        let file = ManagedFile::public(PATH, "chart");
        scratch.put(PATH, "chart");
        let subject = ChartSubject {
            found: &system.root.inspect(Path::new(PATH)).unwrap(),
            system: &system,
            wanted: wanted.then_some(&file),
            helm,
            python: &answers(&[]),
            environment: None,
        };
        run(&ChartSubject::CHECKS, &subject).remove(0)
    }

    #[test]
    fn the_attached_chart_passes_when_it_is_in_place_and_helm_reads_it() {
        let helm = Some(Path::new("/usr/bin/helm"));
        assert_eq!(chart_result(true, helm, true).status, Status::Pass);
        assert_eq!(chart_result(true, helm, false).status, Status::Fail);
        assert_eq!(chart_result(true, None, true).status, Status::Skip);
        assert_eq!(chart_result(false, helm, true).status, Status::Skip);
    }

    #[test]
    fn a_chart_in_a_registry_beside_a_repository_fails_with_the_remedy() {
        let (name, repo) = ("oci://ghcr.io/x/chart", "https://user:hunter2@charts.example/x");
        let result = |options: &[(&str, &str)]| {
            let system = Scratch::new().system(|_| None);
            let (found, python) = (&Entry::Absent, &answers(options));
            let subject = ChartSubject { system: &system, wanted: None, found, helm: None, python, environment: None };
            run(&ChartSubject::CHECKS, &subject).remove(0)
        };
        let both = result(&[("helm_chart_name", name), ("helm_chart_repo", repo)]);
        assert_eq!(both.status, Status::Fail);
        assert!(both.evidence.contains(name) && both.evidence.contains("https://charts.example/x"), "{both:?}");
        assert!(both.remedy.contains("`helm_chart_repo =`") && !format!("{both:?}").contains("hunter2"), "{both:?}");
        for options in [
            &[("helm_chart_name", name), ("helm_chart_repo", "")][..],
            &[("helm_chart_name", "openstack-cluster"), ("helm_chart_repo", repo)],
        ] {
            assert_eq!(result(options).status, Status::Skip, "{options:?}");
        }
    }

    #[test]
    fn a_chart_that_differs_fails_before_helm_is_asked() {
        let system = Scratch::new().system(|_| panic!("helm is asked"));
        let subject = ChartSubject {
            system: &system,
            wanted: Some(&ManagedFile::public(PATH, "chart")),
            found: &Entry::Absent,
            helm: Some(Path::new("/usr/bin/helm")),
            python: &answers(&[]),
            environment: None,
        };
        let result = run(&ChartSubject::CHECKS, &subject).remove(0);
        assert_eq!(result.evidence, format!("{PATH}: missing"));
    }

    fn repository_result(python: &PythonAnswers) -> CheckResult {
        repository_result_in(python, "")
    }

    /// The same where the services have these variables.
    fn repository_result_in(python: &PythonAnswers, variables: &str) -> CheckResult {
        let scratch = trusting();
        let system = scratch.system(|_| Some(String::new()));
        let unit = Unit { environment: Secret::new(variables.to_owned()), ..Unit::default() };
        let environment = Some(EnvironmentSource { unit: &unit, process: None });
        let subject =
            ChartSubject { system: &system, wanted: None, found: &Entry::Absent, helm: None, python, environment };
        run(&ChartSubject::CHECKS, &subject).remove(1)
    }

    #[test]
    fn a_repository_that_does_not_answer_is_a_warning_and_a_chart_on_the_unit_needs_none() {
        for (code, status) in [("200 OK", Status::Pass), ("401 Who", Status::Pass), ("404 No", Status::Warn)] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let repo = format!("http://user:hunter2@{}/", listener.local_addr().unwrap());
            let server = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 4096];
                let length = stream.read(&mut request).unwrap();
                assert!(request[..length].starts_with(b"GET /index.yaml "));
                write!(stream, "HTTP/1.1 {code}\r\nContent-Length: 0\r\n\r\n").unwrap();
            });
            let result = repository_result(&answers(&[("helm_chart_repo", &repo), ("helm_chart_name", "x")]));
            server.join().unwrap();
            assert_eq!(result.status, status, "{result:?}");
            assert!(!result.evidence.contains("hunter2"), "{result:?}");
        }
        let local = repository_result(&answers(&[("helm_chart_name", PATH)]));
        assert_eq!(local.evidence, format!("none is needed: the chart is {PATH}"));
        let unasked = repository_result(&PythonAnswers(Err(anyhow::anyhow!("it hangs"))));
        assert!(unasked.evidence.contains("Python could not be asked: it hangs"));
    }

    #[test]
    fn the_repository_is_asked_through_the_proxies_of_the_services() {
        let proxy = ForwardProxy::start(|_| answer(b"entries: {}"));
        let python = answers(&[("helm_chart_repo", "https://127.0.0.1:1/charts"), ("helm_chart_name", "x")]);
        let address = |credentials| format!("http://{credentials}@127.0.0.1:{}", proxy.port);
        for (variables, status) in [
            (format!("HTTPS_PROXY={} https_proxy=http://127.0.0.1:1", address(CREDENTIALS)), Status::Pass),
            (format!("https_proxy={}", address("me:hunter")), Status::Warn),
            (format!("https_proxy={} no_proxy=127.0.0.1", address(CREDENTIALS)), Status::Warn),
        ] {
            let result = repository_result_in(&python, &variables);
            assert_eq!(result.status, status, "{result:?}");
            assert!(!result.evidence.contains("hunter"), "{result:?}");
        }
    }

    #[test]
    fn the_address_of_a_registry_is_that_of_its_api() {
        assert_eq!(index_of("", "oci://h:5000/x/y").unwrap(), "https://h:5000/v2/");
        assert_eq!(index_of("https://h/x/", "y").unwrap(), "https://h/x/index.yaml");
        assert_eq!(index_of("", PATH), None);
    }
}
