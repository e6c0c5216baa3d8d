//! How a run went, as the results of the action and in one sentence.

use super::chain::Link;
use super::cleaner;
use super::failure::Failure;
use super::stage::Stage;
use super::thing::Thing;

/// What becomes of what is left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heir {
    /// Nobody removes it by itself.
    Nobody,
    /// The cleaner is at work.
    Cleaner,
}

/// How a run went.
#[derive(Debug)]
pub struct Outcome {
    /// What went wrong first.
    pub failure: Option<Failure>,
    /// The template's name, when one was made.
    pub template: String,
    /// The cluster's name, when one was made.
    pub cluster: String,
    /// What is left behind, of this run and of earlier ones.
    pub left: Vec<Thing>,
    /// And who removes it.
    pub heir: Heir,
    /// How long it took.
    pub seconds: u64,
    /// All that was told.
    pub report: String,
}

impl Outcome {
    /// The results of the action, by name.
    pub fn results(&self) -> Vec<(&'static str, String)> {
        let link = self.failure.as_ref().and_then(|failure| failure.link);
        let stage = self.failure.as_ref().map_or(Stage::Done, |why| why.stage);
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
            ("left", self.listed()),
            ("seconds", self.seconds.to_string()),
            ("chain", link.map_or("", Link::id).to_owned()),
            ("remedy", link.map_or("", Link::remedy).to_owned()),
            ("report", self.report.clone()),
        ]
    }

    /// One sentence, when it did not go well.
    pub fn sentence(&self) -> Option<String> {
        let failure = self.failure.as_ref()?;
        let remedy = match failure.link {
            Some(link) => format!("; link {}: {}", link.id(), link.remedy()),
            None => String::new(),
        };
        Some(format!("{failure}{remedy}; {}", self.legacy()))
    }

    /// What is left behind and how it goes; that nothing is, otherwise.
    pub fn legacy(&self) -> String {
        if self.left.is_empty() {
            return "nothing is left behind".to_owned();
        }
        let how = match self.heir {
            Heir::Cleaner => format!(
                "it is being removed by the unit's service {0}: journalctl -u {0}",
                cleaner::UNIT
            ),
            Heir::Nobody => {
                let commands: Vec<String> = self.left.iter().map(Thing::removed_by).collect();
                format!(
                    "the next smoketest tries again, or run: {}",
                    commands.join("; ")
                )
            }
        };
        format!("left behind: {}; {how}", self.listed())
    }

    fn listed(&self) -> String {
        let all: Vec<String> = self.left.iter().map(ToString::to_string).collect();
        all.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::super::thing::Kind;
    use super::*;

    fn outcome(failure: Option<Failure>, left: Vec<Thing>, heir: Heir) -> Outcome {
        Outcome {
            failure,
            template: "t".into(),
            cluster: String::new(),
            left,
            heir,
            seconds: 1,
            report: String::new(),
        }
    }

    fn both() -> Vec<Thing> {
        let cluster = Thing {
            id: Some("1-2".into()),
            ..Thing::wanted(Kind::Cluster, "x")
        };
        vec![cluster, Thing::wanted(Kind::Template, "x")]
    }

    #[test]
    fn what_is_left_is_named_with_what_removes_it() {
        let failure = Failure::interrupted(Stage::ClusterWait);
        let told = |left, heir| {
            outcome(Some(failure.clone()), left, heir)
                .sentence()
                .unwrap()
        };
        assert_eq!(
            told(vec![], Heir::Nobody),
            "cluster-wait: told to stop; nothing is left behind"
        );
        assert_eq!(
            told(both(), Heir::Nobody),
            "cluster-wait: told to stop; left behind: cluster x (1-2), template x (id unknown); the next \
             smoketest tries again, or run: openstack coe cluster delete 1-2; openstack coe cluster template \
             delete x"
        );
        assert_eq!(
            told(both(), Heir::Cleaner),
            "cluster-wait: told to stop; left behind: cluster x (1-2), template x (id unknown); it is being \
             removed by the unit's service magnum-capi-helm-smoketest: journalctl -u \
             magnum-capi-helm-smoketest"
        );
    }

    #[test]
    fn the_results_name_the_link_and_its_remedy() {
        let failure = Failure::refused(Stage::TemplateCreate, 400, "Unable to find flavor x.");
        let outcome = outcome(Some(failure), both(), Heir::Nobody);
        let results = outcome.results();
        let of = |name: &str| {
            let found = results.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| value.as_str()).unwrap()
        };
        assert_eq!((of("outcome"), of("stage")), ("failed", "template-create"));
        assert_eq!(
            (of("chain"), of("remedy")),
            ("flavor", Link::Flavor.remedy())
        );
        assert_eq!(of("left"), "cluster x (1-2), template x (id unknown)");
        assert_eq!(
            super::tests::outcome(None, vec![], Heir::Nobody).sentence(),
            None
        );
    }
}
