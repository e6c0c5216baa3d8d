//! Checks of the kubeconfig and of the management cluster it leads to.

use super::scene::Asked;
use super::{ANY_HOOK, Finding, Outcome, Scene};
use crate::graft::files::KUBECONFIG;
use crate::kube::{Answer, Kubeconfig, ask_version};
use crate::unit::files::Entry;

/// Is the granted kubeconfig in place, with its owner and mode?
pub fn file(scene: &Scene) -> Outcome {
    let desired = match scene.desired() {
        Ok(desired) => desired,
        Err(finding) => return Ok(Err(finding)),
    };
    let Some(wanted) = &desired.kubeconfig else {
        return Ok(Err(Finding::skip("no kubeconfig is given")));
    };
    Ok(match wanted.drift(&scene.observed.kubeconfig) {
        None => Ok(format!("{KUBECONFIG} is the granted one, root:magnum 0640")),
        Some(drift) => Err(Finding::fail(format!("{KUBECONFIG}: {drift}"), ANY_HOOK)),
    })
}

/// Can user magnum read the kubeconfig that the services are told to use?
pub fn readable(scene: &Scene) -> Outcome {
    Ok(match scene.asked(|answers| &answers.kubeconfig)? {
        Asked::Answer(size) => Ok(format!("user magnum reads {size} bytes")),
        Asked::Error(error) => Err(Finding::fail(error.clone(), ANY_HOOK)),
    })
}

/// Can the pinned driver use this kubeconfig? Asked of the file that is in place.
pub fn usable(scene: &Scene) -> Outcome {
    let (Some(kubeconfig), Ok(settings)) = (in_place(scene), &scene.settings) else {
        return Ok(Err(Finding::skip(
            "there is no kubeconfig, or the pin is not known",
        )));
    };
    let judged = kubeconfig.and_then(|kubeconfig| kubeconfig.usable_by(&settings.driver.pin));
    Ok(match judged {
        Ok(()) => Ok(format!("{} accepts its credentials", settings.driver.pin)),
        Err(problem) => Err(Finding::fail(
            problem.to_string(),
            "update the secret with a kubeconfig that the pinned driver can use",
        )),
    })
}

/// Does the management cluster answer from here? A cluster that does not is not the graft's
/// fault: a warning.
pub fn management_api(scene: &Scene) -> Outcome {
    let Some(Ok(target)) = in_place(scene).map(|found| found.and_then(|kc| kc.target())) else {
        return Ok(Err(Finding::skip(
            "there is no kubeconfig that leads anywhere",
        )));
    };
    let server = &target.server;
    Ok(match ask_version(&target) {
        Ok(Answer::Version(version)) => Ok(format!("{server} is Kubernetes {version}")),
        Ok(Answer::Status(status)) => Err(Finding::warn(
            format!("{server} answers, but with HTTP {status}"),
            "give the kubeconfig's user access to the management cluster, or grant another one",
        )),
        Ok(Answer::Unreachable(reason)) => Err(Finding::warn(
            format!("not the graft, but {server} does not answer: {reason}"),
            "let this unit reach the management cluster: its address, routes and security groups",
        )),
        Err(error) => Err(Finding::fail(
            format!("{error:#}"),
            "update the secret with a kubeconfig whose certificates are whole",
        )),
    })
}

/// The kubeconfig that stands on the unit; `None` when there is none.
fn in_place(scene: &Scene) -> Option<Result<Kubeconfig, crate::problem::Problem>> {
    match &scene.observed.kubeconfig {
        Entry::File(file) => Some(String::from_utf8_lossy(&file.bytes).parse()),
        _ => None,
    }
}
