//! The links in `hooks/`: one for each hook that Juju runs for this charm, all leading to the one program.
//!
//! Juju runs `dispatch` for every hook when there is one; the links say to people and tools which hooks the charm
//! answers. The names are those of github.com/juju/charm, `hooks/hooks.go`.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};

/// Every unit gets these. Left out: the hooks that Juju 4 dropped (series upgrade, leader settings, metrics), of
/// storage and containers, which the charm has none of, and of secrets that a charm owns itself.
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

/// Every endpoint gets these, prefixed with its name.
const RELATION: [&str; 5] = ["broken", "changed", "created", "departed", "joined"];

/// An entry of `hooks/`.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    /// The hook.
    pub name: String,
    /// Where the link leads; empty for what is no link.
    pub target: String,
}

/// The entries of the directory `hooks`, by name.
///
/// # Errors
///
/// When the directory cannot be read.
pub fn read(hooks: &Path) -> Result<Vec<Link>> {
    let reading = || format!("reading {}", hooks.display());
    let mut links = Vec::new();
    for entry in hooks.read_dir().with_context(reading)? {
        let path = entry.with_context(reading)?.path();
        let target = if path.is_symlink() {
            path.read_link().with_context(reading)?
        } else {
            "".into()
        };
        links.push(Link {
            name: path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            target: target.to_string_lossy().into_owned(),
        });
    }
    links.sort();
    Ok(links)
}

/// The hooks of a charm with these endpoints.
#[must_use]
pub fn expected(endpoints: &[String]) -> BTreeSet<String> {
    let relations = endpoints.iter().flat_map(|endpoint| {
        RELATION
            .iter()
            .map(move |kind| format!("{endpoint}-relation-{kind}"))
    });
    UNIT.iter()
        .map(|&name| name.to_owned())
        .chain(relations)
        .collect()
}

/// Where the links differ from what Juju runs.
#[must_use]
pub fn faults(links: &[Link], endpoints: &[String]) -> Vec<String> {
    let expected = expected(endpoints);
    let present: BTreeSet<String> = links.iter().map(|link| link.name.clone()).collect();
    let missing = expected
        .difference(&present)
        .map(|name| format!("hooks/{name}: missing: ln -s ../dispatch hooks/{name}"));
    let unknown = present
        .difference(&expected)
        .map(|name| format!("hooks/{name}: Juju runs no such hook for this charm"));
    missing.chain(unknown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(names: impl IntoIterator<Item = String>) -> Vec<Link> {
        let target = "../dispatch".to_owned();
        names
            .into_iter()
            .map(|name| Link {
                name,
                target: target.clone(),
            })
            .collect()
    }

    #[test]
    fn each_endpoint_adds_its_five_hooks() {
        let all = expected(&["magnum".to_owned()]);
        assert_eq!(all.len(), 14);
        assert!(all.contains("magnum-relation-created"), "{all:?}");
    }

    #[test]
    fn a_complete_directory_has_no_faults() {
        let endpoints = ["magnum".to_owned()];
        assert!(faults(&links(expected(&endpoints)), &endpoints).is_empty());
    }

    #[test]
    fn missing_and_unknown_hooks_are_named() {
        let mut names = expected(&[]);
        names.remove("stop");
        names.insert("heat-relation-joined".to_owned());
        assert_eq!(
            faults(&links(names), &[]),
            [
                "hooks/stop: missing: ln -s ../dispatch hooks/stop",
                "hooks/heat-relation-joined: Juju runs no such hook for this charm",
            ]
        );
    }

    #[test]
    fn the_projects_own_links_are_relative_and_lead_to_dispatch() {
        let hooks = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hooks");
        let links = read(&hooks).unwrap();
        let endpoints = ["magnum", "cluster"].map(str::to_owned);
        assert_eq!(faults(&links, &endpoints), Vec::<String>::new());
        assert!(
            links.iter().all(|link| link.target == "../dispatch"),
            "{links:?}"
        );
    }
}
