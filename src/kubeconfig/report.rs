//! What can be found out about one kubeconfig, offline and online, and the checks of it. They need no unit: `preflight`
//! runs them on a desk.

use jiff::Timestamp;

use super::compatibility::{Harm, Incompatibility, Stack};
use super::programs::ProgramVerdicts;
use super::usable::ReadFile;
use super::validity::{Age, age};
use super::{AccessRule, ApiError, Kubeconfig, KubeconfigFault, Session, UsableKubeconfig};
use crate::check::{Check, Finding, Outcome};
use crate::juju::settings::Pin;

const NEW_ONE: &str = "grant another kubeconfig: juju update-secret SECRET kubeconfig#file=FILE";

pub const CHECKS: &[Check<KubeconfigReport>] = &[
    Check::new(
        "kubeconfig-usable",
        "Can the pinned driver, and the helm it runs, use this kubeconfig?",
        KubeconfigReport::usable,
    ),
    Check::new(
        "kubeconfig-expiry",
        "Are its certificates or its token valid, and for how long?",
        KubeconfigReport::expiry,
    ),
    Check::new(
        "management-api",
        "Does the management cluster answer from here, and can it be trusted?",
        KubeconfigReport::api,
    ),
    Check::new(
        "management-identity",
        "Does the management cluster know the kubeconfig's user?",
        KubeconfigReport::identity,
    ),
    Check::new(
        "management-permissions",
        "May that user do there what the driver and helm do?",
        KubeconfigReport::permissions,
    ),
    Check::new(
        "management-capi",
        "Is Cluster API there, in versions that fit the driver and the chart?",
        KubeconfigReport::capi,
    ),
];

/// Whether the management cluster is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    Offline,
    Online,
}

/// What was found out about a kubeconfig.
#[derive(Debug)]
pub struct KubeconfigReport {
    /// `None` if there is no kubeconfig, or the pin is not known.
    pub usable: Option<Result<UsableKubeconfig, KubeconfigFault>>,
    /// `None` if the kubeconfig is not usable.
    pub programs: Option<ProgramVerdicts>,
    /// `None` if the management cluster was not asked.
    pub online: Option<ManagementReport>,
    /// Warn this many days before the end.
    pub warning_days: u16,
}

/// What the management cluster said; what depends on its knowing the user is `None` if it does not.
#[derive(Debug)]
pub struct ManagementReport {
    pub identity: Result<String, ApiError>,
    /// What the driver and helm need and the user may not do.
    pub denied: Option<Result<Vec<AccessRule>, ApiError>>,
    pub incompatible: Option<Result<Vec<Incompatibility>, ApiError>>,
}

impl ManagementReport {
    /// Asks everything.
    pub fn ask(usable: &UsableKubeconfig, stack: &Stack) -> Self {
        let session = Session::open(usable);
        match session.and_then(|session| session.whoami().map(|name| (session, name))) {
            Err(error) => Self {
                identity: Err(error),
                denied: None,
                incompatible: None,
            },
            Ok((session, name)) => Self {
                identity: Ok(name),
                denied: Some(session.denied()),
                incompatible: Some(
                    session
                        .served()
                        .map(|served| stack.incompatibilities(&served)),
                ),
            },
        }
    }
}

impl KubeconfigReport {
    /// The report where there is no kubeconfig.
    pub fn absent(warning_days: u16) -> Self {
        Self {
            usable: None,
            programs: None,
            online: None,
            warning_days,
        }
    }

