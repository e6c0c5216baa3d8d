//! Checks of what a kubeconfig holds, and of the management cluster it leads to. They need no unit:
//! `preflight` asks them on an operator's desk.

use jiff::Timestamp;

use super::{Check, Finding, Outcome};
use crate::graft::kubeconfig::denial;
use crate::kube::fit::Harm;
use crate::kube::judgement::Online;
use crate::kube::validity::{Age, age};
use crate::kube::{Judgement, Trouble};

/// The checks of this group.
pub const CHECKS: &[Check<Credentials>] = &[
    Check {
        id: "kubeconfig-usable",
        question: "Can the pinned driver, and the helm it runs, use this kubeconfig?",
        answer: usable,
    },
    Check {
        id: "kubeconfig-expiry",
        question: "Are its certificates or its token good, and for how long?",
        answer: expiry,
    },
    Check {
        id: "management-api",
        question: "Does the management cluster answer from here, and can it be trusted?",
        answer: api,
    },
    Check {
        id: "management-identity",
        question: "Does the management cluster know the kubeconfig's user?",
        answer: identity,
    },
    Check {
        id: "management-permissions",
        question: "May that user do there what the driver and helm do?",
        answer: permissions,
    },
    Check {
        id: "management-capi",
        question: "Is Cluster API there, in versions that fit the driver and the chart?",
        answer: capi,
    },
];

const NEW_ONE: &str = "grant another kubeconfig: juju update-secret SECRET kubeconfig#file=FILE";

/// A kubeconfig that has been judged.
#[derive(Debug)]
pub struct Credentials {
    /// The judgement; `None` when there is no kubeconfig.
    pub judgement: Option<Judgement>,
    /// From how many days before its end on an expiry is worth a warning.
    pub warning_days: u16,
}

impl Credentials {
    fn judgement(&self) -> Result<&Judgement, Finding> {
        let none = || Finding::skip("there is no kubeconfig, or the pin is not known");
        self.judgement.as_ref().ok_or_else(none)
    }

    /// What the management cluster said, and its address.
    fn online(&self) -> Result<(&Online, &str), Finding> {
        let judgement = self.judgement()?;
        let unusable = |_| Finding::skip("the kubeconfig is not usable");
        let server = judgement
            .offline
            .as_ref()
            .map_err(unusable)?
            .server
            .as_str();
        let online = judgement.online.as_ref();
        let online = online.ok_or_else(|| Finding::skip("it is not asked while offline"))?;
        Ok((online, server))
    }
}

fn usable(credentials: &Credentials) -> Outcome {
    Ok(credentials.judgement().and_then(|judgement| {
        let usable = judgement
            .offline
            .as_ref()
            .map_err(|fault| Finding::fail(format!("the kubeconfig {fault}"), NEW_ONE))?;
        if usable.notes.is_empty() {
            return Ok(format!("it leads to {}", usable.server));
        }
        Err(Finding::warn(
            format!(
                "it leads to {}, but {}",
                usable.server,
                usable.notes.join("; ")
            ),
            "see whether management-api passes all the same; take out what is ignored if you can",
        ))
    }))
}

fn expiry(credentials: &Credentials) -> Outcome {
    Ok(credentials.judgement().and_then(|judgement| {
        let Ok(usable) = &judgement.offline else {
            return Err(Finding::skip("the kubeconfig is not usable"));
        };
        match age(&usable.validity, Timestamp::now()) {
            Age::Expired(ends) => Err(Finding::fail(format!("expired: {ends}"), NEW_ONE)),
            Age::TooEarly(begins) => Err(Finding::fail(
                format!("not good yet: {begins}"),
                "set this machine's clock right, or wait, or grant another kubeconfig",
            )),
            Age::Good(None) => Ok("nothing of it expires".to_owned()),
            Age::Good(Some((ends, days))) => {
                let evidence = format!("{days} days left: {ends}");
                if days < i64::from(credentials.warning_days) {
                    return Err(Finding::warn(evidence, NEW_ONE));
                }
                Ok(evidence)
            }
        }
    }))
}

fn api(credentials: &Credentials) -> Outcome {
    Ok(credentials
        .online()
        .and_then(|(online, server)| match &online.identity {
            Ok(_) | Err(Trouble::Rejected(_)) => Ok(format!("{server} answers")),
            Err(trouble @ Trouble::Unaskable) => Err(Finding::skip(format!("{server} {trouble}"))),
            Err(trouble) => Err(Finding::warn(
                format!("not the graft, but {server} {trouble}"),
                "let this machine reach the management cluster at that address (routes, security \
             groups, DNS), with a certificate of the kubeconfig's certificate-authority",
            )),
        }))
}

fn identity(credentials: &Credentials) -> Outcome {
    Ok(credentials
        .online()
        .and_then(|(online, server)| match &online.identity {
            Ok(name) => Ok(format!("{server} knows us as {name}")),
            Err(trouble @ Trouble::Rejected(_)) => {
                Err(Finding::fail(format!("{server} {trouble}"), NEW_ONE))
            }
            Err(trouble @ Trouble::Unaskable) => Err(Finding::skip(format!("{server} {trouble}"))),
            Err(_) => Err(Finding::skip("it does not answer")),
        }))
}

fn permissions(credentials: &Credentials) -> Outcome {
    Ok(credentials
        .online()
        .and_then(|(online, server)| match &online.denied {
            None => Err(Finding::skip("it does not know us")),
            Some(Err(trouble)) => Err(stopped(server, trouble)),
            Some(Ok(denied)) if denied.is_empty() => Ok("everything that is needed".to_owned()),
            Some(Ok(denied)) => Err(Finding::fail(
                denial(server, denied),
                "bind that user to cluster-admin, or to a ClusterRole with these verbs",
            )),
        }))
}

fn capi(credentials: &Credentials) -> Outcome {
    Ok(credentials.online().and_then(|(online, server)| {
        let misfits = match &online.misfits {
            None => return Err(Finding::skip("it does not know us")),
            Some(Err(trouble)) => return Err(stopped(server, trouble)),
            Some(Ok(misfits)) => misfits,
        };
        let all = |of: fn(&crate::kube::fit::Misfit) -> &str| {
            let each: Vec<&str> = misfits.iter().map(of).collect();
            each.join("; ")
        };
        let (what, remedy) = (all(|misfit| &misfit.what), all(|misfit| &misfit.remedy));
        if misfits.is_empty() {
            return Ok("driver, chart and the served versions fit".to_owned());
        }
        let evidence = format!("{server}: {what}");
        if misfits.iter().any(|misfit| misfit.harm == Harm::Fatal) {
            return Err(Finding::fail(evidence, remedy));
        }
        Err(Finding::warn(evidence, remedy))
    }))
}

/// It answered a question, and then no more.
fn stopped(server: &str, trouble: &Trouble) -> Finding {
    Finding::warn(
        format!("not the graft, but {server} {trouble}"),
        "look after the management cluster, then run verify again",
    )
}
