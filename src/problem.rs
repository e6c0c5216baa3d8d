//! What keeps the graft from what is wanted, for a person: one line for the unit's status, the rest for the log and
//! `verify`.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::system::{Mounted, NotRootsAlone, TooMuch};

/// Who solves a problem; the most urgent is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    /// Nothing is wrong yet, but somebody should know.
    Notice,
    /// Nobody has to: the graft is finished when the principal resumes.
    Maintenance,
    /// It passes; every hook tries again.
    Waiting,
    /// A person must do what the detail says.
    Blocked,
}

/// A problem. It never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[error("{summary}{}{detail}", if detail.is_empty() { "" } else { ": " })]
pub struct Problem {
    pub kind: Kind,
    /// What is wrong and where to look, short enough for a status. Neither text is escaped yet.
    pub summary: String,
    /// The cause, and the command that helps. `UNIT` and `APPLICATION` stand for the names of this one.
    pub detail: String,
}

impl Problem {
    fn new(kind: Kind, summary: impl Into<String>, detail: impl Into<String>) -> Self {
        let (summary, detail) = (summary.into(), detail.into());
        Self { kind, summary, detail }
    }

    pub fn blocked(summary: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(Kind::Blocked, summary, detail)
    }

    pub fn waiting(summary: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(Kind::Waiting, summary, detail)
    }

    pub fn notice(summary: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(Kind::Notice, summary, detail)
    }

    pub fn maintenance(summary: impl Into<String>) -> Self {
        Self::new(Kind::Maintenance, summary, "")
    }

    /// A value of `option` that is not valid: `driver-pin "x" is not an exact pin`, and what to do.
    pub fn option(option: &str, wrong: impl std::fmt::Display, remedy: impl Into<String>) -> Self {
        Self::blocked(format!("Invalid option {option}"), format!("{option} {wrong}; {}", remedy.into()))
    }
}

impl From<NotRootsAlone> for Problem {
    fn from(found: NotRootsAlone) -> Self {
        let summary = format!("Not root's alone: {}", found.path.display());
        Self::blocked(summary, found.to_string())
    }
}

impl From<TooMuch> for Problem {
    fn from(found: TooMuch) -> Self {
        let summary = format!("Too much to read: {}", found.path.display());
        Self::blocked(summary, found.to_string())
    }
}

impl From<Mounted> for Problem {
    fn from(found: Mounted) -> Self {
        Self::blocked(format!("Root is kept from {}", found.0.display()), found.to_string())
    }
}

/// Separates a problem, which a person must know, from an error that makes the hook fail.
///
/// # Errors
/// Any error that is neither a [`Problem`], [`NotRootsAlone`], [`TooMuch`] nor [`Mounted`].
pub fn or_problem<T>(result: anyhow::Result<T>) -> anyhow::Result<Result<T, Problem>> {
    let error = match result {
        Ok(value) => return Ok(Ok(value)),
        Err(error) => error,
    };
    let error = match error.downcast::<NotRootsAlone>() {
        Ok(found) => return Ok(Err(found.into())),
        Err(error) => error,
    };
    let error = match error.downcast::<Mounted>() {
        Ok(found) => return Ok(Err(found.into())),
        Err(error) => error,
    };
    match error.downcast::<TooMuch>() {
        Ok(found) => Ok(Err(found.into())),
        Err(error) => error.downcast::<Problem>().map(Err),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_its_summary_and_then_its_detail() {
        let problem = Problem::waiting("Cannot fetch the driver", "the index does not answer");
        assert_eq!(problem.to_string(), "Cannot fetch the driver: the index does not answer");
        assert_eq!(Problem::maintenance("Magnum is paused").to_string(), "Magnum is paused");
    }

    #[test]
    fn what_is_too_much_to_be_read_is_a_problem_that_names_it() {
        let found = TooMuch { path: "/etc/magnum".into(), what: "has more than 5 names".to_owned() };
        let problem = or_problem::<()>(Err(anyhow::Error::new(found).context("looking"))).unwrap().unwrap_err();
        let expected =
            "Too much to read: /etc/magnum: /etc/magnum has more than 5 names; remove what does not belong there";
        assert_eq!((problem.kind, problem.to_string().as_str()), (Kind::Blocked, expected));
    }

    #[test]
    fn what_root_is_kept_from_is_a_problem_that_names_it() {
        let scratch = crate::system::testing::Scratch::new();
        scratch.put("/etc/magnum/x", "");
        std::fs::set_permissions(scratch.path("/etc/magnum"), std::os::unix::fs::PermissionsExt::from_mode(0o0))
            .unwrap();
        // Of this thread alone, as a mount of another user is closed to root.
        nix::unistd::setfsuid(nix::unistd::Uid::from_raw(65_534));
        let (root, path) = (&scratch.root, std::path::Path::new("/etc/magnum/x"));
        let found = [root.inspect(path).map(drop), root.metadata(path).map(drop), root.names(path).map(drop)];
        nix::unistd::setfsuid(nix::unistd::geteuid());
        std::fs::set_permissions(scratch.path("/etc/magnum"), std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .unwrap();
        for found in found {
            let problem = or_problem(found).unwrap().unwrap_err();
            assert_eq!((problem.kind, problem.summary.as_str()), (Kind::Blocked, "Root is kept from /etc/magnum/x"));
        }
    }

    #[test]
    fn what_is_not_roots_alone_is_a_problem_that_names_it_and_the_remedy() {
        let scratch = crate::system::testing::Scratch::new();
        let path = format!("/usr/local/{}", "x".repeat(80));
        scratch.put(&path, "");
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o666);
        std::fs::set_permissions(scratch.path(&path), open).unwrap();
        let found = scratch.root.ensure_roots_alone(path.as_ref()).map_err(|error| error.context("installing it"));
        let problem = or_problem(found).unwrap().unwrap_err();
        assert_eq!(problem.kind, Kind::Blocked);
        assert!(problem.summary.starts_with("Not root's alone: /usr/local/xxx"), "{problem}");
        assert!(problem.detail.ends_with(&format!("chmod go-w {path}")), "{problem}");
        assert!(or_problem::<()>(Err(anyhow::anyhow!("a fault"))).is_err());
    }
}
