//! The runbook's sections 10 and 11 through Magnum's own API: a cluster template is made, shown and deleted,
//! and on demand a cluster of it too.
//!
//! It always removes what it made: when something fails, when it is told to stop, and, of a run that was
//! killed, at the start of the next one. What fails is placed on the chain that a cluster hangs on.

mod api;
mod chain;
mod cleanup;
mod conductor;
mod credentials;
mod interrupt;
mod leftovers;
mod parameters;
#[cfg(test)]
mod placed;

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::Result;
use reqwest::Method;
use serde_json::{Value, json};

use crate::juju::{Context, tools};
use api::Session;
use chain::Link;
use conductor::Since;
use credentials::Credentials;
use leftovers::Names;
pub use parameters::Parameters;
use parameters::Size;

/// How often a cluster is looked at: Magnum itself asks the driver every ten seconds.
const PAUSE: Duration = Duration::from_secs(3);
/// How often whoever waits is told that nothing has changed.
const SIGN_OF_LIFE: Duration = Duration::from_secs(60);
/// How long the conductor may take to take a cluster up that the API has accepted.
const TAKEN_LIMIT: Duration = Duration::from_secs(60);
/// So many looks in a row may fail: a proxy is reloaded, an API restarted, or the cluster has no node
/// groups yet, without which Magnum cannot show it (400).
const FAILED_LOOKS: u32 = 5;

/// Where in its course a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Keystone is asked for a token.
    Token,
    /// Magnum is looked up in the catalogue.
    Catalogue,
    /// What earlier runs left is removed.
    Leftovers,
    /// The template is made.
    TemplateCreate,
    /// It is looked at.
    TemplateShow,
    /// The cluster is asked for.
    ClusterCreate,
    /// It is being made.
    ClusterWait,
    /// It is deleted.
    ClusterDelete,
    /// The template is deleted.
    TemplateDelete,
    /// Everything went well.
    Done,
}

impl Stage {
    /// Its name in the results.
    pub fn id(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Catalogue => "catalogue",
            Self::Leftovers => "leftovers",
            Self::TemplateCreate => "template-create",
            Self::TemplateShow => "template-show",
            Self::ClusterCreate => "cluster-create",
            Self::ClusterWait => "cluster-wait",
            Self::ClusterDelete => "cluster-delete",
            Self::TemplateDelete => "template-delete",
            Self::Done => "done",
        }
    }
}

/// What kept a run from going well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    stage: Stage,
    /// The HTTP status; 0 when there was no answer, or it is about a cluster.
    status: u16,
    message: String,
    /// The link at fault; none when somebody wanted the run to stop.
    link: Option<Link>,
}

impl Failure {
    /// No answer.
    fn silent(stage: Stage, address: &str, reason: &str) -> Self {
        let link = match stage {
            Stage::Token => Link::Keystone,
            _ => Link::MagnumApi,
        };
        Self {
            stage,
            status: 0,
            message: format!("no answer from {}: {reason}", without_account(address)),
            link: Some(link),
        }
    }

    /// An answer that is no success.
    fn refused(stage: Stage, status: u16, said: &str) -> Self {
        let message = match status {
            0 => said.to_owned(),
            _ => format!("HTTP {status}: {said}"),
        };
        Self {
            stage,
            status,
            message,
            link: Some(chain::place(stage, status, said)),
        }
    }

    /// A cluster that fails, and what the conductor's log has of it.
    fn of_cluster(stage: Stage, what: &str, reason: &str, causes: &str) -> Self {
        let known = [reason, causes].join("\n");
        let message = [what, &one_line(reason)].join(": ");
        Self {
            stage,
            status: 0,
            message: message.trim_end_matches(": ").to_owned(),
            link: Some(chain::place(stage, 0, &known)),
        }
    }

    fn interrupted(stage: Stage) -> Self {
        Self {
            stage,
            status: 0,
            message: "told to stop".to_owned(),
            link: None,
        }
    }

    /// Whether another try may go well.
    fn passes(&self) -> bool {
        matches!(self.status, 0 | 500..)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.stage.id(), self.message)
    }
}

impl std::error::Error for Failure {}

/// How a run went.
#[derive(Debug)]
pub struct Outcome {
    failure: Option<Failure>,
    template: String,
    cluster: String,
    seconds: u64,
    report: Vec<String>,
}

impl Outcome {
    /// The results of the action, by name.
    pub fn results(&self) -> Vec<(&'static str, String)> {
        let link = self.failure.as_ref().and_then(|failure| failure.link);
        let stage = self
            .failure
            .as_ref()
            .map_or(Stage::Done, |failure| failure.stage);
        let outcome = match (&self.failure, link) {
            (None, _) => "passed",
            (Some(_), Some(_)) => "failed",
            (Some(_), None) => "interrupted",
        };
        vec![
            ("stage", stage.id().to_owned()),
            ("outcome", outcome.to_owned()),
            ("template", self.template.clone()),
            ("cluster", self.cluster.clone()),
            ("seconds", self.seconds.to_string()),
            ("chain", link.map_or("", Link::id).to_owned()),
            ("remedy", link.map_or("", Link::remedy).to_owned()),
            ("report", self.report.join("\n")),
        ]
    }