    /// Finds out everything about a kubeconfig, or the fault for which it is none. `programs` asks driver and helm.
    ///
    /// # Errors
    /// If `programs` fails.
    pub fn inspect(
        kubeconfig: Result<Kubeconfig, KubeconfigFault>,
        pin: &Pin,
        stack: &Stack,
        read: ReadFile<'_>,
        programs: impl FnOnce(&Kubeconfig) -> anyhow::Result<ProgramVerdicts>,
        reach: Reach,
        warning_days: u16,
    ) -> anyhow::Result<Self> {
        let mut report = Self::absent(warning_days);
        let usable = match &kubeconfig {
            Ok(kubeconfig) => kubeconfig.usable_by(pin, read),
            Err(fault) => Err(fault.clone()),
        };
        if let (Ok(kubeconfig), Ok(usable)) = (&kubeconfig, &usable) {
            report.programs = Some(programs(kubeconfig)?);
            report.online = (reach == Reach::Online).then(|| ManagementReport::ask(usable, stack));
        }
        report.usable = Some(usable);
        Ok(report)
    }

    /// Returns what was read of the kubeconfig; skips what comes after if it is not usable.
    fn read(&self) -> Result<&UsableKubeconfig, Finding> {
        match &self.usable {
            None => Err(Finding::skip(
                "there is no kubeconfig, or the pin is not known",
            )),
            Some(Err(_)) => Err(Finding::skip("the kubeconfig is not usable")),
            Some(Ok(usable)) => Ok(usable),
        }
    }

    /// Returns what the management cluster said, and its address.
    fn online(&self) -> Result<(&ManagementReport, &str), Finding> {
        let server = self.read()?.server.as_str();
        let online = self.online.as_ref();
        Ok((
            online.ok_or_else(|| Finding::skip("it is not asked while offline"))?,
            server,
        ))
    }

    fn usable(&self) -> Outcome {
        if let Some(Err(fault)) = &self.usable {
            return Err(Finding::fail(format!("the kubeconfig {fault}"), NEW_ONE));
        }
        let usable = self.read()?;
        if let Some(refusal) = self.programs.as_ref().and_then(ProgramVerdicts::refusal) {
            return Err(Finding::fail(format!("the kubeconfig {refusal}"), NEW_ONE));
        }
        let mut parts = vec![format!("it leads to {}", usable.server)];
        parts.extend(self.programs.iter().flat_map(ProgramVerdicts::not_asked));
        parts.extend(usable.notes.iter().map(|note| format!("but {note}")));
        let evidence = parts.join("; ");
        match usable.notes[..] {
            [] => Ok(evidence),
            _ => Err(Finding::warn(
                evidence,
                "see whether management-api passes anyway; take out what is ignored if you can",
            )),
        }
    }

    fn expiry(&self) -> Outcome {
        match age(&self.read()?.validity, Timestamp::now()) {
            Age::Expired(ends) => Err(Finding::fail(format!("expired: {ends}"), NEW_ONE)),
            Age::NotYetValid(begins) => Err(Finding::fail(
                format!("not valid yet: {begins}"),
                "set this machine's clock right, or wait, or grant another kubeconfig",
            )),
            Age::Valid(None) => Ok("nothing of it expires".to_owned()),
            Age::Valid(Some((ends, days))) => {
                let evidence = format!("{days} days left: {ends}");
                match days < i64::from(self.warning_days) {
                    true => Err(Finding::warn(evidence, NEW_ONE)),
                    false => Ok(evidence),
                }
            }
        }
    }

    fn api(&self) -> Outcome {
        let (online, server) = self.online()?;
        match &online.identity {
            Ok(_) | Err(ApiError::Rejected(_)) => Ok(format!("{server} answers")),
            Err(error @ ApiError::Unsupported) => Err(Finding::skip(format!("{server} {error}"))),
            Err(error) => Err(Finding::warn(
                format!("not the graft, but {server} {error}"),
                "let this machine reach the management cluster at that address (routes, security groups, DNS), with a \
                 certificate of the kubeconfig's certificate-authority",
            )),
        }
    }

