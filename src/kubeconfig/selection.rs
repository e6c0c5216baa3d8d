//! Which kubeconfig is used: the granted one, unless it does not work and an earlier one does.
//!
//! A new kubeconfig is checked offline, shown to driver and helm, and tried on the management cluster. If it does not
//! work, the one in use stays if it works, or else the last one that did comes back. If none works, the new one is used:
//! it is what the operator wants.

use anyhow::Result;
use jiff::Timestamp;

use super::checks::ELSEWHERE;
use super::memory::Memory;
use super::programs::ProgramsToAsk;
use super::validity::{Age, age};
use super::{ApiError, KubeconfigFault, Session, UsableKubeconfig, fault};
use crate::juju::GrantedKubeconfig;
use crate::juju::settings::Pin;
use crate::magnum::read_as_magnum;
use crate::problem::Problem;
use crate::step::Thoroughness;
use crate::system::{Secret, System};

/// The kubeconfig to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    pub content: Secret<String>,
    pub usable: UsableKubeconfig,
    /// The user's name on the management cluster, or why it is not known.
    pub identity: Result<String, ApiError>,
    /// Why it is not the granted one.
    pub problem: Option<Problem>,
}

/// Selects the kubeconfig; makes one request to the management cluster for each that it tries.
///
/// # Errors
/// A [`Problem`] if the granted one is not usable and there is no other.
pub fn select(
    system: &System,
    memory: &mut Memory,
    granted: &Result<Option<GrantedKubeconfig>, Problem>,
    used: Option<&Secret<String>>,
    pin: &Pin,
    programs: &ProgramsToAsk<'_>,
    thoroughness: Thoroughness,
) -> Result<Option<Selection>> {
    let accepted = memory.accepted.clone();
    let read = |path: &std::path::Path| read_as_magnum(system, path);
    let inspect = |content: &Secret<String>| {
        let usable = match UsableKubeconfig::new(content, pin, &read) {
            Ok(usable) => usable,
            Err(fault) => return Ok(Err(fault)),
        };
        let refusal = memory.refusal(system, content, pin, programs, thoroughness)?;
        Ok(refusal.map_or(Ok(usable), |refusal| Err(fault(refusal))))
    };
    let connect = |usable: &UsableKubeconfig| match thoroughness {
        Thoroughness::Full => Session::open(&system.root, usable).and_then(|session| session.wait(session.whoami())),
        Thoroughness::Quick => Err(ApiError::Unsupported),
    };
    choose(granted, used, accepted.as_ref(), Timestamp::now(), inspect, connect)
}