    /// One sentence, when it did not go well.
    pub fn sentence(&self) -> Option<String> {
        let failure = self.failure.as_ref()?;
        Some(match failure.link {
            Some(link) => format!("{failure}; link {}: {}", link.id(), link.remedy()),
            None => format!("{failure}; what was made is removed"),
        })
    }
}

/// What is told while it happens, and in the end.
#[derive(Debug)]
struct Story {
    began: Instant,
    lines: Vec<String>,
}

impl Story {
    fn tell(&mut self, line: impl fmt::Display) {
        let line = format!("{:>5} s  {line}", self.began.elapsed().as_secs());
        // Nobody may be waiting any more: no reason to stop.
        if let Err(error) = tools::action_log(&line) {
            tracing::warn!("{error:#}");
        }
        self.lines.push(line);
    }
}

/// What a run has made and not removed.
#[derive(Debug, Default)]
struct Made {
    template: Option<String>,
    cluster: Option<String>,
}

/// Runs it all.
///
/// # Errors
/// What is no failure of the chain: no credentials, a state directory that cannot be written.
pub fn run(wanted: &Parameters, context: &Context) -> Result<Outcome> {
    interrupt::listen()?;
    let mut story = Story {
        began: Instant::now(),
        lines: Vec::new(),
    };
    let credentials = Credentials::obtain(wanted.credentials.as_deref(), context)?;
    story.tell(format!(
        "as {} at {}",
        credentials.who(),
        credentials.auth_url
    ));
    let mut made = Made::default();
    let mut names = Names::choose()?;
    let ended = course(wanted, &credentials, &mut names, &mut made, &mut story);
    let failure = match ended {
        Ok(()) => None,
        Err(error) => Some(error.downcast::<Failure>()?),
    };
    if let Some(failure) = &failure {
        story.tell(failure);
        if let Some(link) = failure.link {
            story.tell(format!("link at fault: {}; {}", link.id(), link.remedy()));
        }
    } else {
        story.tell("everything went well, and nothing is left");
    }
    Ok(Outcome {
        failure,
        template: made
            .template
            .map(|_| names.name.clone())
            .unwrap_or_default(),
        cluster: made.cluster.map(|_| names.name).unwrap_or_default(),
        seconds: story.began.elapsed().as_secs(),
        report: story.lines,
    })
}

/// From the token to the last deletion; whatever happens, what was made is removed.
fn course(
    wanted: &Parameters,
    credentials: &Credentials,
    names: &mut Names,
    made: &mut Made,
    story: &mut Story,
) -> Result<()> {
    let mut session = Session::open(credentials, &wanted.endpoint)?;
    story.tell(format!(
        "Magnum is at {}",
        without_account(session.magnum())
    ));
    let stuck = names.clear(&mut session, story)?;
    names.begin(&session.project, &credentials.who())?;
    let went = make(wanted, &names.name, &mut session, made, story);
    let removed = remove(&mut session, &names.name, made, story);
    if removed.is_ok() {
        names.end()?;
    }
    match (went, removed) {
        (Err(error), Err(left)) => {
            story.tell(format!("and {} is left behind: {left:#}", names.name));
            Err(error)
        }
        (went, removed) => went
            .and(removed)
            .and(stuck.map_or(Ok(()), |it| Err(it.into()))),
    }
}

