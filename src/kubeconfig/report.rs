//! What can be found out about a kubeconfig: offline, from the programs that use it, and from the management cluster.

use super::compatibility::Stack;
use super::programs::ProgramVerdicts;
use super::usable::ReadFile;
use super::{ApiError, KubeconfigFault, Route, Session, UsableKubeconfig};
use crate::check::Finding;
use crate::juju::settings::Pin;
use crate::system::{Root, Secret};

/// What was found out about a kubeconfig. The default is that of none.
#[derive(Debug, Default)]
pub struct KubeconfigReport {
    /// `None` if there is no kubeconfig, or the pin is not known.
    pub usable: Option<Result<UsableKubeconfig, KubeconfigFault>>,
    /// Those of a kubeconfig that is usable.
    pub programs: ProgramVerdicts,
    /// `None` if the management cluster was not asked.
    pub online: Option<Result<ManagementReport, ApiError>>,
    /// How driver and helm get there, or why that is not known; `None` without services.
    pub route: Option<Result<Route, String>>,
    /// Warn this many days before the end.
    pub warning_days: u16,
}

/// What the management cluster said.
#[derive(Debug)]
pub struct ManagementReport {
    /// The user's name there. As with the other answers, the error is a refusal of this question alone.
    pub user: Result<String, ApiError>,
    /// What the driver and helm need and the user may not do.
    pub denied: Result<Vec<String>, ApiError>,
    pub incompatible: Result<Vec<Finding>, ApiError>,
}

impl ManagementReport {
    /// Asks everything.
    ///
    /// # Errors
    /// If it does not answer, or stops answering, or does not know the user.
    pub fn ask(root: &Root, usable: &UsableKubeconfig, stack: &Stack) -> Result<Self, ApiError> {
        let session = Session::open(root, usable)?;
        session.wait(async {
            let user = or_refusal(session.whoami().await)?;
            let mut denied = match session.denied().await {
                // It has answered before.
                Err(error @ ApiError::Unexpected(_)) => Err(error),
                denied => or_refusal(denied)?,
            };
            let served = or_refusal(session.served().await)?;
            // helm asks this, too.
            if let (Ok(denied), Err(ApiError::Forbidden(rule))) = (&mut denied, &served) {
                denied.push(rule.clone());
            }
            Ok(Self { user, denied, incompatible: served.map(|served| stack.incompatibilities(&served)) })
        })
    }
}

/// Separates the refusal of one question from what the other questions would meet, too.
fn or_refusal<T>(answer: Result<T, ApiError>) -> Result<Result<T, ApiError>, ApiError> {
    match answer {
        Err(error @ ApiError::Forbidden(_)) => Ok(Err(error)),
        answer => answer.map(Ok),
    }
}

impl KubeconfigReport {
    /// Finds out everything about a kubeconfig, or the fault for which it is none. `programs` asks driver and helm;
    /// the management cluster is asked whether it fits `online`.
    ///
    /// # Errors
    /// If `programs` fails.
    pub fn inspect(
        root: &Root,
        kubeconfig: Result<Secret<String>, KubeconfigFault>,
        pin: &Pin,
        read: ReadFile<'_>,
        programs: impl FnOnce(&Secret<String>) -> anyhow::Result<ProgramVerdicts>,
        online: Option<&Stack>,
        warning_days: u16,
    ) -> anyhow::Result<Self> {
        let mut report = Self { warning_days, ..Self::default() };
        let usable = kubeconfig.and_then(|content| Ok((UsableKubeconfig::new(&content, pin, read)?, content)));
        if let Ok((usable, content)) = &usable {
            report.programs = programs(content)?;
            report.online = online.map(|stack| ManagementReport::ask(root, usable, stack));
        }
        report.usable = Some(usable.map(|(usable, _)| usable));
        Ok(report)
    }

    /// Returns what was read of the kubeconfig; skips what comes after if it is not usable.
    pub fn read(&self) -> Result<&UsableKubeconfig, Finding> {
        let usable = self.usable.as_ref().and_then(|usable| usable.as_ref().ok());
        usable.ok_or_else(|| Finding::skip("there is no usable kubeconfig, or the pin is not known"))
    }

    /// Returns what the management cluster said, and its address.
    pub fn online(&self) -> Result<(&Result<ManagementReport, ApiError>, &str), Finding> {
        let server = &self.read()?.server;
        let online = self.online.as_ref().ok_or_else(|| Finding::skip("it is not asked while offline"))?;
        Ok((online, server))
    }

    /// Returns its answers; skips what needs them if there are none.
    pub fn answers(&self) -> Result<(&ManagementReport, &str), Finding> {
        let (online, server) = self.online()?;
        match online {
            Ok(answers) => Ok((answers, server)),
            Err(error) => Err(Finding::skip(format!("{server} {error}"))),
        }
    }
}
