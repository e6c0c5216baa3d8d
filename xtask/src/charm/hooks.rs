//! The links in `hooks/`: one for each hook that Juju runs for this charm, all leading to the one program.
//!
//! Juju runs `dispatch` for every hook if it exists. The links show people and tools which hooks the charm handles. The
//! names are those of github.com/juju/charm, `hooks/hooks.go`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};

/// The target of every link.
pub const TARGET: &str = "../dispatch";

/// Every unit has these. Left out: the hooks that Juju 4 dropped (series upgrade, leader settings, metrics), those of
/// storage and containers, which the charm does not have, and those of secrets that a charm owns itself.
const UNIT: [&str; 9] = [
    "config-changed",
    "install",
    "leader-elected",
    "remove",
    "secret-changed",
    "start",
    "stop",
    "update-status",
    "upgrade-charm",
];

/// Every endpoint has these, prefixed with its name.
const RELATION: [&str; 5] = ["broken", "changed", "created", "departed", "joined"];

/// The targets of the entries of `hooks/` by name; no target for what is not a link.
type Links = BTreeMap<String, Option<String>>;

/// Reads the directory `hooks`.
pub fn read(hooks: &Path) -> Result<Links> {
    let reading = || format!("reading {}", hooks.display());
    let mut links = Links::new();
    for entry in hooks.read_dir().with_context(reading)? {
        let entry = entry.with_context(reading)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let target = match entry.file_type().with_context(reading)?.is_symlink() {
            true => Some(entry.path().read_link().with_context(reading)?),
            false => None,
        };
        links.insert(name, target.map(|target| target.to_string_lossy().into_owned()));
    }
    Ok(links)
}

/// Lists the hooks of a charm with these endpoints.
pub fn expected<'a>(endpoints: impl Iterator<Item = &'a str>) -> Vec<String> {
    let relations = endpoints.flat_map(|endpoint| RELATION.map(|kind| format!("{endpoint}-relation-{kind}")));
    UNIT.map(str::to_owned).into_iter().chain(relations).collect()
}

/// Lists the differences between the links and the hooks that Juju runs.
pub fn faults(links: &Links, expected: &[String]) -> Vec<String> {
    let missing = expected
        .iter()
        .filter(|name| !links.contains_key(*name))
        .map(|name| format!("hooks/{name}: missing: ln -s {TARGET} hooks/{name}"));
    let wrong = links.iter().filter_map(|(name, target)| {
        if !expected.contains(name) {
            return Some(format!("hooks/{name}: Juju runs no such hook for this charm"));
        }
        (target.as_deref() != Some(TARGET)).then(|| format!("hooks/{name}: not a link to {TARGET}"))
    });
    missing.chain(wrong).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_unknown_and_wrong_hooks_are_named() {
        let expected = expected(["magnum"].into_iter());
        assert_eq!(expected.len(), 14);
        let mut links: Links = expected.iter().map(|name| (name.clone(), Some(TARGET.to_owned()))).collect();
        assert_eq!(faults(&links, &expected), Vec::<String>::new());
        links.remove("magnum-relation-created");
        links.insert("heat-relation-joined".to_owned(), None);
        links.insert("stop".to_owned(), None);
        assert_eq!(
            faults(&links, &expected),
            [
                "hooks/magnum-relation-created: missing: ln -s ../dispatch hooks/magnum-relation-created",
                "hooks/heat-relation-joined: Juju runs no such hook for this charm",
                "hooks/stop: not a link to ../dispatch",
            ]
        );
    }
}