fn make(
    wanted: &Parameters,
    name: &str,
    session: &mut Session<'_>,
    made: &mut Made,
    story: &mut Story,
) -> Result<()> {
    attentive(Stage::TemplateCreate)?;
    let template = json!({
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
    made.template = Some(String::new());
    let path = "/clustertemplates";
    let answer = session.ask(Stage::TemplateCreate, &Method::POST, path, Some(&template));
    let template = id_of(answer.inspect_err(|error| forget(&mut made.template, error))?);
    made.template = Some(template.clone());
    story.tell(format!("template {name} made ({template})"));

    let path = format!("/clustertemplates/{template}");
    let shown = session.ask(Stage::TemplateShow, &Method::GET, &path, None)?;
    let text = |key: &str| shown[key].as_str().unwrap_or_default().to_owned();
    story.tell(format!(
        "Magnum shows it: coe {}, image's distribution {}, labels {}",
        text("coe"),
        text("cluster_distro"),
        shown["labels"]
    ));
    let Some(Size { masters, nodes }) = wanted.cluster else {
        return Ok(());
    };
    attentive(Stage::ClusterCreate)?;
    let since = Since::now();
    let cluster = json!({
        "name": name,
        "cluster_template_id": template,
        "keypair": wanted.keypair,
        "master_count": masters,
        "node_count": nodes,
        "create_timeout": wanted.timeout.as_secs().div_ceil(60),
    });
    made.cluster = Some(String::new());
    let answer = session.ask(
        Stage::ClusterCreate,
        &Method::POST,
        "/clusters",
        Some(&cluster),
    );
    let cluster = id_of(answer.inspect_err(|error| forget(&mut made.cluster, error))?);
    made.cluster = Some(cluster.clone());
    story.tell(format!("cluster {name} asked for ({cluster})"));
    wait(session, &cluster, wanted.timeout, &since, story)
}

/// Waits until a cluster is complete.
fn wait(
    session: &mut Session<'_>,
    id: &str,
    limit: Duration,
    since: &Since,
    story: &mut Story,
) -> Result<()> {
    let stage = Stage::ClusterWait;
    let path = format!("/clusters/{id}");
    let began = Instant::now();
    let (mut last, mut told, mut failed) = (String::new(), began, 0);
    loop {
        attentive(stage)?;
        let late = began.elapsed() >= limit;
        match session.look(stage, &path) {
            Ok(Some(found)) => {
                failed = 0;
                let text = |key: &str| found[key].as_str().unwrap_or_default();
                let (status, reason) = (text("status"), session.blanked(text("status_reason")));
                if status != last || told.elapsed() >= SIGN_OF_LIFE {
                    story.tell(format!("cluster is {status} {}", one_line(&reason)).trim_end());
                    (last, told) = (status.to_owned(), Instant::now());
                }
                match status {
                    "CREATE_COMPLETE" => return Ok(()),
                    "CREATE_FAILED" => {
                        let causes = heard(since, &reason, story);
                        return Err(Failure::of_cluster(stage, status, &reason, &causes).into());
                    }
                    _ if late => {
                        let causes = heard(since, "", story);
                        let what = format!("still {status} after {} s", limit.as_secs());
                        return Err(Failure::of_cluster(stage, &what, &reason, &causes).into());
                    }
                    _ => {}
                }
            }
            Ok(None) if late || began.elapsed() > TAKEN_LIMIT => {
                let what = "the API has accepted the cluster, and no conductor has taken it up";
                return Err(Failure::refused(stage, 404, what).into());
            }
            Ok(None) => {}
            Err(error) => {
                failed += 1;
                if !error.is::<Failure>() || failed > FAILED_LOOKS || late {
                    return Err(error);
                }
                story.tell(format!("{error:#}; trying again"));
            }
        }
        interrupt::sleep(PAUSE.min(limit));
    }
}

/// What the conductor's log adds to a reason that names a step alone, or to none.
fn heard(since: &Since, reason: &str, story: &mut Story) -> String {
    if !reason.is_empty() && !chain::needs_a_cause(reason) {
        return String::new();
    }
    match since.causes() {
        Ok(causes) => {
            for line in causes.lines() {
                story.tell(format!("magnum-conductor: {line}"));
            }
            causes
        }
        Err(error) => {
            story.tell(format!("the conductor's log cannot be read: {error:#}"));
            String::new()
        }
    }
}

/// Removes what was made, the cluster first: the template is in use as long as it is there.
fn remove(session: &mut Session<'_>, name: &str, made: &Made, story: &mut Story) -> Result<()> {
    if let Some(id) = &made.cluster {
        // A request whose answer was lost may have been carried out: then the name leads to it.
        let ident = if id.is_empty() { name } else { id };
        cleanup::cluster(session, ident)?;
        story.tell(format!("cluster {name} deleted"));
    }
    if let Some(id) = &made.template {
        let ident = if id.is_empty() { name } else { id };
        cleanup::template(session, ident)?;
        story.tell(format!("template {name} deleted"));
    }
    Ok(())
}

/// A request that was refused made nothing; one without an answer may have.
fn forget(made: &mut Option<String>, error: &anyhow::Error) {
    let refused = error
        .downcast_ref::<Failure>()
        .is_some_and(|failure| (400..500).contains(&failure.status));
    if refused {
        *made = None;
    }
}

/// Stops here when somebody wants that.
fn attentive(stage: Stage) -> Result<()> {
    match interrupt::wished() {
        true => Err(Failure::interrupted(stage).into()),
        false => Ok(()),
    }
}

fn id_of(made: Value) -> String {
    made["uuid"].as_str().unwrap_or_default().to_owned()
}

/// The most of a message that is told: proxies answer with whole pages.
const MESSAGE_LIMIT: usize = 600;

/// A message in one line, of a length that people read.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(MESSAGE_LIMIT).collect()
}

/// An address that holds no account.
fn without_account(address: &str) -> String {
    match url::Url::parse(address) {
        Ok(mut url) => {
            // Fails only for addresses that can have none.
            url.set_username("").ok();
            url.set_password(None).ok();
            url.to_string()
        }
        Err(_) => "an address that is none".to_owned(),
    }
}
