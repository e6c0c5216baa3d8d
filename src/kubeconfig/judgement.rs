//! Everything that can be said of one kubeconfig, offline and online.

use super::client::{Session, Trouble};
use super::fit::{Misfit, Stack};
use super::online::Deed;
use super::usable::ReadFile;
use super::{Fault, Kubeconfig, Usable};
use crate::settings::Pin;

/// The answer to each question; one that could not be put has none.
#[derive(Debug)]
pub struct Judgement {
    /// Whether the pinned driver can use it.
    pub offline: Result<Usable, Fault>,
    /// What the management cluster says; `None` when it was not asked.
    pub online: Option<Online>,
}

/// What the management cluster says.
#[derive(Debug)]
pub struct Online {
    /// Who we are there.
    pub identity: Result<String, Trouble>,
    /// What we may not do there, of what driver and helm do. Only asked when it knows us.
    pub denied: Option<Result<Vec<Deed>, Trouble>>,
    /// What does not fit there. Only asked when it knows us.
    pub misfits: Option<Result<Vec<Misfit>, Trouble>>,
}

/// Whether the management cluster is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// No packet is sent.
    Offline,
    /// It is asked everything.
    Online,
}

impl Judgement {
    /// Judges `kubeconfig`, or the fault for which it is none.
    pub fn of(
        kubeconfig: &Result<Kubeconfig, Fault>,
        pin: &Pin,
        stack: &Stack,
        read: ReadFile<'_>,
        reach: Reach,
    ) -> Self {
        let offline = match kubeconfig {
            Ok(kubeconfig) => kubeconfig.usable_by(pin, read),
            Err(fault) => Err(fault.clone()),
        };
        let online = match (&offline, reach) {
            (Ok(usable), Reach::Online) => Some(Online::ask(usable, stack)),
            _ => None,
        };
        Self { offline, online }
    }
}

impl Online {
    /// Asks everything.
    pub fn ask(usable: &Usable, stack: &Stack) -> Self {
        let session = Session::open(usable);
        let asked = session.and_then(|session| session.whoami().map(|name| (session, name)));
        match asked {
            Err(trouble) => Self {
                identity: Err(trouble),
                denied: None,
                misfits: None,
            },
            Ok((session, name)) => Self {
                identity: Ok(name),
                denied: Some(session.denied()),
                misfits: Some(session.served().map(|served| stack.misfits(&served))),
            },
        }
    }
}
