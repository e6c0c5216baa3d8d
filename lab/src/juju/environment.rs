//! The environment of a hook: constructed from nothing, as Juju constructs it on a machine.
//!
//! Source: `worker/uniter/runner/context` of Juju 3.6 (`HookVars` and `env.go`, Ubuntu). There is no
//! HOME, no USER and no SHELL.

use super::context::HookContext;
use super::model::{Model, VERSION, tag};

/// The PATH of the machine agent's service.
const AGENT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin";

/// Where the unit's agent keeps its things.
pub(crate) fn agent_directory(unit: &str) -> String {
    format!("/var/lib/juju/agents/{}", tag(unit))
}

/// Where the hook tools are.
pub(crate) fn tools_directory(unit: &str) -> String {
    format!("/var/lib/juju/tools/{}", tag(unit))
}

/// The socket that hook tools call the agent on.
pub(crate) fn socket(unit: &str) -> String {
    format!("{}/agent.socket", agent_directory(unit))
}

/// The charm's directory.
pub(crate) fn charm_directory(unit: &str) -> String {
    format!("{}/charm", agent_directory(unit))
}

/// All variables of one hook or action, in no particular order.
pub(crate) fn variables(context: &HookContext, model: &Model) -> Vec<(String, String)> {
    let unit = context.unit.as_str();
    let charm = charm_directory(unit);
    let state = model.units.get(unit);
    let dispatch = match &context.action {
        Some(action) => format!("actions/{}", action.name),
        None => format!("hooks/{}", context.hook),
    };
    let mut all: Vec<(&str, String)> = vec![
        ("APT_LISTCHANGES_FRONTEND", "none".into()),
        ("CHARM_DIR", charm.clone()),
        ("CLOUD_API_VERSION", String::new()),
        ("DEBIAN_FRONTEND", "noninteractive".into()),
        ("JUJU_AGENT_SOCKET_ADDRESS", socket(unit)),
        ("JUJU_AGENT_SOCKET_NETWORK", "unix".into()),
        ("JUJU_API_ADDRESSES", "10.0.0.2:17070".into()),
        ("JUJU_AVAILABILITY_ZONE", "nova".into()),
        ("JUJU_CHARM_DIR", charm),
        ("JUJU_CHARM_FTP_PROXY", String::new()),
        ("JUJU_CHARM_HTTP_PROXY", String::new()),
        ("JUJU_CHARM_HTTPS_PROXY", String::new()),
        ("JUJU_CHARM_NO_PROXY", String::new()),
        ("JUJU_CONTEXT_ID", context.id.clone()),
        ("JUJU_DISPATCH_PATH", dispatch),
        ("JUJU_HOOK_NAME", context.hook.clone()),
        ("JUJU_MACHINE_ID", unit.rsplit('/').next().unwrap_or_default().to_owned()),
        ("JUJU_MODEL_NAME", model.name.clone()),
        ("JUJU_MODEL_UUID", model.uuid.clone()),
        ("JUJU_PRINCIPAL_UNIT", state.map(|state| state.principal.clone()).unwrap_or_default()),
        ("JUJU_UNIT_NAME", unit.to_owned()),
        ("JUJU_VERSION", VERSION.into()),
        ("LANG", "C.UTF-8".into()),
        ("PATH", format!("{}:{AGENT_PATH}", tools_directory(unit))),
        ("TERM", "tmux-256color".into()),
    ];
    if let Some(relation) = &context.relation {
        all.extend([
            ("JUJU_RELATION", relation.endpoint.clone()),
            ("JUJU_RELATION_ID", format!("{}:{}", relation.endpoint, relation.id)),
            ("JUJU_REMOTE_APP", relation.remote_application.clone()),
            ("JUJU_REMOTE_UNIT", relation.remote_unit.clone().unwrap_or_default()),
        ]);
        if let Some(departing) = &relation.departing_unit {
            all.push(("JUJU_DEPARTING_UNIT", departing.clone()));
        }
    }
    if let Some(action) = &context.action {
        all.extend([
            ("JUJU_ACTION_NAME", action.name.clone()),
            ("JUJU_ACTION_TAG", format!("action-{}", action.uuid)),
            ("JUJU_ACTION_UUID", action.uuid.clone()),
        ]);
    }
    if let Some(secret) = &context.secret {
        let id = secret.trim_start_matches("secret:");
        all.extend([("JUJU_SECRET_ID", format!("secret:{id}")), ("JUJU_SECRET_LABEL", String::new())]);
    }
    all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
