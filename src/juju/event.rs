//! What the charm was called for: a hook, an action, or nothing it knows.
//!
//! Juju runs `dispatch` with `JUJU_DISPATCH_PATH=hooks/NAME` or `actions/NAME`; an agent without
//! dispatch runs `hooks/NAME`, which is a link to the same program.

use std::path::Path;

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Bring the unit to what is wanted.
    Converge {
        /// The hook's name.
        hook: String,
    },
    /// Leave the unit as it was before the charm came.
    Depart,
    /// Run an action.
    Action(String),
    /// A hook or action that this charm has no use for.
    Unknown(String),
    /// Run by hand.
    ByHand,
}

/// Hooks after which the unit is no longer ours.
const DEPARTURES: [&str; 3] = ["magnum-relation-broken", "stop", "remove"];
/// Hooks that all lead the one way through.
const CONVERGING: [&str; 20] = [
    "install",
    "config-changed",
    "start",
    "update-status",
    "upgrade-charm",
    "leader-elected",
    "leader-settings-changed",
    "pre-series-upgrade",
    "post-series-upgrade",
    "secret-changed",
    "secret-remove",
    "secret-expired",
    "magnum-relation-created",
    "magnum-relation-joined",
    "magnum-relation-changed",
    "magnum-relation-departed",
    // Juju breaks no peer relation.
    "cluster-relation-created",
    "cluster-relation-joined",
    "cluster-relation-changed",
    "cluster-relation-departed",
];

impl Event {
    /// Reads the event from Juju's dispatch path, or else from the name the program was called by.
    pub fn of(dispatch_path: Option<&str>, program: &str) -> Self {
        let path = dispatch_path
            .filter(|path| !path.is_empty())
            .unwrap_or(program);
        let path = Path::new(path);
        let name = |part: Option<&std::ffi::OsStr>| {
            part.map(|text| text.to_string_lossy().into_owned())
                .unwrap_or_default()
        };
        let parent = name(path.parent().and_then(Path::file_name));
        let name = name(path.file_name());
        if parent == "actions" {
            return Self::Action(name);
        }
        if DEPARTURES.contains(&name.as_str()) {
            return Self::Depart;
        }
        if CONVERGING.contains(&name.as_str()) {
            return Self::Converge { hook: name };
        }
        if parent == "hooks" || dispatch_path.is_some_and(|path| !path.is_empty()) {
            return Self::Unknown(name);
        }
        Self::ByHand
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converge(hook: &str) -> Event {
        Event::Converge { hook: hook.into() }
    }

    #[test]
    fn the_dispatch_path_decides_and_the_programs_name_is_the_fallback() {
        for (dispatch_path, program, event) in [
            (Some("hooks/install"), "./dispatch", converge("install")),
            (Some(""), "hooks/config-changed", converge("config-changed")),
            (
                None,
                "/charm/hooks/update-status",
                converge("update-status"),
            ),
            (Some("hooks/stop"), "./dispatch", Event::Depart),
            (
                Some("hooks/magnum-relation-broken"),
                "./dispatch",
                Event::Depart,
            ),
            (
                Some("hooks/cluster-relation-departed"),
                "./dispatch",
                converge("cluster-relation-departed"),
            ),
            (
                Some("actions/verify"),
                "./dispatch",
                Event::Action("verify".into()),
            ),
            (
                Some("actions/install"),
                "./dispatch",
                Event::Action("install".into()),
            ),
            (
                Some("hooks/collect-metrics"),
                "./dispatch",
                Event::Unknown("collect-metrics".into()),
            ),
            (
                None,
                "hooks/collect-metrics",
                Event::Unknown("collect-metrics".into()),
            ),
            (None, "./dispatch", Event::ByHand),
            (None, "target/debug/magnum-capi-helm", Event::ByHand),
        ] {
            assert_eq!(Event::of(dispatch_path, program), event);
        }
    }
}
