//! `verify`: is the graft whole, and if not, what is to be done?
//!
//! Each check asks one question and answers it by what really decides it. A check says what it
//! saw, or what is wrong and the remedy; one that could not look says so, which is never a pass.
//! Everything is looked at once, into a [`Scene`], and Python is started once.

mod chain;
mod conf;
mod driver;
mod guard;
mod helm;
mod kubeconfig;
mod logs;
mod management;
mod report;
mod scene;
mod services;

pub use conf::odd_bytes;
pub use management::{CHECKS as OF_A_KUBECONFIG, Credentials};
pub use report::{Line, Report};
pub use scene::Scene;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// All is well.
    Pass,
    /// Something is wrong.
    Fail,
    /// Something deserves a look, or could be wrong outside the graft.
    Warn,
    /// The question does not arise now.
    Skip,
}

/// Something other than a pass: what was seen, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    status: Status,
    evidence: String,
    remedy: String,
}

impl Finding {
    fn fail(evidence: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            status: Status::Fail,
            evidence: evidence.into(),
            remedy: remedy.into(),
        }
    }

    fn warn(evidence: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            status: Status::Warn,
            ..Self::fail(evidence, remedy)
        }
    }

    fn skip(reason: impl Into<String>) -> Self {
        Self {
            status: Status::Skip,
            ..Self::fail(reason, "")
        }
    }
}

/// The outer error: could not look. The inner one: looked, and it is not well. Otherwise, what was
/// seen to be well.
type Outcome = anyhow::Result<Result<String, Finding>>;

/// One question about `S`.
pub struct Check<S> {
    /// Its name in results, which never changes its meaning.
    pub id: &'static str,
    /// What it asks.
    pub question: &'static str,
    answer: fn(&S) -> Outcome,
}

/// Checks that ask the same kind of thing.
enum Group {
    /// Of the unit.
    Unit(&'static [Check<Scene>]),
    /// Of a kubeconfig, wherever it lies.
    Kubeconfig(&'static [Check<Credentials>]),
}

/// What any hook does about a part that is not as it should be.
const ANY_HOOK: &str = "run any hook, such as: juju exec --unit UNIT 'JUJU_DISPATCH_PATH=hooks/update-status ./dispatch'";

/// Every check, in the order in which a broken link breaks the next.
const CATALOGUE: &[Group] = &[
    Group::Unit(scene::CHECKS),
    Group::Unit(driver::CHECKS),
    Group::Unit(helm::CHECKS),
    Group::Unit(kubeconfig::CHECKS),
    Group::Kubeconfig(management::CHECKS),
    Group::Unit(conf::CHECKS),
    Group::Unit(services::CHECKS),
    Group::Unit(guard::CHECKS),
    Group::Unit(logs::CHECKS),
    Group::Unit(chain::CHECKS),
];
