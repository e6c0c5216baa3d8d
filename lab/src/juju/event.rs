//! What a spectator of an application may want to see at the moment it happens.

use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    Started {
        unit: String,
        name: String,
    },
    Ended {
        unit: String,
        name: String,
        /// Its exit code; none when a signal ended it.
        exit: Option<i32>,
        wall: Duration,
    },
    /// The unit set its workload status.
    Status {
        unit: String,
        /// `active`, `blocked`, `waiting` or `maintenance`.
        kind: String,
        message: String,
    },
    Log {
        unit: String,
        level: String,
        message: String,
    },
    /// A line of an action's progress.
    ActionLog {
        unit: String,
        message: String,
    },
}
