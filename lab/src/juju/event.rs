//! What a spectator of an application may want to see at the moment it happens.

use std::time::Duration;

/// Something a spectator may want to see at once.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A hook or action starts.
    Started {
        /// The unit's name.
        unit: String,
        /// The hook's or action's name.
        name: String,
    },
    /// A hook or action has ended.
    Ended {
        /// The unit's name.
        unit: String,
        /// The hook's or action's name.
        name: String,
        /// Its exit code; none when a signal ended it.
        exit: Option<i32>,
        /// How long it took.
        wall: Duration,
    },
    /// The unit set its workload status.
    Status {
        /// The unit's name.
        unit: String,
        /// `active`, `blocked`, `waiting` or `maintenance`.
        kind: String,
        /// What it says.
        message: String,
    },
    /// A line of the unit's log.
    Log {
        /// The unit's name.
        unit: String,
        /// The level, in capitals.
        level: String,
        /// The message.
        message: String,
    },
    /// A line of an action's progress.
    ActionLog {
        /// The unit's name.
        unit: String,
        /// The message.
        message: String,
    },
}