    fn identity(&self) -> Outcome {
        let (online, server) = self.online()?;
        match &online.identity {
            Ok(name) => Ok(format!("{server} knows the user as {name}")),
            Err(error @ ApiError::Rejected(_)) => {
                Err(Finding::fail(format!("{server} {error}"), NEW_ONE))
            }
            Err(error @ ApiError::Unsupported) => Err(Finding::skip(format!("{server} {error}"))),
            Err(_) => Err(Finding::skip("it does not answer")),
        }
    }

    fn permissions(&self) -> Outcome {
        let (online, server) = self.online()?;
        let denied = known(&online.denied, server)?;
        match denied[..] {
            [] => Ok("everything that is needed".to_owned()),
            _ => Err(Finding::fail(
                denial(server, denied),
                "bind that user to cluster-admin, or to a ClusterRole with these verbs",
            )),
        }
    }

    fn capi(&self) -> Outcome {
        let (online, server) = self.online()?;
        let found = known(&online.incompatible, server)?;
        if found.is_empty() {
            return Ok("driver, chart and the served versions fit".to_owned());
        }
        let all =
            |of: fn(&Incompatibility) -> &str| found.iter().map(of).collect::<Vec<_>>().join("; ");
        let (evidence, remedy) = (
            format!("{server}: {}", all(|one| &one.what)),
            all(|one| &one.remedy),
        );
        match found.iter().any(|one| one.harm == Harm::Fatal) {
            true => Err(Finding::fail(evidence, remedy)),
            false => Err(Finding::warn(evidence, remedy)),
        }
    }
}

/// Returns an answer that needs a known user; it may have stopped answering in between.
fn known<'a, T>(answer: &'a Option<Result<T, ApiError>>, server: &str) -> Result<&'a T, Finding> {
    match answer {
        None => Err(Finding::skip("it does not know the user")),
        Some(Ok(answer)) => Ok(answer),
        Some(Err(error)) => Err(Finding::warn(
            format!("not the graft, but {server} {error}"),
            "look at the management cluster, then run verify again",
        )),
    }
}

