//! The resources that a run creates in the cloud: a template, and a cluster of it.

use std::fmt;

use reqwest::Method;
use serde_json::{Value, json};
use strum::Display;

use super::api::CloudSession;
use super::failure::{Failure, Stage, quote};
use super::parameters::Parameters;
use super::progress::StopRequest;

/// The longest id, in characters; a UUID has 36.
const LONGEST_ID: usize = 64;

/// The kind of a resource, in the order of removal: a template is in use as long as its cluster exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display)]
#[strum(serialize_all = "lowercase")]
pub enum ResourceKind {
    Cluster,
    Template,
}

impl ResourceKind {
    pub const ALL: [Self; 2] = [Self::Cluster, Self::Template];

    /// Returns Magnum's name for all of them, in paths and answers.
    pub fn collection(self) -> &'static str {
        match self {
            Self::Cluster => "clusters",
            Self::Template => "clustertemplates",
        }
    }
}

/// A resource that exists, or may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudResource {
    pub kind: ResourceKind,
    /// No other resource has this name.
    pub name: String,
    /// `None` until Magnum has told it.
    pub id: Option<String>,
}

impl CloudResource {
    /// Parses what Magnum shows of one, or what it is asked for. What is no UUID is no id: it becomes a part of paths and
    /// of commands that a person is told to type.
    pub fn parse(kind: ResourceKind, shown: &Value) -> Self {
        let text = |key: &str| shown[key].as_str();
        let is_plain = |id: &&str| id.len() <= LONGEST_ID && id.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
        Self {
            kind,
            name: text("name").unwrap_or_default().to_owned(),
            id: text("uuid").filter(is_plain).map(str::to_owned),
        }
    }

    pub fn path(&self) -> String {
        format!("{}/{}", self.kind.collection(), self.ident())
    }

    /// Returns the command that removes it.
    pub fn delete_command(&self) -> String {
        let kind = match self.kind {
            ResourceKind::Cluster => "cluster",
            ResourceKind::Template => "cluster template",
        };
        format!("openstack coe {kind} delete {}", self.ident())
    }

    /// A request whose answer was lost may have been carried out: then the name leads to the resource.
    fn ident(&self) -> &str {
        self.id.as_ref().unwrap_or(&self.name)
    }
}

impl fmt::Display for CloudResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.id.as_deref().unwrap_or("id unknown");
        write!(f, "{} {} ({id})", self.kind, self.name)
    }
}

/// Creates a template and has Magnum show it.
///
/// # Errors
/// If Magnum refuses, or somebody stops the run; `CloudSession::created` says what exists then.
pub fn create_template(
    session: &mut CloudSession,
    parameters: &Parameters,
    name: &str,
) -> Result<CloudResource, Failure> {
    let body = json!({
        "name": name,
        "coe": "kubernetes",
        "image_id": parameters.image,
        "keypair_id": parameters.keypair,
        "external_network_id": parameters.external_network,
        "master_flavor_id": parameters.master_flavor,
        "flavor_id": parameters.flavor,
        "network_driver": parameters.network_driver,
        "labels": parameters.labels,
        "master_lb_enabled": parameters.create_cluster && parameters.master_count > 1,
        "public": false,
    });
    let template = create(session, Stage::TemplateCreate, ResourceKind::Template, &body)?;
    let shown = session.request(Stage::TemplateShow, &Method::GET, &template.path(), None)?;
    let text = |key: &str| quote(shown[key].as_str().unwrap_or_default());
    let (coe, distro, labels) = (text("coe"), text("cluster_distro"), &shown["labels"]);
    session.progress.log(format!("Magnum shows it: coe {coe}, image's os {distro}, labels {labels}"));
    Ok(template)
}

/// Asks for a cluster of this template, which bears its name too.
///
/// # Errors
/// As [`create_template`].
pub fn create_cluster(
    session: &mut CloudSession,
    parameters: &Parameters,
    template: &CloudResource,
) -> Result<CloudResource, Failure> {
    let body = json!({
        "name": template.name,
        "cluster_template_id": template.ident(),
        "keypair": parameters.keypair,
        "master_count": parameters.master_count,
        "node_count": parameters.node_count,
        "create_timeout": parameters.timeout.div_ceil(60),
    });
    create(session, Stage::ClusterCreate, ResourceKind::Cluster, &body)
}

/// Creates a resource, unless somebody wants the run to stop. It counts as created unless Magnum refuses: a request whose
/// answer is lost may have been carried out.
fn create(
    session: &mut CloudSession,
    stage: Stage,
    kind: ResourceKind,
    body: &Value,
) -> Result<CloudResource, Failure> {
    if session.progress.stop_request() > StopRequest::None {
        return Err(Failure::stopped(stage));
    }
    let mut resource = CloudResource::parse(kind, body);
    let answer = session.request(stage, &Method::POST, kind.collection(), Some(body));
    match &answer {
        Ok(answer) => resource.id = CloudResource::parse(kind, answer).id,
        Err(failure) if (400..500).contains(&failure.status) => return Err(failure.clone()),
        Err(_) => {}
    }
    session.created.push(resource.clone());
    answer?;
    session.progress.log(format!("{resource} is requested"));
    Ok(resource)
}
