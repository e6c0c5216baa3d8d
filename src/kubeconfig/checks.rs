//! Checks of the kubeconfig's file. What is in it: [`super::management`].

use super::scene::Asked;
use super::{ANY_HOOK, Check, Finding, Outcome, Scene};
use crate::graft::files::KUBECONFIG;

/// The checks of this group.
pub const CHECKS: &[Check<Scene>] = &[
    Check {
        id: "kubeconfig-file",
        question: "Is the granted kubeconfig in place, with its owner and mode?",
        answer: file,
    },
    Check {
        id: "kubeconfig-readable",
        question: "Can user magnum read the kubeconfig that the services are told to use?",
        answer: readable,
    },
];

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
    Ok(
        match scene.asked_of_driver(|answers| &answers.kubeconfig)? {
            Err(finding) => Err(finding),
            Ok(Asked::Answer(size)) => Ok(format!("user magnum reads {size} bytes")),
            Ok(Asked::Error(error)) => Err(Finding::fail(error.clone(), ANY_HOOK)),
        },
    )
}
