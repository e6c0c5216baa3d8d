//! The event the program is run for: a hook, an action, or a command typed by a person.
//!
//! Juju runs `dispatch` with `JUJU_DISPATCH_PATH=hooks/NAME` or `actions/NAME`; an agent without
//! dispatch runs `hooks/NAME`, which is a link to the same program.

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A hook that reconciles; its name.
    Reconcile(String),
    /// A hook in which the charm leaves the unit.
    Remove,
    /// An action; its name.
    Action(String),
    /// A hook that this charm does not use; its name.
    Unknown(String),
    /// No event of Juju's: a command of the program.
    Command,
}

/// After these hooks the charm is off the unit.
const REMOVING: [&str; 3] = ["magnum-relation-broken", "stop", "remove"];
/// Each of these hooks reconciles, and those of both relations.
const RECONCILING: [&str; 7] =
    ["install", "config-changed", "start", "update-status", "upgrade-charm", "leader-elected", "secret-changed"];
const RELATIONS: [&str; 2] = ["magnum-relation-", "cluster-relation-"];

impl Event {
    /// Reads the event from `JUJU_DISPATCH_PATH`, or else from the program's name.
    pub fn new(dispatch_path: Option<&str>, program: &str) -> Self {
        let path = dispatch_path.filter(|path| !path.is_empty()).unwrap_or(program);
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        match parent.rsplit('/').next() {
            Some("actions") => Self::Action(name.to_owned()),
            _ if REMOVING.contains(&name) => Self::Remove,
            _ if RECONCILING.contains(&name) || RELATIONS.iter().any(|relation| name.starts_with(relation)) => {
                Self::Reconcile(name.to_owned())
            }
            Some("hooks") => Self::Unknown(name.to_owned()),
            _ => Self::Command,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reconcile(hook: &str) -> Event {
        Event::Reconcile(hook.into())
    }

    #[test]
    fn the_dispatch_path_decides_and_the_programs_name_is_the_fallback() {
        for (dispatch_path, program, event) in [
            (Some("hooks/install"), "./dispatch", reconcile("install")),
            (Some(""), "hooks/config-changed", reconcile("config-changed")),
            (None, "/charm/hooks/update-status", reconcile("update-status")),
            (Some("hooks/stop"), "./dispatch", Event::Remove),
            (Some("hooks/magnum-relation-broken"), "./dispatch", Event::Remove),
            (Some("hooks/cluster-relation-departed"), "./dispatch", reconcile("cluster-relation-departed")),
            (Some("actions/verify"), "./dispatch", Event::Action("verify".into())),
            (Some("actions/install"), "./dispatch", Event::Action("install".into())),
            (Some("hooks/collect-metrics"), "./dispatch", Event::Unknown("collect-metrics".into())),
            (None, "hooks/collect-metrics", Event::Unknown("collect-metrics".into())),
            (None, "./dispatch", Event::Command),
            (None, "target/debug/magnum-capi-helm", Event::Command),
        ] {
            assert_eq!(Event::new(dispatch_path, program), event);
        }
    }
}