/// Returns what is denied, for people.
pub fn denial(server: &str, denied: &[AccessRule]) -> String {
    let rules: Vec<String> = denied.iter().map(ToString::to_string).collect();
    format!(
        "{server} does not let the kubeconfig's user {}; give it a role that allows that in every namespace",
        rules.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::super::client::Unreachable;
    use super::super::programs::ProgramVerdict;
    use super::super::testing::{cluster, usable};
    use super::super::validity::Validity;
    use super::*;
    use crate::check::{self, Status};
    use Status::{Fail, Pass, Skip, Warn};

    fn stack() -> Stack {
        let (driver, chart) = ("1.4.0".parse().unwrap(), Some("0.25.1".to_owned()));
        Stack {
            driver,
            chart,
            api_resources: None,
        }
    }

    fn report(usable: UsableKubeconfig, online: Option<ManagementReport>) -> KubeconfigReport {
        let (driver, helm) = (ProgramVerdict::Accepts, ProgramVerdict::Accepts);
        let programs = Some(ProgramVerdicts { driver, helm });
        KubeconfigReport {
            usable: Some(Ok(usable)),
            programs,
            online,
            warning_days: 30,
        }
    }

    fn statuses(report: &KubeconfigReport) -> [Status; 6] {
        let results = check::run(CHECKS, report);
        std::array::from_fn(|index| results[index].status)
    }

    #[test]
    fn a_kubeconfig_is_checked_as_far_as_it_leads() {
        let asked = |usable: &UsableKubeconfig| Some(ManagementReport::ask(usable, &stack()));
        let good = cluster("v1beta1", |_| true);
        let online = asked(&good);
        assert_eq!(statuses(&report(good, online)), [Pass; 6]);
        let poor = cluster("v1alpha7", |rule| rule == "get secrets");
        let online = asked(&poor);
        assert_eq!(
            statuses(&report(poor, online)),
            [Pass, Pass, Pass, Pass, Fail, Fail]
        );
        let gone = usable("https://127.0.0.1:1");
        let online = asked(&gone);
        assert_eq!(
            statuses(&report(gone.clone(), online)),
            [Pass, Pass, Warn, Skip, Skip, Skip]
        );
        assert_eq!(
            statuses(&report(gone, None)),
            [Pass, Pass, Skip, Skip, Skip, Skip]
        );
        assert_eq!(statuses(&KubeconfigReport::absent(30)), [Skip; 6]);
    }

    #[test]
    fn each_finding_has_its_status() {
        let online = |identity, denied, incompatible| {
            Some(ManagementReport {
                identity,
                denied,
                incompatible,
            })
        };
        let unexpected = || ApiError::Unexpected("x".into());
        let found = |harm| Incompatibility {
            harm,
            what: "a".into(),
            remedy: "b".into(),
        };
        let known = || Ok("admin".to_owned());
        let silent = ApiError::Unreachable {
            kind: Unreachable::Tls,
            reason: "x".into(),
        };
        for (online, expected) in [
            (
                online(Err(ApiError::Rejected(401)), None, None),
                [Pass, Fail, Skip, Skip],
            ),
            (
                online(Err(ApiError::Unsupported), None, None),
                [Skip, Skip, Skip, Skip],
            ),
            (online(Err(silent), None, None), [Warn, Skip, Skip, Skip]),
            (
                online(known(), Some(Err(unexpected())), Some(Err(unexpected()))),
                [Pass, Pass, Warn, Warn],
            ),
            (
                online(
                    known(),
                    Some(Ok(vec![])),
                    Some(Ok(vec![found(Harm::Cosmetic)])),
                ),
                [Pass, Pass, Pass, Warn],
            ),
            (
                online(
                    known(),
                    Some(Ok(vec![])),
                    Some(Ok(vec![found(Harm::Fatal)])),
                ),
                [Pass, Pass, Pass, Fail],
            ),
        ] {
            assert_eq!(
                statuses(&report(usable("https://h"), online))[2..],
                expected
            );
        }
        let day =
            |days: i64| Timestamp::from_second(Timestamp::now().as_second() + days * 86_400).ok();
        for (from, until, expected) in
            [(-9, 99, Pass), (-9, 9, Warn), (-9, -1, Fail), (1, 99, Fail)]
        {
            let mut usable = usable("https://h");
            usable.validity = vec![Validity::new("token", day(from), day(until))];
            assert_eq!(statuses(&report(usable, None))[1], expected);
        }
    }

    #[test]
    fn a_refusing_program_fails_the_check_and_one_that_was_not_asked_is_named() {
        let mut noted = report(usable("https://h"), None);
        let usable_check = |report: &KubeconfigReport| check::run(CHECKS, report).swap_remove(0);
        let driver = ProgramVerdict::NotAsked("no driver is installed here");
        noted.programs = Some(ProgramVerdicts {
            driver,
            helm: ProgramVerdict::Accepts,
        });
        let result = usable_check(&noted);
        assert_eq!(result.status, Pass);
        assert_eq!(
            result.evidence,
            "it leads to https://h; the driver was not asked (no driver is installed here)"
        );
        noted
            .usable
            .as_mut()
            .unwrap()
            .as_mut()
            .unwrap()
            .notes
            .push("it is odd");
        assert_eq!(usable_check(&noted).status, Warn);
        let helm = ProgramVerdict::Refuses("duplicate name".into());
        noted.programs = Some(ProgramVerdicts {
            driver: ProgramVerdict::Accepts,
            helm,
        });
        let result = usable_check(&noted);
        assert_eq!(
            (result.status, result.evidence.as_str()),
            (Fail, "the kubeconfig is refused by helm (duplicate name)")
        );
        noted.usable = Some(Err(KubeconfigFault::new("has no current-context")));
        assert_eq!(
            usable_check(&noted).evidence,
            "the kubeconfig has no current-context"
        );
    }
}
