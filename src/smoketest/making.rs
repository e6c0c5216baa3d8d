//! Making a template, and a cluster of it.

use reqwest::Method;
use serde_json::{Value, json};

use super::api::Session;
use super::conductor::Since;
use super::failure::Failure;
use super::interrupt::{self, Wish};
use super::parameters::{Parameters, Size};
use super::stage::Stage;
use super::story::Story;
use super::thing::{Kind, Thing};
use super::waiting;

/// What a run has made, or may have.
pub type Made = Vec<Thing>;

/// Makes what is wanted under this name, and waits for it.
///
/// # Errors
/// The first thing that goes wrong; `made` says what there is then.
pub fn make(
    wanted: &Parameters,
    name: &str,
    session: &mut Session<'_>,
    made: &mut Made,
    story: &mut Story,
) -> Result<(), Failure> {
    let template = template(wanted, name, session, made, story)?;
    match wanted.cluster {
        Some(size) => cluster(wanted, size, name, &template, session, made, story),
        None => Ok(()),
    }
}

/// Makes a template and looks at it. Gives its id.
fn template(
    wanted: &Parameters,
    name: &str,
    session: &mut Session<'_>,
    made: &mut Made,
    story: &mut Story,
) -> Result<String, Failure> {
    let stage = Stage::TemplateCreate;
    attentive(stage)?;
    let body = json!({
        "name": name,
        "coe": "kubernetes",
        "image_id": wanted.image,
        "keypair_id": wanted.keypair,
        "external_network_id": wanted.external_network,
        "master_flavor_id": wanted.master_flavor,
        "flavor_id": wanted.flavor,
        "network_driver": wanted.network_driver,
        "labels": wanted.labels,
        "master_lb_enabled": wanted.cluster.is_some_and(|size| size.masters > 1),
        "public": false,
    });
    let id = asked_for(session, stage, Kind::Template, &body, made)?;
    story.tell(format!("template {name} made ({id})"));
    let path = format!("/{}/{id}", Kind::Template.collection());
    let shown = session.ask(Stage::TemplateShow, &Method::GET, &path, None)?;
    let text = |key: &str| shown[key].as_str().unwrap_or_default();
    story.tell(format!(
        "Magnum shows it: coe {}, image's distribution {}, labels {}",
        text("coe"),
        text("cluster_distro"),
        shown["labels"]
    ));
    Ok(id)
}

/// Makes a cluster of this template and waits until it is complete.
fn cluster(
    wanted: &Parameters,
    size: Size,
    name: &str,
    template: &str,
    session: &mut Session<'_>,
    made: &mut Made,
    story: &mut Story,
) -> Result<(), Failure> {
    let stage = Stage::ClusterCreate;
    attentive(stage)?;
    let since = Since::now();
    let body = json!({
        "name": name,
        "cluster_template_id": template,
        "keypair": wanted.keypair,
        "master_count": size.masters,
        "node_count": size.nodes,
        "create_timeout": wanted.timeout.as_secs().div_ceil(60),
    });
    let id = asked_for(session, stage, Kind::Cluster, &body, made)?;
    story.tell(format!("cluster {name} asked for ({id})"));
    waiting::wait(session, &id, wanted.timeout, &since, story)
}

/// Asks Magnum to make something. It counts as made from before the request until it is refused: one
/// whose answer is lost may have been carried out.
fn asked_for(
    session: &mut Session<'_>,
    stage: Stage,
    kind: Kind,
    body: &Value,
    made: &mut Made,
) -> Result<String, Failure> {
    let name = body["name"].as_str().unwrap_or_default();
    made.push(Thing::wanted(kind, name));
    let path = format!("/{}", kind.collection());
    match session.ask(stage, &Method::POST, &path, Some(body)) {
        Ok(answer) => {
            let found = Thing::of(kind, &answer).id;
            let id = found.clone().unwrap_or_else(|| name.to_owned());
            if let Some(thing) = made.last_mut() {
                thing.id = found;
            }
            Ok(id)
        }
        Err(failure) => {
            if (400..500).contains(&failure.status) {
                made.pop();
            }
            Err(failure)
        }
    }
}

/// Stops here when somebody wants that.
pub fn attentive(stage: Stage) -> Result<(), Failure> {
    match interrupt::wish() {
        Wish::Go => Ok(()),
        Wish::Stop | Wish::End => Err(Failure::interrupted(stage)),
    }
}
