//! A value that never shows: the one place where `Debug` redacts. (The crate `secrecy` neither compares nor
//! serialises, and the last good settings, which hold a kubeconfig, need both.)

use std::fmt;

use serde::{Deserialize, Serialize};

/// A secret value, such as a token or a kubeconfig.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// Returns the value, for whoever really needs it.
    pub const fn expose(&self) -> &T {
        &self.0
    }

    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_show_in_debug_output() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "(redacted)");
    }
}
