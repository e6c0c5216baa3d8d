//! The kubeconfig: which one is used, whether it works, and how its file is kept on the unit.
//!
//! | question | file |
//! |---|---|
//! | where does it lead? | `document` |
//! | can the pinned driver use it? | [`usable`], [`certificate`], and the programs themselves: [`programs`] |
//! | how long is it valid? | [`validity`] |
//! | does the management cluster answer, and what may we do there? | [`client`], `verifier`, [`access`] |
//! | what in the services' environment is on the way there? | `route` |
//! | does the management cluster fit the driver and the chart? | [`compatibility`] |
//! | which of two kubeconfigs is used? | [`selection`] |
//! | what is reported in the unit's status, and in `verify`? | [`problems`], [`checks`], `report` |

pub mod access;
pub mod certificate;
pub mod checks;
pub mod client;
pub mod compatibility;
mod document;
mod memory;
mod problems;
pub mod programs;
mod report;
mod route;
pub mod selection;
#[cfg(test)]
pub(crate) mod testing;
pub mod usable;
pub mod validity;
mod verifier;

use thiserror::Error;

pub use checks::KubeconfigSubject;
pub use client::{ApiError, Session};
pub use memory::Memory;
pub use problems::problems;
pub use programs::ProgramsToAsk;
pub use report::{KubeconfigReport, ManagementReport};
pub use route::{ROUTE_CHECKS, Route};
pub use selection::{Selection, select};
pub use usable::UsableKubeconfig;

use crate::system::{Access, ManagedFile, Secret};

/// Where the services' configuration points (`[capi_helm] kubeconfig_file`).
pub const PATH: &str = "/etc/magnum/kubeconfig";

/// What is wrong with a kubeconfig; completes a sentence that begins with "the kubeconfig". Holds none of its values.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct KubeconfigFault(String);

pub(crate) fn fault(what: impl Into<String>) -> KubeconfigFault {
    KubeconfigFault(what.into())
}

/// Returns the bytes of a kubeconfig's file as text.
///
/// # Errors
/// If they are not UTF-8.
pub fn in_text(bytes: Vec<u8>) -> Result<Secret<String>, KubeconfigFault> {
    String::from_utf8(bytes).map(Secret::new).map_err(|_| fault("is not text in UTF-8"))
}

/// Returns the file as the services need it: root:magnum 0640.
pub fn managed_file(content: &Secret<String>, magnum_gid: u32) -> ManagedFile {
    ManagedFile {
        path: PATH.into(),
        bytes: content.expose().clone().into_bytes(),
        access: Access { gid: magnum_gid, ..Access::of_root(0o640) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_for_root_and_group_magnum_alone() {
        let wanted = managed_file(&Secret::new("content".into()), 64);
        assert_eq!((wanted.access.gid, wanted.access.mode), (64, 0o640));
    }

    #[test]
    fn a_kubeconfig_that_is_not_text_is_refused_and_none_shows_in_debug_output() {
        let refused = in_text(b"\xff".to_vec()).unwrap_err();
        assert_eq!(refused.to_string(), "is not text in UTF-8");
        let text = testing::kubeconfig("server: 'https://h'", "token: hunter2");
        let kubeconfig = in_text(text.into_bytes()).unwrap();
        assert!(!format!("{kubeconfig:?}").contains("hunter2"));
    }
}
