//! The two services of Magnum.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Service {
    Api,
    Conductor,
}

impl Service {
    pub const ALL: [Self; 2] = [Self::Api, Self::Conductor];

    pub fn name(self) -> &'static str {
        self.unit().trim_end_matches(".service")
    }

    /// Returns the name of its systemd unit.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Api => "magnum-api.service",
            Self::Conductor => "magnum-conductor.service",
        }
    }

    /// Returns the path of the daemon.
    pub fn program(self) -> &'static str {
        match self {
            Self::Api => "/usr/bin/magnum-api",
            Self::Conductor => "/usr/bin/magnum-conductor",
        }
    }
}
