//! `verify`: is the graft whole, and if not, what is to be done?
//!
//! Each check asks one question and answers it by what really decides it. A check says what it
//! saw, or what is wrong and the remedy; one that could not look says so, which is never a pass.
//! Everything is looked at once, into a [`Scene`], and Python is started once.

mod conf;
mod driver;
mod helm;
mod kubeconfig;
mod report;
mod scene;
mod services;

pub use report::Report;
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

/// One question.
pub struct Check {
    /// Its name in results, which never changes its meaning.
    pub id: &'static str,
    /// What it asks.
    pub question: &'static str,
    answer: fn(&Scene) -> Outcome,
}

/// What any hook does about a part that is not as it should be.
const ANY_HOOK: &str = "run any hook, such as: juju exec --unit UNIT -- hooks/update-status";

/// Every check, in the order in which a broken link breaks the next.
pub const CATALOGUE: &[Check] = &[
    Check {
        id: "settings",
        question: "Are the options and the kubeconfig's source valid?",
        answer: scene::settings,
    },
    Check {
        id: "driver-version",
        question: "Is exactly the pinned driver installed?",
        answer: driver::version,
    },
    Check {
        id: "driver-record",
        question: "Is every file of the driver as its RECORD says?",
        answer: driver::record,
    },
    Check {
        id: "driver-shadowed",
        question: "Is it the first copy of the driver that Python finds?",
        answer: driver::shadowed,
    },
    Check {
        id: "driver-loads",
        question: "Does the driver's entry point load as user magnum?",
        answer: driver::loads,
    },
    Check {
        id: "driver-requirements",
        question: "Does this Python have what the driver requires?",
        answer: driver::requirements,
    },
    Check {
        id: "driver-enabled",
        question: "Does Magnum's own loader enable the drivers it should?",
        answer: driver::enabled,
    },
    Check {
        id: "helm",
        question: "Does user magnum find a helm that runs?",
        answer: helm::runs,
    },
    Check {
        id: "chart",
        question: "Is the given chart in place, and can user magnum's helm read it?",
        answer: helm::chart,
    },
    Check {
        id: "kubeconfig-file",
        question: "Is the granted kubeconfig in place, with its owner and mode?",
        answer: kubeconfig::file,
    },
    Check {
        id: "kubeconfig-readable",
        question: "Can user magnum read the kubeconfig that the services are told to use?",
        answer: kubeconfig::readable,
    },
    Check {
        id: "kubeconfig-usable",
        question: "Can the pinned driver use this kubeconfig?",
        answer: kubeconfig::usable,
    },
    Check {
        id: "management-api",
        question: "Does the management cluster answer from here?",
        answer: kubeconfig::management_api,
    },
    Check {
        id: "conf-file",
        question: "Is 99-capi.conf in place, with its content, owner and mode?",
        answer: conf::file,
    },
    Check {
        id: "conf-ascii",
        question: "Are conf.d and the drop-ins plain ASCII?",
        answer: conf::ascii,
    },
    Check {
        id: "conf-effective",
        question: "Do the services' own arguments make the graft's options count?",
        answer: conf::effective,
    },
    Check {
        id: "drop-in-files",
        question: "Are both drop-ins in place, with their content, owner and mode?",
        answer: services::drop_in_files,
    },
    Check {
        id: "drop-in-effective",
        question: "Would systemd start both services with the explicit command line?",
        answer: services::drop_in_effective,
    },
    Check {
        id: "service-command-line",
        question: "Do the running processes have that command line?",
        answer: services::command_line,
    },
    Check {
        id: "service-current",
        question: "Have the running processes read the present configuration and driver?",
        answer: services::current,
    },
    Check {
        id: "service-stable",
        question: "Do both services stay up?",
        answer: services::stable,
    },
    Check {
        id: "api-answers",
        question: "Does the API answer HTTP on its configured port?",
        answer: services::api,
    },
    Check {
        id: "logs",
        question: "Are the logs since the services' start free of known failures?",
        answer: services::logs,
    },
];