/// Chooses the first that the management cluster accepts, or that the charm cannot try: the granted one, the one in use,
/// the one accepted last. If there is none, chooses the first that is usable. How a kubeconfig is checked and tried is
/// passed in.
fn choose(
    granted: &Result<Option<GrantedKubeconfig>, Problem>,
    used: Option<&Secret<String>>,
    accepted: Option<&Secret<String>>,
    now: Timestamp,
    mut inspect: impl FnMut(&Secret<String>) -> Result<Result<UsableKubeconfig, KubeconfigFault>>,
    connect: impl Fn(&UsableKubeconfig) -> Result<String, ApiError>,
) -> Result<Option<Selection>> {
    let (new, mut problem) = match granted {
        Ok(None) if used.is_none() => return Ok(None),
        Ok(new) => (new.as_ref(), None),
        Err(problem) => (None, Some(problem.clone())),
    };
    // The same one is not tried twice.
    let mut candidates: Vec<&Secret<String>> = Vec::new();
    for content in [new.map(|new| &new.content), used, accepted].into_iter().flatten() {
        if !candidates.contains(&content) {
            candidates.push(content);
        }
    }
    let mut first = None;
    for content in candidates {
        let granted = new.filter(|new| new.content == *content);
        let is_new = granted.is_some() && used != Some(content);
        let checked = inspect(content)?.and_then(|usable| match age(&usable.validity, now) {
            // One that is in use goes on until there is another; its age is reported elsewhere.
            _ if !is_new => Ok(usable),
            Age::Expired(ends) => Err(fault(format!("has expired: {ends}"))),
            Age::NotYetValid(begins) => Err(fault(format!("is not valid yet: {begins}"))),
            Age::Valid(_) => Ok(usable),
        });
        let usable = match checked {
            Ok(usable) => usable,
            Err(why) => {
                let remedy = granted.map_or("grant another one", |new| &new.remedy);
                let detail = format!("it {why}; {remedy}");
                problem.get_or_insert(Problem::blocked("Kubeconfig is not usable", detail));
                continue;
            }
        };
        let identity = connect(&usable);
        let selection = Selection { content: content.clone(), usable, identity, problem: problem.clone() };
        match (&selection.identity, granted) {
            (Ok(_), _) => return Ok(Some(selection)),
            // Nothing speaks against it.
            (Err(error), _) if error.is_inconclusive() => return Ok(Some(selection)),
            (Err(error), Some(new)) => {
                let mut detail = format!("{} {error}; ", selection.usable.server);
                if selection.usable.leads_here() {
                    detail += &format!("that is this unit itself: {ELSEWHERE}; ");
                }
                detail += &new.remedy;
                problem = Some(Problem::blocked("Granted kubeconfig does not work; the earlier one stays", detail));
            }
            (Err(_), None) => {}
        }
        first.get_or_insert(selection);
    }
    match (first, problem) {
        (None, Some(problem)) => Err(problem.into()),
        (first, _) => Ok(first),
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::super::testing::{cluster, fixture, gid, kubeconfig, python, scratch};
    use super::super::usable::Login;
    use super::super::validity::Validity;
    use super::*;

    const NOW: i64 = 1_000_000;

    /// Each kubeconfig is a name, which says what is to come of it.
    fn named(name: &str) -> Secret<String> {
        Secret::new(name.to_owned())
    }

    fn inspect(content: &Secret<String>) -> Result<Result<UsableKubeconfig, KubeconfigFault>> {
        let server = content.expose().clone();
        if server.contains("unusable") {
            return Ok(Err(fault("is unusable")));
        }
        let end = |name: &str, at| if server.contains(name) { NOW } else { at };
        let moment = |at| Timestamp::from_second(at).ok();
        let (from, until) = (moment(end("early", NOW - 2) + 1), moment(end("expired", NOW + 2)));
        Ok(Ok(UsableKubeconfig {
            server,
            authority: None,
            login: Login::Token(named("t")),
            validity: vec![Validity::new("token", from, until)],
            notes: vec![],
        }))
    }

    fn connect(usable: &UsableKubeconfig) -> Result<String, ApiError> {
        if usable.server.contains("unsupported") {
            return Err(ApiError::Unsupported);
        }
        if usable.server.contains("untold") {
            return Err(ApiError::UnsupportedServer("P-521".into()));
        }
        if usable.server.contains("forbidden") {
            return Err(ApiError::Forbidden("create x".into()));
        }
        if usable.server.contains("silent") {
            return Err(ApiError::Unreachable("timed out".into()));
        }
        Ok("admin".into())
    }

    /// What is selected, and whether there is a problem with what is granted.
    fn selected(
        granted: Result<Option<&str>, &str>,
        used: Option<&str>,
        accepted: Option<&str>,
    ) -> Result<Option<(String, bool)>, String> {
        let given = |name: &str| GrantedKubeconfig { content: named(name), remedy: "run: x".into() };
        let granted = granted.map(|name| name.map(given)).map_err(|why| Problem::blocked(why, ""));
        let (used, accepted) = (used.map(named), accepted.map(named));
        let now = Timestamp::from_second(NOW).unwrap();
        let selection = choose(&granted, used.as_ref(), accepted.as_ref(), now, inspect, connect);
        let shown = |selection: Selection| (selection.content.into_inner(), selection.problem.is_some());
        selection.map(|selection| selection.map(shown)).map_err(|problem| problem.to_string())
    }

    #[test]
    fn the_granted_one_is_used_unless_it_does_not_work_and_an_earlier_one_does() {
        let uses = |name: &str| Ok(Some((name.to_owned(), false)));
        let stays = |name: &str| Ok(Some((name.to_owned(), true)));
        let (old, silent) = (Some("old"), Some("silent-new"));
        for (granted, used, accepted, expected) in [
            (Ok(Some("new")), None, None, uses("new")),
            (Ok(Some("new")), old, old, uses("new")),
            (Ok(silent), old, old, stays("old")),
            (Ok(silent), Some("silent-old"), Some("silent-old"), uses("silent-new")),
            // The one that worked last is not forgotten while one that does not is in place.
            (Ok(silent), silent, old, stays("old")),
            (Ok(silent), old, Some("older"), stays("old")),
            (Ok(silent), Some("unusable"), None, uses("silent-new")),
            (Ok(silent), None, None, uses("silent-new")),
            (Ok(Some("unusable")), old, old, stays("old")),
            (Ok(Some("expired-new")), old, old, stays("old")),
            (Ok(Some("early-new")), old, old, stays("old")),
            // It expired in use: there is nothing better.
            (Ok(Some("expired")), Some("expired"), Some("expired"), uses("expired")),
            (Err("not granted"), old, old, stays("old")),
            (Ok(None), old, old, uses("old")),
            // A revoked grant keeps none in place that never worked, when another did.
            (Err("not granted"), silent, old, stays("old")),
            (Ok(None), silent, old, uses("old")),
            (Ok(Some("unusable")), silent, Some("silent-old"), stays("silent-new")),
            (Ok(Some("unsupported")), old, old, uses("unsupported")),
            // Nothing speaks against these.
            (Ok(Some("untold")), old, old, uses("untold")),
            (Ok(Some("forbidden")), old, old, uses("forbidden")),
            (Ok(silent), Some("untold-old"), old, stays("untold-old")),
            (Ok(silent), Some("silent-old"), Some("forbidden"), stays("forbidden")),
            (Err("not granted"), Some("untold"), old, stays("untold")),
            (Ok(None), None, None, Ok(None)),
        ] {
            assert_eq!(selected(granted, used, accepted), expected, "{granted:?} {used:?} {accepted:?}");
        }
    }

    #[test]
    fn without_an_earlier_one_the_problem_is_returned() {
        let unusable = "Kubeconfig is not usable: it";
        for (granted, message) in [
            (Err("Not granted"), "Not granted".to_owned()),
            (Ok(Some("unusable")), format!("{unusable} is unusable; run: x")),
            (Ok(Some("expired")), format!("{unusable} has expired: token 1970-01-12T13:46:40Z; run: x")),
            (Ok(Some("early")), format!("{unusable} is not valid yet: token 1970-01-12T13:46:41Z; run: x")),
        ] {
            assert_eq!(selected(granted, None, None), Err(message));
        }
        assert!(selected(Ok(Some("unusable")), Some("unusable"), None).is_err());
        assert!(selected(Ok(None), Some("unusable"), None).is_err());
    }

    #[test]
    fn only_a_selection_that_the_management_cluster_accepted_is_remembered() {
        let scratch = scratch();
        let content = named("new");
        let usable = inspect(&content).unwrap().unwrap();
        let identity = Err(ApiError::Rejected(401));
        let mut selection = Selection { content, usable, identity, problem: None };
        Memory::load(&scratch.root).remember(&scratch.root, &selection);
        assert_eq!(Memory::load(&scratch.root).accepted, None);
        selection.identity = Ok("admin".into());
        Memory::load(&scratch.root).remember(&scratch.root, &selection);
        assert_eq!(Memory::load(&scratch.root).accepted, Some(named("new")));
    }

    /// A kubeconfig of a management cluster on this machine.
    fn of_loopback() -> Secret<String> {
        let server = cluster("v1beta1", |_| true).server;
        let authority = STANDARD.encode(fixture("server-ca.crt"));
        let cluster = format!("server: '{server}', certificate-authority-data: {authority}");
        Secret::new(kubeconfig(&cluster, "token: hunter2"))
    }

    #[test]
    fn a_hook_tries_the_granted_one_and_the_guard_asks_nobody() {
        let (scratch, python) = (scratch(), python());
        let programs = ProgramsToAsk {
            python: Some(&python),
            driver: Some("record".into()),
            helm: None,
            magnum_gid: gid(&scratch),
            environment: None,
            is_dry_run: false,
        };
        let pin = "magnum-capi-helm==1.4.0".parse().unwrap();
        let content = of_loopback();
        let remedy = "run: x".to_owned();
        let granted = Ok(Some(GrantedKubeconfig { content, remedy }));
        let selected = |verdict: &'static str, thoroughness| {
            let client = format!(r#"{{"version": "1.4.0", "client": {verdict}}}"#);
            let system = scratch.system(move |_| Some(client.clone()));
            let selection = select(&system, &mut Memory::default(), &granted, None, &pin, &programs, thoroughness);
            selection.map(|selection| selection.unwrap().identity)
        };
        let accepts = r#"{"answer": true}"#;
        let identity = selected(accepts, Thoroughness::Full).unwrap();
        assert_eq!(identity, Ok("admin".to_owned()));
        let identity = selected(accepts, Thoroughness::Quick).unwrap();
        assert_eq!(identity, Err(ApiError::Unsupported));
        let problem = selected(r#"{"error": "KeyError"}"#, Thoroughness::Full).unwrap_err();
        assert_eq!(problem.to_string(), "Kubeconfig is not usable: it is refused by the driver (KeyError); run: x");
    }
}
