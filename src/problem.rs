//! What keeps the graft from being whole, told to a person.

use std::fmt;

/// Who can mend a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Nothing is wrong yet; somebody should know all the same.
    Notice,
    /// Nobody has to: the principal is at work, and the graft is finished when it is done.
    Maintenance,
    /// It passes by itself; every hook tries again.
    Waiting,
    /// A person must do what the message says.
    Blocked,
}

/// A problem, its kind and what to do about it. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Who can mend it.
    pub kind: Kind,
    message: String,
}

impl Problem {
    /// A person must do what `message` says.
    pub fn blocked(message: impl Into<String>) -> Self {
        Self {
            kind: Kind::Blocked,
            message: message.into(),
        }
    }

    /// It passes by itself.
    pub fn waiting(message: impl Into<String>) -> Self {
        Self {
            kind: Kind::Waiting,
            message: message.into(),
        }
    }

    /// Nothing is wrong yet.
    pub fn notice(message: impl Into<String>) -> Self {
        Self {
            kind: Kind::Notice,
            message: message.into(),
        }
    }

    /// The principal is at work.
    pub fn maintenance(message: impl Into<String>) -> Self {
        Self {
            kind: Kind::Maintenance,
            message: message.into(),
        }
    }
}

/// Tells what a person must know from what makes the hook fail.
///
/// # Errors
/// Any error that is no [`Problem`].
pub fn told<T>(result: anyhow::Result<T>) -> anyhow::Result<Result<T, Problem>> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(error) => error.downcast::<Problem>().map(Err),
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}
